/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One word holds all that senders and reader have to agree on:
 *
 *   EMPTY   nothing is there; the loop is awake and will look
 *   ASLEEP  nothing is there; the loop is about to wait, or waits
 *   CLOSED  for good
 *   a post  the last one sent; each knows the one before it
 *
 * A sender puts its post in place of what it found, unless that is CLOSED; who finds ASLEEP wakes
 * the loop. The reader takes all there is in one exchange. It goes to sleep by changing EMPTY to
 * ASLEEP, and does not if that fails. So there is no moment at which a post is there, the loop
 * sleeps, and nobody is on the way to wake it. tests/model/mailbox.pml has this for spin.
 *
 * ASLEEP holds a reference, which goes to whoever takes that word away. A sender whose post is in
 * has no other: the loop may be woken by something else, find the post, and free all there is,
 * while the sender has yet to write the eventfd.
 */
#include "thread/mailbox.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include "base/base.h"
#include "base/pause.h"
#include "life/life.h"

/* Posts that are told of before one of them has run: what is fetched for them stays in the cache.
 */
#define HERD 64
/* Looks that may be left out in a row; more of them if much was delivered. */
#define PATIENCE      32
#define PATIENCE_MOST 256
/* After that many were taken in one go, 0.1 to 0.5 us. */
#define MANY   32
#define PAUSES 10

/* Each sender writes word: nothing that the owner uses for each handler is on its line. */
struct mailbox {
	alignas(THREAD_LINE) struct core_post *_Atomic word;
	atomic_uint refs;
	alignas(THREAD_LINE) struct core_wake *wake;
	atomic_uint generation; /* of fork(2), to which wake belongs */
	struct core_post_ops immediate_ops;
	/* The owner's. */
	alignas(THREAD_LINE) struct core_hook hook;
	struct talev_context *ev; /* NULL once closed */
	struct core_post *first;  /* taken, not yet delivered, oldest first */
	struct core_post **last;
	unsigned queued; /* delivered, and waits in the loop's queue */
	unsigned patience;
	unsigned taken; /* the last time */
	bool found;     /* the last look has something, and it has not been taken */
	bool pauses;
	unsigned running; /* run() on the stack */
	struct mailbox_pile *pile;
	bool closed; /* the last of them lets go of the reference of the context */
};

static struct core_post asleep_mark;
static struct core_post closed_mark;
#define EMPTY  ((struct core_post *)NULL)
#define ASLEEP (&asleep_mark)
#define CLOSED (&closed_mark)

static struct mailbox *mailbox_of(struct core_hook *hook)
{
	return (struct mailbox *)((char *)hook - offsetof(struct mailbox, hook));
}

/* In a child of fork(2) whose loop has not run yet the descriptor is the parent's. Nor is there
 * anybody to wake: that loop has never slept in this process. */
static void wake_loop(struct mailbox *mb)
{
	if (atomic_load_explicit(&mb->generation, memory_order_acquire) == base_fork_generation())
		wake_post(mb->wake);
}

/* The last one that this thread has sent. A sender in full flow finds it in the word, and to guess
 * so is quicker than to look: the exchange would have to wait for the look. It is compared with,
 * and never read: it may have gone. */
static _Thread_local struct core_post *last_sent __attribute__((tls_model("initial-exec")));

int mailbox_send(struct mailbox *mb, struct core_post *post)
{
	struct core_post *found = last_sent;

	do {
		if (found == CLOSED) {
			errno = ESHUTDOWN;
			return -1;
		}
		post->next = found == ASLEEP ? NULL : found;
	} while (!atomic_compare_exchange_weak_explicit(
		&mb->word, &found, post, memory_order_acq_rel, memory_order_relaxed));
	last_sent = post;
	if (found == ASLEEP) {
		wake_loop(mb);
		mailbox_unref(mb);
	}
	return 0;
}

struct chain {
	struct core_post *oldest;
	struct core_post *newest;
};

static void put_before(struct chain *chain, struct core_post *post)
{
	post->next = chain->oldest;
	chain->oldest = post;
	if (chain->newest == NULL)
		chain->newest = post;
}

static void append(struct core_post ***last, const struct chain *chain)
{
	**last = chain->oldest;
	*last = &chain->newest->next;
}

/* What most posts are embedded in, before them: it is still in the sender's cache. */
static void prefetch_message(const struct core_post *post)
{
	thread_prefetch((const char *)post - THREAD_LINE);
	thread_prefetch((const char *)post - 2 * THREAD_LINE);
}

/* Takes all there is, and leaves word. The last one sent comes first: turns the order round, behind
 * what has been taken before. Who closes has to drop all of it, so then nothing is piled up. */
