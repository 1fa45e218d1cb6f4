/* SPDX-License-Identifier: BSD-2-Clause */
/* A watcher of a descriptor that remembers what it was told. */
#ifndef EVENT_TOLD_H
#define EVENT_TOLD_H

#include "support/support.h"

struct told {
	const char *name;
	struct talev_fd *fde;
	int calls;
	uint16_t flags; /* of the last call */
	bool drain;     /* read what there is */
	void (*act)(struct talev_context *ev, struct told *told);
	void *arg;
};

static inline void on_fd(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *private_data)
{
	struct told *told = private_data;

	assert_ptr_equal(fde, told->fde);
	assert_int_not_equal(flags, 0);
	told->calls++;
	told->flags = flags;
	if (told->drain)
		test_drain(talev_fd_get_fd(fde));
	if (told->name)
		test_note("%s", told->name);
	if (told->act)
		told->act(ev, told);
}

static inline void add(struct talev_context *ev, struct told *told, int fd, uint16_t flags)
{
	told->fde = talev_add_fd(ev, NULL, fd, flags, on_fd, told);
	assert_non_null(told->fde);
}

static inline void close_both(int fds[2])
{
	assert_ok(close(fds[0]));
	assert_ok(close(fds[1]));
}

#endif
