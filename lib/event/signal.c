/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watchers of Unix signals, and telling them what came.
 *
 * The watchers of one number in one context are told in walks: one for each siginfo of the ring,
 * the first of them also for the bare count. Where a walk stands is kept beside the watchers, not
 * on the stack: a handler may free any of them, and a loop nested in a handler goes on with the
 * walk that it interrupted before it begins the next, so that each watcher sees the order of
 * arrival.
 */
#include "event/event.h"
#include <errno.h>
#include <stdlib.h>
#include "base/log.h"
#include "event/sigtable.h"
#include <talev/loop.h>
#include <talev/signal.h>

#define KERNEL_FLAGS (SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT | SA_ONSTACK)

/* The watchers of one number in one context. */
struct watched {
	struct sigsub sub; /* first: the table frees it */
	TAILQ_HEAD(, talev_signal) watchers;
	struct talev_signal *next; /* to be told in this walk; NULL: the walk is over */
	unsigned total;            /* arrivals, when the walk began */
	unsigned position;         /* of info in the ring */
	bool has_info;
	siginfo_t info;
};

struct talev_signal {
	struct source src;
	TAILQ_ENTRY(talev_signal) link;
	struct watched *watched; /* NULL when not live */
	talev_signal_handler_t handler;
	int signum;
	bool wants_info;
	bool holds;    /* the loop: there is something that may come */
	unsigned seen; /* arrivals that it was told of, or that are not for it */
	unsigned from; /* the position of the first siginfo that is for it */
	int count;     /* for its handler */
	const siginfo_t *info;
};

static struct talev_signal *signal_of(struct source *src)
{
	return (struct talev_signal *)src;
}

/* What comes from now on is for it. */
static void see_all(struct talev_signal *se)
{
	struct sigring *ring = atomic_load(&se->watched->sub.ring);

	se->seen = atomic_load(&se->watched->sub.arrivals);
	if (ring != NULL)
		se->from = sigring_head(ring);
}

static void hold_loop(struct talev_signal *se, bool hold)
{
	if (se->holds == hold)
		return;
	se->holds = hold;
	if (hold)
		core_hold(se->src.ev);
	else
		core_release(se->src.ev);
}

static bool begin_walk(struct watched *watched, unsigned total, struct sigring *ring, unsigned head)
{
	bool counted = (int)(total - watched->total) > 0;

	watched->has_info =
		ring != NULL && sigring_get(ring, head, &watched->info, &watched->position);
	if (!watched->has_info && !counted)
		return false;
	if (counted)
		watched->total = total;
	watched->next = TAILQ_FIRST(&watched->watchers);
	return true;
}

/* Is there something in this walk for it? */
static bool prepare(struct talev_signal *se, siginfo_t *info)
{
	struct watched *watched = se->watched;

	if (!se->src.enabled)
		return false;
	if (se->wants_info) {
		*info = watched->info;
		se->info = info;
		se->count = 1;
		return watched->has_info && (int)(watched->position - se->from) >= 0;
	}
	se->info = NULL;
	se->count = (int)(watched->total - se->seen);
	if (se->count > 0)
		se->seen = watched->total;
	return se->count > 0;
}

enum told { TOLD_ALL, TOLD_SOME, TOLD_GONE };

/* What arrives while this runs is for another turn. */
static enum told tell(struct talev_context *ev, struct watched *watched)
{
	struct sigring *ring = atomic_load(&watched->sub.ring);
	unsigned total = atomic_load(&watched->sub.arrivals);
	unsigned head = ring != NULL ? sigring_head(ring) : 0;
	siginfo_t info; /* the handler's, also if a nested loop goes on */

	for (;;) {
		struct talev_signal *se;

		if (watched->next == NULL && !begin_walk(watched, total, ring, head))
			return TOLD_ALL;
		se = watched->next;
		if (se == NULL)
			return TOLD_ALL;
		watched->next = TAILQ_NEXT(se, link);
		if (!prepare(se, &info))
			continue;
		if (!core_fire(ev, &se->src, 0, 0))
			return TOLD_GONE;
		if (talev_loop_broken(ev))
			return TOLD_SOME;
	}
}

