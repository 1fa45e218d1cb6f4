/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: the daemon is a process of its own, tests/demo/demo.sh has it under valgrind
 */
#include "harness.h"

static void load_tree_unload_and_load_again(void **state)
{
	struct dut *d = *state;
	char answer[4096];

	conf_write(d, "[ticker]\nperiod = 10m\n");
	start(d);
	assert_true(said(d, "ticker: loaded"));
	assert_int_equal(ctl(d, answer, sizeof(answer), "list"), 0);
	assert_non_null(strstr(answer, "ticker           loaded"));
	assert_int_equal(ctl(d, answer, sizeof(answer), "tree ticker"), 0);
	assert_non_null(strstr(answer, "struct plugin_tree"));
	assert_non_null(strstr(answer, "\n  struct ticker"));
	assert_int_equal(ctl(d, answer, sizeof(answer), "events"), 0);
	assert_non_null(strstr(answer, "tick"));
	assert_int_equal(ctl(d, answer, sizeof(answer), "events --json"), 0);
	assert_int_equal(answer[0], '{');
	ctl_ok(d, "unload ticker");
	assert_int_equal(ctl(d, answer, sizeof(answer), "list"), 0);
	assert_string_equal(answer, "");
	ctl_ok(d, "load ticker");
	ctl_ok(d, "reload ticker");
	assert_int_equal(ctl(d, answer, sizeof(answer), "load ticker"), 1);
	assert_string_equal(answer, "talevctl: ticker is loaded already\n");
	assert_int_equal(ctl(d, answer, sizeof(answer), "unload nobody"), 1);
	assert_string_equal(answer, "talevctl: nobody is not loaded\n");
	assert_int_equal(ctl(d, answer, sizeof(answer), "load ../x"), 1);
	assert_string_equal(answer, "talevctl: ../x cannot be the name of a plugin\n");
	stop(d);
}

static void refused(struct dut *d, const char *file, const char *message)
{
	char answer[4096];
	int status = ctl(d, answer, sizeof(answer), "load victim %s", file);

	if (status != 1 || !strstr(answer, message))
		give_up(d, "loading %s: %d %s; expected: %s", file, status, answer, message);
	assert_int_equal(ctl(d, answer, sizeof(answer), "ping"), 0);
}

