/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop calls of the users: levels, the hook around each, trace points around each turn. */
#define TEVENT_DEPRECATED 1
#include "tevent/wrapper.h"

#include <errno.h>
#include "tevent/trace.h"

struct loop_call {
	struct loop_frame frame;
	struct tevent_context *ev;
	void *hook_stack;
	const char *location;
};

static int call_hook(struct loop_call *call, bool begin)
{
	struct tevent_context *ev = call->ev;

	/* The one that ran before may have taken it away. */
	if (ev->nesting_hook == NULL)
		return 0;
	return ev->nesting_hook(
		ev, ev->nesting_private, ev->level, begin, &call->hook_stack, call->location);
}

static inline void leave(struct loop_call *call)
{
	if (call->frame.gone)
		return;
	if (call->ev->level > 0)
		call->ev->level--;
	call->ev->frame = call->frame.outer;
}

/* What it returns, if that is not 0, is what the loop call returns. */
static inline int enter(struct loop_call *call, struct tevent_context *ev, const char *location)
{
	int result;

	*call = (struct loop_call){.frame = {.outer = ev->frame}, .ev = ev, .location = location};
	ev->frame = &call->frame;
	ev->level++;
	if (ev->level > 1 && !ev->nesting_allowed) {
		debug_abort(ev, "tevent_loop_once() nesting at %s", location);
		leave(call);
		errno = ELOOP;
		return -1;
	}
	if (ev->nesting_hook == NULL)
		return 0;
	result = call_hook(call, true);
	if (result != 0)
		leave(call);
	return result;
}

static int finish_hooked(struct loop_call *call, int result)
{
	int error = errno;
	int hooked = 0;

	if (!call->frame.gone)
		hooked = call_hook(call, false);
	leave(call);
	errno = error;
	return hooked != 0 ? hooked : result;
}

static inline int finish(struct loop_call *call, int result)
{
	if (call->frame.gone || call->ev->nesting_hook != NULL)
		return finish_hooked(call, result);
	leave(call);
	return result;
}

static inline int turn(struct loop_call *call)
{
	struct tevent_context *ev = call->ev;
	int result;
	int error;

	trace_point(ev, TEVENT_TRACE_BEFORE_LOOP_ONCE);
	result = ev->ops->loop_once(ev, call->location);
	if (call->frame.gone) {
		errno = ESHUTDOWN;
		return -1;
	}
	if (ev->traces.point == NULL)
		return result;
	error = errno;
	trace_point(ev, TEVENT_TRACE_AFTER_LOOP_ONCE);
	errno = error;
	return result;
}

int _tevent_loop_once(struct tevent_context *ev, const char *location)
{
	struct loop_call call;
	int result = enter(&call, ev, location);

	if (result != 0)
		return result;
	return finish(&call, turn(&call));
}

int _tevent_loop_until(struct tevent_context *ev, bool (*finished)(void *private_data),
	void *private_data, const char *location)
{
	struct loop_call call;
	int result = enter(&call, ev, location);

	if (result != 0)
		return result;
	while (result == 0 && !finished(private_data))
		result = turn(&call);
	return finish(&call, result);
}

int _tevent_loop_wait(struct tevent_context *ev, const char *location)
{
	return ev->ops->loop_wait(ev, location);
}

void tevent_loop_allow_nesting(struct tevent_context *ev)
{
	if (ev->wrapper != NULL) {
		debug_abort(ev, "%s() on wrapper", __func__);
		return;
	}
	if (!LIST_EMPTY(&ev->wrappers)) {
		debug_abort(ev, "%s() with wrapper", __func__);
		return;
	}
	ev->nesting_allowed = true;
}

void tevent_loop_set_nesting_hook(
	struct tevent_context *ev, tevent_nesting_hook hook, void *private_data)
{
	if (ev->nesting_hook != NULL &&
		(ev->nesting_hook != hook || ev->nesting_private != private_data)) {
		debug_abort(ev, "tevent: Violation of nesting hook rules\n");
		return;
	}
	ev->nesting_hook = hook;
	ev->nesting_private = private_data;
}
