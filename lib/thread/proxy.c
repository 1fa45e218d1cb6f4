/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Thread proxies: an immediate and a talloc tree change their owner.
 *
 * A message is a source of its own and the talloc parent of what it carries, so that its loop can
 * queue and run it like an immediate, and frees with it whatever the handler did not take.
 */
#include "thread/thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <talev/proxy.h>
#include "event/event.h"

TAILQ_HEAD(messages, message);

/* What all handles of one proxy share. */
struct channel {
	atomic_uint refs;
	atomic_bool closed;
	struct mailbox *mb;
	struct talev_thread_proxy *door; /* owner's; NULL once its memory went */
	struct messages queued;          /* owner's: out of the mailbox, not run yet */
};

struct talev_thread_proxy {
	struct source src;
	struct channel *channel;
	bool is_door; /* the one that the owner of the loop made; else a handle to it */
	talev_thread_proxy_lost_fn_t lost;
	void *lost_private;
};

struct message {
	struct source src; /* private_data: the tree */
	struct core_post post;
	TAILQ_ENTRY(message) link;
	bool queued;
	struct channel *channel;
	struct talev_immediate *im;
	talev_immediate_handler_t handler;
	talev_thread_proxy_lost_fn_t lost;
	void *lost_private;
};

static void channel_unref(struct channel *channel)
{
	if (atomic_fetch_sub_explicit(&channel->refs, 1, memory_order_acq_rel) == 1) {
		mailbox_unref(channel->mb);
		free(channel);
	}
}

static struct channel *channel_ref(struct channel *channel)
{
	atomic_fetch_add_explicit(&channel->refs, 1, memory_order_relaxed);
	return channel;
}

static bool channel_closed(const struct channel *channel)
{
	return atomic_load_explicit(&channel->closed, memory_order_acquire);
}

static struct channel *channel_create(struct talev_context *ev)
{
	struct channel *channel = malloc(sizeof(*channel));

	if (channel == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	channel->mb = mailbox_get(ev);
	if (channel->mb == NULL) {
		free(channel);
		return NULL;
	}
	atomic_init(&channel->refs, 1);
	atomic_init(&channel->closed, false);
	channel->door = NULL;
	TAILQ_INIT(&channel->queued);
	return channel;
}

static struct message *message_of(struct source *src)
{
	return (struct message *)src;
}

static void tell_lost(struct message *msg)
{
	if (msg->lost != NULL)
		msg->lost(msg->src.private_data, msg->lost_private);
}

static void unqueue(struct message *msg)
{
	core_immediate_unqueue(&msg->src);
	if (msg->queued)
		TAILQ_REMOVE(&msg->channel->queued, msg, link);
	msg->queued = false;
}

static void message_disarm(struct source *src)
{
	unqueue(message_of(src));
}

/* The context closes with the message in its queue. */
static void message_closed(struct source *src, struct talev_context *ev)
{
	(void)ev;
	tell_lost(message_of(src));
	talloc_free(src);
}

/* A handler of a message is one of the door: what ends with the door waits until it returned. */
static void message_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	struct message *msg = message_of(src);
	struct talev_context *ev = src->ev;
	struct life_frame frame;

	(void)flags;
	(void)now;
	unqueue(msg);
	if (channel_closed(msg->channel)) {
		tell_lost(msg);
		return;
	}
	msg->channel->door->src.calls++;
	(void)life_enter(&frame, life_innermost()->life, &msg->channel->door->src.life);
	msg->handler(ev, msg->im, src->private_data);
	life_leave(&frame);
}

static bool message_fired(struct source *src)
{
	talloc_free(src);
	return false;
}

static void message_destroy(struct source *src)
{
	channel_unref(message_of(src)->channel);
}

static const struct source_kind message_kind = {
	.type = "struct talev_message",
	.label = "message",
	.disarm = message_disarm,
	.closed = message_closed,
	.fire = message_fire,
	.fired = message_fired,
	.destroy = message_destroy,
};

static struct message *message_of_post(struct core_post *post)
{
	return (struct message *)((char *)post - offsetof(struct message, post));
}

static void deliver(struct talev_context *ev, struct core_post *post)
{
	struct message *msg = message_of_post(post);

	TAILQ_INSERT_TAIL(&msg->channel->queued, msg, link);
	msg->queued = true;
	core_immediate_queue(&msg->src, ev);
}

static void drop(struct talev_context *ev, struct core_post *post)
{
	message_closed(&message_of_post(post)->src, ev);
}

static const struct core_post_ops message_ops = {.deliver = deliver, .drop = drop};

static struct talev_thread_proxy *proxy_of(struct source *src)
{
	return (struct talev_thread_proxy *)src;
}

static bool is_through(const struct core_post *post, const void *channel)
{
	return post->ops == &message_ops &&
	       message_of_post((struct core_post *)(uintptr_t)post)->channel == channel;
}

/* Loses all that has been sent and has not run. What a lost message's function does may close the
 * context, and with it what is still queued. */
static void lose_all(struct channel *channel, struct talev_context *ev)
{
	struct core_post *post = mailbox_take_back(channel->mb, is_through, channel);
	struct message *msg;

	channel_ref(channel);
	while ((msg = TAILQ_FIRST(&channel->queued)) != NULL)
		source_close(&msg->src, NULL);
	while (post != NULL) {
		struct core_post *next = post->next;

		drop(ev, post);
		post = next;
	}
	channel_unref(channel);
}

