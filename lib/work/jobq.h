/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of jobs, inside the room.
 *
 * A queue has one lock. A job that has been sent is in one place: it waits in the inbox, which
 * needs no lock, or in its class, or it is among the active ones (its function runs, or jobs that
 * it added are not done), or it has been finished, and goes to whoever asked for it: the job that
 * added it, or the hub of a loop. The lock decides who gets a job: the worker that takes it, or the
 * owner who withdraws it. Whoever takes the lock with jobq_lock() finds the inbox empty.
 *
 * Nothing is done with a queue's lock held that could wait, call the user, or take another lock.
 */
#ifndef WORK_JOBQ_H
#define WORK_JOBQ_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <bsd/sys/queue.h>
#include <talev/job.h>
#include <talev/time.h>
#include "base/histogram.h"
#include "work/hub.h"
#include "work/look.h"

struct jobq;
struct worker;

enum job_place {
	JOB_NEW, /* not sent yet */
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_RETURNED, /* waits for those that it added */
	JOB_FINISHED, /* not the queue's any more */
};

struct talev_job {
	/* Its next also links the inbox, what is to be told, and what a job has added. */
	struct outcome out;
	TAILQ_ENTRY(talev_job) link; /* in its class, or among the active ones */
	struct jobq *q;              /* with a reference */
	struct job_class *class;     /* NULL: not known yet, the unnamed one */
	struct segment *segment;
	struct trip *trip;               /* owner's; NULL: nobody waits for it */
	struct talev_job *parent;        /* it was added by that one */
	struct talev_job *above;         /* of its forebears, the next to be asked: see job.c */
	struct talev_job *_Atomic added; /* finished ones that this one has added */
	talev_job_fn_t fn;
	void *data;
	const char *where;  /* "what\0file:line\0fn" */
	talev_time_t since; /* sent; begun */
	talev_time_t _Atomic deadline;
	atomic_uint unfinished; /* fn itself, and those that it added */
	_Atomic int added_error;
	int error;
	atomic_bool cancelled;
	unsigned generation; /* of fork(2) */
	uint8_t place;       /* enum job_place; the queue's lock */
	bool is_box;         /* it is a talloc chunk, and data a child of that */
	pid_t tid;           /* while it runs */
};

TAILQ_HEAD(job_list, talev_job);

static inline const char *job_location(const struct talev_job *job)
{
	return job->where + strlen(job->where) + 1;
}

static inline const char *job_name(const struct talev_job *job)
{
	return job_location(job) + strlen(job_location(job)) + 1;
}

/* What is to be told once the lock is not held any more. */
struct told {
	struct outcome *first;
	struct outcome **last;
};

struct job_class {
	TAILQ_ENTRY(job_class) link; /* among those with jobs waiting */
	SLIST_ENTRY(job_class) bucket;
	struct job_list jobs;
	size_t queued;
	unsigned weight;
	unsigned credit; /* jobs until it is the turn of the next */
	unsigned held;   /* by who will add to it */
	bool keep;       /* also when it is empty */
	char name[];
};

#define CLASS_BUCKETS 64

struct classes {
	TAILQ_HEAD(, job_class) waiting;   /* whose turn it is comes first */
	SLIST_HEAD(, job_class) * buckets; /* NULL until the first one has a name */
	struct job_class *unnamed;
	size_t count; /* of those waiting */
};

/* Jobs that were sent between two drains. */
struct segment {
	TAILQ_ENTRY(segment) link;
	size_t jobs;
	struct drain
		*drain; /* waits for it and those before; NULL: it is the last one, still open */
};

struct jobq {
	/* What each sender writes is on a line of its own. */
	alignas(THREAD_LINE) struct outcome *_Atomic inbox;
	atomic_size_t refs; /* handles, threads, and jobs until they are freed */
	/* What each sender reads. */
	alignas(THREAD_LINE) atomic_bool short_handed; /* see inbox.c */
	atomic_size_t max_backlog;
	alignas(THREAD_LINE) pthread_mutex_t lock;
	struct classes classes;
	struct job_list active;
	TAILQ_HEAD(segment_list, segment) segments;
	LIST_HEAD(, worker) idle; /* who became idle last comes first */
	TAILQ_ENTRY(jobq) all;
	bool open; /* found by its name: the lock of forks.c */
	char *name;
	char thread_name[16];
	/* Settings. */
	unsigned wish;        /* concurrency as it was set */
	unsigned concurrency; /* and as the limits have it */
	unsigned min;
	unsigned max;
	unsigned floor;
	talev_time_t idle_time;
	bool lifo;
	bool closed;
	unsigned pauses;      /* while there are any, concurrency is 0 */
	pthread_cond_t still; /* then: no job runs any more */
	/* What is going on. */
	atomic_size_t queued; /* in classes; written with the lock held */
	size_t jobs;          /* in the queue, running or waiting */
	unsigned threads;
	unsigned running;
	unsigned idle_count;
	unsigned coming; /* threads that have been started or woken, or spin: they will look */
	bool may_spin;   /* there is more than one processor */
	bool spinning;
	bool gathered; /* before the inbox was looked into */
	struct work_habit gathering;
	struct work_habit looks;
	talev_time_t gap; /* how long a thread used to wait for the next job, when it did */
	size_t returned;
	uint64_t sent;
	uint64_t done;
	uint64_t dropped;
	uint64_t expired;
	uint64_t refused;
	struct talev_histogram waited;
	struct talev_histogram ran;
};

