/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers. The deadline that was asked for is kept here; the moment that core waits for may be
 * later, by the slack, and is none while the timer is disabled. Drift is computed from what was
 * asked for, so neither slack nor a late turn adds up.
 */
#include "event/event.h"
#include <errno.h>
#include <talev/timer.h>

/* node.deadline is what was asked for, also while it is not armed, and TALEV_NEVER if it is
 * stopped; with a period or slack that is aside->deadline. src.kind_flags is how many times its
 * handler is on the stack, by nested loops. src.kind_mark says that it was stopped inside its own
 * handler and is not freed after it. */
struct talev_timer {
	struct timer_source ts;
	talev_timer_handler_t handler;
};

_Static_assert(sizeof(struct talev_timer) <= 88, "thousands of them are to be small");

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

/* What is aside of it, if that says more of it than there is without. */
static inline struct source_aside *aside_of(const struct talev_timer *te)
{
	struct source_aside *aside = source_aside(&te->ts.src);

	return aside != NULL && aside->timer ? aside : NULL;
}

static struct source_aside *need_aside(struct talev_timer *te)
{
	struct source_aside *aside = source_need_aside(&te->ts.src);

	if (aside != NULL && !aside->timer) {
		aside->deadline = te->ts.node.deadline;
		aside->timer = true;
	}
	return aside;
}

static inline talev_time_t deadline_of(const struct talev_timer *te)
{
	const struct source_aside *aside = aside_of(te);

	return unlikely(aside != NULL) ? aside->deadline : te->ts.node.deadline;
}

/* Makes deadline what is asked for, and waits for it. */
static void arm(struct talev_timer *te, talev_time_t deadline)
{
	struct source_aside *aside = aside_of(te);
	talev_time_t moment = deadline;

	if (unlikely(aside != NULL)) {
		aside->deadline = deadline;
		if (aside->slack > 0 && deadline != TALEV_NEVER)
			moment = roundest(deadline, talev_time_add(deadline, aside->slack));
	}
	if (deadline == TALEV_NEVER || !te->ts.src.enabled) {
		core_timer_disarm(&te->ts);
		te->ts.node.deadline = deadline;
	} else {
		core_timer_arm(&te->ts, moment);
	}
}

static inline talev_time_t period_of(const struct talev_timer *te)
{
	const struct source_aside *aside = aside_of(te);

	return unlikely(aside != NULL) ? aside->period : 0;
}

static void timer_disarm(struct source *src)
{
	struct talev_timer *te = timer_of(src);

	core_timer_leave(&te->ts);
	te->ts.node.deadline = TALEV_NEVER;
	if (aside_of(te) != NULL)
		aside_of(te)->deadline = TALEV_NEVER;
}

/* The next tick is armed before the handler runs, so that what the handler asks for wins. */
static void arm_next_tick(struct talev_timer *te, struct source_aside *aside, talev_time_t now)
{
	uint64_t late = (uint64_t)now - (uint64_t)aside->deadline;
	uint64_t period = (uint64_t)aside->period;

	aside->missed = late / period;
	arm(te, talev_time_add(now, (talev_time_t)(period - late % period)));
}

static void timer_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	struct talev_timer *te = timer_of(src);
	struct source_aside *aside = aside_of(te);

	(void)flags;
	/* The wall clock may have been set back since it was seen to be due. */
	if (now < deadline_of(te))
		now = deadline_of(te);
	src->kind_mark = false;
	if (unlikely(aside != NULL)) {
		aside->missed = 0;
		if (aside->period > 0)
			arm_next_tick(te, aside, now);
		else
			aside->deadline = TALEV_NEVER;
	}
	if (!timerq_queued(&te->ts.node) && (aside == NULL || aside->period == 0))
		te->ts.node.deadline = TALEV_NEVER;
	src->kind_flags++;
	te->handler(src->ev, te, now, src->private_data);
}

/* With its handler still on the stack further out, the timer belongs to that call: a nested loop
 * must not free what the outer handler goes on using. */
static bool timer_fired(struct source *src)
{
	struct talev_timer *te = timer_of(src);

	src->kind_flags--;
	if (src->kind_flags > 0 || deadline_of(te) != TALEV_NEVER || src->kind_mark ||
		period_of(te) > 0)
		return true;
	talloc_free(te);
	return false;
}

