/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The drop-in libtevent.so.0: tevent's API, order and quirks on top of talev.
 *
 * Each tevent_context owns a talev context, off the tree of the user. The handlers of that talev
 * context only note what is to be done; the user's handlers run after talev's loop has returned.
 * So talev's loop never nests here, and whatever a handler frees, no frame of talev is below it.
 *
 * Owner's thread only, except where thread.h says otherwise, and for poll_mt, where any thread may
 * change descriptors, timers and immediates while the loop waits and the user's lock is held.
 */
#ifndef TEVENT_CONTEXT_H
#define TEVENT_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <bsd/sys/queue.h>
#include <talev/context.h>
#include <tevent/tevent.h>
#include "base/timerq.h"

struct door;
struct talev_fd;
struct wrapper;
struct signal_table;
struct tevent_fd;

/* One call of a loop, on the stack of whoever made it. */
struct loop_frame {
	struct loop_frame *outer;
	bool gone; /* the context was freed meanwhile */
};

/* What talev's loop has found for us. */
enum found {
	FOUND_NOTHING,
	FOUND_ALARM,
	FOUND_FD,
	FOUND_SIGNAL,
};

/* Ends a wait. */
struct alarm {
	int fd; /* a timerfd; -1: never needed */
	pid_t pid;
	struct talev_fd *watcher;
	talev_time_t at;
};

TAILQ_HEAD(fd_queue, tevent_fd);
TAILQ_HEAD(immediate_queue, tevent_immediate);
LIST_HEAD(wrapper_list, wrapper);

SLIST_HEAD(burials, burial);

struct traces {
	tevent_trace_callback_t point;
	void *point_private;
	tevent_trace_fd_callback_t fd;
	void *fd_private;
	tevent_trace_signal_callback_t signal;
	void *signal_private;
	tevent_trace_timer_callback_t timer;
	void *timer_private;
	tevent_trace_immediate_callback_t immediate;
	void *immediate_private;
	tevent_trace_queue_callback_t queue;
	void *queue_private;
};

struct tevent_context {
	const struct tevent_ops *ops;
	void *additional_data;   /* of tevent_context_init_ops() */
	struct wrapper *wrapper; /* if it is one: then nothing of what follows is used */

	struct talev_context *loop;
	struct alarm alarm;
	const char *backend;
	bool timed;   /* waits with a time limit, else with an alarm */
	bool mt;      /* other threads may change it while it waits */
	bool waiting; /* it does; only with mt */

	enum found found;
	struct tevent_fd *found_fd;
	uint16_t found_flags; /* talev's */
	bool fruitless;       /* a wait has ended for nothing: was something closed? */

	struct fd_queue fds;
	struct fd_queue dirty;  /* to be told to talev before the next wait; only with mt */
	struct burials burials; /* talev's watchers to be freed then; only with mt */
	size_t fd_active;       /* those with flags */
	struct timerq timers;
	talev_time_t looked_at; /* the clock, when the first timer was last found not to be due */
	struct immediate_queue immediates;
	struct immediate_queue owing; /* running: their DETACH has not been traced yet */
	struct signal_table *signals; /* of its thread; NULL: never had one */
	size_t signal_count;
	struct door *door; /* for other threads; NULL: never needed */
	size_t proxies;
	struct wrapper_list wrappers;

	struct loop_frame *frame; /* the innermost loop call */
	unsigned level;
	bool nesting_allowed;
	tevent_nesting_hook nesting_hook;
	void *nesting_private;
	uint32_t wait_timeout;

	struct traces traces;
	tevent_debug_fn debug;
	void *debug_private;
	enum tevent_debug_level debug_max;
};

/* ops.c: the ops of that name, with ours registered if nobody was first; NULL: none. */
const struct tevent_ops *ops_find(const char *name);

/* loop.c: what the ops of our own backends do. */
int loop_open(struct tevent_context *ev, const char *backend, bool mt);
void loop_close(struct tevent_context *ev);
int loop_once(struct tevent_context *ev, const char *location);
int loop_wait(struct tevent_context *ev, const char *location);
bool loop_has_events(struct tevent_context *ev);
/* The user set or took away a trace callback. */
void loop_trace(struct tevent_context *ev);

/* alarm.c */
void alarm_init(struct alarm *alarm);
void alarm_close(struct alarm *alarm);

/* context.c: all events go inert; the loop stays. */
void context_disarm(struct tevent_context *ev);

/* debug.c */
void debug_message(struct tevent_context *ev, enum tevent_debug_level level, const char *fmt, ...)
	PRINTF_ATTRIBUTE(3, 4);
void debug_abort(struct tevent_context *ev, const char *fmt, ...) PRINTF_ATTRIBUTE(2, 3);

/* What happens, for who asks for all of it. */
#define debug_trace(ev, ...)                                                                       \
	do {                                                                                       \
		if ((ev)->debug_max >= TEVENT_DEBUG_TRACE)                                         \
			debug_message((ev), TEVENT_DEBUG_TRACE, __VA_ARGS__);                      \
	} while (0)

/* The loop behind a context that may be a wrapper; NULL: it is gone. */
struct tevent_context *context_main(struct tevent_context *ev);

#endif
