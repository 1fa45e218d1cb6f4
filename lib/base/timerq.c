/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hierarchical timing wheel (Varghese and Lauck, 1987) to the nanosecond.
 *
 * last is a moment that the clock has reached. A deadline and last, as numbers of base 64, are the
 * same from the highest digit on down to some place, the level; the digit there is the slot. So
 * all that lies in a lower level is earlier than all in a higher one, and within a level the slots
 * are in order. When last comes to a slot, its nodes move to lower levels, each at most once per
 * level, until level 0 has them, where a slot is one nanosecond. Nodes of one deadline are always
 * in the same slot, in the order they were set. A slot whose nodes came in the order of their
 * deadlines is a queue as it is: its nodes stay, and last stays before it.
 *
 * What is wrong with a wheel that ticks: it fires late or early by a tick, or sorts. This one does
 * not tick. Each slot knows a moment that none of its nodes is before; the loop sleeps until that.
 * Only when the node went that had it, the loop may wake for nothing, and last moves on.
 *
 * Deadlines before last have passed when they are set; they are a list in order of deadlines, which
 * is sorted when it is looked at if they did not come in that order. After a clock was set back
 * they may lie in the future, and all are filed anew.
 */
#include "base/timerq.h"
#include <errno.h>
#include <stdlib.h>

#define LATE (TIMERQ_SLOTS * TIMERQ_LEVELS + 1)
/* How far from the end of the late ones a node's place is looked for. */
#define LATE_STEPS 8

/* Negative deadlines before positive ones. */
static uint64_t number(talev_time_t deadline)
{
	return (uint64_t)deadline ^ (UINT64_C(1) << 63);
}

static void mark(struct timerq *q, unsigned level, unsigned slot)
{
	q->bits[level] |= UINT64_C(1) << slot;
	q->levels |= UINT32_C(1) << level;
}

static void unmark(struct timerq *q, unsigned level, unsigned slot)
{
	q->bits[level] &= ~(UINT64_C(1) << slot);
	if (q->bits[level] == 0)
		q->levels &= ~(UINT32_C(1) << level);
}

static void insert_late(struct timerq *q, struct timerq_node *node)
{
	struct timerq_node *before = TAILQ_LAST(&q->late, timerq_list);

	node->place = LATE;
	for (int i = 0; !q->unsorted && before != NULL && before->deadline > node->deadline; i++)
		if (i == LATE_STEPS)
			q->unsorted = true;
		else
			before = TAILQ_PREV(before, timerq_list, link);
	if (q->unsorted)
		TAILQ_INSERT_TAIL(&q->late, node, link);
	else if (before == NULL)
		TAILQ_INSERT_HEAD(&q->late, node, link);
	else
		TAILQ_INSERT_AFTER(&q->late, before, node, link);
}

static inline void insert(struct timerq *q, struct timerq_node *node)
{
	uint64_t at = number(node->deadline);
	unsigned level;
	unsigned digit;
	struct timerq_slot *slot;

	if (at < q->last) {
		insert_late(q, node);
		return;
	}
	level = (63 - (unsigned)__builtin_clzll((at ^ q->last) | 1)) / TIMERQ_BITS;
	digit = (unsigned)(at >> (level * TIMERQ_BITS)) % TIMERQ_SLOTS;
	slot = &q->slots[level * TIMERQ_SLOTS + digit];
	node->place = (uint16_t)(level * TIMERQ_SLOTS + digit + 1);
	if ((q->bits[level] >> digit & 1) == 0) {
		mark(q, level, digit);
		TAILQ_INIT(&slot->nodes);
		slot->earliest = node->deadline;
		slot->latest = node->deadline;
	} else if (node->deadline < slot->latest) {
		slot->latest = TIMERQ_UNSORTED;
		if (node->deadline < slot->earliest)
			slot->earliest = node->deadline;
	} else {
		slot->latest = node->deadline;
	}
	TAILQ_INSERT_TAIL(&slot->nodes, node, link);
}

static inline void take_out(struct timerq *q, struct timerq_node *node)
{
	unsigned at = node->place - 1u;
	struct timerq_slot *slot;
	struct timerq_node *first;
	bool front;

	if (node->place == LATE) {
		TAILQ_REMOVE(&q->late, node, link);
		return;
	}
	slot = &q->slots[at];
	front = TAILQ_FIRST(&slot->nodes) == node && slot->latest != TIMERQ_UNSORTED;
	TAILQ_REMOVE(&slot->nodes, node, link);
	first = TAILQ_FIRST(&slot->nodes);
	if (first == NULL)
		unmark(q, at / TIMERQ_SLOTS, at % TIMERQ_SLOTS);
	else if (slot->nodes.tqh_last == &TAILQ_NEXT(first, link)) /* it is alone */
		slot->earliest = slot->latest = first->deadline;
	else if (front)
		slot->earliest = first->deadline;
}

