/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ring of io_uring(7), and the thread that may use it. Belongs to one backend.
 *
 * What ring_submit() and ring_wait() found is in the completion queue afterwards, also when they
 * fail.
 */
#ifndef BACKEND_URING_RING_H
#define BACKEND_URING_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <talev/time.h>
#include "base/fork.h"

struct ring {
	struct io_uring io;
	uint64_t thread;
	unsigned fork_generation;
	bool open;
};

/* For this thread and process. -1: EOPNOTSUPP, ENOMEM, EMFILE, ENFILE. */
int ring_open(struct ring *ring);
/* Takes back all that was asked for if this thread may: the files are let go at once. Else the
 * kernel does so, a little later. */
void ring_close(struct ring *ring);

/* Of the thread that runs; 0: it has not made any ring yet. */
extern _Thread_local uint64_t ring_this_thread;

/* The other calls are for this thread and process only. */
static inline bool ring_is_mine(const struct ring *ring)
{
	return ring->thread == ring_this_thread && ring->fork_generation == base_fork_generation();
}

/* Does the kernel know all that was submitted? Unless it had no memory. */
static inline bool ring_all_told(const struct ring *ring)
{
	return io_uring_sq_ready(&ring->io) == 0;
}

/* Tells the kernel all changes, and takes some of what is there. -1: EINTR, ENOMEM; EBADR:
 * completions were lost. */
int ring_submit(struct ring *ring);
/* The same, and waits for one completion, so many ns at most, TALEV_NEVER for ever. -1: as above.
 */
int ring_wait(struct ring *ring, talev_time_t timeout);
/* The same when there is nothing to submit and nothing has come yet. 0: does not wait. */
int ring_listen(struct ring *ring, talev_time_t timeout);

#endif
