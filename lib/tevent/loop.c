/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One turn, in tevent's order: signals, one immediate, one due timer, else wait, then one
 * descriptor. Immediates and timers are ours; talev's loop is entered only for what comes from
 * outside: signals, other threads, descriptors.
 */
#include <errno.h>
#include <string.h>
#include <talev/loop.h>
#include <talev/trace.h>
#include "tevent/alarm.h"
#include "tevent/trace.h"

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

/* Of what the program did to its descriptors we tell ourselves, with the names that it knows. */
static void hear(enum talev_log_level level, const char *message, void *ptr)
{
	debug_message(ptr, level < TALEV_LOG_WARNING ? TEVENT_DEBUG_ERROR : TEVENT_DEBUG_TRACE,
		"%s\n", message);
}

static struct talev_context *make_loop(struct tevent_context *ev, const char *backend)
{
	struct talev_context *loop = talev_context_init_byname(NULL, backend);

	if (loop == NULL)
		return NULL;
	talev_context_set_strict(loop, true);
	talev_context_set_log_fn(loop, hear, ev);
	return loop;
}

int loop_open(struct tevent_context *ev, const char *backend, bool mt)
{
	ev->loop = make_loop(ev, backend);
	if (ev->loop == NULL)
		return -1;
	ev->backend = backend;
	ev->timed = strcmp(talev_context_get_backend(ev->loop), "poll") == 0;
	ev->mt = mt;
	if (mt && door_get(ev) == NULL) {
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
	alarm_close(&ev->alarm);
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

/* Signals, and what talev has from other threads. True: a watcher of ours has been told. */
static bool arrivals(struct tevent_context *ev, const char *location)
{
	int error = errno;

	if (ev->signal_count == 0)
		return false;
	if (talev_loop_has_arrivals(ev->loop))
		_talev_loop_timed(ev->loop, 0, location);
	errno = error;
	return signal_run(ev);
}

static inline int talev_turn(struct tevent_context *ev, const char *location)
{
	ev->found = FOUND_NOTHING;
	if (ev->wait_timeout == 0)
		return _talev_loop_timed(ev->loop, 0, location);
	if (ev->timed)
		return _talev_loop_timed(ev->loop, alarm_patience(ev), location);
	return _talev_loop_once(ev->loop, location);
}

/* Nothing has come. False: the wait has only been disturbed. */
static bool over(struct tevent_context *ev, talev_time_t limit)
{
	ev->fruitless = true;
	return timer_run(ev) || (limit > 0 && alarm_over(limit));
}

static int wait_once(struct tevent_context *ev, const char *location)
{
	talev_time_t limit = 0;

	if (ev->mt)
		fd_flush(ev);
	if (!timer_any(ev) && ev->wait_timeout > 0)
		limit = alarm_limit(ev);
	for (;;) {
		int result;

		if (!ev->timed && ev->wait_timeout > 0 && alarm_set(ev, limit) != 0)
			return -1;
		result = talev_turn(ev, location);
		if (ev->signal_count > 0 && signal_run(ev))
			return 0;
		if (result == 0 && ev->found == FOUND_FD && fd_ready(ev->found_fd, ev->found_flags))
			return 0;
		if (result != 0 && errno == ENOENT)
			errno = EAGAIN;
		if (result != 0 && (errno != EAGAIN || ev->wait_timeout == 0))
			return -1;
		if (result != 0 || ev->found == FOUND_ALARM) {
			if (over(ev, limit))
				return 0;
		} else if (ev->found == FOUND_NOTHING) {
			/* A Unix signal, or another thread. */
			ev->fruitless = true;
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
	if (arrivals(ev, location))
		return 0;
	if (ev->door != NULL)
		door_collect(ev->door);
	if (immediate_run(ev) || timer_run(ev))
		return 0;
	return wait_once(ev, location);
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
