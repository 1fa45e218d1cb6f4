/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A watcher inside of a chunk of somebody else's: for the drop-in libtevent.so.0, whose own struct
 * would otherwise be a second chunk for each descriptor.
 *
 * It is a struct talev_fd for the functions of talev/fd.h, and for handlers; not for those that
 * take any source, for talloc does not know it. Nobody may free it, finalize it or refer to it, and
 * it has no close function.
 */
#ifndef EVENT_FD_INSIDE_H
#define EVENT_FD_INSIDE_H

#include <stdint.h>
#include <talev/fd.h>

struct fd_inside {
	uint64_t space[11]; /* zero at first, and never used again */
};

static inline struct talev_fd *fd_inside_watcher(struct fd_inside *inside)
{
	return (struct talev_fd *)inside;
}

/* _talev_add_fd(), with arguments that are right, in that space. -1: errno as there. Before the
 * space goes, fd_inside_remove(), also after an error. */
int fd_inside_add(struct fd_inside *inside, struct talev_context *ev, int fd, uint16_t flags,
	talev_fd_handler_t handler, void *private_data, const char *where);
void fd_inside_remove(struct fd_inside *inside);

#endif
