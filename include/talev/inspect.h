/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_INSPECT_H
#define TALEV_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <talloc.h>
#include <talev/source.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;
struct talev_latency;
struct talev_snapshot;

/* One source as it was. Strings belong to the snapshot. */
struct talev_source_info {
	const char *kind; /* "fd", "timer", "signal", "immediate", "child", "proxy", ... */
	const char *name;
	const char *location;
	enum talev_state state;
	bool enabled;
	bool armed;             /* could run: enabled, with flags, a deadline, or scheduled */
	bool running;           /* its handler is on the stack */
	int fd;                 /* fd: the descriptor, else -1 */
	uint16_t flags;         /* fd: what is asked for */
	int signum;             /* signal: the number, else 0 */
	pid_t pid;              /* child: the process, else 0 */
	enum talev_clock clock; /* timer: its clock */
	talev_time_t deadline;  /* timer: when it runs, else TALEV_NEVER */
	talev_time_t period;    /* timer: 0 for a one-shot */
	uint64_t tag;
	struct talev_stats stats;
};

/* The context as it was. */
struct talev_context_info {
	const char *name;
	const char *location;
	const char *backend;
	enum talev_state state;
	talev_time_t now; /* monotonic */
	unsigned level;   /* loop calls on the stack */
	uint64_t turns;
	uint64_t waits;
	uint64_t handlers;
	size_t finalizers_ready;   /* will run in the next phase */
	size_t finalizers_pinned;  /* wait for a handler to return */
	size_t immediates;         /* scheduled, and what else waits for its turn with them */
	size_t timers_due;         /* their handlers have not run yet */
	size_t timers;             /* armed, those included */
	size_t watchers;           /* of descriptors, that wait for something */
	size_t messages;           /* of other threads, that it has not taken in */
	talev_time_t longest_turn; /* 0: not measured */
	bool timing;
};

/* A copy of what the context holds: descriptors by number, timers by deadline, signals as they
 * were made, immediates as they were scheduled, children, then all other kinds. Owner's thread,
 * also inside handlers. NULL: ENOMEM. */
struct talev_snapshot *talev_snapshot(TALLOC_CTX *mem_ctx, struct talev_context *ev);

/* How many sources it has. */
size_t talev_snapshot_count(const struct talev_snapshot *snap);

/* Source number i; fills size bytes of *info, so that programs built with an older header go on
 * working. -1: EINVAL no such source. */
int talev_snapshot_get(
	const struct talev_snapshot *snap, size_t i, struct talev_source_info *info, size_t size);

/* The context itself; as above. */
int talev_snapshot_get_context(
	const struct talev_snapshot *snap, struct talev_context_info *info, size_t size);

/* How long handlers and turns took. It belongs to the snapshot; empty if nothing was measured. */
const struct talev_latency *talev_snapshot_latency(const struct talev_snapshot *snap);

/* For people: a table. NULL: ENOMEM. */
char *talev_snapshot_text(TALLOC_CTX *mem_ctx, const struct talev_snapshot *snap);

/* For programs: one JSON object (RFC 8259), UTF-8. NULL: ENOMEM. */
char *talev_snapshot_json(TALLOC_CTX *mem_ctx, const struct talev_snapshot *snap);

#ifdef __cplusplus
}
#endif

#endif
