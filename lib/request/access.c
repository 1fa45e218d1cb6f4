/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two sides of a request ask of it. */
#include "request/req.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <talev/loop.h>
#include "base/base.h"

void *_talev_req_data(struct talev_req *req, const char *type, const char *location)
{
	const char *made_as = source_made_as(&req->ts.src);

	if (strcmp(made_as, type) != 0) {
		base_misuse("the state of request %s (%s) is a %s, not a %s as at %s",
			source_where(&req->ts.src), source_location(&req->ts.src), made_as, type,
			location);
		return NULL;
	}
	if (req_state(req) == TALEV_REQ_RECEIVED && !req_has(req, REQ_CLEANING)) {
		base_misuse("the state of request %s (%s) is used at %s after it was received",
			source_where(&req->ts.src), source_location(&req->ts.src), location);
		return NULL;
	}
	return req->data;
}

void *_talev_req_callback_data(struct talev_req *req, const char *type, const char *location)
{
	void *data = req->ts.src.private_data;

	if (data != NULL && talloc_check_name(data, type) == NULL) {
		base_misuse("the callback data of request %s (%s) is a %s, not a %s as at %s",
			source_where(&req->ts.src), source_location(&req->ts.src),
			talloc_get_name(data), type, location);
		return NULL;
	}
	return data;
}

void *talev_req_callback_data_void(struct talev_req *req)
{
	return req->ts.src.private_data;
}

struct talev_context *talev_req_context(const struct talev_req *req)
{
	return req->ts.src.ev;
}

bool talev_req_is_in_progress(const struct talev_req *req)
{
	return req_in_progress(req);
}

bool talev_req_is_error(const struct talev_req *req, enum talev_req_state *state, uint64_t *error)
{
	uint64_t code;

	switch (req_state(req)) {
	case TALEV_REQ_DONE:
		return false;
	case TALEV_REQ_IN_PROGRESS:
		code = EINPROGRESS;
		break;
	case TALEV_REQ_RECEIVED:
		code = ESTALE;
		break;
	default:
		code = req->error;
		break;
	}
	if (state != NULL)
		*state = req_state(req);
	if (error != NULL)
		*error = code;
	return true;
}

/* An error that is no errno still has to be one. */
static int to_errno(uint64_t error)
{
	return error <= INT_MAX ? (int)error : EIO;
}

int talev_req_simple_recv(struct talev_req *req)
{
	uint64_t error = 0;

	if (talev_req_is_error(req, NULL, &error) && error == EINPROGRESS && req_in_progress(req)) {
		errno = EINPROGRESS;
		return -1;
	}
	talev_req_received(req);
	if (error == 0)
		return 0;
	errno = to_errno(error);
	return -1;
}

struct poll {
	struct talev_req *req;
	struct req_watch watch;
};

static bool has_ended(void *private_data)
{
	struct poll *poll = private_data;

	return poll->watch.object == NULL || !req_in_progress(poll->req) || !req_live(poll->req);
}

int _talev_req_poll(struct talev_req *req, const char *location)
{
	struct poll poll = {.req = req};
	bool there;
	int ret;

	if (!req_in_progress(req))
		return 0;
	if (!req_live(req)) {
		errno = ESTALE;
		return -1;
	}
	req_watch(&poll.watch, req);
	ret = _talev_loop_until(req->ts.src.ev, has_ended, &poll, location);
	there = req_unwatch(&poll.watch);
	if (there && !req_in_progress(req))
		return 0;
	if (!there || !req_live(req))
		errno = ESTALE;
	else if (ret == 0)
		errno = EINTR;
	return -1;
}
