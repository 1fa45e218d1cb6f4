/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard of an object that other threads refer to, one word:
 *
 *   bit 0       cancelled: no handler starts any more; set once, by anybody
 *   bit 1       somebody sleeps until the count is 0
 *   the rest    how many handlers are executing (nested loops run one inside another)
 *
 * The owner adds to the count only while the word is not cancelled, in one compare-and-swap: so
 * whoever sets the bit and sees a count of 0 knows that no handler will ever start again. Leaving
 * releases, and seeing 0 acquires: what the handler did has happened before.
 *
 * A futex and no mutex: fork(2) may come at any moment, and a child must not find a lock held by
 * a thread that it does not have.
 */
#include "life/record.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CANCELLED 0x1u
#define WAITED    0x2u
#define ONE       0x4u

struct life_guard {
	atomic_uint word;
	atomic_uint refs;
	struct life_object *object; /* owner's */
};

struct life_guard *guard_create(struct life_object *object)
{
	struct life_guard *guard = malloc(sizeof(*guard));

	if (guard == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	atomic_init(&guard->word, 0);
	atomic_init(&guard->refs, 1);
	guard->object = object;
	return guard;
}

void guard_forget(struct life_guard *guard)
{
	guard->object = NULL;
	life_guard_unref(guard);
}

void life_guard_ref(struct life_guard *guard)
{
	atomic_fetch_add_explicit(&guard->refs, 1, memory_order_relaxed);
}

void life_guard_unref(struct life_guard *guard)
{
	if (atomic_fetch_sub_explicit(&guard->refs, 1, memory_order_acq_rel) == 1)
		free(guard);
}

struct life_object *life_guard_object(const struct life_guard *guard)
{
	return guard->object;
}

bool guard_enter(struct life_guard *guard)
{
	unsigned word = atomic_load_explicit(&guard->word, memory_order_relaxed);

	do {
		if ((word & CANCELLED) != 0)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&guard->word, &word, word + ONE, memory_order_acquire, memory_order_relaxed));
	life_guard_ref(guard);
	return true;
}

void guard_leave(struct life_guard *guard)
{
	unsigned word = atomic_fetch_sub_explicit(&guard->word, ONE, memory_order_release) - ONE;

	if (word < ONE && (word & WAITED) != 0) {
		/* Cancelled for good: the count stays 0, and nobody goes to sleep any more. */
		syscall(SYS_futex, &guard->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
	}
	life_guard_unref(guard);
}

static unsigned tell(unsigned word)
{
	return (word & CANCELLED) | (word >= ONE ? LIFE_GUARD_RUNNING : 0);
}

unsigned life_guard_cancel(struct life_guard *guard)
{
	return tell(atomic_fetch_or_explicit(&guard->word, CANCELLED, memory_order_acq_rel));
}

unsigned life_guard_look(const struct life_guard *guard)
{
	return tell(atomic_load_explicit(&guard->word, memory_order_acquire));
}

void life_guard_wait(struct life_guard *guard)
{
	unsigned word = atomic_load_explicit(&guard->word, memory_order_acquire);

	while (word >= ONE) {
		if ((word & WAITED) == 0 &&
			!atomic_compare_exchange_weak_explicit(&guard->word, &word, word | WAITED,
				memory_order_acquire, memory_order_acquire))
			continue;
		syscall(SYS_futex, &guard->word, FUTEX_WAIT_PRIVATE, word | WAITED, NULL, NULL, 0);
		word = atomic_load_explicit(&guard->word, memory_order_acquire);
	}
}
