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
#include <talev/time.h>
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
	const struct outcome *hint; /* see hint.h */
	struct awaited *awaited;    /* NULL: nobody waits for it any more */
	talev_time_t at;            /* it was finished; 0: that is not known */
};

/* Embedded in whatever waits for it. Its neighbours in the list are written when it comes and goes:
 * so it is not where another thread is at work. */
struct awaited {
	LIST_ENTRY(awaited) link; /* in the hub: sent for, not yet back */
	struct outcome *outcome;
};

/* The hub of ev; it lasts as long as ev does. Owner. NULL: as mailbox_get(). */
struct hub *hub_get(struct talev_context *ev);
/* The hub will hear of it: outcome->hub is set, and the loop goes on until then. Owner. */
void hub_expect(struct hub *hub, struct outcome *outcome, struct awaited *awaited);
/* It still will, but outcome->awaited goes now; the loop does not wait for it any more. Owner. */
void hub_abandon(struct outcome *outcome);
/* Memory of jobs for another one, so that it does not go to and fro between a cache of the
 * allocator and what is behind that. take: NULL: there is none. Owner; of outcome->hub. */
struct outcome *hub_take_spare(struct hub *hub);
void hub_keep_spare(struct outcome *outcome);
/* It will not be sent after all. Owner. */
void hub_forget(struct outcome *outcome);
/* It is finished, and not the caller's any more. Any thread, once. */
void hub_send(struct outcome *outcome);

#endif
