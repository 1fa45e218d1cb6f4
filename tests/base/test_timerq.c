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
	for (size_t i = 0; i < n; i++)
		assert_ok(timerq_join(q));
	return items;
}

static struct item *first(const struct timerq *q)
{
	return (struct item *)timerq_first(q);
}

static void the_earliest_deadline_comes_first(void **state)
{
	static const talev_time_t deadlines[] = {5, -3, TALEV_NEVER, 0, INT64_MIN, 4};
	static const talev_time_t sorted[] = {INT64_MIN, -3, 0, 4, 5, TALEV_NEVER};
	struct timerq q = {0};
	struct item *items = new_items(&q, 6);

	(void)state;
	assert_null(timerq_first(&q));
	for (int i = 0; i < 6; i++)
		timerq_set(&q, &items[i].node, deadlines[i]);
	for (int i = 0; i < 6; i++) {
		struct timerq_node *node = timerq_first(&q);

		assert_true(node->deadline == sorted[i]);
		assert_true(timerq_queued(node));
		timerq_remove(&q, node);
		assert_false(timerq_queued(node));
	}
	assert_null(timerq_first(&q));
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
	assert_null(timerq_first(&q));
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
		struct timerq_node *node = timerq_first(&q);

		assert_non_null(node);
		assert_true(node->deadline >= last);
		last = node->deadline;
		timerq_remove(&q, node);
		timerq_leave(&q);
	}
	assert_null(timerq_first(&q));
	assert_true(q.room < 100);
	timerq_destroy(&q);
}

static void leaving_keeps_what_is_still_queued(void **state)
{
	enum { N = 5000, KEPT = 10 };
	struct timerq q = {0};
	struct item *items = new_items(&q, N);

	(void)state;
	for (int i = 0; i < N; i++)
		timerq_set(&q, &items[i].node, N - i);
	for (int i = 0; i < N - KEPT; i++) {
		timerq_remove(&q, &items[i].node);
		timerq_leave(&q);
	}
	for (int i = N - 1; i >= N - KEPT; i--) {
		assert_ptr_equal(first(&q), &items[i]);
		timerq_remove(&q, &items[i].node);
	}
	timerq_destroy(&q);
}

static void a_queue_that_breathes_does_not_reallocate(void **state)
{
	struct timerq q = {0};
	struct timerq_entry *heap;

	(void)state;
	new_items(&q, 1025);
	heap = q.heap;
	for (int i = 0; i < 1000; i++) {
		timerq_leave(&q);
		timerq_leave(&q);
		assert_ok(timerq_join(&q));
		assert_ok(timerq_join(&q));
		assert_ptr_equal(q.heap, heap);
		assert_int_equal(q.room, 2048);
	}
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
		timerq_remove(&q, timerq_first(&q));
	assert_int_equal(test_alloc_count(), 0);
	test_alloc_fail_from(0);
	timerq_destroy(&q);
}

static void without_memory_nobody_joins_and_nothing_changes(void **state)
{
	struct timerq q = {0};
	struct item *items;
	uint32_t joined;

	(void)state;
	if (!test_alloc_works())
		skip();
	items = new_items(&q, 1);
	timerq_set(&q, &items[0].node, 3);
	while (q.joined < q.room)
		assert_ok(timerq_join(&q));
	joined = q.joined;
	test_alloc_fail_from(1);
	assert_errno(timerq_join(&q), ENOMEM);
	test_alloc_fail_at(0);
	assert_int_equal(q.joined, joined);
	assert_ptr_equal(first(&q), &items[0]);
	assert_ok(timerq_join(&q));
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
		TEST(leaving_keeps_what_is_still_queued),
		TEST(a_queue_that_breathes_does_not_reallocate),
		TEST(queueing_allocates_nothing),
		TEST(without_memory_nobody_joins_and_nothing_changes),
	};

	return cmocka_run_group_tests_name("timerq", tests, NULL, NULL);
}
