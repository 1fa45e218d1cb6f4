/* SPDX-License-Identifier: BSD-2-Clause */
/* Points 58 to 61: queues. */
#include "points.h"

struct turn {
	const char *word;
};

static struct tevent_req *request(const char *word)
{
	struct turn *turn;
	struct tevent_req *req = tevent_req_create(root(), &turn, struct turn);

	assert_non_null(req);
	turn->word = word;
	return req;
}

static void trigger(struct tevent_req *req, void *p)
{
	struct turn *turn = tevent_req_data(req, struct turn);

	(void)p;
	note("%s", turn->word);
}

static void trigger_done(struct tevent_req *req, void *p)
{
	trigger(req, p);
	tevent_req_done(req);
}

static void trigger_free(struct tevent_req *req, void *p)
{
	trigger(req, p);
	talloc_free(req);
}

static void idle(struct tevent_context *ev)
{
	assert_int_equal(tevent_loop_wait(ev), 0);
}

static void p58_one_after_the_other(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");
	struct tevent_req *a = request("a"), *b = request("b"), *c = request("c");

	(void)state;
	assert_non_null(queue);
	assert_true(tevent_queue_running(queue));
	assert_true(tevent_queue_add(queue, ev, a, trigger, NULL));
	assert_true(tevent_queue_add(queue, ev, b, trigger, NULL));
	assert_true(tevent_queue_add(queue, ev, c, trigger, NULL));
	assert_int_equal(tevent_queue_length(queue), 3);
	assert_notes("");
	idle(ev);
	assert_notes("a");
	/* A request that is done keeps its place until it is freed. */
	tevent_req_done(a);
	idle(ev);
	assert_notes("a");
	talloc_free(a);
	assert_int_equal(tevent_queue_length(queue), 2);
	assert_notes("a");
	idle(ev);
	assert_notes("a b");
	/* The last leaves first. */
	talloc_free(c);
	talloc_free(b);
	idle(ev);
	assert_notes("a b");
	assert_int_equal(tevent_queue_length(queue), 0);
}

static void p58_freeing_the_entry_leaves_the_queue(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");
	struct tevent_queue_entry *entry;
	struct tevent_req *a = request("a");

	(void)state;
	entry = tevent_queue_add_entry(queue, ev, a, trigger, NULL);
	assert_non_null(entry);
	assert_string_equal(talloc_get_name(entry), "struct tevent_queue_entry");
	assert_string_equal(talloc_get_name(queue), "struct tevent_queue");
	assert_ptr_equal(talloc_parent(entry), a);
	tevent_queue_add(queue, ev, request("b"), trigger, NULL);
	idle(ev);
	assert_notes("a");
	talloc_free(entry);
	idle(ev);
	assert_notes("a b");
}

static void note_wait(struct tevent_req *req)
{
	note("%s%d", (char *)tevent_req_callback_data_void(req), tevent_queue_wait_recv(req));
}

static void p58_a_wait_blocks_the_queue_until_it_is_freed(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");
	struct tevent_req *wait = tevent_queue_wait_send(root(), ev, queue);

	(void)state;
	tevent_req_set_callback(wait, note_wait, "wait");
	tevent_queue_add(queue, ev, request("b"), trigger, NULL);
	idle(ev);
	assert_notes("wait1");
	assert_int_equal(tevent_queue_length(queue), 2);
	talloc_free(wait);
	idle(ev);
	assert_notes("wait1 b");
}

static void p58_the_trigger_frees_its_request(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");
	static char words[3][8];
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		snprintf(words[i], sizeof(words[i]), "r%d", i);
		tevent_queue_add(queue, ev, request(words[i]), trigger_free, NULL);
	}
	/* A turn of the loop for each. */
	once(ev);
	assert_notes("r0");
	once(ev);
	assert_notes("r0 r1");
	idle(ev);
	assert_notes("r0 r1 r2");
}

