/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers in virtual time: drift, slack, and a clock that is set. */
#include "event/alarm.h"
#include <talev/sim.h>

static void late_ticker_says_how_many_it_missed(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct alarm a = {0};
	talev_time_t start;

	start = talev_now(ev);
	add_ticker(ev, &a, TALEV_SEC(10));
	assert_ok(test_once(ev));
	assert_int_equal(a.now, start + TALEV_SEC(10));
	assert_int_equal(a.missed, 0);

	/* The loop was busy from 10 s to 47 s: the ticks of 20, 30 and 40 passed. */
	assert_ok(talev_sim_advance(ev, TALEV_SEC(37)));
	assert_ok(test_once(ev));
	assert_int_equal(a.now, start + TALEV_SEC(47));
	assert_int_equal(a.missed, 2);
	assert_int_equal(a.next, start + TALEV_SEC(50));
	assert_ok(test_once(ev));
	assert_int_equal(a.now, start + TALEV_SEC(50));
	assert_int_equal(a.missed, 0);

	/* Late to the nanosecond of a tick: that tick is this one. */
	assert_ok(talev_sim_advance(ev, TALEV_SEC(20)));
	assert_ok(test_once(ev));
	assert_int_equal(a.now, start + TALEV_SEC(70));
	assert_int_equal(a.missed, 1);
	assert_int_equal(a.next, start + TALEV_SEC(80));
}

static void million_ticks_stay_on_the_grid(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	int n = test_is_slow() ? 10000 : 1000000;
	struct alarm a = {.act = stop_after, .arg = &n};
	talev_time_t start;

	start = talev_now(ev);
	add_ticker(ev, &a, 1234567);
	assert_ok(test_run(ev));
	assert_int_equal(a.now, start + (talev_time_t)n * 1234567);
}

static void move_ticker(struct talev_context *ev, struct alarm *alarm)
{
	(void)ev;
	if (alarm->calls == 1)
		assert_ok(talev_update_timer(alarm->te, alarm->now + TALEV_SEC(3)));
	if (alarm->calls == 3)
		assert_ok(talev_timer_stop(alarm->te));
}

static void moved_ticker_goes_on_from_there(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct alarm a = {.act = move_ticker};
	talev_time_t start;

	start = talev_now(ev);
	add_ticker(ev, &a, TALEV_SEC(10));
	assert_ok(test_once(ev));
	assert_ok(test_once(ev));
	assert_int_equal(a.now, start + TALEV_SEC(13));
	assert_ok(test_once(ev));
	assert_int_equal(a.now, start + TALEV_SEC(23));
	assert_false(talev_have_events(ev));
}

static void disabled_ticker_runs_at_once_when_enabled(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct alarm a = {0};
	talev_time_t start;

	start = talev_now(ev);
	add_ticker(ev, &a, TALEV_SEC(10));
	assert_ok(talev_source_set_enabled(a.te, false));
	assert_ok(talev_sim_advance(ev, TALEV_SEC(35)));
	assert_errno(talev_loop_nowait(ev), ENOENT);
	assert_ok(talev_source_set_enabled(a.te, true));
	assert_ok(talev_loop_nowait(ev));
	assert_int_equal(a.now, start + TALEV_SEC(35));
	assert_int_equal(a.missed, 2);
	assert_int_equal(talev_timer_get_deadline(a.te), start + TALEV_SEC(40));
}

static void period_can_be_changed(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct alarm a = {0};
	talev_time_t start;

	start = talev_now(ev);
	add_ticker(ev, &a, TALEV_SEC(10));
	assert_ok(talev_timer_set_period(a.te, TALEV_SEC(4)));
	assert_int_equal(talev_timer_get_period(a.te), TALEV_SEC(4));
	assert_ok(test_once(ev));
	assert_int_equal(a.now, start + TALEV_SEC(10));
	assert_ok(test_once(ev));
	assert_int_equal(a.now, start + TALEV_SEC(14));
}

static talev_time_t moment_of(struct talev_context *ev, talev_time_t deadline, talev_time_t slack)
{
	struct alarm a = {0};

	add(ev, &a, TALEV_NEVER);
	assert_ok(talev_timer_set_slack(a.te, slack));
	assert_int_equal(talev_timer_get_slack(a.te), slack);
	assert_ok(talev_update_timer(a.te, deadline));
	assert_int_equal(talev_timer_get_deadline(a.te), deadline);
	assert_ok(test_once(ev));
	return a.now;
}

