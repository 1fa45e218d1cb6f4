/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inspect: a copy of what a context holds, as data, text and JSON. Owns its snapshots, which
 * refer to nothing of the context; making one is for the owner's thread, the rest for any.
 */
#ifndef INSPECT_INSPECT_H
#define INSPECT_INSPECT_H

#include <talev/inspect.h>
#include <talev/latency.h>
#include "base/out.h"

struct talev_snapshot {
	struct talev_context_info context;
	talev_time_t now[3]; /* indexed by enum talev_clock */
	size_t count;
	struct talev_source_info *sources; /* by kind */
	struct talev_latency *latency;
};

/* Fills to_size bytes: a program that knows a longer struct than this library finds zeroes in what
 * is new to it. */
void inspect_copy(void *to, size_t to_size, const void *from, size_t from_size);

/* "live", "closing", "finalized". */
const char *inspect_state_name(enum talev_state state);

/* latency_text.c, latency_json.c */
void inspect_latency_text(struct out *out, const struct talev_latency *latency);
/* One object. */
void inspect_latency_json(struct out *out, const struct talev_latency *latency);

#endif