static void collect(struct mailbox *mb, struct core_post *word)
{
	struct core_post *post = atomic_exchange_explicit(&mb->word, word, memory_order_acq_rel);
	struct mailbox_pile *pile = word != CLOSED ? mb->pile : NULL;
	const struct core_post_ops *piled_ops = pile != NULL ? pile->ops : NULL;
	struct chain piled = {NULL, NULL};
	struct chain others = {NULL, NULL};

	mb->taken = 0;
	mb->found = false;
	mb->hook.word = NULL;
	if (post == ASLEEP)
		mailbox_unref(mb);
	if (post == EMPTY || post == ASLEEP)
		return;
	while (post != NULL) {
		struct core_post *before = post->next;

		mb->taken++;
		if (post->ops == piled_ops) {
			put_before(&piled, post);
		} else {
			prefetch_message(post);
			put_before(&others, post);
		}
		post = before;
	}
	if (others.oldest != NULL)
		append(&mb->last, &others);
	if (piled.oldest != NULL) {
		append(&pile->last, &piled);
		pile->grown(pile);
	}
}

static struct core_post *take(struct mailbox *mb)
{
	struct core_post *post = mb->first;

	if (post == NULL)
		return NULL;
	mb->first = post->next;
	if (mb->first == NULL)
		mb->last = &mb->first;
	post->next = NULL;
	return post;
}

/* To look at the word is to take its line from whoever sends. What would be found goes behind what
 * was delivered: as long as that is queued, the look may wait. If nothing is, and many were taken
 * the last time, there is more after a moment, and the senders are the quicker for it. Where few
 * come at a time, who sends may need the processor. */
static bool ready(struct core_hook *hook)
{
	struct mailbox *mb = mailbox_of(hook);
	struct core_post *word;
	bool busy;

	if (mb->first != NULL)
		return mb->queued < HERD / 2;
	if (mb->found)
		return true;
	busy = core_busy(mb->ev);
	if (busy && mb->patience > 0) {
		mb->patience--;
		return false;
	}
	if (mb->taken >= MANY && !busy && mb->pauses)
		base_pause(PAUSES);
	word = atomic_load_explicit(&mb->word, memory_order_relaxed);
	mb->found = word != EMPTY && word != ASLEEP;
	if (!mb->found) {
		mb->taken = 0;
		/* From now on the word alone tells what this would. */
		mb->hook.word = (const core_word_t *)&mb->word;
	}
	return mb->found;
}

/* The posts that a word leads to are the owner's to take, so they stay while it looks. */
static size_t count(struct core_hook *hook)
{
	struct mailbox *mb = mailbox_of(hook);
	const struct core_post *word = atomic_load_explicit(&mb->word, memory_order_acquire);
	size_t n = 0;

	if (word != ASLEEP && word != CLOSED)
		for (; word != NULL; word = word->next)
			n++;
	for (word = mb->first; word != NULL; word = word->next)
		n++;
	return n;
}

static bool go_to_sleep(struct core_hook *hook)
{
	struct mailbox *mb = mailbox_of(hook);
	struct core_post *found = EMPTY;

	if (mb->first != NULL)
		return false;
	mailbox_ref(mb);
	if (atomic_compare_exchange_strong_explicit(
		    &mb->word, &found, ASLEEP, memory_order_acq_rel, memory_order_acquire))
		return true;
	mailbox_unref(mb);
	return found == ASLEEP;
}

/* Whoever has ended the wait has written it. */
static void awake(struct core_hook *hook)
{
	thread_prefetch((const char *)&mailbox_of(hook)->word);
}

static bool run(struct talev_context *ev, struct core_hook *hook)
{
	struct mailbox *mb = mailbox_of(hook);
	struct core_post *post;
	unsigned delivered = 0;
	bool open;

	/* What a lost message's function does may close the context, and with it this mailbox. */
	mb->running++;
	if (mb->first == NULL)
		collect(mb, EMPTY);
	while (mb->ev != NULL && mb->queued < HERD && (post = take(mb)) != NULL) {
		post->ops->deliver(ev, post);
		delivered++;
	}
	mb->patience = MIN(PATIENCE + delivered, PATIENCE_MOST);
	open = mb->ev != NULL;
	if (--mb->running == 0 && mb->closed)
		mailbox_unref(mb);
	return open;
}

