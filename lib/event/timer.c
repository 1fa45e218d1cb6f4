/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers. The deadline that was asked for is kept here; the moment that core waits for may be
 * later, by the slack, and is none while the timer is disabled. Drift is computed from what was
 * asked for, so neither slack nor a late turn adds up.
 */
#include "event/event.h"
#include <errno.h>
#include <talev/timer.h>

struct talev_timer {
	struct timer_source ts;
	talev_timer_handler_t handler;
	talev_time_t deadline; /* asked for; TALEV_NEVER: stopped */
	talev_time_t period;
	talev_time_t slack;
	uint64_t missed;
	unsigned depth; /* how many times its handler is on the stack, by nested loops */
	bool keep;      /* stopped inside its own handler: not freed after it */
};

static struct talev_timer *timer_of(struct source *src)
{
	return (struct talev_timer *)src;
}

/* The roundest of the moments between earliest and latest: everything above the highest bit in
 * which latest and the moment before earliest differ has to stay, the rest can be zero. */
static talev_time_t roundest(talev_time_t earliest, talev_time_t latest)
{
	uint64_t before = (uint64_t)earliest - 1;
	uint64_t mask;

	if (earliest <= 0 && latest >= 0)
		return 0;
	mask = UINT64_MAX >> __builtin_clzll(before ^ (uint64_t)latest);
	return (talev_time_t)((uint64_t)latest & ~(mask >> 1));
}

static void arm(struct talev_timer *te)
{
	talev_time_t moment = te->deadline;

	if (moment == TALEV_NEVER || !te->ts.src.enabled) {
		core_timer_disarm(&te->ts);
		return;
	}
	if (te->slack > 0)
		moment = roundest(moment, talev_time_add(moment, te->slack));
	core_timer_arm(&te->ts, moment);
}

static void timer_disarm(struct source *src)
{
	struct talev_timer *te = timer_of(src);

	te->deadline = TALEV_NEVER;
	core_timer_leave(&te->ts);
}

/* The next tick is armed before the handler runs, so that what the handler asks for wins. */
static void arm_next_tick(struct talev_timer *te, talev_time_t now)
{
	uint64_t late = (uint64_t)now - (uint64_t)te->deadline;
	uint64_t period = (uint64_t)te->period;

	te->missed = late / period;
	te->deadline = talev_time_add(now, (talev_time_t)(period - late % period));
	arm(te);
}

static void timer_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	struct talev_timer *te = timer_of(src);

	(void)flags;
	/* The wall clock may have been set back since it was seen to be due. */
	if (now < te->deadline)
		now = te->deadline;
	te->missed = 0;
	te->keep = false;
	if (te->period > 0)
		arm_next_tick(te, now);
	else
		te->deadline = TALEV_NEVER;
	te->depth++;
	te->handler(src->ev, te, now, src->private_data);
}

/* With its handler still on the stack further out, the timer belongs to that call: a nested loop
 * must not free what the outer handler goes on using. */
static bool timer_fired(struct source *src)
{
	struct talev_timer *te = timer_of(src);

	te->depth--;
	if (te->depth > 0 || te->period > 0 || te->deadline != TALEV_NEVER || te->keep)
		return true;
	talloc_free(te);
	return false;
}

static void timer_enable(struct source *src)
{
	arm(timer_of(src));
}

static void timer_describe(const struct source *src, struct talev_source_info *info)
{
	const struct talev_timer *te = (const struct talev_timer *)src;

	info->clock = te->ts.clock;
	info->deadline = te->deadline;
	info->period = te->period;
	info->armed = src->enabled && te->deadline != TALEV_NEVER;
}

/* Its handler, if that is on the stack, does not know it any more, and will not free it. */
static void timer_leave(struct source *src)
{
	timer_of(src)->depth = 0;
	core_timer_disarm(&timer_of(src)->ts);
}

static int timer_join(struct source *src)
{
	if (core_timer_join(&timer_of(src)->ts) != 0) {
		errno = ENOMEM;
		return -1;
	}
	arm(timer_of(src));
	return 0;
}

static const struct source_travel timer_travel = {
	.leave = timer_leave,
	.join = timer_join,
};

static const struct source_kind timer_kind = {
	.type = "struct talev_timer",
	.label = "timer",
	.disarm = timer_disarm,
	.fire = timer_fire,
	.fired = timer_fired,
	.enable = timer_enable,
	.describe = timer_describe,
	.travel = &timer_travel,
};

