/* SPDX-License-Identifier: BSD-2-Clause */
/* A job, as the loop that asked for it sees it; and what both sides do with one. */
#ifndef WORK_REQUEST_H
#define WORK_REQUEST_H

#include "work/jobq.h"

extern const struct outcome_ops job_outcome_ops;

/* job.c. spare: memory for it, or NULL. NULL: ENOMEM. */
struct talev_job *job_create(
	struct outcome *spare, talev_job_fn_t fn, void *data, const char *where);
/* True: it waited, has left the queue, and is the caller's. False: it has begun. Owner, or who has
 * just pushed it. */
bool job_withdraw(struct talev_job *job);
/* With all that it has added and what data those have; its own data only with_data. */
void job_free(struct talev_job *job, bool with_data);
/* The same without its data; its memory is for another one. Owner, and the loop is there. */
void job_keep(struct talev_job *job);
/* Its data, with that of what it has added below it. On the thread that may touch it. */
void *job_take_data(struct talev_job *job);

#endif
