/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of descriptors. What the kernel does not do for us: it knows one interest per
 * descriptor, not many watchers; it forgets a descriptor silently when its last duplicate is
 * closed, and keeps reporting one that is closed while a duplicate lives; it hands the number
 * to the next open(2).
 */
#include "core/context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static int grow(struct slots *slots, unsigned page)
{
	unsigned count = slots->page_count > 0 ? slots->page_count : 4;
	struct slot_page **pages;

	while (count <= page)
		count *= 2;
	pages = realloc(slots->pages, count * sizeof(*pages));
	if (pages == NULL)
		return -1;
	for (unsigned i = slots->page_count; i < count; i++)
		pages[i] = NULL;
	slots->pages = pages;
	slots->page_count = count;
	return 0;
}

static struct slot *slot_make(struct talev_context *ev, int fd)
{
	struct slot *slot = slot_get(ev, fd);
	unsigned page = (unsigned)fd / SLOT_PAGE;
	struct slot_page *made;

	if (slot != NULL)
		return slot;
	made = calloc(1, sizeof(*made));
	if (made == NULL || (page >= ev->slots.page_count && grow(&ev->slots, page) != 0)) {
		free(made);
		errno = ENOMEM;
		return NULL;
	}
	for (int i = 0; i < SLOT_PAGE; i++) {
		made->slots[i].fd = (int)(page * SLOT_PAGE) + i;
		TAILQ_INIT(&made->slots[i].watchers);
	}
	ev->slots.pages[page] = made;
	return slot_get(ev, fd);
}

static struct fd_source *watcher_of(struct source *src)
{
	return (struct fd_source *)src;
}

static void count_watcher(struct talev_context *ev, struct fd_source *fs)
{
	bool waits = fs->slot != NULL && fs->src.enabled && (fs->flags & BACKEND_EVENTS) != 0 &&
		     !fs->internal;

	if (waits != fs->counted) {
		fs->counted = waits;
		ev->slots.active += waits ? 1 : (size_t)-1;
	}
}

static uint32_t wanted(const struct slot *slot)
{
	struct source *src;
	uint32_t events = 0;
	int watchers = 0;

	TAILQ_FOREACH (src, &slot->watchers, link) {
		if (src->enabled) {
			events |= watcher_of(src)->flags;
			watchers++;
		}
	}
	/* Several are told one after the other, which takes a kernel that says it again. */
	if (watchers > 1 || events == TALEV_FD_EDGE)
		events &= ~(uint32_t)TALEV_FD_EDGE;
	return events;
}

static void note_change(struct talev_context *ev, struct slot *slot)
{
	if (!slot->changed) {
		slot->changed = true;
		TAILQ_INSERT_TAIL(&ev->slots.changes, slot, change);
		ev->slots.change_count++;
	}
}

static void change_done(struct talev_context *ev, struct slot *slot)
{
	if (slot->changed) {
		slot->changed = false;
		TAILQ_REMOVE(&ev->slots.changes, slot, change);
		ev->slots.change_count--;
	}
}

static void set_always(struct talev_context *ev, struct slot *slot, bool always)
{
	if (slot->is_always == always)
		return;
	slot->is_always = always;
	if (always)
		TAILQ_INSERT_TAIL(&ev->slots.always, slot, always);
	else
		TAILQ_REMOVE(&ev->slots.always, slot, always);
}

/* Makes the kernel's interest that of the watchers. -1: EBADF and ESTALE say that what the kernel
 * knew is gone; the slot is as if it had never been registered. */
static int sync_slot(struct talev_context *ev, struct slot *slot, unsigned hints)
{
	uint32_t want = wanted(slot);
	int ret;

	change_done(ev, slot);
	if (slot->rearm)
		hints |= BACKEND_VERIFY;
	slot->rearm = false;
	if (slot->is_always && want != 0 && hints == 0)
		return 0;
	set_always(ev, slot, false);
	if (want == slot->kernel && (hints & BACKEND_VERIFY) == 0)
		return 0;
	if (slot->internal)
		hints |= BACKEND_INTERNAL;
	ret = ev->backend->ops->modify(
		ev->backend, slot->fd, slot->generation, slot->kernel, want, hints);
	if (ret == 0) {
		slot->kernel = (uint8_t)want;
		return 0;
	}
	if (errno == EPERM) {
		slot->kernel = 0;
		set_always(ev, slot, want != 0);
		return 0;
	}
	if (errno == EBADF || errno == ESTALE) {
		slot->kernel = 0;
	} else if (want == 0) {
		slot->kernel = 0;
		return 0;
	} else {
		note_change(ev, slot);
	}
	return -1;
}

