/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <time.h>
#include <talev/time.h>

#define BASE_CLOCKS 3

/* The kernel's clock, read now. */
talev_time_t base_clock_now(enum talev_clock clock);

/* The monotonic clock as of the last tick of the kernel, up to 10 ms ago; a quarter of the price.
 */
talev_time_t base_clock_last_tick(void);

/* The kernel's name for it. */
clockid_t base_clock_id(enum talev_clock clock);

struct timespec base_timespec(talev_time_t t);

#endif
