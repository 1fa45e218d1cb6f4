/* SPDX-License-Identifier: BSD-2-Clause */
/* What the watchdog tells, and of which plugin. Its thread comes here, the daemon's may be stuck.
 */
#include <bsd/string.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talev/pool.h>
#include <talev/watchdog.h>

#include "plugind/log.h"
#include "plugind/plugin.h"
#include "plugind/plugind.h"
#include "plugind/pool.h"
#include "plugind/queue.h"
#include "plugind/watch.h"

#define OWN_LOOP "talevd"

void watch_name(struct plugin *p)
{
	struct watch *w = p->daemon->watch;

	pthread_mutex_lock(&w->lock);
	TAILQ_INSERT_TAIL(&w->named, p, named);
	pthread_mutex_unlock(&w->lock);
	p->is_named = true;
}

void watch_forget(struct plugin *p)
{
	struct watch *w = p->daemon->watch;

	if (!p->is_named)
		return;
	p->is_named = false;
	pthread_mutex_lock(&w->lock);
	TAILQ_REMOVE(&w->named, p, named);
	pthread_mutex_unlock(&w->lock);
}

static bool works_for(const struct plugin *p, const char *heart)
{
	unsigned i;

	if (strcmp(heart, OWN_LOOP) == 0)
		return !plugin_is_away(p);
	for (i = 0; i < p->place.count; i++)
		if (strcmp(talev_loop_name(p->place.seats[i].loop), heart) == 0)
			return true;
	for (i = 0; i < p->queue_count; i++)
		if (strcmp(p->queues[i]->name, heart) == 0)
			return true;
	return false;
}

/* A frame is "symbol+offset (file)", or "file+offset". */
static bool is_on_stack(const struct plugin *p, const struct talev_watchdog_report *report)
{
	const char *slash = strrchr(p->file, '/'), *file = slash ? slash + 1 : p->file;
	size_t length = strlen(file), i;

	for (i = 0; i < report->frames; i++) {
		const char *frame = report->stack[i], *in = strchr(frame, '(');
		const char *at = in ? in + 1 : frame;

		if (strncmp(at, file, length) == 0 && at[length] == (in ? ')' : '+'))
			return true;
	}
	return false;
}

/* "plugin one or two: ", or nothing. */
static void put_plugins(struct watch *w, const struct talev_watchdog_report *report, bool on_stack,
	char *text, size_t size)
{
	const struct plugin *p;

	text[0] = '\0';
	TAILQ_FOREACH (p, &w->named, named) {
		if (!works_for(p, report->heart) || (on_stack && !is_on_stack(p, report)))
			continue;
		strlcat(text, text[0] ? " or " : "plugin ", size);
		strlcat(text, p->name, size);
	}
	if (text[0])
		strlcat(text, ": ", size);
}

/* On the daemon's own loop it is as likely the daemon, if the stack does not tell. */
static void find_plugins(
	struct watch *w, const struct talev_watchdog_report *report, char *text, size_t size)
{
	put_plugins(w, report, true, text, size);
	if (!text[0] && strcmp(report->heart, OWN_LOOP) != 0)
		put_plugins(w, report, false, text, size);
}

static struct watch_stuck *find_stuck(struct watch *w, const char *loop)
{
	unsigned i;

	for (i = 0; i < WATCH_MOST; i++)
		if (strcmp(w->stuck[i].loop, loop) == 0)
			return &w->stuck[i];
	return NULL;
}

static void copy_clean(char *to, const char *from)
{
	size_t i;

	for (i = 0; from[i] && i + 1 < WATCH_TEXT; i++)
		to[i] = (from[i] & 0x80) || strchr("\"\\", from[i]) ? '?' : from[i];
	to[i] = '\0';
	log_clean(to);
}

static void remember(struct watch *w, const struct talev_watchdog_report *report)
{
	struct watch_stuck *stuck = find_stuck(w, report->heart);

	if (strncmp(report->text, "loop ", 5) != 0)
		return;
	if (report->event == TALEV_WATCHDOG_RECOVERED) {
		if (stuck)
			stuck->loop[0] = '\0';
		return;
	}
	if (!stuck)
		stuck = find_stuck(w, "");
	if (!stuck)
		return;
	strlcpy(stuck->loop, report->heart, sizeof(stuck->loop));
	copy_clean(stuck->handler, report->handler);
	copy_clean(stuck->location, report->location);
}

void watch_forget_pool(const struct pool *pool)
{
	struct watch *w = pool->daemon->watch;
	struct watch_stuck *stuck;
	unsigned i;

	pthread_mutex_lock(&w->lock);
	for (i = 0; i < talev_loops_count(pool->loops); i++) {
		stuck = find_stuck(w, talev_loop_name(talev_loops_get(pool->loops, i)));
		if (stuck)
			stuck->loop[0] = '\0';
	}
	pthread_mutex_unlock(&w->lock);
}

bool watch_doing(struct daemon *d, const char *loop, struct watch_stuck *stuck)
{
	const struct watch_stuck *found;

	pthread_mutex_lock(&d->watch->lock);
	found = find_stuck(d->watch, loop);
	if (found)
		*stuck = *found;
	pthread_mutex_unlock(&d->watch->lock);
	return found && stuck->handler[0];
}

static void log_lines(const struct talev_watchdog_report *report, const char *who)
{
	const char *text = report->text;
	enum talev_log_level level =
		report->event == TALEV_WATCHDOG_HARD ? TALEV_LOG_ERROR : TALEV_LOG_WARNING;

	while (*text) {
		size_t length = strcspn(text, "\n");

		log_message(level, "watchdog: %s%.*s", who, (int)length, text);
		text += length + (text[length] == '\n');
		who = "";
	}
}

bool watch_report(const struct talev_watchdog_report *report, void *private_data)
{
	struct watch *w = private_data;
	char who[256];

	pthread_mutex_lock(&w->lock);
	find_plugins(w, report, who, sizeof(who));
	remember(w, report);
	pthread_mutex_unlock(&w->lock);
	log_lines(report, who);
	if (report->event == TALEV_WATCHDOG_HARD && atomic_load(&w->aborts)) {
		log_message(TALEV_LOG_FATAL, "the watchdog ends the daemon");
		abort();
	}
	return true;
}
