/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/context.h"

#include <errno.h>
#include <stdlib.h>

#define FLAGS (TALEV_FINALIZE_NOW | TALEV_FINALIZE_AFTER_FREE | TALEV_FINALIZE_NOT_IN_CHILD)

static void note_there(const void *ptr, int depth, int max_depth, int is_ref, void *there)
{
	(void)ptr;
	(void)depth;
	(void)max_depth;
	(void)is_ref;
	*(bool *)there = true;
}

/* What is being freed, and runs this by what is below it, must not get another parent: its memory
 * goes all the same. talloc leaves it out of reports. */
static bool is_being_freed(const void *ptr)
{
	bool there = false;

	talloc_report_depth_cb(ptr, 0, 0, note_there, &there);
	return !there;
}

static bool may_finalize(struct talev_context *ev, void *ptr, unsigned flags)
{
	struct source *src = source_from_public(ev);

	if (src == NULL || kind_of(src) != &context_kind || ptr == NULL || (flags & ~FLAGS) != 0) {
		errno = EINVAL;
		return false;
	}
	if (!owner_check(ev, src))
		return false;
	if (ev->life == NULL) {
		errno = ESHUTDOWN;
		return false;
	}
	if (life_buried(ptr) || is_being_freed(ptr)) {
		errno = ESTALE;
		return false;
	}
	if (talloc_reference_count(ptr) > 0) {
		errno = EBUSY;
		return false;
	}
	return true;
}

/* ptr may be finalized; list is what is below it, NULL if there was no memory for that. */
static void finalize(struct talev_context *ev, void *ptr, struct life_list *list,
	struct life_rec *grave, bool now)
{
	struct life *life = ev->life;

	life_ref(life);
	life_bury(life, grave, ptr);
	if (list != NULL)
		source_close_list(list, grave);
	else
		source_close_below(grave, grave);
	/* A close function may have freed the context: then no turn of its loop will come to it. */
	if (life_seal(grave) && now)
		life_run_now(grave);
	else if (life->ev == NULL)
		life_settle(life);
	if (life->ev != NULL)
		context_changed(ev);
	life_unref(life);
}

int core_finalize(struct talev_context *ev, void *ptr, struct life_rec *rec)
{
	struct life_list list;

	if (!may_finalize(ev, ptr, 0))
		return -1;
	/* Whoever asked for it was told long ago that it will be done. */
	finalize(ev, ptr, source_list_below(ptr, &list) == 0 ? &list : NULL, rec, false);
	return 0;
}

void core_after(struct talev_context *ev, struct source *src, struct life_rec *rec,
	struct life_guard *guard)
{
	struct life *life = ev->life;

	life_ref(life);
	if (src != NULL)
		source_close(src, NULL);
	life_after(life, rec, guard);
	/* A close function may have freed the context, and no turn of its loop will come. */
	if (life->ev == NULL)
		life_settle(life);
	life_unref(life);
}

int talev_finalize(
	struct talev_context *ev, void *ptr, unsigned flags, talev_finalizer_t fn, void *arg)
{
	struct life_list list;
	struct life_rec *grave;

	if (!may_finalize(ev, ptr, flags) || source_list_below(ptr, &list) != 0)
		return -1;
	grave = life_record(flags, fn, arg);
	if (grave == NULL) {
		free(list.objects);
		return -1;
	}
	finalize(ev, ptr, &list, grave, (flags & TALEV_FINALIZE_NOW) != 0);
	return 0;
}
