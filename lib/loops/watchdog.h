/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watchdog, inside the room.
 *
 * One lock for all watchdogs of the process: it guards their lists, and what the loops say of
 * themselves here. Nothing is done with it held that could wait, call the user, or take another
 * lock, except to send a message to a loop.
 */
#ifndef LOOPS_WATCHDOG_H
#define LOOPS_WATCHDOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <bsd/sys/queue.h>
#include <talev/watchdog.h>
#include "base/out.h"
#include "core/core.h"

struct manager;
struct talev_loop;

/* Of a loop. The lock. */
struct watched {
	pid_t tid; /* 0: it has not begun */
	bool ended;
	bool lets_through; /* the signal of the probe */
	bool blocked;      /* it did not before */
};

enum heart_kind { HEART_LOOP, HEART_CONTEXT, HEART_JOB, HEART_BEATEN };

enum heart_state {
	HEART_OFF,  /* not begun, or outside of its loop */
	HEART_IDLE, /* waits for something to do */
	HEART_BUSY,
	HEART_SUSPENDED,
};

/* All times are of the watchdog's own clock, unless it is said. */
struct heart {
	TAILQ_ENTRY(heart) link;
	struct talev_watchdog *wd; /* NULL: that has gone */
	uint64_t id;
	enum heart_kind kind;
	enum heart_state state;
	char name[64];
	talev_time_t soft;
	talev_time_t hard;
	pid_t tid;
	struct talev_loop *loop;
	struct talev_context *ev;
	_Atomic talev_time_t beat; /* monotonic */
	char job[64];
	char location[128];
	talev_time_t begun; /* of a job; monotonic */
	bool seen;          /* the job still runs */
	/* As of the last look. */
	uint64_t passes;
	uint64_t handlers;
	uint64_t handlers_then; /* when it last came round */
	talev_time_t since;     /* it came round */
	talev_time_t moved;     /* a handler began */
	bool soft_told;
	bool hard_told;
	uint64_t soft_count;
	uint64_t hard_count;
};
TAILQ_HEAD(hearts, heart);

/* Whose hearts are to be found, by limits. */
struct watch {
	TAILQ_ENTRY(watch) link;
	struct manager *manager; /* NULL: it is a queue */
	struct talev_pool *pool; /* NULL: all of the manager */
	char queue[64];
	unsigned known; /* so many of the loops have been looked at */
	talev_time_t soft;
	talev_time_t hard;
};
TAILQ_HEAD(watches, watch);

/* A job that ran when somebody looked. */
struct job_seen {
	char queue[64];
	char job[64];
	char location[128];
	talev_time_t begun;
	pid_t tid;
};

struct talev_watchdog {
	TAILQ_ENTRY(talev_watchdog) link;
	pid_t pid;
	pthread_t thread;
	pthread_cond_t wake;
	bool stop;
	bool changed; /* the limits: it wakes at other times */
	talev_time_t time;
	talev_time_t period;
	talev_time_t looked; /* monotonic */
	struct hearts hearts;
	struct watches watches;
	atomic_bool any_queues;
	uint64_t next_id;
	talev_watchdog_fn_t fn;
	void *private_data;
	struct job_seen *jobs; /* the thread's own */
	size_t job_room;
	size_t job_count;
	struct notify *notify;
	bool notifies; /* at the end of this look */
};

/* What has to be told, once the lock is not held any more. */
struct alert {
	enum talev_watchdog_event event;
	enum talev_watchdog_trouble trouble;
	uint64_t id;
	enum heart_kind kind;
	const struct talev_context *ev; /* to compare */
	uint64_t handlers_now;
	char heart[64];
	char handler[96];
	char location[128];
	talev_time_t stalled;
	talev_time_t running;
	talev_time_t limit;
	uint64_t handlers;
	pid_t tid;
	char suspended[160]; /* by what it had been, until shortly before */
};
#define ALERTS 16

