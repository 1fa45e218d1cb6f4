/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_PLACE_H
#define PLUGIND_PLACE_H

#include "plugind/errand.h"

struct plugin;

/* The loops of other threads that a plugin lives on. Where it has its first one its functions run.
 * A plugin without any lives on the daemon's loop. */
struct place {
	struct pool *pool;
	unsigned count;
	struct seat *seats;
	/* What is being done on some of them. */
	unsigned away;
	void (*then)(struct plugin *p);
	unsigned next; /* that has not had init_loop() */
	int error;
};

/* One of the loops. */
struct seat {
	struct errand errand;
	struct plugin *plugin;
	struct talev_loop *loop;
	int error;
	/* The thread's of the loop. */
	struct plugin_tree *tree; /* NULL: there is none */
};

/* As its section says. NULL: done; else why not. */
const char *place_open(struct plugin *p);

/* All of these return at once; then they call plugin_...(). */

/* init() on the first loop, init_loop() on the others, one after the other:
 * plugin_started(p, errno value). */
void place_init(struct plugin *p);
/* reload(): plugin_reloaded(p, errno value). */
void place_reload(struct plugin *p);
/* First nothing of it can run any more on any of them; then its trees go, that of the first loop
 * last: plugin_emptied(p); or plugin_stays(p, errno value). */
void place_clear(struct plugin *p);
/* What was sent to them by now has arrived: plugin_left(p). */
void place_leave(struct plugin *p);

#endif
