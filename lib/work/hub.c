/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One word holds what has been finished:
 *
 *   NULL    nothing; the loop is awake and will look
 *   ASLEEP  nothing; the loop waits, or is about to
 *   CLOSED  for good
 *   a stack of it, the last one first
 *
 * Whoever finds ASLEEP there sends the hub's one post to the mailbox, which wakes the loop. An
 * awake loop looks when what it took before has been told, or has nothing else to do: so that what
 * is finished is taken many at a time, and the word does not go from one processor to the other for
 * each.
 *
 * Whoever may send the post must be sure that the hub is still there afterwards, although the loop
 * may have taken the outcome, and closed, meanwhile. So there is a token, a reference: it lies with
 * ASLEEP, goes to whoever takes that away, with the post, and comes back when the post arrives.
 * While it is out the loop does not say that it sleeps: the post will wake it.
 *
 * To sleep and to be woken takes longer than many a job. So a loop that is about to sleep looks for
 * a moment, if the outcomes it expects have used to come that soon.
 */
#include "work/hub.h"
#include "work/hint.h"
#include "work/forks.h"

#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "work/look.h"

/* As long as it may look before it sleeps. Descriptors are not seen meanwhile. */
#define LOOK TALEV_USEC(10)

/* Outcomes that are told of before a handler has run: what is fetched for them stays in the cache.
 */
#define HERD 64

/* As many may be kept. What is freed is to be seen by the tools that look for it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const unsigned keep = 0;
#else
static const unsigned keep = HERD;
#endif

/* Threads write word: nothing that the owner uses for each handler is on its line. */
struct hub {
	alignas(THREAD_LINE) struct outcome *_Atomic word;
	atomic_size_t refs;
	struct mailbox *mb;
	struct core_post post;
	/* Owner's. */
	alignas(THREAD_LINE) struct core_hook hook;
	struct talev_context *ev; /* NULL once closed */
	LIST_HEAD(, awaited) expected;
	size_t expected_count;
	unsigned generation;   /* of fork(2) */
	struct outcome *first; /* taken, not yet delivered, oldest first */
	struct outcome *spare; /* memory */
	unsigned spare_count;
	bool may_look; /* there is more than one processor */
	struct work_habit looks;
	talev_time_t gap; /* how long it used to take until there was one, when there was none */
	talev_time_t idle_since; /* 0: it is not */
	unsigned skip;           /* handlers until it is looked at */
	bool asleep;             /* has said so, and has not found otherwise */
	bool token_out;          /* somebody has found ASLEEP, and the post is on its way */
};

static struct outcome asleep_mark;
static struct outcome closed_mark;
#define ASLEEP (&asleep_mark)
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
	struct outcome *spare;

	if (atomic_fetch_sub_explicit(&hub->refs, count, memory_order_acq_rel) != count)
		return;
	while ((spare = hub->spare) != NULL) {
		hub->spare = spare->next;
		free(spare);
	}
	mailbox_unref(hub->mb);
	free(hub);
}

struct outcome *hub_take_spare(struct hub *hub)
{
	struct outcome *spare = hub->spare;

	if (spare != NULL) {
		hub->spare = spare->next;
		hub->spare_count--;
	}
	return spare;
}

void hub_keep_spare(struct outcome *outcome)
{
	struct hub *hub = outcome->hub;

	if (hub == NULL || hub->spare_count + 1 > keep) {
		free(outcome);
		return;
	}
	outcome->next = hub->spare;
	hub->spare = outcome;
	hub->spare_count++;
}

static inline void await_no_more(struct hub *hub, struct awaited *awaited)
{
	LIST_REMOVE(awaited, link);
	if (LIST_EMPTY(&hub->expected))
		core_release(hub->ev);
}

void hub_abandon(struct outcome *outcome)
{
	await_no_more(outcome->hub, outcome->awaited);
	outcome->awaited = NULL;
}

