/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_TIME_H
#define TALEV_TIME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;

/* Nanoseconds, signed. As a moment: since the zero of its clock. */
typedef int64_t talev_time_t;

#define TALEV_USEC(n) ((talev_time_t)(n)*1000)
#define TALEV_MSEC(n) ((talev_time_t)(n)*1000000)
#define TALEV_SEC(n)  ((talev_time_t)(n)*1000000000)

/* A moment that never comes. */
#define TALEV_NEVER INT64_MAX

enum talev_clock {
	TALEV_CLOCK_MONOTONIC, /* CLOCK_MONOTONIC: never steps, stands still in suspend */
	TALEV_CLOCK_REALTIME,  /* CLOCK_REALTIME: the wall clock, follows every step of it */
	TALEV_CLOCK_BOOTTIME,  /* CLOCK_BOOTTIME: monotonic, goes on in suspend */
};

/* The context's monotonic clock, read now. Owner's thread. */
talev_time_t talev_now(struct talev_context *ev);

/* One of the context's clocks, read now; -1 with EINVAL for an unknown clock. Owner's thread. */
talev_time_t talev_clock_now(struct talev_context *ev, enum talev_clock clock);

/* The monotonic time that the current turn of the loop works with: read once per turn, costs
 * nothing, may lag behind talev_now() by as long as the handlers of this turn have run. */
talev_time_t talev_turn_time(struct talev_context *ev);

/* a + b without overflow: the result stays between INT64_MIN and TALEV_NEVER. Any thread. */
talev_time_t talev_time_add(talev_time_t a, talev_time_t b);

#ifdef __cplusplus
}
#endif

#endif
