/* SPDX-License-Identifier: BSD-2-Clause */
/* Each allocation fails in turn: an error, and nothing lost. */
#include <talev/move.h>
#include <talev/pool.h>
#include <talev/retire.h>
#include "loops/kit.h"

/* Calls it with the first allocation failing, then the second, until it needs no more. */
static void fail_each(bool (*attempt)(void *arg), void *arg)
{
	unsigned long n = 0;
	bool ok;

	if (!test_alloc_works())
		skip();
	do {
		test_alloc_fail_at(++n);
		errno = 0;
		ok = attempt(arg);
		if (!ok)
			assert_int_equal(errno, ENOMEM);
		assert_true(ok || test_alloc_failed());
	} while (test_alloc_failed());
	test_alloc_fail_at(0);
	assert_true(ok);
}

static bool create(void *arg)
{
	struct talev_loops *loops = talev_loops_create(arg, "oom", 2);

	talloc_free(loops);
	return loops != NULL;
}

static void a_manager(void **state)
{
	(void)state;
	fail_each(create, test_root());
}

static void nothing(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
}

static bool set_up(void *arg)
{
	return talev_loops_setup(arg, nothing, NULL) == 0 &&
	       talev_loops_teardown(arg, nothing, NULL) == 0;
}

static void jobs(void **state)
{
	(void)state;
	fail_each(set_up, make_loops(3));
}

static bool grow(void *arg)
{
	struct talev_pool *pool = talev_pool_get("extra");

	if (pool == NULL)
		pool = talev_pool_create(arg, "extra", 1, nothing, NULL);
	return pool != NULL && talev_pool_grow(pool, 1) == 0;
}

static void pools(void **state)
{
	(void)state;
	fail_each(grow, make_loops(1));
}

static unsigned arrived;

static void count(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	arrived++;
}

/* More calls than go into one slab, so that each failure is met. */
static bool send_many(void *arg)
{
	static char *text;

	if (text == NULL)
		text = talloc_strdup(NULL, "mine until it is sent");
	for (int i = 0; text != NULL && i < 200; i++)
		if (talev_async_run(arg, count, NULL) != 0)
			return false;
	if (text == NULL || talev_async_run(arg, count, &text) != 0)
		return false;
	return text == NULL;
}

static void calls(void **state)
{
	struct talev_loops *loops = make_loops(1);

	(void)state;
	fail_each(send_many, talev_loops_main(loops));
}

static void never(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)data;
	demand(false);
}

static void never_run(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	never(ev, NULL, 0, data);
	(void)im;
}

static struct talev_fd *watcher;
static struct talev_immediate *below;

static bool move(void *arg)
{
	struct talev_context *ev = talev_source_get_context(watcher);
	struct talev_fd *mine = watcher;

	if (talev_source_move(watcher, arg) != 0) {
		assert_ptr_equal(talev_source_get_context(watcher), ev);
		assert_ptr_equal(watcher, mine);
		assert_int_equal(talev_fd_get_flags(watcher), TALEV_FD_READ);
		assert_true(talev_immediate_is_scheduled(below));
		return false;
	}
	watcher = NULL;
	return true;
}

static void moves(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_context *ev = test_context(test_root());
	int fds[2];

	(void)state;
	if (!test_alloc_works())
		skip();
	test_pipe(fds);
	watcher = talev_add_fd(ev, NULL, fds[0], TALEV_FD_READ, never, NULL);
	assert_ok(talev_fd_set_auto_close(watcher));
	below = talev_create_immediate(watcher);
	assert_ok(talev_schedule_immediate(below, ev, never_run, NULL));
	fail_each(move, talev_loops_main(loops));
	talloc_free(ev);
	talloc_free(loops);
	close(fds[1]);
}

static void never_due(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	never(ev, NULL, 0, data);
	(void)te;
	(void)now;
}

/* The loop has no memory for its first timer of that clock. */
static void no_memory(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	test_alloc_fail_from(1);
}

static void memory_again(struct talev_loop *loop, void *data)
{
	struct talev_timer *te = *(struct talev_timer **)data;

	assert_true(test_alloc_failed());
	test_alloc_fail_at(0);
	assert_int_equal(talev_source_get_state(te), TALEV_FINALIZED);
	stop_loops(loop, NULL);
}

static void an_arrival(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_context *ev = test_context(test_root());
	struct talev_timer **tree = talloc(ev, struct talev_timer *);

	(void)state;
	if (!test_alloc_works())
		skip();
	test_log_capture();
	*tree = talev_add_timer_on(ev, tree, TALEV_CLOCK_BOOTTIME, TALEV_SEC(1), never_due, NULL);
	assert_non_null(*tree);
	assert_ok(talev_loop_setup(talev_loops_main(loops), no_memory, NULL));
	assert_ok(talev_move(talev_loops_main(loops), memory_again, &tree));
	test_loops(loops);
	assert_int_equal(test_log_count("timer never_due (../tests/loops/test_loops_oom.c"), 1);
	assert_int_equal(test_log_count("was lost on its way"), 1);
	talloc_free(ev);
}

static bool enter(void *arg)
{
	struct talev_section *section = talev_section_enter(arg, "scarce");
	int error = errno;

	talloc_free(section);
	errno = error;
	return section != NULL;
}

static void sections(void **state)
{
	(void)state;
	fail_each(enter, test_root());
}

static bool keep(void *arg)
{
	TALLOC_CTX *holder = talloc_new(NULL);
	bool ok;

	if (holder == NULL) {
		errno = ENOMEM;
		return false;
	}
	ok = talev_loop_keep(holder, arg) == 0;
	talloc_free(holder);
	errno = ok ? 0 : ENOMEM;
	return ok;
}

static void keepers(void **state)
{
	(void)state;
	fail_each(keep, talev_loops_main(make_loops(1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_manager),
		TEST(jobs),
		TEST(pools),
		TEST(calls),
		TEST(moves),
		TEST(an_arrival),
		TEST(sections),
		TEST(keepers),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
