/* SPDX-License-Identifier: BSD-2-Clause */
/* Managers and loops, inside the room. */
#ifndef LOOPS_MANAGER_H
#define LOOPS_MANAGER_H

#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <bsd/sys/queue.h>
#include <talev/loops.h>
#include "loops/retire.h"
#include "loops/watchdog.h"
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
	struct mailbox_pile calls;
	struct core_post *ahead; /* one of them, whose data has been asked for, or NULL */
	struct source *runner;   /* runs them, in turn with the immediates of the loop */
	bool queued;
	unsigned batch;    /* how many the runner calls in one go */
	unsigned depth;    /* of calls on the stack: nested loops */
	TALLOC_CTX **tray; /* for each depth, the parent of the data while its call runs */
	unsigned trays;
};

/* The most loops that one manager, and one pool, may have. */
#define MANAGER_MOST 1024

struct talev_pool {
	struct manager *manager;
	TAILQ_ENTRY(talev_pool) of_manager;
	TAILQ_ENTRY(talev_pool) link; /* of the process, by name */
	bool known;                   /* it is linked there */
	char name[32];
	talev_loop_fn_t setup;
	void *private_data;
	const char *where;
	atomic_uint count; /* grows; the manager's lock */
	atomic_uint next;  /* whose turn it is */
	struct talev_loop *_Atomic loops[MANAGER_MOST];
};

struct talev_loop {
	struct manager *manager;
	struct talev_pool *pool;
	unsigned index; /* in the manager */
	char name[40];
	TALLOC_CTX *root;
	struct talev_context *ev; /* NULL: it has ended */
	struct mailbox *mb;
	/* Senders read what is above, and nothing from here on. */
	alignas(THREAD_LINE) struct async_box async;
	struct reader reader;
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
	struct watched watched;
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
	TAILQ_HEAD(, talev_pool) pools; /* the first is that of the manager's name */
	atomic_uint count;              /* grows until the shutdown; the lock */
	struct talev_loop *_Atomic loops[MANAGER_MOST];
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

/* manager.c */
static inline unsigned manager_count(const struct manager *manager)
{
	return atomic_load_explicit(&manager->count, memory_order_acquire);
}

/* i < manager_count() */
static inline struct talev_loop *manager_loop(const struct manager *manager, unsigned i)
{
	return atomic_load_explicit(&manager->loops[i], memory_order_relaxed);
}

/* A loop with a context, without a thread, that nobody knows yet. NULL: errno. */
struct talev_loop *loop_create(struct talev_pool *pool, unsigned index, unsigned number);
/* Nobody ever came to know it. */
void loop_discard(struct talev_loop *loop);
/* On its thread, or before that runs: ends its context, and drops what was sent. */
void loop_close(struct talev_loop *loop);
void loop_free(struct talev_loop *loop);

/* run.c */
/* All signals blocked while fn makes threads: they do not take the program's. */
int thread_create(pthread_t *thread, void *(*fn)(void *arg), void *arg, const char *name);

/* Its thread waits until it may begin. The lock is held. */
int run_start_thread(struct talev_loop *loop);

/* pool.c */
struct talev_pool *pool_create(struct manager *manager, const char *name, const char *where);
bool pool_register(struct talev_pool *pool);
void pool_forget(struct talev_pool *pool);

/* job.c */
int jobs_add_setup(
	struct talev_loop *loop, talev_loop_fn_t fn, void *private_data, const char *where);
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
/* talev_async_run() of a tree that may cross. */
int async_send(struct talev_loop *loop, talev_loop_fn_t fn, void **data, const char *where);

/* The loop of this thread; returns what was before. */
struct talev_loop *loop_set_current(struct talev_loop *loop);

#endif
