/* SPDX-License-Identifier: BSD-2-Clause */
/* How deep in requests that were made by requests this thread is, told to a callback. */
#include "tevent/req.h"

#undef tevent_thread_call_depth_reset_from_req

static _Thread_local struct tevent_thread_call_depth_state thread_state;

void depth_notify(enum tevent_thread_call_depth_cmd cmd, struct tevent_req *req, const char *fname)
{
	if (thread_state.cb != NULL)
		thread_state.cb(thread_state.cb_private, cmd, req, req->depth, fname);
}

void tevent_thread_call_depth_set_callback(tevent_call_depth_callback_t f, void *private_data)
{
	thread_state.cb = f;
	thread_state.cb_private = private_data;
}

void _tevent_thread_call_depth_reset_from_req(struct tevent_req *req, const char *fname)
{
	depth_notify(TEVENT_CALL_FLOW_REQ_RESET, req, fname);
}

void tevent_thread_call_depth_reset_from_req(struct tevent_req *req)
{
	_tevent_thread_call_depth_reset_from_req(req, NULL);
}

void tevent_thread_call_depth_activate(size_t *ptr)
{
	(void)ptr;
}

void tevent_thread_call_depth_deactivate(void)
{
}

void tevent_thread_call_depth_start(struct tevent_req *req)
{
	(void)req;
}
