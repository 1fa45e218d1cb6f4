/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every event has in common, seen by the rooms that make kinds of events.
 */
#ifndef CORE_SOURCE_H
#define CORE_SOURCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bsd/sys/queue.h>
#include <talloc.h>
#include <talev/fd.h>
#include <talev/inspect.h>
#include <talev/source.h>
#include "base/likely.h"
#include "base/timerq.h"
#include "life/life.h"

struct source;

struct source_kind {
	const char *type;  /* the talloc name of its chunks; its address says that it is ours */
	const char *label; /* for people: "timer" */
	/* Leave every queue and the kernel, at once. Called once, with src->ev still there. Calls
	 * nothing of the user's. */
	void (*disarm)(struct source *src);
	/* It is inert: the user's code that is to know may run. May free anything. Optional. */
	void (*closed)(struct source *src, struct talev_context *ev);
	/* Its memory goes now. Optional. */
	void (*destroy)(struct source *src);
	/* Call the handler. */
	void (*fire)(struct source *src, uint32_t flags, talev_time_t now);
	/* Instead of it while handlers are measured, if it calls more than one function of the
	 * user's: around each it calls core_measure_begin() and core_measure_end(). Optional. */
	void (*fire_measured)(struct source *src, uint32_t flags, talev_time_t now);
	/* Instead of fire() for an immediate that core has taken out of its queue, and out of its
	 * context or, if it stays, to the resting ones. fired() is not called. Optional. */
	void (*run)(struct source *src, struct talev_context *ev);
	bool stays;
	/* The handler has returned and the source is still live. False: this has freed it.
	 * Optional. */
	bool (*fired)(struct source *src);
	/* src->enabled has just changed. */
	void (*enable)(struct source *src);
	/* Fill in what is special to the kind. Optional. */
	void (*describe)(const struct source *src, struct talev_source_info *info);
	const struct source_travel *travel; /* NULL: it stays in its context */
};

/* How sources go to another context; see core_depart(). */
struct source_travel {
	/* May it now? Optional. */
	bool (*may)(const struct source *src);
	/* Leave every queue and the kernel, and keep what it waits for. Optional. */
	void (*leave)(struct source *src);
	/* src->ev is the new one: wait for it there. -1: errno. Optional; not for what is
	 * scheduled, which is so again. */
	int (*join)(struct source *src);
};

TAILQ_HEAD(source_queue, source);
LIST_HEAD(watcher_list, source);

/* What few sources have, made when it is needed first, and there as long as the source. It is no
 * talloc child of it: those are the user's, who may free them all. */
struct source_aside {
	const char *made_as; /* what the call that made it said */
	const char *where;   /* made_as, or a name of its own, which is from malloc() */
	uint64_t tag;
	uint64_t time_total;
	uint32_t time_longest;
	bool timer; /* what follows means something: of a timer */
	talev_time_t deadline;
	talev_time_t period;
	talev_time_t slack;
	uint64_t missed;
};

enum source_aside_state {
	ASIDE_NONE,
	ASIDE_MADE,
	ASIDE_COMES, /* for a moment: a signal handler looks at neither where nor aside */
};

/* The first member of every talev object, which is one talloc chunk. Thousands of them are to fit
 * into caches, so this is 64 bytes. */
struct source {
	struct talev_context *ev; /* NULL: not scheduled yet, or not live any more */
	union {
		const char *where; /* ASIDE_NONE: "handler\0file:line" */
		struct source_aside *aside;
	};
	void *private_data;
	union {
		struct life_object life;
		struct {
			const void *of_life;
			uint8_t of_life_too;
			uint8_t kind_index; /* see kind_of() */
			uint8_t place;      /* enum source_place */
			uint8_t aside_state;
			bool enabled;
			bool kind_mark; /* the kind's own, as the next */
			uint16_t kind_flags;
		};
	};
	uint64_t calls;
	/* A timer that waits uses this place otherwise: see struct timer_source. */
	union {
		TAILQ_ENTRY(source) link;      /* in whichever queue of core holds it */
		LIST_ENTRY(source) watch_link; /* in PLACE_SLOT */
	};
};

_Static_assert(offsetof(struct source, kind_index) ==
		       offsetof(struct source, life) + offsetof(struct life_object, owners),
	"the owner's bytes lie where life has left them");

/* Every kind that has been seen. */
#define SOURCE_KINDS 32
extern _Atomic(const struct source_kind *) source_kinds[SOURCE_KINDS]
	__attribute__((visibility("hidden")));

static inline const struct source_kind *kind_of(const struct source *src)
{
	return atomic_load_explicit(&source_kinds[src->kind_index], memory_order_relaxed);
}
/* The same, for other libraries. */
const struct source_kind *source_kind_of(const struct source *src);
void source_set_kind(struct source *src, const struct source_kind *kind);

