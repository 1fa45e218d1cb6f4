/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests that talk to a backend as core does, without a context.
 */
#ifndef TESTS_BACKEND_KIT_H
#define TESTS_BACKEND_KIT_H

#include "support/support.h"
#include "backend/backend.h"
#include "base/base.h"

/* One test on one backend, which the test finds by new_backend(). */
#define ON(fn, backend)                                                                            \
	{                                                                                          \
#fn " (" #backend ")", fn, test_setup, test_teardown, (void *)&backend             \
	}

static const struct backend_deadlines no_deadlines = {
	.at = {TALEV_NEVER, TALEV_NEVER, TALEV_NEVER}};

static inline struct backend *new_backend(void)
{
	const struct backend_ops *ops = test_argument();
	struct backend *be = ops->create(test_root());

	/* As for a program that runs here: the kernel, or a sandbox, says no. */
	if (be == NULL && errno == EOPNOTSUPP)
		skip();
	assert_non_null(be);
	assert_ptr_equal(be->ops, ops);
	return be;
}

/* Valgrind lets no signal through while io_uring_enter(2) waits. */
static inline bool test_holds_signals(const struct backend *be)
{
	const char *preload = getenv("LD_PRELOAD");

	return strcmp(be->ops->name, "uring") == 0 && preload != NULL &&
	       strstr(preload, "vgpreload") != NULL;
}

static inline struct backend_deadlines deadline_on(enum talev_clock clock, talev_time_t deadline)
{
	struct backend_deadlines deadlines = no_deadlines;

	deadlines.at[clock] = deadline;
	return deadlines;
}

static inline int modify(struct backend *be, int fd, uint32_t from, uint32_t to)
{
	return be->ops->modify(be, fd, (uint32_t)fd + 1000, from, to, 0);
}

static inline void watch(struct backend *be, int fd, uint32_t events)
{
	assert_ok(modify(be, fd, 0, events));
}

static inline int look(struct backend *be, struct backend_event *events, int max)
{
	return be->ops->wait(be, &no_deadlines, false, events, max);
}

/* What is ready, of the only descriptor that is; 0: nothing. */
static inline uint32_t ready(struct backend *be, int fd)
{
	struct backend_event event;
	int n = look(be, &event, 1);

	assert_in_range(n, 0, 1);
	if (n == 0)
		return 0;
	assert_int_equal(event.fd, fd);
	assert_int_equal(event.generation, (uint32_t)fd + 1000);
	return event.events;
}

#endif
