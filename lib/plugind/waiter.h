/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_WAITER_H
#define PLUGIND_WAITER_H

#include <bsd/sys/queue.h>
#include <talloc.h>

/* Somebody who wants to be told how something ended: once, with NULL if it went well. Who frees
 * his waiter is not told. */

struct waiter;
LIST_HEAD(waiters, waiter);

typedef void (*waiter_fn_t)(void *arg, const char *error);

/* NULL: ENOMEM. */
struct waiter *waiter_new(TALLOC_CTX *mem_ctx, waiter_fn_t fn, void *arg);

/* w may be NULL in all of these: nobody wants to know. Telling frees it. */
void waiter_add(struct waiters *waiters, struct waiter *w);
void waiter_tell(struct waiter *w, const char *error);
void waiters_tell(struct waiters *waiters, const char *error);

#endif
