/* SPDX-License-Identifier: BSD-2-Clause */
/* A moment as a request. It is the timer that each request has room for. */
#include "request/req.h"

#include <errno.h>
#include <talev/wakeup.h>

struct talev_req *_talev_wakeup_send(
	TALLOC_CTX *mem_ctx, struct talev_context *ev, talev_time_t at, const char *where)
{
	struct req_wake *wake;
	struct talev_req *req;

	req = _talev_req_create(ev, mem_ctx, &wake, sizeof(*wake), where);
	if (req == NULL)
		return NULL;
	if (req_wake(req, at) != 0) {
		talloc_free(req);
		errno = ENOMEM;
		return NULL;
	}
	return req;
}

int talev_wakeup_recv(struct talev_req *req)
{
	return talev_req_simple_recv(req);
}
