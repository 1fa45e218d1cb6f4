/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: the daemon is a process of its own, tests/demo/demo.sh has it under valgrind
 */
#include "harness.h"

static void sighup_does_what_changed_and_nothing_else(void **state)
{
	struct dut *d = *state;
	static const char same[] = "[same]\nfile = echo.so\nlisten = 127.0.0.1:0\n";
	char answer[4096];
	int fd, port;

	conf_write(d,
		"%s[gone]\nfile = ticker.so\nperiod = 10m\n[ticker]\nperiod = 10m\n"
		"[hup]\nsignals = USR1\n",
		same);
	start(d);
	d->seen = 0;
	port = atoi(expect(d, "same: listening on 127.0.0.1:"));
	fd = connect_port(port);
	assert_true(fd != -1);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(read_all(fd, answer, 1), 1);
	expect(d, "ready: ");

	conf_write(d, "[ticker]\nperiod = 20m\n[hup]\nsignals = USR2\n[new]\nfile = ticker.so\n%s",
		same);
	kill(d->pid, SIGHUP);
	expect(d, "ticker: took over its new options");
	expect(d, "new: loaded");
	expect(d, "hup: loaded");
	assert_int_equal(ctl(d, answer, sizeof(answer), "list"), 0);
	assert_null(strstr(answer, "gone"));
	assert_non_null(strstr(answer, "new"));
	assert_true(said(d, "gone: unloaded"));
	assert_false(said(d, "same: unloaded"));
	kill(d->pid, SIGUSR2);
	expect(d, "hup: SIGUSR2 number 1");
	assert_int_equal(send(fd, "y", 1, 0), 1);
	assert_int_equal(read_all(fd, answer, 1), 1);
	assert_int_equal(answer[0], 'y');
	close(fd);
	stop(d);
}

static void a_bad_file_changes_nothing(void **state)
{
	struct dut *d = *state;

	conf_write(d, "[ticker]\nperiod = 10m\n");
	start(d);
	conf_write(d, "colour = red\n");
	kill(d->pid, SIGHUP);
	expect(d, "[talevd] has no key colour");
	expect(d, "the old configuration stays");
	unlink(d->conf);
	kill(d->pid, SIGHUP);
	expect(d, "No such file or directory");
	expect(d, "the old configuration stays");
	ctl_ok(d, "tree ticker");
	ctl_ok(d, "reload ticker");
	stop(d);
}

static void sighup_leaves_alone_what_was_done_by_hand(void **state)
{
	struct dut *d = *state;
	char answer[4096];

	conf_write(d, "[ticker]\nperiod = 10m\n[victim]\nfile = nowhere.so\n");
	start(d);
	ctl_ok(d, "unload ticker");
	ctl_ok(d, "load extra ticker.so");
	kill(d->pid, SIGHUP);
	expect(d, "read again");
	assert_int_equal(ctl(d, answer, sizeof(answer), "list"), 0);
	assert_null(strstr(answer, "ticker           loaded"));
	assert_non_null(strstr(answer, "extra            loaded"));
	conf_write(d, "[ticker]\nperiod = 20m\n[victim]\nfile = ticker.so\n");
	kill(d->pid, SIGHUP);
	expect(d, "victim: loaded");
	ctl_ok(d, "tree ticker");
	ctl_ok(d, "tree extra");
	stop(d);
}

static void a_plugin_that_runs_the_loop_in_its_init_is_left_alone(void **state)
{
	struct dut *d = *state;
	char answer[256];

	conf_write(d, "%s", "");
	start(d);
	conf_write(d, "[slow]\nfile = %s\nword = old\n", test_plugin("slow_init"));
	kill(d->pid, SIGHUP);
	expect(d, "slow: in its init");
	conf_write(d, "[slow]\nfile = %s\nword = new\n", test_plugin("slow_init"));
	kill(d->pid, SIGHUP);
	expect(d, "SIGHUP waits");
	assert_int_equal(ctl(d, answer, sizeof(answer), "unload slow"), 1);
	assert_string_equal(answer, "talevctl: slow is just being loaded\n");
	assert_int_equal(ctl(d, answer, sizeof(answer), "load slow"), 1);
	kill(d->pid, SIGUSR1);
	expect(d, "the word is old");
	expect(d, "slow: unloaded");
	expect(d, "slow: in its init");
	kill(d->pid, SIGTERM);
	expect(d, "stopping");
	kill(d->pid, SIGUSR1);
	expect(d, "the word is new");
	expect(d, "slow: unloaded");
	assert_int_equal(finish(d), 0);
}

