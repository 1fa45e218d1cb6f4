/* SPDX-License-Identifier: BSD-2-Clause */
/* What is told of a heart that is past its limit, and to whom. */
#include "loops/manager.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <bsd/string.h>
#include "base/base.h"

/* A thread that runs answers within microseconds, unless the machine is very busy. */
#define PATIENCE TALEV_SEC(1)
#define NAME     128

struct text {
	char text[12 * 1024];
	size_t used;
};

struct told {
	struct talev_watchdog_report report;
	struct probe probe;
	char handler[NAME];
	char location[NAME];
	char names[PROBE_FRAMES][NAME];
	const char *stack[PROBE_FRAMES];
	struct text text;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *text, const char *format, ...)
{
	size_t room = sizeof(text->text) - text->used;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text->text + text->used, room, format, ap);
	va_end(ap);
	if (n > 0)
		text->used += (size_t)n < room ? (size_t)n : room - 1;
}

static double seconds(talev_time_t t)
{
	return (double)t / 1e9;
}

static void name_handler(struct told *told, const struct alert *alert)
{
	const struct core_doing *doing = &told->probe.doing;

	strlcpy(told->handler, alert->handler, sizeof(told->handler));
	strlcpy(told->location, alert->location, sizeof(told->location));
	if (alert->kind == HEART_JOB || !told->probe.doing_known)
		return;
	strlcpy(told->location, doing->location, sizeof(told->location));
	if (doing->finalizer == NULL) {
		strlcpy(told->handler, doing->name[0] != '\0' ? doing->name : "of a freed source",
			sizeof(told->handler));
		return;
	}
	(void)snprintf(told->handler, sizeof(told->handler), "finalizer%s%s",
		doing->name[0] != '\0' ? " of " : "", doing->name);
	if (told->location[0] == '\0')
		probe_name((const void *)(uintptr_t)doing->finalizer, true, told->location,
			sizeof(told->location));
}

static const char *subject(enum heart_kind kind)
{
	switch (kind) {
	case HEART_LOOP:
		return "loop";
	case HEART_CONTEXT:
		return "context";
	case HEART_JOB:
		return "queue";
	case HEART_BEATEN:
		break;
	}
	return "heart";
}

static void put_what(struct told *told)
{
	const struct talev_watchdog_report *report = &told->report;
	struct text *text = &told->text;

	switch (report->trouble) {
	case TALEV_WATCHDOG_STUCK:
		if (told->handler[0] != '\0')
			put(text, "%s (%s) has been running for %.3f s", told->handler,
				told->location, seconds(report->running));
		else
			put(text, "nothing has moved for %.3f s", seconds(report->running));
		break;
	case TALEV_WATCHDOG_NOPASS:
		put(text, "has not come round for %.3f s, %llu handlers have run meanwhile",
			seconds(report->stalled), (unsigned long long)report->handlers);
		if (told->handler[0] != '\0')
			put(text, ", now %s (%s)", told->handler, told->location);
		break;
	case TALEV_WATCHDOG_SILENT:
		put(text, "has not been beaten for %.3f s", seconds(report->stalled));
		if (told->handler[0] != '\0')
			put(text, ", now in %s (%s)", told->handler, told->location);
		break;
	}
	put(text, ", limit %.3f s, thread %s (%d)", seconds(report->limit), report->thread,
		(int)report->tid);
}

static void describe(struct told *told, const struct alert *alert)
{
	struct text *text = &told->text;

	put(text, "%s %s: ", subject(alert->kind), alert->heart);
	if (alert->event == TALEV_WATCHDOG_RECOVERED) {
		put(text, "goes on after %.3f s, limit %.3f s", seconds(alert->stalled),
			seconds(alert->limit));
		return;
	}
	put_what(told);
	if (alert->suspended[0] != '\0')
		put(text, "\nit had been suspended, and for too long: %s", alert->suspended);
	if (!told->probe.answered)
		put(text, "\nthe thread does not answer: %s", told->probe.kernel);
	for (size_t i = 0; i < told->report.frames; i++)
		put(text, "\n  %s", told->stack[i]);
}