static void after_fork(struct talev_context *ev, struct core_hook *hook)
{
	struct mailbox *mb = mailbox_of(hook);
	struct core_wake *wake = core_wake_get(ev);
	struct core_post *found = ASLEEP;

	if (wake == NULL)
		return;
	wake_unref(mb->wake);
	mb->wake = wake;
	atomic_store_explicit(&mb->generation, base_fork_generation(), memory_order_release);
	/* It was the parent's loop that slept. Who has found that before now wakes nobody, and the
	 * post is there; who comes now finds that this loop is awake. */
	if (atomic_compare_exchange_strong_explicit(
		    &mb->word, &found, EMPTY, memory_order_acq_rel, memory_order_relaxed))
		mailbox_unref(mb);
}

static void close_box(struct talev_context *ev, struct core_hook *hook)
{
	struct mailbox *mb = mailbox_of(hook);
	struct core_post *post;

	collect(mb, CLOSED);
	mb->ev = NULL;
	while ((post = take(mb)) != NULL)
		post->ops->drop(ev, post);
	mb->closed = true;
	if (mb->running == 0)
		mailbox_unref(mb);
}

static struct mailbox *mailbox_create(struct talev_context *ev)
{
	struct mailbox *mb = aligned_alloc(THREAD_LINE, sizeof(*mb));

	if (mb == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	memset(mb, 0, sizeof(*mb));
	mb->wake = core_wake_get(ev);
	if (mb->wake == NULL) {
		free(mb);
		return NULL;
	}
	atomic_init(&mb->word, EMPTY);
	atomic_init(&mb->refs, 1);
	atomic_init(&mb->generation, base_fork_generation());
	mb->ev = ev;
	mb->last = &mb->first;
	mb->pauses = base_cpus() > 1;
	mb->hook = (struct core_hook){
		.rank = CORE_HOOK_MAILBOX,
		.feeds = true,
		.word = (const core_word_t *)&mb->word,
		.quiet = (uintptr_t)EMPTY,
		.ready = ready,
		.count = count,
		.sleep = go_to_sleep,
		.awake = awake,
		.run = run,
		.after_fork = after_fork,
		.close = close_box,
	};
	core_hook_add(ev, &mb->hook);
	return mb;
}

struct mailbox *mailbox_get(struct talev_context *ev)
{
	struct core_hook *hook;
	struct mailbox *mb;

	if (core_usable(ev) == NULL)
		return NULL;
	hook = core_hook_find(ev, run);
	mb = hook != NULL ? mailbox_of(hook) : mailbox_create(ev);
	if (mb != NULL)
		mailbox_ref(mb);
	return mb;
}

void mailbox_prefetch(const struct mailbox *mb)
{
	thread_prefetch((const char *)&mb->word);
}

void mailbox_ref(struct mailbox *mb)
{
	atomic_fetch_add_explicit(&mb->refs, 1, memory_order_relaxed);
}

void mailbox_unref(struct mailbox *mb)
{
	if (atomic_fetch_sub_explicit(&mb->refs, 1, memory_order_acq_rel) == 1) {
		wake_unref(mb->wake);
		free(mb);
	}
}

struct talev_context *mailbox_context(const struct mailbox *mb)
{
	return mb->ev;
}

void mailbox_set_pile(struct mailbox *mb, struct mailbox_pile *pile)
{
	if (pile != NULL) {
		pile->first = NULL;
		pile->last = &pile->first;
	}
	mb->pile = pile;
}

void mailbox_queued(struct mailbox *mb, int change)
{
	mb->queued += (unsigned)change;
}

void mailbox_withdraw(struct mailbox *mb, struct core_post *post)
{
	struct core_post **link;

	if (mb->ev != NULL)
		collect(mb, EMPTY);
	for (link = &mb->first; *link != NULL; link = &(*link)->next) {
		if (*link == post) {
			*link = post->next;
			if (mb->last == &post->next)
				mb->last = link;
			post->next = NULL;
			return;
		}
	}
}

struct core_post *mailbox_take_back(struct mailbox *mb,
	bool (*match)(const struct core_post *post, const void *arg), const void *arg)
{
	struct core_post *taken = NULL;
	struct core_post **last = &taken;
	struct core_post **link = &mb->first;
	struct core_post *post;

	if (mb->ev != NULL)
		collect(mb, EMPTY);
	while ((post = *link) != NULL) {
		if (!match(post, arg)) {
			link = &post->next;
			continue;
		}
		*link = post->next;
		post->next = NULL;
		*last = post;
		last = &post->next;
	}
	mb->last = link;
	return taken;
}

struct core_post_ops *mailbox_immediate_ops(struct mailbox *mb)
{
	return &mb->immediate_ops;
}

struct mailbox *mailbox_of_immediate(const struct core_post *post)
{
	const char *ops = (const char *)post->ops;

	return (struct mailbox *)(uintptr_t)(ops - offsetof(struct mailbox, immediate_ops));
}
