/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls from any thread. A call is a post with three pointers in it; a loop has one source that
 * runs them, so that neither side makes an object for a call. The source takes turns with the
 * immediates of the loop, and calls as many in one go as take about as long as one handler may.
 */
#include <errno.h>
#include "base/base.h"
#include "loops/node.h"

#define BATCH_MOST  256
#define BATCH_FIRST 16
/* One go should take so long, and a quarter of it is little. */
#define BATCH_TIME TALEV_USEC(40)
/* The data of so many calls is on its way into this cache. */
#define AHEAD 4

struct runner {
	struct source src;
	struct talev_loop *loop;
	struct node *node; /* the one that is being called */
	TALLOC_CTX *tray;
};

static const char at_rest[] = "talev_async_run\0talev";

static struct node *node_of(struct core_post *post)
{
	return (struct node *)((char *)post - offsetof(struct node, post));
}

static void queue_runner(struct async_box *box)
{
	if (box->calls.first != NULL && !box->queued) {
		box->queued = true;
		core_post(box->runner);
	}
}

static void grown(struct mailbox_pile *calls)
{
	queue_runner((struct async_box *)((char *)calls - offsetof(struct async_box, calls)));
}

static void forget(struct core_post *post)
{
	struct node_run run = {.slab = NULL};

	talloc_free(node_of(post)->data);
	node_load(node_of(post), NULL);
	node_done(&run, node_of(post));
	node_flush(&run);
}

static void drop(struct talev_context *ev, struct core_post *post)
{
	(void)ev;
	forget(post);
}

/* All of a tree is in the sender's cache: talloc's head of the chunk, and its beginning. */
static void ask_for(const struct node *node)
{
	const char *data = node->data;

	if (data != NULL)
		for (int line = -2; line < 2; line++)
			thread_prefetch(data + line * THREAD_LINE);
}

/* One step further with each call, so that it stays AHEAD of the first. */
static void look_ahead(struct async_box *box)
{
	struct core_post *post = box->ahead;

	if (post != NULL) {
		box->ahead = post->next;
		if (post->next != NULL)
			ask_for(node_of(post->next));
		return;
	}
	post = box->calls.first;
	for (int i = 0; i < AHEAD && post != NULL; i++) {
		ask_for(node_of(post));
		box->ahead = post;
		post = post->next;
	}
}

static struct core_post *take(struct async_box *box)
{
	struct mailbox_pile *calls = &box->calls;
	struct core_post *post = calls->first;

	if (post == NULL)
		return NULL;
	if (box->ahead == post)
		box->ahead = NULL;
	calls->first = post->next;
	if (calls->first == NULL)
		calls->last = &calls->first;
	return post;
}

static void call(struct source *src)
{
	struct runner *runner = (struct runner *)src;
	struct talev_loop *loop = runner->loop;
	struct node *node = runner->node;
	void *data = node->data;
	TALLOC_CTX *tray = runner->tray;
	size_t size;

	if (data == NULL) {
		node->fn(loop, NULL);
		return;
	}
	look_ahead(&loop->async);
	talloc_steal(tray, data);
	size = talloc_get_size(data);
	node->fn(loop, data);
	if (loop->async.runner == src)
		talloc_free_children(tray);
	node_load(node, thread_alike(size));
}

/* The parent of what the calls at this depth of nested loops get. */
static TALLOC_CTX *tray_of(struct talev_loop *loop)
{
	struct async_box *box = &loop->async;

	if (box->depth >= box->trays) {
		TALLOC_CTX **more =
			talloc_realloc(loop->root, box->tray, TALLOC_CTX *, box->trays + 1);

		if (more == NULL)
			return NULL;
		box->tray = more;
		more[box->trays] = talloc_new(loop->root);
		if (more[box->trays] == NULL)
			return NULL;
		box->trays++;
	}
	return box->tray[box->depth];
}

/* Twice as many the next time while they are quick, and less when they are not: what comes due
 * meanwhile does not wait for long. */
static void adapt(struct async_box *box, unsigned n, talev_time_t spent)
{
	if (spent > BATCH_TIME)
		box->batch = box->batch > 4 ? box->batch / 4 : 1;
	else if (spent < BATCH_TIME / 4 && n == box->batch && n < BATCH_MOST)
		box->batch *= 2;
}

