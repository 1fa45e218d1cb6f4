/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ends the wait of the loop when a timer is due, or when it has waited long enough.
 *
 * With poll it is the time limit of the wait. epoll_wait(2) is slower with one than without, also
 * when something is ready, so there it is a timerfd that the loop watches, which costs nothing
 * while it is quiet (in poll's list it would). An alarm that is too early stays: most deadlines are
 * taken back before they come, and moving the timerfd with each of them costs more than a wait that
 * ends for nothing. Timers of talev's would do, but make talev look at the clock in each turn.
 */
#include "tevent/alarm.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <talev/fd.h>

#define WAIT_FOREVER TALEV_SEC(10LL * 365 * 86400)
#define ROUND_FROM   TALEV_MSEC(10)

static talev_time_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return TALEV_SEC(now.tv_sec) + now.tv_nsec;
}

static void rang(struct talev_context *loop, struct talev_fd *watcher, uint16_t flags, void *ptr)
{
	struct tevent_context *ev = ptr;
	uint64_t expirations;

	(void)loop;
	(void)watcher;
	(void)flags;
	/* ECANCELED, the clock was set, is as good as an answer. */
	(void)!read(ev->alarm.fd, &expirations, sizeof(expirations));
	ev->alarm.at = TALEV_NEVER;
	ev->found = FOUND_ALARM;
}

void alarm_init(struct alarm *alarm)
{
	*alarm = (struct alarm){.fd = -1, .at = TALEV_NEVER};
}

void alarm_close(struct alarm *alarm)
{
	if (alarm->fd == -1)
		return;
	talloc_free(alarm->watcher);
	close(alarm->fd);
	alarm_init(alarm);
}

static int open_alarm(struct tevent_context *ev)
{
	struct alarm *alarm = &ev->alarm;

	alarm->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (alarm->fd == -1)
		return -1;
	alarm->pid = tevent_cached_getpid();
	alarm->watcher = _talev_add_fd(
		ev->loop, NULL, alarm->fd, TALEV_FD_READ, rang, ev, "alarm\0libtevent");
	if (alarm->watcher != NULL)
		return 0;
	close(alarm->fd);
	alarm->fd = -1;
	return -1;
}

static int set(struct tevent_context *ev, talev_time_t deadline)
{
	struct itimerspec spec = {0};

	/* A child of fork(2) must not move its parent's. */
	if (ev->alarm.fd != -1 && ev->alarm.pid != tevent_cached_getpid())
		alarm_close(&ev->alarm);
	if (ev->alarm.fd == -1 && open_alarm(ev) != 0)
		return -1;
	if (deadline >= ev->alarm.at)
		return 0;
	if (deadline < 1)
		deadline = 1;
	spec.it_value.tv_sec = deadline / TALEV_SEC(1);
	spec.it_value.tv_nsec = deadline % TALEV_SEC(1);
	if (timerfd_settime(
		    ev->alarm.fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL) != 0 &&
		errno != ECANCELED)
		return -1;
	ev->alarm.at = deadline;
	return 0;
}

talev_time_t alarm_limit(const struct tevent_context *ev)
{
	talev_time_t wait = TALEV_SEC(ev->wait_timeout);

	if (ev->wait_timeout >= INT32_MAX)
		wait = WAIT_FOREVER;
	/* The coarse clock may be some milliseconds behind, and costs a quarter. */
	return talev_time_add(read_clock(CLOCK_REALTIME_COARSE), wait);
}

talev_time_t alarm_patience(struct tevent_context *ev)
{
	talev_time_t wait;

	if (!timer_any(ev))
		return ev->wait_timeout >= INT32_MAX ? WAIT_FOREVER : TALEV_SEC(ev->wait_timeout);
	wait = talev_time_add(timer_bound(ev), -ev->looked_at);
	/* Due by now, though not a moment ago: look, and come back. */
	if (wait < 1)
		return 1;
	/* Nobody who waits long waits for less than a millisecond, and those are cheaper. */
	return wait < ROUND_FROM ? wait : (wait / TALEV_MSEC(1) + 1) * TALEV_MSEC(1);
}

int alarm_set(struct tevent_context *ev, talev_time_t limit)
{
	return set(ev, timer_any(ev) ? timer_bound(ev) : limit);
}

bool alarm_over(talev_time_t limit)
{
	return read_clock(CLOCK_REALTIME) >= limit;
}
