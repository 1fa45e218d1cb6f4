/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The threads of a queue. One that has nothing to do looks for a moment, if jobs have used to come
 * that soon, and then sleeps until it is called. Who became idle last is called first, so that
 * those that are not needed have their sleep out, and end.
 *
 * Whoever sends a job calls somebody only if more jobs could run than threads are coming to look
 * for one. Who is coming looks with the lock held, and into the inbox, so nobody is missed; and who
 * finds more there than it can do calls others.
 */
#include "work/jobq.h"
#include "work/forks.h"
#include "work/work.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"

/* As long as it takes to put a thread to sleep and wake it, more or less. */
#define SPIN TALEV_USEC(50)
/* Jobs are let come together for so long when they used to come faster than that. */
#define GATHER_TIME TALEV_USEC(2)

struct worker {
	LIST_ENTRY(worker) link; /* among the idle ones */
	pthread_cond_t called;
	bool is_called;
	struct talev_job *job;
	talev_time_t idle_since;
	pid_t tid;
	int lets_through; /* this signal, of all; 0: none */
};

static atomic_int let_through;
static _Thread_local struct worker *this_worker;

struct talev_job *worker_job(void)
{
	return this_worker != NULL ? this_worker->job : NULL;
}

static talev_time_t now(void)
{
	return base_clock_now(TALEV_CLOCK_MONOTONIC);
}

/* How many that wait could begin now. */
static size_t startable(const struct jobq *q)
{
	size_t queued = atomic_load_explicit(&q->queued, memory_order_relaxed);
	size_t room = q->concurrency > q->running ? q->concurrency - q->running : 0;

	return queued < room ? queued : room;
}

static void call_idle(struct jobq *q)
{
	size_t wanted = startable(q);
	struct worker *worker;

	while (q->coming < wanted && (worker = LIST_FIRST(&q->idle)) != NULL) {
		LIST_REMOVE(worker, link);
		q->idle_count--;
		q->coming++;
		worker->is_called = true;
		pthread_cond_signal(&worker->called);
	}
}

unsigned workers_call(struct jobq *q)
{
	size_t wanted = startable(q);
	unsigned starting = 0;

	call_idle(q);
	for (; q->coming < wanted && q->threads < q->concurrency; q->coming++) {
		q->threads++;
		jobq_ref(q);
		starting++;
	}
	return starting;
}

void workers_rouse(struct jobq *q)
{
	struct worker *worker;

	LIST_FOREACH (worker, &q->idle, link)
		pthread_cond_signal(&worker->called);
}

/* The next job that is to run; those whose time has passed are told instead. The inbox is left
 * alone while there is enough to do: or senders and this thread would take it from each other for
 * each job. */
static struct talev_job *take(
	struct jobq *q, struct worker *self, talev_time_t at, struct told *told, unsigned *starting)
{
	struct talev_job *job;
	int why;

	if (q->running < q->concurrency && (q->lifo || q->classes.unnamed->queued == 0))
		(void)inbox_admit(q);

	while (q->running < q->concurrency && (job = classes_take(&q->classes, q->lifo)) != NULL) {
		atomic_store_explicit(&q->queued,
			atomic_load_explicit(&q->queued, memory_order_relaxed) - 1,
			memory_order_relaxed);
		if (job_cancelled(job, at, &why)) {
			job->error = why;
			if (why == ETIME)
				q->expired++;
			else
				q->dropped++;
			job_part_done(job, told);
			continue;
		}
		histogram_add(&q->waited, at - job->since);
		job->place = JOB_RUNNING;
		job->since = at;
		job->tid = self->tid;
		TAILQ_INSERT_TAIL(&q->active, job, link);
		q->running++;
		if (q->running + q->coming < q->concurrency)
			*starting = workers_call(q);
		return job;
	}
	return NULL;
}

static void returned(
	struct jobq *q, struct talev_job *job, int error, talev_time_t at, struct told *told)
{
	histogram_add(&q->ran, at - job->since);
	q->running--;
	if (q->running == 0 && q->pauses > 0)
		pthread_cond_broadcast(&q->still);
	q->returned++;
	q->done++;
	job->out.at = at;
	job->error = error;
	job->place = JOB_RETURNED;
	job_part_done(job, told);
}

/* Looks for jobs without the lock, until that time. */
static bool look(struct jobq *q, talev_time_t until)
{
	bool found;

	do {
		work_pause();
		found = inbox_any(q) || atomic_load_explicit(&q->queued, memory_order_relaxed) > 0;
	} while (!found && now() < until);
	return found;
}

/* When jobs come one close upon the other, some are let come together: or each would cost both
 * sides what it costs to meet. */
static void gather_a_while(void)
{
	talev_time_t until = now() + GATHER_TIME;

	while (now() < until)
		work_pause();
}

static void spin(struct jobq *q, const struct worker *self)
{
	talev_time_t until = self->idle_since + work_look_time(q->gap, SPIN);
	bool gather = q->gap < GATHER_TIME && work_may_try(&q->gathering);
	bool found;

	q->spinning = true;
	q->coming++;
	jobq_unlock(q);
	found = look(q, until);
	if (found && gather)
		gather_a_while();
	pthread_mutex_lock(&q->lock);
	q->gathered = found && gather;
	work_tried(&q->looks, found);
	(void)inbox_admit(q);
	q->coming--;
	q->spinning = false;
}

