/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All queues of the process. In a child of fork(2) there are no threads but the one that forked:
 * every queue becomes one that nothing was ever sent to, with its settings, and works. What was
 * in it is the parent's, and is left as it is, for ever: one of the parent's threads may have been
 * in the middle of changing it. Its requests end in the child's loop, see hub.c.
 *
 * Over a fork the locks are held, so that the child does not find one locked or a list half
 * changed.
 */
#include "work/forks.h"
#include "work/jobq.h"

#include <errno.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(, jobq) queues = TAILQ_HEAD_INITIALIZER(queues);
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int watching; /* what pthread_atfork(3) said */
atomic_uint forks_generation;
static struct job_list orphans = TAILQ_HEAD_INITIALIZER(orphans);

static void before(void)
{
	struct jobq *q;

	pthread_mutex_lock(&lock);
	TAILQ_FOREACH (q, &queues, all)
		jobq_lock(q);
}

static void unlock_all(void)
{
	struct jobq *q;

	TAILQ_FOREACH (q, &queues, all)
		jobq_unlock(q);
	pthread_mutex_unlock(&lock);
}

static void renew(struct jobq *q)
{
	struct segment *open = segment_open(q);

	/* Senders need no lock: some may have come since it was taken. */
	(void)inbox_admit(q);
	classes_orphan(&q->classes, &orphans);
	TAILQ_CONCAT(&orphans, &q->active, link);
	/* What drains wait for stays where it is, known to nobody but those jobs. */
	TAILQ_INIT(&q->segments);
	TAILQ_INSERT_TAIL(&q->segments, open, link);
	open->jobs = 0;
	LIST_INIT(&q->idle);
	atomic_store_explicit(&q->queued, 0, memory_order_relaxed);
	q->jobs = 0;
	q->threads = 0;
	q->running = 0;
	q->idle_count = 0;
	q->coming = 0;
	q->spinning = false;
	q->returned = 0;
	/* Who waited for it is not here. */
	pthread_cond_init(&q->still, NULL);
	q->sent = q->done = q->dropped = q->expired = q->refused = 0;
	talev_histogram_clear(&q->waited);
	talev_histogram_clear(&q->ran);
}

static void after_in_child(void)
{
	struct jobq *q;

	atomic_fetch_add_explicit(&forks_generation, 1, memory_order_relaxed);
	TAILQ_FOREACH (q, &queues, all)
		renew(q);
	unlock_all();
}

static void watch(void)
{
	watching = pthread_atfork(before, unlock_all, after_in_child);
}

static struct jobq *find(const char *name)
{
	struct jobq *q;

	TAILQ_FOREACH (q, &queues, all)
		if (q->open && strcmp(q->name, name) == 0)
			return q;
	return NULL;
}

int forks_add(struct jobq *q)
{
	bool taken;

	pthread_once(&once, watch);
	if (watching != 0) {
		errno = watching;
		return -1;
	}
	pthread_mutex_lock(&lock);
	taken = find(q->name) != NULL;
	if (!taken) {
		q->open = true;
		TAILQ_INSERT_TAIL(&queues, q, all);
	}
	pthread_mutex_unlock(&lock);
	if (!taken)
		return 0;
	errno = EEXIST;
	return -1;
}

void forks_close(struct jobq *q)
{
	pthread_mutex_lock(&lock);
	q->open = false;
	pthread_mutex_unlock(&lock);
}

void forks_remove(struct jobq *q)
{
	pthread_mutex_lock(&lock);
	TAILQ_REMOVE(&queues, q, all);
	pthread_mutex_unlock(&lock);
}

struct jobq *forks_get(const char *name)
{
	struct jobq *q;

	pthread_mutex_lock(&lock);
	q = find(name);
	if (q != NULL)
		jobq_ref(q);
	pthread_mutex_unlock(&lock);
	return q;
}

void forks_each(bool open, void (*fn)(struct jobq *q, void *private_data), void *private_data)
{
	struct jobq *q;

	pthread_mutex_lock(&lock);
	TAILQ_FOREACH (q, &queues, all)
		if (q->open || !open)
			fn(q, private_data);
	pthread_mutex_unlock(&lock);
}
