/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: the daemon is a process of its own, tests/demo/demo.sh has it under valgrind
 */
#include "harness.h"

static void check(struct dut *d, int line, const char *message)
{
	char text[512];

	if (run_daemon(d, "-t") != 1)
		give_up(d, "the daemon took it");
	snprintf(text, sizeof(text), "%s:%d: %s", d->conf, line, message);
	if (!said(d, text))
		give_up(d, "expected: %s", text);
}

static void a_good_file_passes_without_a_word(void **state)
{
	struct dut *d = *state;

	conf_write(d,
		"log = stderr\nlog_level = info\nclients = 3\ntimeout = 5\ntiming = no\n"
		"slow_handler = 0\n# comment\n; comment\n\n[echo]\n  listen = 127.0.0.1:0 ; x\n"
		"[empty]\n");
	assert_int_equal(run_daemon(d, "-t"), 0);
	assert_string_equal(d->log, "");
	assert_int_equal(access(d->control, F_OK), -1);
	assert_int_equal(access(d->pidfile, F_OK), -1);
}

/* conf_write() has four lines of its own. */
static void each_mistake_is_told_with_its_line(void **state)
{
	struct dut *d = *state;
	char line[300];

	conf_write(d, "colour = red\n");
	check(d, 5, "[talevd] has no key colour");
	conf_write(d, "clients = many\n");
	check(d, 5, "clients takes a number from 1 to 1024, not \"many\"");
	conf_write(d, "timeout = 0\n");
	check(d, 5, "timeout takes a number from 1 to 3600, not \"0\"");
	conf_write(d, "log = paper\n");
	check(d, 5, "log takes stderr or syslog, not \"paper\"");
	conf_write(d, "log_level = loud\n");
	check(d, 5, "log_level takes error, warning or info, not \"loud\"");
	conf_write(d, "log = stderr\nlog = syslog\n");
	check(d, 6, "log was set already, in line 5");
	conf_write(d, "[echo]\nlisten = x\n[hup]\n[echo]\nlisten = y\n");
	check(d, 8, "section [echo] was there already, in line 5");
	conf_write(d, "[pool x y]\n");
	check(d, 5, "[pool x y] cannot name a pool");
	conf_write(d, "[pool x]\n[jobs x]\n[x]\n[pool  x]\n");
	check(d, 8, "section [pool  x] was there already, in line 5");
	conf_write(d, "[pool x]\nspeed = 1\n");
	check(d, 6, "[pool x] has no key speed");
	conf_write(d, "[pool x]\nthreads = 0\n");
	check(d, 6, "threads takes a number from 1 to 256, not \"0\"");
	conf_write(d, "[echo]\nthreads = many\n");
	check(d, 6, "threads takes a number from 1 to 256, not \"many\"");
	conf_write(d, "[echo]\npool = x\n");
	check(d, 6, "there is no section [pool x]");
	conf_write(d, "[pool x]\n[echo]\nthreads = 2\npool = x\n");
	check(d, 8, "[echo] has threads of its own, and a pool");
	conf_write(d, "[jobs x]\n[echo]\njobs = x y\n");
	check(d, 7, "there is no section [jobs y]");
	conf_write(d, "[jobs x]\nspeed = 1\n");
	check(d, 6, "[jobs x] has no key speed");
	conf_write(d, "[jobs x]\nconcurrency = 1025\n");
	check(d, 6, "concurrency takes a number from 0 to 1024, not \"1025\"");
	conf_write(d, "[jobs x]\nmin = 2\nmax = 1\n");
	check(d, 6, "min is above max");
	conf_write(d, "[jobs x]\nidle = 5\n");
	check(d, 6, "idle takes a time as 250ms, 5s or 2m, not \"5\"");
	conf_write(d, "[jobs x]\nclasses = a:0\n");
	check(d, 6, "classes takes classes and weights as urgent:4,bulk:1, not \"a:0\"");
	conf_write(d, "[talevd]\n");
	check(d, 5, "section [talevd] was there already, in line 1");
	conf_write(d, "[no such name]\n");
	check(d, 5, "[no such name] cannot name a plugin");
	conf_write(d, "[echo]\nlisten\n");
	check(d, 6, "neither [section] nor key = value nor comment");
	conf_write(d, "[echo\n");
	check(d, 5, "neither [section] nor key = value nor comment");
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	conf_write(d, "[echo]\nlisten = %s\n", line);
	check(d, 6, "longer than 198 bytes");
	memset(line, 'x', 108);
	line[0] = '/';
	line[108] = '\0';
	conf_write(d, "[echo]\n");
	{
		FILE *file = fopen(d->conf, "w");

		assert_non_null(file);
		fprintf(file, "[talevd]\ncontrol = %s\n", line);
		fclose(file);
	}
	check(d, 2, "control takes a path of at most 107 bytes");
}

static void all_mistakes_are_told_at_once(void **state)
{
	struct dut *d = *state;

	conf_write(d, "colour = red\nclients = 0\n[echo]\n[echo]\n");
	check(d, 5, "[talevd] has no key colour");
	assert_true(said(d, ":6: clients takes"));
	assert_true(said(d, ":8: section [echo]"));
}

static void a_file_that_is_not_there_is_told(void **state)
{
	struct dut *d = *state;

	assert_int_equal(run_daemon(d, "-t"), 1);
	assert_true(said(d, "talevd.conf: No such file or directory"));
}

static void wrong_arguments_exit_with_2(void **state)
{
	struct dut *d = *state;
	char *argv[] = {(char[]){"talevd"}, (char[]){"-x"}, NULL};

	run(d, true, argv);
	assert_int_equal(finish(d), 2);
	assert_true(said(d, "usage: talevd"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		daemon_test(a_good_file_passes_without_a_word),
		daemon_test(each_mistake_is_told_with_its_line),
		daemon_test(all_mistakes_are_told_at_once),
		daemon_test(a_file_that_is_not_there_is_told),
		daemon_test(wrong_arguments_exit_with_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
