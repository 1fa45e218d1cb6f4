/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queues. An entry is a talloc child of its request, so it leaves the queue when the request is
 * freed; and a source of its own, posted as an immediate when its turn has come. Only the first
 * entry is ever posted or triggered.
 */
#include "request/req.h"

#include <errno.h>
#include <talev/queue.h>

TAILQ_HEAD(entry_list, talev_queue_entry);

struct talev_queue {
	struct source src;
	struct entry_list entries;
	size_t length;
	bool running;
};

struct talev_queue_entry {
	struct source src;
	struct talev_queue *queue; /* NULL: it has left */
	struct talev_req *req;
	TAILQ_ENTRY(talev_queue_entry) link;
	talev_queue_trigger_t trigger;
	bool triggered;
};

static struct talev_queue_entry *entry_of(struct source *src)
{
	return (struct talev_queue_entry *)src;
}

/* The first one's turn. */
static void advance(struct talev_queue *queue)
{
	struct talev_queue_entry *first = TAILQ_FIRST(&queue->entries);

	if (first != NULL && queue->running && !first->triggered)
		core_post(&first->src);
}

static void leave(struct talev_queue_entry *entry)
{
	struct talev_queue *queue = entry->queue;
	bool first;

	if (queue == NULL)
		return;
	first = TAILQ_FIRST(&queue->entries) == entry;
	TAILQ_REMOVE(&queue->entries, entry, link);
	queue->length--;
	entry->queue = NULL;
	if (first)
		advance(queue);
}

static void entry_disarm(struct source *src)
{
	leave(entry_of(src));
}

static void call_trigger(struct source *src)
{
	struct talev_queue_entry *entry = entry_of(src);

	entry->trigger(entry->req, src->private_data);
}

static void entry_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	struct talev_queue_entry *entry = entry_of(src);

	(void)flags;
	(void)now;
	core_unpost(src);
	if (!req_in_progress(entry->req)) {
		leave(entry);
		return;
	}
	entry->triggered = true;
	if (entry->trigger != NULL)
		call_trigger(src);
}

static void entry_enable(struct source *src)
{
	core_immediate_hold(src, !src->enabled);
}

static void entry_describe(const struct source *src, struct talev_source_info *info)
{
	info->armed = src->place == PLACE_IMMEDIATE;
}

static const struct source_kind entry_kind = {
	.type = "struct talev_queue_entry",
	.label = "queue entry",
	.disarm = entry_disarm,
	.fire = entry_fire,
	.enable = entry_enable,
	.describe = entry_describe,
};

/* Who would wait for ever must be told, but nothing of the user's may run here. */
static void queue_disarm(struct source *src)
{
	struct talev_queue *queue = (struct talev_queue *)src;
	struct talev_queue_entry *entry;

	queue->running = false;
	while ((entry = TAILQ_FIRST(&queue->entries)) != NULL) {
		core_unpost(&entry->src);
		leave(entry);
		if (!entry->triggered && entry->trigger != NULL)
			request_dismiss(entry->req, "a queue that was freed");
	}
}

static const struct source_kind queue_kind = {
	.type = "struct talev_queue",
	.label = "queue",
	.disarm = queue_disarm,
};

struct talev_queue *_talev_queue_create(
	struct talev_context *ev, TALLOC_CTX *mem_ctx, const char *name, const char *where)
{
	struct talev_queue *queue;

	if (ev == NULL) {
		errno = EINVAL;
		return NULL;
	}
	queue = source_create(ev, mem_ctx, sizeof(*queue), &queue_kind, NULL, where);
	if (queue == NULL)
		return NULL;
	TAILQ_INIT(&queue->entries);
	queue->running = true;
	if (name != NULL && talev_source_set_name(queue, name) != 0) {
		talloc_free(queue);
		errno = ENOMEM;
		return NULL;
	}
	return queue;
}

static struct talev_queue_entry *join(struct talev_queue *queue, struct talev_req *req,
	talev_queue_trigger_t trigger, void *private_data, const char *where)
{
	struct talev_queue_entry *entry;

	if (source_check(&queue->src) != 0 || source_check(&req->ts.src) != 0)
		return NULL;
	if (!req_in_progress(req)) {
		errno = ESTALE;
		return NULL;
	}
	entry = source_create(
		req->ts.src.ev, req, sizeof(*entry), &entry_kind, private_data, where);
	if (entry == NULL)
		return NULL;
	entry->queue = queue;
	entry->req = req;
	entry->trigger = trigger;
	TAILQ_INSERT_TAIL(&queue->entries, entry, link);
	queue->length++;
	return entry;
}

struct talev_queue_entry *_talev_queue_add_entry(struct talev_queue *queue, struct talev_req *req,
	talev_queue_trigger_t trigger, void *private_data, const char *where)
{
	struct talev_queue_entry *entry = join(queue, req, trigger, private_data, where);

	if (entry != NULL && queue->length == 1)
		advance(queue);
	return entry;
}

int _talev_queue_add(struct talev_queue *queue, struct talev_req *req,
	talev_queue_trigger_t trigger, void *private_data, const char *where)
{
	return _talev_queue_add_entry(queue, req, trigger, private_data, where) != NULL ? 0 : -1;
}

struct talev_queue_entry *_talev_queue_add_optimize_empty(struct talev_queue *queue,
	struct talev_req *req, talev_queue_trigger_t trigger, void *private_data, const char *where)
{
	struct talev_queue_entry *entry;

	if (queue->length > 0 || !queue->running || req->fn != NULL || trigger == NULL)
		return _talev_queue_add_entry(queue, req, trigger, private_data, where);
	entry = join(queue, req, trigger, private_data, where);
	if (entry == NULL)
		return NULL;
	entry->triggered = true;
	if (!core_call(&entry->src, call_trigger)) {
		errno = ESTALE;
		return NULL;
	}
	return entry;
}

int talev_queue_entry_untrigger(struct talev_queue_entry *entry)
{
	if (entry->queue == NULL || entry->queue->running || !entry->triggered) {
		errno = EINVAL;
		return -1;
	}
	entry->triggered = false;
	return 0;
}

void talev_queue_stop(struct talev_queue *queue)
{
	struct talev_queue_entry *first = TAILQ_FIRST(&queue->entries);

	queue->running = false;
	if (first != NULL)
		core_unpost(&first->src);
}

void talev_queue_start(struct talev_queue *queue)
{
	if (queue->running || source_check(&queue->src) != 0)
		return;
	queue->running = true;
	advance(queue);
}

bool talev_queue_running(const struct talev_queue *queue)
{
	return queue->running;
}

size_t talev_queue_length(const struct talev_queue *queue)
{
	return queue->length;
}

struct wait_state {
	char none;
};

static void wait_turn(struct talev_req *req, void *private_data)
{
	(void)private_data;
	talev_req_done(req);
}

struct talev_req *talev_queue_wait_send(
	TALLOC_CTX *mem_ctx, struct talev_context *ev, struct talev_queue *queue)
{
	struct wait_state *state;
	struct talev_req *req = talev_req_create(ev, mem_ctx, &state, struct wait_state);

	if (req == NULL)
		return NULL;
	if (talev_queue_add(queue, req, wait_turn, NULL) != 0) {
		int error = errno;

		talloc_free(req);
		errno = error;
		return NULL;
	}
	return req;
}

/* Not received: that would free the entry, and end the turn. */
int talev_queue_wait_recv(struct talev_req *req)
{
	uint64_t error;

	if (!talev_req_is_error(req, NULL, &error))
		return 0;
	errno = (int)error;
	return -1;
}
