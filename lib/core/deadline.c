/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/context.h"

/* So many become due at a time: few, because memory is read ahead best while looking for the next
 * ones and running them take turns. */
#define FEW 8
/* So many turns pay for a timer that is far, before that one is paid that goes off before it is
 * near: that costs as much as they did. */
#define HOT 128

static struct timer_source *timer_of(struct timerq_node *node)
{
	return (struct timer_source *)((char *)node - offsetof(struct timer_source, node));
}

static struct timerq *queue_of(struct timer_source *ts)
{
	return &ts->src.ev->timers[ts->node.clock];
}

int core_timer_join(struct timer_source *ts)
{
	struct timerq *q = queue_of(ts);

	return q->slots != NULL ? 0 : timerq_join(q, core_now(ts->src.ev, ts->node.clock));
}

static void dequeue(struct talev_context *ev, struct timer_source *ts)
{
	timerq_remove(&ev->timers[ts->node.clock], &ts->node);
	ev->timers_queued--;
}

bool core_timer_armed(const struct timer_source *ts)
{
	return timerq_queued(&ts->node) || ts->src.place == PLACE_DUE;
}

void core_timer_arm(struct timer_source *ts, talev_time_t deadline)
{
	struct talev_context *ev = ts->src.ev;

	if (!timerq_queued(&ts->node)) {
		if (ts->src.place == PLACE_RESTING)
			TAILQ_REMOVE(&ev->resting, &ts->src, link);
		else
			source_unplace(&ts->src);
		ts->src.place = PLACE_NONE;
		ev->timers_queued++;
	}
	ts->node.turn = (uint32_t)ev->turns;
	timerq_set(queue_of(ts), &ts->node, deadline);
	if (deadline < ev->timers_quiet || ts->node.clock != TALEV_CLOCK_MONOTONIC)
		ev->timers_quiet = 0;
	context_changed(ev);
}

void core_timer_disarm(struct timer_source *ts)
{
	if (!core_timer_armed(ts))
		return;
	core_timer_leave(ts);
	source_place(&ts->src, ts->src.ev, PLACE_RESTING);
}

void core_timer_leave(struct timer_source *ts)
{
	if (timerq_queued(&ts->node))
		dequeue(ts->src.ev, ts);
	else if (ts->src.place == PLACE_DUE)
		source_unplace(&ts->src);
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
	return bound > talev_time_add(base_clock_last_tick(), DEADLINE_FAR);
}

static inline void make_due(struct talev_context *ev, struct timer_source *ts)
{
	ev->timers_queued--;
	ts->src.place = PLACE_DUE;
	TAILQ_INSERT_TAIL(&ev->due, &ts->src, link);
	ev->due_count++;
	/* Only those that were set in this turn have to share it with the other classes. */
	if (ts->node.turn != (uint32_t)ev->turns)
		ev->timer_budget++;
}

void deadlines_look_at_clock(struct talev_context *ev)
{
	/* Most often what was far is far still. */
	if (ev->timers_quiet != 0 &&
		ev->timers_quiet > talev_time_add(base_clock_last_tick(), DEADLINE_FAR)) {
		/* Did the last wait find something without waiting? */
		if (ev->no_looks == 0 && ++ev->hot == HOT)
			lookout_send(ev);
		return;
	}
	ev->timers_quiet = deadlines_far(ev) ? timerq_bound(&ev->timers[TALEV_CLOCK_MONOTONIC]) : 0;
}

void deadlines_collect(struct talev_context *ev)
{
	if (!deadlines_any(ev) || deadlines_far(ev))
		return;
	deadlines_need_time(ev);
	for (int clock = 0; clock < BASE_CLOCKS; clock++) {
		struct timerq_node *nodes[FEW];
		size_t most = FEW;
		size_t n;

		/* In strict order one that is armed meanwhile, for an earlier moment, still goes
		 * first. */
		if (ev->strict)
			most = ev->due_count == 0;
		if (ev->timers[clock].used == 0)
			continue;
		n = timerq_take_due(&ev->timers[clock], ev->turn_time[clock], nodes, most);
		for (size_t i = 0; i < n; i++)
			make_due(ev, timer_of(nodes[i]));
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

void deadlines_close_all(struct talev_context *ev, const struct life *life)
{
	struct timerq_node *node;

	for (int clock = 0; clock < BASE_CLOCKS; clock++)
		while (life->ev != NULL && (node = timerq_any(&ev->timers[clock])) != NULL)
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
