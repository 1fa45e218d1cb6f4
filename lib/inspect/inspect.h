/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inspect: a copy of what a context holds, as data, text and JSON. Owns its snapshots, which
 * refer to nothing of the context; making one is for the owner's thread, the rest for any.
 */
#ifndef INSPECT_INSPECT_H
#define INSPECT_INSPECT_H

#include <talev/inspect.h>

struct talev_snapshot {
	struct talev_context_info context;
	talev_time_t now[3]; /* indexed by enum talev_clock */
	size_t count;
	struct talev_source_info *sources; /* by kind */
};

/* "live", "closing", "finalized". */
const char *inspect_state_name(enum talev_state state);

#endif
