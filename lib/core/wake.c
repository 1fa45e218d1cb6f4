/* SPDX-License-Identifier: BSD-2-Clause */
/* An eventfd that ends the loop's wait. It belongs to whoever may still write it, so that its
 * number is never another file's while somebody is about to. */
#include "core/context.h"

#include <errno.h>
#include <stdlib.h>

static void wake_disarm(struct source *src)
{
	core_fd_detach((struct fd_source *)src);
}

static void wake_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	uint64_t count;

	(void)flags;
	(void)now;
	/* It never gets full: that takes centuries. */
	if (src->ev->backend->ops->edges)
		return;
	(void)!base_read(((struct fd_source *)src)->fd, &count, sizeof(count));
}

static const struct source_kind wake_kind = {
	.type = "struct talev_wake",
	.label = "wake",
	.disarm = wake_disarm,
	.fire = wake_fire,
};

static struct core_wake *wake_create(void)
{
	struct core_wake *wake = malloc(sizeof(*wake));

	if (wake == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	wake->fd = base_eventfd();
	if (wake->fd == -1) {
		free(wake);
		return NULL;
	}
	atomic_init(&wake->refs, 1);
	return wake;
}

void wake_unref(struct core_wake *wake)
{
	if (atomic_fetch_sub_explicit(&wake->refs, 1, memory_order_acq_rel) == 1) {
		base_close(wake->fd);
		free(wake);
	}
}

void wake_post(struct core_wake *wake)
{
	int error = errno;
	uint64_t one = 1;

	/* EAGAIN: it is full, so readable. */
	(void)!base_write(wake->fd, &one, sizeof(one));
	errno = error;
}

struct fd_source *wake_watch(
	struct talev_context *ev, const struct source_kind *kind, const char *where, int fd)
{
	struct fd_source *fs = talloc_zero(NULL, struct fd_source);

	if (fs == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	fs->src.ev = ev;
	source_set_kind(&fs->src, kind);
	fs->src.where = where;
	fs->src.enabled = true;
	fs->fd = fd;
	fs->flags = TALEV_FD_READ;
	fs->internal = true;
	source_place(&fs->src, ev, PLACE_RESTING);
	if (core_fd_attach(fs) != 0) {
		int error = errno;

		source_unplace(&fs->src);
		talloc_free(fs);
		errno = error;
		return NULL;
	}
	return fs;
}

void wake_unwatch(struct fd_source *fs)
{
	core_fd_detach(fs);
	source_drop_aside(&fs->src);
	talloc_free(fs);
}

static int wake_open(struct talev_context *ev)
{
	struct core_wake *wake = wake_create();
	struct fd_source *fs;

	if (wake == NULL)
		return -1;
	fs = wake_watch(ev, &wake_kind, "wake\0talev", wake->fd);
	if (fs == NULL) {
		int error = errno;

		wake_unref(wake);
		errno = error;
		return -1;
	}
	ev->wake = wake;
	ev->wake_source = fs;
	return 0;
}

static void let_go(struct core_wake *wake, struct fd_source *fs)
{
	wake_unwatch(fs);
	wake_unref(wake);
}

void wake_close(struct talev_context *ev)
{
	if (ev->wake == NULL)
		return;
	let_go(ev->wake, ev->wake_source);
	ev->wake = NULL;
	ev->wake_source = NULL;
}

/* The old one stays until there is a new one: that there is one says that somebody needs it. */
int wake_reopen(struct talev_context *ev)
{
	struct core_wake *wake = ev->wake;
	struct fd_source *fs = ev->wake_source;

	if (wake == NULL)
		return 0;
	if (wake_open(ev) != 0)
		return -1;
	let_go(wake, fs);
	return 0;
}

struct core_wake *core_wake_get(struct talev_context *ev)
{
	/* The parent's would wake the parent. */
	if (context_check_fork(ev) != 0)
		return NULL;
	if (ev->wake == NULL && wake_open(ev) != 0)
		return NULL;
	atomic_fetch_add_explicit(&ev->wake->refs, 1, memory_order_relaxed);
	return ev->wake;
}
