/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: timers run at or after their deadline, in order. */
#include "event/alarm.h"

static void one_shot_runs_once_and_is_freed(void **state)
{
	struct talev_context *ev = test_context(*state);
	talev_time_t deadline = talev_now(ev) + 3 * MS;
	struct alarm a = {0};

	add(ev, &a, deadline);
	assert_int_equal(talev_timer_get_deadline(a.te), deadline);
	assert_int_equal(talev_timer_get_clock(a.te), TALEV_CLOCK_MONOTONIC);
	assert_int_equal(talev_timer_get_period(a.te), 0);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 1);
	assert_int_equal(*a.freed, 1);
	assert_true(a.now >= deadline);
	assert_true(talev_now(ev) >= a.now);
	assert_true(a.next == TALEV_NEVER);
	assert_false(talev_have_events(ev));
}

static void check_not_early(struct talev_context *ev, struct alarm *alarm)
{
	enum talev_clock clock = talev_timer_get_clock(alarm->te);
	talev_time_t deadline = *(talev_time_t *)alarm->arg;

	assert_true(alarm->now >= deadline);
	assert_true(talev_clock_now(ev, clock) >= alarm->now);
}

static void no_timer_is_early_on_any_clock(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm alarms[3][20] = {0};
	talev_time_t deadlines[3][20];

	for (int clock = 0; clock < 3; clock++) {
		for (int i = 0; i < 20; i++) {
			struct alarm *alarm = &alarms[clock][i];
			talev_time_t *deadline = &deadlines[clock][i];

			*deadline = talev_clock_now(ev, (enum talev_clock)clock) + i * 123457;
			alarm->act = check_not_early;
			alarm->arg = deadline;
			alarm->te = talev_add_timer_on(
				ev, NULL, (enum talev_clock)clock, *deadline, on_timer, alarm);
			assert_non_null(alarm->te);
			assert_int_equal(talev_timer_get_clock(alarm->te), clock);
		}
	}
	assert_ok(test_run(ev));
	for (int clock = 0; clock < 3; clock++)
		for (int i = 0; i < 20; i++)
			assert_int_equal(alarms[clock][i].calls, 1);
}

static void equal_deadlines_run_first_set_first_run(void **state)
{
	struct talev_context *ev = test_context(*state);
	talev_time_t when = talev_now(ev) - MS;
	struct alarm a = {.name = "a"}, b = {.name = "b"}, c = {.name = "c"}, d = {.name = "d"};

	add(ev, &a, when);
	add(ev, &b, when - 1);
	add(ev, &c, when);
	add(ev, &d, when);
	/* Armed again: behind the others. */
	assert_ok(talev_update_timer(a.te, when));
	assert_ok(test_run(ev));
	assert_notes("b c d a");
}

struct many {
	talev_time_t last;
	uint64_t last_order;
	unsigned calls;
};

struct one_of_many {
	struct many *many;
	talev_time_t deadline;
	uint64_t order;
};

static void in_order(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct one_of_many *one = private_data;
	struct many *many = one->many;

	(void)ev;
	(void)te;
	assert_true(now >= one->deadline);
	assert_true(one->deadline > many->last ||
		    (one->deadline == many->last && one->order > many->last_order));
	many->last = one->deadline;
	many->last_order = one->order;
	many->calls++;
}

static void hundred_thousand_timers_run_in_order(void **state)
{
	struct talev_context *ev = test_context(*state);
	unsigned n = test_is_slow() ? 10000 : 100000;
	struct one_of_many *all = talloc_array(*state, struct one_of_many, n);
	struct many many = {0};
	talev_time_t base = talev_now(ev) - n;
	unsigned seed = 1;

	for (unsigned i = 0; i < n; i++) {
		struct talev_timer *te;

		all[i] = (struct one_of_many){&many, base + (talev_time_t)(rand_r(&seed) % n), i};
		te = talev_add_timer(ev, NULL, all[i].deadline, in_order, &all[i]);
		assert_non_null(te);
		if (i % 3 == 0) {
			all[i].deadline = base + (talev_time_t)(rand_r(&seed) % n);
			assert_ok(talev_update_timer(te, all[i].deadline));
		}
		if (i % 7 == 0) {
			talloc_free(te);
			many.calls++;
		}
	}
	assert_ok(test_run(ev));
	assert_int_equal(many.calls, n);
}