/* "handler\0file:line", or its own name in the place of handler. */
static inline const char *source_where(const struct source *src)
{
	return src->aside_state == ASIDE_NONE ? src->where : src->aside->where;
}
/* The name that the call which made it gave, also when it has got another one since. */
static inline const char *source_made_as(const struct source *src)
{
	return src->aside_state == ASIDE_NONE ? src->where : src->aside->made_as;
}
/* Has it got a name of its own? */
static inline bool source_named(const struct source *src)
{
	return src->aside_state != ASIDE_NONE && src->aside->where != src->aside->made_as;
}
/* It has been made anew, by another call. */
static inline void source_set_where(struct source *src, const char *where)
{
	if (src->aside_state == ASIDE_NONE) {
		src->where = where;
		return;
	}
	if (src->aside->where == src->aside->made_as)
		src->aside->where = where;
	src->aside->made_as = where;
}
/* What it has aside, or NULL. */
static inline struct source_aside *source_aside(const struct source *src)
{
	return src->aside_state == ASIDE_NONE ? NULL : src->aside;
}
static inline uint64_t source_tag(const struct source *src)
{
	return src->aside_state == ASIDE_NONE ? 0 : src->aside->tag;
}
struct talev_stats source_stats(const struct source *src);
/* What it has aside, made if it is not there. NULL: ENOMEM. */
struct source_aside *source_need_aside(struct source *src);
void source_free_aside(struct source *src);
static inline void source_drop_aside(struct source *src)
{
	if (unlikely(src->aside_state != ASIDE_NONE))
		source_free_aside(src);
}

/* Which queue src->link is in. */
enum source_place {
	PLACE_NONE,
	PLACE_RESTING,
	PLACE_HELD, /* among the resting ones; an immediate that is scheduled and disabled */
	PLACE_IMMEDIATE,
	PLACE_DUE,
	PLACE_SLOT,
	PLACE_LEAVING, /* among the immediates, for a moment: see travel.c */
	PLACE_AWAY,    /* in none, on its way to another context, where it is to be scheduled */
};

/* A source that waits for a deadline. Embedded as first member. While it waits in the queue of
 * deadlines it is in none of core's, and the other way round: both links share their place. */
struct timer_source {
	union {
		struct source src;
		struct {
			unsigned char before_link[offsetof(struct source, link)];
			struct timerq_node node;
		};
	};
};

_Static_assert(offsetof(struct timer_source, node.link) == offsetof(struct source, link),
	"the links share their place");

/* A source that waits for a descriptor. Embedded as first member. */
struct fd_source {
	struct source src;
	/* Called in the place of fire(), by the shortest way; the source is a struct talev_fd,
	 * whose kind has no fired(). NULL: it is of another kind. */
	talev_fd_handler_t handler;
	int fd; /* -1 when it was found closed: nobody may close that number again */
	uint16_t flags;
	bool internal : 1; /* one of talev's own: does not keep a loop running, is not shown */
	bool counted : 1;  /* among the watchers that keep a loop running */
	bool lost : 1;     /* found closed, and not yet detached */
};

static inline bool fd_source_attached(const struct fd_source *fs)
{
	return fs->src.place == PLACE_SLOT;
}

/* The chunk of a new source of size bytes, LIVE, enabled, in ev (which may be NULL for an
 * immediate), with its destructor. mem_ctx NULL: ev. It rests: no queue but PLACE_RESTING has it.
 * NULL: EINVAL ev is no context; ESHUTDOWN it is closing; ESTALE mem_ctx is being finalized;
 * ENOMEM. */
void *source_create(struct talev_context *ev, TALLOC_CTX *mem_ctx, size_t size,
	const struct source_kind *kind, void *private_data, const char *where);

/* The same for a struct fd_source that is a part of somebody else's chunk, and zero so far. It is
 * in no queue yet. -1: errno as above. core_fd_end() before its memory goes, also then. */
int source_begin(struct source *src, struct talev_context *ev, const struct source_kind *kind,
	void *private_data, const char *where);

/* -1 with ESTALE unless src is live and in a context; with EINVAL, in development builds, in
 * another thread than its loop's. */
int source_refused(const struct source *src);
static inline int source_check(const struct source *src)
{
#ifdef TALEV_OWNER_CHECKS
	return source_refused(src);
#else
	if (likely(src->life.state == TALEV_LIVE && src->ev != NULL))
		return 0;
	(void)source_refused(src);
	return -1;
#endif
}

static inline struct source *source_of_life(struct life_object *object)
{
	return (struct source *)((char *)object - offsetof(struct source, life));
}

/* Makes it inert; its finalizer goes to grave, or if that is NULL to the context's queue. Nothing
 * if it is not live. */
void source_close(struct source *src, struct life_rec *grave);

/* The source behind a public pointer, or NULL with EINVAL. */
struct source *source_from_public(const void *ptr);

/* May the chunk at ptr go to another thread? Not if it is a source that a loop or a reference
 * knows. If it may, the handlers on the stack do not know it any more. */
bool source_may_leave(const void *ptr);

const char *source_location(const struct source *src);

#endif