static void p58_each_is_triggered_on_its_own_context(void **state)
{
	struct tevent_context *a = context(), *b = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");

	(void)state;
	tevent_queue_add(queue, a, request("a"), trigger_free, NULL);
	tevent_queue_add(queue, b, request("b"), trigger_free, NULL);
	idle(b);
	assert_notes("");
	idle(a);
	assert_notes("a");
	idle(b);
	assert_notes("a b");
}

static void p58_without_a_trigger_it_blocks(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");
	struct tevent_req *blocker = request("blocker");

	(void)state;
	assert_non_null(tevent_queue_add_entry(queue, ev, blocker, NULL, NULL));
	tevent_queue_add(queue, ev, request("b"), trigger, NULL);
	idle(ev);
	assert_notes("");
	talloc_free(blocker);
	idle(ev);
	assert_notes("b");
}

static void p59_an_empty_queue_triggers_at_once(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");

	(void)state;
	assert_non_null(tevent_queue_add_optimize_empty(queue, ev, request("a"), trigger, NULL));
	assert_notes("a");
	assert_non_null(tevent_queue_add_optimize_empty(queue, ev, request("b"), trigger, NULL));
	assert_notes("a");
	idle(ev);
	assert_notes("a");
}

static void p59_not_when_it_is_stopped_or_watched(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");
	struct tevent_req *a = request("a"), *b = request("b");

	(void)state;
	tevent_queue_stop(queue);
	assert_non_null(tevent_queue_add_optimize_empty(queue, ev, a, trigger, NULL));
	idle(ev);
	assert_notes("");
	tevent_queue_start(queue);
	assert_notes("");
	idle(ev);
	assert_notes("a");
	talloc_free(a);
	forget_notes();
	tevent_req_set_callback(b, note_req, "callback");
	assert_non_null(tevent_queue_add_optimize_empty(queue, ev, b, trigger, NULL));
	assert_notes("");
	idle(ev);
	assert_notes("b");
}

static void p59_done_at_once_the_caller_sees_it(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");
	struct tevent_req *req = request("a");

	(void)state;
	assert_non_null(tevent_queue_add_optimize_empty(queue, ev, req, trigger_done, NULL));
	assert_notes("a");
	assert_false(tevent_req_is_in_progress(req));
	tevent_req_post(req, ev);
	tevent_req_set_callback(req, note_req, "callback");
	idle(ev);
	assert_notes("a callback");
}

static void p60_stop_and_start(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");
	struct tevent_req *a = request("a");

	(void)state;
	tevent_queue_add(queue, ev, a, trigger, NULL);
	tevent_queue_add(queue, ev, request("b"), trigger, NULL);
	/* The immediate is on its way, and finds the queue stopped. */
	tevent_queue_stop(queue);
	assert_false(tevent_queue_running(queue));
	idle(ev);
	assert_notes("");
	tevent_queue_start(queue);
	tevent_queue_start(queue);
	idle(ev);
	assert_notes("a");
	tevent_queue_stop(queue);
	talloc_free(a);
	idle(ev);
	assert_notes("a");
	tevent_queue_start(queue);
	idle(ev);
	assert_notes("a b");
}

static void p60_untrigger_arms_the_head_again(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");
	struct tevent_queue_entry *entry;

	(void)state;
	entry = tevent_queue_add_entry(queue, ev, request("a"), trigger, NULL);
	idle(ev);
	assert_notes("a");
	tevent_queue_stop(queue);
	tevent_queue_entry_untrigger(entry);
	idle(ev);
	assert_notes("a");
	tevent_queue_start(queue);
	idle(ev);
	assert_notes("a a");
}

static void untrigger(void *entry)
{
	tevent_queue_entry_untrigger(entry);
}

static void p60_untrigger_of_another_or_while_running_aborts(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");
	struct tevent_queue_entry *head, *second;

	(void)state;
	head = tevent_queue_add_entry(queue, ev, request("a"), trigger, NULL);
	second = tevent_queue_add_entry(queue, ev, request("b"), trigger, NULL);
	idle(ev);
	assert_aborts(untrigger, head);
	tevent_queue_stop(queue);
	assert_aborts(untrigger, second);
	tevent_queue_entry_untrigger(head);
}

