/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers. They stand in a queue of this context's own, one chunk each, and talev knows
 * none of them: see alarm.c. A deadline of zero is before any other.
 */
#define TEVENT_DEPRECATED 1
#include "tevent/wrapper.h"

#include "tevent/trace.h"

#define LATEST (TALEV_NEVER - 1)

static struct tevent_timer *timer_of(struct timerq_node *node)
{
	return (struct tevent_timer *)((char *)node - offsetof(struct tevent_timer, node));
}

static talev_time_t deadline_of(const struct timeval *tv)
{
	talev_time_t seconds;

	if (__builtin_mul_overflow(tv->tv_sec, TALEV_SEC(1), &seconds))
		return tv->tv_sec < 0 ? INT64_MIN : LATEST;
	seconds = talev_time_add(seconds, TALEV_USEC(tv->tv_usec));
	return seconds < LATEST ? seconds : LATEST;
}

bool timer_any(const struct tevent_context *ev)
{
	return ev->timers.used > 0;
}

talev_time_t timer_bound(struct tevent_context *ev)
{
	return timerq_bound(&ev->timers);
}

void timer_detach(struct tevent_timer *te)
{
	struct tevent_context *ev = te->e.ev;

	if (ev == NULL)
		return;
	timerq_remove(&ev->timers, &te->node);
	te->e.ev = NULL;
	te->e.wrapper = NULL;
}

void timer_detach_all(struct tevent_context *ev)
{
	struct timerq_node *node;

	while ((node = timerq_any(&ev->timers)) != NULL) {
		struct tevent_timer *te = timer_of(node);

		trace_timer(ev, te, TEVENT_EVENT_TRACE_DETACH);
		timer_detach(te);
	}
}

struct search {
	const struct wrapper *wrapper;
	struct tevent_timer *found;
};

static void look_at(struct timerq_node *node, void *arg)
{
	struct search *search = arg;

	if (timer_of(node)->e.wrapper == search->wrapper)
		search->found = timer_of(node);
}

void timer_detach_wrapper(struct tevent_context *ev, const struct wrapper *wrapper)
{
	struct search search = {.wrapper = wrapper};

	do {
		search.found = NULL;
		timerq_each(&ev->timers, look_at, &search);
		if (search.found != NULL)
			timer_detach(search.found);
	} while (search.found != NULL);
}

static int timer_destructor(struct tevent_timer *te)
{
	if (te->e.destroyed) {
		event_check_double_free(te, "tevent_timer double free");
		return te->e.busy > 0 ? -1 : 0;
	}
	te->e.destroyed = true;
	if (te->e.ev != NULL) {
		trace_timer(te->e.ev, te, TEVENT_EVENT_TRACE_DETACH);
		timer_detach(te);
	}
	return te->e.busy > 0 ? -1 : 0;
}

static bool reserve_timers(struct tevent_context *ev)
{
	struct timeval now = tevent_timeval_current();

	return timerq_join(&ev->timers, deadline_of(&now)) == 0;
}

struct tevent_timer *timer_add(struct tevent_context *ev, TALLOC_CTX *mem_ctx,
	struct timeval next_event, tevent_timer_handler_t handler, void *private_data,
	const char *handler_name, const char *location)
{
	struct tevent_timer *te = talloc(mem_ctx != NULL ? mem_ctx : ev, struct tevent_timer);

	if (te == NULL)
		return NULL;
	if (ev->timers.slots == NULL && !reserve_timers(ev)) {
		talloc_free(te);
		return NULL;
	}
	*te = (struct tevent_timer){
		.e =
			{
				.ev = ev,
				.private_data = private_data,
				.handler_name = handler_name,
				.location = location,
			},
		.next_event = next_event,
		.handler = handler,
	};
	trace_timer(ev, te, TEVENT_EVENT_TRACE_ATTACH);
	debug_trace(ev, "Added timed event \"%s\": %p\n", handler_name, (void *)te);
	/* One that is moved to zero later comes after all that were added with zero. */
	timerq_set(&ev->timers, &te->node,
		tevent_timeval_is_zero(&next_event) ? INT64_MIN : deadline_of(&next_event));
	talloc_set_destructor(te, timer_destructor);
	return te;
}