static void call_measured(struct source *src)
{
	struct talev_context *ev = src->ev;
	struct core_measure measure;

	core_measure_begin(ev, src, &measure);
	call(src);
	if (src->ev != NULL)
		core_measure_end(ev, src, &measure);
}

static inline void run_batch(struct source *src, void (*fn)(struct source *src))
{
	struct runner *runner = (struct runner *)src;
	struct async_box *box = &runner->loop->async;
	talev_time_t started = base_clock_now(TALEV_CLOCK_MONOTONIC);
	TALLOC_CTX *tray = tray_of(runner->loop);
	struct node_run run = {.slab = NULL};
	struct core_post *post;
	unsigned n = 0;

	core_unpost(src);
	box->queued = false;
	box->depth++;
	while (tray != NULL && n < box->batch && (post = take(box)) != NULL) {
		runner->node = node_of(post);
		runner->tray = tray;
		source_set_where(src, runner->node->where);
		fn(src);
		node_done(&run, node_of(post));
		n++;
		if (src->ev == NULL)
			break;
	}
	node_flush(&run);
	box->depth--;
	if (src->ev == NULL)
		return;
	source_set_where(src, at_rest);
	src->calls += n > 0 ? n - 1 : 0;
	adapt(box, n, base_clock_now(TALEV_CLOCK_MONOTONIC) - started);
	queue_runner(box);
}

static void runner_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	(void)flags;
	(void)now;
	run_batch(src, call);
}

static void runner_fire_measured(struct source *src, uint32_t flags, talev_time_t now)
{
	(void)flags;
	(void)now;
	run_batch(src, call_measured);
}

static void runner_disarm(struct source *src)
{
	core_unpost(src);
}

static void runner_describe(const struct source *src, struct talev_source_info *info)
{
	info->armed = src->place == PLACE_IMMEDIATE;
}

static const struct source_kind runner_kind = {
	.type = "struct talev_async",
	.label = "async",
	.disarm = runner_disarm,
	.fire = runner_fire,
	.fire_measured = runner_fire_measured,
	.describe = runner_describe,
};

int async_open(struct talev_loop *loop)
{
	struct async_box *box = &loop->async;
	struct runner *runner;

	box->ops = (struct core_post_ops){.deliver = drop, .drop = drop};
	box->calls = (struct mailbox_pile){.ops = &box->ops, .grown = grown};
	box->batch = BATCH_FIRST;
	runner = source_create(loop->ev, loop->root, sizeof(*runner), &runner_kind, NULL, at_rest);
	if (runner == NULL)
		return -1;
	runner->loop = loop;
	box->runner = &runner->src;
	if (tray_of(loop) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	mailbox_set_pile(loop->mb, &box->calls);
	return 0;
}

/* What of the context closes may have the mailbox looked into. What is found there from now on is
 * dropped with the rest, when that closes: the runner is no more by then. */
void async_close(struct talev_loop *loop)
{
	struct core_post *post;

	mailbox_set_pile(loop->mb, NULL);
	while ((post = take(&loop->async)) != NULL)
		forget(post);
}

static int send_node(struct talev_loop *loop, struct node *node)
{
	if (mailbox_send(loop->mb, &node->post) != 0)
		return -1;
	node_sent();
	return 0;
}

static int send_data(struct talev_loop *loop, struct node *node, void **data)
{
	void *parent = talloc_parent(*data);

	node->data = talloc_steal(NULL, *data);
	if (send_node(loop, node) != 0) {
		node->data = NULL;
		talloc_steal(parent, *data);
		errno = ESHUTDOWN;
		return -1;
	}
	*data = NULL;
	return 0;
}

int async_send(struct talev_loop *loop, talev_loop_fn_t fn, void **data, const char *where)
{
	struct node *node = node_get();

	if (node == NULL)
		return -1;
	node->post.ops = &loop->async.ops;
	node->fn = fn;
	node->where = where;
	return data != NULL && *data != NULL ? send_data(loop, node, data) : send_node(loop, node);
}

int _talev_async_run(
	struct talev_loop *loop, talev_loop_fn_t fn, void *private_ptr, const char *where)
{
	void **data = private_ptr;

	if (loop == NULL || fn == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (data != NULL && !thread_may_cross(*data))
		return -1;
	return async_send(loop, fn, data, where);
}
