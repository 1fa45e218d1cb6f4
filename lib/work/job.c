/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A job on its way through the queue: pushed, withdrawn, done. What the loop's side sees of it is
 * in trip.c.
 */
#include "work/jobq.h"
#include "work/forks.h"
#include "work/trip.h"

#include <errno.h>
#include <stdlib.h>
#include "base/clock.h"

static struct talev_job *init(struct talev_job *job, struct jobq *q, void *data)
{
	if (job == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	job->out.ops = &job_outcome_ops;
	job->out.hub = NULL;
	job->q = q;
	jobq_ref(q);
	job->class = NULL;
	job->trip = NULL;
	job->parent = NULL;
	job->above = NULL;
	job->data = data;
	job->is_box = false;
	atomic_init(&job->added, NULL);
	atomic_init(&job->deadline, TALEV_NEVER);
	return job;
}

struct talev_job *job_create(
	struct outcome *spare, struct jobq *q, talev_job_fn_t fn, void *data, const char *where)
{
	struct talev_job *job = (struct talev_job *)spare;

	job = init(job != NULL ? job : malloc(sizeof(*job)), q, data);
	if (job != NULL)
		job_renew(job, fn, where);
	return job;
}

struct talev_job *job_create_box(struct jobq *q)
{
	struct talev_job *job = init(talloc(NULL, struct talev_job), q, NULL);

	if (job != NULL)
		job->is_box = true;
	return job;
}

static int insert(struct jobq *q, const char *class_name, struct talev_job *job)
{
	size_t most = atomic_load_explicit(&q->max_backlog, memory_order_relaxed);

	if (q->closed)
		return ESHUTDOWN;
	if (most > 0 && atomic_load_explicit(&q->queued, memory_order_relaxed) >= most) {
		q->refused++;
		return EAGAIN;
	}
	if (class_name != NULL) {
		job->class = classes_get(&q->classes, class_name);
		if (job->class == NULL)
			return ENOMEM;
	}
	admit(q, job);
	return 0;
}

/* Out of those that wait. With the lock held. */
static void withdraw_locked(struct jobq *q, struct talev_job *job, struct told *told)
{
	classes_remove(&q->classes, job);
	atomic_store_explicit(&q->queued,
		atomic_load_explicit(&q->queued, memory_order_relaxed) - 1, memory_order_relaxed);
	job->place = JOB_FINISHED;
	q->dropped++;
	q->jobs--;
	segment_job_done(q, job->segment, told);
}

bool job_withdraw(struct talev_job *job)
{
	struct jobq *q = job->q;
	struct told told;
	bool queued;

	told_init(&told);
	jobq_lock(q);
	queued = job->place == JOB_QUEUED;
	if (queued)
		withdraw_locked(q, job, &told);
	jobq_unlock(q);
	told_tell(&told);
	return queued;
}

int job_push(struct talev_job *job, const char *class_name)
{
	struct jobq *q = job->q;
	unsigned starting = 0;
	bool by_inbox = class_name == NULL &&
			atomic_load_explicit(&q->max_backlog, memory_order_relaxed) == 0;
	int error = 0;

	job->since = base_clock_now(TALEV_CLOCK_MONOTONIC);
	job->place = JOB_QUEUED;
	if (by_inbox) {
		error = inbox_put(q, job);
		if (error == 0 && !atomic_load_explicit(&q->short_handed, memory_order_seq_cst))
			return 0;
	}
	if (error == 0) {
		jobq_lock(q);
		if (!by_inbox)
			error = insert(q, class_name, job);
		if (error == 0)
			starting = workers_call(q);
		jobq_unlock(q);
	}
	/* There may be nobody to do it: then it is given back, unless somebody came meanwhile. */
	if (starting > 0 && workers_start(q, starting) != 0) {
		int why = errno;

		if (job_withdraw(job))
			error = why;
		workers_give_up(q, why);
	}
	return error;
}

bool job_cancelled_by_family(struct talev_job *job, talev_time_t now, int *why)
{
	for (; job != NULL; job = job->above) {
		talev_time_t deadline = atomic_load_explicit(&job->deadline, memory_order_relaxed);

		*why = ECANCELED;
		if (atomic_load_explicit(&job->cancelled, memory_order_relaxed))
			return true;
		*why = ETIME;
		if (deadline == TALEV_NEVER)
			continue;
		if (now == TALEV_NEVER)
			now = base_clock_now(TALEV_CLOCK_MONOTONIC);
		if (deadline <= now)
			return true;
	}
	*why = 0;
	return false;
}

bool talev_job_cancelled(struct talev_job *job)
{
	int why;

	return job_cancelled(job, TALEV_NEVER, &why);
}

void job_part_done(struct talev_job *job, struct told *told)
{
	struct jobq *q = job->q;

	/* If it is the last part, nobody adds another. */
	if (atomic_load_explicit(&job->unfinished, memory_order_acquire) != 1 &&
		atomic_fetch_sub_explicit(&job->unfinished, 1, memory_order_acq_rel) != 1)
		return;
	if (job->place == JOB_RETURNED) {
		q->returned--;
		TAILQ_REMOVE(&q->active, job, link);
	}
	job->place = JOB_FINISHED;
	if (job->error == 0)
		job->error = atomic_load_explicit(&job->added_error, memory_order_relaxed);
	q->jobs--;
	/* A drain must not be heard of before the job. */
	told_add(told, &job->out);
	segment_job_done(q, job->segment, told);
}

void jobq_drop_all(struct jobq *q, int error, struct told *told)
{
	struct talev_job *job;

	while ((job = classes_any(&q->classes)) != NULL) {
		job->error = error;
		told_add(told, &job->out);
		withdraw_locked(q, job, told);
	}
}

/* Its parent keeps it until the end, and hears of its error. */
static void tell_parent(struct talev_job *job, struct told *told)
{
	struct talev_job *parent = job->parent;
	struct talev_job *others = atomic_load_explicit(&parent->added, memory_order_relaxed);
	struct jobq *q = parent->q;
	int none = 0;

	if (job->error != 0)
		atomic_compare_exchange_strong(&parent->added_error, &none, job->error);
	do {
		job->out.next = others != NULL ? &others->out : NULL;
	} while (!atomic_compare_exchange_weak_explicit(
		&parent->added, &others, job, memory_order_release, memory_order_relaxed));
	jobq_lock(q);
	job_part_done(parent, told);
	jobq_unlock(q);
}

void told_tell(struct told *told)
{
	struct outcome *outcome;

	while ((outcome = told->first) != NULL) {
		told->first = outcome->next;
		if (told->first == NULL)
			told->last = &told->first;
		if (outcome->ops == &job_outcome_ops &&
			((struct talev_job *)outcome)->parent != NULL)
			tell_parent((struct talev_job *)outcome, told);
		else
			hub_send(outcome);
	}
}

static struct talev_job *finished_ones(struct talev_job *job)
{
	return atomic_load_explicit(&job->added, memory_order_acquire);
}

static struct talev_job *next_of(const struct talev_job *job)
{
	return (struct talev_job *)job->out.next;
}

/* What job has added, before others. The data goes below that of job, or if that has none, goes. */
static struct talev_job *take_added(struct talev_job *job, struct talev_job *others)
{
	struct talev_job *added = finished_ones(job);
	struct talev_job *last = NULL;

