/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: the daemon is a process of its own, tests/demo/demo.sh has it under valgrind
 * TIMEOUT: 300 */
#include "harness.h"

#define RELOADS 200

static void never_wrong(struct dut *d)
{
	if (said(d, "wrong"))
		give_up(d, "something went wrong");
}

static void shows(struct dut *d, const char *command, const char *text)
{
	char answer[65536];
	int status = ctl(d, answer, sizeof(answer), "%s", command);

	if (status != 0 || !strstr(answer, text))
		give_up(d, "talevctl %s: %d, without \"%s\": %s", command, status, text, answer);
}

static bool has(struct dut *d, const char *command, const char *text)
{
	char answer[65536];

	assert_int_equal(ctl(d, answer, sizeof(answer), "%s", command), 0);
	return strstr(answer, text) != NULL;
}

/* A loop that was not given a processor for half a second counts as busy. */
static void shows_soon(struct dut *d, const char *command, const char *text)
{
	int tries = 60;

	while (!has(d, command, text))
		if (--tries == 0)
			shows(d, command, text);
}

static void a_plugin_with_threads_has_loops_of_its_own(void **state)
{
	struct dut *d = *state;
	char answer[65536];

	conf_write(d, "[ticker]\nperiod = 10m\n[crowd]\nfile = %s\nthreads = 3\n",
		test_plugin("crowd"));
	start(d);
	assert_true(said(d, "crowd: lives on crowd-0, loops 3, pool none"));
	assert_true(said(d, "crowd: is on crowd-1 too"));
	assert_true(said(d, "crowd: is on crowd-2 too"));
	assert_true(said(d, "crowd: loaded"));
	shows_soon(d, "loops", "crowd            crowd-2          ok");
	shows(d, "loops", "-                talevd           ok");
	shows(d, "loops --json", "[{\"pool\":\"-\",\"loop\":\"talevd\",\"state\":\"ok\"");
	shows_soon(d, "loops --json", "{\"pool\":\"crowd\",\"loop\":\"crowd-1\",\"state\":\"ok\"");
	shows_soon(d, "tree crowd", "struct desk");
	shows_soon(d, "events", "send_out");
	shows_soon(d, "events", "send_home");
	shows_soon(d, "events --json", "\"crowd-2\"");
	assert_int_equal(ctl(d, answer, sizeof(answer), "loops -x"), 1);
	assert_string_equal(answer, "talevctl: loops knows --json, not -x\n");
	ctl_ok(d, "unload crowd");
	assert_false(has(d, "loops", "crowd"));
	ctl_ok(d, "load crowd");
	stop(d);
	assert_true(said(d, "crowd: unloaded"));
	never_wrong(d);
}

/* Handlers, messages and calls are under way on four threads each time. */
static void loads_and_unloads_while_all_its_loops_are_busy(void **state)
{
	struct dut *d = *state;
	int i;

	conf_write(d, "[ticker]\nperiod = 10m\n[crowd]\nfile = %s\nthreads = 4\n",
		test_plugin("crowd"));
	start(d);
	for (i = 0; i < RELOADS; i++) {
		if (i % 4 == 0) {
			ctl_ok(d, "unload crowd");
			ctl_ok(d, "load crowd");
		} else {
			ctl_ok(d, "reload crowd");
		}
	}
	ctl_ok(d, "tree ticker");
	stop(d);
	never_wrong(d);
}

static void what_fails_on_one_loop_is_taken_away_on_all(void **state)
{
	struct dut *d = *state;
	char answer[4096];
	int i;

	conf_write(d, "[crowd]\nfile = %s\nthreads = 3\nfail = loop\n", test_plugin("crowd"));
	start(d);
	assert_true(said(d, "error: crowd: not loaded: init: Input/output error"));
	conf_write(d, "[crowd]\nfile = %s\nthreads = 3\nfail = init\n", test_plugin("crowd"));
	for (i = 0; i < 10; i++) {
		if (i == 5) {
			kill(d->pid, SIGHUP);
			expect(d, "read again");
		}
		assert_int_equal(ctl(d, answer, sizeof(answer), "load crowd"), 1);
	}
	/* Who loads is told that it failed, not when the last of it has gone: who unloads is. */
	(void)ctl(d, answer, sizeof(answer), "unload crowd");
	assert_false(has(d, "loops", "crowd"));
	stop(d);
	never_wrong(d);
}

