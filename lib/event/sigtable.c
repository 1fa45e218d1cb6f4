/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with Unix signals here: signalfd(2) needs the signal blocked in every thread, which
 * a library cannot arrange; the disposition is the whole process's; the kernel runs the handler on
 * any thread that has the signal unblocked, on several at the same moment; and fork(2) copies all
 * of it into a process where it means something else.
 *
 * The C handler counts itself in before it looks at a list, and an entry is taken out of its list
 * before the count is looked at, both sequentially consistent: whoever then finds nobody counted
 * in knows that every later handler will not find the entry.
 */
#include "event/sigtable.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <ucontext.h>
#include "base/fork.h"
#include "base/sys.h"

_Static_assert(ATOMIC_POINTER_LOCK_FREE == 2, "a signal handler must not meet a lock");
_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2, "a signal handler must not meet a lock");

struct number {
	struct sigsub *_Atomic first;
	struct sigaction old;
};

static struct number table[SIGNUM_LIMIT];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint handlers; /* C handlers that are executing */
static LIST_HEAD(, sigbox) boxes = LIST_HEAD_INITIALIZER(boxes);
static LIST_HEAD(, sigsub) retired = LIST_HEAD_INITIALIZER(retired);
static atomic_uint retired_count; /* to look without the lock */

/* Numbers that our handler blocked in this thread. Initial-exec: the first use of a thread-local
 * variable of a shared object may else allocate, which a signal handler must not. */
static _Thread_local volatile unsigned char held_back[SIGNUM_LIMIT]
	__attribute__((tls_model("initial-exec")));

/* The mask to which a handler returns is that of what it interrupted. */
static void hold_back(int signum, void *ucontext)
{
	sigaddset(&((ucontext_t *)ucontext)->uc_sigmask, signum);
	held_back[signum] = 1;
}

static void arrive(struct sigsub *sub, const siginfo_t *info, void *ucontext)
{
	struct sigbox *box = sub->box;
	struct sigring *ring = NULL;

	if (atomic_load(&sub->want_info) > 0)
		ring = atomic_load(&sub->ring);
	if (ring != NULL) {
		enum sigring_result result = sigring_put(ring, info);

		if (result == SIGRING_FULL)
			atomic_fetch_add(&sub->lost, 1);
		if (result != SIGRING_OK)
			hold_back(sub->signum, ucontext);
	}
	atomic_fetch_add(&sub->arrivals, 1);
	/* The loop says that it sleeps, then looks at pending; this is the other way round. One of
	 * the two sees the other. */
	atomic_store(&box->pending, true);
	if (atomic_load(&box->asleep) && box->generation == base_fork_generation())
		wake_post(box->wake);
}

static void on_signal(int signum, siginfo_t *info, void *ucontext)
{
	int saved_errno = errno;
	struct sigsub *sub;

	atomic_fetch_add(&handlers, 1);
	for (sub = atomic_load(&table[signum].first); sub != NULL; sub = atomic_load(&sub->next))
		arrive(sub, info, ucontext);
	atomic_fetch_sub(&handlers, 1);
	errno = saved_errno;
}

/* With signals blocked, so that nothing of this thread is ever in the middle of a change. */
static void lock_table(sigset_t *mask)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, mask);
	pthread_mutex_lock(&lock);
}

static void unlock_table(const sigset_t *mask)
{
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, mask, NULL);
}

static sigset_t mask_over_fork;

static void before_fork(void)
{
	sigset_t mask;

	lock_table(&mask);
	mask_over_fork = mask;
}

static void after_fork_in_parent(void)
{
	sigset_t mask = mask_over_fork;

	unlock_table(&mask);
}

/* The other threads are not here, so neither are the handlers that they were executing. */
static void after_fork_in_child(void)
{
	atomic_store(&handlers, 0);
	after_fork_in_parent();
}

static void watch_forks(void)
{
	base_fork_generation();
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static void sigbox_unref(struct sigbox *box)
{
	if (atomic_fetch_sub(&box->users, 1) > 1)
		return;
	wake_unref(box->wake);
	free(box);
}

/* Frees what can be freed now. */
static void reclaim(void)
{
	LIST_HEAD(, sigsub) old = LIST_HEAD_INITIALIZER(old);
	struct sigsub *sub;
	struct sigsub *next;
	sigset_t mask;

	if (atomic_load(&retired_count) == 0)
		return;
	lock_table(&mask);
	if (atomic_load(&handlers) == 0) {
		LIST_FOREACH_SAFE (sub, &retired, retired, next) {
			if (atomic_load(&sub->box->walks) > 0)
				continue;
			LIST_REMOVE(sub, retired);
			LIST_INSERT_HEAD(&old, sub, retired);
			atomic_fetch_sub(&retired_count, 1);
		}
	}
	unlock_table(&mask);

	LIST_FOREACH_SAFE (sub, &old, retired, next) {
		sigbox_unref(sub->box);
		free(atomic_load(&sub->ring));
		free(sub);
	}
}

struct sigbox *sigbox_find(struct talev_context *ev)
{
	struct sigbox *box;
	sigset_t mask;

	lock_table(&mask);
	LIST_FOREACH (box, &boxes, link)
		if (box->ev == ev)
			break;
	unlock_table(&mask);
	return box;
}

struct sigbox *sigbox_create(struct talev_context *ev)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sigbox *box;
	sigset_t mask;

	pthread_once(&once, watch_forks);
	box = calloc(1, sizeof(*box));
	if (box == NULL)
		return NULL;
	box->wake = core_wake_get(ev);
	if (box->wake == NULL) {
		free(box);
		return NULL;
	}
	box->ev = ev;
	box->generation = base_fork_generation();
	box->hook.pending = &box->pending;
	atomic_init(&box->users, 1);

	lock_table(&mask);
	LIST_INSERT_HEAD(&boxes, box, link);
	unlock_table(&mask);
	return box;
}

