/* SPDX-License-Identifier: BSD-2-Clause */
/* A queue and its handles: made, set, closed. */
#include "work/jobq.h"
#include "work/forks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include "base/base.h"

#define MOST_JOBS    1024
#define LONGEST_IDLE TALEV_SEC(1000000000)

struct talev_jobq {
	struct jobq *q;
	bool is_owner; /* freeing it closes the queue */
};

struct jobq *jobq_of(const struct talev_jobq *jobq)
{
	return jobq->q;
}

static int init_lock(struct jobq *q)
{
	pthread_mutexattr_t attr;
	int error;

	pthread_mutexattr_init(&attr);
	/* It is held for some ten instructions at a time. */
	(void)pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	error = pthread_mutex_init(&q->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	return error;
}

static void jobq_free(struct jobq *q)
{
	struct segment *segment;

	while ((segment = TAILQ_FIRST(&q->segments)) != NULL) {
		TAILQ_REMOVE(&q->segments, segment, link);
		free(segment);
	}
	classes_destroy(&q->classes);
	pthread_cond_destroy(&q->still);
	pthread_mutex_destroy(&q->lock);
	free(q->name);
	free(q);
}

void jobq_unref(struct jobq *q)
{
	if (atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) != 1)
		return;
	forks_remove(q);
	jobq_free(q);
}

static void clamp(struct jobq *q)
{
	q->concurrency = q->wish < q->min ? q->min : q->wish > q->max ? q->max : q->wish;
	if (q->pauses > 0)
		q->concurrency = 0;
}

/* NULL: out of memory. */
static struct jobq *jobq_new(const char *name)
{
	struct jobq *q = aligned_alloc(THREAD_LINE, sizeof(*q));
	struct segment *segment = calloc(1, sizeof(*segment));

	if (q == NULL || segment == NULL) {
		free(q);
		free(segment);
		return NULL;
	}
	memset(q, 0, sizeof(*q));
	TAILQ_INIT(&q->active);
	TAILQ_INIT(&q->segments);
	TAILQ_INSERT_TAIL(&q->segments, segment, link);
	LIST_INIT(&q->idle);
	atomic_init(&q->inbox, NULL);
	atomic_init(&q->refs, 1);
	atomic_init(&q->short_handed, true);
	atomic_init(&q->max_backlog, 0);
	atomic_init(&q->queued, 0);
	q->wish = (unsigned)base_cpus();
	q->may_spin = q->wish > 1;
	q->max = MOST_JOBS;
	q->idle_time = TALEV_SEC(5);
	clamp(q);
	pthread_cond_init(&q->still, NULL);
	q->name = strdup(name);
	if (q->name == NULL || classes_init(&q->classes) != 0 || init_lock(q) != 0) {
		jobq_free(q);
		return NULL;
	}
	strncpy(q->thread_name, name, sizeof(q->thread_name) - 1);
	return q;
}

static int handle_destructor(struct talev_jobq *jobq)
{
	if (jobq->is_owner)
		talev_jobq_close(jobq);
	jobq_unref(jobq->q);
	return 0;
}

/* Takes over the caller's reference. */
static void handle_set(struct talev_jobq *jobq, struct jobq *q)
{
	jobq->q = q;
	talloc_set_destructor(jobq, handle_destructor);
}

static struct talev_jobq *handle_create(TALLOC_CTX *mem_ctx)
{
	struct talev_jobq *jobq = talloc_zero(mem_ctx, struct talev_jobq);

	if (jobq == NULL)
		errno = ENOMEM;
	return jobq;
}

struct talev_jobq *talev_jobq_create(TALLOC_CTX *mem_ctx, const char *name)
{
	struct talev_jobq *jobq;
	struct jobq *q;

	if (name == NULL || name[0] == '\0') {
		errno = EINVAL;
		return NULL;
	}
	jobq = handle_create(mem_ctx);
	if (jobq == NULL)
		return NULL;
	errno = ENOMEM;
	q = jobq_new(name);
	if (q == NULL || forks_add(q) != 0) {
		int error = errno;

		if (q != NULL)
			jobq_free(q);
		talloc_free(jobq);
		errno = error;
		return NULL;
	}
	handle_set(jobq, q);
	jobq->is_owner = true;
	return jobq;
}

struct talev_jobq *talev_jobq_attach(TALLOC_CTX *mem_ctx, struct talev_jobq *jobq)
{
	struct talev_jobq *further = handle_create(mem_ctx);

