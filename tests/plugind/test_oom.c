/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: the allocator of the daemon is another one
 * TIMEOUT: 120 */
#include <stdatomic.h>
#include <sys/mman.h>

#include "harness.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static atomic_long *share(struct dut *d, char *path, size_t size)
{
	void *map;
	int fd;

	snprintf(path, size, "%s/left", d->dir);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd != -1);
	assert_int_equal(ftruncate(fd, sizeof(atomic_long)), 0);
	map = mmap(NULL, sizeof(atomic_long), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	close(fd);
	return map;
}

static void start_with(struct dut *d, const char *file)
{
	setenv("LD_PRELOAD", test_plugin("oom"), 1);
	setenv("OOM_FILE", file, 1);
	start(d);
	unsetenv("LD_PRELOAD");
	unsetenv("OOM_FILE");
}

/* True: the answer is OK. A connection that could not be served is closed. */
static bool request(struct dut *d, const char *line)
{
	int fd = connect_unix(d->control);
	char answer[8192] = "";

	assert_true(fd != -1);
	(void)!send(fd, line, strlen(line), MSG_NOSIGNAL); /* it may be closed already */
	shutdown(fd, SHUT_WR);
	read_all(fd, answer, sizeof(answer) - 1);
	close(fd);
	/* Or it could not say any more. */
	while (wait_ready(d->log_fd, POLLIN, 0) == 1)
		if (!log_read(d))
			give_up(d, "the daemon ended after %s", line);
	return strncmp(answer, "OK ", 3) == 0;
}

/* Each allocation fails once, in whatever thread; after that it can be unloaded and loaded. */
static void reload_with_each_allocation_failing(struct dut *d, atomic_long *left)
{
	bool ok, reached = true;
	long n;

	for (n = 1; reached; n++) {
		atomic_store(left, n);
		ok = request(d, "reload it\n");
		reached = atomic_exchange(left, 0) <= 0;
		if (!reached && !ok)
			give_up(d, "reload failed with %ld allocations left", n);
		(void)request(d, "unload it\n");
		if (!request(d, "load it\n"))
			give_up(d, "it cannot be loaded after allocation %ld failed", n);
	}
	if (n < 20)
		give_up(d, "only %ld allocations", n);
}

static void each(struct dut *d, const char *section)
{
	atomic_long *left;
	char file[128];

	if (SANITIZED)
		skip();
	left = share(d, file, sizeof(file));
	conf_write(d, "%s", section);
	start_with(d, file);
	reload_with_each_allocation_failing(d, left);
	stop(d);
	munmap(left, sizeof(*left));
}

static void on_the_loop_of_the_daemon(void **state)
{
	each(*state, "[it]\nfile = ticker.so\nperiod = 10m\n");
}

static void on_threads_of_its_own(void **state)
{
	each(*state, "watchdog = 10m\n[it]\nfile = ticker.so\nperiod = 10m\nthreads = 2\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		daemon_test(on_the_loop_of_the_daemon),
		daemon_test(on_threads_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
