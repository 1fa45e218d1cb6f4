/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Safe memory by quiescent states.
 *
 * The epoch is a number that grows. To free a batch, its loop makes the epoch one larger, and waits
 * until every reader has seen that: a loop between two handlers writes down the epoch that it sees
 * there. Whoever has seen it left all handlers in which it could have found what had been taken out
 * of every structure before. A loop that sleeps is AWAY, and so is no hindrance.
 *
 * A loop that comes back from there writes down an epoch, then touches the epoch itself by a
 * read-modify-write, as who retires does. The two have an order. If the retiring one is first, the
 * loop sees all that was taken out before it; if it is second, it sees what the loop has written
 * down. The way to AWAY is the same the other way round: after it the loop looks at the epoch once
 * more, and if that has grown, tells those who wait.
 *
 * Sections are in a list, with the epoch in which each was entered, oldest first.
 */
#include "loops/retire.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <talev/loop.h>
#include <talev/retire.h>
#include <talev/timer.h>
#include "base/base.h"
#include "loops/manager.h"

#define AWAY 0ul

struct talev_section {
	TAILQ_ENTRY(talev_section) link;
	unsigned long entered;
	const char *name;
	const char *location;
	pthread_t thread;
	bool lost; /* its thread is not in this process */
};

static atomic_ulong epoch = 1;
static atomic_uint waiters; /* readers with a batch that waits */
static _Atomic talev_time_t patience = TALEV_SEC(10);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, reader) readers = LIST_HEAD_INITIALIZER(readers);
static TAILQ_HEAD(, talev_section) sections = TAILQ_HEAD_INITIALIZER(sections);
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct reader *reader_of(struct core_hook *hook)
{
	return (struct reader *)((char *)hook - offsetof(struct reader, hook));
}

static struct reader *reader_of_nudge(struct core_post *post)
{
	return (struct reader *)((char *)post - offsetof(struct reader, nudge));
}

