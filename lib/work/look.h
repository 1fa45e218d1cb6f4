/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking for a moment at what another thread will write, before one sleeps. */
#ifndef WORK_LOOK_H
#define WORK_LOOK_H

#include <stdbool.h>
#include <talev/time.h>
#include "base/pause.h"

/* What has been of no use is left out: once, three times in a row, seven times and so on. */
struct work_habit {
	unsigned misses;
	unsigned rest;
};

static inline bool work_may_try(struct work_habit *habit)
{
	if (habit->rest == 0)
		return true;
	habit->rest--;
	return false;
}

static inline void work_tried(struct work_habit *habit, bool of_use)
{
	if (of_use)
		habit->misses = 0;
	else if (habit->misses < 6)
		habit->misses++;
	habit->rest = (1u << habit->misses) - 1;
}

/* How long to look, if what is waited for used to come that soon. Who is waited for may have no
 * other processor than this one: so no longer than is needed. */
static inline talev_time_t work_look_time(talev_time_t gap, talev_time_t most)
{
	talev_time_t time = TALEV_USEC(1) + 4 * gap;

	return time < most ? time : most;
}

/* Between two looks: about 0.2 us. */
static inline void work_pause(void)
{
	base_pause(8);
}

#endif