static void timer_is_moved_earlier_and_later(void **state)
{
	struct talev_context *ev = test_context(*state);
	talev_time_t past = talev_now(ev) - MS;
	struct alarm a = {.name = "a"}, b = {.name = "b"}, c = {.name = "c"};

	add(ev, &a, past);
	add(ev, &b, past + 1);
	add(ev, &c, past + TALEV_SEC(1000));
	assert_ok(talev_update_timer(c.te, past - 1));
	assert_ok(talev_update_timer(a.te, past + 2));
	assert_int_equal(talev_timer_get_deadline(a.te), past + 2);
	assert_ok(test_run(ev));
	assert_notes("c b a");
}

static void stop_other(struct talev_context *ev, struct alarm *alarm)
{
	struct alarm *other = alarm->arg;

	(void)ev;
	assert_ok(talev_timer_stop(other->te));
	assert_true(talev_timer_get_deadline(other->te) == TALEV_NEVER);
}

static void stopped_timer_does_not_run_though_it_was_due(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm b = {.name = "b"}, a = {.name = "a", .act = stop_other, .arg = &b};

	add(ev, &a, 0);
	add(ev, &b, 0);
	assert_ok(test_run(ev));
	assert_notes("a");
	assert_int_equal(*b.freed, 0);
	assert_ok(talev_timer_stop(b.te));
	assert_ok(talev_update_timer(b.te, 1));
	assert_ok(test_run(ev));
	assert_notes("a b");
	assert_int_equal(*b.freed, 1);
}

static void move_other(struct talev_context *ev, struct alarm *alarm)
{
	struct alarm *other = alarm->arg;

	(void)ev;
	test_note("moves");
	assert_ok(talev_update_timer(other->te, alarm->now + 2 * MS));
}

static void due_timer_is_moved_out_of_this_turn(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm b = {.name = "b"}, a = {.act = move_other, .arg = &b}, c = {.name = "c"};

	add(ev, &a, 0);
	add(ev, &b, 0);
	add(ev, &c, 0);
	assert_ok(test_run(ev));
	assert_notes("moves c b");
	assert_true(b.now >= a.now + 2 * MS);
}

static void never_is_a_moment_that_does_not_come(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm a = {0};

	add(ev, &a, TALEV_NEVER);
	assert_false(talev_have_events(ev));
	assert_ok(test_run(ev));
	assert_ok(talev_timer_start(a.te, TALEV_NEVER));
	assert_false(talev_have_events(ev));
	assert_ok(talev_update_timer(a.te, INT64_MIN));
	assert_true(talev_have_events(ev));
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 1);
	assert_int_equal(*a.freed, 1);
}

static void disabled_timer_keeps_its_deadline(void **state)
{
	struct talev_context *ev = test_context(*state);
	talev_time_t past = talev_now(ev) - MS;
	struct alarm a = {0};

	add(ev, &a, past);
	assert_ok(talev_source_set_enabled(a.te, false));
	assert_false(talev_have_events(ev));
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 0);
	assert_int_equal(talev_timer_get_deadline(a.te), past);
	assert_ok(talev_update_timer(a.te, past + 1));
	assert_false(talev_have_events(ev));
	assert_ok(talev_source_set_enabled(a.te, true));
	assert_int_equal(talev_timer_get_deadline(a.te), past + 1);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 1);
	assert_int_equal(*a.freed, 1);
}

static void stopped_timer_is_not_armed_by_enabling_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm a = {0};

	add(ev, &a, 0);
	assert_ok(talev_source_set_enabled(a.te, false));
	assert_ok(talev_timer_stop(a.te));
	assert_ok(talev_source_set_enabled(a.te, true));
	assert_false(talev_have_events(ev));
}

static void ticker_ticks_until_it_is_stopped(void **state)
{
	struct talev_context *ev = test_context(*state);
	talev_time_t start = talev_now(ev);
	int n = 5;
	struct alarm a = {.act = stop_after, .arg = &n};

	add_ticker(ev, &a, MS);
	assert_int_equal(talev_timer_get_period(a.te), MS);
	assert_true(talev_timer_get_deadline(a.te) >= start + MS);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 5);
	assert_true(a.now >= start + 5 * MS);
	assert_int_equal(talev_source_get_state(a.te), TALEV_LIVE);
	n = 7;
	assert_ok(talev_timer_start(a.te, 0));
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 7);
}

