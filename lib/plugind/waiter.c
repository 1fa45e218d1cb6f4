/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdbool.h>

#include "plugind/waiter.h"

struct waiter {
	LIST_ENTRY(waiter) link;
	bool listed;
	waiter_fn_t fn;
	void *arg;
};

static int waiter_gone(struct waiter *w)
{
	if (w->listed)
		LIST_REMOVE(w, link);
	w->listed = false;
	return 0;
}

struct waiter *waiter_new(TALLOC_CTX *mem_ctx, waiter_fn_t fn, void *arg)
{
	struct waiter *w = talloc_zero(mem_ctx, struct waiter);

	if (!w)
		return NULL;
	w->fn = fn;
	w->arg = arg;
	talloc_set_destructor(w, waiter_gone);
	return w;
}

void waiter_add(struct waiters *waiters, struct waiter *w)
{
	if (!w)
		return;
	LIST_INSERT_HEAD(waiters, w, link);
	w->listed = true;
}

void waiter_tell(struct waiter *w, const char *error)
{
	waiter_fn_t fn;
	void *arg;

	if (!w)
		return;
	fn = w->fn;
	arg = w->arg;
	talloc_free(w);
	fn(arg, error);
}

void waiters_tell(struct waiters *waiters, const char *error)
{
	while (!LIST_EMPTY(waiters))
		waiter_tell(LIST_FIRST(waiters), error);
}
