/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with fork(2): the child shares epoll instances, eventfds and open files with its
 * parent, so that tidying up in the child takes things away from the parent, and nothing in the
 * copied memory tells which of the two one is. Comparing getpid() costs a system call each time
 * and is fooled when process numbers are used again; a handler that runs in the child is not.
 */
#include "base/fork.h"
#include <pthread.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
atomic_uint base_forks;
atomic_bool base_forks_watched;

static void count_fork(void)
{
	atomic_fetch_add_explicit(&base_forks, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
	if (pthread_atfork(NULL, NULL, count_fork) == 0)
		atomic_store_explicit(&base_forks_watched, true, memory_order_release);
}

unsigned base_fork_generation_slow(void)
{
	pthread_once(&once, watch_forks);
	if (atomic_load_explicit(&base_forks_watched, memory_order_acquire))
		return atomic_load_explicit(&base_forks, memory_order_relaxed);
	/* No memory for the handler: the process number is the next best thing that changes. */
	return (unsigned)getpid();
}