static void ticker_does_not_drift(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct grid grid = {0};
	struct alarm a = {.act = check_grid, .arg = &grid};

	add_ticker(ev, &a, 170001);
	grid.first = talev_timer_get_deadline(a.te);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 30);
}

static void period_of_zero_makes_it_one_shot(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm a = {0}, b = {0};

	add_ticker(ev, &a, MS);
	assert_ok(talev_timer_set_period(a.te, 0));
	add(ev, &b, 0);
	assert_ok(talev_timer_set_period(b.te, MS));
	b.act = stop_itself;
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 1);
	/* And one of more than zero makes it a ticker. */
	assert_int_equal(b.calls, 1);
	assert_true(b.next > b.now && b.next <= b.now + MS);
	assert_int_equal(*b.freed, 0);
}

static void realtime_timer_starts_by_its_clock(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm a = {0};

	a.te = talev_add_timer_on(ev, NULL, TALEV_CLOCK_REALTIME, TALEV_NEVER, on_timer, &a);
	assert_ok(talev_timer_start(a.te, MS));
	assert_true(talev_timer_get_deadline(a.te) >
		    talev_clock_now(ev, TALEV_CLOCK_REALTIME) - TALEV_SEC(60));
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 1);
}

static void wrong_arguments_are_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct alarm a = {0};

	assert_null_errno(talev_add_timer(NULL, *state, 0, on_timer, &a), EINVAL);
	assert_null_errno(talev_add_timer(ev, NULL, 0, NULL, &a), EINVAL);
	assert_null_errno(
		talev_add_timer_on(ev, NULL, (enum talev_clock)3, 0, on_timer, &a), EINVAL);
	assert_null_errno(
		talev_add_timer_on(ev, NULL, (enum talev_clock) - 1, 0, on_timer, &a), EINVAL);
	assert_null_errno(talev_add_ticker(ev, NULL, 0, on_timer, &a), EINVAL);
	assert_null_errno(talev_add_ticker(ev, NULL, -1, on_timer, &a), EINVAL);
	assert_null_errno(talev_add_ticker(ev, NULL, MS, NULL, &a), EINVAL);
	assert_null_errno(talev_add_ticker(NULL, *state, MS, on_timer, &a), EINVAL);
	add(ev, &a, 0);
	assert_errno(talev_timer_set_period(a.te, -1), EINVAL);
	assert_errno(talev_timer_set_slack(a.te, -1), EINVAL);
}

static void no_memory_is_an_error_and_leaves_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_timer *te;
	unsigned long n;

	if (!test_alloc_works())
		skip();
	for (n = 1;; n++) {
		struct alarm a = {0};

		test_alloc_fail_at(n);
		te = talev_add_timer(ev, NULL, 0, on_timer, &a);
		if (te)
			break;
		assert_int_equal(errno, ENOMEM);
		test_alloc_fail_at(0);
		assert_false(talev_have_events(ev));
	}
	test_alloc_fail_at(0);
	assert_true(n > 1);
	/* Whoever has a timer can arm it without memory. */
	test_alloc_fail_from(1);
	for (int i = 0; i < 100; i++)
		assert_ok(talev_update_timer(te, i));
	assert_ok(talev_timer_stop(te));
	assert_ok(talev_timer_start(te, 0));
	test_alloc_fail_at(0);
	talloc_free(te);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_shot_runs_once_and_is_freed),
		TEST(no_timer_is_early_on_any_clock),
		TEST(equal_deadlines_run_first_set_first_run),
		TEST(hundred_thousand_timers_run_in_order),
		TEST(timer_is_moved_earlier_and_later),
		TEST(stopped_timer_does_not_run_though_it_was_due),
		TEST(due_timer_is_moved_out_of_this_turn),
		TEST(never_is_a_moment_that_does_not_come),
		TEST(disabled_timer_keeps_its_deadline),
		TEST(stopped_timer_is_not_armed_by_enabling_it),
		TEST(ticker_ticks_until_it_is_stopped),
		TEST(ticker_does_not_drift),
		TEST(period_of_zero_makes_it_one_shot),
		TEST(realtime_timer_starts_by_its_clock),
		TEST(wrong_arguments_are_refused),
		TEST(no_memory_is_an_error_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
