/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of calls on their way from thread to thread. A thread takes nodes from slabs of its
 * own, one after the other, so that both sides read and write memory in its order; the receiver
 * says how many of a slab it has done with. A slab that all receivers have done with is the
 * sender's again, or freed if that thread has ended.
 *
 * Nodes also take memory home, see thread/home.h.
 */
#ifndef LOOPS_NODE_H
#define LOOPS_NODE_H

#include <stdlib.h>
#include "loops/manager.h"

struct node {
	struct core_post post;
	talev_loop_fn_t fn;
	void *data; /* before it is sent, and when it is done with: memory for free(), or NULL */
	const char *where;
};

#define NODE_SLAB  4096
#define NODE_HEAD  64
#define NODE_AHEAD 384
#define NODE_SOON  3
#define NODES      ((NODE_SLAB - NODE_HEAD) / sizeof(struct node))

/* refs: of the nodes, sent or not, that no receiver has done with; and one of the thread. */
struct node_slab {
	atomic_uint refs;
	atomic_bool carries; /* some nodes have memory for the sender */
	TAILQ_ENTRY(node_slab) link;
	_Alignas(NODE_HEAD) struct node nodes[];
};
TAILQ_HEAD(node_slabs, node_slab);

/* Those of one thread. */
struct node_pool {
	struct node *next; /* of the slab that nodes are taken from; end: it is used up */
	struct node *end;
	struct node_slab *current;
	bool carries; /* of the current one. As long as not, its nodes are not read. */
	bool known;   /* to pthreads: it is told when the thread ends */
	struct node_slabs full;
	unsigned count;
};
extern _Thread_local struct node_pool node_pool
	__attribute__((visibility("hidden"), tls_model("initial-exec")));

struct node *node_refill(void);

/* The next one of this thread, without data. It is taken only by node_sent(). NULL: ENOMEM. */
static inline struct node *node_get(void)
{
	struct node *node = node_pool.next != node_pool.end ? node_pool.next : node_refill();

	if (node == NULL)
		return NULL;
	if (node_pool.carries)
		free(node->data);
	node->data = NULL;
	return node;
}

static inline void node_sent(void)
{
	const struct node *soon = ++node_pool.next + NODE_SOON;

	/* The receiver had it last. A send waits until all that was written before is there. */
	thread_prefetch((const char *)node_pool.next + NODE_AHEAD);
	if (node_pool.carries && soon < node_pool.end && soon->data != NULL)
		for (size_t line = 0; line < 3; line++)
			thread_prefetch((const char *)soon->data + line * THREAD_LINE);
}

/* Nodes that a receiver has done with, of one slab. */
struct node_run {
	struct node_slab *slab;
	unsigned count;
};
void node_drop(struct node_slab *slab, unsigned n);

/* Any thread. The nodes are not used any more. */
static inline void node_flush(struct node_run *run)
{
	if (run->count > 0)
		node_drop(run->slab, run->count);
	run->count = 0;
}

static inline struct node_slab *node_slab_of(const struct node *node)
{
	return (struct node_slab *)((uintptr_t)node & ~(uintptr_t)(NODE_SLAB - 1));
}

/* Its data is not there any more, and memory (or NULL) goes home in its place. */
static inline void node_load(struct node *node, void *memory)
{
	struct node_slab *slab = node_slab_of(node);

	node->data = memory;
	if (memory != NULL && !atomic_load_explicit(&slab->carries, memory_order_relaxed))
		atomic_store_explicit(&slab->carries, true, memory_order_relaxed);
}

/* Its data is not there any more. */
static inline void node_done(struct node_run *run, struct node *node)
{
	struct node_slab *slab = node_slab_of(node);

	if (slab != run->slab) {
		node_flush(run);
		run->slab = slab;
	}
	run->count++;
}

#endif
