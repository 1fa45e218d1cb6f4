/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work: what is done beside the loops: job queues.
 *
 * Neighbours use the public headers, and what is below.
 */
#ifndef WORK_WORK_H
#define WORK_WORK_H

#include <stdbool.h>
#include <sys/types.h>
#include <talev/time.h>

struct talev_jobq;

/* A job whose function a thread is in. */
struct work_running {
	const char *queue;
	const char *job;      /* the function, as the program spells it */
	const char *location; /* where it was sent */
	talev_time_t since;   /* monotonic */
	pid_t tid;
};

/* Calls fn for each, of all queues. Their locks are held: fn only notes it. Any thread. */
void work_each_running(
	void (*fn)(const struct work_running *running, void *private_data), void *private_data);

/* The one that this thread is in; false: it is in none. */
bool work_current(struct work_running *running);

/* The name of its queue. */
const char *work_queue_name(const struct talev_jobq *jobq);

/* Jobs that begin from now on let that Unix signal come through, so that their thread can be asked
 * what it does. 0: as before. Any thread. */
void work_let_through(int signum);

#endif
