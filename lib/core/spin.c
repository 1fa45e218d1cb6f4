/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel takes some 20 us to wake a thread on another CPU, and a sleeping loop costs its senders
 * a system call. A loop that expects an answer soon may therefore look about for a while before it
 * sleeps: until then nobody has to wake it.
 *
 * Spinning in vain is paid by everybody else. So it is off until asked for, and where there is one
 * CPU; and after each time in vain the loop goes straight to sleep twice as often as before.
 */
#include "core/dispatch.h"

#include <errno.h>
#include "base/pause.h"

/* About 0.3 us. Looking all the time would take the cache line from the sender. */
#define PAUSES 32
/* Looking at descriptors is a system call. */
#define ROUNDS_PER_LOOK 4
#define MISSES_MAX      6

int talev_context_set_spin(struct talev_context *ev, talev_time_t longest)
{
	if (longest < 0) {
		errno = EINVAL;
		return -1;
	}
	ev->spin = base_cpus() > 1 ? longest : 0;
	ev->spin_misses = 0;
	ev->spin_rest = 0;
	/* Who looks about does not come to the kernel in each turn. */
	ev->lookout = TALEV_NEVER;
	return 0;
}

static bool hit(struct talev_context *ev)
{
	ev->spin_misses = 0;
	return true;
}

bool spin(struct talev_context *ev, const struct backend_deadlines *deadlines,
	struct backend_event *events, int max, int *n)
{
	talev_time_t end = deadlines->at[TALEV_CLOCK_MONOTONIC];
	talev_time_t now = base_clock_now(TALEV_CLOCK_MONOTONIC);

	if (ev->backend->ops->now != NULL || deadlines->longest != 0)
		return false;
	/* Their moment is none of the monotonic clock. */
	if (deadlines->at[TALEV_CLOCK_REALTIME] != TALEV_NEVER ||
		deadlines->at[TALEV_CLOCK_BOOTTIME] != TALEV_NEVER)
		return false;
	if (ev->spin_rest > 0) {
		ev->spin_rest--;
		return false;
	}
	if (end > talev_time_add(now, ev->spin))
		end = talev_time_add(now, ev->spin);
	for (int round = 1; now < end; round++) {
		base_pause(PAUSES);
		*n = 0;
		if (dispatch_hooks_pending(ev))
			return hit(ev);
		if (round % ROUNDS_PER_LOOK == 0 && ev->slots.active > 0) {
			*n = ev->backend->ops->wait(ev->backend, deadlines, false, events, max);
			if (*n != 0)
				return hit(ev);
		}
		now = base_clock_now(TALEV_CLOCK_MONOTONIC);
	}
	if (ev->spin_misses < MISSES_MAX)
		ev->spin_misses++;
	ev->spin_rest = (1u << ev->spin_misses) - 1;
	return false;
}
