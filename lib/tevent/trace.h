/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls of the user's trace callbacks. */
#ifndef TEVENT_TRACE_H
#define TEVENT_TRACE_H

#include "tevent/context.h"

static inline void trace_point(struct tevent_context *ev, enum tevent_trace_point point)
{
	if (ev->traces.point != NULL)
		ev->traces.point(point, ev->traces.point_private);
}

static inline void trace_fd(
	struct tevent_context *ev, struct tevent_fd *fde, enum tevent_event_trace_point point)
{
	if (ev->traces.fd != NULL)
		ev->traces.fd(fde, point, ev->traces.fd_private);
}

static inline void trace_signal(
	struct tevent_context *ev, struct tevent_signal *se, enum tevent_event_trace_point point)
{
	if (ev->traces.signal != NULL)
		ev->traces.signal(se, point, ev->traces.signal_private);
}

static inline void trace_timer(
	struct tevent_context *ev, struct tevent_timer *te, enum tevent_event_trace_point point)
{
	if (ev->traces.timer != NULL)
		ev->traces.timer(te, point, ev->traces.timer_private);
}

static inline void trace_immediate(
	struct tevent_context *ev, struct tevent_immediate *im, enum tevent_event_trace_point point)
{
	if (ev->traces.immediate != NULL)
		ev->traces.immediate(im, point, ev->traces.immediate_private);
}

static inline void trace_queue(struct tevent_context *ev, struct tevent_queue_entry *entry,
	enum tevent_event_trace_point point)
{
	if (ev->traces.queue != NULL)
		ev->traces.queue(entry, point, ev->traces.queue_private);
}

#endif
