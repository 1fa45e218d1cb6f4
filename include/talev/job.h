/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_JOB_H
#define TALEV_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>
#include <talev/source.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;
struct talev_histogram;
struct talev_req;

/* A handle to a queue of jobs, which has a name and threads of its own. A handle belongs to one
 * thread; the functions that only use it are for any thread, while it exists. */
struct talev_jobq;

/* A job that runs, for its own function. */
struct talev_job;

/* On a thread of the queue, where all Unix signals are blocked. data, or NULL, is a talloc tree
 * without a parent that nobody else touches now. 0, or an error: an errno or any other number. */
typedef int (*talev_job_fn_t)(struct talev_job *job, void *data);

/* A queue, and the handle that it lives as long as: freeing that closes the queue, as
 * talev_jobq_close(). No thread is there yet. NULL: EEXIST the name is in use, EINVAL it is NULL or
 * empty, ENOMEM. */
struct talev_jobq *talev_jobq_create(TALLOC_CTX *mem_ctx, const char *name);

/* A further handle, which keeps nothing open: of jobq, or of the queue of that name in this
 * process. NULL: ENOENT, ENOMEM. */
struct talev_jobq *talev_jobq_attach(TALLOC_CTX *mem_ctx, struct talev_jobq *jobq);
struct talev_jobq *talev_jobq_get(TALLOC_CTX *mem_ctx, const char *name);

/* From now on nothing new is taken. Jobs that have not begun end with ESHUTDOWN, running ones are
 * told by their token. Waits for nothing. */
void talev_jobq_close(struct talev_jobq *jobq);

/* So many jobs run at a time: at first as many as this process may use processors. 0: none begin.
 * Kept between the minimum (at first 0) and the maximum (1024). */
void talev_jobq_set_concurrency(struct talev_jobq *jobq, unsigned concurrency);
/* -1: EINVAL min > max. */
int talev_jobq_set_min_max(struct talev_jobq *jobq, unsigned min, unsigned max);
/* No job begins until talev_jobq_resume(); returns when none runs any more. Pauses count. -1:
 * EDEADLK in a job of that queue. */
int talev_jobq_pause(struct talev_jobq *jobq);
/* -1: EINVAL it is not paused. */
int talev_jobq_resume(struct talev_jobq *jobq);
/* So many threads stay when there is nothing to do (at first 0); the others end when they have been
 * idle for so long (at first 5 seconds). */
void talev_jobq_set_floor(struct talev_jobq *jobq, unsigned floor);
void talev_jobq_set_idle(struct talev_jobq *jobq, talev_time_t idle);
/* So many jobs may wait: more are refused with EAGAIN. 0, as at first: no bound. */
void talev_jobq_set_max_backlog(struct talev_jobq *jobq, size_t max);
/* Which job of a class is next: the one that was sent last, or, as at first, first. */
void talev_jobq_set_lifo(struct talev_jobq *jobq, bool lifo);
/* When several classes have jobs waiting, they take turns, each with that many jobs in a row (at
 * first 1). NULL: the jobs without a class. -1: EINVAL weight 0, ENOMEM. */
int talev_jobq_set_class(struct talev_jobq *jobq, const char *class_name, unsigned weight);

/* fn(job, *data) will run on a thread of the queue. The talloc tree at *data moves there, and *data
 * is NULL from now on; data, or *data, may be NULL. The request ends, from the loop, when fn has
 * returned and all jobs that it added have ended: well, or with the error of fn, else with the
 * first one of those; or it ends with EAGAIN too many jobs are waiting, ESHUTDOWN the queue is
 * closed or the process has forked, ECANCELED, ETIME, or what pthread_create(3) says. NULL, and
 * nothing was moved: EINVAL, also for data that thread proxies refuse; ENOMEM, EMFILE, ENFILE,
 * ESHUTDOWN, ESTALE mem_ctx is being finalized. Owner's thread of ev and *data. */
struct talev_req *_talev_job_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	struct talev_jobq *jobq, const char *class_name, talev_job_fn_t fn, void *data,
	const char *where);
/* The same as one of a class. */
#ifdef TALEV_DOC
struct talev_req *talev_job_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	struct talev_jobq *jobq, talev_job_fn_t fn, void *data);
struct talev_req *talev_job_class_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	struct talev_jobq *jobq, const char *class_name, talev_job_fn_t fn, void *data);
#endif
#define talev_job_send(mem_ctx, ev, jobq, fn, data)                                                \
	_talev_job_send(mem_ctx, ev, jobq, NULL, fn, data, TALEV_JOB_WHERE(fn))
