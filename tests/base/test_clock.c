/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/support.h"
#include "base/clock.h"

static void sums_stop_at_the_ends(void **state)
{
	(void)state;
	assert_true(talev_time_add(2, 3) == 5);
	assert_true(talev_time_add(2, -3) == -1);
	assert_true(talev_time_add(TALEV_NEVER, 0) == TALEV_NEVER);
	assert_true(talev_time_add(TALEV_NEVER, 1) == TALEV_NEVER);
	assert_true(talev_time_add(1, TALEV_NEVER) == TALEV_NEVER);
	assert_true(talev_time_add(TALEV_NEVER, -1) == TALEV_NEVER - 1);
	assert_true(talev_time_add(INT64_MIN, -1) == INT64_MIN);
	assert_true(talev_time_add(-1, INT64_MIN) == INT64_MIN);
	assert_true(talev_time_add(INT64_MIN, INT64_MIN) == INT64_MIN);
	assert_true(talev_time_add(INT64_MIN, TALEV_NEVER) == -1);
}

static void a_timespec_counts_nanoseconds_upwards(void **state)
{
	static const struct {
		talev_time_t t;
		time_t sec;
		long nsec;
	} cases[] = {
		{0, 0, 0},
		{1, 0, 1},
		{999999999, 0, 999999999},
		{TALEV_SEC(1), 1, 0},
		{-1, -1, 999999999},
		{TALEV_SEC(-1), -1, 0},
		{TALEV_SEC(-1) - 1, -2, 999999999},
		{INT64_MAX, 9223372036, 854775807},
		{INT64_MIN, -9223372037, 145224192},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct timespec ts = base_timespec(cases[i].t);

		assert_true(ts.tv_sec == cases[i].sec);
		assert_true(ts.tv_nsec == cases[i].nsec);
	}
}

static void each_clock_is_the_kernels_of_that_name(void **state)
{
	static const struct {
		enum talev_clock clock;
		clockid_t id;
	} cases[BASE_CLOCKS] = {
		{TALEV_CLOCK_MONOTONIC, CLOCK_MONOTONIC},
		{TALEV_CLOCK_REALTIME, CLOCK_REALTIME},
		{TALEV_CLOCK_BOOTTIME, CLOCK_BOOTTIME},
	};

	(void)state;
	for (int i = 0; i < BASE_CLOCKS; i++) {
		struct timespec before, after;
		talev_time_t now;

		assert_int_equal(base_clock_id(cases[i].clock), cases[i].id);
		clock_gettime(cases[i].id, &before);
		now = base_clock_now(cases[i].clock);
		clock_gettime(cases[i].id, &after);
		assert_true(now >= TALEV_SEC(before.tv_sec) + before.tv_nsec);
		assert_true(now <= TALEV_SEC(after.tv_sec) + after.tv_nsec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sums_stop_at_the_ends),
		TEST(a_timespec_counts_nanoseconds_upwards),
		TEST(each_clock_is_the_kernels_of_that_name),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
