/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Senders push, the owner takes all in one exchange and turns the order round, so that what was
 * sent first arrives first. No lock: a fork(2) in the middle finds none held.
 *
 * The stack is looked at before every unit of work; what has to be woken is only a loop that
 * waits. That is one talev immediate, scheduled through a talev threaded context, by whichever
 * sender finds that it is not on its way already.
 */
#include "tevent/door.h"

#include <errno.h>
#include <stdatomic.h>
#include <talev/proxy.h>
#include "tevent/context.h"

struct door {
	struct door_item *_Atomic top;
	atomic_bool waking;        /* the waker is on its way */
	struct tevent_context *ev; /* NULL: closed */
	struct talev_threaded_context *loop;
	struct talev_immediate *waker;
	unsigned refs;
};

static struct door_item closed_mark;
#define CLOSED (&closed_mark)

struct door *door_get(struct tevent_context *ev)
{
	struct door *door = ev->door;

	if (door != NULL)
		return door;
	/* Off the tree: threaded contexts may outlive the context. */
	door = talloc_zero(NULL, struct door);
	if (door == NULL)
		return NULL;
	door->ev = ev;
	door->refs = 1;
	door->waker = talev_create_immediate(door);
	door->loop = talev_threaded_context_create(ev->loop, door);
	if (door->waker == NULL || door->loop == NULL) {
		talloc_free(door);
		return NULL;
	}
	ev->door = door;
	return door;
}

void door_ref(struct door *door)
{
	door->refs++;
}

void door_unref(struct door *door)
{
	if (--door->refs == 0)
		talloc_free(door);
}

static void woken(struct talev_context *loop, struct talev_immediate *im, void *ptr)
{
	struct door *door = ptr;

	(void)loop;
	(void)im;
	atomic_store_explicit(&door->waking, false, memory_order_release);
}

void door_wake(struct door *door)
{
	if (!atomic_exchange_explicit(&door->waking, true, memory_order_acq_rel))
		talev_threaded_schedule_immediate(door->loop, door->waker, woken, door);
}

bool door_is_open(struct door *door)
{
	return atomic_load_explicit(&door->top, memory_order_relaxed) != CLOSED;
}

bool door_send(struct door *door, struct door_item *item)
{
	struct door_item *top = atomic_load_explicit(&door->top, memory_order_relaxed);

	item->door = door;
	do {
		if (top == CLOSED) {
			item->door = NULL;
			return false;
		}
		item->next = top;
	} while (!atomic_compare_exchange_weak_explicit(
		&door->top, &top, item, memory_order_acq_rel, memory_order_relaxed));
	door_wake(door);
	return true;
}

static void let_in(struct tevent_context *ev, struct door_item *item)
{
	struct door_item *first = NULL;

	while (item != NULL) {
		struct door_item *before = item->next;

		item->next = first;
		first = item;
		item = before;
	}
	while ((item = first) != NULL) {
		first = item->next;
		item->next = NULL;
		item->door = NULL;
		item->arrive(ev, item);
	}
}

void door_collect(struct door *door)
{
	struct door_item *top = atomic_load_explicit(&door->top, memory_order_relaxed);

	if (top == NULL || top == CLOSED)
		return;
	let_in(door->ev, atomic_exchange_explicit(&door->top, NULL, memory_order_acq_rel));
}

void door_close(struct door *door)
{
	struct door_item *top;

	door->ev = NULL;
	top = atomic_exchange_explicit(&door->top, CLOSED, memory_order_acq_rel);
	let_in(NULL, top);
	door_unref(door);
}
