/* SPDX-License-Identifier: BSD-2-Clause */
/* Setup and teardown jobs. One source per loop is what both of them run as: each job has the name
 * and the frame of a handler, and teardown jobs take turns with what else the loop has to do. */
#include "loops/manager.h"

#include <errno.h>
#include <stdlib.h>

struct closer {
	struct source src;
	struct talev_loop *loop;
	struct loop_job *job; /* the setup job that runs */
	bool torn_down;
};

static const char at_rest[] = "jobs\0talev";

static struct closer *closer_of(struct source *src)
{
	return (struct closer *)src;
}

static void closer_disarm(struct source *src)
{
	core_unpost(src);
}

static void closer_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	struct closer *closer = closer_of(src);
	struct loop_jobs *jobs = &closer->loop->teardown;
	struct loop_job *job = TAILQ_FIRST(jobs);

	(void)flags;
	(void)now;
	core_unpost(src);
	if (job != NULL) {
		TAILQ_REMOVE(jobs, job, link);
		source_set_where(src, job->where);
		job->fn(closer->loop, job->private_data);
		source_set_where(src, at_rest);
		free(job);
	}
	if (src->ev == NULL)
		return;
	if (!TAILQ_EMPTY(jobs)) {
		core_post(src);
	} else if (!closer->torn_down) {
		closer->torn_down = true;
		shutdown_torn_down(closer->loop->manager);
	}
}

static void closer_describe(const struct source *src, struct talev_source_info *info)
{
	info->armed = src->place == PLACE_IMMEDIATE;
}

static const struct source_kind closer_kind = {
	.type = "struct talev_loop_jobs",
	.label = "jobs",
	.disarm = closer_disarm,
	.fire = closer_fire,
	.describe = closer_describe,
};

int jobs_open(struct talev_loop *loop)
{
	struct closer *closer;

	closer = source_create(loop->ev, loop->root, sizeof(*closer), &closer_kind, NULL, at_rest);
	if (closer == NULL)
		return -1;
	closer->loop = loop;
	loop->closer = &closer->src;
	return 0;
}

void jobs_init(struct talev_loop *loop)
{
	TAILQ_INIT(&loop->setup);
	TAILQ_INIT(&loop->teardown);
}

static void forget(struct loop_jobs *jobs)
{
	struct loop_job *job;

	while ((job = TAILQ_FIRST(jobs)) != NULL) {
		TAILQ_REMOVE(jobs, job, link);
		free(job);
	}
}

void jobs_free(struct talev_loop *loop)
{
	forget(&loop->setup);
	forget(&loop->teardown);
}

static void call_setup(struct source *src)
{
	struct closer *closer = closer_of(src);

	closer->job->fn(closer->loop, closer->job->private_data);
}

void jobs_run_setup(struct talev_loop *loop)
{
	struct loop_job *job;

	while ((job = TAILQ_FIRST(&loop->setup)) != NULL) {
		TAILQ_REMOVE(&loop->setup, job, link);
		closer_of(loop->closer)->job = job;
		source_set_where(loop->closer, job->where);
		if (loop->closer->ev != NULL)
			(void)core_call(loop->closer, call_setup);
		source_set_where(loop->closer, at_rest);
		free(job);
	}
}

static struct loop_job *job_create(talev_loop_fn_t fn, void *private_data, const char *where)
{
	struct loop_job *job;

	if (fn == NULL) {
		errno = EINVAL;
		return NULL;
	}
	job = malloc(sizeof(*job));
	if (job == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	*job = (struct loop_job){.fn = fn, .private_data = private_data, .where = where};
	return job;
}

int jobs_add_setup(
	struct talev_loop *loop, talev_loop_fn_t fn, void *private_data, const char *where)
{
	struct loop_job *job = job_create(fn, private_data, where);

	if (job == NULL)
		return -1;
	TAILQ_INSERT_TAIL(&loop->setup, job, link);
	return 0;
}

int _talev_loop_setup(
	struct talev_loop *loop, talev_loop_fn_t fn, void *private_data, const char *where)
{
	return manager_idle(loop->manager) ? jobs_add_setup(loop, fn, private_data, where) : -1;
}

int _talev_loop_teardown(
	struct talev_loop *loop, talev_loop_fn_t fn, void *private_data, const char *where)
{
	struct loop_job *job;

	if (atomic_load(&loop->manager->shutting_down)) {
		errno = ESHUTDOWN;
		return -1;
	}
	if (talev_loop_current() != loop && !manager_idle(loop->manager))
		return -1;
	job = job_create(fn, private_data, where);
	if (job == NULL)
		return -1;
	TAILQ_INSERT_HEAD(&loop->teardown, job, link);
	return 0;
}

/* The newest of setup, or of teardown, goes again. */
static void take_back(struct loop_jobs *jobs, bool newest_first)
{
	struct loop_job *job = newest_first ? TAILQ_FIRST(jobs) : TAILQ_LAST(jobs, loop_jobs);

	TAILQ_REMOVE(jobs, job, link);
	free(job);
}

int _talev_loops_setup(
	struct talev_loops *loops, talev_loop_fn_t fn, void *private_data, const char *where)
{
	struct manager *manager = loops->manager;

	for (unsigned i = 0; i < manager_count(manager); i++) {
		if (_talev_loop_setup(manager_loop(manager, i), fn, private_data, where) == 0)
			continue;
		while (i-- > 0)
			take_back(&manager_loop(manager, i)->setup, false);
		return -1;
	}
	return 0;
}

int _talev_loops_teardown(
	struct talev_loops *loops, talev_loop_fn_t fn, void *private_data, const char *where)
{
	struct manager *manager = loops->manager;

	if (!manager_idle(manager))
		return -1;
	for (unsigned i = 0; i < manager_count(manager); i++) {
		if (_talev_loop_teardown(manager_loop(manager, i), fn, private_data, where) == 0)
			continue;
		while (i-- > 0)
			take_back(&manager_loop(manager, i)->teardown, true);
		return -1;
	}
	return 0;
}
