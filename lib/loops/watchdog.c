/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watchdog's thread. It looks at its hearts four times in the shortest limit that any of them
 * has, so that nothing is late by more than half of that.
 *
 * What is wrong with asking the clock how long a heart has been silent: the whole process may have
 * been stopped, by SIGSTOP or a debugger, or the machine asleep, or so busy that nobody got on. So
 * the watchdog has a clock of its own, which goes on by at most one period for each of its looks:
 * while its thread does not run no time passes for anybody. It may be late by this, never early.
 */
#include "loops/manager.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/param.h>
#include "base/base.h"

#define SHORTEST_PERIOD TALEV_MSEC(1)
#define LONGEST_PERIOD  TALEV_SEC(1)

pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned count; /* watchdogs ever made in this process */
static int probe_error;

static void before_fork(void)
{
	pthread_mutex_lock(&watch_lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&watch_lock);
}

static void after_fork_in_child(void)
{
	probe_after_fork();
	after_fork();
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

bool watchdog_runs(const struct talev_watchdog *wd)
{
	return wd->pid == getpid();
}

bool limits_ok(talev_time_t soft, talev_time_t hard)
{
	if (soft > 0 && soft <= hard)
		return true;
	errno = EINVAL;
	return false;
}

/* As far as it goes by now. */
static void go_on(struct talev_watchdog *wd)
{
	talev_time_t now = base_clock_now(TALEV_CLOCK_MONOTONIC);
	talev_time_t elapsed = now - wd->looked;

	wd->time += elapsed < wd->period ? elapsed : wd->period;
	wd->looked = now;
}

static void shorten(talev_time_t *period, talev_time_t limit)
{
	if (limit / 4 < *period)
		*period = limit / 4 > SHORTEST_PERIOD ? limit / 4 : SHORTEST_PERIOD;
}

static talev_time_t period_of(const struct talev_watchdog *wd)
{
	talev_time_t period = LONGEST_PERIOD;
	const struct heart *heart;
	const struct watch *watch;

	TAILQ_FOREACH (heart, &wd->hearts, link)
		shorten(&period, heart->soft);
	TAILQ_FOREACH (watch, &wd->watches, link)
		shorten(&period, watch->soft);
	shorten(&period, notify_interval(wd->notify));
	shorten(&period, parent_interval());
	return period;
}

void watchdog_changed(struct talev_watchdog *wd)
{
	if (!watchdog_runs(wd))
		return;
	go_on(wd);
	wd->changed = true;
	pthread_cond_signal(&wd->wake);
}

/* The lock. What changes may bring the next look nearer, and never puts it off: a program may make
 * hearts more often than that. */
static void sleep_for_a_period(struct talev_watchdog *wd)
{
	talev_time_t end = TALEV_NEVER;
	struct timespec until;
	int rc = 0;

	do {
		wd->changed = false;
		go_on(wd);
		wd->period = period_of(wd);
		end = MIN(end, talev_time_add(wd->looked, wd->period));
		until = base_timespec(end);
		while (!wd->stop && !wd->changed && rc != ETIMEDOUT)
			rc = pthread_cond_timedwait(&wd->wake, &watch_lock, &until);
	} while (wd->changed && rc != ETIMEDOUT && !wd->stop);
	go_on(wd);
}

/* The lock. How many alerts there are. */
static unsigned look_at_all(struct talev_watchdog *wd, struct alert *alerts)
{
	struct heart *heart;
	struct heart *next;
	unsigned n = 0;
	bool well = true;

	/* Who could not be given a heart gets it the next time. */
	(void)watch_discover(wd);
	watch_take_jobs(wd);
	TAILQ_FOREACH_SAFE (heart, &wd->hearts, link, next) {
		if (n < ALERTS && heart_look(heart, &alerts[n]))
			n++;
		well = well && !heart->hard_told;
		if (heart->kind == HEART_JOB && !heart->seen && !heart->soft_told) {
			heart_remove(heart);
			free(heart);
		}
	}
	wd->notifies = well && notify_due(wd->notify, wd->looked, wd->period);
	if (well)
		parent_alive();
	return n;
}

/* Who looks at a handler with a debugger knows that it stands still. */
static void restart_all(struct talev_watchdog *wd)
{
	struct heart *heart;

	pthread_mutex_lock(&watch_lock);
	TAILQ_FOREACH (heart, &wd->hearts, link)
		heart_restart(heart);
	pthread_mutex_unlock(&watch_lock);
}

static void report_all(struct talev_watchdog *wd, struct alert *alerts, unsigned n)
{
	if (n > 0 && probe_traced())
		restart_all(wd);
	else
		for (unsigned i = 0; i < n; i++)
			report_alert(wd, &alerts[i]);
}

static void *run(void *arg)
{
	struct talev_watchdog *wd = arg;
	struct alert alerts[ALERTS];
	unsigned n;

	for (;;) {
		pthread_mutex_lock(&watch_lock);
		sleep_for_a_period(wd);
		if (wd->stop)
			break;
		pthread_mutex_unlock(&watch_lock);
		if (atomic_load(&wd->any_queues))
			watch_look_at_jobs(wd);
		pthread_mutex_lock(&watch_lock);
		n = look_at_all(wd, alerts);
		pthread_mutex_unlock(&watch_lock);
		if (wd->notifies)
			notify_alive(wd->notify);
		report_all(wd, alerts, n);
	}
	pthread_mutex_unlock(&watch_lock);
	return NULL;
}

static void forget_all(struct talev_watchdog *wd)
{
	struct heart *heart;
	struct watch *watch;

	pthread_mutex_lock(&watch_lock);
	watch_unregister(wd);
	while ((heart = TAILQ_FIRST(&wd->hearts)) != NULL) {
		heart_remove(heart);
		if (heart->kind == HEART_LOOP || heart->kind == HEART_JOB)
			free(heart);
	}
	while ((watch = TAILQ_FIRST(&wd->watches)) != NULL) {
		TAILQ_REMOVE(&wd->watches, watch, link);
		free(watch);
	}
	pthread_mutex_unlock(&watch_lock);
	free(wd->jobs);
	notify_free(wd->notify);
}

static int destructor(struct talev_watchdog *wd)
{
	/* A child of fork(2) has no such thread. */
	if (watchdog_runs(wd)) {
		if (pthread_equal(wd->thread, pthread_self())) {
			base_misuse("a watchdog is freed in its own handler");
			return -1;
		}
		pthread_mutex_lock(&watch_lock);
		wd->stop = true;
		pthread_cond_signal(&wd->wake);
		pthread_mutex_unlock(&watch_lock);
		pthread_join(wd->thread, NULL);
		pthread_cond_destroy(&wd->wake);
	}
	forget_all(wd);
	return 0;
}

static int open_probe(void)
{
	int ret;

	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&watch_lock);
	if (count++ == 0)
		probe_error = probe_open() == 0 ? 0 : errno;
	ret = probe_error;
	pthread_mutex_unlock(&watch_lock);
	if (ret == 0)
		return 0;
	errno = ret;
	return -1;
}

