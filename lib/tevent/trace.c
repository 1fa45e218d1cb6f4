/* SPDX-License-Identifier: BSD-2-Clause */
#include "tevent/trace.h"

/* A wrapper has none of its own. */
static bool may_set(struct tevent_context *ev, const char *function)
{
	if (ev->wrapper == NULL)
		return true;
	debug_abort(ev, "%s() on wrapper", function);
	return false;
}

static void get_private(void *p_private_data, void *private_data)
{
	if (p_private_data != NULL)
		*(void **)p_private_data = private_data;
}

void tevent_set_trace_callback(
	struct tevent_context *ev, tevent_trace_callback_t cb, void *private_data)
{
	if (!may_set(ev, __func__))
		return;
	ev->traces.point = cb;
	ev->traces.point_private = private_data;
	loop_trace(ev);
}

void tevent_get_trace_callback(
	struct tevent_context *ev, tevent_trace_callback_t *cb, void *p_private_data)
{
	*cb = ev->traces.point;
	get_private(p_private_data, ev->traces.point_private);
}

#define ACCESSORS(kind)                                                                            \
	void tevent_set_trace_##kind##_callback(struct tevent_context *ev,                         \
		tevent_trace_##kind##_callback_t cb, void *private_data)                           \
	{                                                                                          \
		if (!may_set(ev, __func__))                                                        \
			return;                                                                    \
		ev->traces.kind = cb;                                                              \
		ev->traces.kind##_private = private_data;                                          \
	}                                                                                          \
	void tevent_get_trace_##kind##_callback(struct tevent_context *ev,                         \
		tevent_trace_##kind##_callback_t *cb, void *p_private_data)                        \
	{                                                                                          \
		*cb = ev->traces.kind;                                                             \
		get_private(p_private_data, ev->traces.kind##_private);                            \
	}

ACCESSORS(fd)
ACCESSORS(signal)
ACCESSORS(timer)
ACCESSORS(immediate)
ACCESSORS(queue)

/* For backends inside of tevent. */

void tevent_trace_point_callback(struct tevent_context *ev, enum tevent_trace_point point);
void tevent_trace_fd_callback(
	struct tevent_context *ev, struct tevent_fd *fde, enum tevent_event_trace_point point);
void tevent_trace_signal_callback(
	struct tevent_context *ev, struct tevent_signal *se, enum tevent_event_trace_point point);
void tevent_trace_timer_callback(
	struct tevent_context *ev, struct tevent_timer *te, enum tevent_event_trace_point point);
void tevent_trace_immediate_callback(struct tevent_context *ev, struct tevent_immediate *im,
	enum tevent_event_trace_point point);
void tevent_trace_queue_callback(struct tevent_context *ev, struct tevent_queue_entry *entry,
	enum tevent_event_trace_point point);

void tevent_trace_point_callback(struct tevent_context *ev, enum tevent_trace_point point)
{
	trace_point(ev, point);
}

void tevent_trace_fd_callback(
	struct tevent_context *ev, struct tevent_fd *fde, enum tevent_event_trace_point point)
{
	trace_fd(ev, fde, point);
}

void tevent_trace_signal_callback(
	struct tevent_context *ev, struct tevent_signal *se, enum tevent_event_trace_point point)
{
	trace_signal(ev, se, point);
}

void tevent_trace_timer_callback(
	struct tevent_context *ev, struct tevent_timer *te, enum tevent_event_trace_point point)
{
	trace_timer(ev, te, point);
}

void tevent_trace_immediate_callback(
	struct tevent_context *ev, struct tevent_immediate *im, enum tevent_event_trace_point point)
{
	trace_immediate(ev, im, point);
}

void tevent_trace_queue_callback(struct tevent_context *ev, struct tevent_queue_entry *entry,
	enum tevent_event_trace_point point)
{
	trace_queue(ev, entry, point);
}
