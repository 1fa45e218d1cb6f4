/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: the daemon is a process of its own
 * TIMEOUT: 300 */
#include "harness.h"

#define UNLOADS 500

static void jobs_count_primes_together(void **state)
{
	struct dut *d = *state;

	conf_write(d, "[jobs numbers]\nconcurrency = 8\n[worker]\njobs = numbers\nat_once = 8\n"
		      "upto = 100000\nunit = 100\npause = 10\n");
	start(d);
	expect(d, "worker: 9592 primes below 100000");
	expect(d, "worker: 9592 primes below 100000");
	stop(d);
}

static void wrong_options_are_refused(void **state)
{
	struct dut *d = *state;

	conf_write(d, "[jobs numbers]\n[worker]\njobs = numbers\nat_once = 0\n"
		      "[other]\nfile = worker.so\njobs = numbers\npause = soon\n"
		      "[third]\nfile = worker.so\n");
	start(d);
	assert_true(said(d, "worker: error: at_once is 1 to 10000, not \"0\""));
	assert_true(said(d, "error: worker: not loaded: init: Invalid argument"));
	assert_true(said(d, "other: error: pause is 0 to 86400000, not \"soon\""));
	assert_true(said(d, "third: error: jobs names one queue, not \"\""));
	stop(d);
}

static void say(int fd, const char *command)
{
	assert_int_equal(send(fd, command, strlen(command), 0), strlen(command));
}

static void expect_ok(struct dut *d, int fd)
{
	char answer[5];

	if (read_all(fd, answer, sizeof(answer)) != sizeof(answer) ||
		memcmp(answer, "OK 0\n", sizeof(answer)) != 0)
		give_up(d, "the daemon answers %.5s", answer);
}

/* The code that the jobs execute, and that of the callback of what they bring, is unmapped. */
static void unloads_while_jobs_run(struct dut *d, const char *place)
{
	int fd, i;

	conf_write(d,
		"timeout = 3600\n[ticker]\nperiod = 10m\n[jobs numbers]\nconcurrency = 4\n"
		"[worker]\njobs = numbers\nat_once = 16\nupto = 1000000000\nunit = 3\n%s",
		place);
	start(d);
	fd = connect_unix(d->control);
	assert_true(fd != -1);
	for (i = 0; i < UNLOADS; i++) {
		say(fd, "unload worker\n");
		expect_ok(d, fd);
		expect(d, "worker: unloaded");
		say(fd, "load worker\n");
		expect_ok(d, fd);
	}
	close(fd);
	ctl_ok(d, "tree ticker");
	stop(d);
}

static void unloading_while_jobs_run(void **state)
{
	unloads_while_jobs_run(*state, "");
}

static void unloading_while_jobs_of_another_thread_run(void **state)
{
	unloads_while_jobs_run(*state, "threads = 1\n");
}

static void unloading_one_leaves_the_jobs_of_another(void **state)
{
	struct dut *d = *state;
	int i;

	conf_write(d,
		"[jobs numbers]\nconcurrency = 4\n"
		"[one]\nfile = worker.so\njobs = numbers\nupto = 1000000000\nunit = 1\n"
		"[two]\nfile = worker.so\njobs = numbers\nupto = 100000\nunit = 1000\npause = 0\n");
	start(d);
	for (i = 0; i < 20; i++) {
		ctl_ok(d, "reload one");
		expect(d, "two: 9592 primes below 100000");
	}
	stop(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		daemon_test(jobs_count_primes_together),
		daemon_test(wrong_options_are_refused),
		daemon_test(unloading_while_jobs_run),
		daemon_test(unloading_while_jobs_of_another_thread_run),
		daemon_test(unloading_one_leaves_the_jobs_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