int timerq_join(struct timerq *q, talev_time_t now)
{
	if (q->slots != NULL)
		return 0;
	q->slots = calloc((size_t)TIMERQ_SLOTS * TIMERQ_LEVELS, sizeof(*q->slots));
	if (q->slots == NULL) {
		errno = ENOMEM;
		return -1;
	}
	TAILQ_INIT(&q->late);
	q->last = number(now);
	return 0;
}

void timerq_set(struct timerq *q, struct timerq_node *node, talev_time_t deadline)
{
	if (timerq_queued(node))
		take_out(q, node);
	else
		q->used++;
	node->deadline = deadline;
	insert(q, node);
}

void timerq_remove(struct timerq *q, struct timerq_node *node)
{
	if (!timerq_queued(node))
		return;
	take_out(q, node);
	node->place = 0;
	q->used--;
}

/* The nodes of the lowest slot go to lower levels: last is in that slot by now. */
static void cascade(struct timerq *q, unsigned level, unsigned digit)
{
	struct timerq_list *nodes = &q->slots[level * TIMERQ_SLOTS + digit].nodes;
	struct timerq_node *node = TAILQ_FIRST(nodes);

	unmark(q, level, digit);
	while (node != NULL) {
		struct timerq_node *next = TAILQ_NEXT(node, link);

		insert(q, node);
		node = next;
	}
}

/* Nothing is due: last may come up to now. */
static void move_on(struct timerq *q, uint64_t now, unsigned level, unsigned digit)
{
	struct timerq_slot *slot = &q->slots[level * TIMERQ_SLOTS + digit];
	unsigned common = level * TIMERQ_BITS;

	if (now <= q->last)
		return;
	/* Does now lie in the lowest slot? */
	if (now >> common != number(slot->earliest) >> common) {
		q->last = now;
	} else if (slot->latest == TIMERQ_UNSORTED) {
		q->last = now;
		cascade(q, level, digit);
	}
}

/* Merges two sorted lists into a; at equal deadlines those of a go first. */
static void merge(struct timerq_list *a, struct timerq_list *b)
{
	struct timerq_node *at = TAILQ_FIRST(a);
	struct timerq_node *node;

	while (at != NULL && (node = TAILQ_FIRST(b)) != NULL) {
		if (node->deadline < at->deadline) {
			TAILQ_REMOVE(b, node, link);
			TAILQ_INSERT_BEFORE(at, node, link);
		} else {
			at = TAILQ_NEXT(at, link);
		}
	}
	TAILQ_CONCAT(a, b, link);
}

/* Takes the nodes from the front of list as long as they are in order. */
static void take_run(struct timerq_list *list, struct timerq_list *run)
{
	struct timerq_node *node;
	struct timerq_node *last = NULL;

	TAILQ_INIT(run);
	while ((node = TAILQ_FIRST(list)) != NULL &&
		(last == NULL || node->deadline >= last->deadline)) {
		TAILQ_REMOVE(list, node, link);
		TAILQ_INSERT_TAIL(run, node, link);
		last = node;
	}
}

/* Merges runs of about equal size: sorted[n] is of 2^n runs, later ones in lower places. */
static void sort_late(struct timerq *q)
{
	struct timerq_list sorted[64];
	struct timerq_list run;
	unsigned n;

	for (n = 0; n < 64; n++)
		TAILQ_INIT(&sorted[n]);
	while (!TAILQ_EMPTY(&q->late)) {
		take_run(&q->late, &run);
		for (n = 0; !TAILQ_EMPTY(&sorted[n]); n++) {
			merge(&sorted[n], &run);
			TAILQ_CONCAT(&run, &sorted[n], link);
		}
		TAILQ_CONCAT(&sorted[n], &run, link);
	}
	for (n = 0; n < 64; n++) {
		merge(&sorted[n], &q->late);
		TAILQ_CONCAT(&q->late, &sorted[n], link);
	}
	q->unsorted = false;
}

static struct timerq_node *first_late(struct timerq *q)
{
	if (q->unsorted)
		sort_late(q);
	return TAILQ_FIRST(&q->late);
}

/* The clock has been set back: last with it, and every node finds its place anew. */
static void turn_back(struct timerq *q, uint64_t now)
{
	struct timerq_list all = TAILQ_HEAD_INITIALIZER(all);
	struct timerq_node *node;

	first_late(q);
	TAILQ_CONCAT(&all, &q->late, link);
	while (q->levels != 0) {
		unsigned level = (unsigned)__builtin_ctz(q->levels);
		unsigned digit = (unsigned)__builtin_ctzll(q->bits[level]);

		TAILQ_CONCAT(&all, &q->slots[level * TIMERQ_SLOTS + digit].nodes, link);
		unmark(q, level, digit);
	}
	q->last = now;
	while ((node = TAILQ_FIRST(&all)) != NULL) {
		TAILQ_REMOVE(&all, node, link);
		insert(q, node);
	}
}

