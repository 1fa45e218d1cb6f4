/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests with several threads share.
 *
 * A failed assertion of cmocka jumps back into the test, which only the test's own thread may do:
 * any other uses demand(), which ends the program.
 */
#ifndef THREAD_THREADS_H
#define THREAD_THREADS_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include "support/support.h"

#define demand(condition)                                                                          \
	((condition) ? (void)0 : demand_failed(#condition, __func__, __location__))

static inline void demand_failed(const char *what, const char *function, const char *location)
{
	fprintf(stderr, "%s: %s does not hold in %s, errno %d\n", location, what, function, errno);
	abort();
}

static inline pthread_t thread_start(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;

	demand(pthread_create(&thread, NULL, fn, arg) == 0);
	return thread;
}

static inline void thread_join(pthread_t thread)
{
	demand(pthread_join(thread, NULL) == 0);
}

static inline void gate_wait(sem_t *gate)
{
	while (sem_wait(gate) != 0)
		demand(errno == EINTR);
}

static inline void gate_open(sem_t *gate)
{
	demand(sem_post(gate) == 0);
}

/* So many of them that it shows, so few that nobody waits for it: full for the plain program. */
static inline unsigned scaled(unsigned full, unsigned slow)
{
	return test_is_slow() ? slow : full;
}

#endif
