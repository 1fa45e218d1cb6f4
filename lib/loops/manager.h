/* SPDX-License-Identifier: BSD-2-Clause */
/* Managers and loops, inside the room. */
#ifndef LOOPS_MANAGER_H
#define LOOPS_MANAGER_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <bsd/sys/queue.h>
#include <talev/loops.h>
#include "thread/thread.h"

enum manager_state { MANAGER_IDLE, MANAGER_RUNNING, MANAGER_ENDED };

struct loop_job {
	TAILQ_ENTRY(loop_job) link;
	talev_loop_fn_t fn;
	void *private_data;
	const char *where;
};
TAILQ_HEAD(loop_jobs, loop_job);

/* What a loop knows of calls that have been sent to it and have not run. Owner's. */
struct async_box {
	struct core_post_ops ops; /* of the posts of this loop: they lead back to it */
	struct core_post *first;
	struct core_post **last;
	struct source *runner; /* runs them, in turn with the immediates of the loop */
	bool queued;
	unsigned batch;    /* how many the runner calls in one go */
	unsigned depth;    /* of calls on the stack: nested loops */
	TALLOC_CTX **tray; /* for each depth, the parent of the data while its call runs */
	unsigned trays;
};

struct talev_loop {
	struct manager *manager;
	unsigned index;
	char name[40];
	TALLOC_CTX *root;
	struct talev_context *ev; /* NULL: it has ended */
	struct mailbox *mb;
	struct async_box async;
	struct loop_jobs setup;    /* first asked first */
	struct loop_jobs teardown; /* last asked first */
	struct source *closer;     /* runs the teardown jobs */
	struct core_post shutdown; /* each of the posts has one sender at a time */
	struct core_post release;
	struct core_post pause;
	struct core_post report;
	bool released; /* it may end when nothing is left */
	bool has_thread;
	bool ended;    /* under the lock */
	bool answered; /* the last report; under the lock */
	pthread_t thread;
};

struct manager {
	atomic_uint refs; /* the handle, run(), each keeper */
	struct talev_loops *_Atomic handle;
	char name[32];
	atomic_uint state; /* enum manager_state */
	atomic_bool shutting_down;
	atomic_uint teardowns; /* loops that have not run all of theirs */
	bool signals;
	struct talev_signal *watchers[2]; /* the main loop's */
	talev_time_t grace;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned count;
	struct talev_loop **loops;
	int go; /* under the lock: 1 the threads may begin, -1 they are to go */
	bool reporting;
	pthread_t reporter;
	atomic_uintptr_t pauser; /* who has stopped the others: its thread's own mark */
	unsigned parked;         /* under the lock */
	unsigned pauses;         /* under the lock: counts resumes */
};

struct talev_loops {
	struct manager *manager;
};

void manager_unref(struct manager *manager);
/* errno EALREADY unless it is idle. */
bool manager_idle(const struct manager *manager);

/* manager.c: a loop of that name and number with a context, or NULL. Its thread does not run. */
struct talev_loop *loop_create(struct manager *manager, const char *name, unsigned index);
/* On its thread, or before that runs: ends its context, and drops what was sent. */
void loop_close(struct talev_loop *loop);
void loop_free(struct talev_loop *loop);

/* run.c */
/* All signals blocked while fn makes threads: they do not take the program's. */
int thread_create(pthread_t *thread, void *(*fn)(void *arg), void *arg, const char *name);

/* job.c */
void jobs_init(struct talev_loop *loop);
void jobs_free(struct talev_loop *loop);
void jobs_run_setup(struct talev_loop *loop);
int jobs_open(struct talev_loop *loop);

/* shutdown.c */
extern const struct core_post_ops shutdown_ops;
void shutdown_begin(struct manager *manager);
/* One loop has run its teardown jobs. */
void shutdown_torn_down(struct manager *manager);

/* signals.c */
int signals_open(struct manager *manager);
void signals_close(struct manager *manager);

/* report.c */
void report_start(struct manager *manager);
void report_join(struct manager *manager);

/* pause.c */
extern const struct core_post_ops pause_ops;

/* async.c */
int async_open(struct talev_loop *loop);
void async_close(struct talev_loop *loop);

/* The loop of this thread; returns what was before. */
struct talev_loop *loop_set_current(struct talev_loop *loop);

#endif
