/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child may make a watchdog of its own, whatever that of its parent was doing.
 *
 * NO_VALGRIND: where one thread waits in a system call that it knows nothing of, all do
 */
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "loops/watchdog_kit.h"

/* A thread that the kernel lets no signal through to, until the pipe is closed. */
static struct {
	struct talev_watchdog *wd;
	int fds[2];
	atomic_int tid;
} deaf;

static void *be_deaf(void *arg)
{
	struct talev_heart *heart =
		talev_heart_create(test_root(), deaf.wd, "deaf", LIMIT, TALEV_NEVER);
	long pid;
	char byte;

	(void)arg;
	demand(heart != NULL);
	atomic_store(&deaf.tid, gettid());
	/* As vfork(2), but that the child has memory of its own. */
	pid = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid == 0) {
		close(deaf.fds[1]);
		(void)!read(deaf.fds[0], &byte, 1);
		_exit(0);
	}
	demand(pid > 0 && waitpid((pid_t)pid, NULL, 0) == (pid_t)pid);
	talloc_free(heart);
	return NULL;
}

/* Is the watchdog's signal on its way to that thread? */
static bool is_asked(pid_t tid)
{
	char path[64];
	char line[256];
	bool asked = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)tid);
	file = fopen(path, "re");
	demand(file != NULL);
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "SigPnd:", 7) == 0)
			asked = (strtoull(line + 7, NULL, 16) >> (SIGURG - 1) & 1) != 0;
	fclose(file);
	return asked;
}

static void watch_in_child(void *arg)
{
	struct talev_watchdog *wd = arg;

	talloc_free(wd);
	wd = make_watchdog();
	demand(talev_heart_create(test_root(), wd, "of the child", LIMIT, TALEV_NEVER) != NULL);
	hang_until_told();
	demand(strcmp(told.heart, "of the child") == 0 && told.answered);
	talloc_free(wd);
}

static void a_child_that_was_forked_while_somebody_was_asked(void **state)
{
	struct talev_watchdog *wd = make_watchdog();
	pthread_t thread;

	(void)state;
#ifdef __SANITIZE_THREAD__
	skip(); /* it knows no threads in a child of a process that had some */
#endif
	deaf.wd = wd;
	atomic_store(&deaf.tid, 0);
	assert_ok(pipe(deaf.fds));
	thread = thread_start(be_deaf, NULL);
	while (atomic_load(&deaf.tid) == 0 || !is_asked(atomic_load(&deaf.tid)))
		usleep(1000);
	assert_int_equal(test_in_child(watch_in_child, wd), 0);
	close(deaf.fds[1]);
	thread_join(thread);
	close(deaf.fds[0]);
	talloc_free(wd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_child_that_was_forked_while_somebody_was_asked),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
