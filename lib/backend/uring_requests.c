/* SPDX-License-Identifier: BSD-2-Clause */
/* What the uring backend tells the kernel, and is told. */
#include "backend/uring.h"
#include <errno.h>
#include "backend/pollmask.h"

/* As many completions as the kernel is known to hand out at least for one system call. */
#define AT_ONCE 16

/* User data that is no descriptor. */
#define DATA_IGNORE       (URING_OTHER + 0)
#define DATA_LEAVE        (URING_OTHER + 1)
#define DATA_ALARM(clock) (URING_OTHER + 2 + (uint32_t)(clock))

static uint64_t data_of(const struct entry *e)
{
	return (uint64_t)e->serial << 32 | (uint32_t)e->fd;
}

static void take_other(struct uring_backend *ub, uint32_t what, const struct io_uring_cqe *cqe)
{
	int clock = (int)(what - DATA_ALARM(0));

	if (what == DATA_LEAVE)
		ub->leaving = 0;
	if (what < DATA_ALARM(0))
		return;
	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		ub->alarm_armed[clock] = false;
		ub->alarm_unarmed = true;
	}
	alarm_drain(&ub->alarms, (enum talev_clock)clock);
	ub->alarmed = true;
}

void uring_take(struct uring_backend *ub, const struct io_uring_cqe *cqe)
{
	uint32_t low = (uint32_t)cqe->user_data;
	struct entry *e;

	if (low >= URING_OTHER) {
		take_other(ub, low, cqe);
		return;
	}
	e = uring_find(ub, (int)low);
	if (cqe->user_data == ub->leaving && !(cqe->flags & IORING_CQE_F_MORE))
		ub->leaving = 0;
	/* Of a request that was given up. */
	if (e == NULL || e->serial != (uint32_t)(cqe->user_data >> 32))
		return;
	if (!(cqe->flags & IORING_CQE_F_MORE))
		e->serial = 0;
	if (cqe->res < 0 && cqe->res != -EBADF && cqe->res != -ECANCELED)
		ub->refused = -cqe->res;
	e->told = false;
	if (uring_is_edge(e) && (cqe->res & ~URING_PLAIN) == 0 &&
		(e->place != URING_MAYBE || e->news != 0))
		e->news = (short)(e->news | (cqe->res & pollmask_from(e->events)));
	else
		e->news = 0;
	if (e->place != URING_MAYBE)
		uring_place(ub, e, URING_MAYBE);
}

/* Returns how many there were. */
static int take_all(struct uring_backend *ub)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;

	io_uring_for_each_cqe(&ub->ring.io, head, cqe)
	{
		uring_take(ub, cqe);
		n++;
	}
	io_uring_cq_advance(&ub->ring.io, n);
	return (int)n;
}

/* -1, or how many completions came with it. */
static int submit(struct uring_backend *ub)
{
	int result = ring_submit(&ub->ring);
	int n = take_all(ub);

	if (likely(result == 0))
		return n;
	return errno == EBADR ? uring_start_again(ub) : -1;
}

/* A context may be made in one thread and used in another. */
int uring_claim(struct uring_backend *ub)
{
	return ring_is_mine(&ub->ring) ? 0 : uring_start_again(ub);
}

/* Room for so many submissions, so that taking them changes nothing. */
static int make_room(struct uring_backend *ub, unsigned n)
{
	if (io_uring_sq_space_left(&ub->ring.io) >= n)
		return 0;
	if (submit(ub) < 0)
		return -1;
	if (io_uring_sq_space_left(&ub->ring.io) >= n)
		return 0;
	errno = ENOMEM;
	return -1;
}

static void cancel(struct uring_backend *ub, uint64_t request, uint32_t data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ub->ring.io);

	io_uring_prep_cancel64(sqe, request, 0);
	sqe->user_data = data;
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

static void arm(struct uring_backend *ub, int fd, short mask, uint64_t data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ub->ring.io);

	io_uring_prep_poll_multishot(sqe, fd, (unsigned short)mask);
	sqe->user_data = data;
}

