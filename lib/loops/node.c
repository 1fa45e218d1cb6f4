/* SPDX-License-Identifier: BSD-2-Clause */
#include "loops/node.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* So many slabs that are free a thread keeps. */
#define SPARE 48

_Thread_local struct node_pool node_pool;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool have_key;

static void slab_free(struct node_slab *slab)
{
	for (size_t i = 0; i < NODES; i++)
		free(slab->nodes[i].data);
	free(slab);
}

static struct node_slab *slab_create(void)
{
	struct node_slab *slab = aligned_alloc(NODE_SLAB, NODE_SLAB);

	if (slab == NULL)
		return NULL;
	atomic_init(&slab->carries, false);
	for (size_t i = 0; i < NODES; i++)
		slab->nodes[i].data = NULL;
	return slab;
}

void node_drop(struct node_slab *slab, unsigned n)
{
	if (atomic_fetch_sub_explicit(&slab->refs, n, memory_order_acq_rel) == n)
		slab_free(slab);
}

static void thread_ends(void *arg)
{
	struct node_pool *mine = arg;
	struct node_slab *slab;

	if (mine->current != NULL)
		node_drop(mine->current, (unsigned)(mine->end - mine->next) + 1);
	mine->current = NULL;
	mine->next = mine->end = NULL;
	while ((slab = TAILQ_FIRST(&mine->full)) != NULL) {
		TAILQ_REMOVE(&mine->full, slab, link);
		node_drop(slab, 1);
	}
	/* Another destructor of this thread may send once more. */
	mine->count = 0;
	mine->known = false;
}

/* Of the first thread nobody says that it ends. */
__attribute__((destructor)) static void process_ends(void)
{
	if (node_pool.known)
		thread_ends(&node_pool);
}

static void make_key(void)
{
	have_key = pthread_key_create(&key, thread_ends) == 0;
}

static bool join(void)
{
	if (node_pool.known)
		return true;
	pthread_once(&once, make_key);
	if (!have_key || pthread_setspecific(key, &node_pool) != 0)
		return false;
	TAILQ_INIT(&node_pool.full);
	node_pool.known = true;
	return true;
}

/* The oldest that is free again. One that a slow receiver holds goes to the end: it is looked at
 * again when all others have been. */
static struct node_slab *reuse(void)
{
	struct node_slab *slab = NULL;

	for (int i = 0; i < 2; i++) {
		slab = TAILQ_FIRST(&node_pool.full);
		if (slab == NULL)
			return NULL;
		TAILQ_REMOVE(&node_pool.full, slab, link);
		if (atomic_load_explicit(&slab->refs, memory_order_acquire) == 1)
			break;
		TAILQ_INSERT_TAIL(&node_pool.full, slab, link);
		slab = NULL;
	}
	if (slab == NULL)
		return NULL;
	node_pool.count--;
	if (node_pool.count > SPARE) {
		struct node_slab *second = TAILQ_FIRST(&node_pool.full);

		if (atomic_load_explicit(&second->refs, memory_order_acquire) == 1) {
			TAILQ_REMOVE(&node_pool.full, second, link);
			node_pool.count--;
			slab_free(second);
		}
	}
	return slab;
}

struct node *node_refill(void)
{
	struct node_slab *slab = NULL;

	if (join()) {
		slab = reuse();
		if (slab == NULL)
			slab = slab_create();
	}
	if (slab == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	atomic_store_explicit(&slab->refs, (unsigned)NODES + 1, memory_order_relaxed);
	node_pool.carries = atomic_load_explicit(&slab->carries, memory_order_relaxed);
	if (node_pool.carries)
		atomic_store_explicit(&slab->carries, false, memory_order_relaxed);
	if (node_pool.current != NULL) {
		TAILQ_INSERT_TAIL(&node_pool.full, node_pool.current, link);
		node_pool.count++;
	}
	node_pool.current = slab;
	node_pool.next = slab->nodes;
	node_pool.end = slab->nodes + NODES;
	return node_pool.next;
}