	for (struct talev_job *one = added; one != NULL; one = next_of(one)) {
		last = one;
		if (one->data == NULL)
			continue;
		if (job->data != NULL)
			talloc_steal(job->data, one->data);
		else
			TALLOC_FREE(one->data);
	}
	if (last == NULL)
		return others;
	last->out.next = others != NULL ? &others->out : NULL;
	return added;
}

static void let_go(struct talev_job *job, bool keep)
{
	jobq_unref(job->q);
	if (job->is_box)
		talloc_free(job);
	else if (keep)
		hub_keep_spare(&job->out);
	else
		free(job);
}

/* One job after the other, however long the line of those that have added each other is. */
void *job_gather_data(struct talev_job *job)
{
	struct talev_job *line = take_added(job, NULL);

	atomic_store_explicit(&job->added, NULL, memory_order_relaxed);
	while (line != NULL) {
		struct talev_job *added = line;

		line = take_added(added, next_of(added));
		let_go(added, false);
	}
	return job->data;
}

void job_free(struct talev_job *job, bool with_data)
{
	void *data = job_take_data(job);

	if (with_data && !job->is_box)
		talloc_free(data);
	let_go(job, false);
}

void job_keep(struct talev_job *job)
{
	let_go(job, true);
}

/* Only the first one of a family has a request, and with it a deadline. The others are cancelled
 * when their queue is closed, and then those that they added to the same queue have been dropped or
 * cancelled with it: so these need not ask them, and a long line of them is not gone through. */
static struct talev_job *above(struct talev_job *parent, const struct jobq *q)
{
	return parent->parent == NULL || parent->q != q ? parent : parent->above;
}

/* The job that adds is not done before this has returned, so neither is its place in the queue. */
int _talev_job_add(struct talev_job *job, struct talev_jobq *jobq, const char *class_name,
	talev_job_fn_t fn, void *data_ptr, const char *where)
{
	void **data = data_ptr;
	void *tree = data != NULL ? *data : NULL;
	struct talev_job *added;
	struct jobq *q;
	void *parent;
	int error;

	if (job == NULL || fn == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (!thread_may_cross(tree))
		return -1;
	q = jobq != NULL ? jobq_of(jobq) : job->q;
	added = job_create(NULL, q, fn, tree, where);
	if (added == NULL)
		return -1;
	parent = tree != NULL ? talloc_parent(tree) : NULL;
	if (tree != NULL)
		talloc_steal(NULL, tree);
	added->parent = job;
	added->above = above(job, q);
	atomic_fetch_add_explicit(&job->unfinished, 1, memory_order_relaxed);
	error = job_push(added, class_name);
	if (error != 0) {
		atomic_fetch_sub_explicit(&job->unfinished, 1, memory_order_relaxed);
		if (tree != NULL)
			talloc_steal(parent, tree);
		job_free(added, false);
		errno = error;
		return -1;
	}
	if (data != NULL)
		*data = NULL;
	return 0;
}