void sigbox_after_fork(struct sigbox *box)
{
	struct core_wake *wake = core_wake_get(box->ev);
	struct core_wake *old = box->wake;
	sigset_t mask;

	/* Without a new one the parent's stays unwritten; what arrives still interrupts the wait.
	 */
	if (wake == NULL)
		return;
	lock_table(&mask);
	box->wake = wake;
	box->generation = base_fork_generation();
	unlock_table(&mask);
	wake_unref(old);
}

void sigbox_enter(struct sigbox *box)
{
	atomic_fetch_add(&box->users, 1);
	atomic_fetch_add(&box->walks, 1);
}

void sigbox_leave(struct sigbox *box)
{
	atomic_fetch_sub(&box->walks, 1);
	sigbox_unref(box);
	reclaim();
}

void sigbox_close(struct sigbox *box)
{
	sigset_t mask;

	lock_table(&mask);
	LIST_REMOVE(box, link);
	unlock_table(&mask);
	sigbox_unref(box);
}

int sigsub_need_ring(struct sigsub *sub)
{
	struct sigring *ring;

	if (atomic_load(&sub->ring) != NULL)
		return 0;
	ring = sigring_create();
	if (ring == NULL)
		return -1;
	atomic_store(&sub->ring, ring);
	return 0;
}

static int install(int signum, int sa_flags)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = sa_flags | SA_SIGINFO};

	/* One at a time on a thread: the depth of its stack must not depend on what arrives. */
	sigfillset(&action.sa_mask);
	return base_sigaction(signum, &action, &table[signum].old);
}

/* A program that took the number for itself meanwhile keeps it. */
static void restore(int signum)
{
	struct sigaction present;

	if (base_sigaction(signum, NULL, &present) != 0)
		return;
	if ((present.sa_flags & SA_SIGINFO) == 0 || present.sa_sigaction != on_signal)
		return;
	/* What the kernel kept only because we held it back was for us. Ignoring a number makes the
	 * kernel forget it; ignoring SIGCHLD, however, would take children from the program. */
	if (held_back[signum] && signum != SIGCHLD) {
		struct sigaction ignore = {.sa_handler = SIG_IGN};

		base_sigaction(signum, &ignore, NULL);
	}
	base_sigaction(signum, &table[signum].old, NULL);
}

int sigtable_subscribe(struct sigsub *sub, int sa_flags)
{
	struct number *number = &table[sub->signum];
	struct sigsub *first;
	sigset_t mask;
	int saved_errno;
	int ret = 0;

	reclaim();
	lock_table(&mask);
	first = atomic_load(&number->first);
	atomic_store(&sub->next, first);
	atomic_store(&number->first, sub);
	if (first == NULL)
		ret = install(sub->signum, sa_flags);
	saved_errno = errno;
	if (ret == 0)
		atomic_fetch_add(&sub->box->users, 1);
	else
		atomic_store(&number->first, NULL);
	unlock_table(&mask);
	errno = saved_errno;
	return ret;
}

static void unlink_from_number(struct sigsub *sub)
{
	struct sigsub *_Atomic *at = &table[sub->signum].first;

	while (atomic_load(at) != sub)
		at = &atomic_load(at)->next;
	atomic_store(at, atomic_load(&sub->next));
}

void sigtable_unsubscribe(struct sigsub *sub)
{
	struct number *number = &table[sub->signum];
	int saved_errno = errno;
	int signum = sub->signum;
	bool last;
	sigset_t mask;

	lock_table(&mask);
	last = atomic_load(&number->first) == sub && atomic_load(&sub->next) == NULL;
	/* The other way round, an arrival in between would be nobody's. */
	if (last)
		restore(signum);
	unlink_from_number(sub);
	LIST_INSERT_HEAD(&retired, sub, retired);
	atomic_fetch_add(&retired_count, 1);
	unlock_table(&mask);
	if (last)
		sigtable_unblock(signum);
	reclaim();
	errno = saved_errno;
}

void sigtable_unblock(int signum)
{
	sigset_t set;

	if (!held_back[signum])
		return;
	held_back[signum] = 0;
	sigemptyset(&set);
	sigaddset(&set, signum);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
