/* SPDX-License-Identifier: BSD-2-Clause */
#include "loops/manager.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <talev/loop.h>
#include "base/base.h"

int thread_create(pthread_t *thread, void *(*fn)(void *arg), void *arg, const char *name)
{
	sigset_t all;
	sigset_t before;
	char cut[16];
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	error = pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0) {
		errno = error;
		return -1;
	}
	/* The kernel takes 15 bytes, and the number at the end is what tells them apart. */
	(void)snprintf(cut, sizeof(cut), "%s", name + (strlen(name) > 15 ? strlen(name) - 15 : 0));
	(void)pthread_setname_np(*thread, cut);
	return 0;
}

/* Until it was released and nothing is left. False: its context is gone. */
static bool turn(struct talev_loop *loop)
{
	int ret;

	if (loop->released && !talev_have_events(loop->ev))
		return false;
	retire_in_loop(loop, true);
	ret = talev_loop_wait(loop->ev);
	retire_in_loop(loop, false);
	if (ret == 0)
		return true;
	if (errno == ESHUTDOWN) {
		base_log(TALEV_LOG_ERROR, "loop %s: its context was freed", loop->name);
		return false;
	}
	/* It stays pending, and may be possible later. */
	base_log(TALEV_LOG_ERROR, "loop %s: error %d", loop->name, errno);
	(void)poll(NULL, 0, 100);
	return true;
}

static void live(struct talev_loop *loop)
{
	struct talev_loop *before = loop_set_current(loop);

	watch_loop_begins(loop);
	retire_begin(loop);
	jobs_run_setup(loop);
	while (turn(loop)) {
	}
	if (loop->index == 0)
		signals_close(loop->manager);
	loop_close(loop);
	loop_set_current(before);
}

static void *thread_main(void *arg)
{
	struct talev_loop *loop = arg;
	struct manager *manager = loop->manager;
	int go;

	pthread_mutex_lock(&manager->lock);
	while (manager->go == 0)
		pthread_cond_wait(&manager->changed, &manager->lock);
	go = manager->go;
	pthread_mutex_unlock(&manager->lock);
	if (go > 0)
		live(loop);
	return NULL;
}

static void join_threads(struct manager *manager)
{
	for (unsigned i = 0; i < manager_count(manager); i++) {
		struct talev_loop *loop = manager_loop(manager, i);

		if (loop->has_thread)
			pthread_join(loop->thread, NULL);
		loop->has_thread = false;
	}
}

int run_start_thread(struct talev_loop *loop)
{
	if (thread_create(&loop->thread, thread_main, loop, loop->name) != 0)
		return -1;
	loop->has_thread = true;
	return 0;
}

/* Under the lock, so that a pool that grows has its threads started by one side only. */
static int start_threads(struct manager *manager)
{
	int ret = 0;

	pthread_mutex_lock(&manager->lock);
	manager->go = 0;
	for (unsigned i = 1; ret == 0 && i < manager_count(manager); i++)
		ret = run_start_thread(manager_loop(manager, i));
	if (ret == 0)
		manager->go = 1;
	pthread_cond_broadcast(&manager->changed);
	pthread_mutex_unlock(&manager->lock);
	return ret;
}

static int give_up(struct manager *manager)
{
	int error = errno;

	pthread_mutex_lock(&manager->lock);
	manager->go = -1;
	pthread_cond_broadcast(&manager->changed);
	pthread_mutex_unlock(&manager->lock);
	join_threads(manager);
	signals_close(manager);
	atomic_store(&manager->state, MANAGER_IDLE);
	errno = error;
	return -1;
}

static int begin(struct manager *manager)
{
	unsigned state = MANAGER_IDLE;

	if (!atomic_compare_exchange_strong(&manager->state, &state, MANAGER_RUNNING)) {
		errno = state == MANAGER_RUNNING ? EBUSY : ESHUTDOWN;
		return -1;
	}
	return 0;
}

static void end(struct manager *manager)
{
	for (unsigned i = 0; i < manager_count(manager); i++)
		if (!manager_loop(manager, i)->ended)
			loop_close(manager_loop(manager, i));
	atomic_store(&manager->state, MANAGER_ENDED);
}

int talev_loops_run(struct talev_loops *loops)
{
	struct manager *manager = loops->manager;

	if (begin(manager) != 0)
		return -1;
	if (atomic_load(&manager->shutting_down)) {
		end(manager);
		return 0;
	}
	if (signals_open(manager) != 0 || start_threads(manager) != 0)
		return give_up(manager);
	/* A handler of the main loop may free the manager. */
	atomic_fetch_add_explicit(&manager->refs, 1, memory_order_relaxed);
	live(manager_loop(manager, 0));
	join_threads(manager);
	report_join(manager);
	atomic_store(&manager->state, MANAGER_ENDED);
	manager_unref(manager);
	return 0;
}
