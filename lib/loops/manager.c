/* SPDX-License-Identifier: BSD-2-Clause */
#include "loops/manager.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talev/context.h>
#include <talev/pool.h>
#include "base/base.h"

static _Thread_local struct talev_loop *current;

struct talev_loop *loop_set_current(struct talev_loop *loop)
{
	struct talev_loop *before = current;

	current = loop;
	return before;
}

struct talev_loop *talev_loop_current(void)
{
	return current;
}

static int loop_open(struct talev_loop *loop)
{
	loop->root = talloc_new(NULL);
	if (loop->root == NULL) {
		errno = ENOMEM;
		return -1;
	}
	talloc_set_name_const(loop->root, "talev loop");
	loop->ev = talev_context_init(loop->root);
	if (loop->ev == NULL)
		return -1;
	core_keep(loop->ev, true);
	if (talev_source_set_name(loop->ev, loop->name) != 0)
		return -1;
	loop->mb = mailbox_get(loop->ev);
	if (loop->mb == NULL || async_open(loop) != 0 || jobs_open(loop) != 0 ||
		retire_open(loop) != 0)
		return -1;
	/* It goes on without events until it is released. */
	core_hold(loop->ev);
	return 0;
}

void loop_free(struct talev_loop *loop)
{
	jobs_free(loop);
	if (loop->mb != NULL)
		mailbox_unref(loop->mb);
	free(loop);
}

static void free_context(struct talev_loop *loop)
{
	if (loop->ev != NULL)
		core_keep(loop->ev, false);
	TALLOC_FREE(loop->root);
	loop->ev = NULL;
}

void loop_discard(struct talev_loop *loop)
{
	free_context(loop);
	loop_free(loop);
}

struct talev_loop *loop_create(struct talev_pool *pool, unsigned index, unsigned number)
{
	struct talev_loop *loop = aligned_alloc(THREAD_LINE, sizeof(*loop));
	int error;

	if (loop == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	memset(loop, 0, sizeof(*loop));
	loop->manager = pool->manager;
	loop->pool = pool;
	loop->index = index;
	snprintf(loop->name, sizeof(loop->name), "%s-%u", pool->name, number);
	jobs_init(loop);
	loop->shutdown.ops = &shutdown_ops;
	loop->pause.ops = &pause_ops;
	if (loop_open(loop) == 0)
		return loop;
	error = errno;
	loop_discard(loop);
	errno = error;
	return NULL;
}

void loop_close(struct talev_loop *loop)
{
	struct manager *manager = loop->manager;

	watch_loop_ends(loop);
	async_close(loop);
	retire_close(loop);
	/* Closes the door: what is behind it is dropped, what comes is refused. */
	free_context(loop);
	/* It has run the last of its handlers and finalizers. */
	retire_end(loop);
	pthread_mutex_lock(&manager->lock);
	loop->ended = true;
	pthread_cond_broadcast(&manager->changed);
	pthread_mutex_unlock(&manager->lock);
}

bool manager_idle(const struct manager *manager)
{
	if (atomic_load(&manager->state) == MANAGER_IDLE)
		return true;
	errno = EALREADY;
	return false;
}

static void manager_free(struct manager *manager)
{
	struct talev_pool *pool;

	watch_manager_ends(manager);
	for (unsigned i = 0; i < manager_count(manager); i++)
		loop_free(manager_loop(manager, i));
	while ((pool = TAILQ_FIRST(&manager->pools)) != NULL) {
		TAILQ_REMOVE(&manager->pools, pool, of_manager);
		free(pool);
	}
	pthread_cond_destroy(&manager->changed);
	pthread_mutex_destroy(&manager->lock);
	free(manager);
}

void manager_unref(struct manager *manager)
{
	if (atomic_fetch_sub_explicit(&manager->refs, 1, memory_order_acq_rel) == 1)
		manager_free(manager);
}

static int handle_destructor(struct talev_loops *loops)
{
	struct manager *manager = loops->manager;
	struct talev_pool *pool;

	atomic_store(&manager->handle, NULL);
	pthread_mutex_lock(&manager->lock);
	TAILQ_FOREACH (pool, &manager->pools, of_manager)
		pool_forget(pool);
	pthread_mutex_unlock(&manager->lock);
	if (atomic_load(&manager->state) == MANAGER_RUNNING)
		shutdown_begin(manager);
	else
		for (unsigned i = 0; i < manager_count(manager); i++)
			if (!manager_loop(manager, i)->ended)
				loop_close(manager_loop(manager, i));
	manager_unref(manager);
	return 0;
}

static struct manager *manager_create(const char *name, const char *where)
{
	struct manager *manager = calloc(1, sizeof(*manager));
	struct talev_pool *pool;
	pthread_condattr_t attr;

