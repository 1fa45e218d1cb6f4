/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request: requests, their deadlines and profiles; queues, groups and wakeups of requests.
 *
 * A request is a source that rests in its context, waits there for its deadline, or is posted as
 * an immediate when its callback is to come from the loop. Other rooms use the public headers and
 * what is below.
 *
 * Owner's thread only. Between calls: a request that has ended and whose callback is known is
 * posted, held back because it is disabled, or has been told.
 */
#ifndef REQUEST_REQUEST_H
#define REQUEST_REQUEST_H

#include <talev/request.h>
#include "core/core.h"

/* The request will end with ECANCELED from its loop, unless it ends before. Calls nothing of the
 * user's. Nothing if it has ended. where: what to blame, a literal. */
void request_dismiss(struct talev_req *req, const char *where);

#endif
