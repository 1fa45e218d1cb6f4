/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: the daemon is a process of its own, tests/demo/demo.sh has it under valgrind
 */
#include <sys/resource.h>

#include "harness.h"

/* Crowds hang until there is this file. */
struct gate {
	char file[128];
};

static struct gate gate_of(const struct dut *d)
{
	struct gate gate;

	snprintf(gate.file, sizeof(gate.file), "%s/go", d->dir);
	return gate;
}

static void open_gate(const struct gate *gate)
{
	int fd = open(gate->file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	close(fd);
}

static bool shows(struct dut *d, const char *command, const char *text)
{
	char answer[65536];
	int status = ctl(d, answer, sizeof(answer), "%s", command);

	if (status != 0)
		give_up(d, "talevctl %s: %d: %s", command, status, answer);
	return strstr(answer, text) != NULL;
}

static void must_show(struct dut *d, const char *command, const char *text)
{
	char answer[65536];

	assert_int_equal(ctl(d, answer, sizeof(answer), "%s", command), 0);
	if (!strstr(answer, text))
		give_up(d, "talevctl %s, without \"%s\": %s", command, text, answer);
}

/* What the watchdog says comes after what the plugin says, but reload() may be in between. */
static void expect_anywhere(struct dut *d, const char *text)
{
	d->seen = 0;
	expect(d, text);
}

static void a_stuck_plugin_is_named_and_others_go_on(void **state)
{
	struct dut *d = *state;
	struct gate gate = gate_of(d);

	conf_write(d,
		"watchdog = 2s\nwatchdog_abort = no\n"
		"[crowd]\nfile = %s\nthreads = 2\nhang = handler\nfile_to_come = %s\n"
		"[other]\nfile = %s\nthreads = 2\n[ticker]\nperiod = 100ms\n",
		test_plugin("crowd"), gate.file, test_plugin("crowd"));
	start(d);
	expect_anywhere(d, "watchdog: plugin crowd: loop crowd-0: hanging (");
	expect(d, "crowd.c:");
	expect(d, "has been running for ");
	expect(d, ", limit 1.000 s, thread crowd-0 (");
	expect(d, "watchdog:   crowd.so+0x");
	/* Everybody else is served. */
	ctl_ok(d, "ping");
	ctl_ok(d, "reload other");
	expect(d, "ticker: tick");
	must_show(d, "watchdog", "loop crowd-0: ");
	must_show(d, "watchdog --json", "\"name\":\"crowd-0\",\"kind\":\"loop\",\"state\":\"");
	must_show(d, "loops", " crowd: hanging (");
	must_show(d, "loops --json", "\"handler\":\"hanging\",\"location\":\"");
	/* Past the hard limit the log is all. */
	expect_anywhere(d, ", limit 2.000 s, thread crowd-0 (");
	must_show(
		d, "watchdog --json", "\"name\":\"crowd-0\",\"kind\":\"loop\",\"state\":\"hard\"");
	open_gate(&gate);
	expect(d, "watchdog: plugin crowd: loop crowd-0: goes on after ");
	assert_false(shows(d, "loops", ": hanging ("));
	must_show(d, "watchdog", "fired 1 soft 1 hard");
	stop(d);
}

static void a_plugin_on_the_loop_of_the_daemon_is_found_by_its_stack(void **state)
{
	struct dut *d = *state;
	struct gate gate = gate_of(d);

	conf_write(d,
		"watchdog = 1s\nwatchdog_abort = no\n"
		"[ticker]\nperiod = 10m\n[crowd]\nfile = %s\nhang = handler\nfile_to_come = %s\n",
		test_plugin("crowd"), gate.file);
	start(d);
	expect_anywhere(d, "watchdog: plugin crowd: context talevd: hanging (");
	open_gate(&gate);
	expect(d, "watchdog: context talevd: goes on after ");
	must_show(d, "watchdog", "context talevd: ");
	stop(d);
}

static void of_the_plugins_of_a_pool_it_is_the_one_on_the_stack(void **state)
{
	struct dut *d = *state;
	struct gate gate = gate_of(d);

	conf_write(d,
		"watchdog_abort = no\n[pool web]\nwatchdog = 1s\n[ticker]\nperiod = 10m\n"
		"pool = web\n[crowd]\nfile = %s\nhang = handler\nfile_to_come = %s\npool = web\n",
		test_plugin("crowd"), gate.file);
	start(d);
	expect_anywhere(d, "watchdog: plugin crowd: loop web-0: hanging (");
	must_show(d, "loops", " ticker,crowd: hanging (");
	open_gate(&gate);
	expect(d, "watchdog: plugin ticker or crowd: loop web-0: goes on after ");
	stop(d);
}

static void a_long_job_is_named_with_its_plugin(void **state)
{
	struct dut *d = *state;

	/* One job that takes a while, and stops at once when it is told to. */
	conf_write(d, "watchdog_abort = no\n[jobs sums]\nwatchdog = 100ms\n"
		      "[primes]\nfile = worker.so\njobs = sums\nupto = 1000000000\n"
		      "unit = 1000000\nat_once = 1\n");
	start(d);
	expect_anywhere(d, "watchdog: plugin primes: queue sums: ");
	must_show(d, "watchdog --json", "\"name\":\"talevd\",\"kind\":\"context\"");
	stop(d);
}

static void at_the_hard_limit_the_daemon_ends_with_the_report(void **state)
{
	struct dut *d = *state;

	conf_write(d,
		"[crowd]\nfile = %s\nthreads = 2\nhang = handler\nfile_to_come = /nowhere/x\n"
		"watchdog = 1s\n",
		test_plugin("crowd"));
	start(d);
	assert_int_equal(finish(d), -SIGABRT);
	expect_anywhere(d, "warning: watchdog: plugin crowd: loop crowd-0: hanging (");
	expect(d, "error: watchdog: plugin crowd: loop crowd-0: hanging (");
	expect(d, ", limit 1.000 s, thread crowd-0 (");
	expect(d, "error: watchdog:   crowd.so+0x");
	expect(d, "fatal: the watchdog ends the daemon");
}

static void hang_up(struct dut *d)
{
	kill(d->pid, SIGHUP);
	expect(d, "read again");
}

#define CROWD_0 "\"name\":\"crowd-0\",\"kind\":\"loop\""

static void must_limit(struct dut *d, const char *name, const char *hard)
{
	char answer[65536], text[128];
	const char *found, *end;

	assert_int_equal(ctl(d, answer, sizeof(answer), "watchdog --json"), 0);
	snprintf(text, sizeof(text), "{\"name\":\"%s\",", name);
	found = strstr(answer, text);
	end = found ? strchr(found, '}') : NULL;
	snprintf(text, sizeof(text), ",\"hard\":%s,", hard);
	found = found ? strstr(found, text) : NULL;
	if (!found || found > end)
		give_up(d, "%s is not limited to %s: %s", name, hard, answer);
}

static void sighup_changes_limits_and_no_plugin(void **state)
{
	struct dut *d = *state;
	const char *crowd = test_plugin("crowd");

	conf_write(d, "[pool web]\n[jobs sums]\n[crowd]\nfile = %s\nthreads = 2\n", crowd);
	start(d);
	must_show(d, "watchdog", "the watchdog is off\n");
	must_show(d, "watchdog --json", "{\"running\":false,\"hearts\":[]}\n");
	/* It is for all loops ... */
	conf_write(d, "watchdog = 1h\n[crowd]\nfile = %s\nthreads = 2\n", crowd);
	kill(d->pid, SIGHUP);
	expect(d, "watchdog takes no, or a time as 250ms, 5s or 2m, not \"1h\"");
	expect(d, "the old configuration stays");
	conf_write(d, "watchdog = 60m\n[pool web]\n[crowd]\nfile = %s\nthreads = 2\n", crowd);
	hang_up(d);
	must_limit(d, "talevd", "3600000000000");
	must_limit(d, "web-0", "3600000000000");
	must_limit(d, "crowd-0", "3600000000000");
	must_limit(d, "crowd-1", "3600000000000");
	/* ... but for those that have limits of their own, or none. */
	conf_write(d,
		"watchdog = 50m\n[pool web]\nwatchdog = no\nthreads = 2\n"
		"[crowd]\nfile = %s\nthreads = 2\nwatchdog = 40m\n",
		crowd);
	hang_up(d);
	must_limit(d, "talevd", "3000000000000");
	must_limit(d, "web-0", "null");
	while (!shows(d, "watchdog", "loop web-1: "))
		; /* it is new, and found at the next look */
	must_limit(d, "web-1", "null");
	must_limit(d, "crowd-1", "2400000000000");
	/* With only one limit of a plugin, the daemon has none. */
	conf_write(d, "[pool web]\n[crowd]\nfile = %s\nthreads = 2\nwatchdog = 40m\n", crowd);
	hang_up(d);
	must_limit(d, "talevd", "null");
	must_limit(d, "crowd-0", "2400000000000");
	conf_write(d, "[pool web]\n[crowd]\nfile = %s\nthreads = 2\nwatchdog = no\n", crowd);
	hang_up(d);
	must_show(d, "watchdog", "the watchdog is off\n");
	assert_false(said(d, "crowd: unloaded"));
	assert_false(said(d, "crowd: took over"));
	stop(d);
	assert_false(said(d, "has no key"));
}

static void a_limit_that_comes_late_finds_who_is_stuck(void **state)
{
	struct dut *d = *state;
	struct gate gate = gate_of(d);
	const char *crowd = test_plugin("crowd");

	conf_write(d, "[crowd]\nfile = %s\nthreads = 2\nhang = handler\nfile_to_come = %s\n", crowd,
		gate.file);
	start(d);
	expect_anywhere(d, "crowd: hangs");
	conf_write(d,
		"watchdog_abort = no\n[crowd]\nfile = %s\nthreads = 2\nhang = handler\n"
		"file_to_come = %s\nwatchdog = 1s\n",
		crowd, gate.file);
	hang_up(d);
	expect(d, "watchdog: plugin crowd: loop crowd-0: ");
	expect(d, "limit 1.000 s");
	must_show(d, "watchdog --json", CROWD_0 ",\"state\":\"hard\"");
	open_gate(&gate);
	expect(d, "watchdog: plugin crowd: loop crowd-0: goes on after ");
	stop(d);
}

static int notify_socket(const struct dut *d)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd != -1);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", d->dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	return fd;
}

