/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_WATCHDOG_H
#define TALEV_WATCHDOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <talloc.h>
#include <talev/source.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;
struct talev_jobq;
struct talev_loops;
struct talev_pool;

/* A thread that looks whether others get on. */
struct talev_watchdog;
/* One of those that it looks at, if they are not found by themselves. */
struct talev_heart;
/* A while in which a thread is not looked at. */
struct talev_suspension;

enum talev_watchdog_event {
	TALEV_WATCHDOG_SOFT,      /* past the soft limit */
	TALEV_WATCHDOG_HARD,      /* past the hard limit */
	TALEV_WATCHDOG_RECOVERED, /* goes on, after one of these */
};

enum talev_watchdog_trouble {
	TALEV_WATCHDOG_STUCK,  /* a handler, or a job, does not return */
	TALEV_WATCHDOG_NOPASS, /* handlers return, but the loop does not come round */
	TALEV_WATCHDOG_SILENT, /* a heart of the program's own has not been beaten */
};

/* Valid during the call. What is not known is an empty string, or 0. */
struct talev_watchdog_report {
	size_t size; /* of this structure in the library: what lies beyond is not there */
	enum talev_watchdog_event event;
	enum talev_watchdog_trouble trouble;
	const char *heart;    /* name of the loop, queue, context or heart */
	const char *handler;  /* what runs there: name of the handler, or function of the job */
	const char *location; /* "file:line" where that was made, or sent */
	talev_time_t stalled; /* since it last came round, began, or was beaten */
	talev_time_t running; /* of this, the handler, at least */
	talev_time_t limit;   /* the one that it is past */
	uint64_t handlers;    /* begun meanwhile */
	pid_t tid;
	const char *thread; /* its name */
	bool answered;      /* the thread has told what it is doing */
	const char *kernel; /* if not: what the kernel says about it */
	size_t frames;      /* innermost first */
	const char *const *stack;
	const char *text; /* all this for people, in lines */
};

/* On the watchdog's thread. False: the default, which is to log the text, and besides, at the hard
 * limit, to call the abort hook. It must not free the watchdog. */
typedef bool (*talev_watchdog_fn_t)(const struct talev_watchdog_report *report, void *private_data);

/* Its thread runs until it is freed, by the thread that owns it. NULL: ENOMEM, EAGAIN the thread
 * cannot be made. */
struct talev_watchdog *talev_watchdog_create(TALLOC_CTX *mem_ctx);
void talev_watchdog_set_handler(
	struct talev_watchdog *wd, talev_watchdog_fn_t fn, void *private_data);

/* The Unix signal by which a thread is asked what it is doing, instead of SIGURG; 0: none. Before
 * the first watchdog of the process. -1: EALREADY, EINVAL. */
int talev_watchdog_set_signal(int signum);

/* What is watched. Limits in ns, TALEV_NEVER for none; a further call for the same changes them.
 * Any thread, while wd is there. -1 or NULL: EINVAL not 0 < soft <= hard, ENOMEM. */

/* All loops of a manager, except those of pools with limits of their own; all loops of a pool;
 * with those that come later. */
int talev_watchdog_add_loops(
	struct talev_watchdog *wd, struct talev_loops *loops, talev_time_t soft, talev_time_t hard);
int talev_watchdog_add_pool(
	struct talev_watchdog *wd, struct talev_pool *pool, talev_time_t soft, talev_time_t hard);
/* Each job of a queue of that name, while its function runs. */
int talev_watchdog_add_jobq(
	struct talev_watchdog *wd, struct talev_jobq *jobq, talev_time_t soft, talev_time_t hard);
/* A context of the calling thread, while it is in a loop; until the heart is freed, or ev. */
struct talev_heart *talev_watchdog_add_context(TALLOC_CTX *mem_ctx, struct talev_watchdog *wd,
	struct talev_context *ev, const char *name, talev_time_t soft, talev_time_t hard);
/* Whatever the calling thread does, as long as it says so by talev_heart_beat(), on any thread;
 * until the heart is freed. name is copied. */
struct talev_heart *talev_heart_create(TALLOC_CTX *mem_ctx, struct talev_watchdog *wd,
	const char *name, talev_time_t soft, talev_time_t hard);
void talev_heart_beat(struct talev_heart *heart);

/* The calling thread is not looked at until that is freed, or so many ns have passed. reason is
 * for people, and not copied. NULL: EINVAL, ENOMEM. */
struct talev_suspension *_talev_watchdog_suspend(
	TALLOC_CTX *mem_ctx, talev_time_t longest, const char *reason, const char *location);
#define talev_watchdog_suspend(mem_ctx, longest, reason)                                           \
	_talev_watchdog_suspend(mem_ctx, longest, reason, __location__)

/* How long until the calling thread is past its next limit: never more than there is. TALEV_NEVER:
 * nobody watches it, or there is none. */
talev_time_t talev_watchdog_remaining(void);

/* All hearts for people, or as one JSON object (RFC 8259). Any thread. NULL: ENOMEM. */
char *talev_watchdog_text(TALLOC_CTX *mem_ctx, struct talev_watchdog *wd);
char *talev_watchdog_json(TALLOC_CTX *mem_ctx, struct talev_watchdog *wd);

/* Tells who started this service, as sd_notify(3) would, if it wants to know. From ready on it is
 * also told regularly, if it asked for that, that nothing is past a hard limit. -1: EINVAL status
 * has a line break in it, or what the socket said. */
int talev_watchdog_notify_ready(struct talev_watchdog *wd);
int talev_watchdog_notify_stopping(struct talev_watchdog *wd);
int talev_watchdog_notify_status(struct talev_watchdog *wd, const char *status);

/* What is 0 or NULL is as said here. */
struct talev_watchdog_parent {
	size_t size;          /* of this structure */
	unsigned restarts;    /* so many at most ... (5) */
	talev_time_t within;  /* ... in so long a time (60 s) */
	talev_time_t silence; /* a child is hung that has been silent for so long (10 s) */
	bool restart_failed;  /* also a child that exits with another status than 0 */
	const char *command;  /* is run with pid, signal and thread name as arguments (none) */
	talev_time_t command_limit; /* and ended after so long (30 s) */
};

/* Makes a child process that this one watches, and another one when it crashed or hangs. 0 in each
 * child; 1 in the parent when it is over, with the status of the last child as waitpid(2) has it.
 * -1: EINVAL, or what fork(2) said. Before there are other threads. */
int talev_watchdog_parent(const struct talev_watchdog_parent *options, int *status);

#ifdef __cplusplus
}
#endif

#endif
