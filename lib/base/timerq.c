/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with a plain binary heap of pointers: every comparison misses the cache, and equal
 * deadlines come out in any order. Here the deadline lies beside the pointer, a node has four
 * children that share a line or two, and each setting of a deadline has a number that breaks ties.
 */
#include "base/timerq.h"
#include <errno.h>
#include <stdlib.h>

#define ARITY    4
#define ROOM_MIN 16u

static bool before(const struct timerq_entry *a, const struct timerq_entry *b)
{
	if (a->deadline != b->deadline)
		return a->deadline < b->deadline;
	return a->order < b->order;
}

static void put(struct timerq *q, uint32_t at, struct timerq_entry entry)
{
	q->heap[at] = entry;
	entry.node->index = at + 1;
}

static uint32_t earliest_child(const struct timerq *q, uint32_t at)
{
	/* 64 bits: four times a large index does not fit into 32. */
	uint64_t child = (uint64_t)at * ARITY + 1;
	uint64_t end = child + ARITY < q->used ? child + ARITY : q->used;
	uint64_t best = child;

	if (child >= q->used)
		return q->used;
	while (++child < end)
		if (before(&q->heap[child], &q->heap[best]))
			best = child;
	return (uint32_t)best;
}

/* Finds the place of entry, starting from the hole at. */
static void sift(struct timerq *q, uint32_t at, struct timerq_entry entry)
{
	uint32_t next;

	while (at > 0) {
		next = (at - 1) / ARITY;
		if (!before(&entry, &q->heap[next]))
			break;
		put(q, at, q->heap[next]);
		at = next;
	}
	while ((next = earliest_child(q, at)) < q->used) {
		if (!before(&q->heap[next], &entry))
			break;
		put(q, at, q->heap[next]);
		at = next;
	}
	put(q, at, entry);
}

static int resize(struct timerq *q, uint32_t room)
{
	struct timerq_entry *heap = reallocarray(q->heap, room, sizeof(*heap));

	if (heap == NULL)
		return -1;
	q->heap = heap;
	q->room = room;
	return 0;
}

int timerq_join(struct timerq *q)
{
	if (q->joined == q->room) {
		if (q->room > UINT32_MAX / 2) {
			errno = ENOMEM;
			return -1;
		}
		if (resize(q, q->room > 0 ? q->room * 2 : ROOM_MIN) != 0)
			return -1;
	}
	q->joined++;
	return 0;
}

void timerq_leave(struct timerq *q)
{
	q->joined--;
	/* Far below the point where it grew, so that a queue that breathes does not copy itself all
	 * the time. If there is no memory for less memory, it stays as it is. */
	if (q->room > ROOM_MIN && q->joined < q->room / 8)
		resize(q, q->room / 4 > ROOM_MIN ? q->room / 4 : ROOM_MIN);
}

void timerq_set(struct timerq *q, struct timerq_node *node, talev_time_t deadline)
{
	struct timerq_entry entry = {.deadline = deadline, .order = ++q->order, .node = node};

	node->deadline = deadline;
	sift(q, timerq_queued(node) ? node->index - 1 : q->used++, entry);
}

void timerq_remove(struct timerq *q, struct timerq_node *node)
{
	struct timerq_entry last;
	uint32_t at;

	if (!timerq_queued(node))
		return;
	at = node->index - 1;
	node->index = 0;
	last = q->heap[--q->used];
	if (last.node != node)
		sift(q, at, last);
}

void timerq_destroy(struct timerq *q)
{
	free(q->heap);
	*q = (struct timerq){0};
}
