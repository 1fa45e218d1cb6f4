/* SPDX-License-Identifier: BSD-2-Clause */
/* Has threads count primes, and gets their results through the daemon's loop. Options:
 *   threads  how many, 1 to 64; 2
 *   upto     the numbers below this are looked at, 2 to 1000000000; 1000000
 *   unit     how many numbers make a result, 1 to 1000000; 10000
 *   pause    how many milliseconds, 0 to 86400000, until it begins again; 1000
 *
 *   mem_ctx
 *     worker            its destructor joins the threads
 *       proxy           by which they send: below the worker, so freed when they have ended
 *
 * Each thread has a talloc tree of its own, without a parent, with a handle to the proxy in it.
 */
#include <bsd/stdlib.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <talev/context.h>
#include <talev/plugin.h>
#include <talev/proxy.h>
#include <talev/timer.h>
#include <time.h>

#define THREADS_MAX 64
/* More results that nobody has taken, and the threads wait: memory has a bound. */
#define UNREAD_MAX 1024

struct worker;

struct thread {
	struct worker *worker;
	unsigned number;
	pthread_t id;
	TALLOC_CTX *root; /* the thread's, once it runs */
	struct talev_thread_proxy *daemon;
};

struct worker {
	/* Set when the threads start. */
	const struct talev_plugin_host *host;
	struct talev_thread_proxy *proxy;
	uint64_t upto;
	uint64_t unit;
	talev_time_t pause;

	/* The daemon's thread. */
	struct thread threads[THREADS_MAX];
	unsigned started;
	uint64_t done; /* of this pass */
	uint64_t primes;
	unsigned lost;
	bool first_told;

	/* Read without the lock in the midst of work; written with it. */
	atomic_bool stop;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* With the lock. */
	uint64_t next; /* nobody has this number yet */
	unsigned unread;
};

struct result {
	struct worker *worker;
	unsigned thread;
	uint64_t from;
	uint64_t to;
	uint64_t primes;
};

static bool is_prime(uint64_t n)
{
	uint64_t i;

	if (n < 4)
		return n > 1;
	if (n % 2 == 0)
		return false;
	for (i = 3; i * i <= n; i += 2)
		if (n % i == 0)
			return false;
	return true;
}

/* False: it was told to stop. One number is the most that this is late. */
static bool count(struct result *result)
{
	uint64_t n;

	for (n = result->from; n < result->to; n++) {
		if (atomic_load_explicit(&result->worker->stop, memory_order_relaxed))
			return false;
		result->primes += is_prime(n);
	}
	return true;
}

/* Waits for something to do. False: stop. */
static bool take(struct worker *w, struct result *result)
{
	bool stop;

	pthread_mutex_lock(&w->lock);
	while (!w->stop && (w->next >= w->upto || w->unread >= UNREAD_MAX))
		pthread_cond_wait(&w->changed, &w->lock);
	stop = w->stop;
	if (!stop) {
		result->from = w->next;
		result->to = w->upto - w->next > w->unit ? w->next + w->unit : w->upto;
		w->next = result->to;
		w->unread++;
	}
	pthread_mutex_unlock(&w->lock);
	return !stop;
}

/* Out of memory: somebody may give some back. False: stop. */
static bool wait_a_little(struct worker *w)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_mutex_lock(&w->lock);
	if (!w->stop)
		pthread_cond_timedwait(&w->changed, &w->lock, &until);
	stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return !stop;
}