static inline struct timerq_node *due(struct timerq *q, talev_time_t now)
{
	if (q->used == 0) {
		if (number(now) > q->last)
			q->last = number(now);
		return NULL;
	}
	if (!TAILQ_EMPTY(&q->late)) {
		if (number(now) < q->last)
			turn_back(q, number(now));
		if (!TAILQ_EMPTY(&q->late))
			return first_late(q);
	}
	for (;;) {
		unsigned level = (unsigned)__builtin_ctz(q->levels);
		unsigned digit = (unsigned)__builtin_ctzll(q->bits[level]);
		struct timerq_slot *slot = &q->slots[level * TIMERQ_SLOTS + digit];

		if (slot->earliest > now) {
			move_on(q, number(now), level, digit);
			return NULL;
		}
		/* The one that had the earliest may have gone, but not from the front of a queue.
		 */
		if (level == 0 || slot->latest != TIMERQ_UNSORTED)
			return TAILQ_FIRST(&slot->nodes);
		q->last = number(slot->earliest);
		cascade(q, level, digit);
	}
}

struct timerq_node *timerq_due(struct timerq *q, talev_time_t now)
{
	return due(q, now);
}

/* Those at the front of a slot that is in order; the first is due. */
static inline size_t take_front(
	struct timerq *q, unsigned at, talev_time_t now, struct timerq_node **nodes, size_t most)
{
	struct timerq_slot *slot = &q->slots[at];
	struct timerq_node *node = TAILQ_FIRST(&slot->nodes);
	size_t n = 0;

	do {
		nodes[n++] = node;
		node->place = 0;
		node = TAILQ_NEXT(node, link);
	} while (node != NULL && n < most && node->deadline <= now);
	TAILQ_FIRST(&slot->nodes) = node;
	if (node != NULL) {
		node->link.tqe_prev = &TAILQ_FIRST(&slot->nodes);
		slot->earliest = node->deadline;
	} else {
		unmark(q, at / TIMERQ_SLOTS, at % TIMERQ_SLOTS);
	}
	q->used -= n;
	return n;
}

size_t timerq_take_due(struct timerq *q, talev_time_t now, struct timerq_node **nodes, size_t most)
{
	struct timerq_node *node;
	size_t n = 0;

	while (n < most && (node = due(q, now)) != NULL) {
		if (node->place == LATE) {
			timerq_remove(q, node);
			nodes[n++] = node;
		} else {
			n += take_front(q, node->place - 1u, now, &nodes[n], most - n);
		}
	}
	return n;
}

talev_time_t timerq_bound(struct timerq *q)
{
	unsigned level;

	if (q->used == 0)
		return TALEV_NEVER;
	if (!TAILQ_EMPTY(&q->late))
		return first_late(q)->deadline;
	level = (unsigned)__builtin_ctz(q->levels);
	return q->slots[level * TIMERQ_SLOTS + (unsigned)__builtin_ctzll(q->bits[level])].earliest;
}

struct timerq_node *timerq_any(const struct timerq *q)
{
	unsigned level;
	unsigned digit;

	if (q->used == 0)
		return NULL;
	if (!TAILQ_EMPTY(&q->late))
		return TAILQ_FIRST(&q->late);
	level = (unsigned)__builtin_ctz(q->levels);
	digit = (unsigned)__builtin_ctzll(q->bits[level]);
	return TAILQ_FIRST(&q->slots[level * TIMERQ_SLOTS + digit].nodes);
}

static void each_in(
	struct timerq_list *list, void (*fn)(struct timerq_node *node, void *arg), void *arg)
{
	struct timerq_node *node;

	TAILQ_FOREACH (node, list, link)
		fn(node, arg);
}

void timerq_each(struct timerq *q, void (*fn)(struct timerq_node *node, void *arg), void *arg)
{
	if (q->used == 0)
		return;
	each_in(&q->late, fn, arg);
	for (unsigned level = 0; level < TIMERQ_LEVELS; level++)
		for (unsigned digit = 0; digit < TIMERQ_SLOTS; digit++)
			if ((q->bits[level] >> digit & 1) != 0)
				each_in(&q->slots[level * TIMERQ_SLOTS + digit].nodes, fn, arg);
}

void timerq_destroy(struct timerq *q)
{
	free(q->slots);
	*q = (struct timerq){0};
}
