/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A loop that is always busy pays for a timer that is far in every turn: for a look at the clock,
 * and for a wait that is to have an end. A timerfd tells for nothing that the timer is not near
 * yet, as long as every turn comes to the kernel. A loop that has paid as much as a timerfd costs
 * gets one, and sends it out to the earliest deadline there is.
 *
 * While timers_quiet is not before lookout, no timer is due before the lookout has told, which it
 * does so long before the deadline that from then on there is time to look at the clock. An
 * earlier timer that comes brings timers_quiet before it, a deadline that goes leaves it where it
 * is: then it tells too early. What it tells is an edge, and is never read.
 */
#include "core/context.h"

/* For less it does not go: it would hardly be out. */
#define NOT_WORTH_IT (4 * DEADLINE_FAR)

static void lookout_disarm(struct source *src)
{
	src->ev->lookout = TALEV_NEVER;
	core_fd_detach((struct fd_source *)src);
}

static void lookout_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	(void)flags;
	(void)now;
	src->ev->lookout = TALEV_NEVER;
}

static const struct source_kind lookout_kind = {
	.type = "struct talev_lookout",
	.label = "lookout",
	.disarm = lookout_disarm,
	.fire = lookout_fire,
};

static int lookout_open(struct talev_context *ev)
{
	int fd = base_timerfd_create(TALEV_CLOCK_MONOTONIC);

	if (fd < 0)
		return -1;
	ev->lookout_source = wake_watch(ev, &lookout_kind, "lookout\0talev", fd);
	if (ev->lookout_source == NULL)
		base_close(fd);
	return ev->lookout_source != NULL ? 0 : -1;
}

void lookout_send(struct talev_context *ev)
{
	/* If there is none, the clock goes on being looked at. */
	ev->hot = 0;
	if (!ev->ops->look_first || !ev->ops->edges || !deadlines_unwatched(ev))
		return;
	if (ev->timers_quiet < talev_time_add(base_clock_last_tick(), NOT_WORTH_IT))
		return;
	/* An outer loop would wake for it; and a parent's is not to be touched. */
	if (ev->spin > 0 || ev->embedded || ev->fork_generation != base_fork_generation())
		return;
	if (ev->lookout_source == NULL && lookout_open(ev) != 0)
		return;
	ev->lookout = TALEV_NEVER;
	if (base_timerfd_set(ev->lookout_source->fd, TALEV_CLOCK_MONOTONIC,
		    ev->timers_quiet - DEADLINE_FAR) == 0)
		ev->lookout = ev->timers_quiet;
}

void lookout_close(struct talev_context *ev)
{
	struct fd_source *fs = ev->lookout_source;

	if (fs == NULL)
		return;
	ev->lookout = TALEV_NEVER;
	core_fd_detach(fs);
	/* Unless somebody else has closed it. */
	if (fs->fd >= 0)
		base_close(fs->fd);
	wake_unwatch(fs);
	ev->lookout_source = NULL;
}
