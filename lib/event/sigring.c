/* SPDX-License-Identifier: BSD-2-Clause */
#include "event/sigring.h"
#include <stdlib.h>

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler must not meet a lock");

static struct sigring_slot *slot_at(struct sigring *ring, unsigned position)
{
	return &ring->slots[position % SIGRING_SIZE];
}

struct sigring *sigring_create(void)
{
	return calloc(1, sizeof(struct sigring));
}

enum sigring_result sigring_put(struct sigring *ring, const siginfo_t *info)
{
	struct sigring_slot *slot;
	unsigned position;
	unsigned tail;

	for (;;) {
		/* The tail first: it never overtakes a head that is read after it. */
		tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
		position = atomic_load_explicit(&ring->head, memory_order_relaxed);
		if (position - tail >= SIGRING_SIZE) {
			if (atomic_load_explicit(&ring->tail, memory_order_acquire) == tail)
				return SIGRING_FULL;
			continue;
		}
		if (atomic_compare_exchange_weak_explicit(&ring->head, &position, position + 1,
			    memory_order_relaxed, memory_order_relaxed))
			break;
	}

	slot = slot_at(ring, position);
	slot->info = *info;
	atomic_store_explicit(&slot->sequence, position + 1, memory_order_release);
	return SIGRING_SIZE - (position + 1 - tail) < SIGRING_SPARE ? SIGRING_NEARLY_FULL
								    : SIGRING_OK;
}

unsigned sigring_head(const struct sigring *ring)
{
	return atomic_load_explicit(&ring->head, memory_order_relaxed);
}

bool sigring_has_room(const struct sigring *ring)
{
	unsigned tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	return sigring_head(ring) - tail < SIGRING_SIZE / 2;
}

bool sigring_get(struct sigring *ring, unsigned limit, siginfo_t *info, unsigned *position)
{
	unsigned tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	struct sigring_slot *slot = slot_at(ring, tail);

	if ((int)(limit - tail) <= 0)
		return false;
	if (atomic_load_explicit(&slot->sequence, memory_order_acquire) != tail + 1)
		return false;
	*info = slot->info;
	*position = tail;
	/* Writers may use the slot again only when it has been copied. */
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return true;
}
