/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/support.h"
#include "base/timerq.h"

struct item {
	struct timerq_node node;
	uint64_t set; /* the how-manieth setting of the test it got */
};

static struct item *new_items(struct timerq *q, size_t n)
{
	struct item *items = talloc_zero_array(test_root(), struct item, n);

	assert_non_null(items);
	assert_ok(timerq_join(q, 0));
	return items;
}

/* The earliest, at a moment when all are due. */
static struct item *first(struct timerq *q)
{
	return (struct item *)timerq_due(q, TALEV_NEVER);
}

static void the_earliest_deadline_comes_first(void **state)
{
	static const talev_time_t deadlines[] = {5, -3, TALEV_NEVER, 0, INT64_MIN, 4};
	static const talev_time_t sorted[] = {INT64_MIN, -3, 0, 4, 5, TALEV_NEVER};
	struct timerq q = {0};
	struct item *items = new_items(&q, 6);

	(void)state;
	assert_null(first(&q));
	assert_true(timerq_bound(&q) == TALEV_NEVER);
	for (int i = 0; i < 6; i++)
		timerq_set(&q, &items[i].node, deadlines[i]);
	for (int i = 0; i < 6; i++) {
		struct timerq_node *node = &first(&q)->node;

		assert_true(node->deadline == sorted[i]);
		assert_true(timerq_bound(&q) == sorted[i]);
		assert_true(timerq_queued(node));
		timerq_remove(&q, node);
		assert_false(timerq_queued(node));
	}
	assert_null(first(&q));
	timerq_destroy(&q);
}

static void equal_deadlines_come_in_the_order_they_were_set(void **state)
{
	enum { N = 1000 };
	struct timerq q = {0};
	struct item *items = new_items(&q, N);

	(void)state;
	for (int i = 0; i < N; i++)
		timerq_set(&q, &items[i].node, 7);
	/* Setting it again, to the same moment, puts it behind all others. */
	timerq_set(&q, &items[0].node, 7);
	for (int i = 1; i <= N; i++) {
		struct item *item = first(&q);

		assert_ptr_equal(item, &items[i % N]);
		timerq_remove(&q, &item->node);
	}
	timerq_destroy(&q);
}

static void removing_what_is_not_queued_changes_nothing(void **state)
{
	struct timerq q = {0};
	struct item *items = new_items(&q, 2);

	(void)state;
	timerq_set(&q, &items[0].node, 1);
	timerq_remove(&q, &items[1].node);
	assert_ptr_equal(first(&q), &items[0]);
	timerq_remove(&q, &items[0].node);
	timerq_remove(&q, &items[0].node);
	assert_null(first(&q));
	timerq_destroy(&q);
}

static bool is_before(const struct item *a, const struct item *b)
{
	if (a->node.deadline != b->node.deadline)
		return a->node.deadline < b->node.deadline;
	return a->set < b->set;
}

static struct item *first_by_search(struct item *items, size_t n)
{
	struct item *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (timerq_queued(&items[i].node) && (best == NULL || is_before(&items[i], best)))
			best = &items[i];
	return best;
}

static void random_operations_agree_with_a_search(void **state)
{
	enum { N = 200 };
	unsigned short random[3] = {1, 2, 3};
	struct timerq q = {0};
	struct item *items = new_items(&q, N);
	uint64_t settings = 0;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		struct item *item = &items[nrand48(random) % N];

		switch (nrand48(random) % 4) {
		case 0:
			timerq_remove(&q, &item->node);
			break;
		case 1:
			item = first(&q);
			if (item != NULL)
				timerq_remove(&q, &item->node);
			break;
		default:
			timerq_set(&q, &item->node, nrand48(random) % 50);
			item->set = ++settings;
		}
		assert_ptr_equal(first(&q), first_by_search(items, N));
	}
	timerq_destroy(&q);
}

