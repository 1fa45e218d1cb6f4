/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_WAKEUP_H
#define TALEV_WAKEUP_H

#include <talloc.h>
#include <talev/source.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;
struct talev_req;

/* A request that is done at that moment of the monotonic clock, never before it, and not inside
 * this call. NULL: EINVAL, ENOMEM, ESHUTDOWN, ESTALE mem_ctx is being finalized. */
struct talev_req *_talev_wakeup_send(
	TALLOC_CTX *mem_ctx, struct talev_context *ev, talev_time_t at, const char *where);
#define talev_wakeup_send(mem_ctx, ev, at)                                                         \
	_talev_wakeup_send(mem_ctx, ev, at, TALEV_WHERE(wakeup))

/* 0, or -1 with the error: ETIME a deadline came first, ECANCELED. The request is received. */
int talev_wakeup_recv(struct talev_req *req);

#ifdef __cplusplus
}
#endif

#endif
