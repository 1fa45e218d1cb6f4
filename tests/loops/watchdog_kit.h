/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the watchdog share: a handler that keeps what it was told, and hanging until
 * then. */
#ifndef LOOPS_WATCHDOG_KIT_H
#define LOOPS_WATCHDOG_KIT_H

#include <pthread.h>
#include <time.h>
#include <bsd/string.h>
#include <talev/watchdog.h>
#include "loops/kit.h"

/* Short, so that a test is; a healthy heart has to stay below it on a busy machine. */
#define LIMIT TALEV_MSEC(test_is_slow() ? 400 : 100)

/* The first report, and all events. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned count;
	enum talev_watchdog_event event[16];
	char hearts[16][64];
	char texts[16][4096];
	enum talev_watchdog_trouble trouble;
	char heart[64];
	char handler[128];
	char location[128];
	char thread[32];
	char kernel[256];
	char text[8192];
	talev_time_t stalled;
	talev_time_t running;
	talev_time_t limit;
	uint64_t handlers;
	pid_t tid;
	bool answered;
	size_t frames;
} told = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline bool note_report(const struct talev_watchdog_report *report, void *private_data)
{
	(void)private_data;
	pthread_mutex_lock(&told.lock);
	demand(told.count < 16);
	demand(report->size == sizeof(*report));
	if (told.count == 0) {
		told.trouble = report->trouble;
		strlcpy(told.heart, report->heart, sizeof(told.heart));
		strlcpy(told.handler, report->handler, sizeof(told.handler));
		strlcpy(told.location, report->location, sizeof(told.location));
		strlcpy(told.thread, report->thread, sizeof(told.thread));
		strlcpy(told.kernel, report->kernel, sizeof(told.kernel));
		strlcpy(told.text, report->text, sizeof(told.text));
		told.stalled = report->stalled;
		told.running = report->running;
		told.limit = report->limit;
		told.handlers = report->handlers;
		told.tid = report->tid;
		told.answered = report->answered;
		told.frames = report->frames;
	}
	strlcpy(told.texts[told.count], report->text, sizeof(told.texts[0]));
	strlcpy(told.hearts[told.count], report->heart, sizeof(told.hearts[0]));
	told.event[told.count++] = report->event;
	pthread_cond_broadcast(&told.changed);
	pthread_mutex_unlock(&told.lock);
	return true;
}

/* valgrind cannot make room on the stack of the first thread for a signal handler. */
static inline void grow_stack(void)
{
	volatile char room[128 * 1024];

	for (size_t i = 0; i < sizeof(room); i += 1024)
		room[i] = 0;
}

/* With that handler, and nothing told yet. */
static inline struct talev_watchdog *make_watchdog(void)
{
	struct talev_watchdog *wd = talev_watchdog_create(test_root());

	demand(wd != NULL);
	grow_stack();
	told.count = 0;
	talev_watchdog_set_handler(wd, note_report, NULL);
	return wd;
}

static inline unsigned count_told(void)
{
	unsigned n;

	pthread_mutex_lock(&told.lock);
	n = told.count;
	pthread_mutex_unlock(&told.lock);
	return n;
}

/* What a stuck handler does: waits for what does not come, until it has been told of. */
static inline void hang_until(unsigned count)
{
	pthread_mutex_lock(&told.lock);
	while (told.count < count)
		pthread_cond_wait(&told.changed, &told.lock);
	pthread_mutex_unlock(&told.lock);
}

static inline void hang_until_told(void)
{
	hang_until(1);
}

static inline bool has_event(enum talev_watchdog_event event)
{
	for (unsigned i = 0; i < told.count; i++)
		if (told.event[i] == event)
			return true;
	return false;
}

static inline bool has_told(enum talev_watchdog_event event)
{
	bool has;

	pthread_mutex_lock(&told.lock);
	has = has_event(event);
	pthread_mutex_unlock(&told.lock);
	return has;
}

static inline void wait_for_event(enum talev_watchdog_event event)
{
	pthread_mutex_lock(&told.lock);
	while (!has_event(event))
		pthread_cond_wait(&told.changed, &told.lock);
	pthread_mutex_unlock(&told.lock);
}

#endif
