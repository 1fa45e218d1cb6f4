/* SPDX-License-Identifier: BSD-2-Clause */
/* What a fork(2) does to queues: see forks.c. */
#ifndef WORK_FORKS_H
#define WORK_FORKS_H

#include <stdatomic.h>
#include <stdbool.h>

struct jobq;

/* Changes in the child. Any thread. */
extern atomic_uint forks_generation __attribute__((visibility("hidden")));
static inline unsigned fork_generation(void)
{
	return atomic_load_explicit(&forks_generation, memory_order_relaxed);
}

/* All queues are known from their creation on, and open ones by name. Not with a queue's lock held.
 * add: -1: EEXIST, ENOMEM. get: with one more reference, or NULL. */
int forks_add(struct jobq *q);
void forks_close(struct jobq *q);
void forks_remove(struct jobq *q);
struct jobq *forks_get(const char *name);
/* Calls fn for all, or all that are open, oldest first. fn may lock q, and not come here again. */
void forks_each(bool open, void (*fn)(struct jobq *q, void *private_data), void *private_data);

#endif
