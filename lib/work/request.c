/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs as requests. The request and the job know each other until one of them ends: the job comes
 * back by the hub, or the request ends before that, and withdraws the job or gives it up. A job
 * that was given up still comes back, so that its data is freed by the thread that sent it.
 */
#include "work/request.h"
#include "work/forks.h"

#include <errno.h>
#include <stdlib.h>
#include "base/clock.h"
#include "request/request.h"

/* The state of the request. */
struct sent {
	struct talev_job *job; /* NULL: it is back, or was given up */
	void *data;            /* of a job that is back */
	struct talev_context *held;
};

static LIST_HEAD(, outcome) orphans; /* of parents: nobody may touch or free them in a child */

static struct sent *sent_of(struct talev_req *req)
{
	return _talev_req_data(req, "job", __location__);
}

static bool is_parents(const struct talev_job *job)
{
	return job->generation != fork_generation();
}

/* Another thread of the parent may have been at work on it. */
static void orphan(struct talev_job *job)
{
	LIST_INSERT_HEAD(&orphans, &job->out, link);
}

/* False: it has begun, and its request does not know it any more. True: it is gone. */
static bool take_back(struct sent *sent)
{
	struct talev_job *job = sent->job;

	if (is_parents(job)) {
		sent->job = NULL;
		hub_forget(&job->out);
		orphan(job);
		return true;
	}
	if (!job_withdraw(job))
		return false;
	sent->job = NULL;
	sent->data = job->data;
	hub_forget(&job->out);
	job_free(job, false);
	return true;
}

/* It has ended otherwise than by its job, or goes. */
static void clean_up(struct talev_req *req, enum talev_req_state state)
{
	struct sent *sent = sent_of(req);
	struct talev_job *job = sent->job;

	if (job != NULL && !take_back(sent)) {
		atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
		job->req = NULL;
		sent->job = NULL;
	}
	if (sent->held != NULL)
		core_release(sent->held);
	sent->held = NULL;
	if (state == TALEV_REQ_RECEIVED)
		TALLOC_FREE(sent->data);
}

static bool cancel(struct talev_req *req)
{
	struct sent *sent = sent_of(req);
	struct talev_job *job = sent->job;

	if (job == NULL)
		return false;
	if (!take_back(sent)) {
		atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
		return false;
	}
	request_dismiss(req, "talev_req_cancel()");
	return true;
}

static void clean_up_data(struct talev_req *req, enum talev_req_state state)
{
	struct sent *sent = sent_of(req);

	if (state == TALEV_REQ_RECEIVED)
		TALLOC_FREE(sent->data);
}

/* With what it was sent with. If nobody takes that it is all that is to be cleaned up. */
static void end(struct talev_req *req, struct sent *sent, void *data, int error, const char *where)
{
	sent->job = NULL;
	sent->data = data;
	core_release(sent->held);
	sent->held = NULL;
	talev_req_set_cleanup_fn(req, NULL);
	talev_req_defer_callback(req);
	if (!_talev_req_error(req, (uint64_t)error, where))
		_talev_req_done(req, where);
	if (data != NULL)
		talev_req_set_cleanup_fn(req, clean_up_data);
}

static void deliver(struct outcome *outcome)
{
	struct talev_job *job = (struct talev_job *)outcome;
	void *data = job_take_data(job);
	struct talev_req *req = job->req;
	struct sent *sent = job->sent;
	const char *where = job_location(job);
	int error = job->error;

	job_keep(job);
	if (req != NULL)
		end(req, sent, data, error, where);
	else
		talloc_free(data);
}

static void lost(struct outcome *outcome)
{
	job_free((struct talev_job *)outcome, true);
}

static void forked(struct outcome *outcome)
{
	struct talev_job *job = (struct talev_job *)outcome;
	struct talev_req *req = job->req;

	orphan(job);
	if (req != NULL)
		end(req, job->sent, NULL, ESHUTDOWN, job_location(job));
}

const struct outcome_ops job_outcome_ops = {.deliver = deliver, .lost = lost, .forked = forked};

/* The job goes into the queue, or the request ends. */
static void push(struct talev_req *req, struct sent *sent, struct jobq *q, const char *class_name)
{
	struct talev_job *job = sent->job;
	int error;

	if (job->data != NULL && talloc_parent(job->data) != NULL)
		talloc_steal(NULL, job->data);
	error = job_push(q, class_name, job);
	if (error == 0)
		return;
	hub_forget(&job->out);
	end(req, sent, job->data, error, job_location(job));
	job_free(job, false);
}

struct talev_req *_talev_job_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	struct talev_jobq *jobq, const char *class_name, talev_job_fn_t fn, void *data_ptr,
	const char *where)
{
	void **data = data_ptr;
	void *tree = data != NULL ? *data : NULL;
	struct talev_req *req;
	struct talev_job *job = NULL;
	struct sent *sent;
	struct hub *hub;

	if (jobq == NULL || fn == NULL) {
		errno = EINVAL;
		return NULL;
	}
	if (!thread_may_cross(tree))
		return NULL;
	req = _talev_req_create(ev, mem_ctx, &sent, sizeof(*sent), where);
	if (req == NULL)
		return NULL;
	hub = hub_get(ev);
	if (hub != NULL)
		job = job_create(hub_take_spare(hub), fn, tree, where);
	if (job == NULL) {
		int error = errno;

		talloc_free(req);
		errno = error;
		return NULL;
	}
	hub_expect(hub, &job->out);
	job->req = req;
	job->sent = sent;
	sent->job = job;
	sent->held = ev;
	core_hold(ev);
	talev_req_set_cancel_fn(req, cancel);
	talev_req_set_cleanup_fn(req, clean_up);
	if (data != NULL)
		*data = NULL;
	push(req, sent, jobq_of(jobq), class_name);
	return req;
}

int talev_job_recv(struct talev_req *req, TALLOC_CTX *mem_ctx, void *data_ptr)
{
	void **data = data_ptr;
	struct sent *sent;

	if (data != NULL)
		*data = NULL;
	if (talev_req_is_in_progress(req)) {
		errno = EINPROGRESS;
		return -1;
	}
	sent = sent_of(req);
	if (sent == NULL) {
		errno = ESTALE;
		return -1;
	}
	if (data != NULL && sent->data != NULL) {
		*data = talloc_steal(mem_ctx, sent->data);
		sent->data = NULL;
		talev_req_set_cleanup_fn(req, NULL);
	}
	return talev_req_simple_recv(req);
}

int talev_job_set_deadline(struct talev_req *req, talev_time_t deadline)
{
	struct talev_context *ev = talev_req_context(req);
	struct sent *sent;

	if (talev_req_set_deadline(req, deadline) != 0)
		return -1;
	sent = sent_of(req);
	if (sent == NULL || sent->job == NULL)
		return 0;
	/* The context may have a clock of its own, which threads do not see. */
	if (deadline != TALEV_NEVER)
		deadline = talev_time_add(
			deadline, base_clock_now(TALEV_CLOCK_MONOTONIC) - talev_now(ev));
	atomic_store_explicit(&sent->job->deadline, deadline, memory_order_relaxed);
	return 0;
}
