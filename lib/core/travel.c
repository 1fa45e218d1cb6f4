/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sources that go from one context to another. On the way they are in none: nobody waits for them,
 * nothing of theirs can fire, and they may be in the hands of another thread.
 */
#include "core/context.h"

bool core_may_travel(const struct source *src)
{
	const struct source_travel *travel = kind_of(src)->travel;

	if (travel == NULL || src->ev == NULL || src->life.state != TALEV_LIVE ||
		src->life.rec != NULL || !owner_check(src->ev, src))
		return false;
	/* Elsewhere its time would be another one. */
	if (src->ev->ops->now != NULL)
		return false;
	return travel->may == NULL || travel->may(src);
}

static bool leaves_queue_of(const struct source *src, const struct talev_context *ev)
{
	return src->place == PLACE_LEAVING && src->ev == ev;
}

/* Those of ev that are scheduled, from the one at first on, in the order of their queue. */
static void sort_scheduled(struct talev_context *ev, struct life_list *list, size_t first)
{
	struct source *src;
	size_t at = first;

	TAILQ_FOREACH (src, &ev->immediates, link) {
		if (src->place != PLACE_LEAVING)
			continue;
		/* What is written here has been looked at before. */
		while (!leaves_queue_of(source_of_life(list->objects[at]), ev))
			at++;
		list->objects[at++] = &src->life;
	}
	TAILQ_FOREACH (src, &ev->immediates, link)
		if (src->place == PLACE_LEAVING)
			src->place = PLACE_IMMEDIATE;
}

void core_sort_for_travel(struct life_list *list)
{
	size_t scheduled = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct source *src = source_of_life(list->objects[i]);

		if (src->place == PLACE_IMMEDIATE) {
			src->place = PLACE_LEAVING;
			scheduled++;
		}
	}
	for (size_t i = 0; scheduled > 0 && i < list->count; i++) {
		struct source *src = source_of_life(list->objects[i]);

		if (src->place == PLACE_LEAVING && scheduled == 1)
			src->place = PLACE_IMMEDIATE;
		else if (src->place == PLACE_LEAVING)
			sort_scheduled(src->ev, list, i);
	}
}

void core_depart(struct source *src)
{
	struct talev_context *ev = src->ev;
	bool scheduled = src->place == PLACE_IMMEDIATE || src->place == PLACE_HELD;

	trace(ev, TALEV_TRACE_DETACH, src);
	if (kind_of(src)->travel->leave != NULL)
		kind_of(src)->travel->leave(src);
	source_unplace(src);
	src->ev = NULL;
	src->place = scheduled ? PLACE_AWAY : PLACE_NONE;
	life_send_away(&src->life);
	context_changed(ev);
}

int core_arrive(struct source *src, struct talev_context *ev)
{
	bool scheduled = src->place == PLACE_AWAY;

	src->place = PLACE_NONE;
	if (scheduled) {
		core_immediate_queue(src, ev);
		return 0;
	}
	core_strand(src, ev);
	source_place(src, ev, PLACE_RESTING);
	return kind_of(src)->travel->join != NULL ? kind_of(src)->travel->join(src) : 0;
}

void core_strand(struct source *src, struct talev_context *ev)
{
	src->ev = ev;
	trace(ev, TALEV_TRACE_ATTACH, src);
}
