/* SPDX-License-Identifier: BSD-2-Clause */
/* Safe memory, inside the room: see retire.c for the protocol. */
#ifndef LOOPS_RETIRE_H
#define LOOPS_RETIRE_H

#include <stdatomic.h>
#include <bsd/sys/queue.h>
#include "core/core.h"

struct talev_loop;
struct talev_timer;

struct reader {
	struct core_hook hook;
	LIST_ENTRY(reader) link; /* of the process, while its loop runs */
	struct talev_loop *loop;
	struct talev_context *ev;
	atomic_ulong seen; /* the epoch in which it last was between two handlers; or AWAY */
	bool running;      /* it is in its loop, and not in a job around that */
	bool begun;
	bool closed; /* nothing can be retired there any more */
	/* What its own handlers have retired. */
	TALLOC_CTX *gathering; /* since the last batch began to wait */
	TALLOC_CTX *waiting;   /* the batch that waits */
	bool any;              /* is there something in gathering */
	atomic_bool waits;     /* is there something in waiting */
	unsigned long target;  /* the epoch that everybody has to have seen for that */
	atomic_bool look;      /* somebody has moved on since it was last looked */
	atomic_bool nudged;    /* nudge is on its way */
	struct core_post nudge;
	struct source *reaper;        /* frees the batch, as a handler of the loop */
	struct talev_timer *patience; /* tells what it waits for */
};

int retire_open(struct talev_loop *loop);
/* Its thread begins; its context is about to go; it has gone. */
void retire_begin(struct talev_loop *loop);
void retire_close(struct talev_loop *loop);
void retire_end(struct talev_loop *loop);
/* Around the loop itself: handlers that run outside of it are one long handler. */
void retire_in_loop(struct talev_loop *loop, bool inside);

#endif
