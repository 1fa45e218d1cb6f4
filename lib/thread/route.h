/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the messages of one handle have in common, and what the handles of one door share.
 *
 * A message is an immediate on its way, and needs no memory besides: its post's ops, which are the
 * first member of a route, tell where it belongs, and private_data is the tree that goes with it.
 * Neither has a parent until it arrives.
 *
 * A message on its way counts as a reference to its route. The receiver gives back many at once, so
 * that it does not write each time to what the senders write.
 */
#ifndef THREAD_ROUTE_H
#define THREAD_ROUTE_H

#include <talev/proxy.h>
#include "event/event.h"
#include "thread/home.h"
#include "thread/mailbox.h"

struct route {
	struct core_post_ops ops;
	struct channel *channel;
	talev_thread_proxy_lost_fn_t lost;
	void *lost_private;
	struct home home;
	/* The receiver's, beside those of home: messages that have not been given back, and the
	 * list of routes that have any. */
	unsigned returned;
	SLIST_ENTRY(route) link;
	/* Also the handle's. */
	alignas(THREAD_LINE) atomic_uint refs;
};

struct channel {
	atomic_uint refs; /* of routes */
	atomic_bool closed;
	struct mailbox *mb;
	/* The receiver's. */
	alignas(THREAD_LINE) struct source *door; /* NULL once its memory went */
	void *landing;                            /* the parent of what a handler was given */
	unsigned landed;   /* messages below it: handlers run in loops that others run */
	unsigned queued;   /* messages in the queue of immediates */
	unsigned returned; /* of all routes */
	SLIST_HEAD(, route) routes;
};

/* The first route of a new channel. NULL: what mailbox_get() says. Receiver. */
struct route *route_create_door(struct talev_context *ev, struct source *door);
/* NULL: ENOMEM. Any thread that has another one. */
struct route *route_create(struct channel *channel);
/* Any thread. */
void route_ref(struct route *route);
void route_unref(struct route *route);
/* A message of it is none any more. Receiver. */
void route_return(struct route *route);
/* Nothing is held back any more. Receiver. */
void route_settle(struct channel *channel);

/* The ops of a route. */
void message_init(struct core_post_ops *ops);
/* Sends im and data, which may leave. -1: ESHUTDOWN, both are where they were. */
int message_send(struct route *route, struct talev_immediate *im, talev_immediate_handler_t handler,
	void *data, const char *where);
/* All that has been sent through the channel and has not run is lost. Receiver. */
void message_lose_all(struct channel *channel, struct talev_context *ev);

#endif
