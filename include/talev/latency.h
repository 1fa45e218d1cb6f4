/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_LATENCY_H
#define TALEV_LATENCY_H

#include <stddef.h>
#include <stdint.h>
#include <talloc.h>
#include <talev/histogram.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;

/* How long the handlers of a context, or of several, took, as talev_context_set_timing() has it
 * measured. One talloc tree, which knows no other: belongs to one thread, and may be sent to
 * another. */
struct talev_latency;

/* All runs of one handler: of all sources that were made in one place. Strings and times belong to
 * the struct talev_latency. */
struct talev_handler_info {
	const char *name;
	const char *location;
	uint64_t calls;
	talev_time_t time_total;
	talev_time_t time_longest;
	const struct talev_histogram *times;
};

/* Empty. NULL: ENOMEM. */
struct talev_latency *talev_latency_create(TALLOC_CTX *mem_ctx);

/* All that ev has measured as well. Owner's thread of ev, also inside handlers. -1: ENOMEM, nothing
 * was added. */
int talev_latency_add(struct talev_latency *latency, struct talev_context *ev);

/* All that is in from as well. -1: ENOMEM, nothing was added. */
int talev_latency_merge(struct talev_latency *latency, const struct talev_latency *from);

/* ev begins anew. Owner's thread. */
void talev_latency_forget(struct talev_context *ev);

/* How many handlers there are. */
size_t talev_latency_count(const struct talev_latency *latency);

/* Number i, in the order of time_total, the largest first; fills size bytes of *info, so that
 * programs built with an older header go on working. -1: EINVAL no such handler. */
int talev_latency_get(const struct talev_latency *latency, size_t i,
	struct talev_handler_info *info, size_t size);

/* All handlers together. */
const struct talev_histogram *talev_latency_handlers(const struct talev_latency *latency);

/* From the end of a wait to the next, or to the end of the loop, with what ran in between. */
const struct talev_histogram *talev_latency_turns(const struct talev_latency *latency);

/* By how much handlers of timers ran later than their deadlines. */
const struct talev_histogram *talev_latency_delays(const struct talev_latency *latency);

/* For people: a table. NULL: ENOMEM. */
char *talev_latency_text(TALLOC_CTX *mem_ctx, const struct talev_latency *latency);

/* For programs: one JSON object (RFC 8259), UTF-8. NULL: ENOMEM. */
char *talev_latency_json(TALLOC_CTX *mem_ctx, const struct talev_latency *latency);

#ifdef __cplusplus
}
#endif

#endif
