/* SPDX-License-Identifier: BSD-2-Clause */
/* Trees that hop between two pools until they have had enough. */
#ifndef LOOPS_HOP_H
#define LOOPS_HOP_H

#include <talev/move.h>
#include <talev/pool.h>
#include "loops/kit.h"

static atomic_uint left; /* trees that still hop */

static inline struct talev_loops *make_pools(unsigned trees)
{
	struct talev_loops *loops = make_loops(1);

	demand(talev_pool_create(loops, "a", 1, NULL, NULL) != NULL);
	demand(talev_pool_create(loops, "b", 2, NULL, NULL) != NULL);
	atomic_store(&left, trees);
	return loops;
}

static inline struct talev_loop *next_loop(void)
{
	struct talev_loop *here = talev_loop_current();
	bool in_b = here != NULL && strcmp(talev_pool_name(talev_loop_pool(here)), "b") == 0;

	return talev_pool_next(talev_pool_get(in_b ? "a" : "b"));
}

static inline void one_less(void *tree)
{
	struct talev_loops *loops = talev_loop_loops(talev_loop_current());

	talloc_free(tree);
	if (atomic_fetch_sub(&left, 1) == 1)
		talev_loops_shutdown(loops);
}

#endif
