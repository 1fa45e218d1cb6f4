/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way back: what threads have finished, to the loop that asked for it. There is one hub for
 * each context. However much is finished at a time, it is one message in the context's mailbox.
 */
#ifndef WORK_HUB_H
#define WORK_HUB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <bsd/sys/queue.h>
#include "thread/thread.h"

struct hub;
struct outcome;

struct outcome_ops {
	/* On the owner's thread, in its loop. */
	void (*deliver)(struct outcome *outcome);
	/* Instead of deliver: the loop has gone. On the thread that closes it, or that of a worker.
	 */
	void (*lost)(struct outcome *outcome);
	/* Instead of deliver, in a child of fork(2): it is the parent's. Owner's thread. */
	void (*forked)(struct outcome *outcome);
};

/* Embedded in whatever will be finished. */
struct outcome {
	struct outcome *next;
	const struct outcome_ops *ops;
	struct hub *hub;
	LIST_ENTRY(outcome) link; /* in the hub: sent for, not yet back */
};

/* The hub of ev will hear of it: outcome->hub is set. Owner. -1: as mailbox_get(). */
int hub_expect(struct talev_context *ev, struct outcome *outcome);
/* It will not be sent after all. Owner. */
void hub_forget(struct outcome *outcome);
/* It is finished, and not the caller's any more. Any thread, once. */
void hub_send(struct outcome *outcome);

#endif
