/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * life: pins, finalizers, late free.
 *
 * A struct life_object is the part of every talev object that this room knows. A frame on the C
 * stack of a dispatcher pins the object whose handler runs. A struct life collects, for one
 * context, what is to be finalized; it outlives the context while a frame of it is on a stack.
 *
 * Between calls: an object is LIVE, CLOSING or FINALIZED. A record (finalizer) belongs to its
 * object while that is LIVE, and to the life's ready queue, to a grave, or to the frames that pin
 * it afterwards. A grave is a record that also owns a talloc tree and the records of what was in
 * it. No record runs inside life_close() or life_forget(); only life_run() runs any.
 *
 * Owner's thread only. Frames are kept per thread, across all its contexts.
 */
#ifndef LIFE_LIFE_H
#define LIFE_LIFE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bsd/sys/queue.h>
#include <talev/finalize.h>
#include <talev/source.h>
#include "base/likely.h"

struct life_rec;

struct life_object {
	struct life_rec *rec; /* NULL: no finalizer, or it has run */
	uint8_t state;        /* enum talev_state */
	uint8_t owners[7];    /* whatever its owner keeps where padding would be */
};

TAILQ_HEAD(life_queue, life_rec);

struct life {
	struct talev_context *ev;          /* NULL once the context is gone */
	const struct life_object *context; /* the object of ev: every frame of this life pins it */
	unsigned refs; /* the context, who works for it on the stack, each record in waiting */
	union {
		uint64_t unrest; /* 0: no handler has left anything to be seen to */
		struct {
			unsigned ready_count;
			/* The context's owner's; here because they are asked for after each
			 * handler, which may have freed the context. */
			bool closing; /* it is, or it has gone */
			bool break_pending;
			bool observed; /* somebody traces or measures the handlers */
		};
	};
	size_t pinned; /* records that wait for frames */
	struct life_queue ready;
};

struct life_frame {
	LIST_ENTRY(life_frame) link;
	struct life *life;
	struct life_guard *guard;   /* that the handler holds, or NULL */
	struct life_object *object; /* NULL: its memory went, or it is a finalizer */
	struct life_rec *pin;       /* what cannot run before this frame has left */
};

/* NULL: ENOMEM. */
struct life *life_create(struct talev_context *ev, const struct life_object *context);
void life_destroy(struct life *life);
static inline void life_ref(struct life *life)
{
	life->refs++;
}
static inline void life_unref(struct life *life)
{
	if (--life->refs == 0)
		life_destroy(life);
}

/* -1: EALREADY, ESTALE, ENOMEM. fn NULL on an object without a finalizer: 0. */
int life_set_finalizer(struct life_object *object, unsigned flags, talev_finalizer_t fn, void *arg);

/* The frames of this thread, innermost first. Each handler asks for them: so they lie where no
 * function has to be called to find them. */
LIST_HEAD(life_frames, life_frame);
extern _Thread_local struct life_frames life_frames
	__attribute__((visibility("hidden"), tls_model("initial-exec")));

/* The same two for objects with a finalizer, and frames that something waits for. */
bool life_enter_guarded(struct life_frame *frame);
void life_leave_pinned(struct life_frame *frame);

/* A handler of object begins (NULL: of nothing that can be closed). False: its guard says that it
 * must not, and there is no frame. */
static inline bool life_enter(
	struct life_frame *frame, struct life *life, struct life_object *object)
{
	frame->life = life;
	frame->guard = NULL;
	frame->object = object;
	frame->pin = NULL;
	if (unlikely(object != NULL && object->rec != NULL) && !life_enter_guarded(frame))
		return false;
	/* A Unix signal handler that finds the frame finds it whole. */
	atomic_signal_fence(memory_order_release);
	LIST_INSERT_HEAD(&life_frames, frame, link);
	return true;
}

/* It has returned. frame->object tells whether the object's memory is still there. The life may
 * go with its last frame: hold a reference to look at it afterwards. */
static inline void life_leave(struct life_frame *frame)
{
	LIST_REMOVE(frame, link);
	if (unlikely(frame->guard != NULL || frame->pin != NULL))
		life_leave_pinned(frame);
}

/* Would life_leave() find nothing to do but to take it out? Then it may become that of another
 * object. */
static inline bool life_frame_plain(const struct life_frame *frame)
{
	return likely(frame->guard == NULL && frame->pin == NULL);
}

/* Is a handler of it on this thread's stack? */
bool life_running(const struct life_object *object);
/* Is a handler or finalizer of its context on this thread's stack? */
bool life_busy(const struct life *life);
/* The innermost frame of this thread, or NULL. */
struct life_frame *life_innermost(void);

