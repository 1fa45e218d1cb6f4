/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with io_uring(7) as a door to the kernel: it may be shut, by an administrator
 * (sysctl), by a sandbox (seccomp), or by age, and one learns that only by trying. So it is tried
 * once, and what the kernel said is kept.
 *
 * A ring for one issuer belongs to the thread that made it, for ever; the memory of it is
 * shared with children of fork(2), and its requests go with the thread that made them. So a ring
 * is marked with the thread and the process that made it, and is given up by whoever else finds it.
 *
 * What a thread has registered no other can take back, and it holds the ring, which holds the files
 * that it polls: freed in another thread, a context would leave its ports in use and its pipes open
 * until the first one ends. So a ring is registered only while a loop runs.
 *
 * A number of submissions as the answer hides why the wait behind them ended.
 */
#include "backend/uring_ring.h"
#include <errno.h>
#include <stdatomic.h>
#include "backend/backend.h"
#include "base/base.h"

#define SUBMISSIONS 256u
/* What does not fit is not lost, the kernel keeps it. But it finds a request to cancel in a table
 * whose size it takes from here. */
#define COMPLETIONS 4096u

#define NEEDED                                                                                     \
	(IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_RSRC_TAGS | IORING_FEAT_CQE_SKIP)

/* Best first: Linux 6.1, Linux 5.19. Before that, requests that complete interrupt the system calls
 * of whoever made them. */
static const unsigned setups[] = {
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	IORING_SETUP_COOP_TASKRUN,
};
#define SETUPS (sizeof(setups) / sizeof(setups[0]))

/* The first of setups that may work; SETUPS: none does. */
static atomic_uint usable;

_Thread_local uint64_t ring_this_thread;

/* Never the same for two threads, as pthread_self() is when one has gone. */
static uint64_t this_thread(void)
{
	static atomic_uint_least64_t last;

	if (ring_this_thread == 0)
		ring_this_thread = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	return ring_this_thread;
}

static bool refused_for_good(int error)
{
	return error == ENOSYS || error == EPERM || error == EACCES || error == EINVAL;
}

static int try_setup(struct ring *ring, unsigned flags)
{
	struct io_uring_params params = {
		.flags = flags | IORING_SETUP_CQSIZE,
		.cq_entries = COMPLETIONS,
	};
	int error = -io_uring_queue_init_params(SUBMISSIONS, &ring->io, &params);

	if (error == 0 && (params.features & NEEDED) != NEEDED) {
		io_uring_queue_exit(&ring->io);
		error = EINVAL;
	}
	return error;
}

static void enter_by_descriptor(struct ring *ring)
{
	ring->entry = ring->io.ring_fd;
	ring->entry_flags = IORING_ENTER_GETEVENTS;
}

int ring_open(struct ring *ring)
{
	unsigned setup = atomic_load_explicit(&usable, memory_order_relaxed);

	for (; setup < SETUPS; setup++) {
		int error = try_setup(ring, setups[setup]);

		if (error == 0) {
			ring->open = true;
			ring->thread = this_thread();
			ring->fork_generation = base_fork_generation();
			enter_by_descriptor(ring);
			return 0;
		}
		if (!refused_for_good(error)) {
			errno = error;
			return -1;
		}
		atomic_store_explicit(&usable, setup + 1, memory_order_relaxed);
	}
	errno = EOPNOTSUPP;
	return -1;
}

/* Asks for a ring of no size: who may have one is told that this is none. A real one would have to
 * be closed, and for that the kernel interrupts its thread once, some milliseconds later. */
bool uring_works(void)
{
	struct io_uring_params params = {0};

	return atomic_load_explicit(&usable, memory_order_relaxed) < SETUPS &&
	       io_uring_setup(0, &params) == -EINVAL;
}

/* Closing the ring would do, but not now: a worker of the kernel lets the files go some time later,
 * and until then a port is in use and a pipe has a writer. */
