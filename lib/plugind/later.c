/* SPDX-License-Identifier: BSD-2-Clause */
#include <talev/context.h>
#include <talev/timer.h>

#include "plugind/later.h"
#include "plugind/plugind.h"

#define DELAY TALEV_MSEC(100)

static void try_again(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct daemon *d = private_data;
	struct later_list due = TAILQ_HEAD_INITIALIZER(due);
	struct later *later;

	(void)ev;
	(void)now;
	talev_timer_stop(te); /* or it is freed */
	TAILQ_CONCAT(&due, &d->laters, link);
	while ((later = TAILQ_FIRST(&due))) {
		TAILQ_REMOVE(&due, later, link);
		later->fn(later->arg);
	}
}

void later_add(struct daemon *d, struct later *later, void (*fn)(void *arg), void *arg)
{
	later->fn = fn;
	later->arg = arg;
	if (TAILQ_EMPTY(&d->laters))
		talev_timer_start(d->again, DELAY);
	TAILQ_INSERT_TAIL(&d->laters, later, link);
}

int later_open(struct daemon *d)
{
	TAILQ_INIT(&d->laters);
	/* Needs no memory any more when there is none. */
	d->again = talev_add_timer(d->ev, d, TALEV_NEVER, try_again, d);
	return d->again && talev_timer_stop(d->again) == 0 ? 0 : -1;
}