#define talev_job_class_send(mem_ctx, ev, jobq, class_name, fn, data)                              \
	_talev_job_send(mem_ctx, ev, jobq, class_name, fn, data, TALEV_JOB_WHERE(fn))
#define TALEV_JOB_WHERE(fn) "job\0" __location__ "\0" #fn

/* 0, or -1 with the error. Either way the data moves back, to mem_ctx and *data, unless fn is still
 * at it: then *data is NULL. data NULL: it is freed. The request is received, unless it is in
 * progress: EINPROGRESS. */
int talev_job_recv(struct talev_req *req, TALLOC_CTX *mem_ctx, void *data);

/* talev_req_set_deadline(), and besides: if fn has not begun at that moment of the monotonic clock
 * it never will, however late the loop is. -1: as that. */
int talev_job_set_deadline(struct talev_req *req, talev_time_t deadline);

/* The token, for fn: true when its result is not wanted any more: it was cancelled, its request was
 * freed, its deadline has passed, its queue was closed, or that is so of the job that added it. */
bool talev_job_cancelled(struct talev_job *job);

/* For fn, while it runs: a further job, whose end the request of job waits for. When the result
 * arrives in the loop, *data moves below that of job, or is freed if there is none. jobq NULL: the
 * queue that job is in. -1, and nothing was moved: EAGAIN, EINVAL, ENOMEM, ESHUTDOWN, or what
 * pthread_create(3) says. */
int _talev_job_add(struct talev_job *job, struct talev_jobq *jobq, const char *class_name,
	talev_job_fn_t fn, void *data, const char *where);
#ifdef TALEV_DOC
int talev_job_add(struct talev_job *job, struct talev_jobq *jobq, talev_job_fn_t fn, void *data);
int talev_job_class_add(struct talev_job *job, struct talev_jobq *jobq, const char *class_name,
	talev_job_fn_t fn, void *data);
#endif
#define talev_job_add(job, jobq, fn, data)                                                         \
	_talev_job_add(job, jobq, NULL, fn, data, TALEV_JOB_WHERE(fn))
#define talev_job_class_add(job, jobq, class_name, fn, data)                                       \
	_talev_job_add(job, jobq, class_name, fn, data, TALEV_JOB_WHERE(fn))

/* A request that is done when all jobs have ended that the queue holds now. It ends with EDEADLK if
 * one of them asks. NULL: EINVAL, ENOMEM, EMFILE, ENFILE, ESHUTDOWN the context is closing, ESTALE.
 * Owner's thread of ev. */
struct talev_req *_talev_jobq_drain_send(
	TALLOC_CTX *mem_ctx, struct talev_context *ev, struct talev_jobq *jobq, const char *where);
#define talev_jobq_drain_send(mem_ctx, ev, jobq)                                                   \
	_talev_jobq_drain_send(mem_ctx, ev, jobq, TALEV_WHERE(drain))
/* 0, or -1 with the error. The request is received, unless it is in progress: EINPROGRESS. */
int talev_jobq_drain_recv(struct talev_req *req);

struct talev_jobq_info {
	unsigned concurrency; /* as it is now */
	unsigned min;
	unsigned max;
	unsigned floor;
	size_t max_backlog;
	unsigned threads;
	unsigned idle;       /* of them */
	unsigned running;    /* jobs, on threads */
	size_t queued;       /* not begun */
	size_t waiting;      /* fn has returned, but not all that it added has ended */
	size_t classes;      /* with jobs waiting */
	uint64_t sent;       /* taken in, ever: those above, and the following */
	uint64_t done;       /* ended after fn ran */
	uint64_t dropped;    /* cancelled, or freed, before they began */
	uint64_t expired;    /* the deadline passed before they began */
	uint64_t refused;    /* EAGAIN; not among those sent */
	talev_time_t oldest; /* how long the first of the queue has waited; 0: there is none */
	bool lifo;
	bool closed;
};

/* Fills size bytes of *info, so that programs built with an older header go on working. */
void talev_jobq_get_info(struct talev_jobq *jobq, struct talev_jobq_info *info, size_t size);

/* How long jobs waited before they began, and ran; into (merged with) what is there. */
void talev_jobq_get_times(
	struct talev_jobq *jobq, struct talev_histogram *waited, struct talev_histogram *ran);

/* The queue for people, or as one JSON object (RFC 8259). jobq NULL: all queues of this process
 * that are open, a JSON array. NULL: ENOMEM. */
char *talev_jobq_text(TALLOC_CTX *mem_ctx, struct talev_jobq *jobq);
char *talev_jobq_json(TALLOC_CTX *mem_ctx, struct talev_jobq *jobq);

#ifdef __cplusplus
}
#endif

#endif
