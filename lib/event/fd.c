/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A watcher of a descriptor. Which kernel bits are told, and in whose turn, is core's; here is who
 * closes the descriptor: the close function, once, when nothing of talev refers to it any more, so
 * that its number may be used again at once.
 */
#include "event/event.h"
#include <errno.h>
#include "base/sys.h"
#include "event/fd_inside.h"
#include <talev/fd.h>

#define ALL_FLAGS (BACKEND_EVENTS | TALEV_FD_EDGE)

struct talev_fd {
	struct fd_source fs;
	talev_fd_close_fn_t close_fn;
};

static struct talev_fd *fd_of(struct source *src)
{
	return (struct talev_fd *)src;
}

static void fd_disarm(struct source *src)
{
	core_fd_detach(&fd_of(src)->fs);
}

static void fd_closed(struct source *src, struct talev_context *ev)
{
	struct talev_fd *fde = fd_of(src);

	/* The program closed it already: the number may be another file's by now. */
	if (fde->fs.fd == -1 || fde->close_fn == NULL || core_reinitialising(ev))
		return;
	fde->close_fn(ev, fde, fde->fs.fd, src->private_data);
}

static void fd_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	(void)now;
	fd_of(src)->fs.handler(src->ev, fd_of(src), (uint16_t)flags, src->private_data);
}

static void fd_enable(struct source *src)
{
	core_fd_changed(&fd_of(src)->fs);
}

static void fd_describe(const struct source *src, struct talev_source_info *info)
{
	const struct talev_fd *fde = (const struct talev_fd *)src;

	info->fd = fde->fs.fd;
	info->flags = fde->fs.flags;
	info->armed = src->enabled && (fde->fs.flags & BACKEND_EVENTS) != 0;
}

static bool fd_may(const struct source *src)
{
	return src->place == PLACE_SLOT;
}

static int fd_join(struct source *src)
{
	return core_fd_attach(&fd_of(src)->fs);
}

static const struct source_travel fd_travel = {
	.may = fd_may,
	.leave = fd_disarm,
	.join = fd_join,
};

static const struct source_kind fd_kind = {
	.type = "struct talev_fd",
	.label = "fd",
	.disarm = fd_disarm,
	.closed = fd_closed,
	.fire = fd_fire,
	.enable = fd_enable,
	.describe = fd_describe,
	.travel = &fd_travel,
};

struct talev_fd *_talev_add_fd(struct talev_context *ev, TALLOC_CTX *mem_ctx, int fd,
	uint16_t flags, talev_fd_handler_t handler, void *private_data, const char *where)
{
	struct talev_fd *fde;
	int saved_errno;

	if (ev == NULL || handler == NULL || (flags & ~ALL_FLAGS) != 0) {
		errno = EINVAL;
		return NULL;
	}
	if (fd < 0) {
		errno = EBADF;
		return NULL;
	}

	fde = source_create(ev, mem_ctx, sizeof(*fde), &fd_kind, private_data, where);
	if (fde == NULL)
		return NULL;
	fde->fs.handler = handler;
	fde->fs.fd = fd;
	fde->fs.flags = flags;
	if (core_fd_attach(&fde->fs) == 0)
		return fde;

	saved_errno = errno;
	talloc_free(fde);
	errno = saved_errno;
	return NULL;
}

_Static_assert(sizeof(struct talev_fd) <= sizeof(struct fd_inside), "it fits");

int fd_inside_add(struct fd_inside *inside, struct talev_context *ev, int fd, uint16_t flags,
	talev_fd_handler_t handler, void *private_data, const char *where)
{
	struct fd_source *fs = &((struct talev_fd *)inside)->fs;

	fs->handler = handler;
	fs->fd = fd;
	fs->flags = flags;
	if (source_begin(&fs->src, ev, &fd_kind, private_data, where) != 0)
		return -1;
	return core_fd_attach(fs);
}

void fd_inside_remove(struct fd_inside *inside)
{
	core_fd_end(&((struct talev_fd *)inside)->fs);
}

uint16_t talev_fd_get_flags(const struct talev_fd *fde)
{
	return fd_source_attached(&fde->fs) ? fde->fs.flags : 0;
}

int talev_fd_set_flags(struct talev_fd *fde, uint16_t flags)
{
	if ((flags & ~ALL_FLAGS) != 0) {
		errno = EINVAL;
		return -1;
	}
	if (source_check(&fde->fs.src) != 0)
		return -1;
	if (fde->fs.flags == flags)
		return 0;
	fde->fs.flags = flags;
	core_fd_changed(&fde->fs);
	return 0;
}

int talev_fd_get_fd(const struct talev_fd *fde)
{
	return fd_source_attached(&fde->fs) ? fde->fs.fd : -1;
}

int talev_fd_set_close_fn(struct talev_fd *fde, talev_fd_close_fn_t fn)
{
	if (source_check(&fde->fs.src) != 0)
		return -1;
	fde->close_fn = fn;
	return 0;
}

static void auto_close(struct talev_context *ev, struct talev_fd *fde, int fd, void *private_data)
{
	(void)ev;
	(void)fde;
	(void)private_data;
	base_close(fd);
}

int talev_fd_set_auto_close(struct talev_fd *fde)
{
	return talev_fd_set_close_fn(fde, auto_close);
}
