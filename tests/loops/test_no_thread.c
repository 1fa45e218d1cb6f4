/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread that cannot be started, of a manager, a pool, a watchdog. */
#include <signal.h>
#include <talev/pool.h>
#include <talev/watchdog.h>
#include "loops/kit.h"

#define LOOPS 4

static atomic_uint
	fail_at; /* so many more are started, and then none: counted from 1; 0: all are */

int __real_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg);
int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg);
int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg)
{
	if (atomic_load(&fail_at) == 1)
		return EAGAIN;
	if (atomic_load(&fail_at) > 1)
		atomic_fetch_sub(&fail_at, 1);
	return __real_pthread_create(thread, attr, fn, arg);
}

static atomic_uint set_up;
static atomic_uint called;

static void count(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	atomic_fetch_add(&called, 1);
}

static void count_setup(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	atomic_fetch_add(&set_up, 1);
}

static bool is_default(int signum)
{
	struct sigaction action;

	assert_ok(sigaction(signum, NULL, &action));
	return action.sa_handler == SIG_DFL;
}

static void a_manager_that_did_not_start_starts_later(void **state)
{
	(void)state;
	for (unsigned k = 1; k < LOOPS; k++) {
		struct talev_loops *loops = make_loops(LOOPS);

		atomic_store(&set_up, 0);
		atomic_store(&called, 0);
		assert_ok(talev_loops_setup(loops, count_setup, NULL));
		for (unsigned i = 0; i < LOOPS; i++)
			assert_ok(talev_async_run(talev_loops_get(loops, i), count, NULL));
		for (int i = 0; i < 2; i++) {
			atomic_store(&fail_at, k);
			assert_errno(talev_loops_run(loops), EAGAIN);
			assert_true(is_default(SIGTERM) && is_default(SIGINT));
		}
		atomic_store(&fail_at, 0);
		assert_int_equal(atomic_load(&set_up) + atomic_load(&called), 0);
		assert_ok(talev_async_run(talev_loops_main(loops), stop_loops, NULL));
		test_loops(loops);
		assert_int_equal(atomic_load(&set_up), LOOPS);
		assert_int_equal(atomic_load(&called), LOOPS);
		assert_errno(talev_loops_run(loops), ESHUTDOWN);
		talloc_free(loops);
	}
}

static void a_manager_that_did_not_start_is_freed(void **state)
{
	struct talev_loops *loops = make_loops(LOOPS);

	(void)state;
	assert_ok(talev_loops_setup(loops, count_setup, NULL));
	assert_ok(talev_async_run(talev_loops_get(loops, 1), count, NULL));
	atomic_store(&fail_at, 2);
	assert_errno(talev_loops_run(loops), EAGAIN);
	atomic_store(&fail_at, 0);
	talloc_free(loops);
}

/* In a loop that runs. */
static void grow(struct talev_loop *loop, void *data)
{
	struct talev_pool *pool = talev_loop_pool(loop);

	(void)data;
	atomic_store(&fail_at, 1);
	demand(talev_pool_grow(pool, 1) == -1 && errno == EAGAIN);
	demand(talev_pool_count(pool) == 2);
	atomic_store(&fail_at, 2);
	demand(talev_pool_grow(pool, 2) == -1 && errno == EAGAIN);
	demand(talev_pool_count(pool) == 3);
	demand(talev_pool_create(talev_loop_loops(loop), "more", 1, NULL, NULL) == NULL);
	demand(errno == EAGAIN && talev_pool_get("more") == NULL);
	atomic_store(&fail_at, 0);
	demand(talev_pool_create(talev_loop_loops(loop), "more", 1, NULL, NULL) != NULL);
	demand(talev_async_run(talev_pool_loop(pool, 2), stop_loops, NULL) == 0);
	/* Nor is there a thread to tell what holds a loop. */
	atomic_store(&fail_at, 1);
}

static void a_pool_that_does_not_grow_stays_as_it_is(void **state)
{
	struct talev_loops *loops = make_loops(2);

	(void)state;
	assert_ok(talev_async_run(talev_loops_get(loops, 1), grow, NULL));
	test_loops(loops);
	atomic_store(&fail_at, 0);
	talloc_free(loops);
}

static void a_watchdog_is_not_made(void **state)
{
	(void)state;
	atomic_store(&fail_at, 1);
	assert_null_errno(talev_watchdog_create(test_root()), EAGAIN);
	atomic_store(&fail_at, 0);
	talloc_free(talev_watchdog_create(test_root()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_manager_that_did_not_start_starts_later),
		TEST(a_manager_that_did_not_start_is_freed),
		TEST(a_pool_that_does_not_grow_stays_as_it_is),
		TEST(a_watchdog_is_not_made),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
