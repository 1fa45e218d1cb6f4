/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The armed timers of a context: earliest first, equal ones in the order they were set.
 *
 * Most programs set deadlines that are the same span ahead of now, each later than the last. Those
 * are a list, and cost what a list costs. The heap has the others.
 */
#ifndef TEVENT_TIMERS_H
#define TEVENT_TIMERS_H

#include <bsd/sys/queue.h>
#include "base/timerq.h"

struct timer_place {
	TAILQ_ENTRY(timer_place) link;
	struct timerq_node node; /* its deadline counts in the list, too */
	uint64_t order;
	bool listed;
};

TAILQ_HEAD(timer_list, timer_place);

struct timers {
	struct timer_list list;
	struct timerq heap;
};

void timers_init(struct timers *timers);
void timers_destroy(struct timers *timers);
/* Reserves a place for one more, so that arming it cannot fail. -1: ENOMEM. */
int timers_join(struct timers *timers);
void timers_leave(struct timers *timers);
/* Arms it, or moves it behind all others of that deadline. */
void timers_set(struct timers *timers, struct timer_place *place, talev_time_t deadline);
/* Nothing if it is not armed. */
void timers_remove(struct timers *timers, struct timer_place *place);
/* Some place that match() is true of, or NULL. */
struct timer_place *timers_find(const struct timers *timers,
	bool (*match)(struct timer_place *place, const void *arg), const void *arg);

static inline bool timer_place_armed(const struct timer_place *place)
{
	return place->listed || timerq_queued(&place->node);
}

static inline struct timer_place *timer_place_of(struct timerq_node *node)
{
	return (struct timer_place *)((char *)node - offsetof(struct timer_place, node));
}

static inline struct timer_place *timers_first(const struct timers *timers)
{
	struct timer_place *listed = TAILQ_FIRST(&timers->list);
	const struct timerq_entry *top;

	if (timers->heap.used == 0)
		return listed;
	top = &timers->heap.heap[0];
	if (listed == NULL || top->deadline < listed->node.deadline ||
		(top->deadline == listed->node.deadline && top->order < listed->order))
		return timer_place_of(top->node);
	return listed;
}

#endif
