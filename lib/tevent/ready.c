/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From talev's readiness to tevent's, which knows errors and hang-ups differently:
 *
 *   who wants READ is told READ, who wants ERROR is told ERROR;
 *   who wants WRITE alone is told nothing, and its WRITE is taken away;
 *   a peer that only shut down its sending side is an error for who wants ERROR. Who wants WRITE
 *   alone goes on writing: tevent since 0.16 stops there, which is a mistake.
 *
 * talev tells a writer of errors as readiness to write, and its HUP may be either kind of hang-up.
 * So where one of them comes up, poll(2) is asked what the kernel really says. The ordinary path
 * asks nobody.
 */
#include "tevent/event.h"

#include <poll.h>
#include <talev/fd.h>

static bool only_writes(const struct tevent_fd *fde)
{
	return (fde->flags & (TEVENT_FD_READ | TEVENT_FD_WRITE | TEVENT_FD_ERROR)) ==
	       TEVENT_FD_WRITE;
}

uint16_t fd_interest(const struct tevent_fd *fde)
{
	uint16_t interest = 0;

	if ((fde->flags & TEVENT_FD_READ) != 0)
		interest |= TALEV_FD_READ;
	if ((fde->flags & TEVENT_FD_WRITE) != 0)
		interest |= TALEV_FD_WRITE | TALEV_FD_ERROR;
	if ((fde->flags & TEVENT_FD_ERROR) != 0)
		interest |= TALEV_FD_ERROR | TALEV_FD_HUP;
	/* A half-closed peer stays so, and would end every wait. */
	if (only_writes(fde) && !fde->half_closed)
		interest |= TALEV_FD_HUP;
	return interest;
}

/* What tevent tells of it, of what is wanted. */
static uint16_t translate(const struct tevent_fd *fde, short events)
{
	bool error = (events & (POLLERR | POLLHUP)) != 0;
	uint16_t flags = 0;

	if ((events & POLLIN) != 0 || error)
		flags |= TEVENT_FD_READ;
	if ((events & POLLOUT) != 0)
		flags |= TEVENT_FD_WRITE;
	if ((events & POLLRDHUP) != 0 || error)
		flags |= TEVENT_FD_ERROR;
	return flags & fde->flags;
}

static bool look(struct tevent_fd *fde)
{
	struct pollfd pfd = {.fd = fde->fd, .events = POLLIN | POLLOUT | POLLRDHUP};
	uint16_t flags;

	if (poll(&pfd, 1, 0) <= 0)
		return false;
	if (only_writes(fde)) {
		if ((pfd.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
			tevent_fd_set_flags(fde, 0);
			return true;
		}
		if ((pfd.revents & POLLRDHUP) != 0 && !fde->half_closed) {
			fde->half_closed = true;
			talev_fd_set_flags(fde->watcher, fd_interest(fde));
		}
	}
	flags = translate(fde, pfd.revents);
	if (flags == 0)
		return false;
	fd_invoke(fde, flags, NULL);
	return true;
}

bool fd_ready(struct tevent_fd *fde, uint16_t told)
{
	uint16_t flags = 0;

	if ((told & (TALEV_FD_ERROR | TALEV_FD_HUP)) != 0 || (fde->half_closed && only_writes(fde)))
		return look(fde);
	if ((told & TALEV_FD_READ) != 0)
		flags |= TEVENT_FD_READ;
	if ((told & TALEV_FD_WRITE) != 0)
		flags |= TEVENT_FD_WRITE;
	fd_invoke(fde, flags, NULL);
	return true;
}
