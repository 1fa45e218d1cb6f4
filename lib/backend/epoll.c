/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with epoll(7): it watches files, and is spoken to in descriptors.
 *
 * A registration goes when the file is closed, not the descriptor. While a duplicate (by dup(2), a
 * fork, a message to another process) keeps the file open, a closed descriptor goes on being
 * reported, and no call can name it any more. So each report carries the generation of the
 * registration, core throws away those that it does not know, and rebuild() starts afresh.
 *
 * Closed without a duplicate, a registration vanishes silently, and the number may be another file
 * by now. ENOENT, EEXIST and EPERM tell, but only when one asks: BACKEND_VERIFY asks.
 *
 * A child of fork(2) shares the instance: what it removes is removed for its parent, what it
 * waits for is taken from its parent. It may close its copy of the descriptor and nothing else.
 *
 * It cannot watch regular files (EPERM), although select(2) and poll(2) can, which say "ready".
 */
#include "backend/backend.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "backend/alarm.h"
#include "base/base.h"

struct epoll_backend {
	struct backend be;
	int epfd;
	/* get_fd()'s descriptor: an instance with nothing but epfd in it, so that rebuild() can
	 * exchange epfd while somebody's loop watches this one. -1: not asked for. */
	int outer;
	unsigned fork_generation;
	struct alarms alarms;
	bool alarmed; /* alarms have been in use */
};

/* As user data, alarms are descriptors below zero. */
#define ALARM_DATA(clock) (UINT64_MAX - (uint64_t)(clock))

static struct epoll_backend *self(struct backend *be)
{
	return (struct epoll_backend *)be;
}

static bool forked(const struct epoll_backend *ep)
{
	return ep->fork_generation != base_fork_generation();
}

static int epoll_destructor(struct epoll_backend *ep)
{
	alarms_close(&ep->alarms);
	if (ep->outer >= 0)
		base_close(ep->outer);
	base_close(ep->epfd);
	return 0;
}

static struct backend *epoll_create_backend(TALLOC_CTX *mem_ctx)
{
	struct epoll_backend *ep = talloc_zero(mem_ctx, struct epoll_backend);

	if (ep == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	ep->be.ops = &backend_epoll;
	ep->outer = -1;
	ep->fork_generation = base_fork_generation();
	alarms_init(&ep->alarms);
	ep->epfd = base_epoll_create();
	if (ep->epfd < 0) {
		int saved_errno = errno;

		talloc_free(ep);
		errno = saved_errno;
		return NULL;
	}
	talloc_set_destructor(ep, epoll_destructor);
	return &ep->be;
}

static uint32_t to_kernel(uint32_t events, unsigned hints)
{
	uint32_t mask = 0;

	if (events & TALEV_FD_READ)
		mask |= EPOLLIN;
	if (events & TALEV_FD_WRITE)
		mask |= EPOLLOUT;
	if (events & TALEV_FD_HUP)
		mask |= EPOLLRDHUP;
	if ((hints & BACKEND_INTERNAL) || (events & TALEV_FD_EDGE))
		mask |= EPOLLET;
	return mask;
}

static uint32_t from_kernel(uint32_t mask)
{
	uint32_t events = 0;

	if (likely(mask == EPOLLIN))
		return TALEV_FD_READ;
	if (mask & EPOLLIN)
		events |= TALEV_FD_READ;
	if (mask & EPOLLOUT)
		events |= TALEV_FD_WRITE;
	if (mask & EPOLLERR)
		events |= TALEV_FD_ERROR;
	if (mask & EPOLLRDHUP)
		events |= TALEV_FD_HUP;
	if (mask & EPOLLHUP)
		events |= TALEV_FD_HUP | BACKEND_HANGUP;
	return events;
}

static int refused(struct epoll_backend *ep, int op, int fd, struct epoll_event *event)
{
	/* A registration that was left behind, and its descriptor has come back: take it over. */
	if (op == EPOLL_CTL_ADD && errno == EEXIST)
		return base_epoll_ctl(ep->epfd, EPOLL_CTL_MOD, fd, event);
	/* EPERM as well: a file that cannot be watched is not the one that was. */
	if (op != EPOLL_CTL_ADD && (errno == ENOENT || errno == EPERM))
		errno = ESTALE;
	return -1;
}

static inline int ctl(struct epoll_backend *ep, int op, int fd, struct epoll_event *event)
{
	if (likely(base_epoll_ctl(ep->epfd, op, fd, event) == 0))
		return 0;
	return refused(ep, op, fd, event);
}

static int epoll_modify(struct backend *be, int fd, uint32_t generation, uint32_t old_events,
	uint32_t new_events, unsigned hints)
{
	struct epoll_backend *ep = self(be);
	struct epoll_event event = {.data.u64 = (uint64_t)generation << 32 | (uint32_t)fd};

	if (unlikely(forked(ep))) {
		errno = EINVAL;
		return new_events != 0 ? -1 : 0;
	}
	if (new_events == 0)
		return old_events != 0 ? ctl(ep, EPOLL_CTL_DEL, fd, &event) : 0;
	event.events = to_kernel(new_events, hints);
	if (old_events == 0)
		return ctl(ep, EPOLL_CTL_ADD, fd, &event);
	if (old_events == new_events && !(hints & BACKEND_VERIFY))
		return 0;
	return ctl(ep, EPOLL_CTL_MOD, fd, &event);
}

static int set_alarm(struct epoll_backend *ep, enum talev_clock clock, talev_time_t deadline)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = ALARM_DATA(clock)};
	int created = alarm_set(&ep->alarms, clock, deadline);
	int saved_errno;

	ep->alarmed = true;
	if (created <= 0)
		return created;
	if (ctl(ep, EPOLL_CTL_ADD, ep->alarms.of[clock].fd, &event) == 0)
		return 0;
	saved_errno = errno;
	alarm_close(&ep->alarms, clock);
	errno = saved_errno;
	return -1;
}

