/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

/* After a look that found nothing, so many waits go by without one. */
#define LOOK_AGAIN 16

const struct backend_deadlines backend_no_deadlines = {{TALEV_NEVER, TALEV_NEVER, TALEV_NEVER}, 0};

static uint32_t look(int fd, uint32_t want)
{
	struct pollfd pfd = {.fd = fd};
	uint32_t events = 0;

	pfd.events |= (want & TALEV_FD_READ) != 0 ? POLLIN : 0;
	pfd.events |= (want & TALEV_FD_WRITE) != 0 ? POLLOUT : 0;
	pfd.events |= (want & TALEV_FD_HUP) != 0 ? POLLRDHUP : 0;
	if (base_poll(&pfd, 1, 0) <= 0)
		return 0;
	events |= (pfd.revents & POLLIN) != 0 ? TALEV_FD_READ : 0;
	events |= (pfd.revents & POLLOUT) != 0 ? TALEV_FD_WRITE : 0;
	events |= (pfd.revents & POLLERR) != 0 ? TALEV_FD_ERROR : 0;
	events |= (pfd.revents & (POLLHUP | POLLRDHUP)) != 0 ? TALEV_FD_HUP : 0;
	events |= (pfd.revents & POLLHUP) != 0 ? BACKEND_HANGUP : 0;
	return events;
}

static bool may_block(struct slot *slot, int fd)
{
	if (slot->blocking == BLOCKING_UNKNOWN) {
		int flags = base_get_fl(fd);

		slot->blocking =
			flags >= 0 && (flags & O_NONBLOCK) != 0 ? BLOCKING_NO : BLOCKING_YES;
	}
	return slot->blocking == BLOCKING_YES;
}

uint32_t ready_still(struct talev_context *ev, struct slot *slot, const struct backend_event *event)
{
	if (ev->ops->now != NULL || slot_is_always(ev, event->fd) || !may_block(slot, event->fd))
		return event->events;
	return look(event->fd, event->events);
}

struct source *ready_pick(struct source *first, uint32_t events, uint32_t *told)
{
	for (struct source *src = first; src != NULL; src = LIST_NEXT(src, watch_link)) {
		*told = ready_match(src, events);
		if (*told != 0)
			return src;
	}
	return NULL;
}

/* A duplicate keeps a closed descriptor registered, and epoll has no way to take it out by a
 * number that means another file now, or none. A new set has only what we put there. */
static void stray(struct talev_context *ev, int fd)
{
	if (ev->backend->ops->rebuild == NULL)
		return;
	core_log(ev, TALEV_LOG_WARNING,
		"descriptor %d was closed while a duplicate of it was open, and still reports", fd);
	if (ev->backend->ops->rebuild(ev->backend) == 0)
		slots_forget_kernel(ev);
}

static struct slot *find(const struct talev_context *ev, const struct backend_event *event)
{
	struct slot *slot = slot_get(ev, event->fd);

	return slot != NULL && slot->generation == event->generation ? slot : NULL;
}

int ready_sift_some(struct talev_context *ev, struct backend_event *events, int n)
{
	int kept = 0;
	int lost = -1;

	ev->suspect = false;
	/* Before anything is closed that has a report among them. */
	for (int i = 0; i < n; i++)
		if (find(ev, &events[i]) == NULL)
			lost = events[i].fd;
	for (int i = 0; i < n; i++) {
		struct slot *slot = find(ev, &events[i]);
		struct source *src;

		if (slot == NULL)
			continue;
		if ((events[i].events & BACKEND_CLOSED) != 0) {
			slot_closed(ev, events[i].fd);
		} else if ((slot->generation & SLOT_INTERNAL) != 0) {
			src = LIST_FIRST(&slot->watchers);
			kind_of(src)->fire(src, events[i].events, 0);
		} else {
			events[kept++] = events[i];
		}
	}
	if (lost >= 0)
		stray(ev, lost);
	return kept;
}

/* A busy loop looks, and is told of something, before it waits until a moment, or says to whoever
 * may send something that it sleeps: both cost more than a look. If that was in vain it is not that
 * busy. */
static bool look_first(struct talev_context *ev, struct backend_event *events, int max, int *n)
{
	if (!ev->ops->look_first)
		return false;
	if (ev->no_looks > 0) {
		ev->no_looks--;
		return false;
	}
	*n = ev->ops->wait(ev->backend, &backend_no_deadlines, false, events, max);
	if (*n == 0)
		ev->no_looks = LOOK_AGAIN;
	return *n != 0;
}

int ready_wait_limited(struct talev_context *ev, bool block, struct backend_event *events, int max)
{
	struct backend_deadlines deadlines;
	int n;

	if (block && look_first(ev, events, max, &n))
		return n;
	deadlines_get(ev, &deadlines);
	return ev->ops->wait(ev->backend, &deadlines, block, events, max);
}

/* Whoever traces or measures handlers is told of the wait. */
static void before_wait(struct talev_context *ev)
{
	dispatch_turn_ends(ev);
	core_trace(ev, TALEV_TRACE_BEFORE_WAIT, NULL);
}

static void after_wait(struct talev_context *ev)
{
	core_trace(ev, TALEV_TRACE_AFTER_WAIT, NULL);
	dispatch_turn_begins(ev);
}

int ready_wait_watched(struct talev_context *ev, bool block, struct backend_event *events, int max)
{
	int n;
	int error;

	if (block && !ev->life->observed && look_first(ev, events, max, &n))
		return n;
	if (block && ev->spin > 0) {
		struct backend_deadlines deadlines;

		if (ev->life->observed)
			before_wait(ev);
		deadlines_get(ev, &deadlines);
		if (!spin(ev, &deadlines, events, max, &n))
			n = ready_wait_until(ev, dispatch_hooks_sleep(ev), events, max);
	} else {
		block = block && dispatch_hooks_sleep(ev);
		if (ev->life->observed)
			before_wait(ev);
		n = ready_wait_until(ev, block, events, max);
	}
	error = errno;
	dispatch_hooks_awake(ev);
	if (ev->life->observed)
		after_wait(ev);
	errno = error;
	return n;
}

int ready_wait_beside_always(struct talev_context *ev, struct backend_event *events, int max)
{
	int n = 0;
	int more;

	if (max == 1 && ev->always_next)
		n = slots_always(ev, events, max);
	ev->always_next = !ev->always_next;
	if (n == max)
		return n;
	more = ready_wait_kernel(ev, false, events + n, max - n);
	if (more < 0)
		return errno == EINTR ? n : -1;
	n += ready_sift(ev, events + n, more);
	return n < max ? n + slots_always(ev, events + n, max - n) : n;
}
