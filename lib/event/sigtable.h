/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process's table of watched Unix signals: what the C handler writes to.
 *
 * Owns the dispositions that it replaced, and the subscriptions, one for each pair of context and
 * number. A subscription is reached by the C handler of any thread without a lock; all changes are
 * made under the table's own lock, which is never held over anything of the user. What has been
 * unsubscribed is freed when no C handler is executing and nobody walks it, by whichever call of
 * this file comes by then; nothing waits for that.
 *
 * Any thread, except as said. A subscription's box, and reading from it, belong to the owner's
 * thread of the context.
 */
#ifndef EVENT_SIGTABLE_H
#define EVENT_SIGTABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <bsd/sys/queue.h>
#include "core/core.h"
#include "event/sigring.h"

#define SIGNUM_LIMIT 65 /* the kernel's numbers are 1 to 64 */

/* Where all subscriptions of one context report that something came. */
struct sigbox {
	LIST_ENTRY(sigbox) link;
	struct talev_context *ev;
	struct core_hook hook;
	struct sigsub *subs[SIGNUM_LIMIT]; /* owner's */
	uint64_t numbers;                  /* bit n - 1: subs[n] is there */
	atomic_bool pending;
	atomic_bool asleep; /* the loop waits, or is about to: it has to be woken */
	struct core_wake *wake;
	unsigned generation; /* of fork, when wake was made */
	atomic_uint users;   /* the owner, and its subscriptions also when unsubscribed */
	atomic_uint walks;   /* owner's frames that walk the subscriptions: nothing is freed */
};

struct sigsub {
	struct sigsub *_Atomic next; /* for the C handler */
	LIST_ENTRY(sigsub) retired;
	struct sigbox *box;
	int signum;
	atomic_uint arrivals;         /* wraps */
	atomic_uint lost;             /* siginfo that found its ring full */
	atomic_uint want_info;        /* watchers that want siginfo */
	struct sigring *_Atomic ring; /* made for the first of them, kept */
};

/* The box of ev that is not closed, or NULL. */
struct sigbox *sigbox_find(struct talev_context *ev);
/* A box that reports to the loop of ev; its hook is the caller's to add. NULL: ENOMEM, EMFILE. */
struct sigbox *sigbox_create(struct talev_context *ev);
/* In a forked child: the parent's wake-up descriptor is not ours to write. */
void sigbox_after_fork(struct sigbox *box);
/* Begin and end of a walk; the box may be gone after the end. */
void sigbox_enter(struct sigbox *box);
void sigbox_leave(struct sigbox *box);
/* The owner is done with it, and all its subscriptions are unsubscribed. */
void sigbox_close(struct sigbox *box);

/* Sees to it that sub has a ring. -1: ENOMEM. */
int sigsub_need_ring(struct sigsub *sub);

/* Installs the C handler, with those flags, if this is the first of its number. sub is calloc'ed,
 * with box and signum filled in; the table frees it from now on. -1: EINVAL; the caller's still. */
int sigtable_subscribe(struct sigsub *sub, int sa_flags);
/* Puts the old disposition back if this is the last of its number. sub may be gone on return,
 * unless the box is walked. */
void sigtable_unsubscribe(struct sigsub *sub);

/* The rings have been read: takes back what the C handler did to this thread's mask because of
 * signum. The kernel delivers at once what it kept. */
void sigtable_unblock(int signum);

#endif
