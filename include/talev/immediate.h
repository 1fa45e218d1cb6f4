/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_IMMEDIATE_H
#define TALEV_IMMEDIATE_H

#include <stdbool.h>
#include <talloc.h>
#include <talev/source.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;
struct talev_immediate;

typedef void (*talev_immediate_handler_t)(
	struct talev_context *ev, struct talev_immediate *im, void *private_data);

/* An idle immediate, tied to no context until it is scheduled. NULL: ENOMEM. */
struct talev_immediate *_talev_create_immediate(TALLOC_CTX *mem_ctx, const char *where);
#define talev_create_immediate(mem_ctx) _talev_create_immediate(mem_ctx, TALEV_WHERE(immediate))

/* Runs handler in the loop of ev, before any timer or descriptor, first scheduled first run. An
 * earlier schedule of im, in whichever context, is replaced, and im goes to the tail. Allocates
 * nothing. The handler may schedule im again or free it. -1: EINVAL, ESHUTDOWN, ESTALE. */
int _talev_schedule_immediate(struct talev_immediate *im, struct talev_context *ev,
	talev_immediate_handler_t handler, void *private_data, const char *where);
#define talev_schedule_immediate(im, ev, handler, private_data)                                    \
	_talev_schedule_immediate(im, ev, handler, private_data, TALEV_WHERE(handler))

/* Takes it back. 0 also when it was not scheduled. -1: ESTALE. */
int talev_cancel_immediate(struct talev_immediate *im);

/* Is it waiting to run. */
bool talev_immediate_is_scheduled(const struct talev_immediate *im);

#ifdef __cplusplus
}
#endif

#endif
