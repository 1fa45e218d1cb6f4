/* SPDX-License-Identifier: BSD-2-Clause */
/* The short way of the uring backend: edges, one after the other, as the ring tells them. */
#include "backend/uring.h"
#include <errno.h>
#include "backend/pollmask.h"

/* What a completion says of an edge that is armed as it should be, and stays so: that it is there.
 * 0: it says more than that, or less. */
static inline uint32_t plain_edge(const struct entry *e, const struct io_uring_cqe *cqe)
{
	if (unlikely(e->serial != (uint32_t)(cqe->user_data >> 32) || e->place != URING_NONE ||
		     e->armed != e->events || !uring_is_edge(e) ||
		     !(cqe->flags & IORING_CQE_F_MORE)))
		return 0;
	if (likely(cqe->res == POLLIN))
		return e->events & TALEV_FD_READ;
	if ((cqe->res & ~URING_PLAIN) != 0)
		return 0;
	return pollmask_to((short)(cqe->res & pollmask_from(e->events)));
}

/* Takes completions until max are to be reported, and returns how many are. */
static inline int take_edges(struct uring_backend *ub, struct backend_event *events, int max)
{
	struct io_uring_cq *cq = &ub->ring.io.cq;
	const struct io_uring_cqe *cqes = cq->cqes;
	unsigned mask = cq->ring_mask;
	unsigned head = *cq->khead;
	unsigned tail = io_uring_smp_load_acquire(cq->ktail);
	int n = 0;

	for (; head != tail && n < max; head++) {
		const struct io_uring_cqe *cqe = &cqes[head & mask];
		uint32_t low = (uint32_t)cqe->user_data;
		struct entry *e = likely(low < URING_OTHER) ? uring_find(ub, (int)low) : NULL;
		uint32_t told = likely(e != NULL) ? plain_edge(e, cqe) : 0;

		if (unlikely(told == 0)) {
			uring_take(ub, cqe);
		} else if (unlikely(e->at < n && events[e->at].fd == e->fd)) {
			events[e->at].events |= told;
		} else {
			e->told = true;
			e->at = (uint16_t)n;
			events[n++] = (struct backend_event){
				.fd = (int)low, .generation = e->generation, .events = told};
		}
	}
	io_uring_smp_store_release(cq->khead, head);
	return n;
}

static inline void begin(struct uring_backend *ub)
{
	ub->unseen = 0;
	if (unlikely(ub->settling > 0) && --ub->settling == 0)
		ring_keep_at_hand(&ub->ring);
}

/* What was lost is asked for anew. */
__attribute__((noinline)) static int not_heard(
	struct uring_backend *ub, bool wait, struct backend_event *events, int max)
{
	if (errno != EBADR || uring_start_again(ub) != 0)
		return -1;
	return uring_ask(ub, false, wait ? &backend_no_deadlines : NULL, events, max);
}

int uring_listen(struct uring_backend *ub, bool wait, struct backend_event *events, int max)
{
	int n;

	begin(ub);
	if (likely(io_uring_cq_ready(&ub->ring.io) == 0) &&
		unlikely(ring_listen(&ub->ring, wait) != 0))
		return not_heard(ub, wait, events, max);
	n = take_edges(ub, events, max);
	if (likely(n != 0))
		return n;
	return uring_ask(ub, true, wait ? &backend_no_deadlines : NULL, events, max);
}

int uring_listen_until(
	struct uring_backend *ub, talev_time_t timeout, struct backend_event *events, int max)
{
	int n;

	begin(ub);
	if (io_uring_cq_ready(&ub->ring.io) == 0 && ring_listen_until(&ub->ring, timeout) != 0)
		return not_heard(ub, false, events, max);
	n = take_edges(ub, events, max);
	/* The end of the wait has come, or something has. */
	return n != 0 ? n : uring_ask(ub, true, NULL, events, max);
}
