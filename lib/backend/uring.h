/* SPDX-License-Identifier: BSD-2-Clause */
/* The uring backend, for its own files: see uring.c for what it does, and why. */
#ifndef BACKEND_URING_H
#define BACKEND_URING_H

#include <bsd/sys/queue.h>
#include "backend/alarm.h"
#include "backend/backend.h"
#include "backend/uring_ring.h"
#include "base/base.h"

/* Descriptors in one piece of the table. */
#define URING_PAGE 64u

/* User data: a descriptor and the serial number of its request, or from here on no descriptor. */
#define URING_OTHER 0x80000000u

/* What the ring says truly. Of errors and hang-ups it says what may be, to whoever listens. */
#define URING_PLAIN (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLPRI | POLLRDBAND | POLLWRBAND)

enum uring_place {
	URING_NONE,
	URING_MAYBE, /* may be ready: to be asked */
	URING_ARM,   /* was not ready: the kernel has to tell, and does not know it yet */
};

struct entry {
	TAILQ_ENTRY(entry) link;
	int fd;
	uint32_t generation;
	uint32_t serial; /* of the request that is armed; 0: none is */
	uint8_t events;  /* the interest; 0: not registered */
	uint8_t armed;   /* what is armed: may be more */
	uint8_t place;   /* enum uring_place */
	bool internal;   /* as if it had TALEV_FD_EDGE */
	bool told;       /* was ready since the last completion */
	bool again;      /* was ready when it was last asked */
	short news;      /* what the ring said, if that will do: edges may be told too often */
	uint16_t at;     /* where uring_listen() last reported it */
};

TAILQ_HEAD(entries, entry);

struct uring_backend {
	struct backend be;
	struct ring ring;
	struct entry **pages; /* by descriptor, PAGE in each */
	uint32_t page_count;
	struct entries maybe;
	uint32_t maybe_count;
	uint32_t placed; /* in maybe or in arm */
	struct entries arm;
	uint32_t serial;
	uint64_t leaving;  /* the request whose end uring_forget_now() waits for; 0: none */
	bool hot;          /* some were ready twice in a row: so they may be now, ring or not */
	uint32_t unseen;   /* reports since the ring was looked at */
	int refused;       /* why the kernel did not arm something */
	unsigned settling; /* waits until the ring is kept at hand; 0: it is, or is not to be */
	bool alarmed;      /* an alarm went off */
	bool alarms_used;
	bool alarm_armed[BASE_CLOCKS];
	bool alarm_unarmed; /* one may be that is not */
	unsigned fork_generation;
	struct alarms alarms;
	struct backend *epoll; /* NULL: not needed */
};

/* Who asked for edges reads until there is nothing, and can hear of what was used up meanwhile. */
static inline bool uring_is_edge(const struct entry *e)
{
	return e->internal || (e->events & TALEV_FD_EDGE) != 0;
}

/* uring_table.c */
/* NULL: nothing is known of it. */
static inline struct entry *uring_find(const struct uring_backend *ub, int fd)
{
	uint32_t page = (uint32_t)fd / URING_PAGE;

	if (unlikely(page >= ub->page_count || ub->pages[page] == NULL))
		return NULL;
	return &ub->pages[page][(uint32_t)fd % URING_PAGE];
}

/* NULL: ENOMEM. */
struct entry *uring_find_or_make(struct uring_backend *ub, int fd);
/* To the end of that list, out of the one where it is. */
void uring_place(struct uring_backend *ub, struct entry *e, enum uring_place where);
/* It is not registered any more; what the kernel knows of it is not taken back. */
void uring_forget(struct uring_backend *ub, struct entry *e);
/* Calls fn for all that are registered. */
void uring_each(struct uring_backend *ub, void (*fn)(struct uring_backend *ub, struct entry *e));

/* uring_requests.c */
/* Makes the one that a completion is about one that may be ready. */
void uring_take(struct uring_backend *ub, const struct io_uring_cqe *cqe);
/* The ring is for this thread afterwards. -1: ENOMEM, EMFILE, ENFILE. */
int uring_claim(struct uring_backend *ub);
/* A new ring, which knows nothing. -1 as above; nothing has changed. */
int uring_replace_ring(struct uring_backend *ub);
/* The same, and arms all that are registered with it; 0 then. */
int uring_start_again(struct uring_backend *ub);
/* Tells the kernel what it has to know, and takes what it has to tell, until max may be ready. -1:
 * EINTR, ENOMEM. */
int uring_exchange(struct uring_backend *ub, int max);
/* The same, and waits until there is something, timeout in ns. */
int uring_sleep(struct uring_backend *ub, talev_time_t timeout, int max);
/* uring_forget(), and returns when the kernel has let the file go, so that close(2) closes it. */
void uring_forget_now(struct uring_backend *ub, struct entry *e);

/* uring_listen.c */
/* For when there is nothing that only a question answers (maybe), or that the ring has to know.
 * Reports edges as the ring tells them, or else as uring_ask(). wait false: only looks. */
int uring_listen(struct uring_backend *ub, bool wait, struct backend_event *events, int max);
/* The same, and waits so many ns at most. */
int uring_listen_until(
	struct uring_backend *ub, talev_time_t timeout, struct backend_event *events, int max);

/* uring.c */
/* A wait with those that have to be asked. listened: the ring has told what there is. deadlines
 * NULL: does not wait. -1: EINTR, ENOMEM. */
int uring_ask(struct uring_backend *ub, bool listened, const struct backend_deadlines *deadlines,
	struct backend_event *events, int max);

#endif