static void sighup_reaches_it_on_its_thread(void **state)
{
	struct dut *d = *state;

	conf_write(d, "[crowd]\nfile = %s\nthreads = 2\n", test_plugin("crowd"));
	start(d);
	conf_write(d, "[crowd]\nfile = %s\nthreads = 2\nhang = no\n", test_plugin("crowd"));
	kill(d->pid, SIGHUP);
	expect(d, "crowd: took over its new options");
	conf_write(d, "[crowd]\nfile = %s\nthreads = 2\nfail = reload\n", test_plugin("crowd"));
	kill(d->pid, SIGHUP);
	expect(d, "crowd: goes on as it was: reload: Input/output error");
	assert_false(said(d, "crowd: unloaded"));
	/* Other threads: another place. */
	conf_write(d, "[crowd]\nfile = %s\nthreads = 3\n", test_plugin("crowd"));
	kill(d->pid, SIGHUP);
	expect(d, "crowd: unloaded");
	expect(d, "crowd: lives on crowd-0, loops 3");
	expect(d, "crowd: loaded");
	conf_write(d, "[crowd]\nfile = %s\n", test_plugin("crowd"));
	kill(d->pid, SIGHUP);
	expect(d, "crowd: lives on no loop, loops 0");
	expect(d, "crowd: loaded");
	assert_false(has(d, "loops", "crowd-0"));
	stop(d);
	never_wrong(d);
}

static void touch(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	close(fd);
}

static int ask(struct dut *d, const char *request)
{
	int fd = connect_unix(d->control);

	assert_true(fd != -1);
	assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
	return fd;
}

static void expect_ok(int fd)
{
	char answer[5];

	assert_int_equal(read_all(fd, answer, sizeof(answer)), sizeof(answer));
	assert_memory_equal(answer, "OK 0\n", sizeof(answer));
	close(fd);
}

static void a_handler_that_hangs_holds_up_nobody_else(void **state)
{
	struct dut *d = *state;
	char file[128];
	int fd;

	snprintf(file, sizeof(file), "%s/go", d->dir);
	conf_write(d,
		"[crowd]\nfile = %s\nthreads = 2\nhang = handler\nfile_to_come = %s\n"
		"[other]\nfile = %s\nthreads = 2\n",
		test_plugin("crowd"), file, test_plugin("crowd"));
	start(d);
	d->seen = 0;
	expect(d, "crowd: hangs");
	shows(d, "loops", "crowd            crowd-0          busy");
	shows_soon(d, "loops", "other            other-1          ok");
	shows(d, "events", "crowd-0: busy");
	shows_soon(d, "tree other", "struct desk");
	ctl_ok(d, "reload other");
	ctl_ok(d, "load ticker");
	fd = ask(d, "unload crowd\n");
	ctl_ok(d, "reload other");
	shows(d, "list", "crowd            closing");
	assert_int_equal(wait_ready(fd, POLLIN, 0), 0);
	touch(file);
	expect_ok(fd);
	expect(d, "crowd: unloaded");
	stop(d);
	never_wrong(d);
}