static void call_handler(struct tevent_context *ev, struct tevent_timer *te, struct timeval now)
{
	struct wrapper *wrapper = te->e.wrapper;
	struct timeval requested = te->next_event;

	if (wrapper == NULL) {
		trace_timer(ev, te, TEVENT_EVENT_TRACE_BEFORE_HANDLER);
		te->handler(ev, te, now, te->e.private_data);
		return;
	}
	wrapper_enter(wrapper, te->e.location);
	wrapper->ops->before_timer_handler(wrapper->wrap_ev, wrapper->state, ev, te, requested, now,
		te->e.handler_name, te->e.location);
	trace_timer(ev, te, TEVENT_EVENT_TRACE_BEFORE_HANDLER);
	te->handler(wrapper->wrap_ev, te, now, te->e.private_data);
	wrapper->ops->after_timer_handler(wrapper->wrap_ev, wrapper->state, wrapper->main_ev, te,
		requested, now, te->e.handler_name, te->e.location);
	wrapper_leave(wrapper);
}

void timer_invoke(struct tevent_timer *te, struct timeval current_time, bool *removed)
{
	if (removed != NULL)
		*removed = false;
	if (te->e.ev == NULL)
		return;
	timerq_remove(&te->e.ev->timers, &te->node);
	debug_trace(te->e.ev, "Running timer event %p \"%s\"\n", (void *)te, te->e.handler_name);
	te->e.busy++;
	call_handler(te->e.ev, te, current_time);
	/* Moved inside its handler, it stays. */
	if (--te->e.busy > 0 || timerq_queued(&te->node))
		return;
	if (te->e.ev != NULL) {
		trace_timer(te->e.ev, te, TEVENT_EVENT_TRACE_DETACH);
		timer_detach(te);
	}
	talloc_set_destructor(te, NULL);
	talloc_free(te);
	if (removed != NULL)
		*removed = true;
}

bool timer_run(struct tevent_context *ev)
{
	struct timeval now = {0};
	struct timerq_node *node;

	if (ev->timers.used == 0)
		return false;
	if (timerq_bound(&ev->timers) == INT64_MIN) {
		/* Of zero, and due whatever the clock says. */
		node = timerq_any(&ev->timers);
	} else {
		now = tevent_timeval_current();
		ev->looked_at = deadline_of(&now);
		node = timerq_due(&ev->timers, ev->looked_at);
	}
	if (node == NULL)
		return false;
	if (tevent_timeval_is_zero(&timer_of(node)->next_event))
		now = tevent_timeval_zero();
	timer_invoke(timer_of(node), now, NULL);
	return true;
}

struct tevent_timer *_tevent_add_timer(struct tevent_context *ev, TALLOC_CTX *mem_ctx,
	struct timeval next_event, tevent_timer_handler_t handler, void *private_data,
	const char *handler_name, const char *location)
{
	return ev->ops->add_timer(
		ev, mem_ctx, next_event, handler, private_data, handler_name, location);
}

void tevent_update_timer(struct tevent_timer *te, struct timeval next_event)
{
	struct tevent_context *ev = te->e.ev;

	if (te->e.destroyed) {
		debug_abort(ev, "tevent_timer use after free");
		return;
	}
	if (ev == NULL)
		return;
	trace_timer(ev, te, TEVENT_EVENT_TRACE_DETACH);
	te->next_event = next_event;
	trace_timer(ev, te, TEVENT_EVENT_TRACE_ATTACH);
	timerq_set(&ev->timers, &te->node, deadline_of(&next_event));
}

void tevent_timer_set_tag(struct tevent_timer *te, uint64_t tag)
{
	if (te != NULL)
		te->e.tag = tag;
}

uint64_t tevent_timer_get_tag(const struct tevent_timer *te)
{
	return te != NULL ? te->e.tag : 0;
}
