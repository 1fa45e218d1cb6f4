/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One turn, in tevent's order: signals, one immediate, one due timer, else wait, then one
 * descriptor. talev's strict order is the same, so where a turn has to look for signals, talev
 * decides what comes first, by one immediate and one timer that stand for all of ours.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <talev/loop.h>
#include <talev/trace.h>
#include "tevent/event.h"
#include "tevent/trace.h"

#define WAIT_DEFAULT 30
#define WAIT_FOREVER TALEV_SEC(10LL * 365 * 86400)

static talev_time_t wall_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return TALEV_SEC(now.tv_sec) + now.tv_nsec;
}

static void found_turn(struct talev_context *loop, struct talev_immediate *im, void *ptr)
{
	struct tevent_context *ev = ptr;

	(void)loop;
	(void)im;
	ev->found = FOUND_IMMEDIATE;
}

static void found_alarm(
	struct talev_context *loop, struct talev_timer *te, talev_time_t now, void *ptr)
{
	struct tevent_context *ev = ptr;

	(void)loop;
	(void)now;
	/* A one-shot timer that is stopped in its handler is not freed after it. */
	talev_timer_stop(te);
	ev->found = FOUND_TIMER;
}

static void talev_trace(
	struct talev_context *loop, enum talev_trace_point point, void *source, void *ptr)
{
	struct tevent_context *ev = ptr;

	(void)loop;
	(void)source;
	/* With poll_mt, the callbacks are where the user's lock is let go and taken. */
	if (point == TALEV_TRACE_BEFORE_WAIT) {
		ev->waiting = ev->mt;
		trace_point(ev, TEVENT_TRACE_BEFORE_WAIT);
	} else if (point == TALEV_TRACE_AFTER_WAIT) {
		trace_point(ev, TEVENT_TRACE_AFTER_WAIT);
		ev->waiting = false;
	}
}

void loop_trace(struct tevent_context *ev)
{
	if (ev->loop != NULL)
		talev_context_set_trace(
			ev->loop, ev->mt || ev->traces.point != NULL ? talev_trace : NULL, ev);
}

static struct talev_context *make_loop(const char *backend)
{
	struct talev_context *loop = talev_context_init_byname(NULL, backend);

	if (loop != NULL)
		talev_context_set_strict(loop, true);
	return loop;
}

int loop_open(struct tevent_context *ev, const char *backend, bool mt)
{
	ev->loop = make_loop(backend);
	if (ev->loop == NULL)
		return -1;
	ev->backend = backend;
	ev->mt = mt;
	ev->turn = talev_create_immediate(ev->loop);
	ev->alarm = talev_add_timer_on(
		ev->loop, ev->loop, TALEV_CLOCK_REALTIME, TALEV_NEVER, found_alarm, ev);
	if (ev->turn == NULL || ev->alarm == NULL || (mt && door_get(ev) == NULL)) {
		loop_close(ev);
		errno = ENOMEM;
		return -1;
	}
	loop_trace(ev);
	return 0;
}

void loop_close(struct tevent_context *ev)
{
	if (ev->door != NULL)
		door_close(ev->door);
	ev->door = NULL;
	ev->turn = NULL;
	ev->alarm = NULL;
	TALLOC_FREE(ev->loop);
	timerq_destroy(&ev->timers);
}

bool loop_has_events(struct tevent_context *ev)
{
	if (ev->fruitless) {
		ev->fruitless = false;
		fd_sweep(ev);
	}
	return ev->fd_active > 0 || ev->timers.used > 0 || !TAILQ_EMPTY(&ev->immediates) ||
	       ev->signal_count > 0 || ev->proxies > 0;
}

/* When the loop may stop waiting although nothing has happened. */
static talev_time_t patience(const struct tevent_context *ev)
{
	talev_time_t wait = TALEV_SEC(ev->wait_timeout);

	if (ev->wait_timeout >= INT32_MAX)
		wait = WAIT_FOREVER;
	return talev_time_add(wall_clock(), wait);
}

/* An alarm that is too early stays: most deadlines are taken back before they come, and the clock
 * that moves with each of them costs more than a turn for nothing. */
static void set_alarm(struct tevent_context *ev, talev_time_t limit)
{
	struct tevent_timer *te = timer_first(ev);
	talev_time_t deadline = te != NULL ? te->node.deadline : limit;

	if (deadline < talev_timer_get_deadline(ev->alarm))
		talev_update_timer(ev->alarm, deadline);
}

static int turn(struct tevent_context *ev, const char *location)
{
	int result;

	if (!TAILQ_EMPTY(&ev->immediates) && !talev_immediate_is_scheduled(ev->turn))
		talev_schedule_immediate(ev->turn, ev->loop, found_turn, ev);
	ev->found = FOUND_NOTHING;
	if (ev->wait_timeout == 0)
		result = _talev_loop_nowait(ev->loop, location);
	else
		result = _talev_loop_once(ev->loop, location);
	if (result != 0 && errno == ENOENT)
		errno = EAGAIN;
	return result;
}

static int talev_turns(struct tevent_context *ev, const char *location)
{
	talev_time_t limit = 0;
	int result;

	if (ev->mt)
		fd_flush(ev);
	if (timer_first(ev) == NULL && ev->wait_timeout > 0)
		limit = patience(ev);
	for (;;) {
		if (limit > 0 || timer_first(ev) != NULL)
			set_alarm(ev, limit);
		result = turn(ev, location);
		if (signal_run(ev))
			return 0;
		if (result != 0)
			return -1;
		if (ev->found == FOUND_NOTHING) {
			ev->fruitless = true;
			return 0;
		}
		if (ev->found == FOUND_IMMEDIATE && immediate_run(ev))
			return 0;
		if (ev->found == FOUND_FD && fd_ready(ev->found_fd, ev->found_flags))
			return 0;
		if (ev->found == FOUND_TIMER) {
			if (timer_run(ev))
				return 0;
			ev->fruitless = true;
			if (limit > 0 && limit <= wall_clock())
				return 0;
		}
	}
}

int loop_once(struct tevent_context *ev, const char *location)
{
	if (ev->loop == NULL) {
		errno = EBADF;
		return -1;
	}
	if (signal_run(ev))
		return 0;
	if (ev->door != NULL)
		door_collect(ev->door);
	/* Without signals to look for there is nothing that goes before it. */
	if (ev->signal_count == 0 && immediate_run(ev))
		return 0;
	return talev_turns(ev, location);
}

int loop_wait(struct tevent_context *ev, const char *location)
{
	struct loop_frame frame = {.outer = ev->frame};
	int result = 0;

	ev->frame = &frame;
	while (result == 0 && loop_has_events(ev)) {
		result = _tevent_loop_once(ev, location);
		if (frame.gone)
			return -1;
	}
	ev->frame = frame.outer;
	if (result != 0) {
		debug_message(ev, TEVENT_DEBUG_FATAL, "_tevent_loop_once() failed: %d - %s\n",
			result, strerror(errno));
		return result;
	}
	debug_message(ev, TEVENT_DEBUG_WARNING, "tevent_common_loop_wait() out of events\n");
	return 0;
}

uint32_t tevent_context_set_wait_timeout(struct tevent_context *ev, uint32_t secs)
{
	uint32_t old = ev->wait_timeout;

	ev->wait_timeout = secs;
	return old;
}