static void p60_freeing_the_queue_frees_entries_and_no_requests(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");
	struct tevent_req *a = request("a"), *b = request("b");
	struct tevent_queue_entry *entry;

	(void)state;
	entry = tevent_queue_add_entry(queue, ev, a, trigger, NULL);
	note_when_freed(entry, "entry");
	tevent_queue_add(queue, ev, b, trigger, NULL);
	note_when_freed(a, "never");
	talloc_free(queue);
	assert_notes("entry");
	idle(ev);
	assert_notes("entry");
	assert_true(tevent_req_is_in_progress(a));
	tevent_req_done(a);
}

static void trigger_frees_queue(struct tevent_req *req, void *queue)
{
	trigger(req, NULL);
	note("free%d", talloc_free(queue));
}

static void p60_the_queue_freed_in_a_trigger(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");

	(void)state;
	tevent_queue_add(queue, ev, request("a"), trigger_frees_queue, queue);
	tevent_queue_add(queue, ev, request("b"), trigger, NULL);
	idle(ev);
	assert_notes("a free0");
}

static void trace_queue(
	struct tevent_queue_entry *entry, enum tevent_event_trace_point point, void *p)
{
	note("%s%s%d", (char *)p,
		point == TEVENT_EVENT_TRACE_ATTACH   ? "attach"
		: point == TEVENT_EVENT_TRACE_DETACH ? "detach"
						     : "before",
		(int)tevent_queue_entry_get_tag(entry));
}

static void p61_traces(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");
	struct tevent_queue_entry *entry;
	tevent_trace_queue_callback_t callback;
	struct tevent_req *a = request("a");
	void *data;

	(void)state;
	tevent_set_trace_queue_callback(ev, trace_queue, "");
	tevent_get_trace_queue_callback(ev, &callback, &data);
	assert_ptr_equal(callback, trace_queue);
	entry = tevent_queue_add_entry(queue, ev, a, trigger, NULL);
	tevent_queue_entry_set_tag(entry, 3);
	assert_notes("attach0");
	idle(ev);
	assert_notes("attach0 before3 a");
	talloc_free(a);
	assert_notes("attach0 before3 a detach3");
	assert_int_equal(tevent_queue_entry_get_tag(NULL), 0);
	tevent_queue_entry_set_tag(NULL, 1);
}

static void p61_detach_goes_to_the_context_of_the_head(void **state)
{
	struct tevent_context *a = context(), *b = context();
	struct tevent_queue *queue = tevent_queue_create(root(), "queue");
	struct tevent_req *second = request("second");

	(void)state;
	tevent_set_trace_queue_callback(a, trace_queue, "A");
	tevent_set_trace_queue_callback(b, trace_queue, "B");
	tevent_queue_add(queue, a, request("first"), trigger, NULL);
	tevent_queue_add(queue, b, second, trigger, NULL);
	assert_notes("Aattach0 Battach0");
	talloc_free(second);
	assert_notes("Aattach0 Battach0 Adetach0");
}

static const struct point_test tests[] = {
	BOTH(p58_one_after_the_other),
	BOTH(p58_freeing_the_entry_leaves_the_queue),
	BOTH(p58_a_wait_blocks_the_queue_until_it_is_freed),
	BOTH(p58_the_trigger_frees_its_request),
	BOTH(p58_each_is_triggered_on_its_own_context),
	BOTH(p58_without_a_trigger_it_blocks),
	BOTH(p59_an_empty_queue_triggers_at_once),
	BOTH(p59_not_when_it_is_stopped_or_watched),
	BOTH(p59_done_at_once_the_caller_sees_it),
	BOTH(p60_stop_and_start),
	BOTH(p60_untrigger_arms_the_head_again),
	BOTH(p60_untrigger_of_another_or_while_running_aborts),
	BOTH(p60_freeing_the_queue_frees_entries_and_no_requests),
	BOTH(p60_the_queue_freed_in_a_trigger),
	BOTH(p61_traces),
	BOTH(p61_detach_goes_to_the_context_of_the_head),
};

POINTS_MAIN(tests)
