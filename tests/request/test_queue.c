/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: requests in a queue go one after the other. */
#include "support/support.h"

struct some_state {
	struct talev_queue *queue;
};

static struct talev_req *make(struct talev_context *ev, TALLOC_CTX *mem_ctx, uint64_t tag)
{
	struct some_state *state;
	struct talev_req *req = talev_req_create(ev, mem_ctx, &state, struct some_state);

	assert_non_null(req);
	assert_ok(talev_source_set_tag(req, tag));
	return req;
}

static int tag_of(struct talev_req *req)
{
	return (int)talev_source_get_tag(req);
}

static void trigger(struct talev_req *req, void *private_data)
{
	(void)private_data;
	test_note("%d", tag_of(req));
}

static void trigger_and_free(struct talev_req *req, void *private_data)
{
	trigger(req, private_data);
	talloc_free(req);
}

static void trigger_and_end(struct talev_req *req, void *private_data)
{
	trigger(req, private_data);
	talev_req_done(req);
}

static void note_end(struct talev_req *req)
{
	uint64_t error = 0;

	talev_req_is_error(req, NULL, &error);
	test_note("%d=%d", tag_of(req), (int)error);
}

static void receive(struct talev_req *req)
{
	note_end(req);
	talev_req_received(req);
}

static struct talev_queue *queue_of(struct talev_context *ev, TALLOC_CTX *mem_ctx)
{
	struct talev_queue *queue = talev_queue_create(ev, mem_ctx, "q");

	assert_non_null(queue);
	return queue;
}

static void queue_is_a_source_with_a_name(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);
	struct talev_queue *nameless = talev_queue_create(ev, NULL, NULL);
	struct talev_req *req = make(ev, *state, 1);
	struct talev_queue_entry *entry = talev_queue_add_entry(queue, req, trigger, NULL);

	assert_string_equal(talev_source_get_name(queue), "q");
	assert_string_equal(talev_source_get_name(nameless), "queue");
	assert_ptr_equal(talloc_parent(nameless), ev);
	assert_string_equal(talev_source_get_name(entry), "trigger");
	assert_ptr_equal(talloc_parent(entry), req);
	assert_true(talev_queue_running(queue));
	assert_int_equal(talev_queue_length(queue), 1);
	assert_null_errno(talev_queue_create(NULL, *state, "q"), EINVAL);
}

static void requests_are_triggered_in_order_from_the_loop(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);

	for (uint64_t i = 1; i <= 3; i++)
		assert_ok(talev_queue_add(queue, make(ev, *state, i), trigger_and_free, NULL));
	assert_int_equal(talev_queue_length(queue), 3);
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("1 2 3");
	assert_int_equal(talev_queue_length(queue), 0);
}

static void next_one_waits_until_the_first_was_freed_or_received(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);
	struct talev_req *first = make(ev, *state, 1);
	struct talev_req *second = make(ev, *state, 2);

	assert_ok(talev_queue_add(queue, first, trigger, NULL));
	talev_req_set_callback(second, receive, NULL);
	assert_ok(talev_queue_add(queue, second, trigger_and_end, NULL));
	assert_ok(talev_queue_add(queue, make(ev, *state, 3), trigger, NULL));
	assert_ok(test_run(ev));
	assert_notes("1");
	talev_req_done(first);
	assert_ok(test_run(ev));
	assert_notes("1");
	talloc_free(first);
	assert_ok(test_run(ev));
	assert_notes("1 2 2=0 3");
}

static void request_that_ended_before_its_turn_is_passed_over(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);
	struct talev_req *req[3];

	for (uint64_t i = 0; i < 3; i++) {
		req[i] = make(ev, *state, i);
		assert_ok(talev_queue_add(queue, req[i], trigger, NULL));
	}
	assert_ok(talev_req_cancel(req[1]));
	assert_ok(test_run(ev));
	assert_notes("0");
	talloc_free(req[0]);
	assert_ok(test_run(ev));
	assert_notes("0 2");
	assert_int_equal(talev_queue_length(queue), 1);
}

static void entry_that_is_freed_leaves(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);
	struct talev_req *first = make(ev, *state, 1);
	struct talev_queue_entry *entry = talev_queue_add_entry(queue, first, trigger, NULL);

	assert_ok(talev_queue_add(queue, make(ev, *state, 2), trigger, NULL));
	assert_ok(test_run(ev));
	talloc_free(entry);
	assert_ok(test_run(ev));
	assert_notes("1 2");
	assert_true(talev_req_is_in_progress(first));
}

