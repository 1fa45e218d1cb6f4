/* SPDX-License-Identifier: BSD-2-Clause */
/* The context, inside the room. */
#ifndef CORE_CONTEXT_H
#define CORE_CONTEXT_H

#include <pthread.h>
#include "base/base.h"
#include "core/core.h"

/* A bit of a word for each. */
#define SLOT_PAGE 64

/* One descriptor: who watches it, and what the kernel has been told. Four of them share a cache
 * line, so that thousands of descriptors stay near. */
struct slot {
	struct watcher_list watchers; /* in the order in which they are told next */
	uint32_t generation;          /* of its registration; reports of an older one are ignored */
	uint8_t kernel;               /* interest that the kernel has */
	uint8_t blocking;             /* enum slot_blocking */
	bool rearm; /* a report of an edge was not told: the kernel shall say it again */
};

enum slot_blocking { BLOCKING_UNKNOWN, BLOCKING_YES, BLOCKING_NO };

/* In the generation: a descriptor of talev's own. */
#define SLOT_INTERNAL UINT32_C(0x80000000)

struct slot_page {
	struct slot slots[SLOT_PAGE];
	uint64_t changed; /* these have to be told to the kernel */
	uint64_t refused; /* and these again, after a flush that is under way */
	uint64_t always;  /* the kernel cannot watch these files: they are always ready */
	TAILQ_ENTRY(slot_page) link; /* while some have changed */
	int first;                   /* the descriptor of slots[0] */
};

TAILQ_HEAD(slot_pages, slot_page);

struct slots {
	struct slot_page **pages;
	unsigned page_count;
	struct slot_pages changed;
	unsigned always_count;
	int always_at; /* where the next round of them begins */
	size_t active; /* watchers of the user's that wait for something */
};

struct talev_context {
	struct source src;
	/* What is looked at for each event, together. */
	struct life *life;
	const struct backend_ops *ops;
	struct backend *backend; /* NULL: it could not be made again after a fork */
	/* Of ops, without a look into a line that is for nothing else. */
	int (*wait)(struct backend *be, const struct backend_deadlines *deadlines, bool block,
		struct backend_event *events, int max);
	int batch;    /* how many reports a turn takes: one of a backend that has its own time */
	bool suspect; /* a report came that nobody knew: the next ones are looked at first */
	TAILQ_HEAD(, core_hook) hooks;
	size_t immediate_count;
	size_t due_count;
	size_t timers_queued;      /* in all of timers */
	talev_time_t timers_quiet; /* no timer is due before, and that is far; 0: not known */
	talev_time_t lookout;      /* see lookout.c; TALEV_NEVER: there is none */
	uint64_t turns;
	/* Other threads look at these: see pulse.c. */
	_Atomic uint64_t waits;
	_Atomic uint64_t handlers;
	_Atomic uint8_t pulse; /* enum core_pulse_state */
	struct slots slots;
	talev_time_t longest_wait; /* of this call of a loop; 0: no limit */
	talev_time_t spin;         /* how long to look about before sleeping */
	unsigned no_looks;         /* this many waits go without a look before them */
	unsigned hot; /* turns in which the clock was looked at in vain, and a wait not needed */
	bool time_known;
	bool reinitialising;
	bool nesting;
	bool broken;
	bool strict;
	bool timing;
	bool embedded;
	bool always_next;
	bool kept;
	struct source_queue immediates;
	struct source_queue due;
	struct source_queue resting;
	unsigned immediate_streak; /* units of work in a row that were immediates, timers */
	unsigned timer_streak;
	unsigned immediate_budget; /* of this turn */
	unsigned timer_budget;
	unsigned level;
	unsigned fork_generation;
	size_t holds;
	talev_time_t turn_time[BASE_CLOCKS];
	struct timerq timers[BASE_CLOCKS];
	struct core_wake *wake;
	struct fd_source *wake_source;
	struct fd_source *lookout_source;
	pthread_t owner_self; /* the thread that runs the loop, in development builds */
	pid_t owner;
	char owner_name[16];
	talev_time_t slow;
	struct latency *latency; /* NULL: nothing has been measured */
	unsigned spin_misses;
	unsigned spin_rest; /* so many sleeps go without */
	talev_trace_fn_t trace;
	void *trace_private;
	talev_log_fn_t log; /* NULL: the log hook */
	void *log_private;
};

