/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One word holds what has been finished: NULL, a stack, or CLOSED. Whoever puts the first one on an
 * empty stack sends the hub's one post to the mailbox; whoever finds others there knows that
 * somebody does. The loop takes the stack only when it gets that post, so the post is never sent
 * while it is on its way.
 *
 * Whoever may send the post must be sure that the hub is still there afterwards, although the loop
 * may have taken the outcome, and closed, meanwhile. So there is a token, a reference: it lies with
 * the empty stack, goes to whoever puts the first one there, with the post, and comes back before
 * the stack is taken.
 */
#include "work/hub.h"
#include "work/forks.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

struct hub {
	struct outcome *_Atomic word;
	atomic_size_t refs;
	struct mailbox *mb;
	struct core_post post;
	struct core_hook hook;
	atomic_bool never;
	/* Owner's. */
	struct talev_context *ev; /* NULL once closed */
	LIST_HEAD(, outcome) expected;
	size_t expected_count;
	unsigned generation;   /* of fork(2) */
	struct outcome *first; /* taken, not yet delivered, oldest first */
};

static struct outcome closed_mark;
#define CLOSED (&closed_mark)

static struct hub *hub_of(struct core_hook *hook)
{
	return (struct hub *)((char *)hook - offsetof(struct hub, hook));
}

static struct hub *hub_of_post(struct core_post *post)
{
	return (struct hub *)((char *)post - offsetof(struct hub, post));
}

static void hub_unref(struct hub *hub, size_t count)
{
	if (atomic_fetch_sub_explicit(&hub->refs, count, memory_order_acq_rel) == count) {
		mailbox_unref(hub->mb);
		free(hub);
	}
}

static void unexpect(struct outcome *outcome)
{
	LIST_REMOVE(outcome, link);
	outcome->hub->expected_count--;
}

void hub_forget(struct outcome *outcome)
{
	/* Once it has closed, what is expected are references. */
	if (outcome->hub->ev == NULL)
		hub_unref(outcome->hub, 1);
	else
		unexpect(outcome);
}

void hub_send(struct outcome *outcome)
{
	struct hub *hub = outcome->hub;
	struct outcome *found = atomic_load_explicit(&hub->word, memory_order_acquire);

	do {
		if (found == CLOSED) {
			outcome->ops->lost(outcome);
			hub_unref(hub, 1);
			return;
		}
		outcome->next = found;
	} while (!atomic_compare_exchange_weak_explicit(
		&hub->word, &found, outcome, memory_order_acq_rel, memory_order_acquire));
	if (found == NULL && mailbox_send(hub->mb, &hub->post) != 0)
		hub_unref(hub, 1);
}

/* Behind what has been taken before; the last one sent comes first. */
static void collect(struct hub *hub, struct outcome *word)
{
	struct outcome *outcome = atomic_exchange_explicit(&hub->word, word, memory_order_acq_rel);
	struct outcome **last = &hub->first;
	struct outcome *oldest = NULL;

	while (outcome != NULL) {
		struct outcome *before = outcome->next;

		outcome->next = oldest;
		oldest = outcome;
		outcome = before;
	}
	while (*last != NULL)
		last = &(*last)->next;
	*last = oldest;
}

static struct outcome *take(struct hub *hub)
{
	struct outcome *outcome = hub->first;

	if (outcome != NULL)
		hub->first = outcome->next;
	return outcome;
}

/* What is delivered may free trees of the user's, and with them the context. */
static void deliver(struct talev_context *ev, struct core_post *post)
{
	struct hub *hub = hub_of_post(post);
	struct outcome *outcome;

	(void)ev;
	atomic_fetch_add_explicit(&hub->refs, 1, memory_order_relaxed);
	collect(hub, NULL);
	while (hub->ev != NULL && (outcome = take(hub)) != NULL) {
		unexpect(outcome);
		outcome->ops->deliver(outcome);
	}
	hub_unref(hub, 1);
}

static void drop(struct talev_context *ev, struct core_post *post)
{
	(void)ev;
	hub_unref(hub_of_post(post), 1);
}

static const struct core_post_ops post_ops = {.deliver = deliver, .drop = drop};

/* It is never pending: all comes by the mailbox. */
static bool run(struct talev_context *ev, struct core_hook *hook)
{
	(void)ev;
	(void)hook;
	return true;
}

/* The threads that were to finish it are not there. One of them may have had the post in its hands:
 * it is taken back, from wherever it may be. */
static void lose_to_fork(struct hub *hub)
{
	struct outcome *outcome;

	if (hub->generation == fork_generation())
		return;
	hub->generation = fork_generation();
	mailbox_withdraw(hub->mb, &hub->post);
	(void)atomic_exchange_explicit(&hub->word, NULL, memory_order_acq_rel);
	hub->first = NULL;
	while ((outcome = LIST_FIRST(&hub->expected)) != NULL) {
		unexpect(outcome);
		outcome->ops->forked(outcome);
	}
}

static void after_fork(struct talev_context *ev, struct core_hook *hook)
{
	(void)ev;
	lose_to_fork(hub_of(hook));
}

/* What is still on its way will find it closed, and holds a reference from here on. */
static void close_hub(struct talev_context *ev, struct core_hook *hook)
{
	struct hub *hub = hub_of(hook);
	struct outcome *outcome;
	size_t last = 1;

	(void)ev;
	lose_to_fork(hub);
	hub->ev = NULL;
	atomic_fetch_add_explicit(&hub->refs, hub->expected_count, memory_order_relaxed);
	if (atomic_load_explicit(&hub->word, memory_order_acquire) == NULL) {
		struct outcome *none = NULL;

		if (atomic_compare_exchange_strong_explicit(
			    &hub->word, &none, CLOSED, memory_order_acq_rel, memory_order_acquire))
			last++; /* and the token, which lay there */
	}
	if (last == 1)
		collect(hub, CLOSED);
	while ((outcome = take(hub)) != NULL) {
		outcome->ops->lost(outcome);
		hub_unref(hub, 1);
	}
	hub_unref(hub, last);
}

static struct hub *hub_create(struct talev_context *ev)
{
	struct hub *hub = calloc(1, sizeof(*hub));

	if (hub == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	hub->mb = mailbox_get(ev);
	if (hub->mb == NULL) {
		free(hub);
		return NULL;
	}
	atomic_init(&hub->word, NULL);
	atomic_init(&hub->refs, 2);
	atomic_init(&hub->never, false);
	hub->post.ops = &post_ops;
	hub->ev = ev;
	hub->generation = fork_generation();
	LIST_INIT(&hub->expected);
	hub->hook = (struct core_hook){
		.rank = CORE_HOOK_MAILBOX,
		.pending = &hub->never,
		.run = run,
		.after_fork = after_fork,
		.close = close_hub,
	};
	core_hook_add(ev, &hub->hook);
	return hub;
}

int hub_expect(struct talev_context *ev, struct outcome *outcome)
{
	struct core_hook *hook = core_hook_find(ev, run);
	struct hub *hub = hook != NULL ? hub_of(hook) : hub_create(ev);

	if (hub == NULL)
		return -1;
	/* The loop may not have noticed yet that this is a child. */
	lose_to_fork(hub);
	outcome->hub = hub;
	LIST_INSERT_HEAD(&hub->expected, outcome, link);
	hub->expected_count++;
	return 0;
}