static void a_hundred_thousand_come_out_sorted(void **state)
{
	enum { N = 100000 };
	unsigned short random[3] = {4, 5, 6};
	struct timerq q = {0};
	struct item *items = new_items(&q, N);
	talev_time_t last = INT64_MIN;

	(void)state;
	for (int i = 0; i < N; i++)
		timerq_set(&q, &items[i].node, nrand48(random));
	for (int i = 0; i < N; i += 2)
		timerq_set(&q, &items[i].node, nrand48(random));
	for (int i = 0; i < N; i++) {
		struct item *item = first(&q);

		assert_non_null(item);
		assert_true(item->node.deadline >= last);
		last = item->node.deadline;
		timerq_remove(&q, &item->node);
	}
	assert_null(first(&q));
	timerq_destroy(&q);
}

/* A clock goes on, and now and then back; what is due comes, in order, and nothing else. */
static void a_clock_that_runs_and_is_set_finds_what_is_due(void **state)
{
	enum { N = 300 };
	static const talev_time_t steps[] = {1, 70, 5000, TALEV_MSEC(3), TALEV_SEC(2)};
	static const talev_time_t spans[] = {5, 200, 70000, TALEV_MSEC(40), TALEV_SEC(100)};
	unsigned short random[3] = {7, 8, 9};
	struct timerq q = {0};
	struct item *items = new_items(&q, N);
	uint64_t settings = 0;
	talev_time_t now = TALEV_SEC(1000000);

	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct item *item = &items[nrand48(random) % N];
		struct item *wanted;

		if (nrand48(random) % 4 == 0)
			now += nrand48(random) % steps[nrand48(random) % 5];
		if (nrand48(random) % 5000 == 0)
			now -= nrand48(random) % TALEV_SEC(200);
		if (nrand48(random) % 3 == 0) {
			timerq_remove(&q, &item->node);
		} else {
			talev_time_t span = spans[nrand48(random) % 5];

			timerq_set(&q, &item->node, now - span / 8 + nrand48(random) % span);
			item->set = ++settings;
		}
		wanted = first_by_search(items, N);
		assert_true(wanted == NULL || timerq_bound(&q) <= wanted->node.deadline);
		if (wanted != NULL && wanted->node.deadline > now)
			wanted = NULL;
		assert_ptr_equal(timerq_due(&q, now), wanted);
		if (wanted != NULL)
			timerq_remove(&q, &wanted->node);
	}
	timerq_destroy(&q);
}

/* Timeouts of equal length come in order, and stay in the slot that they came to; now and then one
 * is shorter, and the slot is none in order any more. */
static void deadlines_that_come_in_order_but_for_a_few_come_out_sorted(void **state)
{
	enum { N = 300 };
	unsigned short random[3] = {10, 11, 12};
	struct timerq q = {0};
	struct item *items = new_items(&q, N);
	uint64_t settings = 0;
	talev_time_t now = TALEV_SEC(3);

	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct item *item = &items[nrand48(random) % N];
		talev_time_t length = TALEV_USEC(200);
		struct item *wanted;

		now += nrand48(random) % 1000;
		if (nrand48(random) % 100 == 0)
			length = nrand48(random) % length;
		if (nrand48(random) % 5 == 0) {
			timerq_remove(&q, &item->node);
		} else {
			timerq_set(&q, &item->node, now + length);
			item->set = ++settings;
		}
		while ((wanted = first_by_search(items, N)) != NULL &&
			wanted->node.deadline <= now) {
			assert_true(timerq_bound(&q) <= wanted->node.deadline);
			assert_ptr_equal(timerq_due(&q, now), wanted);
			timerq_remove(&q, &wanted->node);
		}
		assert_null(timerq_due(&q, now));
	}
	timerq_destroy(&q);
}

static void what_has_passed_when_it_is_set_comes_sorted(void **state)
{
	enum { N = 5000 };
	unsigned short random[3] = {2, 4, 6};
	struct timerq q = {0};
	struct item *items = new_items(&q, N);

	(void)state;
	assert_null(timerq_due(&q, TALEV_SEC(1)));
	for (int i = 0; i < N; i++) {
		timerq_set(&q, &items[i].node, nrand48(random) % 1000);
		items[i].set = (uint64_t)i;
	}
	for (int i = 0; i < N; i++) {
		struct item *item = (struct item *)timerq_due(&q, TALEV_SEC(1));

		assert_ptr_equal(item, first_by_search(items, N));
		timerq_remove(&q, &item->node);
	}
	timerq_destroy(&q);
}

