/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests, with tevent's manners: finishing twice calls back twice, a cleanup function runs once
 * for each state that is higher than the last, a request may be posted before it is finished.
 * (talev's own requests have none of that.)
 *
 * One allocation holds request and state; the immediate that delivers is a member.
 */
#include <string.h>
#include "tevent/req.h"

#undef tevent_req_set_callback
#undef tevent_req_set_cancel_fn
#undef tevent_req_set_cleanup_fn

static void cleanup(struct tevent_req *req)
{
	if (req->cleanup_fn == NULL || req->cleaned >= req->state)
		return;
	req->cleaned = req->state;
	depth_notify(TEVENT_CALL_FLOW_REQ_CLEANUP, req, req->cleanup_name);
	req->cleanup_fn(req, req->state);
}

static int received_destructor(struct tevent_req *req)
{
	immediate_forget(&req->trigger);
	return 0;
}

static int req_destructor(struct tevent_req *req)
{
	tevent_req_received(req);
	return received_destructor(req);
}

struct tevent_req *__tevent_req_create(TALLOC_CTX *mem_ctx, void *pstate, size_t state_size,
	const char *type, const char *func, const char *location)
{
	struct tevent_req *parent = NULL;
	struct tevent_req *req;
	void **ppstate = pstate;
	void *data;

	if (mem_ctx != NULL)
		parent = talloc_get_type(talloc_parent(mem_ctx), struct tevent_req);
	req = talloc_pooled_object(mem_ctx, struct tevent_req, 1, state_size);
	if (req == NULL)
		return NULL;
	memset(req, 0, sizeof(*req));
	data = talloc_zero_size(req, state_size);
	if (data == NULL) {
		talloc_free(req);
		return NULL;
	}
	talloc_set_name_const(data, type);
	req->data = data;
	req->type = type;
	req->create_location = location;
	req->function = func;
	req->state = TEVENT_REQ_IN_PROGRESS;
	talloc_set_destructor(req, req_destructor);
	if (parent != NULL) {
		req->depth = parent->depth + 1;
		if (parent->profile != NULL && !tevent_req_set_profile(req)) {
			talloc_free(req);
			return NULL;
		}
		if (parent->profile != NULL)
			profile_add(parent->profile, req->profile);
	}
	depth_notify(TEVENT_CALL_FLOW_REQ_CREATE, req, func);
	*ppstate = data;
	return req;
}

struct tevent_req *_tevent_req_create(TALLOC_CTX *mem_ctx, void *pstate, size_t state_size,
	const char *type, const char *location)
{
	return __tevent_req_create(mem_ctx, pstate, state_size, type, NULL, location);
}

void _tevent_req_notify_callback(struct tevent_req *req, const char *location)
{
	struct tevent_context *ev = req->defer_ev;

	req->finish_location = location;
	if (ev != NULL) {
		req->defer_ev = NULL;
		tevent_req_post(req, ev);
		return;
	}
	if (req->fn == NULL)
		return;
	depth_notify(TEVENT_CALL_FLOW_REQ_NOTIFY_CB, req, req->fn_name);
	req->fn(req);
}

static void finish(struct tevent_req *req, enum tevent_req_state state, const char *location)
{
	if (req->timer != NULL)
		TALLOC_FREE(req->timer);
	req->state = state;
	req->finish_location = location;
	cleanup(req);
	if (req->profile != NULL)
		profile_stop(req);
	_tevent_req_notify_callback(req, location);
}

void _tevent_req_done(struct tevent_req *req, const char *location)
{
	finish(req, TEVENT_REQ_DONE, location);
}

bool _tevent_req_error(struct tevent_req *req, uint64_t error, const char *location)
{
	if (error == 0)
		return false;
	req->error = error;
	finish(req, TEVENT_REQ_USER_ERROR, location);
	return true;
}

void _tevent_req_oom(struct tevent_req *req, const char *location)
{
	finish(req, TEVENT_REQ_NO_MEMORY, location);
}

bool _tevent_req_nomem(const void *p, struct tevent_req *req, const char *location)
{
	if (p != NULL)
		return false;
	_tevent_req_oom(req, location);
	return true;
}

static void deliver(struct tevent_context *ev, struct tevent_immediate *im, void *private_data)
{
	struct tevent_req *req = private_data;

	(void)ev;
	(void)im;
	finish(req, req->state, req->finish_location);
}

struct tevent_req *tevent_req_post(struct tevent_req *req, struct tevent_context *ev)
{
	tevent_schedule_immediate(&req->trigger, ev, deliver, req);
	return req;
}

void tevent_req_defer_callback(struct tevent_req *req, struct tevent_context *ev)
{
	req->defer_ev = ev;
}

bool tevent_req_is_in_progress(struct tevent_req *req)
{
	return req->state == TEVENT_REQ_IN_PROGRESS;
}

void tevent_req_received(struct tevent_req *req)
{
	talloc_set_destructor(req, received_destructor);
	req->print_fn = NULL;
	req->cancel_fn = NULL;
	immediate_cancel(&req->trigger);
	if (req->timer != NULL)
		TALLOC_FREE(req->timer);
	req->state = TEVENT_REQ_RECEIVED;
	cleanup(req);
	TALLOC_FREE(req->data);
}

bool tevent_req_poll(struct tevent_req *req, struct tevent_context *ev)
{
	while (tevent_req_is_in_progress(req))
		if (tevent_loop_once(ev) != 0)
			return false;
	return true;
}

bool tevent_req_is_error(struct tevent_req *req, enum tevent_req_state *state, uint64_t *error)
{
	if (req->state == TEVENT_REQ_DONE)
		return false;
	if (req->state == TEVENT_REQ_USER_ERROR)
		*error = req->error;
	*state = req->state;
	return true;
}

static void timed_out(struct tevent_context *ev, struct tevent_timer *te,
	struct timeval current_time, void *private_data)
{
	(void)ev;
	(void)te;
	(void)current_time;
	finish(private_data, TEVENT_REQ_TIMED_OUT, "tevent_req_timedout");
}

bool tevent_req_set_endtime(
	struct tevent_req *req, struct tevent_context *ev, struct timeval endtime)
{
	tevent_req_reset_endtime(req);
	req->timer = tevent_add_timer(ev, req, endtime, timed_out, req);
	return !tevent_req_nomem(req->timer, req);
}

void tevent_req_reset_endtime(struct tevent_req *req)
{
	TALLOC_FREE(req->timer);
}

void _tevent_req_set_callback(
	struct tevent_req *req, tevent_req_fn fn, const char *fn_name, void *pvt)
{
	req->fn = fn;
	req->fn_name = fn_name;
	req->private_data = pvt;
}

void tevent_req_set_callback(struct tevent_req *req, tevent_req_fn fn, void *pvt)
{
	_tevent_req_set_callback(req, fn, NULL, pvt);
}

void *_tevent_req_callback_data(struct tevent_req *req)
{
	return req->private_data;
}

void *_tevent_req_data(struct tevent_req *req)
{
	return req->data;
}

void _tevent_req_set_cancel_fn(struct tevent_req *req, tevent_req_cancel_fn fn, const char *fn_name)
{
	req->cancel_fn = fn;
	req->cancel_name = fn != NULL ? fn_name : NULL;
}

void tevent_req_set_cancel_fn(struct tevent_req *req, tevent_req_cancel_fn fn)
{
	_tevent_req_set_cancel_fn(req, fn, NULL);
}

bool _tevent_req_cancel(struct tevent_req *req, const char *location)
{
	(void)location;
	if (req->cancel_fn == NULL)
		return false;
	depth_notify(TEVENT_CALL_FLOW_REQ_CANCEL, req, req->cancel_name);
	return req->cancel_fn(req);
}

void _tevent_req_set_cleanup_fn(
	struct tevent_req *req, tevent_req_cleanup_fn fn, const char *fn_name)
{
	req->cleaned = req->state;
	req->cleanup_fn = fn;
	req->cleanup_name = fn != NULL ? fn_name : NULL;
}

void tevent_req_set_cleanup_fn(struct tevent_req *req, tevent_req_cleanup_fn fn)
{
	_tevent_req_set_cleanup_fn(req, fn, NULL);
}

void tevent_req_set_print_fn(struct tevent_req *req, tevent_req_print_fn fn)
{
	req->print_fn = fn;
}

char *tevent_req_default_print(struct tevent_req *req, TALLOC_CTX *mem_ctx)
{
	return talloc_asprintf(mem_ctx,
		"tevent_req[%p/%s]: state[%d] error[%lld (0x%llX)]  state[%s (%p)] timer[%p] "
		"finish[%s]",
		(void *)req, req->create_location, (int)req->state, (long long)req->error,
		(unsigned long long)req->error, req->type, req->data, (void *)req->timer,
		req->finish_location != NULL ? req->finish_location : "(null)");
}

char *tevent_req_print(TALLOC_CTX *mem_ctx, struct tevent_req *req)
{
	if (req == NULL)
		return talloc_strdup(mem_ctx, "tevent_req[NULL]");
	if (req->print_fn == NULL)
		return tevent_req_default_print(req, mem_ctx);
	return req->print_fn(req, mem_ctx);
}