__attribute__((noinline)) static int wait_for_deadline(struct epoll_backend *ep,
	const struct backend_deadlines *deadlines, struct epoll_event *events, int max)
{
	for (int clock = TALEV_CLOCK_REALTIME; clock < BASE_CLOCKS; clock++) {
		talev_time_t at = deadlines->at[clock];

		if (at == TALEV_NEVER && ep->alarms.of[clock].at == TALEV_NEVER)
			continue;
		if (set_alarm(ep, (enum talev_clock)clock, at) != 0)
			return -1;
	}
	return base_epoll_wait(ep->epfd, events, max, alarm_timeout(deadlines));
}

static int epoll_wait_backend(struct backend *be, const struct backend_deadlines *deadlines,
	bool block, struct backend_event *events, int max)
{
	struct epoll_backend *ep = self(be);
	struct epoll_event ready[BACKEND_BATCH];
	struct backend_event *event = events;
	int n;

	if (unlikely(forked(ep))) {
		errno = EINVAL;
		return -1;
	}
	if (unlikely(block && (deadlines != &backend_no_deadlines || ep->alarmed)))
		n = wait_for_deadline(ep, deadlines, ready, max);
	else
		n = base_epoll_wait(ep->epfd, ready, max, block ? TALEV_NEVER : 0);
	if (unlikely(n < 0))
		return -1;
	for (const struct epoll_event *told = ready; told < ready + n; told++) {
		uint64_t data = told->data.u64;

		if (unlikely(data > ALARM_DATA(BASE_CLOCKS))) {
			alarm_drain(&ep->alarms, (enum talev_clock)(UINT64_MAX - data));
			continue;
		}
		*event++ = (struct backend_event){
			.fd = (int)(uint32_t)data,
			.generation = (uint32_t)(data >> 32),
			.events = from_kernel(told->events),
		};
	}
	return (int)(event - events);
}

/* An instance that is readable when inner is. */
static int create_outer(int inner)
{
	struct epoll_event event = {.events = EPOLLIN};
	int outer = base_epoll_create();
	int saved_errno;

	if (outer < 0)
		return -1;
	if (base_epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event) == 0)
		return outer;
	saved_errno = errno;
	base_close(outer);
	errno = saved_errno;
	return -1;
}

/* Puts the new instance into the old outer one. */
static int exchange_inner(struct epoll_backend *ep, int epfd)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (base_epoll_ctl(ep->outer, EPOLL_CTL_ADD, epfd, &event) != 0)
		return -1;
	/* By hand: a child that was forked may still have the old one open. */
	base_epoll_ctl(ep->outer, EPOLL_CTL_DEL, ep->epfd, &event);
	return 0;
}

/* Puts a new outer instance in the place of the one that is shared with the parent. */
static int exchange_outer(struct epoll_backend *ep, int epfd)
{
	int outer = create_outer(epfd);
	int n;

	if (outer < 0)
		return -1;
	n = dup3(outer, ep->outer, O_CLOEXEC);
	base_close(outer);
	return n < 0 ? -1 : 0;
}

static int epoll_rebuild(struct backend *be)
{
	struct epoll_backend *ep = self(be);
	int epfd = base_epoll_create();
	int result = 0;

	if (epfd < 0)
		return -1;
	if (ep->outer >= 0)
		result = forked(ep) ? exchange_outer(ep, epfd) : exchange_inner(ep, epfd);
	if (result != 0) {
		int saved_errno = errno;

		base_close(epfd);
		errno = saved_errno;
		return -1;
	}
	alarms_close(&ep->alarms);
	base_close(ep->epfd);
	ep->epfd = epfd;
	ep->fork_generation = base_fork_generation();
	return 0;
}

static int epoll_get_fd(struct backend *be)
{
	struct epoll_backend *ep = self(be);

	if (forked(ep)) {
		errno = EINVAL;
		return -1;
	}
	if (ep->outer < 0)
		ep->outer = create_outer(ep->epfd);
	return ep->outer;
}

static int epoll_set_alarm(struct backend *be, const struct backend_deadlines *deadlines)
{
	struct epoll_backend *ep = self(be);

	if (forked(ep)) {
		errno = EINVAL;
		return -1;
	}
	for (int clock = 0; clock < BASE_CLOCKS; clock++)
		if (set_alarm(ep, (enum talev_clock)clock, deadlines->at[clock]) != 0)
			return -1;
	return 0;
}

const struct backend_ops backend_epoll = {
	.name = "epoll",
	.edges = true,
	.look_first = true,
	.create = epoll_create_backend,
	.modify = epoll_modify,
	.wait = epoll_wait_backend,
	.rebuild = epoll_rebuild,
	.get_fd = epoll_get_fd,
	.set_alarm = epoll_set_alarm,
};