/* core_trace(), where most have nobody to tell. */
static inline void trace(struct talev_context *ev, enum talev_trace_point point, struct source *src)
{
	if (ev->trace != NULL)
		core_trace(ev, point, src);
}

/* One more, for others to see. It is no read-modify-write: only the owner writes. */
static inline void context_count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
		memory_order_relaxed);
}

static inline void context_pulse(struct talev_context *ev, enum core_pulse_state state)
{
	atomic_store_explicit(&ev->pulse, (uint8_t)state, memory_order_relaxed);
}

/* See core_is_plain(). */
static inline void context_set_plain(struct talev_context *ev)
{
	ev->src.kind_mark = ev->trace == NULL && !ev->embedded && !ev->life->closing;
}

/* slot.c */
void slots_init(struct talev_context *ev);
void slots_destroy(struct talev_context *ev);
static inline struct slot_page *slot_page(const struct talev_context *ev, int fd)
{
	unsigned page = (unsigned)fd / SLOT_PAGE;

	return page < ev->slots.page_count ? ev->slots.pages[page] : NULL;
}
static inline struct slot *slot_get(const struct talev_context *ev, int fd)
{
	struct slot_page *page = slot_page(ev, fd);

	return page != NULL ? &page->slots[(unsigned)fd % SLOT_PAGE] : NULL;
}
static inline bool slot_is_always(const struct talev_context *ev, int fd)
{
	return (slot_page(ev, fd)->always >> ((unsigned)fd % SLOT_PAGE) & 1) != 0;
}

/* Its watcher src is told after all others. */
void slot_move_last(struct slot *slot, struct source *src);
/* What the kernel has reported was not told to anybody, and it may not say it again by itself. */
void slot_untold(struct talev_context *ev, int fd, uint32_t generation);
/* Tells the kernel what has changed. -1: the errno of what it refused, which stays on the list. */
int slots_flush_changes(struct talev_context *ev);
static inline int slots_flush(struct talev_context *ev)
{
	return TAILQ_EMPTY(&ev->slots.changed) ? 0 : slots_flush_changes(ev);
}
/* Until the context is gone, life being its own. */
void slots_close_all(struct talev_context *ev, const struct life *life);
/* The kernel knows nothing any more: everything has changed. */
void slots_forget_kernel(struct talev_context *ev);
void slots_each(struct talev_context *ev, void (*fn)(struct source *src, void *private_data),
	void *private_data);
/* What the always-ready slots would report, at most max, in turn. */
int slots_always(struct talev_context *ev, struct backend_event *events, int max);
static inline bool slots_any_always(const struct talev_context *ev)
{
	return ev->slots.always_count > 0;
}
/* The program closed the descriptor under its watchers: report them by name, and close them. */
void slot_closed(struct talev_context *ev, int fd);

/* deadline.c */
/* What is further away than that is far: two ticks of the slowest kernel. */
#define DEADLINE_FAR TALEV_MSEC(20)
/* Moves what has come due by the turn's time to the due queue. */
void deadlines_collect(struct talev_context *ev);
/* Is no timer due for some time yet? A clock that is a little late is enough to say so, and cheaper
 * than one that is right. */
bool deadlines_far(struct talev_context *ev);
/* The turn's time is read again when it is asked for next. */
static inline void deadlines_new_time(struct talev_context *ev)
{
	ev->time_known = false;
}
/* Timers are there, and no lookout that tells when the first comes near. */
static inline bool deadlines_unwatched(const struct talev_context *ev)
{
	return ev->timers_queued > 0 && ev->timers_quiet < ev->lookout;
}
/* The same as new_time, and deadlines_near() is right from here on until handlers have taken their
 * time. */
