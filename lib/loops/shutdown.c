/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two phases. Shutdown: each loop runs its teardown jobs; it takes all that is sent, and may make
 * what it likes. Release, which comes when all loops have run all of theirs: a loop ends when
 * nothing is left in it. Since the release is sent after everything that any teardown job sent, no
 * loop ends before that has arrived.
 */
#include "loops/manager.h"

static struct talev_loop *loop_of_shutdown(struct core_post *post)
{
	return (struct talev_loop *)((char *)post - offsetof(struct talev_loop, shutdown));
}

static struct talev_loop *loop_of_release(struct core_post *post)
{
	return (struct talev_loop *)((char *)post - offsetof(struct talev_loop, release));
}

static void deliver_shutdown(struct talev_context *ev, struct core_post *post)
{
	struct talev_loop *loop = loop_of_shutdown(post);

	(void)ev;
	report_start(loop->manager);
	core_post(loop->closer);
}

/* Its context went before the shutdown got there. */
static void drop_shutdown(struct talev_context *ev, struct core_post *post)
{
	(void)ev;
	shutdown_torn_down(loop_of_shutdown(post)->manager);
}

static void deliver_release(struct talev_context *ev, struct core_post *post)
{
	loop_of_release(post)->released = true;
	core_release(ev);
}

static void drop_release(struct talev_context *ev, struct core_post *post)
{
	(void)ev;
	(void)post;
}

const struct core_post_ops shutdown_ops = {.deliver = deliver_shutdown, .drop = drop_shutdown};
static const struct core_post_ops release_ops = {.deliver = deliver_release, .drop = drop_release};

void shutdown_begin(struct manager *manager)
{
	bool first;

	pthread_mutex_lock(&manager->lock);
	first = !atomic_exchange(&manager->shutting_down, true);
	if (first)
		atomic_store(&manager->teardowns, manager_count(manager));
	pthread_mutex_unlock(&manager->lock);
	if (!first)
		return;
	for (unsigned i = 0; i < manager_count(manager); i++) {
		struct talev_loop *loop = manager_loop(manager, i);

		if (mailbox_send(loop->mb, &loop->shutdown) != 0)
			shutdown_torn_down(manager);
	}
}

void shutdown_torn_down(struct manager *manager)
{
	if (atomic_fetch_sub(&manager->teardowns, 1) != 1)
		return;
	for (unsigned i = 0; i < manager_count(manager); i++) {
		struct talev_loop *loop = manager_loop(manager, i);

		loop->release.ops = &release_ops;
		(void)mailbox_send(loop->mb, &loop->release);
	}
}

void talev_loops_shutdown(struct talev_loops *loops)
{
	struct manager *manager = loops->manager;

	/* The main loop may end by this, and with it the program that has the handle. */
	atomic_fetch_add_explicit(&manager->refs, 1, memory_order_relaxed);
	shutdown_begin(manager);
	manager_unref(manager);
}

bool talev_loop_shutting_down(const struct talev_loop *loop)
{
	return atomic_load(&loop->manager->shutting_down);
}
