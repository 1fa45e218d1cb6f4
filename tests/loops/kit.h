/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of loop managers share. */
#ifndef LOOPS_KIT_H
#define LOOPS_KIT_H

#include <talev/loops.h>
#include "thread/threads.h"

static inline struct talev_loops *make_loops(unsigned n)
{
	struct talev_loops *loops = talev_loops_create(test_root(), "test", n);

	demand(loops != NULL);
	return loops;
}

/* The job that ends a test. */
static inline void stop_loops(struct talev_loop *loop, void *data)
{
	(void)data;
	talev_loops_shutdown(talev_loop_loops(loop));
}

/* Runs them, with a watchdog. */
static inline void run_loops(struct talev_loops *loops, const char *function, const char *location)
{
	test_watchdog(function, location);
	assert_ok(talev_loops_run(loops));
}
#define test_loops(loops) run_loops(loops, __func__, __location__)

#endif
