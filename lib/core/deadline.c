/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/context.h"

/* Two of the slowest kernel. */
#define TICKS TALEV_MSEC(20)

static struct timer_source *timer_of(struct timerq_node *node)
{
	return (struct timer_source *)((char *)node - offsetof(struct timer_source, node));
}

static struct timerq *queue_of(struct timer_source *ts)
{
	return &ts->src.ev->timers[ts->clock];
}

int core_timer_join(struct timer_source *ts)
{
	struct timerq *q = queue_of(ts);

	return q->slots != NULL ? 0 : timerq_join(q, core_now(ts->src.ev, ts->clock));
}

static void dequeue(struct talev_context *ev, struct timer_source *ts)
{
	if (timerq_queued(&ts->node)) {
		timerq_remove(&ev->timers[ts->clock], &ts->node);
		ev->timers_queued--;
	}
}

bool core_timer_armed(const struct timer_source *ts)
{
	return timerq_queued(&ts->node) || ts->src.place == PLACE_DUE;
}

void core_timer_arm(struct timer_source *ts, talev_time_t deadline)
{
	struct talev_context *ev = ts->src.ev;

	if (!timerq_queued(&ts->node)) {
		source_unplace(&ts->src);
		ev->timers_queued++;
	}
	timerq_set(queue_of(ts), &ts->node, deadline);
	if (deadline < ev->timers_quiet || ts->clock != TALEV_CLOCK_MONOTONIC)
		ev->timers_quiet = 0;
	context_changed(ev);
}

void core_timer_disarm(struct timer_source *ts)
{
	if (!core_timer_armed(ts))
		return;
	dequeue(ts->src.ev, ts);
	source_unplace(&ts->src);
	source_place(&ts->src, ts->src.ev, PLACE_RESTING);
}

void deadlines_read_clocks(struct talev_context *ev)
{
	ev->turn_time[TALEV_CLOCK_MONOTONIC] = core_now(ev, TALEV_CLOCK_MONOTONIC);
	for (int clock = TALEV_CLOCK_MONOTONIC + 1; clock < BASE_CLOCKS; clock++)
		if (ev->timers[clock].used > 0)
			ev->turn_time[clock] = core_now(ev, clock);
	ev->time_known = true;
}

bool deadlines_far(struct talev_context *ev)
{
	talev_time_t bound = timerq_bound(&ev->timers[TALEV_CLOCK_MONOTONIC]);

	if (ev->backend->ops->now != NULL || ev->timers[TALEV_CLOCK_REALTIME].used > 0 ||
		ev->timers[TALEV_CLOCK_BOOTTIME].used > 0)
		return false;
	if (ev->time_known)
		return bound > ev->turn_time[TALEV_CLOCK_MONOTONIC];
	return bound > talev_time_add(base_clock_last_tick(), TICKS);
}

void deadlines_look_at_clock(struct talev_context *ev)
{
	ev->timers_quiet = deadlines_far(ev) ? timerq_bound(&ev->timers[TALEV_CLOCK_MONOTONIC]) : 0;
}

void deadlines_collect(struct talev_context *ev)
{
	/* In strict order one that is armed meanwhile, for an earlier moment, still goes first. */
	size_t most = ev->strict ? 1 : SIZE_MAX;

	if (!deadlines_any(ev) || deadlines_far(ev))
		return;
	deadlines_need_time(ev);
	for (int clock = 0; clock < BASE_CLOCKS; clock++) {
		struct timerq *q = &ev->timers[clock];
		struct timerq_node *node;

		while (q->used > 0 && ev->due_count < most &&
			(node = timerq_due(q, ev->turn_time[clock])) != NULL) {
			dequeue(ev, timer_of(node));
			source_place(&timer_of(node)->src, ev, PLACE_DUE);
		}
	}
}

void deadlines_get(struct talev_context *ev, struct backend_deadlines *deadlines)
{
	if (!deadlines_any(ev)) {
		*deadlines = (struct backend_deadlines){
			.at = {TALEV_NEVER, TALEV_NEVER, TALEV_NEVER},
			.longest = ev->longest_wait,
		};
		return;
	}
	for (int clock = 0; clock < BASE_CLOCKS; clock++)
		deadlines->at[clock] = timerq_bound(&ev->timers[clock]);
	deadlines->longest = ev->longest_wait;
}

void deadlines_close_all(struct talev_context *ev)
{
	struct timerq_node *node;

	for (int clock = 0; clock < BASE_CLOCKS; clock++)
		while ((node = timerq_any(&ev->timers[clock])) != NULL)
			source_close(&timer_of(node)->src, NULL);
}

struct visit {
	void (*fn)(struct source *src, void *private_data);
	void *private_data;
};

static void visit(struct timerq_node *node, void *arg)
{
	const struct visit *wanted = arg;

	wanted->fn(&timer_of(node)->src, wanted->private_data);
}

void deadlines_each(struct talev_context *ev, void (*fn)(struct source *src, void *private_data),
	void *private_data)
{
	struct visit wanted = {fn, private_data};

	for (int clock = 0; clock < BASE_CLOCKS; clock++)
		timerq_each(&ev->timers[clock], visit, &wanted);
}

void deadlines_destroy(struct talev_context *ev)
{
	for (int clock = 0; clock < BASE_CLOCKS; clock++)
		timerq_destroy(&ev->timers[clock]);
}