static void report_loss(struct watched *watched)
{
	unsigned lost = atomic_exchange(&watched->sub.lost, 0);

	if (lost > 0)
		core_log(watched->sub.box->ev, TALEV_LOG_ERROR,
			"signal %d: siginfo of %u arrivals is lost, %u were waiting",
			watched->sub.signum, lost, SIGRING_SIZE);
}

/* A writer that is preempted between reserving and publishing its slot stops the reading there; to
 * let more in then is to lose it. Publishing makes this run again. */
static void unblock(const struct watched *watched)
{
	const struct sigring *ring = atomic_load(&watched->sub.ring);

	if (ring == NULL || sigring_has_room(ring))
		sigtable_unblock(watched->sub.signum);
}

/* False: the context has gone. */
static bool tell_box(struct talev_context *ev, struct sigbox *box)
{
	uint64_t left = box->numbers;

	while (left != 0) {
		int signum = __builtin_ctzll(left) + 1;
		struct watched *watched = (struct watched *)box->subs[signum];

		left &= left - 1;
		/* A handler may have freed its last watcher meanwhile. */
		if (watched == NULL)
			continue;
		report_loss(watched);
		switch (tell(ev, watched)) {
		case TOLD_ALL:
			unblock(watched);
			break;
		case TOLD_SOME:
			atomic_store(&box->pending, true);
			return true;
		case TOLD_GONE:
			return false;
		}
	}
	return true;
}

static struct sigbox *box_of(struct core_hook *hook)
{
	return (struct sigbox *)((char *)hook - offsetof(struct sigbox, hook));
}

static bool run_hook(struct talev_context *ev, struct core_hook *hook)
{
	struct sigbox *box = box_of(hook);
	bool there;

	sigbox_enter(box);
	there = tell_box(ev, box);
	sigbox_leave(box);
	return there;
}

static bool go_to_sleep(struct core_hook *hook)
{
	struct sigbox *box = box_of(hook);

	atomic_store(&box->asleep, true);
	return !atomic_load(&box->pending);
}

static void wake_up(struct core_hook *hook)
{
	atomic_store_explicit(&box_of(hook)->asleep, false, memory_order_relaxed);
}

static void after_fork(struct talev_context *ev, struct core_hook *hook)
{
	(void)ev;
	sigbox_after_fork(box_of(hook));
}

static struct sigbox *box_for(struct talev_context *ev)
{
	struct sigbox *box = sigbox_find(ev);

	if (box != NULL)
		return box;
	box = sigbox_create(ev);
	if (box == NULL)
		return NULL;
	box->hook.rank = CORE_HOOK_SIGNAL;
	box->hook.run = run_hook;
	box->hook.sleep = go_to_sleep;
	box->hook.awake = wake_up;
	box->hook.after_fork = after_fork;
	core_hook_add(ev, &box->hook);
	return box;
}

static void close_box_if_unused(struct sigbox *box)
{
	if (box->numbers != 0)
		return;
	core_hook_remove(box->ev, &box->hook);
	sigbox_close(box);
}

static struct watched *watch(struct sigbox *box, int signum, int sa_flags)
{
	struct watched *watched = (struct watched *)box->subs[signum];

	if (watched != NULL)
		return watched;
	watched = calloc(1, sizeof(*watched));
	if (watched == NULL)
		return NULL;
	TAILQ_INIT(&watched->watchers);
	watched->sub.box = box;
	watched->sub.signum = signum;
	if (sigtable_subscribe(&watched->sub, sa_flags) != 0) {
		free(watched);
		return NULL;
	}
	box->subs[signum] = &watched->sub;
	box->numbers |= UINT64_C(1) << (signum - 1);
	return watched;
}

