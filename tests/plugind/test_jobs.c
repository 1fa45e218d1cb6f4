/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: the daemon is a process of its own, tests/demo/demo.sh has it under valgrind
 */
#include "harness.h"

static void expect_info(struct dut *d, const char *name, const char *text)
{
	char answer[8192];

	assert_int_equal(ctl(d, answer, sizeof(answer), "jobs %s --json", name), 0);
	if (!strstr(answer, text))
		give_up(d, "jobs %s, without %s: %s", name, text, answer);
}

static void refused(struct dut *d, const char *arguments, const char *message)
{
	char answer[4096];
	int status = ctl(d, answer, sizeof(answer), "jobs %s", arguments);

	if (status != 1 || !strstr(answer, message))
		give_up(d, "jobs %s: %d %s", arguments, status, answer);
}

static void a_section_makes_a_queue_with_its_settings(void **state)
{
	struct dut *d = *state;
	char answer[8192];

	conf_write(d, "[jobs one]\nconcurrency = 3\nmin = 1\nmax = 7\nfloor = 2\nidle = 250ms\n"
		      "backlog = 99\nlifo = yes\nclasses = urgent:4, bulk:1 :2\n[jobs two]\n");
	start(d);
	expect_info(
		d, "one", "\"concurrency\":3,\"min\":1,\"max\":7,\"floor\":2,\"max_backlog\":99");
	expect_info(d, "one", "\"lifo\":true");
	expect_info(d, "two", "\"min\":0,\"max\":1024,\"floor\":0,\"max_backlog\":0");
	assert_int_equal(ctl(d, answer, sizeof(answer), "jobs"), 0);
	assert_non_null(strstr(answer, "one"));
	assert_non_null(strstr(answer, "two"));
	assert_int_equal(ctl(d, answer, sizeof(answer), "jobs --json"), 0);
	assert_memory_equal(answer, "[{\"name\":\"one\"", 14);
	stop(d);
}

static void talevctl_changes_it_at_once(void **state)
{
	struct dut *d = *state;

	conf_write(d, "[jobs one]\nconcurrency = 3\n[worker]\njobs = one\nupto = 100000\n"
		      "unit = 100\npause = 0\n");
	start(d);
	ctl_ok(d, "jobs one concurrency=0");
	expect_info(d, "one", "\"concurrency\":0");
	ctl_ok(d, "jobs one concurrency=5 min=2 max=9 floor=1 backlog=1000 lifo=yes idle=1s "
		  "classes=a:2,b:1");
	expect_info(
		d, "one", "\"concurrency\":5,\"min\":2,\"max\":9,\"floor\":1,\"max_backlog\":1000");
	expect_info(d, "one", "\"lifo\":true");
	expect(d, "worker: 9592 primes below 100000");
	refused(d, "two", "there are no jobs two");
	refused(d, "one speed=7", "jobs have no speed");
	refused(d, "one concurrency=2 speed", "speed is not KEY=VALUE");
	refused(d, "one concurrency=2 floor=-1", "floor takes a number from 0 to 1024, not \"-1\"");
	refused(d, "one idle=1h", "idle takes a time as 250ms, 5s or 2m, not \"1h\"");
	refused(d, "one classes=a", "classes takes classes and weights as urgent:4,bulk:1");
	refused(d, "one min=10", "min would be above max");
	refused(d, "one min=1 --json", "--json shows, and sets nothing");
	/* Nothing of a refused command was done. */
	expect_info(d, "one", "\"concurrency\":5,\"min\":2");
	stop(d);
}

static void sighup_changes_what_the_file_changed(void **state)
{
	struct dut *d = *state;

	conf_write(d, "[jobs one]\nconcurrency = 3\nlifo = yes\n[jobs two]\nconcurrency = 2\n"
		      "[jobs three]\n[worker]\njobs = three\n");
	start(d);
	ctl_ok(d, "jobs two concurrency=7");
	conf_write(d, "[jobs one]\nconcurrency = 4\n[jobs two]\nconcurrency = 2\n"
		      "[jobs four]\nmax = 4\n");
	kill(d->pid, SIGHUP);
	expect(d, "worker: unloaded");
	expect_info(d, "one", "\"concurrency\":4");
	expect_info(d, "one", "\"lifo\":false");
	expect_info(d, "two", "\"concurrency\":7");
	expect_info(d, "four", "\"max\":4");
	/* It went with its last user. */
	refused(d, "three", "there are no jobs three");
	conf_write(d, "[jobs three]\nconcurrency = 1\n[worker]\njobs = three\nupto = 100000\n");
	kill(d->pid, SIGHUP);
	expect(d, "worker: 9592 primes");
	refused(d, "two", "there are no jobs two");
	stop(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		daemon_test(a_section_makes_a_queue_with_its_settings),
		daemon_test(talevctl_changes_it_at_once),
		daemon_test(sighup_changes_what_the_file_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
