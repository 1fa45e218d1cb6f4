/* SPDX-License-Identifier: BSD-2-Clause */
/* From the kernel's report of a descriptor to the handler of one of its watchers. */
#include "core/dispatch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

/* What a watcher that asked for flags is told. Who reads or writes meets an error or a hang-up by
 * doing so. Who asked for nothing that matches is told what it asked for all the same: the kernel
 * reports errors unasked, and a report that nobody takes comes back for ever. */
static uint32_t match(uint32_t flags, uint32_t events)
{
	uint32_t bits = events & BACKEND_EVENTS;
	uint32_t told;

	if ((events & (TALEV_FD_ERROR | BACKEND_HANGUP)) != 0)
		bits |= TALEV_FD_READ | TALEV_FD_WRITE;
	told = bits & flags;
	if (told == 0 && (events & (TALEV_FD_ERROR | BACKEND_HANGUP)) != 0)
		told = flags & BACKEND_EVENTS;
	return told;
}

static uint32_t look(const struct slot *slot, uint32_t want)
{
	struct pollfd pfd = {.fd = slot->fd};
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

static bool may_block(struct slot *slot)
{
	if (slot->blocking == BLOCKING_UNKNOWN) {
		int flags = base_get_fl(slot->fd);

		slot->blocking =
			flags >= 0 && (flags & O_NONBLOCK) != 0 ? BLOCKING_NO : BLOCKING_YES;
	}
	return slot->blocking == BLOCKING_YES;
}

static struct fd_source *pick(const struct slot *slot, uint32_t events, uint32_t *told)
{
	struct source *src;

	TAILQ_FOREACH (src, &slot->watchers, link) {
		struct fd_source *fs = (struct fd_source *)src;

		*told = src->enabled ? match(fs->flags, events) : 0;
		if (*told != 0)
			return fs;
	}
	return NULL;
}

static struct slot *find(struct talev_context *ev, const struct backend_event *event)
{
	struct slot *slot = slot_get(ev, event->fd);

	if (slot == NULL || slot->generation != event->generation || TAILQ_EMPTY(&slot->watchers))
		return NULL;
	return slot;
}

bool ready_dispatch(
	struct talev_context *ev, const struct backend_event *event, bool fresh, bool *fired)
{
	struct slot *slot = find(ev, event);
	struct fd_source *fs;
	uint32_t events = event->events;
	uint32_t told;

	*fired = false;
	if (slot == NULL) {
		/* An earlier handler may have freed it. If none has, it comes again. */
		ev->suspect = true;
		return true;
	}
	/* An earlier handler of this batch may have used up what the kernel reported. */
	if (!fresh && !slot->is_always && ev->backend->ops->now == NULL && may_block(slot))
		events = look(slot, events);
	fs = pick(slot, events, &told);
	if (fs == NULL) {
		slot_untold(ev, event->fd, event->generation);
		return true;
	}
	if (TAILQ_NEXT(&fs->src, link) != NULL) {
		TAILQ_REMOVE(&slot->watchers, &fs->src, link);
		TAILQ_INSERT_TAIL(&slot->watchers, &fs->src, link);
	}
	*fired = true;
	return core_fire(ev, &fs->src, told, 0);
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

/* Takes out of the reports what no watcher of the user's is to see. */
static int sift(struct talev_context *ev, struct backend_event *events, int n)
{
	int kept = 0;
	int lost = -1;
	bool plain = !ev->suspect;

	if (plain && ev->slots.internals == 0) {
		for (int i = 0; i < n; i++)
			if ((events[i].events & BACKEND_CLOSED) != 0)
				plain = false;
		if (plain)
			return n;
	}
	plain = true;
	ev->suspect = false;
	for (int i = 0; i < n; i++) {
		struct slot *slot = find(ev, &events[i]);

		if (slot == NULL)
			lost = events[i].fd;
		if (slot == NULL || slot->internal || (events[i].events & BACKEND_CLOSED) != 0)
			plain = false;
	}
	if (plain)
		return n;
	for (int i = 0; i < n; i++) {
		struct slot *slot = find(ev, &events[i]);

		if (slot == NULL)
			continue;
		if ((events[i].events & BACKEND_CLOSED) != 0) {
			slot_closed(slot);
		} else if (slot->internal) {
			struct source *src = TAILQ_FIRST(&slot->watchers);

			src->kind->fire(src, events[i].events, 0);
		} else {
			events[kept++] = events[i];
		}
	}
	if (lost >= 0)
		stray(ev, lost);
	return kept;
}

static int wait_kernel(struct talev_context *ev, bool block, struct backend_event *events, int max)
{
	struct backend_deadlines deadlines;
	int n;
	int error;

	deadlines_get(ev, &deadlines);
	context_count(&ev->waits);
	if (!ev->observed && ev->spin == 0 && TAILQ_EMPTY(&ev->hooks))
		return ev->backend->ops->wait(ev->backend, &deadlines, block, events, max);
	if (block && ev->spin > 0) {
		core_trace(ev, TALEV_TRACE_BEFORE_WAIT, NULL);
		if (!spin(ev, &deadlines, events, max, &n)) {
			block = dispatch_hooks_sleep(ev);
			n = ev->backend->ops->wait(ev->backend, &deadlines, block, events, max);
		}
	} else {
		block = block && dispatch_hooks_sleep(ev);
		core_trace(ev, TALEV_TRACE_BEFORE_WAIT, NULL);
		n = ev->backend->ops->wait(ev->backend, &deadlines, block, events, max);
	}
	error = errno;
	dispatch_hooks_awake(ev);
	core_trace(ev, TALEV_TRACE_AFTER_WAIT, NULL);
	errno = error;
	return n;
}

int ready_wait(struct talev_context *ev, bool block, struct backend_event *events, int max)
{
	bool always;
	int n = 0;
	int more;

	if (slots_flush(ev) != 0)
		return -1;
	always = slots_any_always(ev);
	if (always && max == 1 && ev->always_next)
		n = slots_always(ev, events, max);
	ev->always_next = !ev->always_next;
	if (n == max)
		return n;
	if (block && !always)
		context_pulse(ev, CORE_ASLEEP);
	more = wait_kernel(ev, block && !always, events + n, max - n);
	context_pulse(ev, CORE_AWAKE);
	if (more < 0)
		return always && errno == EINTR ? n : -1;
	n += sift(ev, events + n, more);
	if (always && n < max)
		n += slots_always(ev, events + n, max - n);
	return n;
}
