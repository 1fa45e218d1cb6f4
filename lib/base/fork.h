/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_FORK_H
#define BASE_FORK_H

#include <stdatomic.h>
#include <stdbool.h>
#include "base/likely.h"

extern atomic_uint base_forks;
extern atomic_bool base_forks_watched; /* they are counted */
/* The first time; and whenever they cannot be counted. */
unsigned base_fork_generation_slow(void);

/* Counts the fork(2)s between this process and the one that first asked; by pthread_atfork(3), so
 * a bare clone(2) is not seen. */
static inline unsigned base_fork_generation(void)
{
	if (likely(atomic_load_explicit(&base_forks_watched, memory_order_acquire)))
		return atomic_load_explicit(&base_forks, memory_order_relaxed);
	return base_fork_generation_slow();
}

#endif
