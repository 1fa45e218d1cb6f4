/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core: the context and its loop.
 *
 * Owns the context's queues (resting, immediate, due), the deadlines, the table of descriptors
 * (slots), the turn, the wake-up descriptor, tracing and the measuring of handlers. Knows kinds of
 * events only by struct source_kind, and backends only by core/backend.h.
 *
 * Owner's thread only, except wake_post().
 *
 * Between calls: a live source is in exactly one queue or queued by its deadline. The kernel's
 * interest in a descriptor is that of its watchers, or the slot is on the list of changes.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <talev/context.h>
#include <talev/finalize.h>
#include <talev/trace.h>
#include "core/backend.h"
#include "core/source.h"

/* A context on that backend. NULL: ENOMEM, or what the backend says. */
struct talev_context *core_context_create(
	TALLOC_CTX *mem_ctx, const struct backend_ops *ops, const char *where);

/* The context behind a public pointer if it can take new events; NULL: EINVAL, ESHUTDOWN. */
struct talev_context *core_usable(struct talev_context *ev);

/* The context that this thread found usable last, until it goes. */
extern _Thread_local const void *core_known
	__attribute__((visibility("hidden"), tls_model("initial-exec")));
/* True: it is usable. False: that is not known. */
static inline bool core_is_known(const struct talev_context *ev)
{
	return ev != NULL && ev == core_known &&
	       ((const struct source *)ev)->life.state == TALEV_LIVE;
}
/* True: so it is, and nobody is told when its queues change: it is neither traced nor embedded. */
static inline bool core_is_plain(const struct talev_context *ev)
{
	return ev != NULL && ev == core_known && ((const struct source *)ev)->kind_mark;
}

/* One clock of the context: the kernel's, or its backend's. */
talev_time_t core_now(struct talev_context *ev, enum talev_clock clock);

/* Runs the handler of src: frame, trace, measuring, and kind->fired(). False if the context has
 * gone, or closes: the caller must not touch it any more, and returns. */
bool core_fire(struct talev_context *ev, struct source *src, uint32_t flags, talev_time_t now);

