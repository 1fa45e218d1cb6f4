/* SPDX-License-Identifier: BSD-2-Clause */
#include "tevent/req.h"

struct tevent_wakeup_state {
	struct timeval wakeup_time;
};

struct tevent_req *tevent_wakeup_send(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev, struct timeval wakeup_time)
{
	struct tevent_wakeup_state *state;
	struct tevent_req *req = tevent_req_create(mem_ctx, &state, struct tevent_wakeup_state);

	if (req == NULL)
		return NULL;
	state->wakeup_time = wakeup_time;
	if (!tevent_req_set_endtime(req, ev, wakeup_time))
		return tevent_req_post(req, ev);
	return req;
}

/* The request goes on to be one that has timed out: tevent does not take it back here either. */
bool tevent_wakeup_recv(struct tevent_req *req)
{
	enum tevent_req_state state;
	uint64_t error;

	return tevent_req_is_error(req, &state, &error) && state == TEVENT_REQ_TIMED_OUT;
}