/* inbox.c. put: without the lock; ESHUTDOWN: it is closed, and the job still the caller's. The
 * others: with it. admit: how many have come from there into their class. */
int inbox_put(struct jobq *q, struct talev_job *job);
unsigned inbox_admit(struct jobq *q);
void inbox_close(struct jobq *q);
/* The job waits in its class, and is counted. */
void admit(struct jobq *q, struct talev_job *job);

static inline bool inbox_any(struct jobq *q)
{
	return atomic_load_explicit(&q->inbox, memory_order_seq_cst) != NULL;
}

/* With the lock held: is there room for a thread that nobody has called yet? Then whoever sends has
 * to see to it. Whoever answers yes must look into the inbox afterwards. */
static inline bool jobq_count_hands(struct jobq *q)
{
	bool lacking = !q->spinning && q->running + q->coming < q->concurrency;

	if (lacking != atomic_load_explicit(&q->short_handed, memory_order_relaxed))
		atomic_store_explicit(&q->short_handed, lacking, memory_order_seq_cst);
	return lacking;
}

static inline void jobq_lock(struct jobq *q)
{
	pthread_mutex_lock(&q->lock);
	(void)inbox_admit(q);
}

static inline void jobq_unlock(struct jobq *q)
{
	(void)jobq_count_hands(q);
	pthread_mutex_unlock(&q->lock);
}

/* jobq.c */
static inline void jobq_ref(struct jobq *q)
{
	atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
}
/* Not with the lock held. */
void jobq_unref(struct jobq *q);
struct jobq *jobq_of(const struct talev_jobq *jobq);

/* classes.c. With the lock held. take: NULL: none waits. */
int classes_init(struct classes *classes);
void classes_destroy(struct classes *classes);
int classes_set(struct classes *classes, const char *name, unsigned weight);
/* Made if it is not there; if nothing is added now, it has to be held. NULL: out of memory. */
struct job_class *classes_get(struct classes *classes, const char *name);
/* It is there until it is let go. NULL: out of memory. */
struct job_class *classes_hold(struct classes *classes, const char *name);
void classes_let_go(struct classes *classes, struct job_class *class);
void classes_add(struct classes *classes, struct talev_job *job);
struct talev_job *classes_take(struct classes *classes, bool lifo);
void classes_remove(struct classes *classes, struct talev_job *job);
/* The one that was sent first, of all or of any class; NULL: none waits. */
struct talev_job *classes_oldest(const struct classes *classes);
struct talev_job *classes_any(const struct classes *classes);
/* In a child of fork(2): all jobs that wait are moved to orphans. */
void classes_orphan(struct classes *classes, struct job_list *orphans);

/* worker.c. With the lock held, and the inbox empty: wakes threads for what waits, and returns how
 * many more have to be started; start does it, without the lock. -1 with errno: not one could be,
 * and there is none. */
unsigned workers_call(struct jobq *q);
int workers_start(struct jobq *q, unsigned count);
/* After that: what waits, and nobody is there to do, ends with that error. Without the lock. */
void workers_give_up(struct jobq *q, int error);
/* With the lock held: they look again whether they may stay. */
void workers_rouse(struct jobq *q);
/* The job whose function this thread is in, or NULL. */
struct talev_job *worker_job(void);

/* job.c. push: the job waits from now on; class_name NULL: in its class. 0, or EAGAIN, ESHUTDOWN,
 * ENOMEM, or what starting a thread failed with; then the job is still the caller's. */
int job_push(struct talev_job *job, const char *class_name);
/* Is anybody still interested? A deadline counts for what a job adds, too. */
bool job_cancelled_by_family(struct talev_job *job, talev_time_t now, int *why);
static inline bool job_cancelled(struct talev_job *job, talev_time_t now, int *why)
{
	if (job->parent == NULL && !atomic_load_explicit(&job->cancelled, memory_order_relaxed) &&
		atomic_load_explicit(&job->deadline, memory_order_relaxed) == TALEV_NEVER)
		return false;
	return job_cancelled_by_family(job, now, why);
}
/* With the lock held: one more part of the job is done. If it was the last one, the job leaves the
 * queue and is told. */
void job_part_done(struct talev_job *job, struct told *told);
/* All that wait, out of the queue, with that error. */
void jobq_drop_all(struct jobq *q, int error, struct told *told);
/* Without any lock: tells everybody. */
void told_tell(struct told *told);

static inline void told_init(struct told *told)
{
	told->first = NULL;
	told->last = &told->first;
}

static inline void told_add(struct told *told, struct outcome *outcome)
{
	outcome->next = NULL;
	*told->last = outcome;
	told->last = &outcome->next;
}

/* drain.c. With the lock held: a job of the segment has left the queue. */
void segment_job_done(struct jobq *q, struct segment *segment, struct told *told);
struct segment *segment_open(struct jobq *q);

#endif
