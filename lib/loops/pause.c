/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everybody else stands still. The post that asks for it is answered where it is delivered, between
 * two handlers, so whatever else a loop has to do waits behind it.
 */
#include "loops/manager.h"

#include <errno.h>

static struct talev_loop *loop_of_pause(struct core_post *post)
{
	return (struct talev_loop *)((char *)post - offsetof(struct talev_loop, pause));
}

static void count_parked(struct manager *manager)
{
	manager->parked++;
	pthread_cond_broadcast(&manager->changed);
}

static void deliver_pause(struct talev_context *ev, struct core_post *post)
{
	struct manager *manager = loop_of_pause(post)->manager;
	unsigned pause;

	core_rest(ev, true);
	pthread_mutex_lock(&manager->lock);
	pause = manager->pauses;
	count_parked(manager);
	while (manager->pauses == pause)
		pthread_cond_wait(&manager->changed, &manager->lock);
	pthread_mutex_unlock(&manager->lock);
	core_rest(ev, false);
}

/* It ends: nothing runs there any more. */
static void drop_pause(struct talev_context *ev, struct core_post *post)
{
	struct manager *manager = loop_of_pause(post)->manager;

	(void)ev;
	pthread_mutex_lock(&manager->lock);
	count_parked(manager);
	pthread_mutex_unlock(&manager->lock);
}

const struct core_post_ops pause_ops = {.deliver = deliver_pause, .drop = drop_pause};

/* The address of something that each thread has for itself. */
static uintptr_t mark_of_thread(void)
{
	static _Thread_local char mark;

	return (uintptr_t)&mark;
}

/* Under the lock: a pool does not grow meanwhile. */
static int begin(struct manager *manager)
{
	uintptr_t pauser = 0;
	int ret = -1;

	pthread_mutex_lock(&manager->lock);
	if (manager->go <= 0 || atomic_load(&manager->state) != MANAGER_RUNNING)
		errno = EINVAL;
	else if (!atomic_compare_exchange_strong(&manager->pauser, &pauser, mark_of_thread()))
		errno = pauser == mark_of_thread() ? EALREADY : EBUSY;
	else
		ret = 0;
	pthread_mutex_unlock(&manager->lock);
	return ret;
}

int talev_loops_pause(struct talev_loops *loops)
{
	struct manager *manager = loops->manager;
	unsigned asked = 0;

	if (begin(manager) != 0)
		return -1;
	for (unsigned i = 0; i < manager_count(manager); i++) {
		struct talev_loop *loop = manager_loop(manager, i);

		/* Who refuses it has ended. */
		if (loop != talev_loop_current() && mailbox_send(loop->mb, &loop->pause) == 0)
			asked++;
	}
	pthread_mutex_lock(&manager->lock);
	while (manager->parked < asked)
		pthread_cond_wait(&manager->changed, &manager->lock);
	pthread_mutex_unlock(&manager->lock);
	return 0;
}

int talev_loops_resume(struct talev_loops *loops)
{
	struct manager *manager = loops->manager;

	if (atomic_load(&manager->pauser) != mark_of_thread()) {
		errno = EINVAL;
		return -1;
	}
	pthread_mutex_lock(&manager->lock);
	manager->parked = 0;
	manager->pauses++;
	pthread_cond_broadcast(&manager->changed);
	pthread_mutex_unlock(&manager->lock);
	atomic_store(&manager->pauser, 0);
	return 0;
}
