/* SPDX-License-Identifier: BSD-2-Clause */
/* Events: what they have in common, and the kinds. */
#ifndef TEVENT_EVENT_H
#define TEVENT_EVENT_H

#include "event/fd_inside.h"
#include "tevent/context.h"
#include "tevent/door.h"

/*
 * The life of an event. It is armed in ev, until it is detached: freed, or its context gone or
 * made anew. While busy, its chunk stays: the destructor refuses, and whoever called the handler
 * frees it afterwards. That talloc_free() says -1 then is what users of tevent see, and keep.
 */
struct event {
	struct tevent_context *ev; /* the loop, never a wrapper; NULL: in none */
	struct wrapper *wrapper;   /* it was added through; NULL: none */
	void *private_data;
	const char *handler_name;
	const char *location;
	uint64_t tag;
	unsigned busy; /* calls of the handler that are on the stack */
	bool destroyed;
};

struct tevent_fd {
	struct event e;
	TAILQ_ENTRY(tevent_fd) link;
	TAILQ_ENTRY(tevent_fd) dirty_link;
	struct talev_fd *watcher; /* NULL: not told to talev yet, or not any more */
	struct fd_inside inside;  /* where that is; with mt it is a chunk */
	tevent_fd_handler_t handler;
	tevent_fd_close_fn_t close_fn;
	int fd;
	uint16_t flags;
	bool dirty;
	bool half_closed; /* the peer will send no more, and we know that */
};

struct tevent_timer {
	struct event e;
	struct timerq_node node;
	struct timeval next_event;
	tevent_timer_handler_t handler;
};

enum immediate_place {
	IMMEDIATE_IDLE,
	IMMEDIATE_QUEUED,
	IMMEDIATE_OWING, /* running, not scheduled again */
};

/* A call of the handler of an immediate. */
struct immediate_call {
	struct immediate_call *outer;
	bool gone; /* the immediate is not there any more, or another thread's */
};

struct tevent_immediate {
	struct event e;
	TAILQ_ENTRY(tevent_immediate) link;
	struct door_item item; /* while another thread's message is on its way */
	struct immediate_call *call;
	tevent_immediate_handler_t handler;
	struct tevent_context *owed; /* a DETACH trace */
	uint8_t place;               /* enum immediate_place */
};

struct tevent_signal {
	struct event e;
	TAILQ_ENTRY(tevent_signal) link; /* in the table: the youngest first */
	tevent_signal_handler_t handler;
	struct signal_table *table;
	STAILQ_HEAD(, signal_arrival) infos; /* to be told */
	unsigned count;                      /* to be told */
	int signum;
	int sa_flags;
};

/* common to all */

/* In a destructor of an event that was destroyed before. */
void event_check_double_free(const void *ptr, const char *reason);
/* The context that handlers of the event get to see. */
struct tevent_context *event_context(const struct event *e, struct tevent_context *ev);

/* fd.c */
struct tevent_fd *fd_add(struct tevent_context *ev, TALLOC_CTX *mem_ctx, int fd, uint16_t flags,
	tevent_fd_handler_t handler, void *private_data, const char *handler_name,
	const char *location);
void fd_set_close_fn(struct tevent_fd *fde, tevent_fd_close_fn_t close_fn);
uint16_t fd_get_flags(struct tevent_fd *fde);
void fd_set_flags(struct tevent_fd *fde, uint16_t flags);
int fd_destructor(struct tevent_fd *fde);
void fd_detach(struct tevent_fd *fde);
void fd_detach_all(struct tevent_context *ev);
void fd_invoke(struct tevent_fd *fde, uint16_t flags, bool *removed);
/* Tells talev what has changed. */
void fd_flush(struct tevent_context *ev);
/* Lets go of what talev found to be closed. */
void fd_sweep(struct tevent_context *ev);
/* ready.c: what tevent tells of what talev has found. False: nothing, look again. */
bool fd_ready(struct tevent_fd *fde, uint16_t found);
/* ready.c: what to ask talev for. */
uint16_t fd_interest(const struct tevent_fd *fde);

/* timer.c */
struct tevent_timer *timer_add(struct tevent_context *ev, TALLOC_CTX *mem_ctx,
	struct timeval next_event, tevent_timer_handler_t handler, void *private_data,
	const char *handler_name, const char *location);
void timer_detach(struct tevent_timer *te);
void timer_detach_all(struct tevent_context *ev);
void timer_detach_wrapper(struct tevent_context *ev, const struct wrapper *wrapper);
bool timer_any(const struct tevent_context *ev);
/* A moment that no timer is before. INT64_MIN: that of zero. */
talev_time_t timer_bound(struct tevent_context *ev);
void timer_invoke(struct tevent_timer *te, struct timeval current_time, bool *removed);
/* Runs the first if it is due. False: it is not. */
bool timer_run(struct tevent_context *ev);

/* immediate.c */
void immediate_schedule(struct tevent_immediate *im, struct tevent_context *ev,
	tevent_immediate_handler_t handler, void *private_data, const char *handler_name,
	const char *location);
void immediate_cancel(struct tevent_immediate *im);
/* Out of every queue, without a trace. */
void immediate_detach(struct tevent_immediate *im);
void immediate_detach_all(struct tevent_context *ev);
void immediate_invoke(struct tevent_immediate *im, bool *removed);
/* Runs the first. False: there is none. */
bool immediate_run(struct tevent_context *ev);
/* For one that is a member of something that is being freed, or that goes to another thread: the
 * calls of its handler that are on the stack do not touch it again. */
void immediate_forget(struct tevent_immediate *im);

/* signal.c */
struct tevent_signal *signal_add(struct tevent_context *ev, TALLOC_CTX *mem_ctx, int signum,
	int sa_flags, tevent_signal_handler_t handler, void *private_data, const char *handler_name,
	const char *location);
void signal_detach(struct tevent_signal *se);
void signal_detach_all(struct tevent_context *ev);
void signal_detach_wrapper(struct tevent_context *ev, const struct wrapper *wrapper);
void signal_invoke(struct tevent_signal *se, int count, void *siginfo, bool *removed);
/* Tells all watchers what has arrived. False: nothing has. */
bool signal_run(struct tevent_context *ev);

#endif