/* Until it is called, or its time is over: false. */
static bool sleep_until_called(struct jobq *q, struct worker *self)
{
	struct timespec until;
	int rc = 0;

	if (jobq_count_hands(q) && inbox_any(q) && inbox_admit(q) > 0)
		return true;
	LIST_INSERT_HEAD(&q->idle, self, link);
	q->idle_count++;
	self->is_called = false;
	while (!self->is_called && !q->closed) {
		bool may_stay = q->threads <= q->floor;

		if (!may_stay && rc == ETIMEDOUT && now() >= self->idle_since + q->idle_time)
			break;
		until = base_timespec(self->idle_since + q->idle_time);
		rc = may_stay ? pthread_cond_wait(&self->called, &q->lock)
			      : pthread_cond_timedwait(&self->called, &q->lock, &until);
	}
	if (self->is_called) {
		q->coming--;
		(void)inbox_admit(q);
		return true;
	}
	LIST_REMOVE(self, link);
	q->idle_count--;
	return false;
}

/* Remembers how soon jobs come when there is none. */
static void note_gap(struct jobq *q, const struct worker *self)
{
	struct talev_job *job = classes_any(&q->classes);
	talev_time_t gap;

	if (job == NULL)
		return;
	gap = job->since - self->idle_since;
	if (gap < 0)
		gap = 0;
	if (gap > 4 * SPIN)
		gap = 4 * SPIN;
	q->gap = (3 * q->gap + gap) / 4;
}

/* False: this thread is not needed any more. */
static bool idle(struct jobq *q, struct worker *self, talev_time_t since)
{
	bool goes_on = true;

	if (q->closed)
		return false;
	self->idle_since = since;
	if (q->gap < SPIN / 2 && !q->spinning && q->running < q->concurrency && q->may_spin &&
		work_may_try(&q->looks))
		spin(q, self);
	if (startable(q) == 0)
		goes_on = sleep_until_called(q, self);
	note_gap(q, self);
	return goes_on;
}

void work_let_through(int signum)
{
	atomic_store_explicit(&let_through, signum, memory_order_relaxed);
}

static void set_mask(struct worker *self, int signum)
{
	sigset_t set;

	sigfillset(&set);
	if (signum != 0)
		sigdelset(&set, signum);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	self->lets_through = signum;
}

static void run(struct jobq *q, struct worker *self, struct talev_job *job)
{
	unsigned generation = fork_generation();
	int signum = atomic_load_explicit(&let_through, memory_order_relaxed);

	if (signum != self->lets_through)
		set_mask(self, signum);
	self->job = job;
	job->error = job->fn(job, job->data);
	self->job = NULL;
	if (generation == fork_generation())
		return;
	base_misuse(
		"a child process returns from the job %s of queue %s (%s) that it was forked in",
		job_name(job), q->name, job_location(job));
	_exit(1);
}

static void start_more(struct jobq *q, unsigned *count)
{
	/* If none can be started, there is this one. */
	(void)workers_start(q, *count);
	*count = 0;
}

static void work(struct jobq *q, struct worker *self)
{
	struct talev_job *job;
	talev_time_t at = now();
	unsigned starting = 0;
	struct told told;

	told_init(&told);
	pthread_mutex_lock(&q->lock);
	q->coming--;
	for (;;) {
		job = take(q, self, at, &told, &starting);
		if (job == NULL && told.first == NULL) {
			if (!idle(q, self, at))
				break;
			at = now();
			continue;
		}
		jobq_unlock(q);
		told_tell(&told);
		if (starting > 0)
			start_more(q, &starting);
		if (job != NULL)
			run(q, self, job);
		at = now();
		pthread_mutex_lock(&q->lock);
		if (job != NULL)
			returned(q, job, job->error, at, &told);
	}
	q->threads--;
	jobq_unlock(q);
}

static void *worker_main(void *arg)
{
	struct jobq *q = arg;
	struct worker self = {.tid = gettid()};
	pthread_condattr_t attr;

	this_worker = &self;
	(void)pthread_setname_np(pthread_self(), q->thread_name);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&self.called, &attr);
	pthread_condattr_destroy(&attr);
	work(q, &self);
	pthread_cond_destroy(&self.called);
	jobq_unref(q);
	return NULL;
}

/* With all signals blocked, from its first instruction on. */
static int start_one(struct jobq *q)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all;
	sigset_t old;
	int error;

	error = pthread_attr_init(&attr);
	if (error != 0)
		return error;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&thread, &attr, worker_main, q);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return error;
}

/* With the lock held: whoever has sent while a thread was coming may have called nobody. */
static void look_once_more(struct jobq *q)
{
	if (jobq_count_hands(q) && inbox_any(q))
		(void)inbox_admit(q);
}

/* The rest of them will not come either: they are called again with the next job. */
static int not_started(struct jobq *q, unsigned count, int error)
{
	bool nobody;

	jobq_lock(q);
	q->threads -= count;
	q->coming -= count;
	nobody = q->threads == 0;
	look_once_more(q);
	call_idle(q);
	jobq_unlock(q);
	for (; count > 0; count--)
		jobq_unref(q);
	errno = error;
	return nobody ? -1 : 0;
}

int workers_start(struct jobq *q, unsigned count)
{
	for (; count > 0; count--) {
		int error = start_one(q);

		if (error != 0)
			return not_started(q, count, error);
	}
	return 0;
}

void workers_give_up(struct jobq *q, int error)
{
	struct told told;

	told_init(&told);
	jobq_lock(q);
	look_once_more(q);
	if (q->threads == 0 && q->concurrency > 0)
		jobq_drop_all(q, error, &told);
	jobq_unlock(q);
	told_tell(&told);
}
