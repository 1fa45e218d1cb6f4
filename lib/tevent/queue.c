/* SPDX-License-Identifier: BSD-2-Clause */
/* Queues of requests: the head has been triggered, or an immediate that will do it is scheduled;
 * it holds its place until it is freed. */
#include <stdlib.h>
#include "tevent/req.h"
#include "tevent/trace.h"

#undef tevent_queue_add
#undef tevent_queue_add_entry
#undef tevent_queue_add_optimize_empty

struct tevent_queue_entry {
	TAILQ_ENTRY(tevent_queue_entry) link;
	struct tevent_queue *queue;
	struct tevent_context *ev;
	struct tevent_req *req;
	tevent_queue_trigger_fn_t trigger;
	const char *trigger_name;
	void *private_data;
	uint64_t tag;
	bool triggered;
};

struct tevent_queue {
	const char *name;
	const char *location;
	bool running;
	struct tevent_immediate *immediate;
	size_t length;
	TAILQ_HEAD(, tevent_queue_entry) entries;
};

static struct tevent_queue_entry *untriggered_head(struct tevent_queue *queue)
{
	struct tevent_queue_entry *head = TAILQ_FIRST(&queue->entries);

	if (!queue->running || head == NULL || head->triggered)
		return NULL;
	return head;
}

/* The request may be freed in it, and the entry with it. */
static void trigger(struct tevent_queue_entry *entry)
{
	entry->triggered = true;
	trace_queue(entry->ev, entry, TEVENT_EVENT_TRACE_BEFORE_HANDLER);
	depth_notify(TEVENT_CALL_FLOW_REQ_QUEUE_TRIGGER, entry->req, entry->trigger_name);
	if (entry->trigger != NULL)
		entry->trigger(entry->req, entry->private_data);
}

static void run_head(struct tevent_context *ev, struct tevent_immediate *im, void *private_data)
{
	struct tevent_queue_entry *head = untriggered_head(private_data);

	(void)ev;
	(void)im;
	if (head != NULL)
		trigger(head);
}

static void schedule_head(struct tevent_queue *queue)
{
	struct tevent_queue_entry *head = untriggered_head(queue);

	if (head != NULL)
		tevent_schedule_immediate(queue->immediate, head->ev, run_head, queue);
}

static int entry_destructor(struct tevent_queue_entry *entry)
{
	struct tevent_queue *queue = entry->queue;

	if (queue == NULL)
		return 0;
	/* tevent tells the context of the head. */
	trace_queue(TAILQ_FIRST(&queue->entries)->ev, entry, TEVENT_EVENT_TRACE_DETACH);
	depth_notify(TEVENT_CALL_FLOW_REQ_QUEUE_LEAVE, entry->req, entry->trigger_name);
	TAILQ_REMOVE(&queue->entries, entry, link);
	queue->length--;
	entry->queue = NULL;
	schedule_head(queue);
	return 0;
}

static int queue_destructor(struct tevent_queue *queue)
{
	struct tevent_queue_entry *entry;

	queue->running = false;
	while ((entry = TAILQ_FIRST(&queue->entries)) != NULL)
		talloc_free(entry);
	return 0;
}

struct tevent_queue *_tevent_queue_create(
	TALLOC_CTX *mem_ctx, const char *name, const char *location)
{
	struct tevent_queue *queue = talloc_zero(mem_ctx, struct tevent_queue);

	if (queue == NULL)
		return NULL;
	queue->name = talloc_strdup(queue, name);
	queue->immediate = _tevent_create_immediate(queue, location);
	if (queue->name == NULL || queue->immediate == NULL) {
		talloc_free(queue);
		return NULL;
	}
	queue->location = location;
	queue->running = true;
	TAILQ_INIT(&queue->entries);
	talloc_set_destructor(queue, queue_destructor);
	return queue;
}

