/* SPDX-License-Identifier: BSD-2-Clause */
/* A signal watcher that remembers what it was told. */
#ifndef EVENT_WATCH_H
#define EVENT_WATCH_H

#include "support/support.h"
#include <signal.h>

#define ONE (SIGRTMIN + 3)
#define TWO (SIGRTMIN + 4)

/* What a watcher was told, and what it does then. */
struct watch {
	const char *name;
	struct talev_signal *se;
	int calls;
	int count;
	int signum;
	int values[3];
	void (*act)(struct talev_context *ev, struct watch *watch);
	void *arg;
};

static inline void on_signal(struct talev_context *ev, struct talev_signal *se, int signum,
	int count, const void *siginfo, void *private_data)
{
	struct watch *watch = private_data;

	assert_ptr_equal(se, watch->se);
	assert_null(siginfo);
	watch->signum = signum;
	watch->count += count;
	watch->calls++;
	if (watch->name)
		test_note("%s", watch->name);
	if (watch->act)
		watch->act(ev, watch);
}

static inline void on_info(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *private_data)
{
	struct watch *watch = private_data;
	const siginfo_t *info = siginfo;
	int value = info->si_value.sival_int;

	assert_ptr_equal(se, watch->se);
	assert_int_equal(count, 1);
	assert_int_equal(info->si_signo, signum);
	if (watch->calls < 3)
		watch->values[watch->calls] = value;
	watch->calls++;
	if (watch->name)
		test_note("%s%d", watch->name, value);
	if (watch->act)
		watch->act(ev, watch);
	/* The siginfo is this call's, whatever the handler did. */
	assert_int_equal(info->si_value.sival_int, value);
}

static inline void watch(struct talev_context *ev, struct watch *w, int signum)
{
	w->se = talev_add_signal(ev, NULL, signum, 0, on_signal, w);
	assert_non_null(w->se);
}

static inline void watch_info(struct talev_context *ev, struct watch *w, int signum)
{
	w->se = talev_add_signal(ev, NULL, signum, SA_SIGINFO, on_info, w);
	assert_non_null(w->se);
}

/* Valgrind delivers at the next call that may have sent one, and does not count sigqueue(3). */
static inline void send(int signum, int value)
{
	assert_ok(sigqueue(getpid(), signum, (union sigval){.sival_int = value}));
	assert_ok(kill(getpid(), 0));
}

/* Until nothing has come that was not told. */
static inline void run_pending(struct talev_context *ev)
{
	while (talev_loop_nowait(ev) == 0)
		;
	assert_int_equal(errno, EAGAIN);
}

static inline void break_loop(struct talev_context *ev, struct watch *w)
{
	(void)w;
	talev_loop_break(ev);
}

#endif