static void report_closed(const struct slot *slot, const struct source *src)
{
	core_log(src->ev, TALEV_LOG_WARNING,
		"descriptor %d was closed before its watcher %s (%s) was freed", slot->fd,
		src->where, source_location(src));
}

/* The program closed the descriptor under its watchers, except for the one that is new. */
static void close_watchers(struct slot *slot, const struct fd_source *except)
{
	struct source *src;

	for (;;) {
		TAILQ_FOREACH (src, &slot->watchers, link)
			if (watcher_of(src) != except)
				break;
		if (src == NULL)
			return;
		report_closed(slot, src);
		watcher_of(src)->fd = -1;
		source_close(src, NULL);
	}
}

static void detach(struct talev_context *ev, struct fd_source *fs)
{
	TAILQ_REMOVE(&fs->slot->watchers, &fs->src, link);
	if (fs->internal)
		ev->slots.internals--;
	fs->src.place = PLACE_NONE;
	fs->slot = NULL;
	count_watcher(ev, fs);
}

static int tell_new(struct talev_context *ev, struct slot *slot, struct fd_source *fs)
{
	bool alone = TAILQ_FIRST(&slot->watchers) == &fs->src && TAILQ_NEXT(&fs->src, link) == NULL;
	int ret;

	if (alone) {
		slot->generation++;
		slot->blocking = BLOCKING_UNKNOWN;
		slot->internal = fs->internal;
		if (wanted(slot) == 0)
			return base_get_fl(slot->fd) == -1 ? -1 : 0;
		return sync_slot(ev, slot, 0);
	}
	/* The number may be that of another file by now than the older watchers meant. */
	ret = sync_slot(ev, slot, slot->kernel != 0 ? BACKEND_VERIFY : 0);
	if (ret != 0 && errno == ESTALE) {
		close_watchers(slot, fs);
		slot->generation++;
		ret = sync_slot(ev, slot, 0);
	}
	return ret;
}

int core_fd_attach(struct fd_source *fs)
{
	struct talev_context *ev = fs->src.ev;
	struct slot *slot;
	int error;

	if (fs->fd < 0) {
		errno = EBADF;
		return -1;
	}
	if (context_check_fork(ev) != 0)
		return -1;
	slot = slot_make(ev, fs->fd);
	if (slot == NULL)
		return -1;
	source_unplace(&fs->src);
	fs->slot = slot;
	fs->src.place = PLACE_SLOT;
	TAILQ_INSERT_TAIL(&slot->watchers, &fs->src, link);
	if (fs->internal)
		ev->slots.internals++;
	count_watcher(ev, fs);
	if (tell_new(ev, slot, fs) == 0)
		return 0;
	error = errno;
	detach(ev, fs);
	source_place(&fs->src, ev, PLACE_RESTING);
	if (TAILQ_EMPTY(&slot->watchers))
		change_done(ev, slot);
	errno = error;
	return -1;
}

void core_fd_detach(struct fd_source *fs)
{
	struct talev_context *ev = fs->src.ev;
	struct slot *slot = fs->slot;

	if (slot == NULL)
		return;
	detach(ev, fs);
	if (!TAILQ_EMPTY(&slot->watchers)) {
		if (wanted(slot) != slot->kernel) {
			note_change(ev, slot);
			context_changed(ev);
		}
		return;
	}
	/* The program may close it next, or give its number to another file. */
	slot->generation++;
	if (ev->fork_generation != base_fork_generation() || ev->backend == NULL) {
		change_done(ev, slot);
		set_always(ev, slot, false);
		slot->kernel = 0;
		return;
	}
	if (fs->fd < 0)
		slot->kernel = 0;
	if (sync_slot(ev, slot, 0) != 0 && (errno == EBADF || errno == ESTALE)) {
		report_closed(slot, &fs->src);
		fs->fd = -1;
	}
}