/* The loop must not wake all the time for deadlines that have been taken back. */
static void a_bound_that_has_passed_is_passed_for_good(void **state)
{
	enum { N = 1000 };
	struct timerq q = {0};
	struct item *items = new_items(&q, N);
	int wakes = 0;

	(void)state;
	for (int i = 0; i < N; i++)
		timerq_set(&q, &items[i].node, TALEV_SEC(1) + i);
	for (int i = 0; i < N - 1; i++)
		timerq_remove(&q, &items[i].node);
	while (timerq_bound(&q) < TALEV_SEC(1) + N - 1) {
		assert_null(timerq_due(&q, timerq_bound(&q)));
		assert_true(++wakes < TIMERQ_LEVELS);
	}
	assert_ptr_equal(timerq_due(&q, timerq_bound(&q)), &items[N - 1]);
	timerq_destroy(&q);
}

static void count(struct timerq_node *node, void *arg)
{
	assert_true(timerq_queued(node));
	++*(int *)arg;
}

static void each_is_visited_once(void **state)
{
	enum { N = 500 };
	unsigned short random[3] = {1, 1, 1};
	struct timerq q = {0};
	struct item *items;
	int visited = 0;

	(void)state;
	timerq_each(&q, count, &visited);
	items = new_items(&q, N);
	timerq_due(&q, 1 << 30);
	for (int i = 0; i < N; i++)
		timerq_set(&q, &items[i].node, nrand48(random));
	timerq_each(&q, count, &visited);
	assert_int_equal(visited, N);
	for (int i = 0; i < N; i++)
		timerq_remove(&q, timerq_any(&q));
	assert_null(timerq_any(&q));
	timerq_destroy(&q);
}

static void queueing_allocates_nothing(void **state)
{
	enum { N = 10000 };
	struct timerq q = {0};
	struct item *items;

	(void)state;
	if (!test_alloc_works())
		skip();
	items = new_items(&q, N);
	test_alloc_fail_from(1);
	for (int i = 0; i < N; i++)
		timerq_set(&q, &items[i].node, -i);
	for (int i = 0; i < N; i++)
		timerq_remove(&q, &first(&q)->node);
	assert_int_equal(test_alloc_count(), 0);
	test_alloc_fail_from(0);
	timerq_destroy(&q);
}

static void without_memory_nobody_joins_and_nothing_changes(void **state)
{
	struct timerq q = {0};
	struct item *items;

	(void)state;
	if (!test_alloc_works())
		skip();
	items = new_items(&q, 1);
	timerq_destroy(&q);
	test_alloc_fail_from(1);
	assert_errno(timerq_join(&q, 0), ENOMEM);
	test_alloc_fail_at(0);
	assert_null(timerq_any(&q));
	assert_ok(timerq_join(&q, 0));
	timerq_set(&q, &items[0].node, 3);
	assert_ptr_equal(first(&q), &items[0]);
	timerq_destroy(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_earliest_deadline_comes_first),
		TEST(equal_deadlines_come_in_the_order_they_were_set),
		TEST(removing_what_is_not_queued_changes_nothing),
		TEST(random_operations_agree_with_a_search),
		TEST(a_hundred_thousand_come_out_sorted),
		TEST(a_clock_that_runs_and_is_set_finds_what_is_due),
		TEST(deadlines_that_come_in_order_but_for_a_few_come_out_sorted),
		TEST(what_has_passed_when_it_is_set_comes_sorted),
		TEST(a_bound_that_has_passed_is_passed_for_good),
		TEST(each_is_visited_once),
		TEST(queueing_allocates_nothing),
		TEST(without_memory_nobody_joins_and_nothing_changes),
	};

	return cmocka_run_group_tests_name("timerq", tests, NULL, NULL);
}