static void cancel_all(struct ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->io);
	unsigned n;

	if (sqe == NULL && ring_submit(ring) == 0)
		sqe = io_uring_get_sqe(&ring->io);
	if (sqe == NULL)
		return;
	io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	do {
		if (ring_submit(ring) != 0)
			return;
		/* That of each request that was taken back. */
		n = io_uring_cq_ready(&ring->io);
		io_uring_cq_advance(&ring->io, n);
	} while (n != 0);
}

void ring_close(struct ring *ring)
{
	if (!ring->open)
		return;
	ring->open = false;
	if (ring_is_mine(ring))
		cancel_all(ring);
	ring_put_away(ring);
	io_uring_queue_exit(&ring->io);
}

/* Not by io_uring_register_ring_fd(): liburing would take back for one thread what another one has
 * registered, which is a ring of its own if it has any. */
void ring_keep_at_hand(struct ring *ring)
{
	struct io_uring_rsrc_update up = {.offset = -1U, .data = (unsigned)ring->io.ring_fd};

	if (ring_at_hand(ring) || io_uring_register((unsigned)ring->io.ring_fd,
					  IORING_REGISTER_RING_FDS, &up, 1) != 1)
		return;
	ring->entry = (int)up.offset;
	ring->entry_flags |= IORING_ENTER_REGISTERED_RING;
}

void ring_put_away(struct ring *ring)
{
	struct io_uring_rsrc_update up = {.offset = (unsigned)ring->entry};

	if (!ring_at_hand(ring))
		return;
	enter_by_descriptor(ring);
	if (ring_is_mine(ring))
		(void)io_uring_register(
			(unsigned)ring->io.ring_fd, IORING_UNREGISTER_RING_FDS, &up, 1);
}

static int failed(int error)
{
	/* Too much is there already: it is looked at next. */
	if (error == EBUSY)
		return 0;
	errno = error == EAGAIN ? ENOMEM : error;
	return -1;
}

int ring_submit(struct ring *ring)
{
	int n = io_uring_submit_and_get_events(&ring->io);

	return n < 0 ? failed(-n) : 0;
}

int ring_wait(struct ring *ring, talev_time_t timeout)
{
	struct timespec ts = base_timespec(timeout);
	struct __kernel_timespec kernel_ts = {.tv_sec = ts.tv_sec, .tv_nsec = ts.tv_nsec};
	talev_time_t end = TALEV_NEVER;
	struct io_uring_cqe *cqe;
	int n;

	if (timeout == TALEV_NEVER) {
		n = io_uring_submit_and_wait(&ring->io, 1);
	} else {
		if (io_uring_sq_ready(&ring->io) != 0)
			end = talev_time_add(base_clock_now(TALEV_CLOCK_MONOTONIC), timeout);
		n = io_uring_submit_and_wait_timeout(&ring->io, &cqe, 1, &kernel_ts, NULL);
	}
	/* Told once only. */
	if (n == -EBADR)
		return failed(EBADR);
	if (io_uring_cq_ready(&ring->io) != 0 || n == -ETIME)
		return 0;
	if (n < 0)
		return failed(-n);
	/* Nothing came, so time has, or a signal, and the kernel does not say which. */
	if (base_clock_now(TALEV_CLOCK_MONOTONIC) >= end)
		return 0;
	errno = EINTR;
	return -1;
}

int ring_heard(const struct ring *ring, int n)
{
	if (n == -ETIME || (n != -EBADR && io_uring_cq_ready(&ring->io) != 0))
		return 0;
	return failed(-n);
}

int ring_listen_until(struct ring *ring, talev_time_t timeout)
{
	struct timespec ts = base_timespec(timeout);
	struct __kernel_timespec kernel_ts = {.tv_sec = ts.tv_sec, .tv_nsec = ts.tv_nsec};
	struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&kernel_ts};
	int n;

	n = io_uring_enter2((unsigned)ring->entry, 0, 1, ring->entry_flags | IORING_ENTER_EXT_ARG,
		(sigset_t *)&arg, sizeof(arg));
	return n >= 0 ? 0 : ring_heard(ring, n);
}
