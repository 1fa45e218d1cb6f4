/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contexts in use are on a stack, because a handler of one wrapper may use another. It is this
 * thread's; tevent's is the process's, so that two threads with wrappers disturb each other there.
 */
#define TEVENT_DEPRECATED 1
#include "tevent/wrapper.h"

#include <errno.h>

#define DEPTH 32

struct use {
	struct tevent_context *ev; /* only to compare: it may be gone */
	struct wrapper *wrapper;   /* NULL: ev is none */
	const char *location;
};

static _Thread_local struct use stack[DEPTH];
static _Thread_local unsigned used;

static bool push(struct tevent_context *ev, struct wrapper *wrapper, const char *location)
{
	if (used == DEPTH) {
		debug_abort(ev, "tevent_wrapper stack overflow");
		return false;
	}
	if (wrapper != NULL) {
		if (wrapper->busy)
			debug_abort(ev, "wrapper already busy!");
		wrapper->busy = true;
	}
	stack[used++] = (struct use){.ev = ev, .wrapper = wrapper, .location = location};
	return true;
}

static void pop(struct tevent_context *ev)
{
	struct use *top;

	if (used == 0) {
		debug_abort(ev, "tevent_wrapper stack already empty");
		return;
	}
	top = &stack[used - 1];
	if (top->ev != ev) {
		debug_abort(ev, "tevent_wrapper stack: %s is to be popped first", top->location);
		return;
	}
	used--;
	if (top->wrapper == NULL)
		return;
	top->wrapper->busy = false;
	if (top->wrapper->destroyed)
		talloc_free(ev);
}

void wrapper_enter(struct wrapper *wrapper, const char *location)
{
	push(wrapper->wrap_ev, wrapper, location);
}

void wrapper_leave(struct wrapper *wrapper)
{
	pop(wrapper->wrap_ev);
}

bool _tevent_context_push_use(struct tevent_context *ev, const char *location)
{
	struct wrapper *wrapper = ev->wrapper;

	if (wrapper == NULL)
		return push(ev, NULL, location);
	if (wrapper->main_ev == NULL || !push(ev, wrapper, location))
		return false;
	if (wrapper->ops->before_use(ev, wrapper->state, wrapper->main_ev, location))
		return true;
	pop(ev);
	return false;
}

void _tevent_context_pop_use(struct tevent_context *ev, const char *location)
{
	struct wrapper *wrapper = ev->wrapper;

	if (wrapper != NULL && wrapper->main_ev != NULL)
		wrapper->ops->after_use(ev, wrapper->state, wrapper->main_ev, location);
	pop(ev);
}

/* Without their wrapper they must never run. */
static void detach_events(struct wrapper *wrapper)
{
	struct tevent_context *ev = wrapper->main_ev;
	struct tevent_fd *fde;
	struct tevent_fd *next_fde;
	struct tevent_immediate *im;
	struct tevent_immediate *next_im;

	TAILQ_FOREACH_SAFE (fde, &ev->fds, link, next_fde)
		if (fde->e.wrapper == wrapper)
			fd_detach(fde);
	TAILQ_FOREACH_SAFE (im, &ev->immediates, link, next_im)
		if (im->e.wrapper == wrapper)
			immediate_detach(im);
	timer_detach_wrapper(ev, wrapper);
	signal_detach_wrapper(ev, wrapper);
}

static void orphan(struct wrapper *wrapper)
{
	if (wrapper->main_ev == NULL)
		return;
	detach_events(wrapper);
	LIST_REMOVE(wrapper, link);
	wrapper->main_ev = NULL;
}

void wrapper_orphan_all(struct tevent_context *ev)
{
	struct wrapper *wrapper;

	while ((wrapper = LIST_FIRST(&ev->wrappers)) != NULL)
		orphan(wrapper);
}

static int wrapper_destructor(struct tevent_context *wrap_ev)
{
	struct wrapper *wrapper = wrap_ev->wrapper;

	if (wrapper->main_ev != NULL)
		detach_events(wrapper);
	if (wrapper->busy) {
		wrapper->destroyed = true;
		return -1;
	}
	orphan(wrapper);
	return 0;
}

static struct tevent_context *usable(struct tevent_context *ev)
{
	struct tevent_context *main_ev = ev->wrapper->main_ev;

	if (main_ev != NULL && !ev->wrapper->destroyed)
		return main_ev;
	errno = EINVAL;
	return NULL;
}

static int no_context_init(struct tevent_context *ev)
{
	debug_abort(ev, "context_init() called on a wrapper");
	errno = EINVAL;
	return -1;
}

static struct tevent_fd *add_fd(struct tevent_context *ev, TALLOC_CTX *mem_ctx, int fd,
	uint16_t flags, tevent_fd_handler_t handler, void *private_data, const char *handler_name,
	const char *location)
{
	struct tevent_context *main_ev = usable(ev);
	struct tevent_fd *fde;

	if (main_ev == NULL)
		return NULL;
	fde = _tevent_add_fd(
		main_ev, mem_ctx, fd, flags, handler, private_data, handler_name, location);
	if (fde != NULL && fde->e.ev != NULL)
		fde->e.wrapper = ev->wrapper;
	return fde;
}