static void receive(struct dut *d, int fd, const char *what)
{
	char got[64] = "";

	if (wait_ready(fd, POLLIN, PATIENCE_MS) != 1)
		give_up(d, "no %s", what);
	assert_true(recv(fd, got, sizeof(got) - 1, 0) > 0);
	assert_string_equal(got, what);
}

static void the_service_manager_hears_of_it_while_all_is_well(void **state)
{
	struct dut *d = *state;
	struct gate gate = gate_of(d);
	int fd = notify_socket(d);

	setenv("WATCHDOG_USEC", "400000", 1);
	/* two is found later than one. */
	conf_write(d,
		"watchdog_abort = no\n[one]\nfile = %s\nthreads = 1\nhang = handler\n"
		"file_to_come = %s\nwatchdog = 2s\n"
		"[two]\nfile = %s\nthreads = 1\nhang = handler\nfile_to_come = %s\n"
		"watchdog = 4s\n",
		test_plugin("crowd"), gate.file, test_plugin("crowd"), gate.file);
	start(d);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	receive(d, fd, "READY=1");
	receive(d, fd, "WATCHDOG=1");
	expect_anywhere(d, "error: watchdog: plugin one: loop one-0: ");
	while (wait_ready(fd, POLLIN, 0) == 1)
		receive(d, fd, "WATCHDOG=1");
	expect(d, "error: watchdog: plugin two: loop two-0: ");
	assert_int_equal(wait_ready(fd, POLLIN, 0), 0);
	open_gate(&gate);
	receive(d, fd, "WATCHDOG=1");
	stop(d);
	while (said(d, "stopping") && wait_ready(fd, POLLIN, 0) == 1) {
		char got[64] = "";

		assert_true(recv(fd, got, sizeof(got) - 1, 0) > 0);
		if (strcmp(got, "STOPPING=1") == 0)
			break;
		assert_string_equal(got, "WATCHDOG=1");
	}
	close(fd);
}

