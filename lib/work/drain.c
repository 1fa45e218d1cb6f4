/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drains. Jobs are counted in segments: a drain closes the one that is open, and is done when that
 * and those before it are empty. In whatever order jobs run, none that comes later delays it.
 */
#include "work/jobq.h"

#include <errno.h>
#include <stdlib.h>
#include "request/request.h"

struct drain {
	struct outcome out;
	struct awaited awaited;
	struct talev_req *req; /* owner's; NULL: nobody waits for it */
};

struct draining {
	struct drain *drain;
};

static struct outcome *orphans; /* by next */

static struct draining *draining_of(struct talev_req *req)
{
	return _talev_req_data(req, "drain", __location__);
}

struct segment *segment_open(struct jobq *q)
{
	return TAILQ_LAST(&q->segments, segment_list);
}

static void advance(struct jobq *q, struct told *told)
{
	struct segment *segment;

	while ((segment = TAILQ_FIRST(&q->segments)) != NULL && segment->jobs == 0 &&
		segment->drain != NULL) {
		TAILQ_REMOVE(&q->segments, segment, link);
		told_add(told, &segment->drain->out);
		free(segment);
	}
}

void segment_job_done(struct jobq *q, struct segment *segment, struct told *told)
{
	if (--segment->jobs == 0)
		advance(q, told);
}

static void clean_up(struct talev_req *req, enum talev_req_state state)
{
	struct draining *draining = draining_of(req);

	(void)state;
	if (draining->drain == NULL)
		return;
	draining->drain->req = NULL;
	hub_abandon(&draining->drain->out);
	draining->drain = NULL;
}

static void end(struct drain *drain, int error)
{
	struct talev_req *req = drain->req;

	if (req == NULL)
		return;
	draining_of(req)->drain = NULL;
	talev_req_defer_callback(req);
	if (!talev_req_error(req, (uint64_t)error))
		talev_req_done(req);
}

static void deliver(struct outcome *outcome)
{
	end((struct drain *)outcome, 0);
	free(outcome);
}

static void lost(struct outcome *outcome)
{
	free(outcome);
}

static void forked(struct outcome *outcome)
{
	outcome->next = orphans;
	orphans = outcome;
	end((struct drain *)outcome, ESHUTDOWN);
}

static const struct outcome_ops drain_ops = {.deliver = deliver, .lost = lost, .forked = forked};

/* Would this thread wait for itself? */
static bool is_of(const struct talev_job *job, const struct jobq *q)
{
	for (; job != NULL; job = job->parent)
		if (job->q == q)
			return true;
	return false;
}

static void push(struct jobq *q, struct drain *drain, struct segment *next)
{
	struct told told;

	told_init(&told);
	next->jobs = 0;
	next->drain = NULL;
	jobq_lock(q);
	segment_open(q)->drain = drain;
	TAILQ_INSERT_TAIL(&q->segments, next, link);
	advance(q, &told);
	jobq_unlock(q);
	told_tell(&told);
}

struct talev_req *_talev_jobq_drain_send(
	TALLOC_CTX *mem_ctx, struct talev_context *ev, struct talev_jobq *jobq, const char *where)
{
	struct draining *draining;
	struct segment *next;
	struct drain *drain;
	struct talev_req *req;
	struct hub *hub;

	if (jobq == NULL) {
		errno = EINVAL;
		return NULL;
	}
	req = _talev_req_create(ev, mem_ctx, &draining, sizeof(*draining), where);
	if (req == NULL)
		return NULL;
	if (is_of(worker_job(), jobq_of(jobq))) {
		talev_req_error(req, EDEADLK);
		return talev_req_post(req);
	}
	next = malloc(sizeof(*next));
	drain = malloc(sizeof(*drain));
	errno = ENOMEM;
	hub = next != NULL && drain != NULL ? hub_get(ev) : NULL;
	if (hub == NULL) {
		int error = errno;

		free(next);
		free(drain);
		talloc_free(req);
		errno = error;
		return NULL;
	}
	hub_expect(hub, &drain->out, &drain->awaited);
	drain->out.ops = &drain_ops;
	drain->req = req;
	draining->drain = drain;
	talev_req_set_cleanup_fn(req, clean_up);
	push(jobq_of(jobq), drain, next);
	return req;
}

int talev_jobq_drain_recv(struct talev_req *req)
{
	return talev_req_simple_recv(req);
}
