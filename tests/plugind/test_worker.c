/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: the daemon is a process of its own
 * TIMEOUT: 300 */
#include "harness.h"

#define UNLOADS 1000

static void threads_count_primes_together(void **state)
{
	struct dut *d = *state;

	conf_write(d, "[worker]\nthreads = 8\nupto = 100000\nunit = 100\npause = 10\n");
	start(d);
	expect(d, "worker: 9592 primes below 100000");
	expect(d, "worker: 9592 primes below 100000");
	stop(d);
}

static void wrong_options_are_refused(void **state)
{
	struct dut *d = *state;

	conf_write(d, "[worker]\nthreads = 65\n[other]\nfile = worker.so\npause = soon\n");
	start(d);
	assert_true(said(d, "worker: error: threads is 1 to 64, not \"65\""));
	assert_true(said(d, "error: worker: not loaded: init: Invalid argument"));
	assert_true(said(d, "other: error: pause is 0 to 86400000, not \"soon\""));
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

/* A number in a line of /proc/PID/status. */
static long status_of(pid_t pid, const char *key)
{
	char path[64], line[256];
	long number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (number == -1 && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			number = atol(line + strlen(key));
	fclose(file);
	return number;
}

/* A thread that was joined is still counted for a moment. */
static void expect_threads(struct dut *d, long wanted)
{
	int tries = PATIENCE_MS;

	while (status_of(d->pid, "Threads:") != wanted) {
		if (tries-- == 0)
			give_up(d, "%ld threads, not %ld", status_of(d->pid, "Threads:"), wanted);
		poll(NULL, 0, 1);
	}
}

/* The code that they execute, and that of the handler of what they have sent, is unmapped. */
static void unloading_while_eight_threads_send(void **state)
{
	struct dut *d = *state;
	long threads;
	int fd, i;

	conf_write(d, "timeout = 3600\n[ticker]\nperiod = 10m\n"
		      "[worker]\nthreads = 8\nupto = 1000000000\nunit = 1\npause = 0\n");
	start(d);
	threads = status_of(d->pid, "Threads:") - 8;
	ctl_ok(d, "unload worker");
	expect(d, "worker: unloaded");
	fd = connect_unix(d->control);
	assert_true(fd != -1);
	for (i = 0; i < UNLOADS; i++) {
		say(fd, "load worker\n");
		expect_ok(d, fd);
		expect(d, " was first");
		say(fd, "unload worker\n");
		expect_ok(d, fd);
		expect(d, "worker: unloaded");
		if (i % 100 == 0)
			expect_threads(d, threads);
	}
	close(fd);
	ctl_ok(d, "tree ticker");
	stop(d);
}

/* Each proxy has its own; one goes. */
static void unloading_one_leaves_the_threads_of_another(void **state)
{
	struct dut *d = *state;
	int i;

	conf_write(d,
		"[one]\nfile = worker.so\nthreads = 4\nupto = 1000000000\nunit = 1\n"
		"[two]\nfile = worker.so\nthreads = 4\nupto = 100000\nunit = 1000\npause = 0\n");
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
		daemon_test(threads_count_primes_together),
		daemon_test(wrong_options_are_refused),
		daemon_test(unloading_while_eight_threads_send),
		daemon_test(unloading_one_leaves_the_threads_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
