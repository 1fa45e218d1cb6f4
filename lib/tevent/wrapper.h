/* SPDX-License-Identifier: BSD-2-Clause */
/* Wrappers: contexts that put hooks around the handlers of what is added through them. */
#ifndef TEVENT_WRAPPER_H
#define TEVENT_WRAPPER_H

#ifndef TEVENT_DEPRECATED
#error "define TEVENT_DEPRECATED before the first #include"
#endif

#include "tevent/event.h"

struct wrapper {
	LIST_ENTRY(wrapper) link;
	struct tevent_context *wrap_ev;
	struct tevent_context *main_ev; /* NULL: gone */
	const struct tevent_wrapper_ops *ops;
	void *state;
	bool busy;      /* on the stack */
	bool destroyed; /* and freed meanwhile */
};

/* Around a handler. leave() may free the wrapper. */
void wrapper_enter(struct wrapper *wrapper, const char *location);
void wrapper_leave(struct wrapper *wrapper);
/* The context of the wrappers goes. */
void wrapper_orphan_all(struct tevent_context *ev);

#endif
