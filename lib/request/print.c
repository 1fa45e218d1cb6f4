/* SPDX-License-Identifier: BSD-2-Clause */
/* A request as a line of text. */
#include "request/req.h"

#include <errno.h>
#include <inttypes.h>

const char *req_state_name(enum talev_req_state state)
{
	switch (state) {
	case TALEV_REQ_IN_PROGRESS:
		return "in progress";
	case TALEV_REQ_DONE:
		return "done";
	case TALEV_REQ_ERROR:
		return "error";
	case TALEV_REQ_TIMED_OUT:
		return "timed out";
	case TALEV_REQ_NO_MEMORY:
		return "no memory";
	case TALEV_REQ_CANCELED:
		return "cancelled";
	case TALEV_REQ_RECEIVED:
		return "received";
	}
	return "?";
}

int talev_req_set_print_fn(struct talev_req *req, talev_req_print_fn_t fn)
{
	if (!req_live(req)) {
		errno = ESTALE;
		return -1;
	}
	if (req_need_extra(req) != 0)
		return -1;
	req->extra->print = fn;
	return 0;
}

char *talev_req_default_print(struct talev_req *req, TALLOC_CTX *mem_ctx)
{
	const struct source *src = &req->ts.src;
	const char *ended_at = "nowhere yet";
	uint64_t error = 0;
	char *text;

	if (!req_in_progress(req))
		ended_at = req->ended_at;
	talev_req_is_error(req, NULL, &error);
	text = talloc_asprintf(mem_ctx, "request %s (%s): %s, error %" PRIu64 ", ended at %s, %s",
		source_where(src), source_location(src), req_state_name(req_state(req)), error,
		ended_at, core_timer_armed(&req->ts) ? "with a timer" : "without a timer");
	if (text == NULL)
		errno = ENOMEM;
	return text;
}

char *talev_req_print(TALLOC_CTX *mem_ctx, struct talev_req *req)
{
	if (req == NULL) {
		char *text = talloc_strdup(mem_ctx, "no request");

		errno = text != NULL ? errno : ENOMEM;
		return text;
	}
	if (req->extra != NULL && req->extra->print != NULL)
		return req->extra->print(req, mem_ctx);
	return talev_req_default_print(req, mem_ctx);
}
