/* SPDX-License-Identifier: BSD-2-Clause */
#include "thread/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Messages that may be held back. */
#define RETURNS 64

static void channel_unref(struct channel *channel)
{
	if (atomic_fetch_sub_explicit(&channel->refs, 1, memory_order_acq_rel) == 1) {
		mailbox_unref(channel->mb);
		talloc_free(channel->landing);
		free(channel);
	}
}

static struct channel *channel_ref(struct channel *channel)
{
	atomic_fetch_add_explicit(&channel->refs, 1, memory_order_relaxed);
	return channel;
}

static struct channel *channel_create(struct talev_context *ev, struct source *door)
{
	struct channel *channel = aligned_alloc(THREAD_LINE, sizeof(*channel));

	if (channel == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	memset(channel, 0, sizeof(*channel));
	channel->landing = talloc_named_const(NULL, 0, "talev messages");
	if (channel->landing == NULL) {
		free(channel);
		errno = ENOMEM;
		return NULL;
	}
	channel->mb = mailbox_get(ev);
	if (channel->mb == NULL) {
		talloc_free(channel->landing);
		free(channel);
		return NULL;
	}
	atomic_init(&channel->refs, 1);
	atomic_init(&channel->closed, false);
	channel->door = door;
	SLIST_INIT(&channel->routes);
	return channel;
}

struct route *route_create(struct channel *channel)
{
	struct route *route = aligned_alloc(THREAD_LINE, sizeof(*route));

	if (route == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	memset(route, 0, sizeof(*route));
	atomic_init(&route->refs, 1);
	home_init(&route->home);
	message_init(&route->ops);
	route->channel = channel_ref(channel);
	return route;
}

struct route *route_create_door(struct talev_context *ev, struct source *door)
{
	struct channel *channel = channel_create(ev, door);
	struct route *route;

	if (channel == NULL)
		return NULL;
	route = route_create(channel);
	channel_unref(channel);
	return route;
}

static void unref(struct route *route, unsigned n)
{
	if (atomic_fetch_sub_explicit(&route->refs, n, memory_order_acq_rel) == n) {
		home_clear(&route->home);
		channel_unref(route->channel);
		free(route);
	}
}

void route_ref(struct route *route)
{
	atomic_fetch_add_explicit(&route->refs, 1, memory_order_relaxed);
}

void route_unref(struct route *route)
{
	unref(route, 1);
}

void route_settle(struct channel *channel)
{
	struct route *route;

	/* It may go with the last of them. */
	channel_ref(channel);
	channel->returned = 0;
	while ((route = SLIST_FIRST(&channel->routes)) != NULL) {
		unsigned n = route->returned;

		SLIST_REMOVE_HEAD(&channel->routes, link);
		route->returned = 0;
		home_bring(&route->home);
		unref(route, n);
	}
	channel_unref(channel);
}

void route_return(struct route *route)
{
	struct channel *channel = route->channel;

	if (route->returned++ == 0)
		SLIST_INSERT_HEAD(&channel->routes, route, link);
	if (++channel->returned >= RETURNS || channel->door == NULL)
		route_settle(channel);
}
