/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: what a timer's handler may do to it, and to the others. */
#include "event/alarm.h"

static void move_once(struct talev_context *ev, struct alarm *alarm)
{
	(void)ev;
	if (alarm->calls == 1)
		assert_ok(talev_update_timer(alarm->te, alarm->now + MS));
}

static void timer_moved_in_its_own_handler_runs_again(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm a = {.act = move_once};

	add(ev, &a, 0);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 2);
	assert_int_equal(*a.freed, 1);
}

static void restart_once(struct talev_context *ev, struct alarm *alarm)
{
	(void)ev;
	if (alarm->calls < 4)
		assert_ok(talev_timer_start(alarm->te, 0));
}

static void timer_started_in_its_own_handler_runs_again(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm a = {.act = restart_once};

	add(ev, &a, 0);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 4);
	assert_int_equal(*a.freed, 1);
}

static void timer_stopped_in_its_own_handler_is_kept(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm a = {.act = stop_itself};

	add(ev, &a, 0);
	assert_ok(test_run(ev));
	assert_int_equal(*a.freed, 0);
	assert_int_equal(talev_source_get_state(a.te), TALEV_LIVE);

	/* That counts for one run. */
	a.act = NULL;
	assert_ok(talev_timer_start(a.te, 0));
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 2);
	assert_int_equal(*a.freed, 1);
}

static void start_and_stop(struct talev_context *ev, struct alarm *alarm)
{
	(void)ev;
	assert_ok(talev_timer_start(alarm->te, 0));
	assert_ok(talev_timer_stop(alarm->te));
}

static void the_last_word_in_the_handler_counts(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm a = {.act = start_and_stop};

	add(ev, &a, 0);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 1);
	assert_int_equal(*a.freed, 0);
}

static void free_it(struct talev_context *ev, struct alarm *alarm)
{
	(void)ev;
	assert_int_equal(talloc_free(alarm->arg), 0);
}

static void freeing_itself_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm a = {.act = free_it}, b = {.act = free_it};

	add(ev, &a, 0);
	a.arg = a.te;
	add_ticker(ev, &b, MS);
	b.arg = b.te;
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 1);
	assert_int_equal(*a.freed, 1);
	assert_int_equal(b.calls, 1);
}

static void freeing_a_due_sibling_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm a = {.name = "a", .act = free_it}, b = {.name = "b"}, c = {.name = "c"};

	add(ev, &a, 0);
	add(ev, &b, 0);
	add(ev, &c, 0);
	a.arg = b.te;
	assert_ok(test_run(ev));
	assert_notes("a c");
	assert_int_equal(*b.freed, 1);
}

static void freeing_the_parent_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *parent = talloc_new(*state);
	struct alarm a = {.name = "a", .act = free_it, .arg = parent}, b = {.name = "b"};

	add(ev, &a, 0);
	add(ev, &b, 1);
	talloc_steal(parent, a.te);
	talloc_steal(parent, b.te);
	assert_ok(test_run(ev));
	assert_notes("a");
	assert_int_equal(*a.freed, 1);
}

static void freeing_the_context_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm a = {.name = "a", .act = free_it, .arg = ev}, b = {.name = "b"};

	add(ev, &a, 0);
	add(ev, &b, 0);
	talloc_steal(*state, b.te);
	assert_errno(test_run(ev), ESHUTDOWN);
	assert_notes("a");
	assert_int_equal(*a.freed, 1);
	assert_int_equal(*b.freed, 0);
	assert_errno(talev_update_timer(b.te, 0), ESTALE);
	assert_errno(talev_timer_start(b.te, 0), ESTALE);
	assert_errno(talev_timer_stop(b.te), ESTALE);
	assert_errno(talev_timer_set_period(b.te, 1), ESTALE);
	assert_errno(talev_timer_set_slack(b.te, 1), ESTALE);
	assert_true(talev_timer_get_deadline(b.te) == TALEV_NEVER);
}

static void run_nested(struct talev_context *ev, struct alarm *alarm)
{
	if (alarm->calls > 1)
		return;
	assert_ok(talev_timer_start(alarm->te, 0));
	assert_ok(talev_loop_once(ev));
	assert_int_equal(alarm->calls, 2);
	/* Still there for the outer call. */
	assert_int_equal(*alarm->freed, 0);
	assert_int_equal(talev_source_get_state(alarm->te), TALEV_LIVE);
	test_note("back");
}

static void one_shot_that_ran_nested_is_freed_after_the_outer_call(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm a = {.name = "a", .act = run_nested};

	talev_loop_allow_nesting(ev);
	add(ev, &a, 0);
	assert_ok(test_run(ev));
	assert_notes("a a back");
	assert_int_equal(*a.freed, 1);
}

static void wait_nested(struct talev_context *ev, struct alarm *alarm)
{
	struct alarm *other = alarm->arg;

	add(ev, other, 0);
	assert_ok(talev_loop_wait(ev));
	assert_int_equal(alarm->calls, 1);
}

static void nested_loop_does_not_run_a_timer_that_is_running(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm b = {.name = "b"}, a = {.name = "a", .act = wait_nested, .arg = &b};

	talev_loop_allow_nesting(ev);
	add(ev, &a, 0);
	assert_ok(test_run(ev));
	assert_notes("a b");
}

static void trace_after(
	struct talev_context *ev, enum talev_trace_point point, void *source, void *private_data)
{
	(void)ev;
	if (point == TALEV_TRACE_AFTER_HANDLER)
		test_note("%s", source == NULL ? "freed" : source == private_data ? "there" : "?");
}

static void trace_tells_which_timer_is_still_there(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm tick = {0}, once = {0};

	add_ticker(ev, &tick, MS);
	talev_context_set_trace(ev, trace_after, tick.te);
	assert_ok(test_once(ev));
	add(ev, &once, 0);
	assert_ok(test_once(ev));
	assert_notes("there freed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(timer_moved_in_its_own_handler_runs_again),
		TEST(timer_started_in_its_own_handler_runs_again),
		TEST(timer_stopped_in_its_own_handler_is_kept),
		TEST(the_last_word_in_the_handler_counts),
		TEST(freeing_itself_in_the_handler),
		TEST(freeing_a_due_sibling_in_the_handler),
		TEST(freeing_the_parent_in_the_handler),
		TEST(freeing_the_context_in_the_handler),
		TEST(one_shot_that_ran_nested_is_freed_after_the_outer_call),
		TEST(nested_loop_does_not_run_a_timer_that_is_running),
		TEST(trace_tells_which_timer_is_still_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
