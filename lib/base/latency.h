/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long the handlers of a context take: one histogram for each, by the name and place that the
 * call which made the source gave. So what is known of a handler outlives its sources, and the
 * library that it came from: all text is copied. Needs memory when a handler is seen for the first
 * time, and counts it only among all others if there is none.
 */
#ifndef BASE_LATENCY_H
#define BASE_LATENCY_H

#include <stdint.h>
#include <talev/latency.h>
#include "base/histogram.h"

/* What comes after so many is counted as one, "others". */
#define LATENCY_MOST   1024
#define LATENCY_CHAINS 256
#define LATENCY_SEEN   128

struct latency_handler {
	struct latency_handler *next; /* of this hash */
	uint32_t hash;
	const char *location; /* behind the name */
	struct talev_histogram times;
	char name[];
};

/* One talloc tree, which refers to nothing else. */
struct talev_latency {
	struct talev_histogram handlers; /* all together: see latency_sort() */
	struct talev_histogram unnamed;  /* there was no memory to keep them by name */
	struct talev_histogram turns;
	struct talev_histogram delays;
	struct latency_handler **list; /* as they came, or sorted: see latency_sort() */
	unsigned count;
	struct latency_handler *others;
	struct latency_handler *chains[LATENCY_CHAINS];
};

/* That of a context. */
struct latency {
	struct talev_latency *kept;
	talev_time_t turn_began; /* 0: it is not known */
	uint64_t handlers;       /* that had run by then */
	/* By address. That of an unloaded library may be another text's by now. */
	struct {
		const char *where;
		struct latency_handler *handler;
	} seen[LATENCY_SEEN];
};

/* NULL: ENOMEM. No parent. */
struct latency *latency_create(void);

/* That of a source that was made with that text, which can be read now. NULL: no memory. */
struct latency_handler *latency_find(struct latency *latency, const char *where);

/* Adds all that is in from. -1: ENOMEM, nothing was added. */
int latency_merge(struct talev_latency *to, const struct talev_latency *from);

/* The list in the order of the time that they took, the longest first; none that has never run
 * stands before one that has. And adds them up. */
void latency_sort(struct talev_latency *latency);

/* Forgets the times, and not the handlers: one may be running. */
void latency_clear(struct talev_latency *latency);

#endif