/* fork(2): the child has the lock free, and none of the other threads. */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void)
{
	struct talev_loop *mine = talev_loop_current();
	struct talev_section *section;
	struct talev_section *next;
	struct reader *reader;

	/* They never come between two handlers again. What they were about to free is lost. */
	LIST_FOREACH (reader, &readers, link)
		if (reader->loop != mine)
			atomic_store(&reader->seen, AWAY);
	TAILQ_FOREACH_SAFE (section, &sections, link, next) {
		if (pthread_equal(section->thread, pthread_self()))
			continue;
		TAILQ_REMOVE(&sections, section, link);
		section->lost = true;
	}
	pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* Somebody has moved on: whoever waits looks again. */
static void tell_waiters(const struct reader *mover)
{
	struct reader *reader;

	if (atomic_load(&waiters) == 0)
		return;
	pthread_mutex_lock(&lock);
	LIST_FOREACH (reader, &readers, link) {
		if (!atomic_load(&reader->waits))
			continue;
		atomic_store(&reader->look, true);
		if (reader == mover || atomic_exchange(&reader->nudged, true))
			continue;
		if (mailbox_send(reader->loop->mb, &reader->nudge) != 0)
			atomic_store(&reader->nudged, false);
	}
	pthread_mutex_unlock(&lock);
}

/* Whoever finds it still on its way relies on it: so what he has said before is seen from here on.
 * A store would not do, which need not come before what this loop reads next. */
static void nudge_arrived(struct talev_context *ev, struct core_post *post)
{
	(void)ev;
	(void)atomic_exchange(&reader_of_nudge(post)->nudged, false);
}

static const struct core_post_ops nudge_ops = {.deliver = nudge_arrived, .drop = nudge_arrived};

static bool all_have_seen(unsigned long target)
{
	struct talev_section *oldest;
	struct reader *reader;
	bool all = true;

	pthread_mutex_lock(&lock);
	LIST_FOREACH (reader, &readers, link) {
		unsigned long seen = atomic_load(&reader->seen);

		if (seen != AWAY && seen < target)
			all = false;
	}
	oldest = TAILQ_FIRST(&sections);
	if (oldest != NULL && oldest->entered < target)
		all = false;
	pthread_mutex_unlock(&lock);
	return all;
}

/* Nothing of gathering is in any structure by now. */
static void begin_to_wait(struct reader *reader)
{
	TALLOC_CTX *batch = reader->gathering;

	reader->gathering = reader->waiting;
	reader->waiting = batch;
	reader->any = false;
	atomic_store(&reader->waits, true);
	atomic_fetch_add(&waiters, 1);
	reader->target = atomic_fetch_add(&epoch, 1) + 1;
	atomic_store(&reader->look, true);
	if (reader->patience != NULL && atomic_load(&patience) != TALEV_NEVER)
		(void)talev_timer_start(reader->patience, atomic_load(&patience));
}

/* While nothing of its own waits, all that it looks for is a new epoch. */
static void note_what_to_look_for(struct reader *reader)
{
	bool nothing = !reader->any && !atomic_load_explicit(&reader->waits, memory_order_relaxed);

	reader->hook.word = nothing ? (const core_word_t *)&epoch : NULL;
	reader->hook.quiet = atomic_load_explicit(&reader->seen, memory_order_relaxed);
}

/* Between two handlers. */
static void pass(struct reader *reader)
{
	unsigned long seen = atomic_load_explicit(&reader->seen, memory_order_relaxed);
	unsigned long now = atomic_load_explicit(&epoch, memory_order_acquire);

	if (seen == now)
		return;
	atomic_store(&reader->seen, now);
	if (seen == AWAY) {
		unsigned long newer = atomic_fetch_add(&epoch, 0);

		/* Nobody has to be told that it is no hindrance, unless it was one just now. */
		if (newer == now)
			return;
		atomic_store(&reader->seen, newer);
	}
	tell_waiters(reader);
}

static bool between_handlers(const struct reader *reader)
{
	return reader->running && talev_loop_level(reader->ev) == 1;
}

static bool ready(struct core_hook *hook)
{
	struct reader *reader = reader_of(hook);

	/* As it is nearly always, and between any two handlers. */
	if (atomic_load_explicit(&reader->seen, memory_order_relaxed) ==
			atomic_load_explicit(&epoch, memory_order_acquire) &&
		!reader->any && !atomic_load_explicit(&reader->look, memory_order_relaxed))
		return false;
	if (!between_handlers(reader))
		return false;
	if (reader->any && !atomic_load_explicit(&reader->waits, memory_order_relaxed))
		begin_to_wait(reader);
	pass(reader);
	note_what_to_look_for(reader);
	return atomic_load_explicit(&reader->look, memory_order_relaxed) &&
	       atomic_load_explicit(&reader->waits, memory_order_relaxed);
}

static bool look(struct talev_context *ev, struct core_hook *hook)
{
	struct reader *reader = reader_of(hook);

	(void)ev;
	atomic_store(&reader->look, false);
	if (all_have_seen(reader->target))
		core_post(reader->reaper);
	return true;
}

static bool go_away(struct core_hook *hook)
{
	struct reader *reader = reader_of(hook);
	unsigned long seen = atomic_load_explicit(&reader->seen, memory_order_relaxed);

	if (!between_handlers(reader) || seen == AWAY)
		return true;
	atomic_store(&reader->seen, AWAY);
	note_what_to_look_for(reader);
	if (atomic_load(&epoch) != seen)
		tell_waiters(reader);
	return true;
}

static void reaper_fire(struct source *src, uint32_t flags, talev_time_t now);

static void reaper_disarm(struct source *src)
{
	core_unpost(src);
}

static void reaper_describe(const struct source *src, struct talev_source_info *info)
{
	info->armed = src->place == PLACE_IMMEDIATE;
}

static const struct source_kind reaper_kind = {
	.type = "struct talev_reaper",
	.label = "retired",
	.disarm = reaper_disarm,
	.fire = reaper_fire,
	.describe = reaper_describe,
};

static void reaper_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	struct reader *reader = &((struct talev_loop *)src->private_data)->reader;

	(void)flags;
	(void)now;
	core_unpost(src);
	/* What destructors retire is of the next batch. */
	talloc_free_children(reader->waiting);
	atomic_store(&reader->waits, false);
	atomic_fetch_sub(&waiters, 1);
	if (reader->patience != NULL)
		(void)talev_timer_stop(reader->patience);
	core_release(reader->ev);
	if (reader->any)
		begin_to_wait(reader);
	note_what_to_look_for(reader);
}

/* What a batch waits for, in words; the hook that gets them may do anything, so without the lock.
 */
#define REASONS 8

struct reasons {
	unsigned count;
	char text[REASONS][160];
};

static void find_reasons(const struct reader *me, struct reasons *reasons)
{
	struct talev_section *section;
	struct reader *reader;

	reasons->count = 0;
	pthread_mutex_lock(&lock);
	LIST_FOREACH (reader, &readers, link) {
		unsigned long seen = atomic_load(&reader->seen);

		if (seen != AWAY && seen < me->target && reasons->count < REASONS)
			(void)snprintf(reasons->text[reasons->count++], sizeof(reasons->text[0]),
				"a handler of loop %s", reader->loop->name);
	}
	TAILQ_FOREACH (section, &sections, link)
		if (section->entered < me->target && reasons->count < REASONS)
			(void)snprintf(reasons->text[reasons->count++], sizeof(reasons->text[0]),
				"section %s (%s)", section->name, section->location);
	pthread_mutex_unlock(&lock);
}

