/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with the kernel's clocks: the wall clock jumps whenever somebody sets it, the
 * monotonic one stands still while the machine sleeps, and only the third knows how long that was.
 * So a deadline means nothing without the name of its clock, and every reading here takes one.
 */
#include "base/clock.h"

#define NSEC_PER_SEC 1000000000

clockid_t base_clock_id(enum talev_clock clock)
{
	switch (clock) {
	case TALEV_CLOCK_REALTIME:
		return CLOCK_REALTIME;
	case TALEV_CLOCK_BOOTTIME:
		return CLOCK_BOOTTIME;
	case TALEV_CLOCK_MONOTONIC:
		break;
	}
	return CLOCK_MONOTONIC;
}

talev_time_t base_clock_now(enum talev_clock clock)
{
	struct timespec ts = {0};

	/* Fails for unknown clocks only, and Linux has had these three since 2.6.39. */
	clock_gettime(base_clock_id(clock), &ts);
	return (talev_time_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

talev_time_t base_clock_last_tick(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (talev_time_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

struct timespec base_timespec(talev_time_t t)
{
	talev_time_t sec = t / NSEC_PER_SEC;
	talev_time_t nsec = t % NSEC_PER_SEC;

	/* C rounds towards zero, struct timespec wants tv_nsec to count upwards. */
	if (nsec < 0) {
		sec--;
		nsec += NSEC_PER_SEC;
	}
	return (struct timespec){.tv_sec = (time_t)sec, .tv_nsec = (long)nsec};
}

talev_time_t talev_time_add(talev_time_t a, talev_time_t b)
{
	talev_time_t sum;

	if (!__builtin_add_overflow(a, b, &sum))
		return sum;
	return a < 0 ? INT64_MIN : TALEV_NEVER;
}
