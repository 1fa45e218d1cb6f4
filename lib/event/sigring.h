/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bounded queue of siginfo_t: Unix signal handlers of any thread write, one thread reads.
 *
 * A writer reserves a slot by moving head, fills it, and publishes it by the slot's sequence. Only
 * lock-free atomics, so a writer may interrupt the reader, or another writer, on its own thread.
 */
#ifndef EVENT_SIGRING_H
#define EVENT_SIGRING_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#define SIGRING_SIZE  1024u /* a power of two, so that positions may wrap */
#define SIGRING_SPARE 64u   /* so many slots are left when writers are asked to hold back */

struct sigring_slot {
	atomic_uint sequence; /* position + 1 once it is filled */
	siginfo_t info;
};

struct sigring {
	atomic_uint head; /* next position to reserve */
	atomic_uint tail; /* next position to read */
	struct sigring_slot slots[SIGRING_SIZE];
};

/* By free(3). NULL: ENOMEM. */
struct sigring *sigring_create(void);

enum sigring_result { SIGRING_OK, SIGRING_NEARLY_FULL, SIGRING_FULL };
enum sigring_result sigring_put(struct sigring *ring, const siginfo_t *info);

/* Where the next one that is put will be. */
unsigned sigring_head(const struct sigring *ring);

/* Less than half of it is used. */
bool sigring_has_room(const struct sigring *ring);

/* The oldest before limit, and its position. False: there is none, or it is not published yet. */
bool sigring_get(struct sigring *ring, unsigned limit, siginfo_t *info, unsigned *position);

#endif
