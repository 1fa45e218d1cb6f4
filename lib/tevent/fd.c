/* SPDX-License-Identifier: BSD-2-Clause */
#define TEVENT_DEPRECATED 1
#include "tevent/wrapper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <talev/fd.h>
#include "tevent/trace.h"

#define WATCHER "tevent_fd\0libtevent"

/* Runs in talev's loop: only notes. */
static void note(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags)
{
	ev->found = FOUND_FD;
	ev->found_fd = fde;
	ev->found_flags = flags;
}

static void found(struct talev_context *loop, struct talev_fd *watcher, uint16_t flags, void *ptr)
{
	struct tevent_fd *fde = ptr;

	(void)loop;
	(void)watcher;
	note(fde->e.ev, fde, flags);
}

/* Another thread may have freed the event during the wait: its watcher has no tag then. */
static void found_mt(
	struct talev_context *loop, struct talev_fd *watcher, uint16_t flags, void *ptr)
{
	struct tevent_fd *fde = (struct tevent_fd *)(uintptr_t)talev_source_get_tag(watcher);

	(void)loop;
	if (fde != NULL)
		note(ptr, fde, flags);
}

/* The program closed the descriptor while we watched it. */
static void disable(struct tevent_fd *fde)
{
	debug_message(fde->e.ev, TEVENT_DEBUG_ERROR,
		"descriptor %d of %s (%s) is closed: disabled\n", fde->fd, fde->e.handler_name,
		fde->e.location);
	fd_detach(fde);
}

/* A chunk of its own, for the event's may go during the wait. */
static int watch_mt(struct tevent_fd *fde)
{
	struct tevent_context *ev = fde->e.ev;

	fde->watcher =
		_talev_add_fd(ev->loop, NULL, fde->fd, fd_interest(fde), found_mt, ev, WATCHER);
	if (fde->watcher == NULL)
		return -1;
	if (talev_source_set_tag(fde->watcher, (uintptr_t)fde) == 0)
		return 0;
	TALLOC_FREE(fde->watcher);
	errno = ENOMEM;
	return -1;
}

static inline int watch(struct tevent_fd *fde)
{
	struct tevent_context *ev = fde->e.ev;
	int result;

	if (ev->mt) {
		result = watch_mt(fde);
	} else {
		fde->watcher = fd_inside_watcher(&fde->inside);
		result = fd_inside_add(
			&fde->inside, ev->loop, fde->fd, fd_interest(fde), found, fde, WATCHER);
	}
	if (result == 0 || errno != EBADF)
		return result;
	disable(fde);
	return 0;
}

static inline int tell(struct tevent_fd *fde)
{
	/* A backend of the user's that does not build on one of ours. */
	if (fde->e.ev->loop == NULL)
		return 0;
	if (fde->watcher == NULL)
		return watch(fde);
	talev_fd_set_flags(fde->watcher, fd_interest(fde));
	return 0;
}

/* A watcher whose event another thread has taken away while the loop waits. */
struct burial {
	SLIST_ENTRY(burial) link;
	struct talev_fd *watcher;
};

static void bury(struct tevent_context *ev, struct talev_fd *watcher)
{
	struct burial *burial = malloc(sizeof(*burial));

	talev_source_set_tag(watcher, 0);
	/* Without memory it stays, and tells nobody. */
	if (burial == NULL)
		return;
	burial->watcher = watcher;
	SLIST_INSERT_HEAD(&ev->burials, burial, link);
}

static void free_buried(struct tevent_context *ev)
{
	struct burial *burial;

	while ((burial = SLIST_FIRST(&ev->burials)) != NULL) {
		SLIST_REMOVE_HEAD(&ev->burials, link);
		talloc_free(burial->watcher);
		free(burial);
	}
}

static void make_dirty(struct tevent_fd *fde)
{
	if (!fde->dirty) {
		fde->dirty = true;
		TAILQ_INSERT_TAIL(&fde->e.ev->dirty, fde, dirty_link);
	}
	door_wake(fde->e.ev->door);
}