static void entry_without_a_trigger_blocks(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);
	struct talev_req *blocker = make(ev, *state, 1);

	assert_ok(talev_queue_add(queue, blocker, NULL, NULL));
	assert_ok(talev_queue_add(queue, make(ev, *state, 2), trigger, NULL));
	assert_ok(test_run(ev));
	assert_notes("");
	talloc_free(blocker);
	assert_ok(test_run(ev));
	assert_notes("2");
}

static void stopped_queue_triggers_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);

	assert_ok(talev_queue_add(queue, make(ev, *state, 1), trigger, NULL));
	talev_queue_stop(queue);
	assert_false(talev_queue_running(queue));
	assert_false(talev_have_events(ev));
	assert_ok(test_run(ev));
	assert_notes("");
	talev_queue_start(queue);
	talev_queue_start(queue);
	assert_ok(test_run(ev));
	assert_notes("1");
	talev_queue_stop(queue);
	talev_queue_start(queue);
	assert_ok(test_run(ev));
	assert_notes("1");
}

static void untriggered_entry_has_its_turn_again(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);
	struct talev_req *req = make(ev, *state, 1);
	struct talev_req *second = make(ev, *state, 2);
	struct talev_queue_entry *entry = talev_queue_add_entry(queue, req, trigger, NULL);
	struct talev_queue_entry *behind = talev_queue_add_entry(queue, second, trigger, NULL);

	talev_queue_stop(queue);
	assert_errno(talev_queue_entry_untrigger(entry), EINVAL);
	talev_queue_start(queue);
	assert_ok(test_run(ev));
	assert_errno(talev_queue_entry_untrigger(entry), EINVAL);
	talev_queue_stop(queue);
	assert_errno(talev_queue_entry_untrigger(behind), EINVAL);
	assert_ok(talev_queue_entry_untrigger(entry));
	assert_ok(test_run(ev));
	assert_notes("1");
	talev_queue_start(queue);
	assert_ok(test_run(ev));
	assert_notes("1 1");
	talloc_free(queue);
	assert_errno(talev_queue_entry_untrigger(entry), EINVAL);
}

static void disabled_entry_holds_up_the_queue(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);
	struct talev_req *req = make(ev, *state, 1);
	struct talev_queue_entry *entry = talev_queue_add_entry(queue, req, trigger_and_free, NULL);

	assert_ok(talev_queue_add(queue, make(ev, *state, 2), trigger, NULL));
	assert_ok(talev_source_set_enabled(entry, false));
	assert_ok(test_run(ev));
	assert_notes("");
	assert_ok(talev_source_set_enabled(entry, true));
	assert_ok(test_run(ev));
	assert_notes("1 2");
}

static void empty_queue_may_trigger_at_once(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);
	struct talev_req *req = make(ev, *state, 1);

	assert_non_null(talev_queue_add_optimize_empty(queue, req, trigger_and_end, NULL));
	assert_notes("1");
	talev_req_set_callback(req, note_end, NULL);
	assert_notes("1");
	assert_non_null(talev_queue_add_optimize_empty(queue, make(ev, *state, 2), trigger, NULL));
	assert_notes("1");
	assert_ok(test_run(ev));
	assert_notes("1 1=0");
	talloc_free(req);
	assert_ok(test_run(ev));
	assert_notes("1 1=0 2");
}

static void it_does_not_if_there_is_a_callback_or_the_queue_stands(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);
	struct talev_req *req = make(ev, *state, 1);

	talev_req_set_callback(req, note_end, NULL);
	assert_non_null(talev_queue_add_optimize_empty(queue, req, trigger_and_end, NULL));
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("1 1=0");
	talloc_free(req);
	talev_queue_stop(queue);
	assert_non_null(talev_queue_add_optimize_empty(queue, make(ev, *state, 2), trigger, NULL));
	assert_ok(test_run(ev));
	assert_notes("1 1=0");
}

static void trigger_at_once_may_free_its_request(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);

	assert_null_errno(
		talev_queue_add_optimize_empty(queue, make(ev, *state, 1), trigger_and_free, NULL),
		ESTALE);
	assert_notes("1");
	assert_int_equal(talev_queue_length(queue), 0);
}

