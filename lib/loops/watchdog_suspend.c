/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that are not to be looked at for a while, and how much time they have left otherwise. */
#include "loops/manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/param.h>
#include "base/base.h"
#include "work/work.h"

struct talev_suspension {
	TAILQ_ENTRY(talev_suspension) link;
	pid_t tid;
	talev_time_t until; /* monotonic */
	const char *reason;
	const char *location;
};

static TAILQ_HEAD(, talev_suspension) suspensions = TAILQ_HEAD_INITIALIZER(suspensions);

void suspended_get(pid_t tid, talev_time_t now, struct suspended *suspended)
{
	struct talev_suspension *suspension;

	*suspended = (struct suspended){.reason = NULL};
	TAILQ_FOREACH (suspension, &suspensions, link) {
		talev_time_t left = suspension->until - now;

		if (suspension->tid != tid || left <= suspended->left)
			continue;
		suspended->reason = suspension->reason;
		suspended->location = suspension->location;
		suspended->left = left;
	}
}

void suspended_before(pid_t tid, talev_time_t now, char *text, size_t room)
{
	struct talev_suspension *suspension;

	text[0] = '\0';
	TAILQ_FOREACH (suspension, &suspensions, link)
		if (suspension->tid == tid && suspension->until <= now)
			(void)snprintf(
				text, room, "%s (%s)", suspension->reason, suspension->location);
}

static int end(struct talev_suspension *suspension)
{
	pthread_mutex_lock(&watch_lock);
	TAILQ_REMOVE(&suspensions, suspension, link);
	pthread_mutex_unlock(&watch_lock);
	return 0;
}

struct talev_suspension *_talev_watchdog_suspend(
	TALLOC_CTX *mem_ctx, talev_time_t longest, const char *reason, const char *location)
{
	struct talev_suspension *suspension;

	if (longest <= 0 || reason == NULL) {
		errno = EINVAL;
		return NULL;
	}
	suspension = talloc(mem_ctx, struct talev_suspension);
	if (suspension == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	suspension->tid = gettid();
	suspension->reason = reason;
	suspension->location = location;
	suspension->until = talev_time_add(base_clock_now(TALEV_CLOCK_MONOTONIC), longest);
	pthread_mutex_lock(&watch_lock);
	TAILQ_INSERT_TAIL(&suspensions, suspension, link);
	pthread_mutex_unlock(&watch_lock);
	talloc_set_destructor(suspension, end);
	return suspension;
}

struct asked {
	pid_t tid;
	talev_time_t now;
	const struct work_running *job; /* that this thread is in; NULL: none */
	talev_time_t least;
};

static void ask_watch(const struct watch *watch, struct asked *asked)
{
	talev_time_t ran;

	if (asked->job == NULL || watch->manager != NULL || watch->soft == TALEV_NEVER ||
		strncmp(watch->queue, asked->job->queue, sizeof(watch->queue) - 1) != 0)
		return;
	ran = asked->now - asked->job->since;
	/* The watchdog has not seen it yet, or it has a heart, which has its own say. */
	asked->least = MIN(asked->least, ran < watch->soft ? watch->soft - ran : 0);
}

static bool asks_about(const struct heart *heart, const struct asked *asked)
{
	if (heart->kind == HEART_LOOP)
		return heart->loop->watched.tid == asked->tid;
	/* Its thread may have another job by now. */
	if (heart->kind == HEART_JOB)
		return asked->job != NULL && heart->tid == asked->tid &&
		       heart->begun == asked->job->since;
	return heart->tid == asked->tid;
}

static void ask(struct talev_watchdog *wd, void *private_data)
{
	struct asked *asked = private_data;
	bool job_has_heart = false;
	struct heart *heart;
	struct watch *watch;

	TAILQ_FOREACH (heart, &wd->hearts, link) {
		if (!asks_about(heart, asked))
			continue;
		job_has_heart = job_has_heart || heart->kind == HEART_JOB;
		asked->least = MIN(asked->least, heart_remaining(heart, asked->now));
	}
	if (!job_has_heart)
		TAILQ_FOREACH (watch, &wd->watches, link)
			ask_watch(watch, asked);
}

talev_time_t talev_watchdog_remaining(void)
{
	struct work_running job;
	struct asked asked = {
		.tid = gettid(),
		.job = work_current(&job) ? &job : NULL,
		.least = TALEV_NEVER,
	};

	pthread_mutex_lock(&watch_lock);
	asked.now = base_clock_now(TALEV_CLOCK_MONOTONIC);
	watch_each(ask, &asked);
	pthread_mutex_unlock(&watch_lock);
	return asked.least;
}
