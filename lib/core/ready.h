/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the kernel's report of a descriptor to the handler of one of its watchers. Every event of
 * every loop comes through here: what most of them need is in this header, so that the loop is one
 * function, and what few need is in ready.c.
 */
#ifndef CORE_READY_H
#define CORE_READY_H

#include "core/dispatch.h"

/* ready.c */
/* A wait that has an end. */
int ready_wait_limited(struct talev_context *ev, bool block, struct backend_event *events, int max);
/* A wait while somebody looks on or may send something. */
int ready_wait_watched(struct talev_context *ev, bool block, struct backend_event *events, int max);
/* Those that are always ready, and those that are ready by now. One at a time: in turn. */
int ready_wait_beside_always(struct talev_context *ev, struct backend_event *events, int max);
/* Takes out of the reports what no watcher of the user's is to see. */
int ready_sift_some(struct talev_context *ev, struct backend_event *events, int n);
/* What is still true of a report, if handlers may have used it up since. */
uint32_t ready_still(
	struct talev_context *ev, struct slot *slot, const struct backend_event *event);
/* The watcher after first that wants any of it; *told: of what. NULL: none. */
struct source *ready_pick(struct source *first, uint32_t events, uint32_t *told);

/* There hardly ever is any. */
static inline int ready_sift(struct talev_context *ev, struct backend_event *events, int n)
{
	uint32_t generations = 0;
	uint32_t told = ev->suspect ? BACKEND_CLOSED : 0;

	for (int i = 0; i < n; i++) {
		generations |= events[i].generation;
		told |= events[i].events;
	}
	if (unlikely((generations & SLOT_INTERNAL) != 0 || (told & BACKEND_CLOSED) != 0))
		return ready_sift_some(ev, events, n);
	return n;
}

static inline int ready_wait_until(
	struct talev_context *ev, bool block, struct backend_event *events, int max)
{
	if (unlikely(deadlines_unwatched(ev) || ev->longest_wait != 0))
		return ready_wait_limited(ev, block, events, max);
	return ev->wait(ev->backend, &backend_no_deadlines, block, events, max);
}

static inline int ready_wait_kernel(
	struct talev_context *ev, bool block, struct backend_event *events, int max)
{
	int n;

	context_count(&ev->waits);
	if (likely(block))
		context_pulse(ev, CORE_ASLEEP);
	if (unlikely(ev->life->observed || ev->spin > 0 || !TAILQ_EMPTY(&ev->hooks)))
		n = ready_wait_watched(ev, block, events, max);
	else
		n = ready_wait_until(ev, block, events, max);
	context_pulse(ev, CORE_AWAKE);
	return n;
}

/* One wait, at most max reports, talev's own descriptors already served. -1: errno. */
static inline int ready_wait(
	struct talev_context *ev, bool block, struct backend_event *events, int max)
{
	int n;

	if (unlikely(slots_flush(ev) != 0))
		return -1;
	if (unlikely(slots_any_always(ev)))
		return ready_wait_beside_always(ev, events, max);
	n = ready_wait_kernel(ev, block, events, max);
	return likely(n > 0) ? ready_sift(ev, events, n) : n;
}

/* What a watcher that asked for flags is told. Who reads or writes meets an error or a hang-up by
 * doing so. Who asked for nothing that matches is told what it asked for all the same: the kernel
 * reports errors unasked, and a report that nobody takes comes back for ever. */
static inline uint32_t ready_match(const struct source *src, uint32_t events)
{
	uint32_t flags = src->enabled ? ((const struct fd_source *)src)->flags : 0;
	uint32_t told = events & flags & BACKEND_EVENTS;

	if (likely((events & (TALEV_FD_ERROR | BACKEND_HANGUP)) == 0))
		return told;
	told |= flags & (TALEV_FD_READ | TALEV_FD_WRITE);
	return told != 0 ? told : flags & BACKEND_EVENTS;
}

/* Thousands of watchers do not fit into a cache: while one is told, the next one comes nearer, and
 * the slot of the one after that. gcc 12 drops calls of what only prefetches, unless it has to
 * inline them. */
__attribute__((always_inline)) static inline void ready_look_ahead(
	const struct slot *next, const struct slot *after)
{
	const struct fd_source *fs =
		next != NULL ? (const struct fd_source *)LIST_FIRST(&next->watchers) : NULL;

	__builtin_prefetch(after);
	if (fs != NULL) {
		__builtin_prefetch(&fs->src.private_data);
		__builtin_prefetch(&fs->flags);
	}
}

/* The next watcher that wants any of it; *told: of what. NULL: there is none. slot: of its
 * descriptor. fresh: no handler has run since the report. */
__attribute__((always_inline)) static inline struct source *ready_choose(struct talev_context *ev,
	struct slot *slot, const struct backend_event *event, bool fresh, uint32_t *told)
{
	uint32_t events = event->events;
	struct source *src;
	uint32_t picked;

	if (unlikely(slot == NULL || slot->generation != event->generation)) {
		/* An earlier handler may have freed it. If none has, it comes again. */
		ev->suspect = true;
		return NULL;
	}
	if (unlikely(!fresh && slot->blocking != BLOCKING_NO))
		events = ready_still(ev, slot, event);
	src = LIST_FIRST(&slot->watchers);
	*told = likely(src != NULL) ? ready_match(src, events) : 0;
	if (likely(*told != 0 && LIST_NEXT(src, watch_link) == NULL))
		return src;
	src = ready_pick(src, events, &picked);
	if (src == NULL) {
		slot_untold(ev, event->fd, event->generation);
		return NULL;
	}
	slot_move_last(slot, src);
	*told = picked;
	return src;
}

/* Is it a watcher like most? Then its handler can be called without core_fire(). */
static inline bool ready_plain(const struct life *life, const struct source *src)
{
	return likely(((const struct fd_source *)src)->handler != NULL && src->life.rec == NULL &&
		      !life->observed);
}

/* Calls the handler of such a one, in a frame that it may share with others. */
__attribute__((always_inline)) static inline void ready_call(
	struct talev_context *ev, struct source *src, uint32_t told, struct life_frame *frame)
{
	struct fd_source *fs = (struct fd_source *)src;

	frame->object = &src->life;
	src->calls++;
	context_count(&ev->handlers);
	fs->handler(ev, (struct talev_fd *)fs, (uint16_t)told, src->private_data);
}

/* False: the context is gone or going. */
static inline bool ready_leave(struct life_frame *frame, struct life *life)
{
	life_leave(frame);
	if (unlikely(life->ready_count > 0))
		life_settle(life);
	return likely(!life->closing);
}

/* core_fire(), for a watcher like most. */
static inline bool ready_fire(struct talev_context *ev, struct source *src, uint32_t told)
{
	struct life *life = ev->life;
	struct life_frame frame;

	if (!ready_plain(life, src))
		return core_fire(ev, src, told, 0);
	(void)life_enter(&frame, life, NULL);
	ready_call(ev, src, told, &frame);
	return ready_leave(&frame, life);
}

/* core_fire() of another. */
static inline bool ready_call_within(
	struct talev_context *ev, struct source *src, uint32_t told, struct life_frame *frame)
{
	frame->object = NULL;
	return core_fire(ev, src, told, 0);
}

#endif
