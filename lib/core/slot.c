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
	/* A wrong number is no reason for a table of its size. In a simulation it may be right. */
	if (page >= ev->slots.page_count && ev->ops->now == NULL && base_get_fl(fd) == -1)
		return NULL;
	made = calloc(1, sizeof(*made));
	if (made == NULL || (page >= ev->slots.page_count && grow(&ev->slots, page) != 0)) {
		free(made);
		errno = ENOMEM;
		return NULL;
	}
	made->first = (int)(page * SLOT_PAGE);
	ev->slots.pages[page] = made;
	return slot_get(ev, fd);
}

static struct fd_source *watcher_of(struct source *src)
{
	return (struct fd_source *)src;
}

static inline void count_watcher(struct talev_context *ev, struct fd_source *fs)
{
	bool waits = fd_source_attached(fs) && fs->src.enabled &&
		     (fs->flags & BACKEND_EVENTS) != 0 && !fs->internal;

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

	LIST_FOREACH (src, &slot->watchers, watch_link) {
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

static void add_watcher(struct slot *slot, struct source *src)
{
	struct source *last = LIST_FIRST(&slot->watchers);

	if (last == NULL) {
		LIST_INSERT_HEAD(&slot->watchers, src, watch_link);
		return;
	}
	while (LIST_NEXT(last, watch_link) != NULL)
		last = LIST_NEXT(last, watch_link);
	LIST_INSERT_AFTER(last, src, watch_link);
}

static uint64_t bit_of(int fd)
{
	return UINT64_C(1) << ((unsigned)fd % SLOT_PAGE);
}

/* Of a descriptor that somebody watches. */
static inline bool has_changed(const struct talev_context *ev, int fd)
{
	return (ev->slots.pages[(unsigned)fd / SLOT_PAGE]->changed & bit_of(fd)) != 0;
}

static void note_changes(struct talev_context *ev, struct slot_page *page, uint64_t bits)
{
	if (page->changed == 0 && bits != 0)
		TAILQ_INSERT_TAIL(&ev->slots.changed, page, link);
	page->changed |= bits;
}

static void note_change(struct talev_context *ev, int fd)
{
	note_changes(ev, slot_page(ev, fd), bit_of(fd));
}

static void change_done(struct talev_context *ev, int fd)
{
	struct slot_page *page = slot_page(ev, fd);

	if ((page->changed & bit_of(fd)) == 0)
		return;
	page->changed &= ~bit_of(fd);
	if (page->changed == 0)
		TAILQ_REMOVE(&ev->slots.changed, page, link);
}

static void set_always(struct talev_context *ev, int fd, bool always)
{
	if (slot_is_always(ev, fd) == always)
		return;
	slot_page(ev, fd)->always ^= bit_of(fd);
	ev->slots.always_count += always ? 1 : -1u;
}

static int not_modified(struct talev_context *ev, struct slot *slot, int fd, uint32_t want)
{
	if (errno == EPERM) {
		slot->kernel = 0;
		set_always(ev, fd, want != 0);
		return 0;
	}
	if (errno == EBADF || errno == ESTALE) {
		slot->kernel = 0;
	} else if (want == 0) {
		slot->kernel = 0;
		return 0;
	}
	return -1;
}

/* A system call makes the processor forget where to return to: so from its caller on it is few
 * steps back. */
__attribute__((always_inline)) static inline int modify(
	struct talev_context *ev, struct slot *slot, int fd, uint32_t want, unsigned hints)
{
	if (unlikely((slot->generation & SLOT_INTERNAL) != 0))
		hints |= BACKEND_INTERNAL;
	if (unlikely(ev->ops->modify(
			     ev->backend, fd, slot->generation, slot->kernel, want, hints) != 0))
		return not_modified(ev, slot, fd, want);
	slot->kernel = (uint8_t)want;
	return 0;
}

/* Makes the kernel's interest that of the watchers. -1: EBADF and ESTALE say that what the kernel
 * knew is gone; the slot is as if it had never been registered. Anything else: nothing happened. */
static int sync_slot(struct talev_context *ev, int fd, unsigned hints)
{
	struct slot *slot = slot_get(ev, fd);
	uint32_t want = wanted(slot);

	change_done(ev, fd);
	if (slot->rearm)
		hints |= BACKEND_VERIFY;
	slot->rearm = false;
	if (want != 0 && (hints & BACKEND_VERIFY) == 0 && slot_is_always(ev, fd))
		return 0;
	set_always(ev, fd, false);
	if (want == slot->kernel && (hints & BACKEND_VERIFY) == 0)
		return 0;
	return modify(ev, slot, fd, want, hints);
}

/* The same when nobody watches it any more: nothing of what it was stays. */
__attribute__((always_inline)) static inline int forget_slot(
	struct talev_context *ev, struct slot *slot, int fd)
{
	struct slot_page *page = slot_page(ev, fd);

	slot->rearm = false;
	if (unlikely(((page->changed | page->always) & bit_of(fd)) != 0)) {
		change_done(ev, fd);
		set_always(ev, fd, false);
	}
	return slot->kernel != 0 ? modify(ev, slot, fd, 0, 0) : 0;
}

static void report_closed(int fd, const struct source *src)
{
	core_log(src->ev, TALEV_LOG_WARNING,
		"descriptor %d was closed before its watcher %s (%s) was freed", fd,
		source_where(src), source_location(src));
}

/* The program closed the descriptor under its watchers, except for the one that is new. */
static void close_watchers(struct talev_context *ev, int fd, const struct fd_source *except)
{
	struct source *src;

	for (;;) {
		LIST_FOREACH (src, &slot_get(ev, fd)->watchers, watch_link)
			if (watcher_of(src) != except)
				break;
		if (src == NULL)
			return;
		report_closed(fd, src);
		watcher_of(src)->lost = true;
		source_close(src, NULL);
	}
}

static void next_generation(struct slot *slot, bool internal)
{
	slot->generation = (slot->generation + 1) & ~SLOT_INTERNAL;
	if (internal)
		slot->generation |= SLOT_INTERNAL;
}

static void leave(struct talev_context *ev, struct fd_source *fs)
{
	LIST_REMOVE(&fs->src, watch_link);
	fs->src.place = PLACE_NONE;
	count_watcher(ev, fs);
}

static int tell_new(struct talev_context *ev, struct slot *slot, struct fd_source *fs)
{
	bool alone =
		LIST_FIRST(&slot->watchers) == &fs->src && LIST_NEXT(&fs->src, watch_link) == NULL;
	uint32_t want;
	int ret;

	if (alone) {
		next_generation(slot, fs->internal);
		slot->blocking = BLOCKING_UNKNOWN;
		want = wanted(slot);
		if (want == 0)
			return base_get_fl(fs->fd) == -1 ? -1 : 0;
		return modify(ev, slot, fs->fd, want, 0);
	}
	/* The number may be that of another file by now than the older watchers meant. */
	ret = sync_slot(ev, fs->fd, slot->kernel != 0 ? BACKEND_VERIFY : 0);
	if (ret != 0 && errno == ESTALE) {
		close_watchers(ev, fs->fd, fs);
		next_generation(slot, fs->internal);
		ret = sync_slot(ev, fs->fd, 0);
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
	if (fs->src.place != PLACE_NONE)
		source_unplace(&fs->src);
	fs->src.place = PLACE_SLOT;
	add_watcher(slot, &fs->src);
	count_watcher(ev, fs);
	if (tell_new(ev, slot, fs) == 0)
		return 0;
	error = errno;
	leave(ev, fs);
	source_place(&fs->src, ev, PLACE_RESTING);
	if (LIST_EMPTY(&slot->watchers))
		change_done(ev, fs->fd);
	else if (wanted(slot) != slot->kernel)
		note_change(ev, fs->fd);
	errno = error;
	return -1;
}

__attribute__((always_inline)) static inline void detach(struct fd_source *fs)
{
	struct talev_context *ev = fs->src.ev;
	int fd = fs->fd;
	struct slot *slot;

	if (!fd_source_attached(fs))
		return;
	slot = slot_get(ev, fd);
	leave(ev, fs);
	if (fs->lost)
		fs->fd = -1;
	if (!LIST_EMPTY(&slot->watchers)) {
		if (wanted(slot) != slot->kernel) {
			note_change(ev, fd);
			context_changed(ev);
		}
		return;
	}
	/* The program may close it next, or give its number to another file. */
	next_generation(slot, false);
	if (fs->lost || ev->backend == NULL || ev->fork_generation != base_fork_generation())
		slot->kernel = 0;
	if (forget_slot(ev, slot, fd) != 0 && (errno == EBADF || errno == ESTALE)) {
		report_closed(fd, &fs->src);
		fs->fd = -1;
	}
}

void core_fd_detach(struct fd_source *fs)
{
	detach(fs);
}

void core_fd_end(struct fd_source *fs)
{
	struct source *src = &fs->src;
	struct talev_context *ev = src->ev;

	if (unlikely(!fd_source_attached(fs) || src->life.state != TALEV_LIVE ||
		     src->life.rec != NULL || ev->trace != NULL)) {
		source_end(src);
		return;
	}
	(void)owner_check(ev, src);
	src->life.state = TALEV_CLOSING;
	detach(fs);
	src->ev = NULL;
	context_changed(ev);
	life_forget(&src->life);
	source_drop_aside(src);
}

__attribute__((noinline)) static void changed(struct talev_context *ev, struct fd_source *fs)
{
	count_watcher(ev, fs);
	if (wanted(slot_get(ev, fs->fd)) != slot_get(ev, fs->fd)->kernel ||
		slot_is_always(ev, fs->fd)) {
		note_change(ev, fs->fd);
		context_changed(ev);
	}
}

void core_fd_changed(struct fd_source *fs)
{
	struct talev_context *ev = fs->src.ev;

	/* Noted already, and it goes on keeping the loop running. */
	if (likely(fs->counted && has_changed(ev, fs->fd) && (fs->flags & BACKEND_EVENTS) != 0 &&
		    fs->src.enabled && !ev->embedded))
		return;
	changed(ev, fs);
}

void slot_untold(struct talev_context *ev, int fd, uint32_t generation)
{
	struct slot *slot = slot_get(ev, fd);

	if (slot == NULL || slot->generation != generation || (slot->kernel & TALEV_FD_EDGE) == 0)
		return;
	slot->rearm = true;
	note_change(ev, fd);
	context_changed(ev);
}

/* What the kernel refused is for the next flush. */
static void note_refused(struct talev_context *ev)
{
	for (unsigned i = 0; i < ev->slots.page_count; i++) {
		struct slot_page *page = ev->slots.pages[i];

		if (page == NULL)
			continue;
		note_changes(ev, page, page->refused);
		page->refused = 0;
	}
}

int slots_flush_changes(struct talev_context *ev)
{
	struct slot_page *page;
	int error = 0;

	while ((page = TAILQ_FIRST(&ev->slots.changed)) != NULL) {
		int fd = page->first + __builtin_ctzll(page->changed);

		if (sync_slot(ev, fd, BACKEND_WAITING) == 0)
			continue;
		if (errno == EBADF || errno == ESTALE) {
			close_watchers(ev, fd, NULL);
			continue;
		}
		error = errno;
		page->refused |= bit_of(fd);
	}
	if (error == 0)
		return 0;
	note_refused(ev);
	errno = error;
	return -1;
}

static void each_slot(struct talev_context *ev, void (*fn)(struct talev_context *ev, int fd))
{
	for (unsigned page = 0; page < ev->slots.page_count; page++)
		for (int i = 0; ev->slots.pages[page] != NULL && i < SLOT_PAGE; i++)
			fn(ev, ev->slots.pages[page]->first + i);
}

void slots_close_all(struct talev_context *ev, const struct life *life)
{
	for (unsigned i = 0; life->ev != NULL && i < ev->slots.page_count * SLOT_PAGE; i++) {
		struct slot *slot = slot_get(ev, (int)i);
		struct source *src;

		while (life->ev != NULL && slot != NULL &&
			(src = LIST_FIRST(&slot->watchers)) != NULL)
			source_close(src, NULL);
	}
}

static void forget_kernel(struct talev_context *ev, int fd)
{
	struct slot *slot = slot_get(ev, fd);

	slot->kernel = 0;
	set_always(ev, fd, false);
	if (wanted(slot) != 0)
		note_change(ev, fd);
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

		if (slot == NULL || (slot->generation & SLOT_INTERNAL) != 0)
			continue;
		LIST_FOREACH (src, &slot->watchers, watch_link)
			fn(src, private_data);
	}
}

void slots_init(struct talev_context *ev)
{
	TAILQ_INIT(&ev->slots.changed);
}

void slots_destroy(struct talev_context *ev)
{
	for (unsigned page = 0; page < ev->slots.page_count; page++)
		free(ev->slots.pages[page]);
	free(ev->slots.pages);
	ev->slots.page_count = 0;
}

/* The first descriptor from fd on that is always ready. There is one. */
static int find_always(const struct talev_context *ev, int fd)
{
	unsigned at = (unsigned)fd / SLOT_PAGE;
	unsigned skip = (unsigned)fd % SLOT_PAGE;

	for (;; at++, skip = 0) {
		const struct slot_page *page;

		if (at >= ev->slots.page_count)
			at = skip = 0;
		page = ev->slots.pages[at];
		if (page != NULL && page->always >> skip != 0)
			return page->first + (int)skip + __builtin_ctzll(page->always >> skip);
	}
}

int slots_always(struct talev_context *ev, struct backend_event *events, int max)
{
	int n = 0;

	for (unsigned left = ev->slots.always_count; left > 0 && n < max; left--) {
		int fd = find_always(ev, ev->slots.always_at);
		struct slot *slot = slot_get(ev, fd);
		uint32_t want = wanted(slot) & (TALEV_FD_READ | TALEV_FD_WRITE);

		ev->slots.always_at = fd + 1;
		if (want != 0)
			events[n++] = (struct backend_event){fd, slot->generation, want};
	}
	return n;
}

void slot_move_last(struct slot *slot, struct source *src)
{
	LIST_REMOVE(src, watch_link);
	add_watcher(slot, src);
}

void slot_closed(struct talev_context *ev, int fd)
{
	close_watchers(ev, fd, NULL);
}