static void unwatch_if_unused(struct watched *watched)
{
	struct sigbox *box = watched->sub.box;

	if (!TAILQ_EMPTY(&watched->watchers))
		return;
	box->subs[watched->sub.signum] = NULL;
	box->numbers &= ~(UINT64_C(1) << (watched->sub.signum - 1));
	sigtable_unsubscribe(&watched->sub);
}

static int join(struct talev_signal *se, struct watched *watched)
{
	if (se->wants_info) {
		if (sigsub_need_ring(&watched->sub) != 0)
			return -1;
		atomic_fetch_add(&watched->sub.want_info, 1);
	}
	se->watched = watched;
	TAILQ_INSERT_TAIL(&watched->watchers, se, link);
	see_all(se);
	hold_loop(se, true);
	return 0;
}

static void leave(struct talev_signal *se)
{
	struct watched *watched = se->watched;

	if (watched->next == se)
		watched->next = TAILQ_NEXT(se, link);
	TAILQ_REMOVE(&watched->watchers, se, link);
	if (se->wants_info)
		atomic_fetch_sub(&watched->sub.want_info, 1);
	se->watched = NULL;
	hold_loop(se, false);
}

static void signal_disarm(struct source *src)
{
	struct talev_signal *se = signal_of(src);
	struct watched *watched = se->watched;
	struct sigbox *box;

	if (watched == NULL)
		return;
	box = watched->sub.box;
	leave(se);
	unwatch_if_unused(watched);
	close_box_if_unused(box);
}

static void signal_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	struct talev_signal *se = signal_of(src);

	(void)flags;
	(void)now;
	se->handler(src->ev, se, se->signum, se->count, se->info, src->private_data);
}

/* What came while it was disabled is lost to it. */
static void signal_enable(struct source *src)
{
	see_all(signal_of(src));
	hold_loop(signal_of(src), src->enabled);
}

static void signal_describe(const struct source *src, struct talev_source_info *info)
{
	info->signum = ((const struct talev_signal *)src)->signum;
	info->armed = src->enabled;
}

static const struct source_kind signal_kind = {
	.type = "struct talev_signal",
	.label = "signal",
	.disarm = signal_disarm,
	.fire = signal_fire,
	.enable = signal_enable,
	.describe = signal_describe,
};

/* Leaves nothing behind that was made for it. */
static int attach(struct talev_signal *se, int sa_flags)
{
	struct sigbox *box = box_for(se->src.ev);
	struct watched *watched;
	int saved_errno;

	if (box == NULL)
		return -1;
	watched = watch(box, se->signum, sa_flags);
	if (watched != NULL && join(se, watched) == 0)
		return 0;

	saved_errno = errno;
	if (watched != NULL)
		unwatch_if_unused(watched);
	close_box_if_unused(box);
	errno = saved_errno;
	return -1;
}

struct talev_signal *_talev_add_signal(struct talev_context *ev, TALLOC_CTX *mem_ctx, int signum,
	int sa_flags, talev_signal_handler_t handler, void *private_data, const char *where)
{
	struct talev_signal *se;
	int saved_errno;

	if (ev == NULL || handler == NULL || signum < 1 || signum >= SIGNUM_LIMIT ||
		(sa_flags & ~(KERNEL_FLAGS | SA_SIGINFO)) != 0) {
		errno = EINVAL;
		return NULL;
	}

	se = source_create(ev, mem_ctx, sizeof(*se), &signal_kind, private_data, where);
	if (se == NULL)
		return NULL;
	se->handler = handler;
	se->signum = signum;
	se->wants_info = (sa_flags & SA_SIGINFO) != 0;
	if (attach(se, sa_flags & KERNEL_FLAGS) == 0)
		return se;

	saved_errno = errno;
	talloc_free(se);
	errno = saved_errno;
	return NULL;
}

int talev_signal_get_signum(const struct talev_signal *se)
{
	return se->signum;
}
