/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is stuck is told by name: contract row W1, and W2, W4, W6. */
#include <sched.h>
#include <talev/finalize.h>
#include <talev/pool.h>
#include <talev/retire.h>
#include "loops/watchdog_kit.h"

static void hang_in_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)data;
	hang_until_told();
	stop_loops(talev_loop_current(), NULL);
	talloc_free(fde);
}

static int ends[2];

static void begin_fd(struct talev_loop *loop, void *data)
{
	(void)data;
	test_pipe(ends);
	test_poke(ends[1]);
	demand(talev_add_fd(talev_loop_context(loop), NULL, ends[0], TALEV_FD_READ, hang_in_fd,
		       NULL) != NULL);
}

static void hang_in_timer(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)now;
	(void)data;
	hang_until_told();
	talloc_free(te);
	stop_loops(talev_loop_current(), NULL);
}

static void begin_timer(struct talev_loop *loop, void *data)
{
	(void)data;
	demand(talev_add_timer(talev_loop_context(loop), NULL, 1, hang_in_timer, NULL) != NULL);
}

static void hang_in_ticker(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	hang_in_timer(ev, te, now, data);
}

static void begin_ticker(struct talev_loop *loop, void *data)
{
	(void)data;
	demand(talev_add_ticker(talev_loop_context(loop), NULL, TALEV_MSEC(1), hang_in_ticker,
		       NULL) != NULL);
}

static void hang_in_call(struct talev_loop *loop, void *data)
{
	hang_until_told();
	stop_loops(loop, data);
}

static void begin_call(struct talev_loop *loop, void *data)
{
	(void)data;
	demand(talev_async_run(loop, hang_in_call, NULL) == 0);
}

static void hang_in_finalizer(struct talev_context *ev, void *arg)
{
	(void)ev;
	(void)arg;
	hang_until_told();
	stop_loops(talev_loop_current(), NULL);
}

static void begin_finalizer(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	void *tree = talloc_named_const(NULL, 0, "tree");

	(void)data;
	demand(talev_finalize(ev, tree, 0, hang_in_finalizer, NULL) == 0);
}

static int hang_in_destructor(void *ptr)
{
	(void)ptr;
	hang_until_told();
	stop_loops(talev_loop_current(), NULL);
	return 0;
}

static void begin_retired(struct talev_loop *loop, void *data)
{
	void *tree = talloc_named_const(NULL, 0, "retired");

	(void)loop;
	(void)data;
	talloc_set_destructor((char *)tree, (int (*)(char *))hang_in_destructor);
	demand(talev_retire(tree) == 0);
}

static void w1_the_stuck_handler_is_named(void **state)
{
	static const struct {
		talev_loop_fn_t begin;
		const char *handler;
		const char *location;
	} cases[] = {
		{begin_fd, "hang_in_fd", "test_watchdog.c:"},
		{begin_timer, "hang_in_timer", "test_watchdog.c:"},
		{begin_ticker, "hang_in_ticker", "test_watchdog.c:"},
		{begin_call, "hang_in_call", "test_watchdog.c:"},
		{hang_in_call, "a_setup_job", "test_watchdog.c:"},
		{begin_finalizer, "finalizer", "test_watchdog"},
		{begin_retired, "talev_retire", "talev"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct talev_loops *loops = make_loops(2);
		struct talev_watchdog *wd = make_watchdog();
		talev_loop_fn_t a_setup_job = cases[i].begin;

		assert_ok(talev_watchdog_add_loops(wd, loops, LIMIT, TALEV_NEVER));
		assert_ok(talev_loop_setup(talev_loops_get(loops, 1), a_setup_job, NULL));
		test_loops(loops);
		assert_int_equal(told.event[0], TALEV_WATCHDOG_SOFT);
		assert_int_equal(told.trouble, TALEV_WATCHDOG_STUCK);
		assert_string_equal(told.heart, "test-1");
		assert_string_equal(told.handler, cases[i].handler);
		assert_non_null(strstr(told.location, cases[i].location));
		assert_string_equal(told.thread, "test-1");
		assert_true(told.answered);
		assert_true(told.stalled >= LIMIT && told.running >= LIMIT / 2);
		assert_true(told.frames > 1);
		talloc_free(wd);
		assert_true(told.count == 1 || told.event[1] == TALEV_WATCHDOG_RECOVERED);
		talloc_free(loops);
		if (i == 0) {
			close(ends[0]);
			close(ends[1]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(w1_the_stuck_handler_is_named),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