static void tell_why(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	struct reader *me = data;
	struct reasons reasons;

	(void)ev;
	(void)now;
	find_reasons(me, &reasons);
	for (unsigned i = 0; i < reasons.count; i++)
		base_log(TALEV_LOG_WARNING, "what loop %s has retired waits for %s", me->loop->name,
			reasons.text[i]);
	if (atomic_load(&patience) == TALEV_NEVER)
		(void)talev_timer_stop(te);
	else
		(void)talev_timer_start(te, atomic_load(&patience));
}

int retire_open(struct talev_loop *loop)
{
	struct reader *reader = &loop->reader;

	pthread_once(&once, watch_forks);
	reader->loop = loop;
	reader->ev = loop->ev;
	reader->gathering = talloc_new(loop->root);
	reader->waiting = talloc_new(loop->root);
	reader->reaper = source_create(loop->ev, loop->root, sizeof(struct source), &reaper_kind,
		loop, "talev_retire\0talev");
	reader->patience = _talev_add_timer(
		loop->ev, loop->root, TALEV_NEVER, tell_why, reader, "talev_retire\0talev");
	if (reader->gathering == NULL || reader->waiting == NULL || reader->reaper == NULL ||
		reader->patience == NULL) {
		errno = ENOMEM;
		return -1;
	}
	(void)talev_timer_stop(reader->patience);
	reader->nudge.ops = &nudge_ops;
	reader->hook = (struct core_hook){
		/* Before anything that may run a handler. */
		.rank = CORE_HOOK_SIGNAL - 1,
		.ready = ready,
		.sleep = go_away,
		.run = look,
	};
	return 0;
}

void retire_begin(struct talev_loop *loop)
{
	struct reader *reader = &loop->reader;

	atomic_store(&reader->seen, atomic_load(&epoch));
	pthread_mutex_lock(&lock);
	LIST_INSERT_HEAD(&readers, reader, link);
	pthread_mutex_unlock(&lock);
	atomic_store(&reader->seen, atomic_fetch_add(&epoch, 0));
	note_what_to_look_for(reader);
	core_hook_add(reader->ev, &reader->hook);
	reader->begun = true;
}

void retire_in_loop(struct talev_loop *loop, bool inside)
{
	int error = errno;

	/* Its last moment may have been one in which it slept. */
	if (!inside && atomic_load(&loop->reader.seen) == AWAY)
		pass(&loop->reader);
	errno = error;
	loop->reader.running = inside;
}

void retire_close(struct talev_loop *loop)
{
	loop->reader.closed = true;
}

void retire_end(struct talev_loop *loop)
{
	struct reader *reader = &loop->reader;

	if (!reader->begun)
		return;
	pthread_mutex_lock(&lock);
	LIST_REMOVE(reader, link);
	pthread_mutex_unlock(&lock);
	tell_waiters(reader);
}

int talev_retire(void *ptr)
{
	struct talev_loop *loop = talev_loop_current();
	struct reader *reader;

	if (ptr == NULL || loop == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (loop->reader.closed) {
		errno = ESHUTDOWN;
		return -1;
	}
	if (talloc_reference_count(ptr) > 0) {
		errno = EBUSY;
		return -1;
	}
	reader = &loop->reader;
	talloc_steal(reader->gathering, ptr);
	if (!reader->any) {
		reader->any = true;
		note_what_to_look_for(reader);
		/* The loop does not end before it is freed. */
		core_hold(reader->ev);
	}
	return 0;
}

static int leave(struct talev_section *section)
{
	bool waited_for;

	if (section->lost)
		return 0;
	pthread_mutex_lock(&lock);
	TAILQ_REMOVE(&sections, section, link);
	waited_for = section->entered < atomic_load(&epoch);
	pthread_mutex_unlock(&lock);
	if (waited_for)
		tell_waiters(NULL);
	return 0;
}

struct talev_section *_talev_section_enter(
	TALLOC_CTX *mem_ctx, const char *name, const char *location)
{
	struct talev_section *section = talloc(mem_ctx, struct talev_section);

	if (section == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	pthread_once(&once, watch_forks);
	section->name = name;
	section->location = location;
	section->lost = false;
	section->thread = pthread_self();
	pthread_mutex_lock(&lock);
	/* Ordered like a loop that comes back: see above. */
	section->entered = atomic_fetch_add(&epoch, 0);
	TAILQ_INSERT_TAIL(&sections, section, link);
	pthread_mutex_unlock(&lock);
	talloc_set_destructor(section, leave);
	return section;
}

int talev_retire_set_patience(talev_time_t wait)
{
	if (wait <= 0) {
		errno = EINVAL;
		return -1;
	}
	atomic_store(&patience, wait);
	return 0;
}
