/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What core asks of a backend. A backend knows descriptors, not watchers: core gathers the
 * interest of all watchers of a descriptor, and says what changed before it waits.
 *
 * Called on the context's owner thread only. A backend owns its kernel objects, is a talloc
 * object, and closes them in its destructor without touching what a forked parent shares.
 */
#ifndef CORE_BACKEND_H
#define CORE_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>
#include <talev/fd.h>
#include <talev/time.h>

struct talev_context;

/* Bits of interest and readiness are TALEV_FD_READ, WRITE, ERROR and HUP. With TALEV_FD_EDGE in
 * the interest, readiness may be told once only, until modify() is called again. HUP as interest
 * means POLLRDHUP. The backend reports what the kernel says: READ for POLLIN (and POLLPRI never),
 * WRITE for POLLOUT, ERROR for POLLERR, HUP for POLLHUP or POLLRDHUP; it adds nothing. One bit
 * more: */
#define BACKEND_EVENTS (TALEV_FD_READ | TALEV_FD_WRITE | TALEV_FD_ERROR | TALEV_FD_HUP)
#define BACKEND_HANGUP 0x10 /* POLLHUP itself: both directions are gone; comes with HUP */
#define BACKEND_CLOSED 0x20 /* POLLNVAL: the descriptor is not open any more, and forgotten */

/* The most that one wait() is asked for. */
#define BACKEND_BATCH 256

/* If core does not know this fd with this generation, see rebuild(). */
struct backend_event {
	int fd;
	uint32_t generation; /* as given with modify() */
	uint32_t events;
};

/* The earliest deadline per clock, absolute, TALEV_NEVER for none; indexed by enum talev_clock. */
struct backend_deadlines {
	talev_time_t at[3];
	talev_time_t longest; /* in ns from now, whatever the clocks say; 0: no limit */
};

/* By its address too: nothing to look at. */
extern const struct backend_deadlines backend_no_deadlines;

struct backend {
	const struct backend_ops *ops;
	struct talev_context *ev;
};

/* For modify(): the file behind the descriptor may have changed, make sure that the kernel knows
 * the present one even if the interest is the same. */
#define BACKEND_VERIFY 0x1u
/* For modify(): a descriptor of talev's own that may be edge-triggered, because whoever owns it
 * looks at it once per report and needs no second one. */
#define BACKEND_INTERNAL 0x2u
/* For modify(): a wait follows, which may as well find that the descriptor is not open. */
#define BACKEND_WAITING 0x4u

struct backend_ops {
	const char *name;
	/* Reports a BACKEND_INTERNAL descriptor once for each time it is written, whether it has
	 * been read or not. */
	bool edges;
	/* A wait that has an end costs the kernel a timer, even if something is ready already, and
	 * a look costs less. */
	bool look_first;

	/* NULL: ENOMEM, EMFILE, ENFILE, ... */
	struct backend *(*create)(TALLOC_CTX *mem_ctx);

	/* Interest in fd goes from old_events to new_events; 0 is none. generation comes back with
	 * each report. 0, or -1 with errno:
	 * ESTALE  old_events != 0, but the file that was registered is not behind fd any more: it
	 *         was closed, and another file got the number. The old registration is forgotten;
	 *         core may report it and call again with old_events 0. Not seen by poll.
	 * EBADF   fd is not open; an old registration is forgotten.
	 * EPERM   the kernel cannot watch this file: it is always ready, core takes care.
	 * EINVAL  in a child of fork(2), before rebuild(); giving up all interest succeeds there.
	 * ENOMEM, ENOSPC and others: nothing changed. Never ENOENT nor EEXIST. */
	int (*modify)(struct backend *be, int fd, uint32_t generation, uint32_t old_events,
		uint32_t new_events, unsigned hints);

	/* Waits until something is ready, a deadline has come, or a signal interrupts; reports at
	 * most max (1 to BACKEND_BATCH) descriptors, each registration at most once. block false:
	 * only looks. Returns how many, or -1 with errno: EINTR too, and EINVAL in a child of
	 * fork(2), before rebuild(). 0 when a deadline came, a clock was set, or for no reason:
	 * core looks at the clock itself and waits again. */
	int (*wait)(struct backend *be, const struct backend_deadlines *deadlines, bool block,
		struct backend_event *events, int max);

	/* Forgets every registration and alarm and starts again with new kernel objects, those of
	 * this process; core then calls modify() with old_events 0 for every descriptor. It is the
	 * cure after fork(2), and when wait() reports an fd and generation that core does not know:
	 * a duplicate keeps the registration of a closed descriptor alive, and no call can reach it
	 * any more. get_fd()'s descriptor keeps its number and, unless there was a fork, stays the
	 * same file, so that whoever watches it goes on watching it. -1 with errno: ENOMEM, EMFILE,
	 * ENFILE; nothing changed. */
	int (*rebuild)(struct backend *be);

	/* Optional. True: from here on this thread waits, again and again, and nobody else touches
	 * the backend; what only this thread can undo may be done. False: it is to be undone, for
	 * whoever comes next. Never fails; create() and rebuild() need not remember it. */
	void (*stay)(struct backend *be, bool stays);

	/* A descriptor that polls readable when wait() would not block. Optional (NULL:
	 * EOPNOTSUPP). */
	int (*get_fd)(struct backend *be);
	/* Makes get_fd()'s descriptor readable at these deadlines too. With get_fd. -1: errno. */
	int (*set_alarm)(struct backend *be, const struct backend_deadlines *deadlines);

	/* A clock of its own; NULL: the kernel's. */
	talev_time_t (*now)(struct backend *be, enum talev_clock clock);
};

/* The context's backend, for a room that has its own kind. NULL if ev is closing. */
struct backend *core_get_backend(struct talev_context *ev);

extern const struct backend_ops backend_epoll;
extern const struct backend_ops backend_poll;
extern const struct backend_ops backend_sim;
/* Only in a build with liburing. create() fails with EOPNOTSUPP if the kernel does not let us. */
extern const struct backend_ops backend_uring;

#endif
