/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: calls are counted, time is measured, and slow handlers are named. */
#include <time.h>
#include "support/kinds.h"

#define LONG TALEV_MSEC(5)

static struct talev_stats stats_of(void *source)
{
	struct talev_stats stats;

	memset(&stats, 0xff, sizeof(stats));
	assert_ok(talev_source_get_stats(source, &stats));
	return stats;
}

/* Keeps the processor, or the virtual clock, busy for LONG. */
static void be_slow(struct thing *thing)
{
	talev_time_t until = talev_time_add(talev_now(thing->ev), LONG);

	if (test_is_sim())
		assert_ok(talev_sim_advance(thing->ev, LONG));
	while (talev_now(thing->ev) < until)
		;
}

static void calls_are_counted(void **state)
{
	static const enum kind kinds[] = {KIND_FD, KIND_SIGNAL, KIND_IMMEDIATE};
	struct talev_context *ev = test_context(*state);

	for (int i = 0; i < 3; i++) {
		struct thing *thing = kind_add(kinds[i], ev, *state, NULL, NULL);
		struct talev_stats stats = stats_of(thing->source);

		assert_int_equal(stats.calls, 0);
		for (unsigned n = 1; n <= 10; n++) {
			kind_fire(thing);
			assert_ok(test_once(ev));
			stats = stats_of(thing->source);
			assert_int_equal(stats.calls, n);
			assert_int_equal(stats.time_total, 0);
			assert_int_equal(stats.time_longest, 0);
		}
	}
}

static void time_is_measured_while_it_is_on(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, be_slow, NULL);
	struct talev_stats stats;

	if (thing->kind == KIND_TIMER || thing->kind == KIND_CHILD)
		skip(); /* gone with their handler */
	talev_context_set_timing(ev, true);
	kind_fire(thing);
	assert_ok(test_once(ev));
	kind_fire(thing);
	assert_ok(test_once(ev));
	stats = stats_of(thing->source);
	assert_int_equal(stats.calls, 2);
	assert_true(stats.time_longest >= LONG);
	assert_true(stats.time_total >= 2 * LONG);
	assert_true(stats.time_total >= stats.time_longest);
	talev_context_set_timing(ev, false);
	kind_fire(thing);
	assert_ok(test_once(ev));
	assert_int_equal(stats_of(thing->source).calls, 3);
	assert_true(stats_of(thing->source).time_total == stats.time_total);
}

static void slow_timer(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	struct thing thing = {.ev = ev};

	(void)te;
	(void)now;
	(void)arg;
	be_slow(&thing);
}

static void quick_timer(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)ev;
	(void)te;
	(void)now;
	(void)arg;
}

static void slow_handler_is_reported_by_name(void **state)
{
	struct talev_context *ev = test_context(*state);

	test_log_capture();
	talev_context_set_slow_handler(ev, TALEV_MSEC(3));
	assert_non_null(talev_add_timer(ev, *state, talev_now(ev), slow_timer, NULL));
	assert_non_null(talev_add_timer(ev, *state, talev_now(ev), quick_timer, NULL));
	assert_ok(test_run(ev));
	assert_int_equal(test_log_count("slow_timer"), 1);
	assert_true(test_log_contains("test_stats.c:"));
	if (!test_is_slow()) /* there a quick one may take as long */
		assert_false(test_log_contains("quick_timer"));
}

static void slow_handler_is_reported_by_the_name_that_it_was_given(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_timer *te = talev_add_timer(ev, *state, talev_now(ev), slow_timer, NULL);

	test_log_capture();
	talev_context_set_slow_handler(ev, TALEV_MSEC(3));
	assert_ok(talev_source_set_name(te, "the nightly job"));
	assert_ok(test_run(ev));
	assert_true(test_log_contains("the nightly job"));
}

static void free_after_slowness(struct thing *thing)
{
	be_slow(thing);
	talloc_free(thing->source);
}

static void slow_handler_that_frees_itself_is_reported_too(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, free_after_slowness, NULL);

	test_log_capture();
	talev_context_set_slow_handler(ev, TALEV_MSEC(3));
	kind_fire(thing);
	assert_ok(test_once(ev));
	assert_true(test_log_contains("kinds.c:"));
}

static void zero_reports_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);

	test_log_capture();
	talev_context_set_slow_handler(ev, TALEV_MSEC(3));
	talev_context_set_slow_handler(ev, 0);
	assert_non_null(talev_add_timer(ev, *state, talev_now(ev), slow_timer, NULL));
	assert_ok(test_run(ev));
	assert_string_equal(test_log_text(), "");
}

static void wrong_objects_have_none(void **state)
{
	struct talev_stats stats;

	assert_errno(talev_source_get_stats(talloc_strdup(*state, "text"), &stats), EINVAL);
	assert_errno(talev_source_get_stats(NULL, &stats), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(calls_are_counted),
		EACH_KIND(time_is_measured_while_it_is_on),
		TEST(slow_handler_is_reported_by_name),
		TEST(slow_handler_is_reported_by_the_name_that_it_was_given),
		EACH_KIND(slow_handler_that_frees_itself_is_reported_too),
		TEST(zero_reports_nothing),
		TEST(wrong_objects_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