/* The slow and certain way. */
static talev_time_t roundest_by_trying(talev_time_t first, talev_time_t last)
{
	for (int shift = 62; shift > 0; shift--) {
		talev_time_t unit = (talev_time_t)1 << shift;
		talev_time_t multiple = (last / unit) * unit;

		if (multiple >= first)
			return multiple;
	}
	return first;
}

static void slack_takes_the_roundest_moment(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	unsigned seed = 2;

	for (int i = 0; i < 1000; i++) {
		talev_time_t deadline = talev_now(ev) + rand_r(&seed) % 1000000;
		talev_time_t slack = rand_r(&seed) % (1 << (rand_r(&seed) % 20));

		assert_int_equal(moment_of(ev, deadline, slack),
			roundest_by_trying(deadline, deadline + slack));
	}
}

static void slack_of_any_size_is_never_early(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);

	assert_true(moment_of(ev, INT64_MIN, TALEV_SEC(1)) >= 0);
	assert_true(moment_of(ev, INT64_MIN, TALEV_NEVER) >= 0);
	assert_true(moment_of(ev, -5, 10) >= 0);
	assert_true(moment_of(ev, -5, 2) >= 0);
	assert_true(moment_of(ev, 0, TALEV_NEVER) >= 0);
}

static void timers_with_slack_share_a_wake_up(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct alarm alarms[16] = {0};
	talev_time_t start;

	start = talev_now(ev);
	for (int i = 0; i < 16; i++) {
		add(ev, &alarms[i], TALEV_NEVER);
		assert_ok(talev_timer_set_slack(alarms[i].te, 64 * MS));
		assert_ok(talev_update_timer(alarms[i].te, start + TALEV_SEC(1) + i * MS));
	}
	assert_ok(test_run(ev));
	for (int i = 0; i < 16; i++) {
		assert_int_equal(alarms[i].now, alarms[0].now);
		assert_true(alarms[i].now >= start + TALEV_SEC(1) + i * MS);
	}
}

static void slack_counts_from_the_next_arming(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct alarm a = {0};
	talev_time_t start;

	start = talev_now(ev);
	add(ev, &a, start + 12345);
	assert_ok(talev_timer_set_slack(a.te, TALEV_SEC(5)));
	assert_ok(test_run(ev));
	assert_int_equal(a.now, start + 12345);
}

static void ticker_with_slack_does_not_drift(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct grid grid = {0};
	struct alarm a = {.act = check_grid, .arg = &grid};

	add_ticker(ev, &a, MS);
	assert_ok(talev_timer_set_slack(a.te, MS / 2));
	grid.first = talev_timer_get_deadline(a.te);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 30);
	assert_int_equal(grid.seen, 30);
}

static void realtime_timer_follows_a_step_forward(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct alarm a = {.name = "realtime"}, b = {.name = "monotonic"};
	talev_time_t hour = TALEV_SEC(3600);

	a.te = talev_add_timer_on(ev, NULL, TALEV_CLOCK_REALTIME,
		talev_clock_now(ev, TALEV_CLOCK_REALTIME) + hour, on_timer, &a);
	add(ev, &b, talev_now(ev) + hour);
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	assert_ok(talev_sim_step_realtime(ev, hour));
	assert_ok(talev_loop_nowait(ev));
	assert_notes("realtime");
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	assert_ok(test_run(ev));
	assert_notes("realtime monotonic");
}

static void realtime_timer_follows_a_step_back(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct alarm a = {.name = "realtime"}, b = {.name = "monotonic"};
	talev_time_t hour = TALEV_SEC(3600);
	talev_time_t start, deadline;

	start = talev_now(ev);
	deadline = talev_clock_now(ev, TALEV_CLOCK_REALTIME) + hour;
	a.te = talev_add_timer_on(ev, NULL, TALEV_CLOCK_REALTIME, deadline, on_timer, &a);
	add(ev, &b, start + hour + 1);
	assert_ok(talev_sim_step_realtime(ev, -hour));
	assert_ok(test_run(ev));
	assert_notes("monotonic realtime");
	assert_int_equal(a.now, deadline);
	assert_int_equal(talev_now(ev), start + 2 * hour);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(late_ticker_says_how_many_it_missed),
		TEST(million_ticks_stay_on_the_grid),
		TEST(moved_ticker_goes_on_from_there),
		TEST(disabled_ticker_runs_at_once_when_enabled),
		TEST(period_can_be_changed),
		TEST(slack_takes_the_roundest_moment),
		TEST(slack_of_any_size_is_never_early),
		TEST(timers_with_slack_share_a_wake_up),
		TEST(slack_counts_from_the_next_arming),
		TEST(ticker_with_slack_does_not_drift),
		TEST(realtime_timer_follows_a_step_forward),
		TEST(realtime_timer_follows_a_step_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
