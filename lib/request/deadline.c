/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deadlines. A request without one of its own is under that of the nearest request above it in the
 * talloc tree that has one, at the moment when it passes: that costs nothing before, and follows
 * talloc_steal(). node.deadline is the deadline of its own also while it is not armed.
 */
#include "request/req.h"

#include <errno.h>
#include <limits.h>

static struct req_wake *wake_of(struct talev_req *req)
{
	return (struct req_wake *)req->data;
}

/* When its timer is to fire. REQ_OUTSIDE says that it is its deadline that comes first. */
static talev_time_t moment_of(struct talev_req *req)
{
	struct req_wake *wake = wake_of(req);

	if (!req_has(req, REQ_WAKES))
		return req->ts.node.deadline;
	if (req_has(req, REQ_DEADLINE) && wake->deadline < wake->at) {
		req_set(req, REQ_OUTSIDE);
		return wake->deadline;
	}
	req_clear(req, REQ_OUTSIDE);
	return wake->at;
}

void req_arm(struct talev_req *req)
{
	talev_time_t moment;

	if (!req_has(req, REQ_JOINED) || req_has(req, REQ_POSTED))
		return;
	moment = moment_of(req);
	if (moment == TALEV_NEVER)
		core_timer_disarm(&req->ts);
	else
		core_timer_arm(&req->ts, moment);
}

static int join(struct talev_req *req)
{
	if (req_has(req, REQ_JOINED))
		return 0;
	if (core_timer_join(&req->ts) != 0) {
		errno = ENOMEM;
		return -1;
	}
	req_set(req, REQ_JOINED);
	return 0;
}

void req_drop_timer(struct talev_req *req)
{
	if (req_has(req, REQ_JOINED)) {
		req_clear(req, REQ_JOINED);
		core_timer_disarm(&req->ts);
	}
}

int req_wake(struct talev_req *req, talev_time_t at)
{
	if (join(req) != 0)
		return -1;
	req_set(req, REQ_WAKES);
	wake_of(req)->at = at;
	req_arm(req);
	return 0;
}

int _talev_req_set_deadline(struct talev_req *req, talev_time_t deadline, const char *location)
{
	if (!req_in_progress(req) || core_usable(req->ts.src.ev) == NULL) {
		errno = ESTALE;
		return -1;
	}
	if (deadline != TALEV_NEVER && join(req) != 0)
		return -1;
	req_set(req, REQ_DEADLINE);
	if (req_has(req, REQ_WAKES))
		wake_of(req)->deadline = deadline;
	else
		req->ts.node.deadline = deadline;
	/* It is about to end, and somebody is to blame for it already. */
	if (!req_has(req, REQ_EXPIRED | REQ_DISMISSED))
		req->blame = location;
	req_arm(req);
	return 0;
}

void talev_req_reset_deadline(struct talev_req *req)
{
	req_clear(req, REQ_DEADLINE);
	if (req_has(req, REQ_WAKES))
		req_arm(req);
	else
		req_drop_timer(req);
}

talev_time_t talev_req_get_deadline(const struct talev_req *req)
{
	while (req != NULL && !(req_in_progress(req) && req_has(req, REQ_DEADLINE)))
		req = req_above(req);
	if (req == NULL)
		return TALEV_NEVER;
	return req_has(req, REQ_WAKES) ? ((const struct req_wake *)req->data)->deadline
				       : req->ts.node.deadline;
}

struct walk {
	struct talev_req *root;
	struct talev_req *found; /* the last one first */
	int own;                 /* depth of one with a deadline of its own; what is below is its */
};

static void look_at(const void *ptr, int depth, int max_depth, int is_ref, void *private_data)
{
	struct walk *walk = private_data;
	struct talev_req *req;

	(void)max_depth;
	if (depth <= walk->own)
		walk->own = INT_MAX;
	if (is_ref || depth > walk->own || !is_req(ptr) || ptr == walk->root)
		return;
	req = (struct talev_req *)(uintptr_t)ptr;
	if (!req_in_progress(req) || core_usable(req->ts.src.ev) == NULL)
		return;
	if (req_has(req, REQ_DEADLINE)) {
		walk->own = depth;
		return;
	}
	if (!req_has(req, REQ_EXPIRED | REQ_DISMISSED)) {
		req->next = walk->found;
		walk->found = req;
	}
}

/* talloc tells parents before children and the youngest child first; backwards that is children
 * before parents, and the oldest first. Each ends in a unit of work of its own, because its
 * callback may free any of the others. */
bool req_expire_below(struct talev_req *req)
{
	struct walk walk = {.root = req, .own = INT_MAX};
	struct talev_req *below;

	if (req_has(req, REQ_WAKES) && !req_has(req, REQ_OUTSIDE))
		return false;
	talloc_report_depth_cb(req, 0, -1, look_at, &walk);
	if (walk.found == NULL)
		return false;
	while ((below = walk.found) != NULL) {
		walk.found = below->next;
		req_post(below, REQ_EXPIRED);
		below->blame = req->blame;
	}
	req_post(req, REQ_EXPIRED);
	return true;
}
