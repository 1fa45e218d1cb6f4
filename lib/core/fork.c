/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork(2) and embedding: the two ways in which the kernel's objects behind a context are not its
 * own. A child shares the parent's epoll set, timerfds and eventfd: what it does to them happens
 * to the parent.
 */
#include "core/dispatch.h"

#include <errno.h>
#include <talev/loop.h>

static void tell_hooks(struct talev_context *ev)
{
	struct core_hook *hook;
	struct core_hook *next;

	TAILQ_FOREACH_SAFE (hook, &ev->hooks, link, next)
		if (hook->after_fork != NULL)
			hook->after_fork(ev, hook);
}

int context_after_fork(struct talev_context *ev)
{
	if (ev->backend->ops->rebuild != NULL && ev->backend->ops->rebuild(ev->backend) != 0)
		return -1;
	slots_forget_kernel(ev);
	ev->fork_generation = base_fork_generation();
	lookout_close(ev);
	if (wake_reopen(ev) != 0) {
		/* The next call tries again. */
		ev->fork_generation--;
		return -1;
	}
	tell_hooks(ev);
	return 0;
}

int talev_re_initialise(struct talev_context *ev)
{
	const struct backend_ops *ops;
	struct life *life;
	struct source *src = source_from_public(ev);
	int error;

	if (src == NULL || kind_of(src) != &context_kind) {
		errno = EINVAL;
		return -1;
	}
	if (ev->life == NULL || ev->life->closing) {
		errno = ESHUTDOWN;
		return -1;
	}
	life = ev->life;
	life_ref(life);
	ev->reinitialising = true;
	context_close_sources(ev);
	if (life->ev == NULL) {
		/* By what it closed. */
		life_unref(life);
		errno = ESHUTDOWN;
		return -1;
	}
	ev->reinitialising = false;
	ev->fork_generation = base_fork_generation();
	ev->embedded = false;
	context_set_plain(ev);
	/* What a batch on the stack still holds is of the old kernel objects. */
	context_count(&ev->waits);
	ops = ev->ops;
	core_known = NULL;
	TALLOC_FREE(ev->backend);
	ev->backend = ops->create(NULL);
	error = ev->backend != NULL ? 0 : errno;
	if (ev->backend != NULL)
		ev->backend->ev = ev;
	while (life_run(life) > 0) {
	}
	if (life->ev == NULL)
		error = ESHUTDOWN;
	life_unref(life);
	if (error != 0) {
		errno = error;
		return -1;
	}
	return 0;
}

int talev_context_get_fd(struct talev_context *ev)
{
	struct core_wake *wake;
	int fd;

	if (core_usable(ev) == NULL || context_check_fork(ev) != 0)
		return -1;
	if (ev->backend->ops->get_fd == NULL) {
		errno = EOPNOTSUPP;
		return -1;
	}
	wake = core_wake_get(ev);
	if (wake == NULL)
		return -1;
	wake_unref(wake);
	fd = ev->backend->ops->get_fd(ev->backend);
	if (fd != -1) {
		ev->embedded = true;
		lookout_close(ev);
		context_set_plain(ev);
		context_changed(ev);
	}
	return fd;
}

/* The outer loop sees nothing but our descriptor: it must be readable whenever a turn would find
 * something. */
void context_changed_embedded(struct talev_context *ev)
{
	struct backend_deadlines deadlines;

	if (ev->level > 0 || ev->life->closing || ev->backend == NULL ||
		ev->fork_generation != base_fork_generation())
		return;
	if (slots_flush(ev) != 0)
		core_log(ev, TALEV_LOG_ERROR, "a change of interest was refused: error %d", errno);
	deadlines_get(ev, &deadlines);
	if (ev->backend->ops->set_alarm(ev->backend, &deadlines) != 0)
		core_log(ev, TALEV_LOG_ERROR, "the alarm of an embedded context: error %d", errno);
	if (ev->immediate_count > 0 || ev->due_count > 0 || ev->life->ready_count > 0 ||
		slots_any_always(ev) || !dispatch_hooks_sleep(ev))
		wake_post(ev->wake);
}