	if (further != NULL) {
		jobq_ref(jobq->q);
		handle_set(further, jobq->q);
	}
	return further;
}

struct talev_jobq *talev_jobq_get(TALLOC_CTX *mem_ctx, const char *name)
{
	struct talev_jobq *jobq = handle_create(mem_ctx);
	struct jobq *q;

	if (jobq == NULL)
		return NULL;
	q = forks_get(name);
	if (q == NULL) {
		talloc_free(jobq);
		errno = ENOENT;
		return NULL;
	}
	handle_set(jobq, q);
	return jobq;
}

void talev_jobq_close(struct talev_jobq *jobq)
{
	struct jobq *q = jobq->q;
	struct talev_job *job;
	struct told told;

	told_init(&told);
	forks_close(q);
	jobq_lock(q);
	q->closed = true;
	inbox_close(q);
	jobq_drop_all(q, ESHUTDOWN, &told);
	TAILQ_FOREACH (job, &q->active, link)
		atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
	workers_rouse(q);
	jobq_unlock(q);
	told_tell(&told);
}

/* A setting has changed: more may begin, or threads may end. */
static void changed(struct jobq *q)
{
	unsigned starting;

	/* As the settings were, whoever sent may have seen no need to call anybody. */
	if (jobq_count_hands(q) && inbox_any(q))
		(void)inbox_admit(q);
	starting = workers_call(q);

	workers_rouse(q);
	jobq_unlock(q);
	if (starting > 0 && workers_start(q, starting) != 0)
		workers_give_up(q, errno);
}

void talev_jobq_set_concurrency(struct talev_jobq *jobq, unsigned concurrency)
{
	struct jobq *q = jobq->q;

	jobq_lock(q);
	q->wish = concurrency;
	clamp(q);
	changed(q);
}

int talev_jobq_set_min_max(struct talev_jobq *jobq, unsigned min, unsigned max)
{
	struct jobq *q = jobq->q;

	if (min > max) {
		errno = EINVAL;
		return -1;
	}
	jobq_lock(q);
	q->min = min;
	q->max = max;
	clamp(q);
	changed(q);
	return 0;
}

int talev_jobq_pause(struct talev_jobq *jobq)
{
	const struct talev_job *mine = worker_job();
	struct jobq *q = jobq->q;

	if (mine != NULL && mine->q == q) {
		errno = EDEADLK;
		return -1;
	}
	jobq_lock(q);
	q->pauses++;
	clamp(q);
	/* Somebody else may resume it meanwhile. */
	while (q->running > 0 && q->pauses > 0)
		pthread_cond_wait(&q->still, &q->lock);
	changed(q);
	return 0;
}

int talev_jobq_resume(struct talev_jobq *jobq)
{
	struct jobq *q = jobq->q;

	jobq_lock(q);
	if (q->pauses == 0) {
		jobq_unlock(q);
		errno = EINVAL;
		return -1;
	}
	if (--q->pauses == 0)
		pthread_cond_broadcast(&q->still);
	clamp(q);
	changed(q);
	return 0;
}

void talev_jobq_set_floor(struct talev_jobq *jobq, unsigned floor)
{
	struct jobq *q = jobq->q;

	jobq_lock(q);
	q->floor = floor;
	changed(q);
}

void talev_jobq_set_idle(struct talev_jobq *jobq, talev_time_t idle)
{
	struct jobq *q = jobq->q;

	jobq_lock(q);
	q->idle_time = idle < 0 ? 0 : idle > LONGEST_IDLE ? LONGEST_IDLE : idle;
	changed(q);
}

void talev_jobq_set_max_backlog(struct talev_jobq *jobq, size_t max)
{
	atomic_store_explicit(&jobq->q->max_backlog, max, memory_order_relaxed);
}

void talev_jobq_set_lifo(struct talev_jobq *jobq, bool lifo)
{
	jobq_lock(jobq->q);
	jobq->q->lifo = lifo;
	jobq_unlock(jobq->q);
}

int talev_jobq_set_class(struct talev_jobq *jobq, const char *class_name, unsigned weight)
{
	int rc;

	if (weight == 0) {
		errno = EINVAL;
		return -1;
	}
	jobq_lock(jobq->q);
	rc = classes_set(&jobq->q->classes, class_name, weight);
	jobq_unlock(jobq->q);
	if (rc != 0)
		errno = ENOMEM;
	return rc;
}