void core_fd_changed(struct fd_source *fs)
{
	struct talev_context *ev = fs->src.ev;

	/* Noted already, and it goes on keeping the loop running. */
	if (fs->slot->changed && fs->counted && (fs->flags & BACKEND_EVENTS) != 0 &&
		fs->src.enabled && !ev->embedded)
		return;
	count_watcher(ev, fs);
	if (wanted(fs->slot) != fs->slot->kernel || fs->slot->is_always) {
		note_change(ev, fs->slot);
		context_changed(ev);
	}
}

void slot_untold(struct talev_context *ev, int fd, uint32_t generation)
{
	struct slot *slot = slot_get(ev, fd);

	if (slot == NULL || slot->generation != generation || (slot->kernel & TALEV_FD_EDGE) == 0)
		return;
	slot->rearm = true;
	note_change(ev, slot);
	context_changed(ev);
}

int slots_flush_changes(struct talev_context *ev)
{
	size_t todo = ev->slots.change_count;
	struct slot *slot;
	int error = 0;

	/* What the kernel refuses goes back to the end of the list. */
	while (todo-- > 0 && (slot = TAILQ_FIRST(&ev->slots.changes)) != NULL) {
		if (sync_slot(ev, slot, 0) == 0)
			continue;
		if (errno == EBADF || errno == ESTALE)
			close_watchers(slot, NULL);
		else
			error = errno;
	}
	if (error != 0) {
		errno = error;
		return -1;
	}
	return 0;
}

static void each_slot(
	struct talev_context *ev, void (*fn)(struct talev_context *ev, struct slot *slot))
{
	for (unsigned page = 0; page < ev->slots.page_count; page++)
		for (int i = 0; ev->slots.pages[page] != NULL && i < SLOT_PAGE; i++)
			fn(ev, &ev->slots.pages[page]->slots[i]);
}

static void close_slot(struct talev_context *ev, struct slot *slot)
{
	struct source *src;

	(void)ev;
	while ((src = TAILQ_FIRST(&slot->watchers)) != NULL)
		source_close(src, NULL);
}

void slots_close_all(struct talev_context *ev)
{
	each_slot(ev, close_slot);
}

static void forget_kernel(struct talev_context *ev, struct slot *slot)
{
	slot->kernel = 0;
	set_always(ev, slot, false);
	if (wanted(slot) != 0)
		note_change(ev, slot);
}

void slots_forget_kernel(struct talev_context *ev)
{
	each_slot(ev, forget_kernel);
}

void slots_each(struct talev_context *ev, void (*fn)(struct source *src, void *private_data),
	void *private_data)
{
	for (unsigned i = 0; i < ev->slots.page_count * SLOT_PAGE; i++) {
		struct slot *slot = slot_get(ev, (int)i);
		struct source *src;

		if (slot == NULL || slot->internal)
			continue;
		TAILQ_FOREACH (src, &slot->watchers, link)
			fn(src, private_data);
	}
}

void slots_init(struct talev_context *ev)
{
	TAILQ_INIT(&ev->slots.changes);
	TAILQ_INIT(&ev->slots.always);
}

void slots_destroy(struct talev_context *ev)
{
	for (unsigned page = 0; page < ev->slots.page_count; page++)
		free(ev->slots.pages[page]);
	free(ev->slots.pages);
}

int slots_always(struct talev_context *ev, struct backend_event *events, int max)
{
	struct slot *last = TAILQ_LAST(&ev->slots.always, slot_queue);
	struct slot *slot;
	int n = 0;

	while (n < max && (slot = TAILQ_FIRST(&ev->slots.always)) != NULL) {
		uint32_t want = wanted(slot) & (TALEV_FD_READ | TALEV_FD_WRITE);

		TAILQ_REMOVE(&ev->slots.always, slot, always);
		TAILQ_INSERT_TAIL(&ev->slots.always, slot, always);
		if (want != 0)
			events[n++] = (struct backend_event){slot->fd, slot->generation, want};
		if (slot == last)
			break;
	}
	return n;
}

void slot_closed(struct slot *slot)
{
	close_watchers(slot, NULL);
}
