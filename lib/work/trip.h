/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A job and its way, as the loop sees it that sends it; and what both sides do with one.
 *
 * The job and who waits for it know each other until one of them ends: the job comes back by the
 * hub, or it is withdrawn, or given up. One that was given up still comes back, so that its data is
 * freed by the thread that sent it.
 */
#ifndef WORK_TRIP_H
#define WORK_TRIP_H

#include "work/forks.h"
#include "work/jobq.h"

/* trip.c. Embedded in who waits for it. Owner. */
struct trip {
	struct awaited awaited;
	struct talev_job *job;
	bool on_its_way;
	/* From the loop: the job is back, or is_parents: it is lost to that process. */
	void (*back)(struct trip *trip, bool is_parents);
};

/* 0; or as job_push(), and the job is not on its way. */
int trip_begin(struct trip *trip, struct hub *hub, const char *class_name);
/* Of a job on its way. True: it is not any more, and the caller's, or if it is the parent's, NULL.
 * False: it has begun, and its token says so. */
bool trip_withdraw(struct trip *trip);
/* The same; one that has begun is nobody's from now on, and NULL. */
void trip_end(struct trip *trip);

extern const struct outcome_ops job_outcome_ops;

/* job.c. spare: memory for it, or NULL. NULL: ENOMEM. */
struct talev_job *job_create(
	struct outcome *spare, struct jobq *q, talev_job_fn_t fn, void *data, const char *where);
/* The same as a box. */
struct talev_job *job_create_box(struct jobq *q);
/* For the next time, with what it has for data. */
static inline void job_renew(struct talev_job *job, talev_job_fn_t fn, const char *where)
{
	job->fn = fn;
	job->where = where;
	job->error = 0;
	job->generation = fork_generation();
	job->place = JOB_NEW;
	atomic_init(&job->unfinished, 1);
	atomic_init(&job->added_error, 0);
	atomic_init(&job->cancelled, false);
}

/* True: it waited, has left the queue, and is the caller's. False: it has begun. Owner, or who has
 * just pushed it. */
bool job_withdraw(struct talev_job *job);
/* With all that it has added. What data those have goes below its own, which is freed only
 * with_data, or if it is in a box. */
void job_free(struct talev_job *job, bool with_data);
/* After job_take_data(), for one that is in no box: its memory is for another one. Owner, and the
 * loop is there. */
void job_keep(struct talev_job *job);
/* Its data, with that of what it has added below it. On the thread that may touch it. */
void *job_gather_data(struct talev_job *job);
static inline void *job_take_data(struct talev_job *job)
{
	if (atomic_load_explicit(&job->added, memory_order_acquire) == NULL)
		return job->data;
	return job_gather_data(job);
}

#endif
