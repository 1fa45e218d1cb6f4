/* SPDX-License-Identifier: BSD-2-Clause */
/* Pools: which loops there are, under which name. Loops only ever come: their numbers stay. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talev/pool.h>
#include "loops/manager.h"

/* Those of the process. */
static TAILQ_HEAD(, talev_pool) pools = TAILQ_HEAD_INITIALIZER(pools);
static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;

static struct talev_pool *find(const char *name)
{
	struct talev_pool *pool;

	TAILQ_FOREACH (pool, &pools, link)
		if (strcmp(pool->name, name) == 0)
			return pool;
	return NULL;
}

struct talev_pool *pool_create(struct manager *manager, const char *name, const char *where)
{
	struct talev_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	pool->manager = manager;
	pool->where = where;
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	return pool;
}

/* False: the name is taken. */
bool pool_register(struct talev_pool *pool)
{
	pthread_mutex_lock(&pools_lock);
	pool->known = find(pool->name) == NULL;
	if (pool->known)
		TAILQ_INSERT_TAIL(&pools, pool, link);
	pthread_mutex_unlock(&pools_lock);
	return pool->known;
}

void pool_forget(struct talev_pool *pool)
{
	pthread_mutex_lock(&pools_lock);
	if (pool->known)
		TAILQ_REMOVE(&pools, pool, link);
	pool->known = false;
	pthread_mutex_unlock(&pools_lock);
}

/* The lock is held: neither a shutdown nor a pause finds half of it. */
static int add_loop(struct talev_pool *pool)
{
	struct manager *manager = pool->manager;
	unsigned index = atomic_load(&manager->count);
	unsigned number = atomic_load(&pool->count);
	struct talev_loop *loop;

	if (atomic_load(&manager->shutting_down)) {
		errno = ESHUTDOWN;
		return -1;
	}
	if (atomic_load(&manager->pauser) != 0) {
		errno = EBUSY;
		return -1;
	}
	if (index == MANAGER_MOST) {
		errno = EAGAIN;
		return -1;
	}
	loop = loop_create(pool, index, number);
	if (loop == NULL)
		return -1;
	if ((pool->setup != NULL &&
		    jobs_add_setup(loop, pool->setup, pool->private_data, pool->where) != 0) ||
		(manager->go > 0 && run_start_thread(loop) != 0)) {
		int error = errno;

		loop_discard(loop);
		errno = error;
		return -1;
	}
	atomic_store_explicit(&manager->loops[index], loop, memory_order_relaxed);
	atomic_store_explicit(&pool->loops[number], loop, memory_order_relaxed);
	atomic_store_explicit(&pool->count, number + 1, memory_order_release);
	atomic_store_explicit(&manager->count, index + 1, memory_order_release);
	return 0;
}

int talev_pool_grow(struct talev_pool *pool, unsigned n)
{
	struct manager *manager = pool->manager;
	int ret = 0;

	pthread_mutex_lock(&manager->lock);
	if (atomic_load(&manager->state) == MANAGER_ENDED) {
		errno = ESHUTDOWN;
		ret = -1;
	}
	while (ret == 0 && n-- > 0)
		ret = add_loop(pool);
	pthread_mutex_unlock(&manager->lock);
	return ret;
}

static void add_pool(struct manager *manager, struct talev_pool *pool)
{
	pthread_mutex_lock(&manager->lock);
	TAILQ_INSERT_TAIL(&manager->pools, pool, of_manager);
	pthread_mutex_unlock(&manager->lock);
}

struct talev_pool *_talev_pool_create(struct talev_loops *loops, const char *name, unsigned n,
	talev_loop_fn_t setup, void *private_data, const char *where)
{
	struct talev_pool *pool;

	if (loops == NULL || name == NULL || strlen(name) >= sizeof(pool->name)) {
		errno = EINVAL;
		return NULL;
	}
	pool = pool_create(loops->manager, name, where);
	if (pool == NULL)
		return NULL;
	pool->setup = setup;
	pool->private_data = private_data;
	if (!pool_register(pool)) {
		free(pool);
		errno = EEXIST;
		return NULL;
	}
	/* With a loop in it, it goes when the manager goes: somebody may have found it. */
	add_pool(loops->manager, pool);
	if (talev_pool_grow(pool, n) != 0) {
		int error = errno;

		pool_forget(pool);
		errno = error;
		return NULL;
	}
	return pool;
}

struct talev_pool *talev_pool_get(const char *name)
{
	struct talev_pool *pool;

	pthread_mutex_lock(&pools_lock);
	pool = find(name);
	pthread_mutex_unlock(&pools_lock);
	if (pool == NULL)
		errno = ENOENT;
	return pool;
}

struct talev_pool *talev_loop_pool(const struct talev_loop *loop)
{
	return loop->pool;
}

const char *talev_pool_name(const struct talev_pool *pool)
{
	return pool->name;
}

unsigned talev_pool_count(const struct talev_pool *pool)
{
	return atomic_load_explicit(&pool->count, memory_order_acquire);
}

struct talev_loop *talev_pool_loop(struct talev_pool *pool, unsigned i)
{
	return i < talev_pool_count(pool)
		       ? atomic_load_explicit(&pool->loops[i], memory_order_relaxed)
		       : NULL;
}

struct talev_loop *talev_pool_next(struct talev_pool *pool)
{
	unsigned count = talev_pool_count(pool);

	if (count == 0)
		return NULL;
	return talev_pool_loop(
		pool, atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed) % count);
}