	if (manager == NULL)
		return NULL;
	pool = pool_create(manager, name, where);
	if (pool == NULL) {
		free(manager);
		return NULL;
	}
	TAILQ_INIT(&manager->pools);
	TAILQ_INSERT_TAIL(&manager->pools, pool, of_manager);
	atomic_init(&manager->refs, 1);
	snprintf(manager->name, sizeof(manager->name), "%s", name);
	manager->grace = TALEV_SEC(5);
	manager->signals = true;
	pthread_mutex_init(&manager->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&manager->changed, &attr);
	pthread_condattr_destroy(&attr);
	return manager;
}

struct talev_loops *_talev_loops_create(
	TALLOC_CTX *mem_ctx, const char *name, unsigned n, const char *where)
{
	struct talev_loops *loops;
	struct talev_pool *pool;

	if (name == NULL || n == 0) {
		errno = EINVAL;
		return NULL;
	}
	loops = talloc_zero(mem_ctx, struct talev_loops);
	if (loops == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	talloc_set_name_const(loops, where + strlen(where) + 1);
	loops->manager = manager_create(name, where);
	if (loops->manager == NULL) {
		talloc_free(loops);
		errno = ENOMEM;
		return NULL;
	}
	atomic_init(&loops->manager->handle, loops);
	talloc_set_destructor(loops, handle_destructor);
	pool = TAILQ_FIRST(&loops->manager->pools);
	if (talev_pool_grow(pool, n) != 0) {
		int error = errno;

		talloc_free(loops);
		errno = error;
		return NULL;
	}
	/* If another manager has that name, the name goes on being the other one's. */
	(void)pool_register(pool);
	return loops;
}

struct talev_loop *talev_loops_main(struct talev_loops *loops)
{
	return talev_loops_get(loops, 0);
}

struct talev_loop *talev_loops_get(struct talev_loops *loops, unsigned i)
{
	struct manager *manager = loops->manager;

	return i < manager_count(manager) ? manager_loop(manager, i) : NULL;
}

unsigned talev_loops_count(const struct talev_loops *loops)
{
	return manager_count(loops->manager);
}

struct talev_context *talev_loop_context(const struct talev_loop *loop)
{
	return loop->ev;
}

struct talev_loops *talev_loop_loops(const struct talev_loop *loop)
{
	return atomic_load(&loop->manager->handle);
}

unsigned talev_loop_index(const struct talev_loop *loop)
{
	return loop->index;
}

const char *talev_loop_name(const struct talev_loop *loop)
{
	return loop->name;
}

struct keeper {
	struct manager *manager;
};

static int keeper_destructor(struct keeper *keeper)
{
	manager_unref(keeper->manager);
	return 0;
}

int talev_loop_keep(TALLOC_CTX *mem_ctx, struct talev_loop *loop)
{
	struct keeper *keeper = talloc(mem_ctx, struct keeper);

	if (keeper == NULL) {
		errno = ENOMEM;
		return -1;
	}
	keeper->manager = loop->manager;
	atomic_fetch_add_explicit(&keeper->manager->refs, 1, memory_order_relaxed);
	talloc_set_destructor(keeper, keeper_destructor);
	return 0;
}

int talev_loops_set_grace(struct talev_loops *loops, talev_time_t grace)
{
	if (grace < 0) {
		errno = EINVAL;
		return -1;
	}
	if (!manager_idle(loops->manager))
		return -1;
	loops->manager->grace = grace;
	return 0;
}

int talev_loops_set_signals(struct talev_loops *loops, bool on)
{
	if (!manager_idle(loops->manager))
		return -1;
	loops->manager->signals = on;
	return 0;
}