static void set_fd_close_fn(struct tevent_fd *fde, tevent_fd_close_fn_t close_fn)
{
	tevent_fd_set_close_fn(fde, close_fn);
}

static uint16_t get_fd_flags(struct tevent_fd *fde)
{
	return tevent_fd_get_flags(fde);
}

static void set_fd_flags(struct tevent_fd *fde, uint16_t flags)
{
	tevent_fd_set_flags(fde, flags);
}

static struct tevent_timer *add_timer(struct tevent_context *ev, TALLOC_CTX *mem_ctx,
	struct timeval next_event, tevent_timer_handler_t handler, void *private_data,
	const char *handler_name, const char *location)
{
	struct tevent_context *main_ev = usable(ev);
	struct tevent_timer *te;

	if (main_ev == NULL)
		return NULL;
	te = _tevent_add_timer(
		main_ev, mem_ctx, next_event, handler, private_data, handler_name, location);
	if (te != NULL)
		te->e.wrapper = ev->wrapper;
	return te;
}

static void schedule_immediate(struct tevent_immediate *im, struct tevent_context *ev,
	tevent_immediate_handler_t handler, void *private_data, const char *handler_name,
	const char *location)
{
	struct tevent_context *main_ev = usable(ev);

	if (main_ev == NULL) {
		debug_abort(ev, "schedule_immediate() on a wrapper whose context is gone");
		return;
	}
	_tevent_schedule_immediate(im, main_ev, handler, private_data, handler_name, location);
	if (im->place == IMMEDIATE_QUEUED)
		im->e.wrapper = ev->wrapper;
}

static struct tevent_signal *add_signal(struct tevent_context *ev, TALLOC_CTX *mem_ctx, int signum,
	int sa_flags, tevent_signal_handler_t handler, void *private_data, const char *handler_name,
	const char *location)
{
	struct tevent_context *main_ev = usable(ev);
	struct tevent_signal *se;

	if (main_ev == NULL)
		return NULL;
	se = _tevent_add_signal(
		main_ev, mem_ctx, signum, sa_flags, handler, private_data, handler_name, location);
	if (se != NULL)
		se->e.wrapper = ev->wrapper;
	return se;
}

static int no_loop_once(struct tevent_context *ev, const char *location)
{
	(void)location;
	debug_abort(ev, "loop_once() called on a wrapper");
	errno = EINVAL;
	return -1;
}

static int no_loop_wait(struct tevent_context *ev, const char *location)
{
	(void)location;
	debug_abort(ev, "loop_wait() called on a wrapper");
	errno = EINVAL;
	return -1;
}

static const struct tevent_ops wrapper_ops = {
	.context_init = no_context_init,
	.add_fd = add_fd,
	.set_fd_close_fn = set_fd_close_fn,
	.get_fd_flags = get_fd_flags,
	.set_fd_flags = set_fd_flags,
	.add_timer = add_timer,
	.schedule_immediate = schedule_immediate,
	.add_signal = add_signal,
	.loop_once = no_loop_once,
	.loop_wait = no_loop_wait,
};

static bool may_wrap(struct tevent_context *main_ev, const char *location)
{
	const char *why = NULL;

	if (main_ev->wrapper != NULL)
		why = "stacking not allowed";
	else if (main_ev->nesting_allowed)
		why = "conflicts with nesting";
	if (why == NULL)
		return true;
	debug_message(main_ev, TEVENT_DEBUG_FATAL, "wrapper at %s: %s\n", location, why);
	errno = EINVAL;
	return false;
}

struct tevent_context *_tevent_context_wrapper_create(struct tevent_context *main_ev,
	TALLOC_CTX *mem_ctx, const struct tevent_wrapper_ops *ops, void *pstate, size_t psize,
	const char *type, const char *location)
{
	void **ppstate = pstate;
	struct tevent_context *ev;
	struct wrapper *wrapper;

	if (!may_wrap(main_ev, location))
		return NULL;
	ev = talloc_zero(mem_ctx, struct tevent_context);
	if (ev == NULL)
		return NULL;
	ev->ops = &wrapper_ops;
	wrapper = talloc_zero(ev, struct wrapper);
	if (wrapper == NULL) {
		talloc_free(ev);
		return NULL;
	}
	talloc_set_name_const(wrapper, "struct tevent_wrapper_glue");
	wrapper->wrap_ev = ev;
	wrapper->main_ev = main_ev;
	wrapper->ops = ops;
	wrapper->state = talloc_zero_size(wrapper, psize);
	if (wrapper->state == NULL) {
		talloc_free(ev);
		return NULL;
	}
	talloc_set_name_const(wrapper->state, type);
	ev->wrapper = wrapper;
	LIST_INSERT_HEAD(&main_ev->wrappers, wrapper, link);
	talloc_set_destructor(ev, wrapper_destructor);
	*ppstate = wrapper->state;
	return ev;
}

bool tevent_context_is_wrapper(struct tevent_context *ev)
{
	return ev->wrapper != NULL;
}

bool tevent_context_same_loop(struct tevent_context *ev1, struct tevent_context *ev2)
{
	struct tevent_context *main1 = context_main(ev1);

	return main1 != NULL && main1 == context_main(ev2);
}
