/* SPDX-License-Identifier: BSD-2-Clause */
/* A timer that remembers what it was told. */
#ifndef EVENT_ALARM_H
#define EVENT_ALARM_H

#include "support/support.h"

#define MS TALEV_MSEC(1)

/* What a timer was told, and what it does then. */
struct alarm {
	const char *name;
	struct talev_timer *te;
	int calls;
	int *freed;
	talev_time_t now;
	talev_time_t next; /* armed for, inside the handler */
	uint64_t missed;
	void (*act)(struct talev_context *ev, struct alarm *alarm);
	void *arg;
};

static inline void on_timer(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct alarm *alarm = private_data;

	assert_ptr_equal(te, alarm->te);
	alarm->calls++;
	alarm->now = now;
	alarm->next = talev_timer_get_deadline(te);
	alarm->missed = talev_timer_get_missed(te);
	if (alarm->name)
		test_note("%s", alarm->name);
	if (alarm->act)
		alarm->act(ev, alarm);
}

struct witness {
	int *freed;
};

static inline int count_free(struct witness *witness)
{
	++*witness->freed;
	return 0;
}

static inline void add(struct talev_context *ev, struct alarm *alarm, talev_time_t deadline)
{
	struct witness *witness;

	alarm->te = talev_add_timer(ev, NULL, deadline, on_timer, alarm);
	assert_non_null(alarm->te);
	witness = talloc(alarm->te, struct witness);
	/* Outlives the timer, whatever the test does. */
	alarm->freed = talloc_zero(test_late(), int);
	witness->freed = alarm->freed;
	talloc_set_destructor(witness, count_free);
}

static inline void add_ticker(struct talev_context *ev, struct alarm *alarm, talev_time_t period)
{
	alarm->te = talev_add_ticker(ev, NULL, period, on_timer, alarm);
	assert_non_null(alarm->te);
}

static inline void stop_itself(struct talev_context *ev, struct alarm *alarm)
{
	(void)ev;
	assert_ok(talev_timer_stop(alarm->te));
}

static inline void stop_after(struct talev_context *ev, struct alarm *alarm)
{
	(void)ev;
	if (alarm->calls == *(int *)alarm->arg)
		assert_ok(talev_timer_stop(alarm->te));
}

struct grid {
	talev_time_t first;
	uint64_t seen; /* ticks, called or missed */
};

static inline void check_grid(struct talev_context *ev, struct alarm *alarm)
{
	struct grid *grid = alarm->arg;
	talev_time_t period = talev_timer_get_period(alarm->te);

	grid->seen += 1 + alarm->missed;
	/* Every tick up to now is accounted for, and the next is the first one after now. */
	assert_int_equal((alarm->now - grid->first) / period + 1, grid->seen);
	assert_int_equal(alarm->next, grid->first + (talev_time_t)grid->seen * period);
	if (alarm->calls == 30)
		talev_loop_break(ev);
}

#endif
