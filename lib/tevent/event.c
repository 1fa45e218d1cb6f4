/* SPDX-License-Identifier: BSD-2-Clause */
#define TEVENT_DEPRECATED 1
#include "tevent/wrapper.h"

/* That the parent goes, and takes what refused before with it, is no mistake: talloc counts no
 * blocks below a chunk that is being freed. */
void event_check_double_free(const void *ptr, const char *reason)
{
	void *parent = talloc_parent(ptr);

	if (parent != NULL && talloc_total_blocks(parent) == 0)
		return;
	debug_abort(NULL, "%s", reason);
}

struct tevent_context *event_context(const struct event *e, struct tevent_context *ev)
{
	return e->wrapper != NULL ? e->wrapper->wrap_ev : ev;
}