static void mistakes_are_told(void **state)
{
	struct dut *d = *state;

	conf_write(d, "watchdog = 0\nwatchdog_abort = maybe\n[pool web]\nwatchdog = -1s\n"
		      "[jobs sums]\nwatchdog = yes\n[ticker]\nwatchdog = 5s\n"
		      "[hup]\npool = web\nwatchdog = 5s\n");
	assert_int_equal(run_daemon(d, "-t"), 1);
	expect_anywhere(d, ":5: watchdog takes no, or a time as 250ms, 5s or 2m, not \"0\"");
	expect(d, ":6: watchdog_abort takes no or yes, not \"maybe\"");
	expect(d, ":8: watchdog takes no, or a time as 250ms, 5s or 2m, not \"-1s\"");
	expect(d, ":10: watchdog takes no, or a time as 250ms, 5s or 2m, not \"yes\"");
	expect(d, ":12: [ticker] has no threads of its own for a watchdog");
	expect(d, ":15: [hup] has no threads of its own for a watchdog");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		daemon_test(a_stuck_plugin_is_named_and_others_go_on),
		daemon_test(a_plugin_on_the_loop_of_the_daemon_is_found_by_its_stack),
		daemon_test(of_the_plugins_of_a_pool_it_is_the_one_on_the_stack),
		daemon_test(a_long_job_is_named_with_its_plugin),
		daemon_test(at_the_hard_limit_the_daemon_ends_with_the_report),
		daemon_test(sighup_changes_limits_and_no_plugin),
		daemon_test(a_limit_that_comes_late_finds_who_is_stuck),
		daemon_test(the_service_manager_hears_of_it_while_all_is_well),
		daemon_test(mistakes_are_told),
	};
	const struct rlimit none = {0, 0};

	/* It is to end by SIGABRT. */
	setrlimit(RLIMIT_CORE, &none);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
