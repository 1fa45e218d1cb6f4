/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mailbox of a context: many senders, one reader.
 *
 * A post belongs to the message that it is embedded in, never to the receiver. Sending allocates
 * nothing, takes no lock, and makes a system call only if the loop may be asleep. Between calls
 * the mailbox is open, and every post sent is delivered once, in the order of each sender; or it
 * is closed, every post has been dropped once, and sending fails.
 */
#ifndef THREAD_MAILBOX_H
#define THREAD_MAILBOX_H

#include <stdbool.h>
#include "core/core.h"

/* What one side writes often is on a line of its own. */
#define THREAD_LINE 64

/* That line is written soon: whoever has it gives it away meanwhile. Any address. */
static inline void thread_prefetch(const char *line)
{
#if defined(__x86_64__)
	/* The compiler may say so only of processors that it knows to have it; others ignore it. */
	__asm__ volatile("prefetchw %0" : : "m"(*line));
#else
	__builtin_prefetch(line, 1);
#endif
}

struct mailbox;

/* The mailbox of ev with one more reference. Owner. NULL: EINVAL, ESHUTDOWN, ENOMEM, EMFILE. */
struct mailbox *mailbox_get(struct talev_context *ev);
/* Any thread. */
void mailbox_ref(struct mailbox *mb);
void mailbox_unref(struct mailbox *mb);
/* Any thread that may touch the post; not any more after it. -1: ESHUTDOWN, it still may. */
int mailbox_send(struct mailbox *mb, struct core_post *post);
/* Something is sent soon. */
void mailbox_prefetch(const struct mailbox *mb);
/* The context, or NULL once it has closed. Owner. */
struct talev_context *mailbox_context(const struct mailbox *mb);
/* So many more (fewer) posts were delivered and wait in the loop's own queue. What comes next goes
 * behind them: so the mailbox is looked at less often. Owner. */
void mailbox_queued(struct mailbox *mb, int change);
/* Posts with these ops are not delivered one by one: they come to the pile, those of each sender
 * in their order, and grown() is told; it may free nothing. What is there when the context closes
 * belongs to the owner of the pile. One for each mailbox; NULL: none any more. Owner. */
struct mailbox_pile {
	const struct core_post_ops *ops;
	void (*grown)(struct mailbox_pile *pile);
	struct core_post *first; /* oldest first */
	struct core_post **last;
};
void mailbox_set_pile(struct mailbox *mb, struct mailbox_pile *pile);
/* Takes a post back that has been sent and not delivered. Owner. */
void mailbox_withdraw(struct mailbox *mb, struct core_post *post);
/* Takes all posts back that match and have not been delivered: linked by next, oldest first. Owner.
 */
struct core_post *mailbox_take_back(struct mailbox *mb,
	bool (*match)(const struct core_post *post, const void *arg), const void *arg);

/* The ops of immediates on their way here, which must know the mailbox: threaded.c fills them in.
 */
struct core_post_ops *mailbox_immediate_ops(struct mailbox *mb);
struct mailbox *mailbox_of_immediate(const struct core_post *post);

#endif