static void fill(struct told *told, const struct alert *alert)
{
	for (int i = 0; i < told->probe.depth; i++) {
		probe_name(told->probe.stack[i], i == 0, told->names[i], NAME);
		told->stack[i] = told->names[i];
	}
	told->report = (struct talev_watchdog_report){
		.size = sizeof(told->report),
		.event = alert->event,
		.trouble = alert->trouble,
		.heart = alert->heart,
		.handler = told->handler,
		.location = told->location,
		.stalled = alert->stalled,
		.running = alert->running,
		.limit = alert->limit,
		.handlers = alert->handlers,
		.tid = alert->tid,
		.thread = told->probe.thread,
		.answered = told->probe.answered,
		.kernel = told->probe.kernel,
		.frames = (size_t)told->probe.depth,
		.stack = told->stack,
		.text = told->text.text,
	};
	describe(told, alert);
}

static void log_lines(enum talev_watchdog_event event, const char *text)
{
	enum talev_log_level level = TALEV_LOG_WARNING;

	if (event == TALEV_WATCHDOG_HARD)
		level = TALEV_LOG_ERROR;
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		base_log(level, "watchdog: %.*s", (int)n, text);
		text += n + (text[n] == '\n' ? 1 : 0);
	}
}

static void by_default(const struct talev_watchdog_report *report)
{
	log_lines(report->event, report->text);
	if (report->event == TALEV_WATCHDOG_HARD)
		base_misuse("watchdog: %.900s", report->text);
}

static struct heart *find(const struct talev_watchdog *wd, uint64_t id)
{
	struct heart *heart;

	TAILQ_FOREACH (heart, &wd->hearts, link)
		if (heart->id == id)
			return heart;
	return NULL;
}

/* The thread was asked a moment after it was found to be stuck: what it tells is of another
 * handler if that has returned just then. */
static bool moved_on(const struct alert *alert, const struct probe *probe)
{
	return alert->trouble == TALEV_WATCHDOG_STUCK && alert->ev != NULL && probe->doing_known &&
	       probe->doing.ev == alert->ev && probe->doing.handlers != alert->handlers_now;
}

/* False: it is not to be told. */
static bool settle(struct talev_watchdog *wd, const struct alert *alert, bool moved,
	talev_watchdog_fn_t *fn, void **private_data)
{
	struct heart *heart;

	pthread_mutex_lock(&watch_lock);
	heart = find(wd, alert->id);
	if (heart != NULL && moved)
		heart_restart(heart);
	else if (heart != NULL && alert->event == TALEV_WATCHDOG_SOFT)
		heart->soft_count++;
	else if (heart != NULL && alert->event == TALEV_WATCHDOG_HARD)
		heart->hard_count++;
	*fn = wd->fn;
	*private_data = wd->private_data;
	pthread_mutex_unlock(&watch_lock);
	return !moved;
}

void report_alert(struct talev_watchdog *wd, struct alert *alert)
{
	talev_watchdog_fn_t fn;
	void *private_data;
	struct told told;

	told.probe.depth = 0;
	told.text.used = 0;
	told.text.text[0] = told.handler[0] = told.location[0] = told.probe.thread[0] = '\0';
	told.probe.kernel[0] = '\0';
	told.probe.answered = told.probe.doing_known = false;
	if (alert->event != TALEV_WATCHDOG_RECOVERED) {
		probe_thread(alert->tid, PATIENCE, &told.probe);
		name_handler(&told, alert);
	}
	if (!settle(wd, alert, moved_on(alert, &told.probe), &fn, &private_data))
		return;
	fill(&told, alert);
	if (alert->event != TALEV_WATCHDOG_RECOVERED)
		parent_alert(told.probe.thread);
	if (fn == NULL || !fn(&told.report, private_data))
		by_default(&told.report);
}