static struct tevent_queue_entry *add(struct tevent_queue *queue, struct tevent_context *ev,
	struct tevent_req *req, tevent_queue_trigger_fn_t fn, const char *fn_name,
	void *private_data, bool at_once)
{
	struct tevent_queue_entry *entry = talloc_zero(req, struct tevent_queue_entry);

	if (entry == NULL)
		return NULL;
	entry->queue = queue;
	entry->ev = ev;
	entry->req = req;
	entry->trigger = fn;
	entry->trigger_name = fn_name;
	entry->private_data = private_data;
	/* A callback that is set already must not be called inside of this. */
	at_once = at_once && queue->running && queue->length == 0 && req->fn == NULL;
	TAILQ_INSERT_TAIL(&queue->entries, entry, link);
	queue->length++;
	talloc_set_destructor(entry, entry_destructor);
	trace_queue(ev, entry, TEVENT_EVENT_TRACE_ATTACH);
	depth_notify(TEVENT_CALL_FLOW_REQ_QUEUE_ENTER, req, fn_name);
	if (at_once)
		trigger(entry);
	else
		schedule_head(queue);
	return entry;
}

bool _tevent_queue_add(struct tevent_queue *queue, struct tevent_context *ev,
	struct tevent_req *req, tevent_queue_trigger_fn_t fn, const char *trigger_name,
	void *private_data)
{
	return add(queue, ev, req, fn, trigger_name, private_data, false) != NULL;
}

bool tevent_queue_add(struct tevent_queue *queue, struct tevent_context *ev, struct tevent_req *req,
	tevent_queue_trigger_fn_t fn, void *private_data)
{
	return add(queue, ev, req, fn, NULL, private_data, false) != NULL;
}

struct tevent_queue_entry *_tevent_queue_add_entry(struct tevent_queue *queue,
	struct tevent_context *ev, struct tevent_req *req, tevent_queue_trigger_fn_t fn,
	const char *trigger_name, void *private_data)
{
	return add(queue, ev, req, fn, trigger_name, private_data, false);
}

struct tevent_queue_entry *tevent_queue_add_entry(struct tevent_queue *queue,
	struct tevent_context *ev, struct tevent_req *req, tevent_queue_trigger_fn_t fn,
	void *private_data)
{
	return add(queue, ev, req, fn, NULL, private_data, false);
}

struct tevent_queue_entry *_tevent_queue_add_optimize_empty(struct tevent_queue *queue,
	struct tevent_context *ev, struct tevent_req *req, tevent_queue_trigger_fn_t fn,
	const char *trigger_name, void *private_data)
{
	return add(queue, ev, req, fn, trigger_name, private_data, true);
}

struct tevent_queue_entry *tevent_queue_add_optimize_empty(struct tevent_queue *queue,
	struct tevent_context *ev, struct tevent_req *req, tevent_queue_trigger_fn_t fn,
	void *private_data)
{
	return add(queue, ev, req, fn, NULL, private_data, true);
}

void tevent_queue_entry_untrigger(struct tevent_queue_entry *entry)
{
	if (entry->queue->running || TAILQ_FIRST(&entry->queue->entries) != entry)
		abort();
	entry->triggered = false;
}

void tevent_queue_start(struct tevent_queue *queue)
{
	if (queue->running)
		return;
	queue->running = true;
	schedule_head(queue);
}

void tevent_queue_stop(struct tevent_queue *queue)
{
	queue->running = false;
}

size_t tevent_queue_length(struct tevent_queue *queue)
{
	return queue->length;
}

bool tevent_queue_running(struct tevent_queue *queue)
{
	return queue->running;
}

void tevent_queue_entry_set_tag(struct tevent_queue_entry *qe, uint64_t tag)
{
	if (qe != NULL)
		qe->tag = tag;
}

uint64_t tevent_queue_entry_get_tag(const struct tevent_queue_entry *qe)
{
	return qe != NULL ? qe->tag : 0;
}

struct tevent_queue_wait_state {
	uint8_t unused;
};

static void its_turn(struct tevent_req *req, void *private_data)
{
	(void)private_data;
	tevent_req_done(req);
}

struct tevent_req *tevent_queue_wait_send(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev, struct tevent_queue *queue)
{
	struct tevent_queue_wait_state *state;
	struct tevent_req *req = tevent_req_create(mem_ctx, &state, struct tevent_queue_wait_state);

	if (req == NULL)
		return NULL;
	if (tevent_queue_add(queue, ev, req, its_turn, NULL))
		return req;
	tevent_req_oom(req);
	return tevent_req_post(req, ev);
}

bool tevent_queue_wait_recv(struct tevent_req *req)
{
	enum tevent_req_state state;
	uint64_t error;
	bool failed = tevent_req_is_error(req, &state, &error);

	tevent_req_received(req);
	return !failed;
}
