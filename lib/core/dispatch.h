/* SPDX-License-Identifier: BSD-2-Clause */
/* Units of work, inside the room. */
#ifndef CORE_DISPATCH_H
#define CORE_DISPATCH_H

#include <string.h>
#include "core/context.h"

enum unit {
	UNIT_NONE, /* there was nothing to do */
	UNIT_DONE, /* a handler has run */
	UNIT_GONE, /* and the context is gone or going: do not touch it */
};

bool dispatch_hooks_pending(const struct talev_context *ev);
/* Has a message arrived that is not yet in any queue? */
bool dispatch_hooks_feeding(const struct talev_context *ev);
/* The loop is about to sleep: whoever brings work from now on has to wake it. False: it is there.
 */
bool dispatch_hooks_sleep(struct talev_context *ev);
/* Looks about for a while, ev->spin at most. True: instead of a wait; *n is what that would return,
 * with its errno. */
bool spin(struct talev_context *ev, const struct backend_deadlines *deadlines,
	struct backend_event *events, int max, int *n);
/* Does anybody want to know how long handlers take? */
static inline bool clocked(const struct talev_context *ev)
{
	return ev->timing || ev->slow > 0;
}

/* The handler of ts begins at that moment of the monotonic clock. */
void dispatch_measure_delay(
	struct talev_context *ev, const struct timer_source *ts, talev_time_t monotonic);
/* While handlers are measured: what runs from now on is a turn; the turn ends, and counts if a
 * handler has run in it. */
void dispatch_turn_begins(struct talev_context *ev);
void dispatch_turn_ends(struct talev_context *ev);
/* It has been waiting. */
void dispatch_hooks_awake(struct talev_context *ev);

/* The first there is of: all that hooks have, one immediate, one due timer. */
enum unit dispatch_one(struct talev_context *ev, bool immediates, bool timers);

/* The same, unless one class has had many units in a row: the others' turn. */
enum unit dispatch_once(struct talev_context *ev);
/* Descriptors have had their turn. */
void dispatch_rested(struct talev_context *ev);

/* For a turn with many descriptors: everything urgent, within the turn's budgets. */
void dispatch_begin_turn(struct talev_context *ev);
void dispatch_earn(struct talev_context *ev);
enum unit dispatch_urgent(struct talev_context *ev);

#endif
