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
#include "base/likely.h"

struct ring {
	struct io_uring io;
	uint64_t thread;
	unsigned fork_generation;
	int entry; /* what ring_listen() enters: the descriptor, or a number of its thread's */
	unsigned entry_flags;
	bool open;
};

/* For this thread and process. -1: EOPNOTSUPP, ENOMEM, EMFILE, ENFILE. */
int ring_open(struct ring *ring);
/* Takes back all that was asked for if this thread may: the files are let go at once. Else the
 * kernel does so, a little later. */
void ring_close(struct ring *ring);

/* Keeps the ring at hand for this thread, which makes it cheaper to enter. The kernel allows a
 * thread 16, and without it all goes on as before. Until it is put away, or the thread ends, or
 * becomes another program, closing the ring in another thread lets no file go. */
void ring_keep_at_hand(struct ring *ring);
/* For whichever thread: what another one keeps is not touched. */
void ring_put_away(struct ring *ring);
static inline bool ring_at_hand(const struct ring *ring)
{
	return (ring->entry_flags & IORING_ENTER_REGISTERED_RING) != 0;
}

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
/* What io_uring_enter(2) said, if that was an error: 0 or -1, as below. */
int ring_heard(const struct ring *ring, int n);
/* For when there is nothing to submit and nothing has come yet. wait false: only looks. -1: EINTR;
 * EBADR as above. */
static inline int ring_listen(const struct ring *ring, bool wait)
{
	int n = io_uring_enter((unsigned)ring->entry, 0, wait, ring->entry_flags, NULL);

	return likely(n >= 0) ? 0 : ring_heard(ring, n);
}
/* The same, and waits so many ns at most. */
int ring_listen_until(struct ring *ring, talev_time_t timeout);

#endif
