/* SPDX-License-Identifier: BSD-2-Clause */
/* Ending a request from outside, for its own sake: cancel and dismiss. */
#include "request/req.h"

#include <errno.h>

/* -1: EBUSY. */
static int ask(struct talev_req *req, talev_req_cancel_fn_t cancel)
{
	bool deferred = req_has(req, REQ_DEFER);
	struct core_pin pin;
	bool yes;

	if (!core_pin(&pin, &req->ts.src))
		return 0;
	req_set(req, REQ_CANCELLED | REQ_DEFER);
	yes = cancel(req);
	if (!core_unpin(&pin) || yes || !req_in_progress(req))
		return 0;
	req_clear(req, REQ_CANCELLED | (deferred ? 0 : REQ_DEFER));
	errno = EBUSY;
	return -1;
}

int _talev_req_cancel(struct talev_req *req, const char *location)
{
	if (!req_in_progress(req) || !req_live(req)) {
		errno = ESTALE;
		return -1;
	}
	if (req_has(req, REQ_CANCELLED | REQ_DISMISSED))
		return 0;
	if (req->cancel != NULL)
		return ask(req, req->cancel);
	req_set(req, REQ_DEFER | REQ_OUTSIDE);
	req_finish(req, TALEV_REQ_CANCELED, ECANCELED, location);
	return 0;
}

void talev_req_set_cancel_fn(struct talev_req *req, talev_req_cancel_fn_t fn)
{
	if (req_in_progress(req))
		req->cancel = fn;
}

void request_dismiss(struct talev_req *req, const char *where)
{
	if (!req_in_progress(req) || core_usable(req->ts.src.ev) == NULL ||
		req_has(req, REQ_EXPIRED | REQ_DISMISSED))
		return;
	req_post(req, REQ_DISMISSED);
	req->blame = where;
}
