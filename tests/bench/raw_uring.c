/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floor on io_uring: multishot poll, one system call for all changes and the wait, a single
 * issuer whose completions come when it asks (IORING_SETUP_DEFER_TASKRUN).
 */
#include <liburing.h>
#include <poll.h>
#include "bench/echo.h"

static struct io_uring ring;

static void start(void)
{
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
						  IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
		.cq_entries = 32768};

	if (io_uring_queue_init_params(1024, &ring, &params) != 0)
		exit(NOT_THERE);
	io_uring_register_ring_fd(&ring);
}

static struct io_uring_sqe *entry(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (sqe == NULL) {
		need(io_uring_submit(&ring) > 0);
		sqe = io_uring_get_sqe(&ring);
		need(sqe != NULL);
	}
	return sqe;
}

static void watch(int fd, uint64_t data)
{
	struct io_uring_sqe *sqe = entry();

	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	io_uring_sqe_set_data64(sqe, data);
}

/* The next completion, or NULL when those of this wait are used up. */
static bool next_ready(uint64_t *data, unsigned *left, struct io_uring_cqe **cqe)
{
	if (*left == 0)
		return false;
	--*left;
	need(io_uring_peek_cqe(&ring, cqe) == 0);
	*data = (*cqe)->user_data;
	need((*cqe)->res > 0 && (*cqe)->flags & IORING_CQE_F_MORE);
	io_uring_cqe_seen(&ring, *cqe);
	return true;
}

static unsigned wait_for_some(void)
{
	need(io_uring_submit_and_wait(&ring, 1) >= 0);
	return io_uring_cq_ready(&ring);
}

static void pipes_row(void)
{
	struct io_uring_cqe *cqe;
	uint64_t i;

	start();
	make_pipes();
	for (unsigned k = 0; k < n_pipes; k++)
		watch(pipes[k][0], k);
	need(io_uring_submit(&ring) >= 0);
	start_round();
	for (;;) {
		unsigned n = wait_for_some();

		while (next_ready(&i, &n, &cqe))
			if (pass_on((unsigned)i))
				return;
	}
}

static void serve(bool tcp)
{
	struct io_uring_cqe *cqe;
	uint64_t fd;

	start();
	start_client(tcp);
	for (unsigned i = 0; i < connections; i++)
		watch(server_ends[i], (uint64_t)server_ends[i]);
	for (bool over = false; !over;) {
		unsigned n = wait_for_some();

		while (!over && next_ready(&fd, &n, &cqe))
			if (!echo((int)fd))
				over = connection_over((int)fd);
	}
	end_echo();
}

static void echo_unix_row(void)
{
	serve(false);
}

static void echo_tcp_row(void)
{
	serve(true);
}

static const struct row rows[] = {
	{"pipes", pipes_row},
	{"echo_unix", echo_unix_row},
	{"echo_tcp", echo_tcp_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows);
}
