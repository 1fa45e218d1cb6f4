/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is watched without having asked: the loops of managers and pools, and jobs while they run. */
#include "loops/manager.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/string.h>
#include <talev/job.h>
#include <talev/pool.h>
#include "base/base.h"
#include "work/work.h"

static TAILQ_HEAD(, talev_watchdog) all = TAILQ_HEAD_INITIALIZER(all);

void watch_register(struct talev_watchdog *wd)
{
	TAILQ_INSERT_TAIL(&all, wd, link);
}

void watch_unregister(struct talev_watchdog *wd)
{
	TAILQ_REMOVE(&all, wd, link);
}

void watch_each(void (*fn)(struct talev_watchdog *wd, void *private_data), void *private_data)
{
	struct talev_watchdog *wd;

	TAILQ_FOREACH (wd, &all, link)
		fn(wd, private_data);
}

void watch_loop_begins(struct talev_loop *loop)
{
	pthread_mutex_lock(&watch_lock);
	loop->watched.tid = gettid();
	if (probe_signal() != 0) {
		loop->watched.lets_through = true;
		loop->watched.blocked = probe_let_through();
	}
	pthread_mutex_unlock(&watch_lock);
}

static void forget_loop(struct talev_watchdog *wd, void *private_data)
{
	struct heart *heart;
	struct heart *next;

	TAILQ_FOREACH_SAFE (heart, &wd->hearts, link, next) {
		if (heart->kind != HEART_LOOP || heart->loop != private_data)
			continue;
		heart_remove(heart);
		free(heart);
	}
}

void watch_loop_ends(struct talev_loop *loop)
{
	pthread_mutex_lock(&watch_lock);
	/* The thread may be the program's own. */
	if (loop->watched.blocked && loop->watched.tid == gettid())
		probe_block();
	loop->watched.ended = true;
	watch_each(forget_loop, loop);
	pthread_mutex_unlock(&watch_lock);
}

static void forget_manager(struct talev_watchdog *wd, void *private_data)
{
	struct watch *watch;
	struct watch *next;

	TAILQ_FOREACH_SAFE (watch, &wd->watches, link, next) {
		if (watch->manager != private_data)
			continue;
		TAILQ_REMOVE(&wd->watches, watch, link);
		free(watch);
	}
}

void watch_manager_ends(struct manager *manager)
{
	pthread_mutex_lock(&watch_lock);
	watch_each(forget_manager, manager);
	pthread_mutex_unlock(&watch_lock);
}

static struct watch *watch_find(const struct talev_watchdog *wd, const struct manager *manager,
	const struct talev_pool *pool, const char *queue)
{
	struct watch *watch;

	TAILQ_FOREACH (watch, &wd->watches, link)
		if (watch->manager == manager && watch->pool == pool &&
			strcmp(watch->queue, queue) == 0)
			return watch;
	return NULL;
}

/* A pool's own limits go before those of its manager. */
static struct watch *watch_of(const struct talev_watchdog *wd, const struct talev_loop *loop)
{
	struct watch *watch = watch_find(wd, loop->manager, loop->pool, "");

	return watch != NULL ? watch : watch_find(wd, loop->manager, NULL, "");
}

static struct heart *heart_of(const struct talev_watchdog *wd, const struct talev_loop *loop)
{
	struct heart *heart;

	TAILQ_FOREACH (heart, &wd->hearts, link)
		if (heart->kind == HEART_LOOP && heart->loop == loop)
			return heart;
	return NULL;
}

static void introduce(struct talev_loop *loop, void *data)
{
	(void)data;
	loop->watched.blocked = probe_let_through();
}

/* It began when there was no watchdog yet. Its thread lets the signal through as soon as it can. */
static void ask_in(struct talev_loop *loop)
{
	if (loop->watched.tid == 0 || loop->watched.lets_through || probe_signal() == 0)
		return;
	loop->watched.lets_through = talev_async_run(loop, introduce, NULL) == 0;
}

static int discover_loop(struct talev_watchdog *wd, struct talev_loop *loop)
{
	struct watch *watch = watch_of(wd, loop);
	struct heart *heart = heart_of(wd, loop);

	if (loop->watched.ended)
		return 0;
	ask_in(loop);
	if (heart == NULL) {
		heart = calloc(1, sizeof(*heart));
		if (heart == NULL) {
			errno = ENOMEM;
			return -1;
		}
		heart_init(heart, HEART_LOOP, loop->name);
		heart->loop = loop;
		heart_add(wd, heart);
	}
	heart->soft = watch->soft;
	heart->hard = watch->hard;
	return 0;
}

static unsigned loops_of(const struct watch *watch)
{
	return watch->pool != NULL ? talev_pool_count(watch->pool) : manager_count(watch->manager);
}

int watch_discover(struct talev_watchdog *wd)
{
	struct watch *watch;

	TAILQ_FOREACH (watch, &wd->watches, link) {
		if (watch->manager == NULL)
			continue;
		for (; watch->known < loops_of(watch); watch->known++) {
			struct talev_loop *loop =
				watch->pool != NULL ? talev_pool_loop(watch->pool, watch->known)
						    : manager_loop(watch->manager, watch->known);

			if (discover_loop(wd, loop) != 0)
				return -1;
		}
	}
	return 0;
}

