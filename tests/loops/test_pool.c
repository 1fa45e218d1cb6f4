/* SPDX-License-Identifier: BSD-2-Clause */
/* Pools: loops by name, made and added while others run. */
#include <sched.h>
#include <talev/pool.h>
#include "loops/kit.h"

static atomic_uint set_up;
static atomic_uint called;

static void count_setup(struct talev_loop *loop, void *private_data)
{
	demand(private_data == &set_up);
	demand(talev_loop_current() == loop);
	atomic_fetch_add(&set_up, 1);
}

static void never(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	demand(false);
}

static void a_pool_is_found_by_its_name(void **state)
{
	struct talev_loops *loops = make_loops(2);
	struct talev_pool *own = talev_pool_get("test");
	struct talev_pool *pool = talev_pool_create(loops, "io", 3, NULL, NULL);

	(void)state;
	assert_non_null(own);
	assert_int_equal(talev_pool_count(own), 2);
	assert_ptr_equal(talev_loop_pool(talev_loops_main(loops)), own);
	assert_non_null(pool);
	assert_ptr_equal(talev_pool_get("io"), pool);
	assert_string_equal(talev_pool_name(pool), "io");
	assert_int_equal(talev_pool_count(pool), 3);
	assert_int_equal(talev_loops_count(loops), 5);
	assert_string_equal(talev_loop_name(talev_pool_loop(pool, 2)), "io-2");
	assert_int_equal(talev_loop_index(talev_pool_loop(pool, 2)), 4);
	assert_null(talev_pool_loop(pool, 3));
	for (unsigned i = 0; i < 6; i++)
		assert_ptr_equal(talev_pool_next(pool), talev_pool_loop(pool, i % 3));
	assert_null_errno(talev_pool_create(loops, "io", 1, NULL, NULL), EEXIST);
	assert_null_errno(talev_pool_create(loops, NULL, 1, NULL, NULL), EINVAL);
	assert_null_errno(talev_pool_get("none"), ENOENT);
	talloc_free(loops);
	assert_null_errno(talev_pool_get("io"), ENOENT);
	assert_null_errno(talev_pool_get("test"), ENOENT);
}

static void an_empty_pool_has_nobody_to_give(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_pool *pool = talev_pool_create(loops, "empty", 0, NULL, NULL);

	(void)state;
	assert_non_null(pool);
	assert_null(talev_pool_next(pool));
	assert_ok(talev_pool_grow(pool, 1));
	assert_non_null(talev_pool_next(pool));
}

static void count_call(struct talev_loop *loop, void *data)
{
	struct talev_pool *pool = talev_pool_get("late");

	(void)data;
	demand(talev_loop_pool(loop) == pool);
	/* Its setup job has run before. */
	demand(atomic_load(&set_up) > 0);
	if (atomic_fetch_add(&called, 1) + 1 == 8)
		talev_loops_shutdown(talev_loop_loops(loop));
}

static void make_and_grow(struct talev_loop *loop, void *data)
{
	struct talev_loops *loops = talev_loop_loops(loop);
	struct talev_pool *pool = talev_pool_create(loops, "late", 1, count_setup, &set_up);

	(void)data;
	demand(pool != NULL);
	for (unsigned i = 0; i < 8; i++) {
		demand(talev_pool_count(pool) == i + 1);
		demand(talev_async_run(talev_pool_loop(pool, i), count_call, NULL) == 0);
		if (i < 7)
			demand(talev_pool_grow(pool, 1) == 0);
	}
}

static void a_pool_is_made_and_grows_while_the_loops_run(void **state)
{
	struct talev_loops *loops = make_loops(2);

	(void)state;
	atomic_store(&set_up, 0);
	atomic_store(&called, 0);
	assert_ok(talev_async_run(talev_loops_get(loops, 1), make_and_grow, NULL));
	test_loops(loops);
	assert_int_equal(atomic_load(&set_up), 8);
	assert_int_equal(atomic_load(&called), 8);
	assert_errno(talev_pool_grow(talev_pool_get("late"), 1), ESHUTDOWN);
	assert_null_errno(talev_pool_create(loops, "later", 1, NULL, NULL), ESHUTDOWN);
	assert_null_errno(talev_pool_get("later"), ENOENT);
}

/* Somebody sends round a pool while it grows and until it ends. */
static void nothing(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	atomic_fetch_add(&called, 1);
}

static void *spread(void *arg)
{
	struct talev_pool *pool = arg;

	while (talev_async_run(talev_pool_next(pool), nothing, NULL) == 0)
		sched_yield();
	demand(errno == ESHUTDOWN);
	return NULL;
}

static void grow_and_stop(struct talev_loop *loop, void *data)
{
	struct talev_pool *pool = talev_loop_pool(loop);

	(void)data;
	if (talev_pool_count(pool) < 12)
		demand(talev_pool_grow(pool, 1) == 0);
	else
		talev_loops_shutdown(talev_loop_loops(loop));
	if (!talev_loop_shutting_down(loop))
		demand(talev_async_run(loop, grow_and_stop, NULL) == 0);
}

static void calls_go_round_a_pool_that_grows(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_pool *pool = talev_pool_create(loops, "round", 2, NULL, NULL);
	pthread_t threads[2];

	(void)state;
	assert_ok(talev_async_run(talev_pool_loop(pool, 1), grow_and_stop, NULL));
	for (int i = 0; i < 2; i++)
		threads[i] = thread_start(spread, pool);
	test_loops(loops);
	for (int i = 0; i < 2; i++)
		thread_join(threads[i]);
	assert_int_equal(talev_pool_count(pool), 12);
}

static void try_while_paused(struct talev_loop *loop, void *data)
{
	struct talev_loops *loops = talev_loop_loops(loop);

	(void)data;
	demand(talev_loops_pause(loops) == 0);
	errno = 0;
	demand(talev_pool_grow(talev_loop_pool(loop), 1) == -1 && errno == EBUSY);
	demand(talev_loops_resume(loops) == 0);
	demand(talev_pool_grow(talev_loop_pool(loop), 1) == 0);
	talev_loops_shutdown(loops);
}

static void a_pool_does_not_grow_in_a_pause(void **state)
{
	struct talev_loops *loops = make_loops(2);

	(void)state;
	assert_ok(talev_async_run(talev_loops_get(loops, 1), try_while_paused, NULL));
	test_loops(loops);
	assert_int_equal(talev_loops_count(loops), 3);
}

static void a_pool_of_a_manager_that_never_ran_is_freed(void **state)
{
	struct talev_loops *loops = make_loops(1);

	(void)state;
	assert_non_null(talev_pool_create(loops, "unused", 2, never, NULL));
	talev_loops_shutdown(loops);
	assert_ok(talev_loops_run(loops));
	talloc_free(loops);
	assert_null_errno(talev_pool_get("unused"), ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pool_is_found_by_its_name),
		TEST(an_empty_pool_has_nobody_to_give),
		TEST(a_pool_is_made_and_grows_while_the_loops_run),
		TEST(calls_go_round_a_pool_that_grows),
		TEST(a_pool_does_not_grow_in_a_pause),
		TEST(a_pool_of_a_manager_that_never_ran_is_freed),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