static int start(struct talev_watchdog *wd)
{
	pthread_condattr_t attr;

	if (open_probe() != 0)
		return -1;
	wd->notify = notify_create();
	if (wd->notify == NULL)
		return -1;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&wd->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (thread_create(&wd->thread, run, wd, "talev-watchdog") == 0)
		return 0;
	pthread_cond_destroy(&wd->wake);
	notify_free(wd->notify);
	return -1;
}

struct talev_watchdog *talev_watchdog_create(TALLOC_CTX *mem_ctx)
{
	struct talev_watchdog *wd = talloc_zero(mem_ctx, struct talev_watchdog);
	int error;

	if (wd == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	TAILQ_INIT(&wd->hearts);
	TAILQ_INIT(&wd->watches);
	wd->pid = getpid();
	wd->looked = base_clock_now(TALEV_CLOCK_MONOTONIC);
	if (start(wd) == 0) {
		talloc_set_destructor(wd, destructor);
		pthread_mutex_lock(&watch_lock);
		watch_register(wd);
		pthread_mutex_unlock(&watch_lock);
		return wd;
	}
	error = errno;
	talloc_free(wd);
	errno = error;
	return NULL;
}

void talev_watchdog_set_handler(
	struct talev_watchdog *wd, talev_watchdog_fn_t fn, void *private_data)
{
	pthread_mutex_lock(&watch_lock);
	wd->fn = fn;
	wd->private_data = private_data;
	pthread_mutex_unlock(&watch_lock);
}

int talev_watchdog_set_signal(int signum)
{
	bool used;

	pthread_mutex_lock(&watch_lock);
	used = count > 0;
	pthread_mutex_unlock(&watch_lock);
	if (!used)
		return probe_choose(signum);
	errno = EALREADY;
	return -1;
}
