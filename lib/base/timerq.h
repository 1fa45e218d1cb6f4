/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of deadlines: earliest first, equal ones in the order they were set.
 *
 * Adding, moving and removing take time logarithmic in the number of queued nodes. Whoever may
 * ever be queued joins first; after that queueing cannot fail.
 */
#ifndef BASE_TIMERQ_H
#define BASE_TIMERQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talev/time.h>

struct timerq_node {
	talev_time_t deadline;
	uint32_t index; /* 1-based place in the heap; 0: not queued */
};

struct timerq_entry {
	talev_time_t deadline;
	uint64_t order;
	struct timerq_node *node;
};

struct timerq {
	struct timerq_entry *heap;
	uint32_t used;
	uint32_t joined;
	uint32_t room;
	uint64_t order;
};

/* Reserves a place for one more node. -1: ENOMEM. */
int timerq_join(struct timerq *q);
/* Gives one place back; the node is not queued. */
void timerq_leave(struct timerq *q);
/* Queues the node, or moves it behind all others of that deadline. */
void timerq_set(struct timerq *q, struct timerq_node *node, talev_time_t deadline);
/* Nothing if it is not queued. */
void timerq_remove(struct timerq *q, struct timerq_node *node);
/* Frees what the queue itself holds. */
void timerq_destroy(struct timerq *q);

static inline bool timerq_queued(const struct timerq_node *node)
{
	return node->index != 0;
}

/* The earliest, or NULL. */
static inline struct timerq_node *timerq_first(const struct timerq *q)
{
	return q->used > 0 ? q->heap[0].node : NULL;
}

#endif