static void freed_queue_cancels_those_that_wait(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);
	struct talev_req *req[4];

	for (uint64_t i = 0; i < 4; i++) {
		req[i] = make(ev, *state, i);
		talev_req_set_callback(req[i], note_end, NULL);
		assert_ok(talev_queue_add(queue, req[i], i == 3 ? NULL : trigger, NULL));
	}
	assert_ok(test_run(ev));
	assert_notes("0");
	talloc_free(queue);
	assert_notes("0");
	assert_ok(test_run(ev));
	assert_notes("0 1=125 2=125");
	assert_true(talev_req_is_in_progress(req[0]));
	assert_true(talev_req_is_in_progress(req[3]));
}

static void free_queue(struct talev_req *req, void *private_data)
{
	trigger(req, private_data);
	talloc_free(private_data);
}

static void queue_may_be_freed_in_a_trigger(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);
	struct talev_req *second = make(ev, *state, 2);

	assert_ok(talev_queue_add(queue, make(ev, *state, 1), free_queue, queue));
	assert_ok(talev_queue_add(queue, second, trigger, NULL));
	talev_req_set_callback(second, note_end, NULL);
	assert_ok(test_run(ev));
	assert_notes("1 2=125");

	queue = queue_of(ev, *state);
	assert_non_null(
		talev_queue_add_optimize_empty(queue, make(ev, *state, 3), free_queue, queue));
	assert_notes("1 2=125 3");
}

static void context_may_go_with_a_full_queue(void **state)
{
	for (int way = 0; way < 3; way++) {
		TALLOC_CTX *root = talloc_new(*state);
		struct talev_context *ev = test_context(way == 0 ? *state : root);
		struct talev_queue *queue = queue_of(ev, way == 2 ? *state : root);
		struct talev_req *req = make(ev, way == 1 ? *state : root, 1);

		talev_req_set_callback(req, note_end, NULL);
		assert_ok(talev_queue_add(queue, req, trigger, NULL));
		assert_ok(talev_queue_add(queue, make(ev, NULL, 2), trigger, NULL));
		talloc_free(way == 0 ? (void *)ev : root);
		if (way == 2)
			assert_errno(talev_queue_add(queue, req, trigger, NULL), ESTALE);
		if (way == 0)
			talloc_free(root);
	}
	assert_notes("");
}

static void ended_requests_and_dead_queues_are_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *other = test_context(*state);
	struct talev_queue *queue = queue_of(other, *state);
	struct talev_req *req = make(ev, *state, 1);

	talev_req_done(req);
	assert_errno(talev_queue_add(queue, req, trigger, NULL), ESTALE);
	talloc_free(other);
	assert_errno(talev_queue_add(queue, make(ev, *state, 2), trigger, NULL), ESTALE);
	talev_queue_start(queue);
	assert_false(talev_queue_running(queue));
}

static void waiting_holds_the_queue_until_it_is_freed(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_queue *queue = queue_of(ev, *state);
	struct talev_req *wait = talev_queue_wait_send(*state, ev, queue);

	assert_non_null(wait);
	talev_req_set_callback(wait, note_end, NULL);
	assert_errno(talev_queue_wait_recv(wait), EINPROGRESS);
	assert_ok(talev_queue_add(queue, make(ev, *state, 2), trigger, NULL));
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("0=0");
	assert_ok(talev_queue_wait_recv(wait));
	assert_ok(test_run(ev));
	assert_notes("0=0");
	talloc_free(wait);
	assert_ok(test_run(ev));
	assert_notes("0=0 2");
	wait = talev_queue_wait_send(*state, ev, queue);
	talloc_free(queue);
	assert_ok(test_run(ev));
	assert_errno(talev_queue_wait_recv(wait), ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(queue_is_a_source_with_a_name),
		TEST(requests_are_triggered_in_order_from_the_loop),
		TEST(next_one_waits_until_the_first_was_freed_or_received),
		TEST(request_that_ended_before_its_turn_is_passed_over),
		TEST(entry_that_is_freed_leaves),
		TEST(entry_without_a_trigger_blocks),
		TEST(stopped_queue_triggers_nothing),
		TEST(untriggered_entry_has_its_turn_again),
		TEST(disabled_entry_holds_up_the_queue),
		TEST(empty_queue_may_trigger_at_once),
		TEST(it_does_not_if_there_is_a_callback_or_the_queue_stands),
		TEST(trigger_at_once_may_free_its_request),
		TEST(freed_queue_cancels_those_that_wait),
		TEST(queue_may_be_freed_in_a_trigger),
		TEST(context_may_go_with_a_full_queue),
		TEST(ended_requests_and_dead_queues_are_refused),
		TEST(waiting_holds_the_queue_until_it_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
