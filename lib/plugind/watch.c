/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is watched, and for how long. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talev/watchdog.h>

#include "plugind/config.h"
#include "plugind/log.h"
#include "plugind/plugin.h"
#include "plugind/plugind.h"
#include "plugind/pool.h"
#include "plugind/queue.h"
#include "plugind/value.h"
#include "plugind/watch.h"

static talev_time_t limit_of(const struct config_section *section, talev_time_t otherwise)
{
	const char *value = config_value(section, "watchdog");
	talev_time_t limit;
	char ignored[64];

	if (!value || value_limit(&limit, value, ignored, sizeof(ignored)) == -1)
		return otherwise;
	return limit;
}

/* It is reported in the middle. */
static talev_time_t soft(talev_time_t limit)
{
	return limit == TALEV_NEVER ? TALEV_NEVER : limit / 2;
}

static bool any_limit(const struct config_sections *sections)
{
	const struct config_section *section;

	TAILQ_FOREACH (section, sections, link)
		if (limit_of(section, TALEV_NEVER) != TALEV_NEVER)
			return true;
	return false;
}

/* It also is what talks to a service manager. */
static bool is_wanted(const struct config *config)
{
	return config->watchdog != TALEV_NEVER || any_limit(&config->pools) ||
	       any_limit(&config->sections) || any_limit(&config->queues) ||
	       getenv("NOTIFY_SOCKET");
}

static void check(int rc, const char *what, const char *name)
{
	if (rc == -1)
		log_message(TALEV_LOG_ERROR, "watchdog: %s %s: %s", what, name, strerror(errno));
}

void watch_pool(struct pool *pool)
{
	const struct config *config = pool->daemon->config;
	struct talev_watchdog *wd = pool->daemon->watch->wd;
	talev_time_t limit;

	if (!wd)
		return;
	limit = limit_of(config_find(pool->own ? &config->sections : &config->pools, pool->name),
		config->watchdog);
	check(talev_watchdog_add_loops(wd, pool->loops, soft(limit), limit), "pool", pool->name);
}

/* Jobs are there for what takes long: they have no limit unless it is said. */
void watch_queue(struct daemon *d, struct queue *queue)
{
	talev_time_t limit = limit_of(config_find(&d->config->queues, queue->name), TALEV_NEVER);

	if (d->watch->wd)
		check(talev_watchdog_add_jobq(d->watch->wd, queue->jobq, soft(limit), limit),
			"jobs", queue->name);
}

static int watch_daemon(struct daemon *d)
{
	struct watch *w = d->watch;
	talev_time_t limit = d->config->watchdog;
	struct talev_heart *heart;

	if (w->heart && w->limit == limit)
		return 0;
	heart = talev_watchdog_add_context(w->wd, w->wd, d->ev, "talevd", soft(limit), limit);
	if (!heart)
		return -1;
	talloc_free(w->heart);
	w->heart = heart;
	w->limit = limit;
	return 0;
}

static int create(struct watch *w)
{
	w->wd = talev_watchdog_create(w);
	if (!w->wd)
		return -1;
	talev_watchdog_set_handler(w->wd, watch_report, w);
	return 0;
}

static void end(struct watch *w)
{
	TALLOC_FREE(w->wd);
	w->heart = NULL;
	memset(w->stuck, 0, sizeof(w->stuck));
}

static int apply(struct daemon *d)
{
	struct watch *w = d->watch;
	struct queue *queue;
	struct pool *pool;

	atomic_store(&w->aborts, d->config->watchdog_abort);
	if (!is_wanted(d->config)) {
		end(w);
		return 0;
	}
	if ((!w->wd && create(w) == -1) || watch_daemon(d) == -1) {
		log_message(TALEV_LOG_ERROR, "watchdog: %s", strerror(errno));
		return -1;
	}
	TAILQ_FOREACH (pool, &d->pools, link)
		watch_pool(pool);
	TAILQ_FOREACH (queue, &d->queues, link)
		watch_queue(d, queue);
	return 0;
}

static int watch_gone(struct watch *w)
{
	pthread_mutex_destroy(&w->lock);
	return 0;
}

int watch_open(struct daemon *d)
{
	struct watch *w = talloc_zero(d, struct watch);

	if (!w) {
		log_message(TALEV_LOG_ERROR, "watchdog: %s", strerror(ENOMEM));
		return -1;
	}
	TAILQ_INIT(&w->named);
	pthread_mutex_init(&w->lock, NULL);
	talloc_set_destructor(w, watch_gone);
	d->watch = w;
	return apply(d);
}

void watch_apply(struct daemon *d)
{
	(void)apply(d);
}

void watch_close(struct daemon *d)
{
	if (d->watch)
		end(d->watch);
}

static void told(int rc)
{
	if (rc == -1)
		log_message(TALEV_LOG_WARNING, "NOTIFY_SOCKET: %s", strerror(errno));
}

void watch_ready(struct daemon *d)
{
	if (d->watch->wd)
		told(talev_watchdog_notify_ready(d->watch->wd));
}

void watch_stopping(struct daemon *d)
{
	if (d->watch->wd)
		told(talev_watchdog_notify_stopping(d->watch->wd));
}

char *watch_text(TALLOC_CTX *mem_ctx, struct daemon *d, bool json)
{
	struct talev_watchdog *wd = d->watch->wd;
	char *text;

	if (!wd)
		return talloc_strdup(mem_ctx,
			json ? "{\"running\":false,\"hearts\":[]}\n" : "the watchdog is off\n");
	if (!json)
		return talev_watchdog_text(mem_ctx, wd);
	text = talev_watchdog_json(mem_ctx, wd);
	return text ? talloc_strdup_append(text, "\n") : NULL;
}
