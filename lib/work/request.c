/* SPDX-License-Identifier: BSD-2-Clause */
/* Jobs as requests, each with a job of its own. */
#include "work/trip.h"

#include <errno.h>
#include "base/clock.h"
#include "request/request.h"

/* The state of the request. */
struct sent {
	struct trip trip; /* without a job: it is back, or was given up */
	struct talev_req *req;
	void *data; /* of a job that is back */
};

static struct sent *sent_of(struct talev_req *req)
{
	return _talev_req_data(req, "job", __location__);
}

/* What it was sent with is the request's, and the job has gone. */
static void take_data(struct sent *sent)
{
	struct talev_job *job = sent->trip.job;

	sent->trip.job = NULL;
	if (job == NULL)
		return;
	sent->data = job->data;
	job_free(job, false);
}

/* It has ended otherwise than by its job, or goes. */
static void clean_up(struct talev_req *req, enum talev_req_state state)
{
	struct sent *sent = sent_of(req);

	if (sent->trip.job != NULL) {
		trip_end(&sent->trip);
		take_data(sent);
	}
	if (state == TALEV_REQ_RECEIVED)
		TALLOC_FREE(sent->data);
}

static bool cancel(struct talev_req *req)
{
	struct sent *sent = sent_of(req);

	if (sent->trip.job == NULL || !trip_withdraw(&sent->trip))
		return false;
	take_data(sent);
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
static void end(struct sent *sent, void *data, int error, const char *where)
{
	struct talev_req *req = sent->req;

	sent->trip.job = NULL;
	sent->data = data;
	talev_req_set_cleanup_fn(req, NULL);
	talev_req_defer_callback(req);
	if (!_talev_req_error(req, (uint64_t)error, where))
		_talev_req_done(req, where);
	if (data != NULL)
		talev_req_set_cleanup_fn(req, clean_up_data);
}

static void back(struct trip *trip, bool is_parents)
{
	struct talev_job *job = trip->job;
	const char *where = job_location(job);
	int error = is_parents ? ESHUTDOWN : job->error;
	void *data = NULL;

	if (!is_parents) {
		data = job_take_data(job);
		job_keep(job);
	}
	end((struct sent *)trip, data, error, where);
}

/* The job goes into the queue, or the request ends. */
static void push(struct sent *sent, struct hub *hub, const char *class_name)
{
	struct talev_job *job = sent->trip.job;
	int error;

	if (job->data != NULL && talloc_parent(job->data) != NULL)
		talloc_steal(NULL, job->data);
	error = trip_begin(&sent->trip, hub, class_name);
	if (error == 0)
		return;
	end(sent, job->data, error, job_location(job));
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
		job = job_create(hub_take_spare(hub), jobq_of(jobq), fn, tree, where);
	if (job == NULL) {
		int error = errno;

		talloc_free(req);
		errno = error;
		return NULL;
	}
	sent->req = req;
	sent->trip.back = back;
	sent->trip.job = job;
	talev_req_set_cancel_fn(req, cancel);
	talev_req_set_cleanup_fn(req, clean_up);
	if (data != NULL)
		*data = NULL;
	push(sent, hub, class_name);
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
	if (sent == NULL || sent->trip.job == NULL)
		return 0;
	/* The context may have a clock of its own, which threads do not see. */
	if (deadline != TALEV_NEVER)
		deadline = talev_time_add(
			deadline, base_clock_now(TALEV_CLOCK_MONOTONIC) - talev_now(ev));
	atomic_store_explicit(&sent->trip.job->deadline, deadline, memory_order_relaxed);
	return 0;
}