static inline void unexpect(struct outcome *outcome)
{
	if (outcome->awaited != NULL)
		await_no_more(outcome->hub, outcome->awaited);
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

static _Thread_local struct hints hints __attribute__((tls_model("initial-exec")));

void hub_send(struct outcome *outcome)
{
	struct hub *hub = outcome->hub;
	struct outcome *found = atomic_load_explicit(&hub->word, memory_order_acquire);

	hint_put(&hints, outcome);
	do {
		if (found == CLOSED) {
			outcome->ops->lost(outcome);
			hub_unref(hub, 1);
			return;
		}
		outcome->next = found == ASLEEP ? NULL : found;
	} while (!atomic_compare_exchange_weak_explicit(
		&hub->word, &found, outcome, memory_order_acq_rel, memory_order_acquire));
	if (found == ASLEEP && mailbox_send(hub->mb, &hub->post) != 0)
		hub_unref(hub, 1);
}

/* Behind what has been taken before; the last one sent comes first. */
static void collect(struct hub *hub, struct outcome *word)
{
	struct outcome *outcome = atomic_exchange_explicit(&hub->word, word, memory_order_acq_rel);
	struct outcome **last = &hub->first;
	struct outcome *oldest = NULL;

	if (hub->asleep && outcome != ASLEEP)
		hub->token_out = true;
	hub->asleep = false;
	if (outcome == ASLEEP)
		return;
	while (outcome != NULL) {
		struct outcome *before = outcome->next;

		hint_fetch(outcome->hint);
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

static bool ready(struct core_hook *hook)
{
	struct hub *hub = hub_of(hook);
	struct outcome *word;

	if (hub->skip > 0) {
		hub->skip--;
		return false;
	}
	if (hub->first != NULL)
		return true;
	word = atomic_load_explicit(&hub->word, memory_order_relaxed);
	return word != NULL && word != ASLEEP;
}

static struct outcome *look(struct hub *hub, struct outcome *word)
{
	talev_time_t now;
	talev_time_t end;

	if (hub->expected_count == 0)
		return word;
	now = base_clock_now(TALEV_CLOCK_MONOTONIC);
	if (hub->idle_since == 0)
		hub->idle_since = now;
	end = hub->idle_since + work_look_time(hub->gap, LOOK);
	if (hub->gap >= LOOK / 2 || !hub->may_look || now >= end || !work_may_try(&hub->looks))
		return word;
	while (word == NULL && now < end) {
		work_pause();
		word = atomic_load_explicit(&hub->word, memory_order_relaxed);
		now = base_clock_now(TALEV_CLOCK_MONOTONIC);
	}
	work_tried(&hub->looks, word != NULL);
	return word;
}

/* The first one that was finished since then. */
static void note_gap(struct hub *hub, const struct outcome *outcome)
{
	talev_time_t gap = outcome->at - hub->idle_since;

	if (hub->idle_since == 0)
		return;
	hub->idle_since = 0;
	if (outcome->at == 0)
		return;
	gap = gap < 0 ? 0 : gap > 4 * LOOK ? 4 * LOOK : gap;
	hub->gap = (3 * hub->gap + gap) / 4;
}

static bool go_to_sleep(struct core_hook *hook)
{
	struct hub *hub = hub_of(hook);
	struct outcome *word = atomic_load_explicit(&hub->word, memory_order_relaxed);

	hub->skip = 0;
	if (hub->first != NULL)
		return false;
	if (word == NULL && !hub->token_out)
		word = look(hub, word);
	if (word == NULL && !hub->token_out)
		hub->asleep = atomic_compare_exchange_strong_explicit(
			&hub->word, &word, ASLEEP, memory_order_acq_rel, memory_order_relaxed);
	return word == NULL || word == ASLEEP;
}

/* What is delivered may free trees of the user's, and with them the context. */
static bool run(struct talev_context *ev, struct core_hook *hook)
{
	struct hub *hub = hub_of(hook);
	struct outcome *outcome;
	unsigned delivered = 0;
	bool open;

	(void)ev;
	atomic_fetch_add_explicit(&hub->refs, 1, memory_order_relaxed);
	if (hub->first == NULL)
		collect(hub, NULL);
	if (hub->first != NULL)
		note_gap(hub, hub->first);
	while (hub->ev != NULL && delivered < HERD && (outcome = take(hub)) != NULL) {
		unexpect(outcome);
		outcome->ops->deliver(outcome);
		delivered++;
	}
	hub->skip = delivered;
	open = hub->ev != NULL;
	hub_unref(hub, 1);
	return open;
}

/* The loop is awake, and looks. */
static void deliver(struct talev_context *ev, struct core_post *post)
{
	struct hub *hub = hub_of_post(post);

	(void)ev;
	hub->asleep = false;
	hub->token_out = false;
	hub->skip = 0;
}

static void drop(struct talev_context *ev, struct core_post *post)
{
	(void)ev;
	hub_unref(hub_of_post(post), 1);
}

static const struct core_post_ops post_ops = {.deliver = deliver, .drop = drop};

/* The threads that were to finish it are not there. One of them may have had the post in its hands:
 * it is taken back, from wherever it may be. */
static void lose_to_fork(struct hub *hub)
{
	struct awaited *awaited;

	if (hub->generation == fork_generation())
		return;
	hub->generation = fork_generation();
	mailbox_withdraw(hub->mb, &hub->post);
	(void)atomic_exchange_explicit(&hub->word, NULL, memory_order_acq_rel);
	hub->first = NULL;
	hub->asleep = false;
	hub->token_out = false;
	while ((awaited = LIST_FIRST(&hub->expected)) != NULL) {
		unexpect(awaited->outcome);
		awaited->outcome->ops->forked(awaited->outcome);
	}
	/* The others are the parent's too, and nobody here knows of them. */
	hub->expected_count = 0;
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
	collect(hub, CLOSED);
	if (!hub->token_out)
		last++; /* and the token */
	while ((outcome = take(hub)) != NULL) {
		outcome->ops->lost(outcome);
		hub_unref(hub, 1);
	}
	hub_unref(hub, last);
}

static struct hub *hub_create(struct talev_context *ev)
{
	struct hub *hub = aligned_alloc(THREAD_LINE, sizeof(*hub));

	if (hub == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	memset(hub, 0, sizeof(*hub));
	hub->mb = mailbox_get(ev);
	if (hub->mb == NULL) {
		free(hub);
		return NULL;
	}
	atomic_init(&hub->word, NULL);
	atomic_init(&hub->refs, 2);
	hub->post.ops = &post_ops;
	hub->ev = ev;
	hub->may_look = base_cpus() > 1;
	hub->generation = fork_generation();
	LIST_INIT(&hub->expected);
	hub->hook = (struct core_hook){
		.rank = CORE_HOOK_MAILBOX,
		.feeds = true,
		.ready = ready,
		.sleep = go_to_sleep,
		.run = run,
		.after_fork = after_fork,
		.close = close_hub,
	};
	core_hook_add(ev, &hub->hook);
	return hub;
}

struct hub *hub_get(struct talev_context *ev)
{
	struct core_hook *hook = core_hook_find(ev, run);

	return hook != NULL ? hub_of(hook) : hub_create(ev);
}

void hub_expect(struct hub *hub, struct outcome *outcome, struct awaited *awaited)
{
	/* The loop may not have noticed yet that this is a child. */
	lose_to_fork(hub);
	outcome->hub = hub;
	outcome->awaited = awaited;
	outcome->at = 0;
	awaited->outcome = outcome;
	if (LIST_EMPTY(&hub->expected))
		core_hold(hub->ev);
	LIST_INSERT_HEAD(&hub->expected, awaited, link);
	hub->expected_count++;
}