static void what_is_no_plugin_is_refused_and_the_daemon_goes_on(void **state)
{
	struct dut *d = *state;
	char path[512];
	FILE *file;

	conf_write(d, "%s", "");
	start(d);
	refused(d, test_plugin("bad_abi"), "built for plugin ABI 4711, this talevd has 1");
	refused(d, test_plugin("bad_magic"), "not a plugin");
	refused(d, test_plugin("bad_size"), "talev_plugin has 16 bytes, at least");
	refused(d, test_plugin("no_init"), "has no init function");
	refused(d, test_plugin("no_symbol"), "undefined symbol: talev_plugin");
	refused(d, "/nowhere/x.so", "No such file or directory");
	refused(d, "nowhere.so", "plugins/nowhere.so: No such file or directory");
	refused(d, d->dir, "not a regular file");
	snprintf(path, sizeof(path), "%s/text.so", d->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("this is not a shared object, but it is long enough to look like one\n", file);
	fclose(file);
	refused(d, path, "invalid ELF header");
	snprintf(path, sizeof(path), "%s/fifo.so", d->dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(d, path, "not a regular file");
	assert_false(said(d, "was started"));
	stop(d);
}

static void what_a_failing_init_leaves_is_taken_away(void **state)
{
	struct dut *d = *state;
	char answer[4096];
	int i;

	conf_write(d, "%s", "[ticker]\nperiod = 10m\n");
	start(d);
	for (i = 0; i < 20; i++)
		refused(d, test_plugin("bad_init"), "victim: init: Input/output error");
	assert_int_equal(ctl(d, answer, sizeof(answer), "list"), 0);
	assert_null(strstr(answer, "victim"));
	assert_non_null(strstr(answer, "ticker"));
	assert_int_equal(ctl(d, answer, sizeof(answer), "events"), 0);
	assert_null(strstr(answer, "bad_init"));
	stop(d);
	assert_false(said(d, "ran after it failed"));
}

static void a_failing_plugin_of_the_file_does_not_keep_the_others_out(void **state)
{
	struct dut *d = *state;

	conf_write(d, "[victim]\nfile = %s\n[ticker]\nperiod = wrong\n[hup]\n",
		test_plugin("bad_init"));
	start(d);
	assert_true(said(d, "victim: not loaded: init: Input/output error"));
	assert_true(said(d, "ticker: not loaded: init: Invalid argument"));
	assert_true(said(d, "hup: loaded"));
	stop(d);
}

static void a_misspelt_option_is_told_with_its_line(void **state)
{
	struct dut *d = *state;

	conf_write(d, "[ticker]\nperoid = 5s\n");
	start(d);
	assert_true(said(d, "talevd.conf:6: plugin ticker has no key peroid"));
	stop(d);
}

/* dlclose() while it runs would end the daemon. */
static void code_goes_when_the_last_handler_returned(void **state)
{
	struct dut *d = *state;

	conf_write(d, "%s", "");
	start(d);
	ctl_ok(d, "load nester %s", test_plugin("nester"));
	expect(d, "in its handler");
	ctl_ok(d, "unload nester");
	expect(d, "handler goes on");
	expect(d, "nester: unloaded");
	ctl_ok(d, "load nester %s", test_plugin("nester"));
	expect(d, "in its handler");
	stop(d);
	expect(d, "handler goes on");
	expect(d, "nester: unloaded");
}

static void a_load_waits_for_the_unload_before_it(void **state)
{
	struct dut *d = *state;
	static const char requests[] = "unload ticker\nload ticker\nunload ticker\nload ticker\n";
	char answer[64];
	int fd;

	conf_write(d, "[ticker]\nperiod = 10m\n");
	start(d);
	fd = connect_unix(d->control);
	assert_true(fd != -1);
	assert_int_equal(send(fd, requests, strlen(requests), 0), strlen(requests));
	assert_int_equal(read_all(fd, answer, 20), 20);
	assert_memory_equal(answer, "OK 0\nOK 0\nOK 0\nOK 0\n", 20);
	close(fd);
	ctl_ok(d, "tree ticker");
	stop(d);
}

static void the_same_file_serves_two_sections(void **state)
{
	struct dut *d = *state;

	conf_write(d, "[fast]\nfile = ticker.so\nperiod = 10ms\n[slow]\nfile = ticker.so\n"
		      "period = 20ms\n");
	start(d);
	expect(d, "fast: tick 2,");
	ctl_ok(d, "unload fast");
	expect(d, "fast: unloaded");
	expect(d, "slow: tick");
	stop(d);
}

static void a_selfish_plugin_harms_nobody(void **state)
{
	struct dut *d = *state;

	conf_write(d, "[selfish]\nfile = %s\n", test_plugin("selfish"));
	start(d);
	expect(d, "tried to free its mem_ctx");
	expect(d, "was not let");
	ctl_ok(d, "ping");
	conf_write(d, "[selfish]\nfile = %s\nmore = 1\n", test_plugin("selfish"));
	kill(d->pid, SIGHUP);
	expect(d, "error: selfish: goes on as it was: reload: Operation not permitted");
	ctl_ok(d, "unload selfish");
	stop(d);
}

static void hup_counts_signals(void **state)
{
	struct dut *d = *state;

	conf_write(d, "[hup]\nsignals = USR1 USR2\n");
	start(d);
	kill(d->pid, SIGUSR1);
	expect(d, "hup: SIGUSR1 number 1");
	kill(d->pid, SIGUSR2);
	expect(d, "hup: SIGUSR2 number 1");
	kill(d->pid, SIGUSR1);
	expect(d, "hup: SIGUSR1 number 2");
	stop(d);
}

static void spawn_reports_how_its_command_ends(void **state)
{
	struct dut *d = *state;
	const char *text;
	pid_t pid;

	conf_write(d, "[one]\nfile = spawn.so\ncommand = sh -c 'exit 3'\n"
		      "[two]\nfile = spawn.so\ncommand = sh -c \"kill -TERM $$\"\n"
		      "[three]\nfile = spawn.so\ncommand = /nowhere/command\n"
		      "[four]\nfile = spawn.so\ncommand = true\nrestart = 1\n");
	start(d);
	assert_true(said(d, "three: not loaded: init: No such file or directory"));
	d->seen = 0;
	expect(d, "ended with status 3");
	d->seen = 0;
	expect(d, "ended by SIGTERM");
	d->seen = 0;
	expect(d, "four: process ");
	expect(d, "ended with status 0");
	expect(d, "is true");
	stop(d);
	conf_write(d, "[six]\nfile = spawn.so\ncommand = sleep 1000\n");
	start(d);
	d->seen = 0;
	text = expect(d, "six: process ");
	pid = (pid_t)atoi(text);
	assert_int_equal(kill(pid, 0), 0);
	ctl_ok(d, "unload six");
	assert_int_equal(kill(pid, 0), -1);
	stop(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		daemon_test(load_tree_unload_and_load_again),
		daemon_test(what_is_no_plugin_is_refused_and_the_daemon_goes_on),
		daemon_test(what_a_failing_init_leaves_is_taken_away),
		daemon_test(a_failing_plugin_of_the_file_does_not_keep_the_others_out),
		daemon_test(a_misspelt_option_is_told_with_its_line),
		daemon_test(code_goes_when_the_last_handler_returned),
		daemon_test(a_load_waits_for_the_unload_before_it),
		daemon_test(the_same_file_serves_two_sections),
		daemon_test(a_selfish_plugin_harms_nobody),
		daemon_test(hup_counts_signals),
		daemon_test(spawn_reports_how_its_command_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