void deadlines_look_at_clock(struct talev_context *ev);
static inline void deadlines_look(struct talev_context *ev)
{
	deadlines_new_time(ev);
	if (ev->timers_queued > 0)
		deadlines_look_at_clock(ev);
}
/* The same right after a wait, which brings what the lookout has to tell. */
static inline void deadlines_look_after_wait(struct talev_context *ev)
{
	deadlines_new_time(ev);
	if (unlikely(deadlines_unwatched(ev)))
		deadlines_look_at_clock(ev);
}
/* May a timer be due? */
static inline bool deadlines_near(const struct talev_context *ev)
{
	return ev->timers_queued > 0 && ev->timers_quiet == 0;
}
/* Reads the clocks that timers wait for. */
void deadlines_read_clocks(struct talev_context *ev);
/* The turn's time is known. */
static inline void deadlines_need_time(struct talev_context *ev)
{
	if (!ev->time_known)
		deadlines_read_clocks(ev);
}
void deadlines_get(struct talev_context *ev, struct backend_deadlines *deadlines);
/* Until the context is gone, life being its own. */
void deadlines_close_all(struct talev_context *ev, const struct life *life);
void deadlines_destroy(struct talev_context *ev);
static inline bool deadlines_any(const struct talev_context *ev)
{
	return ev->timers_queued > 0;
}
void deadlines_each(struct talev_context *ev, void (*fn)(struct source *src, void *private_data),
	void *private_data);

/* Is there nothing, as far as is known without asking? */
static inline bool context_hook_quiet(const struct core_hook *hook)
{
	if (hook->word != NULL)
		return __atomic_load_n(hook->word, __ATOMIC_ACQUIRE) == hook->quiet;
	return hook->ready == NULL && !atomic_load_explicit(hook->pending, memory_order_relaxed);
}

static inline bool context_hooks_quiet(const struct talev_context *ev)
{
	const struct core_hook *hook;

	TAILQ_FOREACH (hook, &ev->hooks, link)
		if (!context_hook_quiet(hook))
			return false;
	return true;
}

/* Is there anything that goes before a descriptor, or may be? */
static inline bool context_any_urgent(const struct talev_context *ev)
{
	return ev->immediate_count > 0 || ev->due_count > 0 || deadlines_near(ev) ||
	       !context_hooks_quiet(ev);
}

/* wake.c */
void wake_close(struct talev_context *ev);
int wake_reopen(struct talev_context *ev);
/* A descriptor of talev's own that is waited for. Untraced, off the tree of the user: nobody asked
 * for it. NULL: errno. */
struct fd_source *wake_watch(
	struct talev_context *ev, const struct source_kind *kind, const char *where, int fd);
void wake_unwatch(struct fd_source *fs);

/* lookout.c */
/* Sends it out for timers_quiet, if there can be one. */
void lookout_send(struct talev_context *ev);
void lookout_close(struct talev_context *ev);

/* context.c */
/* May free the context. */
void context_close_sources(struct talev_context *ev);

/* owner.c */
#ifdef TALEV_OWNER_CHECKS
void owner_take(struct talev_context *ev);
/* May this thread use src, which is in ev? False: it has been reported; errno. */
bool owner_check(const struct talev_context *ev, const struct source *src);
#else
static inline void owner_take(struct talev_context *ev)
{
	(void)ev;
}
static inline bool owner_check(const struct talev_context *ev, const struct source *src)
{
	(void)ev;
	(void)src;
	return true;
}
#endif

/* fork.c */
/* Before the first thing a process does with a context that it got by fork. */
int context_after_fork(struct talev_context *ev);
static inline int context_check_fork(struct talev_context *ev)
{
	return ev->fork_generation == base_fork_generation() ? 0 : context_after_fork(ev);
}
/* When embedded and outside of a turn: what has changed must reach the outer loop. */
void context_changed_embedded(struct talev_context *ev);
static inline void context_changed(struct talev_context *ev)
{
	if (ev->embedded)
		context_changed_embedded(ev);
}

/* source.c */
/* Does what the destructor of source_create() would. */
void source_end(struct source *src);
void source_place(struct source *src, struct talev_context *ev, enum source_place place);
void source_unplace(struct source *src);
/* Every object at and below ptr, to be closed. -1: ENOMEM. */
int source_list_below(void *ptr, struct life_list *list);
/* Closes them, children before parents, and frees the list; their finalizers go to grave. */
void source_close_list(struct life_list *list, struct life_rec *grave);
/* The same for what is at and below ptr, which stays where it is meanwhile; needs no memory. */
void source_close_below(void *ptr, struct life_rec *grave);
/* The same for src and what is below it. */
void source_close_tree(struct source *src);
extern const struct source_kind context_kind;

#endif
