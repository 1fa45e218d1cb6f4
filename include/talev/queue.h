/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_QUEUE_H
#define TALEV_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>
#include <talev/request.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Lets requests go one after the other, in the order they were added: each begins when its
 * trigger is called, and the next one's turn comes when it was received or freed. Queues and
 * entries are sources; a disabled entry holds up those behind it. All of these are for the thread
 * of the context. */
struct talev_queue;

/* The place of one request in a queue. Freed with its request, or earlier to leave the queue. */
struct talev_queue_entry;

typedef void (*talev_queue_trigger_t)(struct talev_req *req, void *private_data);

/* A running queue. name is copied; NULL: none. When it is freed, requests whose trigger has not
 * been called end with ECANCELED, from the loop. NULL: EINVAL, ENOMEM, ESHUTDOWN, ESTALE. */
struct talev_queue *_talev_queue_create(
	struct talev_context *ev, TALLOC_CTX *mem_ctx, const char *name, const char *where);
#define talev_queue_create(ev, mem_ctx, name)                                                      \
	_talev_queue_create(ev, mem_ctx, name, TALEV_WHERE(queue))

/* trigger(req, private_data) is called from the loop when it is the turn of req, unless req has
 * ended by then. trigger NULL: req only holds its place. -1: ESTALE req has ended or its context
 * or the queue is gone, ENOMEM. */
int _talev_queue_add(struct talev_queue *queue, struct talev_req *req,
	talev_queue_trigger_t trigger, void *private_data, const char *where);
#define talev_queue_add(queue, req, trigger, private_data)                                         \
	_talev_queue_add(queue, req, trigger, private_data, TALEV_WHERE(trigger))

/* The same; NULL on failure. */
struct talev_queue_entry *_talev_queue_add_entry(struct talev_queue *queue, struct talev_req *req,
	talev_queue_trigger_t trigger, void *private_data, const char *where);
#define talev_queue_add_entry(queue, req, trigger, private_data)                                   \
	_talev_queue_add_entry(queue, req, trigger, private_data, TALEV_WHERE(trigger))

/* The same, but if the queue is empty and running and req has no callback yet, trigger is called
 * before this returns. NULL with ESTALE also if that has freed or received req. */
struct talev_queue_entry *_talev_queue_add_optimize_empty(struct talev_queue *queue,
	struct talev_req *req, talev_queue_trigger_t trigger, void *private_data,
	const char *where);
#define talev_queue_add_optimize_empty(queue, req, trigger, private_data)                          \
	_talev_queue_add_optimize_empty(queue, req, trigger, private_data, TALEV_WHERE(trigger))

/* The trigger of the first entry will be called again, after talev_queue_start(). -1: EINVAL the
 * queue runs, or it is not an entry whose trigger was called. */
int talev_queue_entry_untrigger(struct talev_queue_entry *entry);

/* No further trigger is called until it is started; what is under way goes on. */
void talev_queue_stop(struct talev_queue *queue);
void talev_queue_start(struct talev_queue *queue);
bool talev_queue_running(const struct talev_queue *queue);

/* How many entries it has, the one under way included. */
size_t talev_queue_length(const struct talev_queue *queue);

/* A request that is done when its turn comes, and holds the queue until it is freed. NULL: EINVAL,
 * ENOMEM, ESHUTDOWN, ESTALE. */
struct talev_req *talev_queue_wait_send(
	TALLOC_CTX *mem_ctx, struct talev_context *ev, struct talev_queue *queue);

/* 0 if it is its turn; -1: the error. Does not end the turn. */
int talev_queue_wait_recv(struct talev_req *req);

#ifdef __cplusplus
}
#endif

#endif
