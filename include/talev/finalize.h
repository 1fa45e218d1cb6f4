/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_FINALIZE_H
#define TALEV_FINALIZE_H

#include <talloc.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;

/* Runs once, when no handler of the object can be executing. ev is NULL when the context was
 * freed inside one of its own handlers and is gone, and for an immediate that never had one. */
typedef void (*talev_finalizer_t)(struct talev_context *ev, void *arg);

/* Run it before talev_finalize() returns if no handler of the objects is on the stack. Without this
 * flag nothing runs in there; if ev itself is among them, the next call of its loop runs it. */
#define TALEV_FINALIZE_NOW 0x1u
/* Call fn after the memory went, not before: all destructors below ptr have run by then. arg
 * must not lie in it. For dlclose(3). */
#define TALEV_FINALIZE_AFTER_FREE 0x2u
/* Do not call fn in a process that got the object by fork(2). For what acts outside the memory:
 * unlinking a path, saying goodbye. */
#define TALEV_FINALIZE_NOT_IN_CHILD 0x4u

/* Gives a source or context its finalizer: fn(ev, arg) after the source was freed, or its context
 * was. fn NULL means none. flags: 0 or TALEV_FINALIZE_NOT_IN_CHILD. Owner's thread.
 * -1: EALREADY it has one, which stays; ESTALE it is closing; EINVAL; ENOMEM. */
int talev_source_set_finalizer(void *source, unsigned flags, talev_finalizer_t fn, void *arg);

/* Makes every talev object at and below ptr inert before it returns, takes ptr out of its parent,
 * and when no handler of them is on the stack any more runs their finalizers, children first,
 * then fn(ev, arg), then frees ptr. fn may be NULL. Owner's thread.
 * -1 and nothing changed: EINVAL; ESTALE ptr is being finalized or freed; EBUSY ptr has talloc
 * references; ESHUTDOWN ev is being freed; ENOMEM. */
int talev_finalize(
	struct talev_context *ev, void *ptr, unsigned flags, talev_finalizer_t fn, void *arg);

#ifdef __cplusplus
}
#endif

#endif
