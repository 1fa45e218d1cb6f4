/* SPDX-License-Identifier: BSD-2-Clause */
/* How long handlers and turns take, in a context where somebody wants to know. */
#include "base/latency.h"
#include "core/dispatch.h"

static void measure_source(struct source *src, talev_time_t spent)
{
	struct source_aside *aside = source_aside(src);

	if (aside == NULL)
		return;
	aside->time_total += (uint64_t)spent;
	if (spent > aside->time_longest)
		aside->time_longest = spent < UINT32_MAX ? (uint32_t)spent : UINT32_MAX;
}

static void report_slow(
	struct talev_context *ev, const struct source *src, const char *where, talev_time_t spent)
{
	/* A name of its own went with the source. */
	const char *name = src != NULL ? source_where(src) : where;

	core_log(ev, TALEV_LOG_WARNING, "handler %s (%s) ran for %lld.%03lld ms",
		name != NULL ? name : "of a freed source",
		name != NULL ? name + strlen(name) + 1 : "?", (long long)(spent / 1000000),
		(long long)(spent / 1000 % 1000));
}

/* The handler's own text is looked at now: it may be gone when that returns. So is the place for
 * its times made: afterwards an immediate may be another thread's. Without memory it is not
 * measured. */
void core_measure_begin(struct talev_context *ev, struct source *src, struct core_measure *measure)
{
	if (ev->timing)
		(void)source_need_aside(src);
	measure->where = source_named(src) ? NULL : source_made_as(src);
	measure->handler = NULL;
	if (ev->timing && ev->latency != NULL)
		measure->handler = latency_find(ev->latency, source_made_as(src));
	measure->started = core_now(ev, TALEV_CLOCK_MONOTONIC);
}

static void keep_time(struct talev_context *ev, struct latency_handler *handler, talev_time_t spent)
{
	if (handler != NULL)
		histogram_add(&handler->times, spent);
	else if (ev->latency != NULL)
		histogram_add(&ev->latency->kept->unnamed, spent);
}

void core_measure_end(
	struct talev_context *ev, struct source *src, const struct core_measure *measure)
{
	talev_time_t spent = core_now(ev, TALEV_CLOCK_MONOTONIC) - measure->started;

	if (ev->timing)
		keep_time(ev, measure->handler, spent);
	if (ev->timing && src != NULL)
		measure_source(src, spent);
	if (ev->slow > 0 && spent > ev->slow)
		report_slow(ev, src, measure->where, spent);
}

void dispatch_turn_begins(struct talev_context *ev)
{
	if (!ev->timing || ev->latency == NULL)
		return;
	ev->latency->turn_began = core_now(ev, TALEV_CLOCK_MONOTONIC);
	ev->latency->handlers = ev->handlers;
}

void dispatch_turn_ends(struct talev_context *ev)
{
	struct latency *latency = ev->latency;

	if (!ev->timing || latency == NULL || latency->turn_began == 0)
		return;
	if (ev->handlers != latency->handlers)
		histogram_add(&latency->kept->turns,
			core_now(ev, TALEV_CLOCK_MONOTONIC) - latency->turn_began);
	latency->turn_began = 0;
}

void dispatch_measure_delay(
	struct talev_context *ev, const struct timer_source *ts, talev_time_t monotonic)
{
	talev_time_t now = ts->node.clock == TALEV_CLOCK_MONOTONIC
				   ? monotonic
				   : core_now(ev, (enum talev_clock)ts->node.clock);
	talev_time_t late;

	if (ev->latency == NULL)
		return;
	/* A deadline may lie before the beginning of all clocks. */
	if (__builtin_sub_overflow(now, ts->node.deadline, &late))
		late = TALEV_NEVER;
	histogram_add(&ev->latency->kept->delays, late);
}
