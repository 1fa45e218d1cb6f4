/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <talev/context.h>
#include <talev/immediate.h>
#include <talev/pool.h>
#include <talev/proxy.h>

#include "plugind/config.h"
#include "plugind/log.h"
#include "plugind/plugind.h"
#include "plugind/pool.h"
#include "plugind/watch.h"

static void gone(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	struct pool *pool = private_data;
	struct daemon *d = pool->daemon;
	void (*ended)(void *arg) = pool->ended;
	void *arg = pool->arg;

	(void)ev;
	(void)im;
	if (!pool->over)
		pthread_join(pool->thread, NULL);
	pool->over = true;
	watch_forget_pool(pool);
	if (!pool->ending) {
		/* Whoever lives there still has it. */
		log_message(TALEV_LOG_ERROR, "%s: its loops have ended, and not by the daemon",
			pool->name);
		return;
	}
	TAILQ_REMOVE(&d->pools, pool, link);
	talloc_free(pool);
	if (ended)
		ended(arg);
	stop_next(d);
}

/* On the thread of the main loop, when all threads are there. */
static void begun(struct talev_loop *loop, void *data)
{
	struct pool *pool = data;

	(void)loop;
	sem_post(&pool->begun);
}

static void *run(void *arg)
{
	struct pool *pool = arg;
	char name[16];

	snprintf(name, sizeof(name), "%.12s-0", pool->name);
	pthread_setname_np(pthread_self(), name);
	if (talev_loops_run(pool->loops) == -1) {
		pool->error = errno;
		sem_post(&pool->begun);
		return NULL;
	}
	(void)talev_threaded_schedule_immediate(pool->daemon->door, pool->im, gone, pool);
	return NULL;
}

/* Signals are for the daemon's thread. */
static int launch(struct pool *pool)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&pool->thread, NULL, run, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return rc;
	/* That takes as long as it takes to make threads: no code of a plugin runs yet. */
	while (sem_wait(&pool->begun) == -1 && errno == EINTR)
		;
	if (pool->error)
		pthread_join(pool->thread, NULL);
	return pool->error;
}

static int pool_free(struct pool *pool)
{
	sem_destroy(&pool->begun);
	return 0;
}

struct settings {
	bool timing;
	talev_time_t slow_handler;
};

static void take_settings(struct talev_loop *loop, void *data)
{
	const struct settings *settings = data;
	struct talev_context *ev = talev_loop_context(loop);

	talev_context_set_timing(ev, settings->timing);
	talev_context_set_slow_handler(ev, settings->slow_handler);
}

static void send_settings(struct pool *pool)
{
	const struct config *config = pool->daemon->config;
	unsigned i;

	for (i = 0; i < talev_loops_count(pool->loops); i++) {
		struct settings *settings = talloc(NULL, struct settings);

		if (settings)
			*settings = (struct settings){config->timing, config->slow_handler};
		if (!settings || talev_async_run(talev_loops_get(pool->loops, i), take_settings,
					 &settings) == -1)
			log_message(TALEV_LOG_ERROR, "%s: settings: %s", pool->name,
				strerror(settings ? errno : ENOMEM));
		talloc_free(settings);
	}
}

struct pool *pool_open(struct daemon *d, const char *name, unsigned threads, bool own)
{
	struct pool *pool = talloc_zero(d, struct pool);
	int rc = ENOMEM;

	if (!pool)
		goto fail;
	pool->daemon = d;
	pool->own = own;
	sem_init(&pool->begun, 0, 0);
	talloc_set_destructor(pool, pool_free);
	pool->name = talloc_strdup(pool, name);
	pool->im = talev_create_immediate(pool);
	if (!pool->name || !pool->im)
		goto fail;
	pool->loops = talev_loops_create(pool, name, threads);
	if (!pool->loops || talev_loops_set_signals(pool->loops, false) == -1 ||
		talev_loop_setup(talev_loops_main(pool->loops), begun, pool) == -1) {
		rc = errno;
		goto fail;
	}
	rc = launch(pool);
	if (rc != 0)
		goto fail;
	TAILQ_INSERT_TAIL(&d->pools, pool, link);
	send_settings(pool);
	watch_pool(pool);
	return pool;
fail:
	talloc_free(pool);
	errno = rc;
	return NULL;
}

/* One that ends already is another one's. */
static struct pool *find(struct daemon *d, const char *name)
{
	struct pool *pool;

	TAILQ_FOREACH (pool, &d->pools, link)
		if (!pool->own && !pool->ending && strcmp(pool->name, name) == 0)
			return pool;
	return NULL;
}

struct pool *pool_get(struct daemon *d, const char *name)
{
	const struct config_section *section = config_find(&d->config->pools, name);
	struct pool *pool = section ? find(d, name) : NULL;

	if (!section)
		errno = ENOENT;
	if (pool || !section)
		return pool;
	return pool_open(d, name, config_number(section, "threads", 1), false);
}

void pool_end(struct pool *pool, void (*ended)(void *arg), void *arg)
{
	pool->ended = ended;
	pool->arg = arg;
	pool->ending = true;
	if (pool->over)
		(void)talev_threaded_schedule_immediate(pool->daemon->door, pool->im, gone, pool);
	else
		talev_loops_shutdown(pool->loops);
}

static void end_unwanted(struct pool *pool)
{
	if (pool->unwanted && pool->users == 0 && !pool->ending)
		pool_end(pool, NULL, NULL);
}

void pool_leave(struct pool *pool)
{
	pool->users--;
	end_unwanted(pool);
}

static void resize(struct pool *pool, unsigned threads)
{
	struct talev_pool *loops = talev_loop_pool(talev_loops_main(pool->loops));
	unsigned now = talev_pool_count(loops);

	if (threads < now)
		log_message(TALEV_LOG_WARNING, "pool %s keeps its %u threads until the next start",
			pool->name, now);
	else if (talev_pool_grow(loops, threads - now) == -1)
		log_message(TALEV_LOG_ERROR, "pool %s: %s", pool->name, strerror(errno));
}

void pools_apply(struct daemon *d)
{
	const struct config_section *section;
	struct pool *pool, *next;

	TAILQ_FOREACH_SAFE (pool, &d->pools, link, next) {
		if (pool->own || pool->ending)
			continue;
		section = config_find(&d->config->pools, pool->name);
		pool->unwanted = !section;
		if (section)
			resize(pool, config_number(section, "threads", 1));
	}
	TAILQ_FOREACH (section, &d->config->pools, link)
		if (!pool_get(d, section->name))
			log_message(TALEV_LOG_ERROR, "pool %s: %s", section->name, strerror(errno));
	TAILQ_FOREACH (pool, &d->pools, link)
		if (!pool->ending)
			send_settings(pool);
}

/* For after the plugins that left it. */
void pools_sweep(struct daemon *d)
{
	struct pool *pool, *next;

	TAILQ_FOREACH_SAFE (pool, &d->pools, link, next)
		end_unwanted(pool);
}

bool pools_gone(struct daemon *d)
{
	struct pool *pool, *next;

	TAILQ_FOREACH_SAFE (pool, &d->pools, link, next)
		if (!pool->ending && pool->users == 0)
			pool_end(pool, NULL, NULL);
	return TAILQ_EMPTY(&d->pools);
}
