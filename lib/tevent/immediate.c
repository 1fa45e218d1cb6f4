/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Immediates: a queue of this context's own, first scheduled first run.
 *
 * The trace of a DETACH comes late: after the handler, or when the handler schedules the immediate
 * again, right before the ATTACH. Until then the immediate owes it.
 */
#define TEVENT_DEPRECATED 1
#include "tevent/wrapper.h"

#include "tevent/trace.h"

static void pay(struct tevent_immediate *im)
{
	struct tevent_context *ev = im->owed;

	if (ev == NULL)
		return;
	im->owed = NULL;
	TAILQ_REMOVE(&ev->owing, im, link);
	im->place = IMMEDIATE_IDLE;
	trace_immediate(ev, im, TEVENT_EVENT_TRACE_DETACH);
}

static void unqueue(struct tevent_immediate *im)
{
	TAILQ_REMOVE(&im->e.ev->immediates, im, link);
	im->place = IMMEDIATE_IDLE;
	im->e.ev = NULL;
}

void immediate_detach(struct tevent_immediate *im)
{
	if (im->place == IMMEDIATE_QUEUED) {
		unqueue(im);
	} else if (im->place == IMMEDIATE_OWING) {
		TAILQ_REMOVE(&im->owed->owing, im, link);
		im->owed = NULL;
		im->place = IMMEDIATE_IDLE;
	}
	im->e.wrapper = NULL;
}

void immediate_detach_all(struct tevent_context *ev)
{
	struct tevent_immediate *im;

	while ((im = TAILQ_FIRST(&ev->immediates)) != NULL) {
		trace_immediate(ev, im, TEVENT_EVENT_TRACE_DETACH);
		immediate_detach(im);
	}
	while ((im = TAILQ_FIRST(&ev->owing)) != NULL)
		immediate_detach(im);
}

void immediate_cancel(struct tevent_immediate *im)
{
	struct tevent_context *ev;

	/* Another thread has scheduled it: let it in first. */
	if (im->item.door != NULL)
		door_collect(im->item.door);
	if (im->e.destroyed) {
		debug_abort(im->e.ev, "tevent_immediate use after free");
		return;
	}
	pay(im);
	if (im->place != IMMEDIATE_QUEUED)
		return;
	ev = im->e.ev;
	unqueue(im);
	debug_trace(ev, "Cancel immediate event %p \"%s\"\n", (void *)im, im->e.handler_name);
	im->handler = NULL;
	im->e.wrapper = NULL;
	trace_immediate(ev, im, TEVENT_EVENT_TRACE_DETACH);
}

static int immediate_destructor(struct tevent_immediate *im)
{
	if (im->e.destroyed) {
		event_check_double_free(im, "tevent_immediate double free");
		return im->e.busy > 0 ? -1 : 0;
	}
	immediate_cancel(im);
	im->e.destroyed = true;
	return im->e.busy > 0 ? -1 : 0;
}

struct tevent_immediate *_tevent_create_immediate(TALLOC_CTX *mem_ctx, const char *location)
{
	struct tevent_immediate *im = talloc(mem_ctx, struct tevent_immediate);

	if (im == NULL)
		return NULL;
	*im = (struct tevent_immediate){.e.location = location};
	talloc_set_destructor(im, immediate_destructor);
	return im;
}

void immediate_schedule(struct tevent_immediate *im, struct tevent_context *ev,
	tevent_immediate_handler_t handler, void *private_data, const char *handler_name,
	const char *location)
{
	immediate_cancel(im);
	if (handler == NULL || im->e.destroyed)
		return;
	im->handler = handler;
	im->e.ev = ev;
	im->e.private_data = private_data;
	im->e.handler_name = handler_name;
	im->e.location = location;
	trace_immediate(ev, im, TEVENT_EVENT_TRACE_ATTACH);
	im->place = IMMEDIATE_QUEUED;
	TAILQ_INSERT_TAIL(&ev->immediates, im, link);
	debug_trace(ev, "Schedule immediate event \"%s\": %p\n", handler_name, (void *)im);
	if (ev->mt)
		door_wake(ev->door);
}

static void call_handler(struct tevent_context *ev, struct tevent_immediate *im)
{
	struct wrapper *wrapper = im->e.wrapper;
	const char *handler_name = im->e.handler_name;
	const char *location = im->e.location;

	im->e.wrapper = NULL;
	if (wrapper == NULL) {
		trace_immediate(ev, im, TEVENT_EVENT_TRACE_BEFORE_HANDLER);
		im->handler(ev, im, im->e.private_data);
		return;
	}
	wrapper_enter(wrapper, location);
	wrapper->ops->before_immediate_handler(
		wrapper->wrap_ev, wrapper->state, ev, im, handler_name, location);
	trace_immediate(ev, im, TEVENT_EVENT_TRACE_BEFORE_HANDLER);
	im->handler(wrapper->wrap_ev, im, im->e.private_data);
	wrapper->ops->after_immediate_handler(
		wrapper->wrap_ev, wrapper->state, wrapper->main_ev, im, handler_name, location);
	wrapper_leave(wrapper);
}

void immediate_invoke(struct tevent_immediate *im, bool *removed)
{
	struct tevent_context *ev = im->e.ev;
	struct immediate_call call = {.outer = im->call};

	if (removed != NULL)
		*removed = false;
	if (im->place != IMMEDIATE_QUEUED)
		return;
	unqueue(im);
	debug_trace(ev, "Run immediate event \"%s\": %p\n", im->e.handler_name, (void *)im);
	im->owed = ev;
	im->place = IMMEDIATE_OWING;
	TAILQ_INSERT_TAIL(&ev->owing, im, link);
	im->call = &call;
	im->e.busy++;
	call_handler(ev, im);
	if (call.gone) {
		if (removed != NULL)
			*removed = true;
		return;
	}
	im->call = call.outer;
	pay(im);
	if (--im->e.busy > 0 || !im->e.destroyed)
		return;
	talloc_set_destructor(im, NULL);
	talloc_free(im);
	if (removed != NULL)
		*removed = true;
}

void immediate_forget(struct tevent_immediate *im)
{
	struct immediate_call *call;

	immediate_cancel(im);
	for (call = im->call; call != NULL; call = call->outer)
		call->gone = true;
	im->call = NULL;
	im->e.busy = 0;
}

bool immediate_run(struct tevent_context *ev)
{
	struct tevent_immediate *im = TAILQ_FIRST(&ev->immediates);

	if (im == NULL)
		return false;
	immediate_invoke(im, NULL);
	return true;
}

void _tevent_schedule_immediate(struct tevent_immediate *im, struct tevent_context *ctx,
	tevent_immediate_handler_t handler, void *private_data, const char *handler_name,
	const char *location)
{
	ctx->ops->schedule_immediate(im, ctx, handler, private_data, handler_name, location);
}

void tevent_reset_immediate(struct tevent_immediate *im)
{
	immediate_cancel(im);
}

void tevent_immediate_set_tag(struct tevent_immediate *im, uint64_t tag)
{
	if (im != NULL)
		im->e.tag = tag;
}

uint64_t tevent_immediate_get_tag(const struct tevent_immediate *im)
{
	return im != NULL ? im->e.tag : 0;
}