/* LIVE becomes CLOSING: its finalizer goes to grave, or if that is NULL to the queue of life. */
void life_close_record(struct life *life, struct life_object *object, struct life_rec *grave);
static inline void life_close(struct life *life, struct life_object *object, struct life_rec *grave)
{
	if (object->state == TALEV_LIVE && object->rec == NULL && grave == NULL)
		object->state = TALEV_CLOSING;
	else
		life_close_record(life, object, grave);
}

/* A record for life_bury() or life_after(). Any thread. NULL: ENOMEM. */
struct life_rec *life_record(unsigned flags, talev_finalizer_t fn, void *arg);
/* It is not needed after all. Any thread. */
void life_discard(struct life_rec *rec);
/* Takes the tree out of its parent and buries it below rec. */
void life_bury(struct life *life, struct life_rec *rec, void *tree);
/* All objects in it have been closed: it runs when its last pin drops. True if none is there: it
 * is queued, and may be run by life_run_now(). */
bool life_seal(struct life_rec *grave);
/* Runs a sealed grave without pins before its turn in the queue. */
void life_run_now(struct life_rec *grave);
/* The finalizer that frame is of: its function, and its object if that has memory. For this thread,
 * also in a Unix signal handler. NULL: it is no finalizer's. */
talev_finalizer_t life_finalizer(const struct life_frame *frame, const struct life_object **object);
/* Does ptr lie in a grave of this thread? */
bool life_is_below_grave(const void *ptr);
/* While there is none, asking costs nothing. */
extern atomic_uint life_graves __attribute__((visibility("hidden")));
static inline bool life_buried(const void *ptr)
{
	return atomic_load_explicit(&life_graves, memory_order_relaxed) > 0 &&
	       life_is_below_grave(ptr);
}

/* Runs what is ready at this moment, first asked first; what becomes ready meanwhile waits for
 * the next call. Returns how many records were run. Hold a reference. */
size_t life_run(struct life *life);
/* After a handler: life_run(). What a context leaves behind that went inside its own handlers runs
 * to the last, but not before all of them have returned: they may be using what it frees. */
void life_settle(struct life *life);
/* The same when no frame knows *object any more: NULL if its memory goes by that. */
void life_settle_beside(struct life *life, struct life_object **object);

/* A list of objects that stays true while finalizers and close functions of the user free some
 * of them: life_forget() puts NULL in their place. */
struct life_list {
	LIST_ENTRY(life_list) link;
	struct life_object **objects;
	size_t count;
};
void life_list_watch(struct life_list *list);
void life_list_unwatch(struct life_list *list);

LIST_HEAD(life_lists, life_list);
extern _Thread_local struct life_lists life_lists
	__attribute__((visibility("hidden"), tls_model("initial-exec")));

/* The memory of object goes now. It is CLOSING or FINALIZED. */
void life_forget_everywhere(struct life_object *object);
static inline void life_forget(struct life_object *object)
{
	struct life_frame *frame;

	if (object->rec != NULL || !LIST_EMPTY(&life_lists)) {
		life_forget_everywhere(object);
		return;
	}
	LIST_FOREACH (frame, &life_frames, link)
		if (frame->object == object)
			frame->object = NULL;
}

/* The part of a referenced object that other threads see, and that outlives it: whether its
 * handler may start, and whether one is executing. See guard.c for the protocol. */
struct life_guard;
/* Of object, made when first asked for, with one more reference. Owner. NULL: ENOMEM. */
struct life_guard *life_guard_get(struct life_object *object);
/* The same without a reference; NULL if it has none. Owner. */
struct life_guard *life_guard_of(const struct life_object *object);
void life_guard_ref(struct life_guard *guard);
void life_guard_unref(struct life_guard *guard);
/* No handler starts any more. Returns what was before. Any thread. */
#define LIFE_GUARD_CANCELLED 0x1u
#define LIFE_GUARD_RUNNING   0x2u
unsigned life_guard_cancel(struct life_guard *guard);
unsigned life_guard_look(const struct life_guard *guard);
/* Waits until no handler is executing. Any thread but one that executes it. */
void life_guard_wait(struct life_guard *guard);
/* Does this thread execute it? */
bool life_guard_mine(const struct life_guard *guard);
/* The object while its memory is there, else NULL. Owner. */
struct life_object *life_guard_object(const struct life_guard *guard);

/* Queues rec to run when no frame of this thread holds guard. */
void life_after(struct life *life, struct life_rec *rec, struct life_guard *guard);

/* The object goes to another thread: this one's frames do not know it any more. */
void life_send_away(struct life_object *object);

#endif
