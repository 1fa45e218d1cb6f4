/* SPDX-License-Identifier: BSD-2-Clause */
/* What other threads may ask of a loop. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include "tevent/event.h"

struct tevent_threaded_context {
	struct door *door;
};

static int threaded_destructor(struct tevent_threaded_context *tctx)
{
	door_unref(tctx->door);
	return 0;
}

struct tevent_threaded_context *tevent_threaded_context_create(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev)
{
	struct tevent_context *main_ev = context_main(ev);
	struct tevent_threaded_context *tctx;

	if (main_ev == NULL || main_ev->loop == NULL) {
		errno = EINVAL;
		return NULL;
	}
	tctx = talloc_zero(mem_ctx, struct tevent_threaded_context);
	if (tctx == NULL)
		return NULL;
	tctx->door = door_get(main_ev);
	if (tctx->door == NULL) {
		talloc_free(tctx);
		return NULL;
	}
	door_ref(tctx->door);
	talloc_set_destructor(tctx, threaded_destructor);
	return tctx;
}

static struct tevent_immediate *immediate_of(struct door_item *item)
{
	return (struct tevent_immediate *)((char *)item - offsetof(struct tevent_immediate, item));
}

static void immediate_arrives(struct tevent_context *ev, struct door_item *item)
{
	struct tevent_immediate *im = immediate_of(item);

	if (ev != NULL)
		immediate_schedule(im, ev, im->handler, im->e.private_data, im->e.handler_name,
			im->e.location);
}

void _tevent_threaded_schedule_immediate(struct tevent_threaded_context *tctx,
	struct tevent_immediate *im, tevent_immediate_handler_t handler, void *private_data,
	const char *handler_name, const char *location)
{
	/* Mistakes that tell of two threads at work on one immediate. */
	if (im->place != IMMEDIATE_IDLE || im->item.door != NULL || im->e.busy > 0 ||
		im->e.destroyed || handler == NULL)
		abort();
	im->handler = handler;
	im->e.private_data = private_data;
	im->e.handler_name = handler_name;
	im->e.location = location;
	im->item.arrive = immediate_arrives;
	door_send(tctx->door, &im->item);
}

struct tevent_thread_proxy {
	struct tevent_context *ev; /* NULL: gone */
	struct door *door;
	LIST_ENTRY(tevent_thread_proxy) link;
};

/* A message. On its way it is off every tree, then the proxy's. */
struct message {
	struct door_item item;
	struct tevent_thread_proxy *tp;
	struct tevent_immediate *im;
	tevent_immediate_handler_t handler;
	void *private_data;
	bool *gone; /* its handler runs, and wants to know */
};

static int message_destructor(struct message *message)
{
	if (message->gone != NULL)
		*message->gone = true;
	return 0;
}

/* What the handler has not stolen goes with the message. */
static void run_message(struct tevent_context *ev, struct tevent_immediate *im, void *private_data)
{
	struct message *message = private_data;
	bool gone = false;

	message->gone = &gone;
	message->handler(ev, im, message->private_data);
	if (gone)
		return;
	message->gone = NULL;
	talloc_free(message);
}

static void message_arrives(struct tevent_context *ev, struct door_item *item)
{
	struct message *message = (struct message *)item;

	if (ev == NULL) {
		talloc_free(message);
		return;
	}
	talloc_steal(message->tp, message);
	immediate_schedule(message->im, ev, run_message, message, message->im->e.handler_name,
		message->im->e.location);
}

static int proxy_destructor(struct tevent_thread_proxy *tp)
{
	/* What is on its way is ours, and goes with us. */
	if (door_is_open(tp->door)) {
		door_collect(tp->door);
		tp->ev->proxies--;
	}
	door_unref(tp->door);
	return 0;
}

struct tevent_thread_proxy *tevent_thread_proxy_create(struct tevent_context *dest_ev_ctx)
{
	struct tevent_thread_proxy *tp;

	if (dest_ev_ctx->wrapper != NULL) {
		debug_message(dest_ev_ctx, TEVENT_DEBUG_FATAL, "%s() is not for a wrapper context",
			__func__);
		errno = EINVAL;
		return NULL;
	}
	if (dest_ev_ctx->loop == NULL) {
		errno = EINVAL;
		return NULL;
	}
	tp = talloc_zero(dest_ev_ctx, struct tevent_thread_proxy);
	if (tp == NULL)
		return NULL;
	tp->door = door_get(dest_ev_ctx);
	if (tp->door == NULL) {
		talloc_free(tp);
		return NULL;
	}
	door_ref(tp->door);
	tp->ev = dest_ev_ctx;
	tp->ev->proxies++;
	talloc_set_destructor(tp, proxy_destructor);
	return tp;
}

void tevent_thread_proxy_schedule(struct tevent_thread_proxy *tp, struct tevent_immediate **pp_im,
	tevent_immediate_handler_t handler, void *pp_private_data)
{
	void **pp = pp_private_data;
	struct message *message;

	if (!door_is_open(tp->door))
		return;
	message = talloc_zero(NULL, struct message);
	if (message == NULL)
		return;
	message->tp = tp;
	message->item.arrive = message_arrives;
	message->handler = handler;
	/* It may be the one whose handler this is. */
	immediate_forget(*pp_im);
	message->im = talloc_move(message, pp_im);
	if (pp != NULL)
		message->private_data = talloc_move(message, pp);
	talloc_set_destructor(message, message_destructor);
	if (!door_send(tp->door, &message->item))
		talloc_free(message);
}