static inline int changed(struct tevent_fd *fde)
{
	if (!fde->e.ev->mt)
		return tell(fde);
	make_dirty(fde);
	return 0;
}

void fd_flush(struct tevent_context *ev)
{
	struct tevent_fd *fde;

	free_buried(ev);
	while ((fde = TAILQ_FIRST(&ev->dirty)) != NULL) {
		TAILQ_REMOVE(&ev->dirty, fde, dirty_link);
		fde->dirty = false;
		if (tell(fde) != 0)
			disable(fde);
	}
}

/* talev has found the descriptor closed. */
static bool found_closed(const struct tevent_fd *fde)
{
	return fde->watcher != NULL && talev_fd_get_fd(fde->watcher) < 0;
}

void fd_sweep(struct tevent_context *ev)
{
	struct tevent_fd *fde;
	struct tevent_fd *next;

	TAILQ_FOREACH_SAFE (fde, &ev->fds, link, next)
		if (found_closed(fde))
			disable(fde);
}

void fd_detach(struct tevent_fd *fde)
{
	struct tevent_context *ev = fde->e.ev;
	struct talev_fd *watcher = fde->watcher;

	if (ev == NULL)
		return;
	TAILQ_REMOVE(&ev->fds, fde, link);
	if (fde->dirty)
		TAILQ_REMOVE(&ev->dirty, fde, dirty_link);
	fde->dirty = false;
	if (fde->flags != 0)
		ev->fd_active--;
	fde->e.ev = NULL;
	fde->e.wrapper = NULL;
	if (ev->mt)
		door_wake(ev->door);
	if (watcher == NULL)
		return;
	fde->watcher = NULL;
	if (ev->waiting)
		bury(ev, watcher);
	else if (ev->mt)
		talloc_free(watcher);
	else
		fd_inside_remove(&fde->inside);
}

void fd_detach_all(struct tevent_context *ev)
{
	struct tevent_fd *fde;

	/* The youngest first. */
	while ((fde = TAILQ_LAST(&ev->fds, fd_queue)) != NULL) {
		trace_fd(ev, fde, TEVENT_EVENT_TRACE_DETACH);
		fd_detach(fde);
	}
}

int fd_destructor(struct tevent_fd *fde)
{
	struct tevent_context *ev = fde->e.ev;

	if (fde->e.destroyed) {
		event_check_double_free(fde, "tevent_fd double free");
		return fde->e.busy > 0 ? -1 : 0;
	}
	fde->e.destroyed = true;
	if (ev != NULL) {
		trace_fd(ev, fde, TEVENT_EVENT_TRACE_DETACH);
		fd_detach(fde);
	}
	if (fde->close_fn != NULL) {
		fde->close_fn(ev, fde, fde->fd, fde->e.private_data);
		fde->fd = -1;
	}
	return fde->e.busy > 0 ? -1 : 0;
}

struct tevent_fd *fd_add(struct tevent_context *ev, TALLOC_CTX *mem_ctx, int fd, uint16_t flags,
	tevent_fd_handler_t handler, void *private_data, const char *handler_name,
	const char *location)
{
	struct tevent_fd *fde;

	if (fd < 0) {
		errno = EBADF;
		return NULL;
	}
	fde = talloc_zero(mem_ctx != NULL ? mem_ctx : ev, struct tevent_fd);
	if (fde == NULL)
		return NULL;
	fde->e = (struct event){
		.ev = ev,
		.private_data = private_data,
		.handler_name = handler_name,
		.location = location,
	};
	fde->handler = handler;
	fde->fd = fd;
	fde->flags = flags;
	talloc_set_destructor(fde, fd_destructor);
	TAILQ_INSERT_TAIL(&ev->fds, fde, link);
	if (flags != 0)
		ev->fd_active++;
	trace_fd(ev, fde, TEVENT_EVENT_TRACE_ATTACH);
	if (changed(fde) != 0) {
		int error = errno;

		trace_fd(ev, fde, TEVENT_EVENT_TRACE_DETACH);
		fd_detach(fde);
		talloc_free(fde);
		errno = error;
		return NULL;
	}
	return fde;
}