static int prepare_alarms(struct uring_backend *ub)
{
	for (int clock = 0; clock < BASE_CLOCKS; clock++) {
		if (ub->alarms.of[clock].fd < 0 || ub->alarm_armed[clock])
			continue;
		if (make_room(ub, 1) != 0)
			return -1;
		arm(ub, ub->alarms.of[clock].fd, POLLIN, DATA_ALARM(clock));
		ub->alarm_armed[clock] = true;
	}
	return 0;
}

/* Writes down for the kernel what it has to know before it waits. */
static int prepare(struct uring_backend *ub)
{
	struct entry *e;

	if (ub->alarm_unarmed) {
		/* Before: what makes room may take one away. */
		ub->alarm_unarmed = false;
		if (prepare_alarms(ub) != 0) {
			ub->alarm_unarmed = true;
			return -1;
		}
	}
	while (!TAILQ_EMPTY(&ub->arm)) {
		if (make_room(ub, 2) != 0)
			return -1;
		e = TAILQ_FIRST(&ub->arm);
		if (e == NULL)
			break;
		uring_place(ub, e, URING_NONE);
		if (e->serial != 0)
			cancel(ub, data_of(e), DATA_IGNORE);
		if (++ub->serial == 0)
			ub->serial++;
		e->serial = ub->serial;
		e->armed = e->events;
		arm(ub, e->fd, pollmask_from(e->events), data_of(e));
	}
	return 0;
}

void uring_forget_now(struct uring_backend *ub, struct entry *e)
{
	uint64_t request = data_of(e);
	bool armed = e->serial != 0;
	uint32_t rounds = ub->page_count * URING_PAGE / AT_ONCE + 2;

	uring_forget(ub, e);
	/* In another thread this starts again: nothing is armed any more. */
	if (!armed || uring_claim(ub) != 0 || make_room(ub, 1) != 0)
		return;
	ub->leaving = request;
	cancel(ub, request, DATA_LEAVE);
	do {
		if (submit(ub) < 0 && errno != EINTR)
			break;
	} while (ub->leaving != 0 && rounds-- > 0);
	ub->leaving = 0;
}

static void disarm(struct uring_backend *ub, struct entry *e)
{
	e->serial = 0;
	if (e->place == URING_NONE)
		uring_place(ub, e, URING_ARM);
}

int uring_replace_ring(struct uring_backend *ub)
{
	struct ring ring;

	if (ring_open(&ring) != 0)
		return -1;
	/* In a child that a handler has forked, or when news was lost, the loop goes on. */
	if (ring_at_hand(&ub->ring) && ub->ring.thread == ring_this_thread)
		ub->settling = 1;
	ring_close(&ub->ring);
	ub->ring = ring;
	for (int clock = 0; clock < BASE_CLOCKS; clock++)
		ub->alarm_armed[clock] = false;
	ub->alarm_unarmed = true;
	ub->leaving = 0;
	return 0;
}

int uring_start_again(struct uring_backend *ub)
{
	if (uring_replace_ring(ub) != 0)
		return -1;
	uring_each(ub, disarm);
	return 0;
}

int uring_exchange(struct uring_backend *ub, int max)
{
	ub->unseen = 0;
	if (prepare(ub) != 0)
		return -1;
	for (int left = max; left > 0; left -= AT_ONCE) {
		int n = submit(ub);

		if (n < 0)
			return -1;
		if (n < AT_ONCE || ub->maybe_count >= (uint32_t)max)
			break;
	}
	return 0;
}

int uring_sleep(struct uring_backend *ub, talev_time_t timeout, int max)
{
	int result;
	int n;

	if (prepare(ub) != 0)
		return -1;
	result = ring_wait(&ub->ring, timeout);
	n = take_all(ub);
	if (result != 0)
		return errno == EBADR ? uring_start_again(ub) : -1;
	return n >= AT_ONCE ? uring_exchange(ub, max) : 0;
}