static void proxy_disarm(struct source *src)
{
	if (proxy_of(src)->channel != NULL)
		atomic_store_explicit(&proxy_of(src)->channel->closed, true, memory_order_release);
	core_release(src->ev);
}

static void proxy_closed(struct source *src, struct talev_context *ev)
{
	if (proxy_of(src)->channel != NULL)
		lose_all(proxy_of(src)->channel, ev);
}

/* Who was sending while the door closed may have got through. It has been waited for by now, if the
 * code that its message needs is to go next: so once more. */
static void proxy_destroy(struct source *src)
{
	struct channel *channel = proxy_of(src)->channel;

	if (channel == NULL)
		return;
	if (proxy_of(src)->is_door) {
		lose_all(channel, mailbox_context(channel->mb));
		channel->door = NULL;
	}
	channel_unref(channel);
}

static const struct source_kind proxy_kind = {
	.type = "struct talev_thread_proxy",
	.label = "proxy",
	.disarm = proxy_disarm,
	.closed = proxy_closed,
	.destroy = proxy_destroy,
};

struct talev_thread_proxy *_talev_thread_proxy_create(
	struct talev_context *ev, TALLOC_CTX *mem_ctx, const char *where)
{
	struct talev_thread_proxy *tp;

	if (core_usable(ev) == NULL)
		return NULL;
	tp = source_create(ev, mem_ctx, sizeof(*tp), &proxy_kind, NULL, where);
	if (tp == NULL)
		return NULL;
	core_hold(ev);
	tp->channel = channel_create(ev);
	if (tp->channel == NULL) {
		int error = errno;

		talloc_free(tp);
		errno = error;
		return NULL;
	}
	tp->channel->door = tp;
	tp->is_door = true;
	return tp;
}

struct talev_thread_proxy *_talev_thread_proxy_attach(
	TALLOC_CTX *mem_ctx, struct talev_thread_proxy *tp, const char *where)
{
	struct talev_thread_proxy *handle;

	handle = source_create(NULL, mem_ctx, sizeof(*handle), &proxy_kind, NULL, where);
	if (handle != NULL)
		handle->channel = channel_ref(tp->channel);
	return handle;
}

int talev_thread_proxy_set_lost_fn(
	struct talev_thread_proxy *tp, talev_thread_proxy_lost_fn_t fn, void *private_data)
{
	if (tp == NULL) {
		errno = EINVAL;
		return -1;
	}
	tp->lost = fn;
	tp->lost_private = private_data;
	return 0;
}

/* What must not cross: a chunk that somebody else refers to, and what a loop here refers to. */
static void look_at(const void *ptr, int depth, int max_depth, int is_ref, void *private_data)
{
	bool *may_cross = private_data;

	(void)depth;
	(void)max_depth;
	if (is_ref || talloc_reference_count(ptr) > 0 || !source_may_leave(ptr))
		*may_cross = false;
}

bool thread_may_cross(const void *ptr)
{
	bool may = true;

	if (ptr != NULL)
		talloc_report_depth_cb(ptr, 0, -1, look_at, &may);
	if (!may)
		errno = EINVAL;
	return may;
}

static struct message *message_create(const struct talev_thread_proxy *tp,
	talev_immediate_handler_t handler, void *data, const char *where)
{
	struct message *msg;

	msg = source_create(NULL, NULL, sizeof(*msg), &message_kind, data, where);
	if (msg == NULL)
		return NULL;
	msg->post.ops = &message_ops;
	msg->channel = channel_ref(tp->channel);
	msg->handler = handler;
	msg->lost = tp->lost;
	msg->lost_private = tp->lost_private;
	return msg;
}

static int send_message(
	struct message *msg, struct talev_immediate *im, void *data, struct mailbox *mb)
{
	void *im_parent = talloc_parent(im);
	void *data_parent = data != NULL ? talloc_parent(data) : NULL;

	msg->im = talloc_steal(msg, im);
	if (data != NULL)
		talloc_steal(msg, data);
	if (mailbox_send(mb, &msg->post) == 0)
		return 0;
	talloc_steal(im_parent, im);
	if (data != NULL)
		talloc_steal(data_parent, data);
	talloc_free(msg);
	errno = ESHUTDOWN;
	return -1;
}

int _talev_thread_proxy_schedule(struct talev_thread_proxy *tp, struct talev_immediate **im,
	talev_immediate_handler_t handler, void *private_ptr, const char *where)
{
	void **data = private_ptr;
	void *tree = data != NULL ? *data : NULL;
	struct message *msg;

	if (tp == NULL || im == NULL || *im == NULL || handler == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (channel_closed(tp->channel)) {
		errno = ESHUTDOWN;
		return -1;
	}
	if (talev_cancel_immediate(*im) != 0 || !thread_may_cross(*im) || !thread_may_cross(tree))
		return -1;
	msg = message_create(tp, handler, tree, where);
	if (msg == NULL || send_message(msg, *im, tree, tp->channel->mb) != 0)
		return -1;
	*im = NULL;
	if (data != NULL)
		*data = NULL;
	return 0;
}
