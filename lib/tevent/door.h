/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way into a context for other threads: a stack of items that any thread may push to, and the
 * owner of the context takes all of at once. It outlives the context as long as a threaded context
 * refers to it.
 */
#ifndef TEVENT_DOOR_H
#define TEVENT_DOOR_H

#include <stdbool.h>

struct tevent_context;
struct door;

struct door_item {
	struct door_item *next;
	struct door *door; /* it is on its way through; NULL: it is not */
	/* On the owner's thread. ev is NULL if the context goes. */
	void (*arrive)(struct tevent_context *ev, struct door_item *item);
};

/* The door of ev, made when first asked for. NULL: ENOMEM, EMFILE. */
struct door *door_get(struct tevent_context *ev);
void door_ref(struct door *door);
/* The thread that owns the context, or owned it. */
void door_unref(struct door *door);
/* False: the context is gone. Any thread. */
bool door_send(struct door *door, struct door_item *item);
/* Any thread. */
bool door_is_open(struct door *door);
/* Ends the wait of the loop. Any thread. */
void door_wake(struct door *door);
/* Lets in all that waits before it. Owner's thread. */
void door_collect(struct door *door);
/* The context goes: nothing gets in any more. Owner's thread; drops its reference. */
void door_close(struct door *door);

#endif