void fd_set_close_fn(struct tevent_fd *fde, tevent_fd_close_fn_t close_fn)
{
	fde->close_fn = close_fn;
}

uint16_t fd_get_flags(struct tevent_fd *fde)
{
	if (fde->e.ev != NULL && found_closed(fde))
		disable(fde);
	return fde->e.ev != NULL ? fde->flags : 0;
}

void fd_set_flags(struct tevent_fd *fde, uint16_t flags)
{
	struct tevent_context *ev = fde->e.ev;

	if (ev == NULL || flags == fde->flags)
		return;
	if (fde->flags == 0)
		ev->fd_active++;
	else if (flags == 0)
		ev->fd_active--;
	fde->flags = flags;
	if (changed(fde) != 0)
		debug_message(
			ev, TEVENT_DEBUG_ERROR, "descriptor %d: %s\n", fde->fd, strerror(errno));
}

static void call_handler(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags)
{
	struct wrapper *wrapper = fde->e.wrapper;

	if (wrapper == NULL) {
		trace_fd(ev, fde, TEVENT_EVENT_TRACE_BEFORE_HANDLER);
		fde->handler(ev, fde, flags, fde->e.private_data);
		return;
	}
	wrapper_enter(wrapper, fde->e.location);
	wrapper->ops->before_fd_handler(wrapper->wrap_ev, wrapper->state, ev, fde, flags,
		fde->e.handler_name, fde->e.location);
	trace_fd(ev, fde, TEVENT_EVENT_TRACE_BEFORE_HANDLER);
	fde->handler(wrapper->wrap_ev, fde, flags, fde->e.private_data);
	wrapper->ops->after_fd_handler(wrapper->wrap_ev, wrapper->state, wrapper->main_ev, fde,
		flags, fde->e.handler_name, fde->e.location);
	wrapper_leave(wrapper);
}

void fd_invoke(struct tevent_fd *fde, uint16_t flags, bool *removed)
{
	if (removed != NULL)
		*removed = false;
	if (fde->e.ev == NULL)
		return;
	fde->e.busy++;
	call_handler(fde->e.ev, fde, flags);
	if (--fde->e.busy > 0 || !fde->e.destroyed)
		return;
	talloc_set_destructor(fde, NULL);
	talloc_free(fde);
	if (removed != NULL)
		*removed = true;
}

struct tevent_fd *_tevent_add_fd(struct tevent_context *ev, TALLOC_CTX *mem_ctx, int fd,
	uint16_t flags, tevent_fd_handler_t handler, void *private_data, const char *handler_name,
	const char *location)
{
	return ev->ops->add_fd(
		ev, mem_ctx, fd, flags, handler, private_data, handler_name, location);
}

void tevent_fd_set_close_fn(struct tevent_fd *fde, tevent_fd_close_fn_t close_fn)
{
	if (fde == NULL || fde->e.ev == NULL)
		return;
	fde->e.ev->ops->set_fd_close_fn(fde, close_fn);
}

static void auto_close(struct tevent_context *ev, struct tevent_fd *fde, int fd, void *private_data)
{
	(void)ev;
	(void)fde;
	(void)private_data;
	close(fd);
}

void tevent_fd_set_auto_close(struct tevent_fd *fde)
{
	tevent_fd_set_close_fn(fde, auto_close);
}

uint16_t tevent_fd_get_flags(struct tevent_fd *fde)
{
	if (fde == NULL || fde->e.ev == NULL)
		return 0;
	return fde->e.ev->ops->get_fd_flags(fde);
}

void tevent_fd_set_flags(struct tevent_fd *fde, uint16_t flags)
{
	if (fde == NULL || fde->e.ev == NULL)
		return;
	fde->e.ev->ops->set_fd_flags(fde, flags);
}

void tevent_fd_set_tag(struct tevent_fd *fde, uint64_t tag)
{
	if (fde != NULL)
		fde->e.tag = tag;
}

uint64_t tevent_fd_get_tag(const struct tevent_fd *fde)
{
	return fde != NULL ? fde->e.tag : 0;
}