static void a_hanging_init_or_reload_holds_up_nobody_else(void **state)
{
	struct dut *d = *state;
	char file[128], answer[4096];
	int fd;

	snprintf(file, sizeof(file), "%s/go", d->dir);
	conf_write(d, "[ticker]\nperiod = 10m\n");
	start(d);
	conf_write(d,
		"[ticker]\nperiod = 10m\n[crowd]\nfile = %s\nthreads = 2\nhang = init\n"
		"file_to_come = %s\n",
		test_plugin("crowd"), file);
	kill(d->pid, SIGHUP);
	expect(d, "crowd: hangs");
	ctl_ok(d, "reload ticker");
	assert_int_equal(ctl(d, answer, sizeof(answer), "unload crowd"), 1);
	assert_string_equal(answer, "talevctl: crowd is just being loaded\n");
	/* What changes meanwhile is not forgotten. */
	conf_write(d,
		"[ticker]\nperiod = 20m\n[crowd]\nfile = %s\nthreads = 2\nhang = reload\n"
		"file_to_come = %s\n",
		test_plugin("crowd"), file);
	kill(d->pid, SIGHUP);
	expect(d, "ticker: took over its new options");
	touch(file);
	expect(d, "crowd: goes on");
	expect(d, "crowd: loaded");
	expect(d, "crowd: hangs");
	expect(d, "crowd: took over its new options");
	unlink(file);
	conf_write(d,
		"[ticker]\nperiod = 20m\n[crowd]\nfile = %s\nthreads = 2\nhang = reload\n"
		"file_to_come = %s\nfail = no\n",
		test_plugin("crowd"), file);
	kill(d->pid, SIGHUP);
	expect(d, "crowd: hangs");
	fd = ask(d, "reload ticker\n");
	expect_ok(fd);
	conf_write(d, "[ticker]\nperiod = 20m\n");
	kill(d->pid, SIGHUP);
	expect(d, "read again");
	touch(file);
	expect(d, "crowd: unloaded");
	stop(d);
	never_wrong(d);
}

static void a_second_sigterm_ends_a_hanging_thread(void **state)
{
	struct dut *d = *state;

	conf_write(d,
		"[crowd]\nfile = %s\nthreads = 2\nhang = handler\nfile_to_come = /nowhere/x\n"
		"[ticker]\nperiod = 10m\n",
		test_plugin("crowd"));
	start(d);
	d->seen = 0;
	expect(d, "crowd: hangs");
	kill(d->pid, SIGTERM);
	expect(d, "ticker: unloaded");
	kill(d->pid, SIGTERM);
	assert_int_equal(finish(d), -SIGTERM);
}

static void plugins_share_the_loops_of_a_pool(void **state)
{
	struct dut *d = *state;

	conf_write(d,
		"[pool web]\nthreads = 2\n[one]\nfile = %s\npool = web\n"
		"[two]\nfile = ticker.so\nperiod = 10ms\npool = web\n",
		test_plugin("crowd"));
	start(d);
	assert_true(said(d, "one: lives on web-0, loops 0, pool web"));
	expect(d, "two: tick 3,");
	shows_soon(d, "loops --json", "\"loop\":\"web-0\",\"state\":\"ok\"");
	shows(d, "loops --json", "\"plugins\":[\"two\"]}");
	ctl_ok(d, "reload one");
	ctl_ok(d, "unload two");
	expect(d, "two: unloaded");
	ctl_ok(d, "load two");
	expect(d, "two: tick 3,");
	/* More threads come at once, fewer do not. */
	conf_write(d,
		"[pool web]\nthreads = 3\n[one]\nfile = %s\npool = web\n"
		"[two]\nfile = ticker.so\nperiod = 10ms\npool = web\n",
		test_plugin("crowd"));
	kill(d->pid, SIGHUP);
	expect(d, "read again");
	shows_soon(d, "loops --json", "\"loop\":\"web-2\",\"state\":\"ok\"");
	assert_false(said(d, "one: took over"));
	conf_write(d,
		"[pool web]\n[one]\nfile = %s\npool = web\n"
		"[pool other]\n[two]\nfile = ticker.so\nperiod = 10ms\npool = other\n",
		test_plugin("crowd"));
	kill(d->pid, SIGHUP);
	expect(d, "pool web keeps its 3 threads until the next start");
	expect(d, "two: loaded");
	shows_soon(d, "loops --json", "\"loop\":\"other-0\",\"state\":\"ok\"");
	/* A pool that is not named any more goes when its last plugin has. */
	conf_write(d, "[one]\nfile = %s\n", test_plugin("crowd"));
	kill(d->pid, SIGHUP);
	expect(d, "one: loaded");
	while (has(d, "loops", "web") || has(d, "loops", "other"))
		;
	stop(d);
	never_wrong(d);
}

