/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What keeps a loop from ending. A thread of its own waits for that from the shutdown on, because
 * anything in a loop that waited would hold that loop itself. After the grace time, and then after
 * twice and four times as long, it asks the loops that are still there to name what they hold.
 */
#include "loops/manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talev/request.h>
#include "base/base.h"

static struct talev_loop *loop_of_report(struct core_post *post)
{
	return (struct talev_loop *)((char *)post - offsetof(struct talev_loop, report));
}

struct holders {
	struct talev_loop *loop;
	unsigned count;
};

/* It waits for something that is no event of this loop, for example a job. */
static bool is_unfinished_request(struct source *src)
{
	return strcmp(source_kind_of(src)->label, "request") == 0 &&
	       talev_req_is_in_progress((struct talev_req *)src);
}

static void tell_holder(struct source *src, void *private_data)
{
	struct holders *holders = private_data;
	struct talev_source_info info = {.armed = true, .fd = -1, .deadline = TALEV_NEVER};
	char more[64] = "";

	if (src->life.state != TALEV_LIVE)
		return;
	if (source_kind_of(src)->describe != NULL)
		source_kind_of(src)->describe(src, &info);
	if (!info.armed && !is_unfinished_request(src))
		return;
	if (info.fd >= 0)
		snprintf(more, sizeof(more), ", descriptor %d", info.fd);
	else if (info.deadline != TALEV_NEVER)
		snprintf(more, sizeof(more), ", due in %.3f s",
			(double)(info.deadline - core_now(holders->loop->ev, info.clock)) / 1e9);
	holders->count++;
	base_log(TALEV_LOG_WARNING, "loop %s is held by %s %s (%s)%s", holders->loop->name,
		source_kind_of(src)->label, source_where(src), source_location(src), more);
}

static void answer(struct talev_loop *loop)
{
	struct manager *manager = loop->manager;

	pthread_mutex_lock(&manager->lock);
	loop->answered = true;
	pthread_cond_broadcast(&manager->changed);
	pthread_mutex_unlock(&manager->lock);
}

static void deliver_report(struct talev_context *ev, struct core_post *post)
{
	struct holders holders = {.loop = loop_of_report(post)};

	core_each(ev, tell_holder, &holders);
	if (holders.count == 0)
		base_log(TALEV_LOG_WARNING, "loop %s is held, but not by an event",
			holders.loop->name);
	answer(holders.loop);
}

static void drop_report(struct talev_context *ev, struct core_post *post)
{
	(void)ev;
	answer(loop_of_report(post));
}

static const struct core_post_ops report_ops = {.deliver = deliver_report, .drop = drop_report};

static bool all_ended(const struct manager *manager)
{
	for (unsigned i = 0; i < manager_count(manager); i++)
		if (!manager_loop(manager, i)->ended)
			return false;
	return true;
}

static bool all_answered(const struct manager *manager)
{
	for (unsigned i = 0; i < manager_count(manager); i++)
		if (!manager_loop(manager, i)->ended && !manager_loop(manager, i)->answered)
			return false;
	return true;
}

/* Until done, or for so long. The lock is held. */
static bool wait_for(
	struct manager *manager, bool (*done)(const struct manager *manager), talev_time_t delay)
{
	talev_time_t deadline = talev_time_add(base_clock_now(TALEV_CLOCK_MONOTONIC), delay);
	struct timespec ts = base_timespec(deadline);

	while (!done(manager))
		if (pthread_cond_timedwait(&manager->changed, &manager->lock, &ts) == ETIMEDOUT)
			return done(manager);
	return true;
}

/* The lock is held, but not while the program's function has the message. */
static void tell_busy(struct manager *manager, const struct talev_loop *loop)
{
	pthread_mutex_unlock(&manager->lock);
	base_log(TALEV_LOG_WARNING, "loop %s is held by a handler that has not returned",
		loop->name);
	pthread_mutex_lock(&manager->lock);
}

static void ask(struct manager *manager)
{
	for (unsigned i = 0; i < manager_count(manager); i++) {
		struct talev_loop *loop = manager_loop(manager, i);

		/* Who has not answered the last time still has that post. */
		if (loop->ended || !loop->answered)
			continue;
		loop->answered = false;
		loop->report.ops = &report_ops;
		if (mailbox_send(loop->mb, &loop->report) != 0)
			loop->answered = true;
	}
	(void)wait_for(manager, all_answered, TALEV_SEC(1));
	for (unsigned i = 0; i < manager_count(manager); i++) {
		struct talev_loop *loop = manager_loop(manager, i);

		if (!loop->ended && !loop->answered)
			tell_busy(manager, loop);
	}
}

static void *reporter(void *arg)
{
	struct manager *manager = arg;
	talev_time_t delay = manager->grace;

	pthread_mutex_lock(&manager->lock);
	for (unsigned i = 0; i < manager_count(manager); i++)
		manager_loop(manager, i)->answered = true;
	while (!wait_for(manager, all_ended, delay)) {
		ask(manager);
		delay = talev_time_add(delay, delay > 0 ? delay : TALEV_SEC(1));
	}
	pthread_mutex_unlock(&manager->lock);
	return NULL;
}

void report_start(struct manager *manager)
{
	if (manager->grace == TALEV_NEVER)
		return;
	pthread_mutex_lock(&manager->lock);
	if (!manager->reporting)
		manager->reporting =
			thread_create(&manager->reporter, reporter, manager, manager->name) == 0;
	pthread_mutex_unlock(&manager->lock);
}

void report_join(struct manager *manager)
{
	if (manager->reporting)
		pthread_join(manager->reporter, NULL);
}