static struct talev_timer *timer_create(struct talev_context *ev, TALLOC_CTX *mem_ctx,
	enum talev_clock clock, talev_timer_handler_t handler, void *private_data,
	const char *where)
{
	struct talev_timer *te;

	if (ev == NULL || handler == NULL || (unsigned)clock > TALEV_CLOCK_BOOTTIME) {
		errno = EINVAL;
		return NULL;
	}

	te = source_create(ev, mem_ctx, sizeof(*te), &timer_kind, private_data, where);
	if (te == NULL)
		return NULL;
	te->handler = handler;
	te->deadline = TALEV_NEVER;
	te->ts.clock = (uint8_t)clock;
	if (core_timer_join(&te->ts) != 0) {
		talloc_free(te);
		errno = ENOMEM;
		return NULL;
	}
	return te;
}

struct talev_timer *_talev_add_timer_on(struct talev_context *ev, TALLOC_CTX *mem_ctx,
	enum talev_clock clock, talev_time_t deadline, talev_timer_handler_t handler,
	void *private_data, const char *where)
{
	struct talev_timer *te;

	te = timer_create(ev, mem_ctx, clock, handler, private_data, where);
	if (te == NULL)
		return NULL;
	te->deadline = deadline;
	arm(te);
	return te;
}

struct talev_timer *_talev_add_timer(struct talev_context *ev, TALLOC_CTX *mem_ctx,
	talev_time_t deadline, talev_timer_handler_t handler, void *private_data, const char *where)
{
	return _talev_add_timer_on(
		ev, mem_ctx, TALEV_CLOCK_MONOTONIC, deadline, handler, private_data, where);
}

struct talev_timer *_talev_add_ticker(struct talev_context *ev, TALLOC_CTX *mem_ctx,
	talev_time_t period, talev_timer_handler_t handler, void *private_data, const char *where)
{
	struct talev_timer *te;

	if (period <= 0) {
		errno = EINVAL;
		return NULL;
	}
	te = timer_create(ev, mem_ctx, TALEV_CLOCK_MONOTONIC, handler, private_data, where);
	if (te == NULL)
		return NULL;
	te->period = period;
	te->deadline = talev_time_add(core_now(ev, TALEV_CLOCK_MONOTONIC), period);
	arm(te);
	return te;
}

int talev_update_timer(struct talev_timer *te, talev_time_t deadline)
{
	if (deadline == TALEV_NEVER)
		return talev_timer_stop(te);
	if (source_check(&te->ts.src) != 0)
		return -1;
	te->deadline = deadline;
	te->keep = false;
	arm(te);
	return 0;
}

int talev_timer_start(struct talev_timer *te, talev_time_t delay)
{
	if (source_check(&te->ts.src) != 0)
		return -1;
	return talev_update_timer(te, talev_time_add(core_now(te->ts.src.ev, te->ts.clock), delay));
}

int talev_timer_stop(struct talev_timer *te)
{
	if (source_check(&te->ts.src) != 0)
		return -1;
	te->deadline = TALEV_NEVER;
	te->keep = te->depth > 0;
	arm(te);
	return 0;
}

talev_time_t talev_timer_get_deadline(const struct talev_timer *te)
{
	return te->deadline;
}

enum talev_clock talev_timer_get_clock(const struct talev_timer *te)
{
	return te->ts.clock;
}

int talev_timer_set_period(struct talev_timer *te, talev_time_t period)
{
	if (period < 0) {
		errno = EINVAL;
		return -1;
	}
	if (source_check(&te->ts.src) != 0)
		return -1;
	te->period = period;
	return 0;
}

talev_time_t talev_timer_get_period(const struct talev_timer *te)
{
	return te->period;
}

int talev_timer_set_slack(struct talev_timer *te, talev_time_t slack)
{
	if (slack < 0) {
		errno = EINVAL;
		return -1;
	}
	if (source_check(&te->ts.src) != 0)
		return -1;
	te->slack = slack;
	return 0;
}

talev_time_t talev_timer_get_slack(const struct talev_timer *te)
{
	return te->slack;
}

uint64_t talev_timer_get_missed(const struct talev_timer *te)
{
	return te->missed;
}
