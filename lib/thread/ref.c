/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Weak references. Whether the handler may start is decided by the guard, at once and from any
 * thread; what happens to the source itself is a post to its loop.
 */
#include "thread/thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <talev/ref.h>

/* What all handles of one reference share. A post is sent once, holds a reference while it is on
 * its way, and needs no memory. */
struct target {
	atomic_uint refs;
	atomic_bool cancel_sent;
	atomic_bool finalize_sent;
	struct life_guard *guard;
	struct mailbox *mb;
	struct core_post cancel;
	struct core_post finalize;
	struct life_rec *rec; /* of finalize */
};

struct talev_ref {
	struct target *target;
};

static void target_unref(struct target *target)
{
	if (atomic_fetch_sub_explicit(&target->refs, 1, memory_order_acq_rel) == 1) {
		life_guard_unref(target->guard);
		mailbox_unref(target->mb);
		free(target);
	}
}

static struct target *target_ref(struct target *target)
{
	atomic_fetch_add_explicit(&target->refs, 1, memory_order_relaxed);
	return target;
}

static struct source *source_of(const struct target *target)
{
	struct life_object *object = life_guard_object(target->guard);

	return object != NULL ? (struct source *)((char *)object - offsetof(struct source, life))
			      : NULL;
}

static struct target *target_of_cancel(struct core_post *post)
{
	return (struct target *)((char *)post - offsetof(struct target, cancel));
}

static struct target *target_of_finalize(struct core_post *post)
{
	return (struct target *)((char *)post - offsetof(struct target, finalize));
}

static void deliver_cancel(struct talev_context *ev, struct core_post *post)
{
	struct target *target = target_of_cancel(post);
	struct source *src = source_of(target);

	(void)ev;
	if (src != NULL)
		source_close(src, NULL);
	target_unref(target);
}

static void drop_cancel(struct talev_context *ev, struct core_post *post)
{
	deliver_cancel(ev, post);
}

static void deliver_finalize(struct talev_context *ev, struct core_post *post)
{
	struct target *target = target_of_finalize(post);
	struct source *src = source_of(target);
	struct life_rec *rec = target->rec;

	target->rec = NULL;
	/* It went before, or goes with a tree that somebody else finalizes. */
	if (src == NULL || core_finalize(ev, src, rec) != 0)
		core_after(ev, src, rec, target->guard);
	target_unref(target);
}

static const struct core_post_ops cancel_ops = {.deliver = deliver_cancel, .drop = drop_cancel};
static const struct core_post_ops finalize_ops = {
	.deliver = deliver_finalize, .drop = deliver_finalize};

static int ref_destructor(struct talev_ref *ref)
{
	target_unref(ref->target);
	return 0;
}

static struct talev_ref *handle_create(TALLOC_CTX *mem_ctx, struct target *target)
{
	struct talev_ref *ref = talloc(mem_ctx, struct talev_ref);

	if (ref == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	ref->target = target_ref(target);
	talloc_set_destructor(ref, ref_destructor);
	return ref;
}

static struct target *target_create(struct talev_context *ev, struct source *src)
{
	struct target *target = calloc(1, sizeof(*target));

	if (target == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	target->mb = mailbox_get(ev);
	if (target->mb == NULL) {
		free(target);
		return NULL;
	}
	target->guard = life_guard_get(&src->life);
	if (target->guard == NULL) {
		mailbox_unref(target->mb);
		free(target);
		return NULL;
	}
	atomic_init(&target->refs, 1);
	target->cancel.ops = &cancel_ops;
	target->finalize.ops = &finalize_ops;
	return target;
}

struct talev_ref *talev_ref_create(struct talev_context *ev, TALLOC_CTX *mem_ctx, void *source)
{
	struct source *src = source_from_public(source);
	struct target *target;
	struct talev_ref *ref;

	if (src == NULL || core_usable(ev) == NULL)
		return NULL;
	if (src->life.state != TALEV_LIVE) {
		errno = ESTALE;
		return NULL;
	}
	if (kind_of(src)->fire == NULL || (src->ev != NULL && src->ev != ev)) {
		errno = EINVAL;
		return NULL;
	}
	target = target_create(ev, src);
	if (target == NULL)
		return NULL;
	ref = handle_create(mem_ctx != NULL ? mem_ctx : ev, target);
	target_unref(target);
	return ref;
}

struct talev_ref *talev_ref_attach(TALLOC_CTX *mem_ctx, const struct talev_ref *ref)
{
	return handle_create(mem_ctx, ref->target);
}

static enum talev_ref_status status_of(unsigned word)
{
	if ((word & LIFE_GUARD_RUNNING) != 0)
		return TALEV_REF_RUNNING;
	return (word & LIFE_GUARD_CANCELLED) != 0 ? TALEV_REF_GONE : TALEV_REF_IDLE;
}

enum talev_ref_status talev_ref_get_status(const struct talev_ref *ref)
{
	return status_of(life_guard_look(ref->target->guard));
}

/* Whoever cancels first sends the post. */
static void send_cancel(struct target *target)
{
	if (atomic_exchange_explicit(&target->cancel_sent, true, memory_order_relaxed))
		return;
	target_ref(target);
	if (mailbox_send(target->mb, &target->cancel) != 0)
		target_unref(target);
}

enum talev_ref_status talev_ref_cancel(struct talev_ref *ref)
{
	unsigned before = life_guard_cancel(ref->target->guard);

	if ((before & LIFE_GUARD_CANCELLED) == 0)
		send_cancel(ref->target);
	return status_of(before);
}

int talev_ref_cancel_wait(struct talev_ref *ref)
{
	struct life_guard *guard = ref->target->guard;

	talev_ref_cancel(ref);
	if (life_guard_mine(guard)) {
		errno = EDEADLK;
		return -1;
	}
	life_guard_wait(guard);
	return 0;
}

int talev_ref_finalize(struct talev_ref *ref, unsigned flags, talev_finalizer_t fn, void *arg)
{
	struct target *target = ref->target;
	struct life_rec *rec;

	if ((flags & ~(TALEV_FINALIZE_AFTER_FREE | TALEV_FINALIZE_NOT_IN_CHILD)) != 0) {
		errno = EINVAL;
		return -1;
	}
	rec = life_record(flags, fn, arg);
	if (rec == NULL)
		return -1;
	if (atomic_exchange_explicit(&target->finalize_sent, true, memory_order_acq_rel)) {
		life_discard(rec);
		errno = EALREADY;
		return -1;
	}
	target->rec = rec;
	target_ref(target);
	if (mailbox_send(target->mb, &target->finalize) != 0) {
		target->rec = NULL;
		atomic_store_explicit(&target->finalize_sent, false, memory_order_release);
		target_unref(target);
		life_discard(rec);
		errno = ESHUTDOWN;
		return -1;
	}
	life_guard_cancel(target->guard);
	return 0;
}
