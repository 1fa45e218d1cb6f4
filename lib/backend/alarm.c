/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with the timeouts of epoll_wait(2) and ppoll(2): they know the monotonic clock
 * only. A wait for a moment of the wall clock would sleep through the administrator's setting it
 * forward, and one for the boot clock through a suspend. A timerfd knows its clock; one that was
 * armed with TFD_TIMER_CANCEL_ON_SET also wakes us when the wall clock is set, with ECANCELED as
 * the answer to the next read or settime. That is no error: the next look at the clock tells all.
 */
#include "backend/alarm.h"
#include <errno.h>

/* What at never is: the deadline that is armed may not be the last one set. */
#define AT_UNKNOWN 0

void alarms_init(struct alarms *alarms)
{
	for (int clock = 0; clock < BASE_CLOCKS; clock++)
		alarms->of[clock] = (struct alarm){.fd = -1, .at = TALEV_NEVER};
}

void alarm_close(struct alarms *alarms, enum talev_clock clock)
{
	struct alarm *alarm = &alarms->of[clock];

	if (alarm->fd >= 0)
		base_close(alarm->fd);
	*alarm = (struct alarm){.fd = -1, .at = TALEV_NEVER};
}

void alarms_close(struct alarms *alarms)
{
	for (int clock = 0; clock < BASE_CLOCKS; clock++)
		alarm_close(alarms, (enum talev_clock)clock);
}

int alarm_set(struct alarms *alarms, enum talev_clock clock, talev_time_t deadline)
{
	struct alarm *alarm = &alarms->of[clock];
	bool created = false;

	if (deadline < 1)
		deadline = 1;
	if (alarm->at == deadline)
		return 0;
	if (alarm->fd < 0) {
		alarm->fd = base_timerfd_create(clock);
		if (alarm->fd < 0)
			return -1;
		created = true;
	}
	/* ECANCELED: the clock was set since the last look, and the timer is armed all the same. */
	if (base_timerfd_set(alarm->fd, clock, deadline) != 0 && errno != ECANCELED) {
		int saved_errno = errno;

		if (created)
			alarm_close(alarms, clock);
		errno = saved_errno;
		return -1;
	}
	alarm->at = deadline;
	return created;
}

talev_time_t alarm_timeout(const struct backend_deadlines *deadlines)
{
	talev_time_t deadline = deadlines->at[TALEV_CLOCK_MONOTONIC];
	talev_time_t longest = deadlines->longest > 0 ? deadlines->longest : TALEV_NEVER;
	talev_time_t now;

	if (deadline == TALEV_NEVER)
		return longest;
	now = base_clock_now(TALEV_CLOCK_MONOTONIC);
	if (deadline <= now)
		return 0;
	return deadline - now < longest ? deadline - now : longest;
}

void alarm_drain(struct alarms *alarms, enum talev_clock clock)
{
	struct alarm *alarm = &alarms->of[clock];
	uint64_t expirations;

	base_read(alarm->fd, &expirations, sizeof(expirations));
	/* Whether it went off or the clock was set: if core waits for the same moment again, it has
	 * to be armed again. */
	alarm->at = AT_UNKNOWN;
}
