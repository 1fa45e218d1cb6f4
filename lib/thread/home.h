/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory goes back to the thread that it came from.
 *
 * One thread allocates each message, another frees it. The allocator gives each thread a heap with
 * a lock, and in front of it a small cache that needs none. The cache of whoever only frees is
 * full, the cache of whoever only allocates is empty: so both come to the sender's heap for every
 * block, and sleep on its lock in turn. That costs more than all else that a message does.
 *
 * So whoever has just freed a block asks for one of that size: it is the very same, out of its
 * own cache. Many of them go back in one list, and the sender frees them into its cache, one
 * message's worth before each that it sends. It is the allocator's memory all the time, only freed
 * by another thread; should the allocator have no such cache, nothing but time is lost.
 */
#ifndef THREAD_HOME_H
#define THREAD_HOME_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "thread/mailbox.h"

struct block;

/* So many blocks early the sender asks for the one that it will free. */
#define HOME_AHEAD 4

struct home {
	/* For all: blocks that the receiver has brought. */
	alignas(THREAD_LINE) struct block *_Atomic brought;
	/* The senders': what is left of those that one of them took, and who was the last. */
	struct block *_Atomic kept;
	atomic_uintptr_t sender;
	/* The receiver's: blocks that are to go, and whether the last sender is another thread. */
	alignas(THREAD_LINE) struct block *packed;
	struct block *recent[HOME_AHEAD]; /* those packed last, in turn */
	unsigned count;
	size_t bytes;
	bool far;
};

void home_init(struct home *home);
/* Frees a message's worth of blocks. Any thread that sends. */
void home_visit(struct home *home);
/* A talloc chunk of that size has just been freed; 0: none. Receiver. */
void home_pack(struct home *home, size_t size);
/* What has been packed goes, unless what went before is still there. Receiver. */
void home_bring(struct home *home);
/* Frees all. Nobody else uses it any more. */
void home_clear(struct home *home);

#endif