static void what_needs_a_restart_is_told(void **state)
{
	struct dut *d = *state;
	char before[96];

	conf_write(d, "%s", "");
	start(d);
	strcpy(before, d->control);
	strcat(d->control, "2");
	conf_write(d, "log_level = warning\n");
	strcpy(d->control, before);
	kill(d->pid, SIGHUP);
	expect(d, "control changes at the next start");
	ctl_ok(d, "ping");
	stop(d);
}

static void stops_in_reverse_order_and_leaves_nothing(void **state)
{
	struct dut *d = *state;
	static const int signals[] = {SIGTERM, SIGINT};
	size_t i;

	conf_write(d, "[a]\nfile = ticker.so\n[b]\nfile = ticker.so\n[c]\nfile = ticker.so\n");
	for (i = 0; i < 2; i++) {
		start(d);
		assert_int_equal(access(d->pidfile, F_OK), 0);
		kill(d->pid, signals[i]);
		assert_int_equal(finish(d), 0);
		expect(d, "stopping");
		expect(d, "c: unloaded");
		expect(d, "b: unloaded");
		expect(d, "a: unloaded");
		expect(d, "stopped");
		assert_int_equal(access(d->control, F_OK), -1);
		assert_int_equal(access(d->pidfile, F_OK), -1);
	}
}

/* Its handler never returns, so the loop never sees the second signal. */
static void a_second_sigterm_ends_a_stuck_daemon(void **state)
{
	struct dut *d = *state;

	conf_write(d, "%s", "");
	start(d);
	ctl_ok(d, "load stuck %s", test_plugin("stuck"));
	kill(d->pid, SIGTERM);
	expect(d, "stuck for ever");
	kill(d->pid, SIGTERM);
	assert_int_equal(finish(d), -SIGTERM);
}

static void a_second_daemon_is_refused(void **state)
{
	struct dut *d = *state, *other = NULL;
	FILE *file;

	conf_write(d, "%s", "");
	start(d);
	assert_int_equal(setup((void **)&other), 0);
	strcpy(other->pidfile, d->pidfile);
	conf_write(other, "%s", "");
	assert_int_equal(run_daemon(other, NULL), 1);
	assert_true(said(other, "talevd runs already, pid "));
	strcpy(other->control, d->control);
	file = fopen(other->conf, "w");
	assert_non_null(file);
	fprintf(file, "[talevd]\ncontrol = %s\n", d->control);
	fclose(file);
	assert_int_equal(run_daemon(other, NULL), 1);
	assert_true(said(other, "a daemon listens there already"));
	teardown((void **)&other);
	ctl_ok(d, "ping");
	stop(d);
}

static void a_stale_socket_and_pidfile_are_replaced(void **state)
{
	struct dut *d = *state;

	conf_write(d, "%s", "");
	start(d);
	kill(d->pid, SIGKILL);
	assert_int_equal(finish(d), -SIGKILL);
	assert_int_equal(access(d->control, F_OK), 0);
	assert_int_equal(access(d->pidfile, F_OK), 0);
	start(d);
	ctl_ok(d, "ping");
	stop(d);
}

static void what_is_no_socket_is_not_replaced(void **state)
{
	struct dut *d = *state;
	int fd = open(d->control, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	close(fd);
	conf_write(d, "%s", "");
	assert_int_equal(run_daemon(d, NULL), 1);
	assert_true(said(d, "Socket operation on non-socket"));
	assert_int_equal(access(d->control, F_OK), 0);
}

static void in_the_background_it_serves_when_the_parent_exits(void **state)
{
	struct dut *d = *state;
	FILE *file;
	int pid;

	conf_write(d, "[ticker]\nperiod = 10m\n");
	assert_int_equal(run_daemon(d, "-d"), 0);
	file = fopen(d->pidfile, "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	fclose(file);
	ctl_ok(d, "tree ticker");
	ctl_ok(d, "stop");
	assert_int_equal(run_daemon(d, "-d"), 0);
	ctl_ok(d, "stop");
	strcpy(d->control, "/nowhere/at/all");
	conf_write(d, "%s", "");
	assert_int_equal(run_daemon(d, "-d"), 1);
	assert_true(said(d, "control socket /nowhere/at/all: No such file or directory"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		daemon_test(sighup_does_what_changed_and_nothing_else),
		daemon_test(a_bad_file_changes_nothing),
		daemon_test(sighup_leaves_alone_what_was_done_by_hand),
		daemon_test(a_plugin_that_runs_the_loop_in_its_init_is_left_alone),
		daemon_test(what_needs_a_restart_is_told),
		daemon_test(stops_in_reverse_order_and_leaves_nothing),
		daemon_test(a_second_sigterm_ends_a_stuck_daemon),
		daemon_test(a_second_daemon_is_refused),
		daemon_test(a_stale_socket_and_pidfile_are_replaced),
		daemon_test(what_is_no_socket_is_not_replaced),
		daemon_test(in_the_background_it_serves_when_the_parent_exits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
