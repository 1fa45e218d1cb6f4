/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/context.h"

#include <errno.h>
#include <stdlib.h>

#define FLAGS (TALEV_FINALIZE_NOW | TALEV_FINALIZE_AFTER_FREE | TALEV_FINALIZE_NOT_IN_CHILD)

static bool may_finalize(struct talev_context *ev, void *ptr, unsigned flags)
{
	struct source *src = source_from_public(ev);

	if (src == NULL || src->kind != &context_kind || ptr == NULL || (flags & ~FLAGS) != 0) {
		errno = EINVAL;
		return false;
	}
	if (life_buried(ptr)) {
		errno = ESTALE;
		return false;
	}
	if (talloc_reference_count(ptr) > 0) {
		errno = EBUSY;
		return false;
	}
	return true;
}

int talev_finalize(
	struct talev_context *ev, void *ptr, unsigned flags, talev_finalizer_t fn, void *arg)
{
	struct life_list list;
	struct life_rec *grave;
	struct life *life;
	bool ready;

	if (!may_finalize(ev, ptr, flags)) {
		return -1;
	}
	if (source_list_below(ptr, &list) != 0) {
		return -1;
	}
	life = ev->life;
	grave = life_bury(life, ptr, flags, fn, arg);
	if (grave == NULL) {
		free(list.objects);
		return -1;
	}
	life_ref(life);
	source_close_list(&list, grave);
	ready = life_grave_seal(grave);
	/* If the context itself is in the grave, no turn of its loop will come to it. */
	if (ready && (life->ev == NULL || ev->closing || (flags & TALEV_FINALIZE_NOW) != 0)) {
		life_run_now(grave);
	}
	life_unref(life);
	return 0;
}