static void timer_enable(struct source *src)
{
	arm(timer_of(src), deadline_of(timer_of(src)));
}

static void timer_describe(const struct source *src, struct talev_source_info *info)
{
	const struct talev_timer *te = (const struct talev_timer *)src;

	info->clock = te->ts.node.clock;
	info->deadline = deadline_of(te);
	info->period = period_of(te);
	info->armed = src->enabled && info->deadline != TALEV_NEVER;
}

/* Its handler, if that is on the stack, does not know it any more, and will not free it. */
static void timer_leave(struct source *src)
{
	src->kind_flags = 0;
	core_timer_disarm(&timer_of(src)->ts);
}

static int timer_join(struct source *src)
{
	if (core_timer_join(&timer_of(src)->ts) != 0) {
		errno = ENOMEM;
		return -1;
	}
	arm(timer_of(src), deadline_of(timer_of(src)));
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
	te->ts.node.deadline = TALEV_NEVER;
	te->ts.node.clock = (uint8_t)clock;
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
	arm(te, deadline);
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
	struct source_aside *aside;
	struct talev_timer *te;

	if (period <= 0) {
		errno = EINVAL;
		return NULL;
	}
	te = timer_create(ev, mem_ctx, TALEV_CLOCK_MONOTONIC, handler, private_data, where);
	if (te == NULL)
		return NULL;
	aside = need_aside(te);
	if (aside == NULL) {
		talloc_free(te);
		errno = ENOMEM;
		return NULL;
	}
	aside->period = period;
	arm(te, talev_time_add(core_now(ev, TALEV_CLOCK_MONOTONIC), period));
	return te;
}

int talev_update_timer(struct talev_timer *te, talev_time_t deadline)
{
	if (deadline == TALEV_NEVER)
		return talev_timer_stop(te);
	if (source_check(&te->ts.src) != 0)
		return -1;
	te->ts.src.kind_mark = false;
	arm(te, deadline);
	return 0;
}

int talev_timer_start(struct talev_timer *te, talev_time_t delay)
{
	if (source_check(&te->ts.src) != 0)
		return -1;
	return talev_update_timer(
		te, talev_time_add(core_now(te->ts.src.ev, te->ts.node.clock), delay));
}

int talev_timer_stop(struct talev_timer *te)
{
	if (source_check(&te->ts.src) != 0)
		return -1;
	te->ts.src.kind_mark = te->ts.src.kind_flags > 0;
	arm(te, TALEV_NEVER);
	return 0;
}

talev_time_t talev_timer_get_deadline(const struct talev_timer *te)
{
	return deadline_of(te);
}

enum talev_clock talev_timer_get_clock(const struct talev_timer *te)
{
	return te->ts.node.clock;
}

int talev_timer_set_period(struct talev_timer *te, talev_time_t period)
{
	if (period < 0) {
		errno = EINVAL;
		return -1;
	}
	if (source_check(&te->ts.src) != 0)
		return -1;
	if (period == 0 && aside_of(te) == NULL)
		return 0;
	if (need_aside(te) == NULL)
		return -1;
	aside_of(te)->period = period;
	return 0;
}

talev_time_t talev_timer_get_period(const struct talev_timer *te)
{
	return period_of(te);
}

int talev_timer_set_slack(struct talev_timer *te, talev_time_t slack)
{
	if (slack < 0) {
		errno = EINVAL;
		return -1;
	}
	if (source_check(&te->ts.src) != 0)
		return -1;
	if (slack == 0 && aside_of(te) == NULL)
		return 0;
	if (need_aside(te) == NULL)
		return -1;
	aside_of(te)->slack = slack;
	return 0;
}

talev_time_t talev_timer_get_slack(const struct talev_timer *te)
{
	const struct source_aside *aside = aside_of(te);

	return aside != NULL ? aside->slack : 0;
}

uint64_t talev_timer_get_missed(const struct talev_timer *te)
{
	const struct source_aside *aside = aside_of(te);

	return aside != NULL ? aside->missed : 0;
}