/* One line to who listens to the context, or else to the log hook. Keeps errno. */
void core_log(struct talev_context *ev, enum talev_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void core_trace(struct talev_context *ev, enum talev_trace_point point, struct source *src);

/* Around a call of the user's code about src that is no handler: src is pinned. pin: false if
 * another thread has cancelled src; it is closed then, and its memory may have gone. unpin: false
 * if the memory of src went meanwhile. Finalizers that became ready wait for the loop, if that is
 * still there. */
struct core_pin {
	struct life *life;
	struct life_frame frame;
};
bool core_pin(struct core_pin *pin, struct source *src);
bool core_unpin(struct core_pin *pin);

/* For kind->fire_measured(): around each of the functions that it calls. begin: source_where()
 * names the function. end: src is NULL if it has gone; ev is still there. */
struct latency_handler;
struct core_measure {
	talev_time_t started;
	const char *where;
	struct latency_handler *handler; /* NULL: its times are not kept */
};
void core_measure_begin(struct talev_context *ev, struct source *src, struct core_measure *measure);
void core_measure_end(
	struct talev_context *ev, struct source *src, const struct core_measure *measure);

/* Calls fn(src), a handler that is called from elsewhere than the loop of src: pinned as above, and
 * traced, counted and measured. False as core_unpin(), or core_pin(). */
bool core_call(struct source *src, void (*fn)(struct source *src));

/* Immediates: to the tail of the queue; out of it; out of turn while it is disabled, and to the
 * tail afterwards. Nothing happens to one that is not queued. */
void core_immediate_queue(struct source *src, struct talev_context *ev);
/* The same for one that is source_idle(), and a context that core_is_plain(). Returns 0. */
int core_immediate_put(struct source *src, struct talev_context *ev);
void core_immediate_unqueue(struct source *src);
void core_immediate_hold(struct source *src, bool hold);

/* Is anything queued that goes before the next wait? */
bool core_busy(const struct talev_context *ev);

/* The same queue for kinds that stay in their context: to its tail, unless the context is closing;
 * back among the resting ones, if it is there. Not traced. */
void core_post(struct source *src);
void core_unpost(struct source *src);

/* Deadlines. join before anything else; it reserves, so that arming cannot fail. -1: ENOMEM.
 * armed and due sources are out of the resting queue; disarm puts them back. */
int core_timer_join(struct timer_source *ts);
void core_timer_arm(struct timer_source *ts, talev_time_t deadline);
void core_timer_disarm(struct timer_source *ts);
/* Instead of disarm for a source that is being closed. */
void core_timer_leave(struct timer_source *ts);
bool core_timer_armed(const struct timer_source *ts);

/* Descriptors. attach tells the kernel at once: -1: EBADF, ENOMEM, ENOSPC, EMFILE. */
int core_fd_attach(struct fd_source *fs);
/* The kernel forgets the descriptor before this returns if no other watcher is left. */
void core_fd_detach(struct fd_source *fs);
/* What goes with source_begin(): before the memory of fs goes, attached or not. The kind is told of
 * nothing, and would do nothing when it disarms but to detach. */
void core_fd_end(struct fd_source *fs);
/* fs->flags or src.enabled changed: told to the kernel before the next wait. */
void core_fd_changed(struct fd_source *fs);

/* To another context. may: not if its kind stays, it has a finalizer or a reference, or its clock
 * is not the kernel's. sort: the scheduled ones among those that may, in the order of their queues.
 * depart: it leaves its context, and no handler on the stack knows it any more. arrive: it is in
 * ev, with what it waited for; -1: errno, and it is to be closed there. strand: it arrives nowhere,
 * and is closed as one of ev. */
bool core_may_travel(const struct source *src);
void core_sort_for_travel(struct life_list *list);
void core_depart(struct source *src);
int core_arrive(struct source *src, struct talev_context *ev);
void core_strand(struct source *src, struct talev_context *ev);

/* Work that comes from elsewhere (signals, other threads). Before every handler, pending (or
 * ready(), if it is set) is looked at; if it is true, pending is cleared and run() called. Order is
 * that of rank, lowest first. */
typedef uintptr_t core_word_t __attribute__((may_alias));
struct core_hook {
	TAILQ_ENTRY(core_hook) link;
	int rank;
	bool feeds; /* run() only queues: it is no unit of work, and does not remove hooks */
	/* While *word is quiet ready() would say no, and is not asked. NULL: that is not known. */
	const core_word_t *word;
	uintptr_t quiet;
	atomic_bool *pending;
	bool (*ready)(struct core_hook *hook);
	/* The loop is about to wait: from now on whoever brings work calls wake_post(). False: some
	 * is there already. Optional: for who does not wake_post() always. */
	bool (*sleep)(struct core_hook *hook);
	/* The wait is over: work that comes from now on is seen without wake_post(). Optional. */
	void (*awake)(struct core_hook *hook);
	/* How many messages have come and are in no queue yet. Optional. */
	size_t (*count)(struct core_hook *hook);
	/* False as core_fire(). */
	bool (*run)(struct talev_context *ev, struct core_hook *hook);
	/* The context has new kernel objects of its own after a fork: core_wake_get() again.
	 * Optional. */
	void (*after_fork)(struct talev_context *ev, struct core_hook *hook);
	/* All sources of the context have been closed: it takes nothing more. May free the hook,
	 * which has been removed. Optional. */
	void (*close)(struct talev_context *ev, struct core_hook *hook);
};
#define CORE_HOOK_SIGNAL  0
#define CORE_HOOK_MAILBOX 1
void core_hook_add(struct talev_context *ev, struct core_hook *hook);
void core_hook_remove(struct talev_context *ev, struct core_hook *hook);
/* The hook with that run(), or NULL. */
struct core_hook *core_hook_find(
	struct talev_context *ev, bool (*run)(struct talev_context *ev, struct core_hook *hook));

/* One message of another thread to a loop, embedded in whatever it is about. */
struct core_post {
	struct core_post *next;
	const struct core_post_ops *ops; /* NULL: not on its way */
};
struct core_post_ops {
	/* On the owner's thread, in its loop. */
	void (*deliver)(struct talev_context *ev, struct core_post *post);
	/* Instead of deliver, on the thread that closes the context. */
	void (*drop)(struct talev_context *ev, struct core_post *post);
	/* The post goes away: take it out of wherever it is. Owner's thread. Optional. */
	void (*withdraw)(struct core_post *post);
};

/* talev_finalize() with a record that is there already; needs no memory. -1, rec unused: EBUSY,
 * ESTALE, EINVAL. */
int core_finalize(struct talev_context *ev, void *ptr, struct life_rec *rec);
/* Makes src inert (NULL: it went before), then runs rec in the loop of ev, when no handler that
 * holds guard is on the stack any more. */
void core_after(struct talev_context *ev, struct source *src, struct life_rec *rec,
	struct life_guard *guard);

/* In talev_re_initialise(): what is being closed is the parent's, not this process's. */
bool core_reinitialising(const struct talev_context *ev);

/* While somebody keeps it, to free it is misuse, and fails. */
void core_keep(struct talev_context *ev, bool keep);
/* What keeps loop_wait running although it is not a source. */
void core_hold(struct talev_context *ev);
void core_release(struct talev_context *ev);

/* Ends a wait of the loop from anywhere. Counted: lives as long as anybody may post. */
struct core_wake {
	int fd; /* eventfd */
	atomic_uint refs;
};
/* The context's, made when first asked for, with one more reference. NULL: ENOMEM, EMFILE. */
struct core_wake *core_wake_get(struct talev_context *ev);
/* Any thread, also in a Unix signal handler. Keeps errno. */
void wake_post(struct core_wake *wake);
/* Any thread. */
void wake_unref(struct core_wake *wake);

/* What other threads may see of a loop. */
enum core_pulse_state {
	CORE_OUTSIDE, /* no loop of it is on the stack */
	CORE_AWAKE,
	CORE_ASLEEP, /* it waits for the kernel, or looks about instead */
};
struct core_pulse {
	enum core_pulse_state state;
	uint64_t waits;    /* how often it has come round, to look at the kernel */
	uint64_t handlers; /* that it has begun */
};
/* Any thread, as long as ev is there. */
void core_look(const struct talev_context *ev, struct core_pulse *pulse);
/* Somebody keeps it from going on, and answers for that. Owner, in its loop. */
void core_rest(struct talev_context *ev, bool rests);

/* What a thread is doing. */
struct core_doing {
	const struct talev_context *ev; /* to compare; NULL: it is gone */
	uint64_t handlers;              /* that ev had begun by then */
	char name[64];                  /* of the source; empty if that has gone */
	char location[128];             /* where it was made */
	talev_finalizer_t finalizer;    /* it is in that, of that source; NULL: in a handler */
};
/* The innermost handler or finalizer of this thread; false: it is in none. Also in a Unix signal
 * handler, whatever that has interrupted. */
bool core_doing(struct core_doing *doing);

/* For inspect: calls fn for every source of ev that is not internal, oldest first within each
 * queue. fn must change nothing. */
void core_each(struct talev_context *ev, void (*fn)(struct source *src, void *private_data),
	void *private_data);
/* For inspect. */
void core_describe(struct talev_context *ev, struct talev_context_info *info);
/* For inspect: what ev has measured, or NULL. */
struct talev_latency *core_latency(struct talev_context *ev);

#endif
