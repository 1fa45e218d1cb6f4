/* SPDX-License-Identifier: BSD-2-Clause */
#include "life/record.h"

#include <errno.h>
#include <stdlib.h>
#include <talev/source.h>

/* Per thread, not per context: whoever frees an object finds its running handler without knowing
 * whose loop called it. Coroutines may leave in another order than they entered, so a list. */
_Thread_local struct life_frames life_frames;
_Thread_local struct life_lists life_lists;

struct life *life_create(struct talev_context *ev, const struct life_object *context)
{
	struct life *life = calloc(1, sizeof(*life));

	if (life == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	life->ev = ev;
	life->context = context;
	life->refs = 1;
	TAILQ_INIT(&life->ready);
	return life;
}

void life_destroy(struct life *life)
{
	free(life);
}

bool life_enter_guarded(struct life_frame *frame)
{
	struct life_guard *guard = frame->object->rec->guard;

	if (guard != NULL && !guard_enter(guard))
		return false;
	frame->guard = guard;
	return true;
}

void frames_take_guard(struct life_object *object, struct life_guard *guard)
{
	struct life_frame *frame;

	LIST_FOREACH (frame, &life_frames, link)
		if (frame->object == object && guard_enter(guard))
			frame->guard = guard;
}

void life_leave_pinned(struct life_frame *frame)
{
	struct life_rec *rec = frame->pin;

	if (frame->guard != NULL)
		guard_leave(frame->guard);
	if (rec != NULL && --rec->pins == 0) {
		struct life *life = rec->life;

		life->pinned--;
		record_queue(rec);
		/* A handler of another context pinned it, and no turn of its own loop comes. */
		if (life->ev == NULL && life != frame->life)
			life_settle_beside(life, &frame->object);
	}
}

bool life_running(const struct life_object *object)
{
	const struct life_frame *frame;

	LIST_FOREACH (frame, &life_frames, link)
		if (frame->object == object)
			return true;
	return false;
}

bool life_busy(const struct life *life)
{
	const struct life_frame *frame;

	LIST_FOREACH (frame, &life_frames, link)
		if (frame->life == life)
			return true;
	return false;
}

struct life_frame *life_innermost(void)
{
	return LIST_FIRST(&life_frames);
}

static void hold(struct life_frame *frame, struct life_rec *rec)
{
	frame->pin = rec;
	if (rec->pins++ == 0)
		rec->life->pinned++;
}

/* All that waits for the frames of one record waits for those of the other from now on. */
static void absorb(struct life_rec *grave, struct life_rec *rec)
{
	struct life_frame *frame;

	LIST_FOREACH (frame, &life_frames, link)
		if (frame->pin == rec)
			hold(frame, grave);
	if (rec->pins > 0)
		rec->life->pinned--;
	rec->pins = 0;
	record_adopt(grave, rec);
}

/* A frame pins one record. A finalizer goes into the grave that the frame pins already; else what
 * the frame pinned before goes into what it pins now. Returns what the frame pins. */
static struct life_rec *pin_frame(struct life_frame *frame, struct life_rec *rec)
{
	struct life_rec *old = frame->pin;

	/* What a close function has begun to end meanwhile may have taken it in. */
	while (rec->into != NULL)
		rec = rec->into;
	if (old == NULL) {
		hold(frame, rec);
	} else if (old != rec && old->grave && !rec->grave) {
		absorb(old, rec);
		return old;
	} else if (old != rec) {
		absorb(rec, old);
	}
	return rec;
}

/* Returns the record that all frames of object pin now, if there are any; else rec. */
static struct life_rec *pin(struct life_object *object, struct life_rec *rec)
{
	struct life_frame *frame;

	LIST_FOREACH (frame, &life_frames, link)
		if (frame->object == object || frame->life->context == object)
			rec = pin_frame(frame, rec);
	return rec;
}

void life_close_record(struct life *life, struct life_object *object, struct life_rec *grave)
{
	struct life_rec *rec = object->rec;

	if (object->state != TALEV_LIVE) {
		/* Its finalizer is on its way already, but the memory is the grave's now. */
		if (grave != NULL)
			pin(object, grave);
		return;
	}
	object->state = TALEV_CLOSING;
	if (rec != NULL && rec->guard != NULL)
		life_guard_cancel(rec->guard);
	if (grave != NULL) {
		if (rec != NULL) {
			if (life != NULL)
				record_attach(rec, life);
			record_adopt(grave, rec);
		}
		pin(object, grave);
		return;
	}
	if (rec == NULL)
		return;
	record_attach(rec, life);
	if (pin(object, rec) == rec && rec->pins == 0)
		record_queue(rec);
}

static void forget_record(struct life_object *object)
{
	struct life_rec *rec = object->rec;

	if (rec->guard != NULL) {
		guard_forget(rec->guard);
		rec->guard = NULL;
	}
	rec->object = NULL;
	object->rec = NULL;
	if (rec->spent)
		life_discard(rec);
}

void life_forget_everywhere(struct life_object *object)
{
	struct life_frame *frame;
	struct life_list *list;

	LIST_FOREACH (frame, &life_frames, link)
		if (frame->object == object)
			frame->object = NULL;
	LIST_FOREACH (list, &life_lists, link) {
		for (size_t i = 0; i < list->count; i++)
			if (list->objects[i] == object)
				list->objects[i] = NULL;
	}
	if (object->rec != NULL)
		forget_record(object);
}

void life_send_away(struct life_object *object)
{
	struct life_frame *frame;

	LIST_FOREACH (frame, &life_frames, link)
		if (frame->object == object)
			frame->object = NULL;
}

void life_after(struct life *life, struct life_rec *rec, struct life_guard *guard)
{
	struct life_frame *frame;

	record_attach(rec, life);
	LIST_FOREACH (frame, &life_frames, link)
		if (frame->guard == guard)
			rec = pin_frame(frame, rec);
	if (rec->pins == 0)
		record_queue(rec);
}

bool life_guard_mine(const struct life_guard *guard)
{
	const struct life_frame *frame;

	LIST_FOREACH (frame, &life_frames, link)
		if (frame->guard == guard)
			return true;
	return false;
}

void life_list_watch(struct life_list *list)
{
	LIST_INSERT_HEAD(&life_lists, list, link);
}

void life_list_unwatch(struct life_list *list)
{
	LIST_REMOVE(list, link);
}