static void begin(struct worker *w)
{
	w->done = w->primes = 0;
	pthread_mutex_lock(&w->lock);
	w->next = 0;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void pause_over(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	(void)ev;
	(void)te;
	(void)now;
	begin(private_data);
}

static void end_pass(struct worker *w)
{
	const struct talev_plugin_host *host = w->host;

	host->log(host, TALEV_LOG_INFO, "%" PRIu64 " primes below %" PRIu64, w->primes, w->upto);
	if (w->pause > 0 &&
		talev_add_timer(host->ev, w, talev_now(host->ev) + w->pause, pause_over, w))
		return;
	begin(w);
}

/* On the daemon's thread. What was sent is freed after it. */
static void on_result(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	const struct result *result = talloc_get_type_abort(private_data, struct result);
	struct worker *w = result->worker;

	(void)ev;
	(void)im;
	pthread_mutex_lock(&w->lock);
	if (w->unread-- == UNREAD_MAX)
		pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (!w->first_told)
		w->host->log(w->host, TALEV_LOG_INFO, "thread %u was first", result->thread);
	w->first_told = true;
	w->primes += result->primes;
	w->done += result->to - result->from;
	if (w->done == w->upto)
		end_pass(w);
}

/* On the daemon's thread, in place of on_result(). */
static void on_lost(void *data, void *private_data)
{
	struct worker *w = private_data;

	(void)data;
	w->lost++;
}

/* False: stop, or the proxy is closed, which comes before that. */
static bool report(struct thread *thread, const struct result *result)
{
	for (;;) {
		struct talev_immediate *im = talev_create_immediate(thread->root);
		struct result *copy = talloc(thread->root, struct result);
		int error = ENOMEM;

		if (im && copy) {
			*copy = *result;
			if (talev_thread_proxy_schedule(thread->daemon, &im, on_result, &copy) == 0)
				return true;
			error = errno;
		}
		talloc_free(im);
		talloc_free(copy);
		if (error != ENOMEM || !wait_a_little(thread->worker))
			return false;
	}
}

static void *run(void *arg)
{
	struct thread *thread = arg;
	struct result result;

	do {
		result = (struct result){.worker = thread->worker, .thread = thread->number};
	} while (take(thread->worker, &result) && count(&result) && report(thread, &result));
	talloc_free(thread->root);
	return NULL;
}

/*
 * When the plugin is unloaded, the proxy closes first: from then on sending fails, and results on
 * their way are freed. Then this: after it no thread executes code of the plugin. Then the proxy's
 * memory goes, and with it the results of those who were just sending. Then, and not before, the
 * code does. The wait is for as long as it takes to find out about one number.
 */
static int worker_gone(struct worker *w)
{
	unsigned i;

	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	for (i = 0; i < w->started; i++)
		pthread_join(w->threads[i].id, NULL);
	if (w->lost > 0)
		w->host->log(w->host, TALEV_LOG_INFO, "%u results were on their way", w->lost);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	return 0;
}

/* Signals are the daemon's: it must be its thread that a signal interrupts. */
static int launch(struct thread *thread)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&thread->id, NULL, run, thread);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static int start_thread(struct worker *w)
{
	struct thread *thread = &w->threads[w->started];
	int rc;

	thread->worker = w;
	thread->number = w->started + 1;
	thread->root = talloc_new(NULL);
	if (!thread->root)
		return ENOMEM;
	thread->daemon = talev_thread_proxy_attach(thread->root, w->proxy);
	rc = thread->daemon ? 0 : errno;
	if (rc == 0) {
		talev_thread_proxy_set_lost_fn(thread->daemon, on_lost, w);
		rc = launch(thread);
	}
	if (rc != 0)
		talloc_free(thread->root);
	else
		w->started++;
	return rc;
}

static bool option(const struct talev_plugin_host *host, const char *key, long long least,
	long long most, uint64_t *value)
{
	const char *text = host->option(host, key);
	const char *problem = NULL;

	if (text)
		*value = (uint64_t)strtonum(text, least, most, &problem);
	if (problem)
		host->log(host, TALEV_LOG_ERROR, "%s is %lld to %lld, not \"%s\"", key, least, most,
			text);
	return !problem;
}

static int worker_init(const struct talev_plugin_host *host)
{
	uint64_t threads = 2, pause = 1000;
	struct worker *w = talloc_zero(host->mem_ctx, struct worker);
	int rc = 0;

	if (!w)
		return ENOMEM;
	w->host = host;
	w->upto = 1000000;
	w->unit = 10000;
	if (!option(host, "threads", 1, THREADS_MAX, &threads) ||
		!option(host, "upto", 2, 1000000000, &w->upto) ||
		!option(host, "unit", 1, 1000000, &w->unit) ||
		!option(host, "pause", 0, 86400000, &pause))
		return EINVAL;
	w->pause = TALEV_MSEC((talev_time_t)pause);
	w->proxy = talev_thread_proxy_create(host->ev, w);
	if (!w->proxy)
		return errno;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	talloc_set_destructor(w, worker_gone);
	while (rc == 0 && w->started < threads)
		rc = start_thread(w);
	return rc;
}

TALEV_PLUGIN("worker", worker_init, NULL);
