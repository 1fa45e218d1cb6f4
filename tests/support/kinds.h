/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One shape for all kinds of sources, for what is promised of every kind.
 *
 * A struct thing is a source with what makes it ready: it is freed after the test's root and
 * outlives its source, so that tests can count what happened after the source went.
 */
#ifndef SUPPORT_KINDS_H
#define SUPPORT_KINDS_H

#include "support/support.h"

enum kind { KIND_FD, KIND_TIMER, KIND_SIGNAL, KIND_IMMEDIATE, KIND_CHILD, KINDS };

struct thing {
	enum kind kind;
	struct talev_context *ev;
	void *source; /* of the last kind_add(); not cleared when it goes */
	void (*fn)(struct thing *thing);
	void *arg;
	unsigned calls;     /* of its handler, counted before fn */
	unsigned finalized; /* by count_finalizer */
	bool running;       /* its handler is on the stack, even if the source is gone */
	int fds[2];         /* fd: the watched end, the other end */
	int signum;
	pid_t pid;
	int release;
};

/* The kinds before this one work here: valgrind 3.19 has no pidfd_open(2), so no children. */
int kinds_here(void);

/* A test that runs once for each kind; kind_of_test() says which, and skips what is not here. */
#define KIND_CASE(fn, kind, name)                                                                  \
	{                                                                                          \
#fn " (" name ")", fn, test_setup, test_teardown, (void *)(intptr_t)(kind)         \
	}
#define EACH_KIND(fn)                                                                              \
	KIND_CASE(fn, KIND_FD, "fd"), KIND_CASE(fn, KIND_TIMER, "timer"),                          \
		KIND_CASE(fn, KIND_SIGNAL, "signal"), KIND_CASE(fn, KIND_IMMEDIATE, "immediate"),  \
		KIND_CASE(fn, KIND_CHILD, "child")
enum kind kind_of_test(void);
const char *kind_name(enum kind kind);

/* A source of that kind, armed, which calls fn when it runs. It does not run before kind_fire(),
 * except an immediate, which has no other way of being armed. */
struct thing *kind_add(enum kind kind, struct talev_context *ev, TALLOC_CTX *mem_ctx,
	void (*fn)(struct thing *thing), void *arg);
/* Makes it ready, so that it runs in the next turn. */
void kind_fire(struct thing *thing);
/* Asks for the source to be armed, by a call of its kind: 0, or -1 and errno. */
int kind_arm(struct thing *thing);

/* A finalizer that counts itself in its thing, and fails the test while a handler of it runs. */
void count_finalizer(struct talev_context *ev, void *arg);

#endif
