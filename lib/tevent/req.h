/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TEVENT_REQ_H
#define TEVENT_REQ_H

#include "tevent/event.h"

struct tevent_req {
	tevent_req_fn fn;
	void *private_data;
	const char *fn_name;
	void *data; /* the state; NULL once received */
	const char *type;
	enum tevent_req_state state;
	enum tevent_req_state cleaned; /* the last state that cleanup_fn has seen */
	uint64_t error;
	tevent_req_cleanup_fn cleanup_fn;
	const char *cleanup_name;
	tevent_req_cancel_fn cancel_fn;
	const char *cancel_name;
	tevent_req_print_fn print_fn;
	const char *create_location;
	const char *finish_location;
	const char *function;
	struct tevent_context *defer_ev; /* the next callback comes from its loop */
	struct tevent_timer *timer;
	struct tevent_req_profile *profile;
	size_t depth;
	struct tevent_immediate trigger; /* no chunk of its own: posting cannot fail */
};

/* req_profile.c */
struct tevent_req_profile *profile_start(struct tevent_req *req, TALLOC_CTX *mem_ctx);
void profile_stop(struct tevent_req *req);
void profile_add(struct tevent_req_profile *parent, struct tevent_req_profile *profile);

/* depth.c */
void depth_notify(enum tevent_thread_call_depth_cmd cmd, struct tevent_req *req, const char *fname);

#endif
