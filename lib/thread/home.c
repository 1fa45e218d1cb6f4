/* SPDX-License-Identifier: BSD-2-Clause */
#include "thread/home.h"

#include <stdlib.h>
#include <string.h>
#include "thread/thread.h"

/* That may be packed, and as much that was brought, and is kept. */
#define MOST ((size_t)64 * 1024)
/* The immediate and the data. */
#define MESSAGE 2

/* ahead is some further down the list, and may have gone: it is not looked at, only asked for. */
struct block {
	struct block *next;
	const struct block *ahead;
};
/* Of a block: talloc's head and a little more. */
#define LINES 3

static uintptr_t this_thread(void)
{
	static _Thread_local char here;

	return (uintptr_t)&here;
}

static struct block *free_some(struct block *block, unsigned n)
{
	while (block != NULL && n-- > 0) {
		struct block *next = block->next;

		for (size_t line = 0; line < LINES; line++)
			thread_prefetch((const char *)block->ahead + line * THREAD_LINE);
		free(block);
		block = next;
	}
	return block;
}

static void free_all(struct block *block)
{
	while (block != NULL)
		block = free_some(block, MESSAGE);
}

static struct block *take(struct block *_Atomic *list)
{
	if (atomic_load_explicit(list, memory_order_relaxed) == NULL)
		return NULL;
	return atomic_exchange_explicit(list, NULL, memory_order_acquire);
}

static bool give(struct block *_Atomic *list, struct block *blocks)
{
	struct block *none = NULL;

	return atomic_load_explicit(list, memory_order_relaxed) == NULL &&
	       atomic_compare_exchange_strong_explicit(
		       list, &none, blocks, memory_order_release, memory_order_relaxed);
}

void home_init(struct home *home)
{
	atomic_init(&home->brought, NULL);
	atomic_init(&home->kept, NULL);
	atomic_init(&home->sender, 0);
	home->packed = NULL;
	memset(home->recent, 0, sizeof(home->recent));
	home->count = 0;
	home->bytes = 0;
	home->far = false;
}

void home_visit(struct home *home)
{
	uintptr_t me = this_thread();
	struct block *blocks;

	if (atomic_load_explicit(&home->sender, memory_order_relaxed) != me)
		atomic_store_explicit(&home->sender, me, memory_order_relaxed);
	blocks = take(&home->kept);
	if (blocks == NULL)
		blocks = take(&home->brought);
	blocks = free_some(blocks, MESSAGE);
	/* Somebody else who sends through the same handle may have left his there. */
	if (blocks != NULL && !give(&home->kept, blocks))
		free_all(blocks);
}

void home_pack(struct home *home, size_t size)
{
	struct block *block;

	if (!home->far || size == 0)
		return;
	if (home->bytes + size + THREAD_HEADER > MOST)
		return;
	block = thread_alike(size);
	if (block == NULL)
		return;
	block->next = home->packed;
	block->ahead = home->recent[home->count % HOME_AHEAD];
	home->recent[home->count++ % HOME_AHEAD] = block;
	home->packed = block;
	home->bytes += size + THREAD_HEADER;
}

void home_bring(struct home *home)
{
	home->far = atomic_load_explicit(&home->sender, memory_order_relaxed) != this_thread();
	if (home->packed != NULL && give(&home->brought, home->packed)) {
		home->packed = NULL;
		home->bytes = 0;
		memset(home->recent, 0, sizeof(home->recent));
	}
}

void home_clear(struct home *home)
{
	free_all(take(&home->brought));
	free_all(take(&home->kept));
	free_all(home->packed);
}
