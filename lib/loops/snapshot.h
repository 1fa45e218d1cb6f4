/* SPDX-License-Identifier: BSD-2-Clause */
/* What loops have said about themselves, inside the room. */
#ifndef LOOPS_SNAPSHOT_H
#define LOOPS_SNAPSHOT_H

#include <talev/loops_snapshot.h>

struct talev_loops_snapshot {
	const char *name; /* of the manager */
	struct talev_latency *latency;
	unsigned count;
	struct talev_loop_info loops[];
};

#endif
