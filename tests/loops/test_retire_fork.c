/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: a child of a fork among threads leaks what those had, and it would say so */
/* Safe memory and fork(2): contract row S5. */
#include <sys/wait.h>
#include <talev/retire.h>
#include "loops/kit.h"

static atomic_uint destroyed;
static atomic_uint made;
static atomic_bool stop_reading;
static unsigned rounds;

static int count_destroyed(unsigned *one)
{
	(void)one;
	atomic_fetch_add(&destroyed, 1);
	return 0;
}

static unsigned *make_one(void)
{
	unsigned *one = talloc_zero(NULL, unsigned);

	demand(one != NULL);
	talloc_set_destructor(one, count_destroyed);
	atomic_fetch_add(&made, 1);
	return one;
}

static void *enter_and_leave(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop_reading)) {
		struct talev_section *section = talev_section_enter(NULL, "reading");

		demand(section != NULL);
		talloc_free(section);
	}
	return NULL;
}

static void in_child(void)
{
	struct talev_section *section = talev_section_enter(NULL, "in the child");

	demand(section != NULL);
	talloc_free(section);
}

static void fork_again(struct talev_loop *loop, void *data)
{
	struct talev_section *section = talev_section_enter(NULL, "around the fork");
	pid_t pid;
	int status;

	(void)data;
	pid = fork();
	demand(pid >= 0);
	if (pid == 0) {
		in_child();
		talloc_free(section);
		_exit(0);
	}
	demand(waitpid(pid, &status, 0) == pid);
	demand(status == 0);
	talloc_free(section);
	if (++rounds < 20) {
		demand(talev_async_run(loop, fork_again, NULL) == 0);
		return;
	}
	atomic_store(&stop_reading, true);
	talev_loops_shutdown(talev_loop_loops(loop));
}

static void retire_until_told(struct talev_loop *loop, void *data)
{
	(void)data;
	demand(talev_retire(make_one()) == 0);
	if (!atomic_load(&stop_reading))
		demand(talev_async_run(loop, retire_until_told, NULL) == 0);
}

static void s05_fork_in_the_middle(void **state)
{
	struct talev_loops *loops = make_loops(3);
	pthread_t thread;

	(void)state;
	thread = thread_start(enter_and_leave, NULL);
	assert_ok(talev_async_run(talev_loops_get(loops, 1), retire_until_told, NULL));
	assert_ok(talev_async_run(talev_loops_get(loops, 2), retire_until_told, NULL));
	assert_ok(talev_async_run(talev_loops_main(loops), fork_again, NULL));
	test_loops(loops);
	thread_join(thread);
	assert_int_equal(atomic_load(&destroyed), atomic_load(&made));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(s05_fork_in_the_middle),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