static void it_tells_who_started_it_when_it_is_ready(void **state)
{
	struct dut *d = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char got[64] = "", file[128];

	assert_true(fd != -1);
	snprintf(file, sizeof(file), "%s/go", d->dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", d->dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	conf_write(d, "[crowd]\nfile = %s\nthreads = 2\nhang = init\nfile_to_come = %s\n",
		test_plugin("crowd"), file);
	{
		char *argv[] = {(char[]){"talevd"}, (char[]){"-c"}, d->conf, NULL};

		run(d, false, argv);
	}
	unsetenv("NOTIFY_SOCKET");
	expect(d, "crowd: hangs");
	ctl_ok(d, "ping");
	assert_false(said(d, "ready: "));
	assert_int_equal(wait_ready(fd, POLLIN, 0), 0);
	touch(file);
	expect(d, "ready: ");
	assert_int_equal(wait_ready(fd, POLLIN, PATIENCE_MS), 1);
	assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), 7);
	assert_string_equal(got, "READY=1");
	kill(d->pid, SIGTERM);
	assert_int_equal(wait_ready(fd, POLLIN, PATIENCE_MS), 1);
	assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), 10);
	assert_memory_equal(got, "STOPPING=1", 10);
	assert_int_equal(finish(d), 0);
	close(fd);
}

static void a_plugin_that_ends_its_loops_harms_nobody(void **state)
{
	struct dut *d = *state;
	char answer[65536];

	conf_write(d, "[ticker]\nperiod = 10m\n[selfish]\nfile = %s\nthreads = 2\n",
		test_plugin("selfish"));
	start(d);
	expect(d, "error: selfish: its loops have ended, and not by the daemon");
	shows(d, "loops", "selfish-1        busy");
	assert_int_equal(ctl(d, answer, sizeof(answer), "unload selfish"), 1);
	assert_non_null(strstr(answer, "talevctl: selfish: cannot be unloaded: "));
	expect(d, "error: selfish: cannot be unloaded: ");
	ctl_ok(d, "list");
	kill(d->pid, SIGHUP);
	expect(d, "read again");
	ctl_ok(d, "unload ticker");
	stop(d);
}

/* What is still being taken away is loaded with what the file says last. */
static void sighup_upon_sighup_is_no_error(void **state)
{
	struct dut *d = *state;
	char file[128];
	unsigned threads;

	snprintf(file, sizeof(file), "%s/file", d->dir);
	for (threads = 1; threads < 5; threads++) {
		conf_write(d, "[crowd]\nfile = %s\nthreads = %u\nhang = %s\nfile_to_come = %s\n",
			test_plugin("crowd"), threads, threads == 1 ? "handler" : "no", file);
		if (threads == 1) {
			start(d);
			if (!said(d, "crowd: hangs"))
				expect(d, "crowd: hangs");
			continue;
		}
		kill(d->pid, SIGHUP);
		expect(d, "read again");
	}
	ctl_ok(d, "ping");
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	expect(d, "crowd: lives on crowd-0, loops 4");
	expect(d, "crowd: loaded");
	stop(d);
	assert_false(said(d, "error: "));
	never_wrong(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		daemon_test(a_plugin_with_threads_has_loops_of_its_own),
		daemon_test(loads_and_unloads_while_all_its_loops_are_busy),
		daemon_test(what_fails_on_one_loop_is_taken_away_on_all),
		daemon_test(sighup_reaches_it_on_its_thread),
		daemon_test(sighup_upon_sighup_is_no_error),
		daemon_test(a_plugin_that_ends_its_loops_harms_nobody),
		daemon_test(a_handler_that_hangs_holds_up_nobody_else),
		daemon_test(a_hanging_init_or_reload_holds_up_nobody_else),
		daemon_test(a_second_sigterm_ends_a_hanging_thread),
		daemon_test(plugins_share_the_loops_of_a_pool),
		daemon_test(it_tells_who_started_it_when_it_is_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