/* watchdog.c */
extern pthread_mutex_t watch_lock;
/* The lock. */
void watchdog_changed(struct talev_watchdog *wd);
bool limits_ok(talev_time_t soft, talev_time_t hard);
/* The same thread as always, and not a child of fork(2). */
bool watchdog_runs(const struct talev_watchdog *wd);

/* watchdog_watch.c. The lock: all watchdogs of the process. */
void watch_register(struct talev_watchdog *wd);
void watch_unregister(struct talev_watchdog *wd);
void watch_each(void (*fn)(struct talev_watchdog *wd, void *private_data), void *private_data);
/* A loop begins, on its thread, or ends; a manager goes. */
void watch_loop_begins(struct talev_loop *loop);
void watch_loop_ends(struct talev_loop *loop);
void watch_manager_ends(struct manager *manager);
/* The lock. Makes hearts for what has come. -1: ENOMEM. */
int watch_discover(struct talev_watchdog *wd);
/* Without the lock: what runs; with it: hearts of that. */
void watch_look_at_jobs(struct talev_watchdog *wd);
void watch_take_jobs(struct talev_watchdog *wd);

/* watchdog_heart.c. The lock. */
void heart_init(struct heart *heart, enum heart_kind kind, const char *name);
void heart_add(struct talev_watchdog *wd, struct heart *heart);
void heart_remove(struct heart *heart);
/* Looks at it; true: *alert is to be told. */
bool heart_look(struct heart *heart, struct alert *alert);
/* Nothing of what was is counted. */
void heart_restart(struct heart *heart);
/* How long, as of now, on the monotonic clock. */
talev_time_t heart_stalled(struct heart *heart, talev_time_t now);
talev_time_t heart_remaining(struct heart *heart, talev_time_t now);

/* watchdog_suspend.c. The lock. */
struct suspended {
	const char *reason; /* NULL: it is not */
	const char *location;
	talev_time_t left;
};
void suspended_get(pid_t tid, talev_time_t now, struct suspended *suspended);
/* That it was, and did not last; empty: nothing of the kind. */
void suspended_before(pid_t tid, talev_time_t now, char *text, size_t room);

/* watchdog_probe.c */
#define PROBE_FRAMES 64
struct probe {
	bool answered;
	bool doing_known;
	struct core_doing doing;
	int depth;
	void *stack[PROBE_FRAMES];
	char thread[32];
	char kernel[256];
};
/* The signal is handled from now on. Once per process. */
int probe_open(void);
/* In a child of fork(2): who asked, and who was asked, are not here. */
void probe_after_fork(void);
/* -1: EINVAL. Before that. */
int probe_choose(int signum);
/* 0: none, or not opened. */
int probe_signal(void);
/* Lets it through in this thread. True: it did not before. */
bool probe_let_through(void);
void probe_block(void);
/* Asks a thread, and waits for so long. */
void probe_thread(pid_t tid, talev_time_t longest, struct probe *probe);
/* One frame in words. */
void probe_name(const void *pc, bool innermost, char *text, size_t room);
/* Does a debugger hold this process? */
bool probe_traced(void);

/* watchdog_report.c. Without the lock. */
void report_alert(struct talev_watchdog *wd, struct alert *alert);

/* watchdog_notify.c */
struct notify *notify_create(void);
void notify_free(struct notify *notify);
/* TALEV_NEVER: it does not want to know. */
talev_time_t notify_interval(const struct notify *notify);
/* The lock. Is it time to tell that all is well? */
bool notify_due(struct notify *notify, talev_time_t now, talev_time_t period);
void notify_alive(const struct notify *notify);

/* watchdog_parent.c. The parent process, if there is one, is told that all is well; what is not. */
void parent_alive(void);
void parent_alert(const char *thread);
bool parent_is(pid_t pid);
/* How often it wants to know; TALEV_NEVER: there is none. */
talev_time_t parent_interval(void);

#endif
