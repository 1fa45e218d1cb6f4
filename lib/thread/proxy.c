/* SPDX-License-Identifier: BSD-2-Clause */
/* Thread proxies: the doors, the handles, and what may go through them. */
#include "thread/thread.h"

#include <errno.h>
#include "thread/route.h"

struct talev_thread_proxy {
	struct source src;
	char apart[THREAD_LINE]; /* the receiver counts its calls in src, who sends reads route */
	struct route *route;
	bool is_door; /* the one that the owner of the loop made; else a handle to it */
};

static struct talev_thread_proxy *proxy_of(struct source *src)
{
	return (struct talev_thread_proxy *)src;
}

static struct channel *channel_of(const struct talev_thread_proxy *tp)
{
	return tp->route->channel;
}

static void proxy_disarm(struct source *src)
{
	if (proxy_of(src)->route != NULL)
		atomic_store_explicit(
			&channel_of(proxy_of(src))->closed, true, memory_order_release);
	core_release(src->ev);
}

static void proxy_closed(struct source *src, struct talev_context *ev)
{
	struct talev_thread_proxy *tp = proxy_of(src);
	struct route *route;

	if (tp->route == NULL)
		return;
	/* A function that is told of a loss may free tp. */
	route = tp->route;
	route_ref(route);
	message_lose_all(route->channel, ev);
	route_unref(route);
}

/* Who was sending while the door closed may have got through. It has been waited for by now, if the
 * code that its message needs is to go next: so once more. */
static void proxy_destroy(struct source *src)
{
	struct talev_thread_proxy *tp = proxy_of(src);
	struct channel *channel;

	if (tp->route == NULL)
		return;
	if (tp->is_door) {
		channel = channel_of(tp);
		message_lose_all(channel, mailbox_context(channel->mb));
		channel->door = NULL;
		route_settle(channel);
	}
	route_unref(tp->route);
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
	tp->route = route_create_door(ev, &tp->src);
	if (tp->route == NULL) {
		int error = errno;

		talloc_free(tp);
		errno = error;
		return NULL;
	}
	tp->is_door = true;
	return tp;
}

struct talev_thread_proxy *_talev_thread_proxy_attach(
	TALLOC_CTX *mem_ctx, struct talev_thread_proxy *tp, const char *where)
{
	struct talev_thread_proxy *handle;

	handle = source_create(NULL, mem_ctx, sizeof(*handle), &proxy_kind, NULL, where);
	if (handle == NULL)
		return NULL;
	handle->route = route_create(channel_of(tp));
	if (handle->route == NULL) {
		talloc_free(handle);
		errno = ENOMEM;
		return NULL;
	}
	return handle;
}

int talev_thread_proxy_set_lost_fn(
	struct talev_thread_proxy *tp, talev_thread_proxy_lost_fn_t fn, void *private_data)
{
	struct route *route;

	if (tp == NULL) {
		errno = EINVAL;
		return -1;
	}
	route = tp->route;
	/* What has been sent through it keeps the function of that time. */
	if (atomic_load_explicit(&route->refs, memory_order_acquire) > 1) {
		route = route_create(route->channel);
		if (route == NULL)
			return -1;
		route_unref(tp->route);
		tp->route = route;
	}
	route->lost = fn;
	route->lost_private = private_data;
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

int _talev_thread_proxy_schedule(struct talev_thread_proxy *tp, struct talev_immediate **im,
	talev_immediate_handler_t handler, void *private_ptr, const char *where)
{
	void **data = private_ptr;
	void *tree = data != NULL ? *data : NULL;

	if (tp == NULL || im == NULL || *im == NULL || handler == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (atomic_load_explicit(&channel_of(tp)->closed, memory_order_acquire)) {
		errno = ESHUTDOWN;
		return -1;
	}
	mailbox_prefetch(channel_of(tp)->mb);
	if (talev_cancel_immediate(*im) != 0 || !thread_may_cross(*im) || !thread_may_cross(tree))
		return -1;
	if (message_send(tp->route, *im, handler, tree, where) != 0)
		return -1;
	*im = NULL;
	if (data != NULL)
		*data = NULL;
	return 0;
}
