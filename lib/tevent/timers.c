/* SPDX-License-Identifier: BSD-2-Clause */
#include "tevent/timers.h"

/* A few that are far ahead, at the end of the list, are passed by those that come after them. */
#define STEPS 8

void timers_init(struct timers *timers)
{
	*timers = (struct timers){.list = TAILQ_HEAD_INITIALIZER(timers->list)};
}

void timers_destroy(struct timers *timers)
{
	timerq_destroy(&timers->heap);
}

int timers_join(struct timers *timers)
{
	return timerq_join(&timers->heap);
}

void timers_leave(struct timers *timers)
{
	timerq_leave(&timers->heap);
}

/* False: its place in the list is too far from the end. */
static bool insert(struct timers *timers, struct timer_place *place)
{
	struct timer_place *before = TAILQ_LAST(&timers->list, timer_list);

	for (int i = 0; i < STEPS && before != NULL; i++) {
		if (before->node.deadline <= place->node.deadline) {
			TAILQ_INSERT_AFTER(&timers->list, before, place, link);
			return true;
		}
		before = TAILQ_PREV(before, timer_list, link);
	}
	if (before != NULL)
		return false;
	TAILQ_INSERT_HEAD(&timers->list, place, link);
	return true;
}

void timers_set(struct timers *timers, struct timer_place *place, talev_time_t deadline)
{
	timers_remove(timers, place);
	place->node.deadline = deadline;
	place->listed = insert(timers, place);
	if (place->listed)
		place->order = ++timers->heap.order;
	else
		timerq_set(&timers->heap, &place->node, deadline);
}

void timers_remove(struct timers *timers, struct timer_place *place)
{
	if (place->listed)
		TAILQ_REMOVE(&timers->list, place, link);
	else
		timerq_remove(&timers->heap, &place->node);
	place->listed = false;
}

struct timer_place *timers_find(const struct timers *timers,
	bool (*match)(struct timer_place *place, const void *arg), const void *arg)
{
	struct timer_place *place;

	TAILQ_FOREACH (place, &timers->list, link)
		if (match(place, arg))
			return place;
	for (uint32_t i = 0; i < timers->heap.used; i++) {
		place = timer_place_of(timers->heap.heap[i].node);
		if (match(place, arg))
			return place;
	}
	return NULL;
}
