/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whoever takes over a list that another processor has made waits for the memory of each element to
 * come from there, one after the other: where the next one is stands in the one before. So each
 * also says where another one is, some steps on, which is fetched meanwhile. That is all it is for:
 * it may be in use elsewhere by then, or have gone.
 */
#ifndef WORK_HINT_H
#define WORK_HINT_H

#include "work/jobq.h"

#define HINT_STEPS 4

struct hints {
	struct outcome *last[HINT_STEPS];
	unsigned count;
};

/* outcome goes onto a stack, as have those before. */
static inline void hint_put(struct hints *hints, struct outcome *outcome)
{
	struct outcome **place = &hints->last[hints->count++ % HINT_STEPS];

	outcome->hint = *place;
	*place = outcome;
}

/* outcome, or the one that it tells of, is about to be used. */
static inline void hint_fetch(const struct outcome *outcome)
{
	const char *job = (const char *)outcome;

	for (size_t at = 0; at < sizeof(struct talev_job); at += THREAD_LINE)
		thread_prefetch(job + at);
}

#endif