static void note_job(const struct work_running *running, void *private_data)
{
	struct talev_watchdog *wd = private_data;
	struct job_seen *seen = &wd->jobs[wd->job_count];

	if (wd->job_count++ >= wd->job_room)
		return;
	strlcpy(seen->queue, running->queue, sizeof(seen->queue));
	strlcpy(seen->job, running->job, sizeof(seen->job));
	strlcpy(seen->location, running->location, sizeof(seen->location));
	seen->begun = running->since;
	seen->tid = running->tid;
}

void watch_look_at_jobs(struct talev_watchdog *wd)
{
	for (;;) {
		struct job_seen *more;
		size_t room;

		wd->job_count = 0;
		work_each_running(note_job, wd);
		if (wd->job_count <= wd->job_room)
			return;
		room = 2 * wd->job_count;
		wd->job_count = wd->job_room;
		more = reallocarray(wd->jobs, room, sizeof(*more));
		if (more == NULL)
			return;
		wd->jobs = more;
		wd->job_room = room;
	}
}

static struct heart *heart_of_job(const struct talev_watchdog *wd, const struct job_seen *seen)
{
	struct heart *heart;

	TAILQ_FOREACH (heart, &wd->hearts, link)
		if (heart->kind == HEART_JOB && heart->tid == seen->tid &&
			heart->begun == seen->begun)
			return heart;
	return NULL;
}

static void take_job(struct talev_watchdog *wd, const struct job_seen *seen)
{
	struct watch *watch = watch_find(wd, NULL, NULL, seen->queue);
	struct heart *heart = watch != NULL ? heart_of_job(wd, seen) : NULL;

	if (watch == NULL)
		return;
	if (heart == NULL) {
		heart = calloc(1, sizeof(*heart));
		if (heart == NULL)
			return;
		heart_init(heart, HEART_JOB, seen->queue);
		strlcpy(heart->job, seen->job, sizeof(heart->job));
		strlcpy(heart->location, seen->location, sizeof(heart->location));
		heart->tid = seen->tid;
		heart->begun = seen->begun;
		heart_add(wd, heart);
	}
	heart->soft = watch->soft;
	heart->hard = watch->hard;
	heart->seen = true;
}

void watch_take_jobs(struct talev_watchdog *wd)
{
	struct heart *heart;

	TAILQ_FOREACH (heart, &wd->hearts, link)
		heart->seen = false;
	for (size_t i = 0; i < wd->job_count; i++)
		take_job(wd, &wd->jobs[i]);
}

/* Each heart has the limits of who watches it now. */
static void settle(struct talev_watchdog *wd)
{
	struct heart *heart;
	struct heart *next;
	struct watch *watch;

	TAILQ_FOREACH_SAFE (heart, &wd->hearts, link, next) {
		if (heart->kind == HEART_LOOP)
			watch = watch_of(wd, heart->loop);
		else if (heart->kind == HEART_JOB)
			watch = watch_find(wd, NULL, NULL, heart->name);
		else
			continue;
		if (watch == NULL) {
			heart_remove(heart);
			free(heart);
			continue;
		}
		heart->soft = watch->soft;
		heart->hard = watch->hard;
	}
}

/* The lock. */
static int add(struct talev_watchdog *wd, struct watch what)
{
	struct watch *watch = watch_find(wd, what.manager, what.pool, what.queue);
	int ret;

	watchdog_changed(wd);
	if (watch != NULL) {
		watch->soft = what.soft;
		watch->hard = what.hard;
		settle(wd);
		return 0;
	}
	watch = malloc(sizeof(*watch));
	if (watch == NULL) {
		errno = ENOMEM;
		return -1;
	}
	*watch = what;
	TAILQ_INSERT_TAIL(&wd->watches, watch, link);
	ret = watch_discover(wd);
	if (ret != 0) {
		TAILQ_REMOVE(&wd->watches, watch, link);
		free(watch);
		settle(wd);
		errno = ENOMEM;
	}
	return ret;
}

static int add_locked(struct talev_watchdog *wd, struct watch what)
{
	int ret;

	if (wd == NULL || !limits_ok(what.soft, what.hard)) {
		errno = EINVAL;
		return -1;
	}
	pthread_mutex_lock(&watch_lock);
	ret = add(wd, what);
	pthread_mutex_unlock(&watch_lock);
	return ret;
}

int talev_watchdog_add_loops(
	struct talev_watchdog *wd, struct talev_loops *loops, talev_time_t soft, talev_time_t hard)
{
	struct watch what = {.soft = soft, .hard = hard};

	if (loops == NULL) {
		errno = EINVAL;
		return -1;
	}
	what.manager = loops->manager;
	return add_locked(wd, what);
}

int talev_watchdog_add_pool(
	struct talev_watchdog *wd, struct talev_pool *pool, talev_time_t soft, talev_time_t hard)
{
	struct watch what = {.pool = pool, .soft = soft, .hard = hard};

	if (pool == NULL) {
		errno = EINVAL;
		return -1;
	}
	what.manager = pool->manager;
	return add_locked(wd, what);
}

int talev_watchdog_add_jobq(
	struct talev_watchdog *wd, struct talev_jobq *jobq, talev_time_t soft, talev_time_t hard)
{
	struct watch what = {.soft = soft, .hard = hard};
	int ret;

	if (jobq == NULL) {
		errno = EINVAL;
		return -1;
	}
	strlcpy(what.queue, work_queue_name(jobq), sizeof(what.queue));
	ret = add_locked(wd, what);
	if (ret == 0)
		atomic_store(&wd->any_queues, true);
	return ret;
}
