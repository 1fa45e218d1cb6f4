/* SPDX-License-Identifier: BSD-2-Clause */
#include "life/record.h"

#include <errno.h>
#include <stdatomic.h>
#include <talloc.h>
#include <talev/source.h>
#include "base/base.h"

/* The address of the name tells a grave from any other talloc chunk. */
static const char grave_name[] = "talev finalization";

atomic_uint life_graves;

struct life_rec *life_record(unsigned flags, talev_finalizer_t fn, void *arg)
{
	/* Not below the object or the context: it has to outlive both. */
	struct life_rec *rec = talloc_named_const(NULL, sizeof(*rec), "talev finalizer");

	if (rec == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	*rec = (struct life_rec){
		.fn = fn,
		.arg = arg,
		.flags = flags,
		.fork_generation = base_fork_generation(),
	};
	TAILQ_INIT(&rec->children);
	return rec;
}

void life_discard(struct life_rec *rec)
{
	talloc_free(rec);
}

/* The record of a live object; one that has a guard and no finalizer yet has one already. */
static struct life_rec *record_of(struct life_object *object)
{
	if (object->rec == NULL) {
		object->rec = life_record(0, NULL, NULL);
		if (object->rec != NULL)
			object->rec->object = object;
	}
	return object->rec;
}

struct life_guard *life_guard_get(struct life_object *object)
{
	struct life_rec *rec = record_of(object);

	if (rec == NULL)
		return NULL;
	if (rec->guard == NULL) {
		rec->guard = guard_create(object);
		if (rec->guard != NULL)
			frames_take_guard(object, rec->guard);
	}
	if (rec->guard != NULL)
		life_guard_ref(rec->guard);
	return rec->guard;
}

struct life_guard *life_guard_of(const struct life_object *object)
{
	return object->rec != NULL ? object->rec->guard : NULL;
}

int life_set_finalizer(struct life_object *object, unsigned flags, talev_finalizer_t fn, void *arg)
{
	struct life_rec *rec;

	if (object->state != TALEV_LIVE) {
		errno = ESTALE;
		return -1;
	}
	if (object->rec != NULL && object->rec->fn != NULL) {
		errno = EALREADY;
		return -1;
	}
	if (fn == NULL)
		return 0;
	rec = record_of(object);
	if (rec == NULL)
		return -1;
	rec->fn = fn;
	rec->arg = arg;
	rec->flags = flags;
	rec->fork_generation = base_fork_generation();
	return 0;
}

void record_attach(struct life_rec *rec, struct life *life)
{
	rec->life = life;
	life_ref(life);
}

void record_queue(struct life_rec *rec)
{
	TAILQ_INSERT_TAIL(&rec->life->ready, rec, link);
	rec->life->ready_count++;
}

void record_adopt(struct life_rec *grave, struct life_rec *rec)
{
	rec->into = grave;
	TAILQ_INSERT_TAIL(&grave->children, rec, link);
}

static void unqueue(struct life_rec *rec)
{
	TAILQ_REMOVE(&rec->life->ready, rec, link);
	rec->life->ready_count--;
}

/* The innermost finalizer that this thread is in. */
struct finalizing {
	const struct life_frame *frame;
	const struct life_rec *rec;
};
static _Thread_local struct finalizing finalizing __attribute__((tls_model("initial-exec")));

talev_finalizer_t life_finalizer(const struct life_frame *frame, const struct life_object **object)
{
	if (frame != finalizing.frame)
		return NULL;
	*object = finalizing.rec->object;
	return finalizing.rec->fn;
}

static void call(struct life *life, const struct life_rec *rec)
{
	struct finalizing outer = finalizing;
	struct life_frame frame;

	if (rec->fn == NULL)
		return;
	if ((rec->flags & TALEV_FINALIZE_NOT_IN_CHILD) != 0 &&
		rec->fork_generation != base_fork_generation())
		return;
	(void)life_enter(&frame, life, NULL);
	finalizing = (struct finalizing){&frame, rec};
	rec->fn(life->ev, rec->arg);
	finalizing = outer;
	life_leave(&frame);
	if (life->ev == NULL)
		life_settle(life);
}

/* The record is in no queue. */
static void run(struct life *life, struct life_rec *rec)
{
	struct life_rec *child;
	bool after = (rec->flags & TALEV_FINALIZE_AFTER_FREE) != 0;

	while ((child = TAILQ_FIRST(&rec->children)) != NULL) {
		struct life *own = child->life;

		TAILQ_REMOVE(&rec->children, child, link);
		run(own != NULL ? own : life, child);
		if (own != NULL)
			life_unref(own);
	}
	if (!after)
		call(life, rec);
	if (rec->object != NULL)
		rec->object->state = TALEV_FINALIZED;
	if (rec->guard != NULL) {
		/* It stays with its object: who has a reference may still ask to free it. */
		rec->spent = true;
		rec->life = NULL;
		return;
	}
	if (rec->object != NULL)
		rec->object->rec = NULL;
	if (rec->grave) {
		talloc_free_children(rec);
		atomic_fetch_sub_explicit(&life_graves, 1, memory_order_relaxed);
	}
	if (after)
		call(life, rec);
	talloc_free(rec);
}

static void run_queued(struct life_rec *rec)
{
	struct life *life = rec->life;

	unqueue(rec);
	run(life, rec);
	life_unref(life);
}

size_t life_run(struct life *life)
{
	size_t todo = life->ready_count;
	size_t done = 0;
	struct life_rec *rec;

	while (done < todo && (rec = TAILQ_FIRST(&life->ready)) != NULL) {
		run_queued(rec);
		done++;
	}
	return done;
}

void life_settle(struct life *life)
{
	if (life->ev != NULL) {
		life_run(life);
		return;
	}
	if (life_busy(life))
		return;
	life_ref(life);
	while (life_run(life) > 0) {
	}
	life_unref(life);
}

void life_bury(struct life *life, struct life_rec *rec, void *tree)
{
	talloc_set_name_const(rec, grave_name);
	rec->grave = true;
	record_attach(rec, life);
	atomic_fetch_add_explicit(&life_graves, 1, memory_order_relaxed);
	talloc_steal(rec, tree);
}

void life_settle_beside(struct life *life, struct life_object **object)
{
	struct life_list list = {.objects = object, .count = 1};

	life_list_watch(&list);
	life_settle(life);
	life_list_unwatch(&list);
}

bool life_seal(struct life_rec *grave)
{
	/* Another one has taken it in while it was filled. */
	if (grave->into != NULL || grave->pins > 0)
		return false;
	record_queue(grave);
	return true;
}

void life_run_now(struct life_rec *grave)
{
	run_queued(grave);
}

bool life_is_below_grave(const void *ptr)
{
	while (ptr != NULL) {
		if (talloc_get_name(ptr) == grave_name)
			return true;
		ptr = talloc_parent(ptr);
	}
	return false;
}
