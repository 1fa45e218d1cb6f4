/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_LOOPS_SNAPSHOT_H
#define TALEV_LOOPS_SNAPSHOT_H

#include <stddef.h>
#include <talloc.h>
#include <talev/inspect.h>
#include <talev/latency.h>
#include <talev/source.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;
struct talev_loops;
struct talev_req;

/* All loops of a manager as they were. One talloc tree, which knows no other: belongs to one
 * thread, and may be sent to another. */
struct talev_loops_snapshot;

enum talev_loop_answer {
	TALEV_LOOP_ANSWERED,
	TALEV_LOOP_BUSY, /* it has not come round in time, or does not run */
	TALEV_LOOP_ENDED,
};

/* One of them. Strings and snapshots belong to the struct talev_loops_snapshot. */
struct talev_loop_info {
	const char *name;
	const char *pool;
	unsigned index;
	enum talev_loop_answer answer;
	talev_time_t waited; /* until it answered, or if it is busy in vain */
	size_t calls;        /* of talev_async_run() that are next and have not run */
	const struct talev_snapshot *snapshot; /* NULL: it has not answered */
};

/* Asks every loop for a snapshot. Done when all have answered, or after wait ns, whatever they are
 * busy with. loops may go meanwhile. NULL: EINVAL, also wait < 0; ENOMEM, EMFILE, ENFILE, ESHUTDOWN
 * ev is closing, ESTALE mem_ctx is being finalized. Owner's thread of ev. */
struct talev_req *_talev_loops_snapshot_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	struct talev_loops *loops, talev_time_t wait, const char *where);
#define talev_loops_snapshot_send(mem_ctx, ev, loops, wait)                                        \
	_talev_loops_snapshot_send(mem_ctx, ev, loops, wait, TALEV_WHERE(loops_snapshot))

/* What they said, below mem_ctx. The request is received, unless it is in progress. NULL:
 * EINPROGRESS, ENOMEM here or in one of the loops, or what ended the request. */
struct talev_loops_snapshot *talev_loops_snapshot_recv(struct talev_req *req, TALLOC_CTX *mem_ctx);

/* How many loops there are. */
size_t talev_loops_snapshot_count(const struct talev_loops_snapshot *snap);

/* Loop number i; fills size bytes of *info, so that programs built with an older header go on
 * working. -1: EINVAL no such loop. */
int talev_loops_snapshot_get(const struct talev_loops_snapshot *snap, size_t i,
	struct talev_loop_info *info, size_t size);

/* How long handlers and turns took, in all loops that have answered. */
const struct talev_latency *talev_loops_snapshot_latency(const struct talev_loops_snapshot *snap);

/* For people: each loop, all together, and the job queues of this process as they are now. NULL:
 * ENOMEM. */
char *talev_loops_snapshot_text(TALLOC_CTX *mem_ctx, const struct talev_loops_snapshot *snap);

/* The same as one JSON object (RFC 8259), UTF-8. NULL: ENOMEM. */
char *talev_loops_snapshot_json(TALLOC_CTX *mem_ctx, const struct talev_loops_snapshot *snap);

#ifdef __cplusplus
}
#endif

#endif
