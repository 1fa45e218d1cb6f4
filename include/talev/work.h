/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_WORK_H
#define TALEV_WORK_H

#include <stdbool.h>
#include <talloc.h>
#include <talev/job.h>
#include <talev/source.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;

/* A job that is sent again and again, one time after the other, by the owner's thread of a loop. */
struct talev_work;

/* In the loop. error: what fn has returned, or that of a job that it added; ESHUTDOWN the queue was
 * closed before fn began, or the process has forked; or what pthread_create(3) said. data: what it
 * was sent with, and NULL after a fork. */
typedef void (*talev_work_handler_t)(struct talev_context *ev, struct talev_work *work, int error,
	void *data, void *private_data);

/* For jobs of that queue, none of which is sent yet. mem_ctx NULL: ev owns it. Owner's thread of
 * ev. NULL: EINVAL, ENOMEM, EMFILE, ENFILE, ESHUTDOWN, ESTALE. */
struct talev_work *_talev_work_create(
	struct talev_context *ev, TALLOC_CTX *mem_ctx, struct talev_jobq *jobq, const char *where);
#define talev_work_create(ev, mem_ctx, jobq)                                                       \
	_talev_work_create(ev, mem_ctx, jobq, "work\0" __location__)

/* Its jobs are of that class; NULL: of none, as at first. -1: EBUSY it is scheduled, ENOMEM,
 * ESTALE. */
int talev_work_set_class(struct talev_work *work, const char *class_name);

/* fn(job, *data) will run on a thread of the queue, then handler(ev, work, error, *data,
 * private_data) in the loop, in the order of immediates. The talloc tree at *data moves to work,
 * and *data is NULL from now on; data, or *data, may be NULL. There it stays: until it is sent
 * again, stolen or freed after it came back, or until other data or none is sent, or work freed,
 * which frees it. Allocates nothing. The handler may schedule work again or free it. -1, and
 * nothing was moved: EBUSY it is scheduled; EAGAIN too many jobs are waiting; EINVAL, also for data
 * that thread proxies refuse; ESHUTDOWN the queue is closed; ESTALE; for the first time after
 * fork(2), ENOMEM; or what pthread_create(3) says. */
int _talev_work_schedule(struct talev_work *work, talev_job_fn_t fn, void *data,
	talev_work_handler_t handler, void *private_data, const char *where);
#ifdef TALEV_DOC
int talev_work_schedule(struct talev_work *work, talev_job_fn_t fn, void *data,
	talev_work_handler_t handler, void *private_data);
#endif
#define talev_work_schedule(work, fn, data, handler, private_data)                                 \
	_talev_work_schedule(work, fn, data, handler, private_data, TALEV_WHERE(handler) "\0" #fn)

/* Takes it back, its handler is not called, and its data is at *data, still below work, unless data
 * is NULL. 0 also when it was not scheduled. -1: EBUSY fn has begun: its token says so, and handler
 * is called when it has returned; ESTALE. */
int talev_work_cancel(struct talev_work *work, void *data);

/* From talev_work_schedule() until its handler begins. */
bool talev_work_is_scheduled(const struct talev_work *work);

#ifdef __cplusplus
}
#endif

#endif
