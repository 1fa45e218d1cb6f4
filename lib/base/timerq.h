/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of deadlines: earliest first, equal ones in the order they were set.
 *
 * Setting, moving and removing a deadline take the same time however many there are. Whoever may
 * ever be queued joins first; after that queueing cannot fail.
 */
#ifndef BASE_TIMERQ_H
#define BASE_TIMERQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bsd/sys/queue.h>
#include <talev/time.h>

#define TIMERQ_BITS   6
#define TIMERQ_SLOTS  (1 << TIMERQ_BITS)
#define TIMERQ_LEVELS ((63 + TIMERQ_BITS) / TIMERQ_BITS)

struct timerq_node {
	TAILQ_ENTRY(timerq_node) link;
	talev_time_t deadline;
	uint16_t place; /* 0: not queued */
	/* The owner's, where padding would be. */
	uint8_t clock;
	uint8_t state;
	uint32_t turn;
};

TAILQ_HEAD(timerq_list, timerq_node);

#define TIMERQ_UNSORTED INT64_MAX

struct timerq_slot {
	struct timerq_list nodes; /* all means something while the slot's bit is set */
	talev_time_t earliest;    /* no deadline in it is before this */
	talev_time_t latest;      /* none is after this; TIMERQ_UNSORTED: not in order */
};

struct timerq {
	struct timerq_slot *slots; /* NULL until somebody joins */
	uint64_t bits[TIMERQ_LEVELS];
	uint32_t levels; /* bit n: bits[n] is not 0 */
	size_t used;
	uint64_t last; /* see timerq.c */
	struct timerq_list late;
	bool unsorted; /* late is */
};

/* Reserves a place for one more node. now: a moment that the queue's clock has reached. -1:
 * ENOMEM. */
int timerq_join(struct timerq *q, talev_time_t now);
/* Queues the node, or moves it behind all others of that deadline. */
void timerq_set(struct timerq *q, struct timerq_node *node, talev_time_t deadline);
/* Nothing if it is not queued. */
void timerq_remove(struct timerq *q, struct timerq_node *node);
/* The earliest one if its deadline is now or before, else NULL. */
struct timerq_node *timerq_due(struct timerq *q, talev_time_t now);
/* Removes the earliest ones whose deadline is now or before, at most most. Returns how many. */
size_t timerq_take_due(struct timerq *q, talev_time_t now, struct timerq_node **nodes, size_t most);
/* No deadline is before this: the earliest, or that of one that was the earliest and has gone.
 * TALEV_NEVER: none is queued. */
talev_time_t timerq_bound(struct timerq *q);
/* Some node that is queued, an early one; or NULL. */
struct timerq_node *timerq_any(const struct timerq *q);
/* Calls fn for all. fn changes nothing. */
void timerq_each(struct timerq *q, void (*fn)(struct timerq_node *node, void *arg), void *arg);
/* Frees what the queue itself holds. */
void timerq_destroy(struct timerq *q);

static inline bool timerq_queued(const struct timerq_node *node)
{
	return node->place != 0;
}

#endif
