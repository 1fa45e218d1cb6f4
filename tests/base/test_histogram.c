/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/support.h"

static struct talev_histogram *histogram(void)
{
	struct talev_histogram *h = talev_histogram_create(test_root());

	assert_non_null(h);
	return h;
}

static void empty_ones_say_nothing(void **state)
{
	struct talev_histogram *h = histogram();
	talev_time_t most;
	uint64_t count;
	size_t i = 0;

	(void)state;
	assert_int_equal(talev_histogram_count(h), 0);
	assert_int_equal(talev_histogram_longest(h), 0);
	assert_int_equal(talev_histogram_total(h), 0);
	assert_int_equal(talev_histogram_quantile(h, 0.99), 0);
	assert_false(talev_histogram_next(h, &i, &most, &count));
}

/* Every power of two and its neighbours. */
static void a_bucket_is_at_most_a_sixteenth_too_high(void **state)
{
	struct talev_histogram *h = histogram();

	(void)state;
	for (int bit = 0; bit < 40; bit++) {
		for (int64_t off = -1; off <= 1; off++) {
			int64_t v = (INT64_C(1) << bit) + off;
			talev_time_t most;
			uint64_t count;
			size_t i = 0;

			if (v < 0 || v >= INT64_C(1) << 40)
				continue;
			talev_histogram_clear(h);
			talev_histogram_add(h, v);
			assert_true(talev_histogram_next(h, &i, &most, &count));
			assert_int_equal(count, 1);
			assert_true(most >= v);
			assert_true(most - v <= v / 16);
			assert_int_equal(talev_histogram_longest(h), v);
			assert_int_equal(talev_histogram_quantile(h, 0.5), v);
			assert_false(talev_histogram_next(h, &i, &most, &count));
		}
	}
}

static void quantiles_split_what_was_added(void **state)
{
	struct talev_histogram *h = histogram();

	(void)state;
	for (int i = 1; i <= 1000; i++)
		talev_histogram_add(h, i * 1000);
	assert_in_range(talev_histogram_quantile(h, 0.5), 500000, 532000);
	assert_in_range(talev_histogram_quantile(h, 0.99), 990000, 1000000);
	assert_int_equal(talev_histogram_quantile(h, 1), 1000000);
	assert_in_range(talev_histogram_quantile(h, 0), 1000, 1063);
	assert_int_equal(talev_histogram_total(h), 500500000);
}

static void merging_is_adding_both(void **state)
{
	struct talev_histogram *a = histogram();
	struct talev_histogram *b = histogram();
	struct talev_histogram *both = histogram();

	(void)state;
	for (int64_t v = 1; v < TALEV_SEC(10); v = v * 3 + 1) {
		talev_histogram_add(v % 2 == 0 ? a : b, v);
		talev_histogram_add(both, v);
	}
	talev_histogram_merge(a, b);
	assert_string_equal(
		talev_histogram_json(test_root(), a), talev_histogram_json(test_root(), both));
	assert_string_equal(
		talev_histogram_text(test_root(), a), talev_histogram_text(test_root(), both));
}

static void extremes_have_a_place(void **state)
{
	struct talev_histogram *h = histogram();

	(void)state;
	talev_histogram_add(h, -5);
	assert_int_equal(talev_histogram_longest(h), 0);
	talev_histogram_add(h, INT64_MAX);
	assert_int_equal(talev_histogram_quantile(h, 1), INT64_MAX);
	assert_int_equal(talev_histogram_count(h), 2);
}

static void text_and_json(void **state)
{
	struct talev_histogram *h = histogram();

	(void)state;
	talev_histogram_add(h, 3);
	talev_histogram_add(h, TALEV_MSEC(2));
	assert_string_equal(talev_histogram_text(test_root(), h),
		"p50 3 ns, p90 2 ms, p99 2 ms, p99.9 2 ms, longest 2 ms, of 2");
	assert_string_equal(talev_histogram_json(test_root(), h),
		"{\"count\":2,\"total\":2000003,\"p50\":3,\"p90\":2000000,\"p99\":2000000,\"p999\":"
		"2000000,"
		"\"longest\":2000000,\"buckets\":[[3,1],[2031615,1]]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(empty_ones_say_nothing),
		TEST(a_bucket_is_at_most_a_sixteenth_too_high),
		TEST(quantiles_split_what_was_added),
		TEST(merging_is_adding_both),
		TEST(extremes_have_a_place),
		TEST(text_and_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
