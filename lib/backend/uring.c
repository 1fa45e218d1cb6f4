/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with polling by io_uring(7): a multishot request tells that something happened, not
 * how things are. What it told may have been used up since, what it did not tell may be true, and
 * what was left over by a handler it never tells again. So a completion only makes a descriptor one
 * that may be ready (URING_MAYBE). Those are asked by poll(2), all in one call, before they are
 * reported, and again before each wait as long as the answer is yes. When it is no, the request
 * that is armed tells of the next change. It costs one system call for each turn, and what a user
 * sees is what epoll(7) would have said.
 *
 * Edges need no such question. While there is none to ask, and nothing to tell, completions are
 * reported as they come, with one system call for the whole turn: see uring_listen().
 *
 * A request holds the file, not the descriptor: while one is armed, close(2) closes nothing. So
 * giving up all interest takes effect before modify() returns. One that is narrower than what is
 * armed waits until it matters; a wider one goes to the kernel with the next wait.
 *
 * The kernel cannot arm what has no wait queue (a regular file: EPERM, as from epoll) or more than
 * two (EINVAL, told when it is tried). And the ring's own descriptor is readable when something has
 * happened, not while something is ready. So a context with such a file, or one inside another
 * loop, goes on with an epoll backend, which takes over all registrations and stays.
 */
#include "backend/uring.h"
#include <errno.h>
#include <sys/stat.h>
#include "backend/pollmask.h"

/* After so many reports the ring is looked at, although some are ready that need none. */
#define UNSEEN_MAX 16u

/* To keep the ring at hand costs as much as some dozens of waits save. */
#define SETTLE 64u

/* What a file says to poll(2) whose kind has nothing to say. */
#define NO_OPINION (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)

static struct uring_backend *self(struct backend *be)
{
	return (struct uring_backend *)be;
}

static bool forked(const struct uring_backend *ub)
{
	return ub->fork_generation != base_fork_generation();
}

static int uring_destructor(struct uring_backend *ub)
{
	ring_close(&ub->ring);
	alarms_close(&ub->alarms);
	return 0;
}

static struct backend *uring_create(TALLOC_CTX *mem_ctx)
{
	struct uring_backend *ub = talloc_zero(mem_ctx, struct uring_backend);

	if (ub == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	ub->be.ops = &backend_uring;
	ub->fork_generation = base_fork_generation();
	TAILQ_INIT(&ub->maybe);
	TAILQ_INIT(&ub->arm);
	alarms_init(&ub->alarms);
	if (ring_open(&ub->ring) != 0) {
		int saved_errno = errno;

		talloc_free(ub);
		errno = saved_errno;
		return NULL;
	}
	talloc_set_destructor(ub, uring_destructor);
	return &ub->be;
}

/* 0, or the errno of epoll_ctl(2), which does not watch files without an opinion. */
static int epoll_error(int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epfd = base_epoll_create();
	int error = 0;

	if (epfd < 0)
		return errno;
	if (base_epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) != 0)
		error = errno;
	base_close(epfd);
	return error;
}

/* Asks the file behind a number. -1: EBADF, EPERM: it has no opinion; and others. */
static int probe(int fd, uint32_t events, bool *ready)
{
	struct pollfd pfd = {.fd = fd, .events = (short)(pollmask_from(events) | NO_OPINION)};
	struct stat st;

	*ready = false;
	if (fd < 0) {
		errno = EBADF;
		return -1;
	}
	/* Interrupted, or out of memory: to be asked again, before the next report. */
	if (base_poll(&pfd, 1, 0) < 0) {
		*ready = true;
		return 0;
	}
	if (pfd.revents & POLLNVAL) {
		errno = EBADF;
		return -1;
	}
	*ready = (pfd.revents & (pollmask_from(events) | POLLERR | POLLHUP)) != 0;
	if (pfd.revents != NO_OPINION || fstat(fd, &st) != 0 || S_ISSOCK(st.st_mode) ||
		S_ISFIFO(st.st_mode))
		return 0;
	errno = epoll_error(fd);
	return errno == 0 ? 0 : -1;
}

static int add(
	struct uring_backend *ub, int fd, uint32_t generation, uint32_t events, bool internal)
{
	struct entry *e;
	bool ready;

	if (probe(fd, events, &ready) != 0)
		return -1;
	e = uring_find_or_make(ub, fd);
	if (e == NULL) {
		errno = ENOMEM;
		return -1;
	}
	if (e->events != 0)
		uring_forget_now(ub, e);
	e->generation = generation;
	e->events = (uint8_t)events;
	e->internal = internal;
	uring_place(ub, e, ready && !internal ? URING_MAYBE : URING_ARM);
	return 0;
}

static int change(struct uring_backend *ub, struct entry *e, uint32_t generation, uint32_t events,
	bool verify)
{
	bool wider = (events & ~(uint32_t)e->events) != 0;
	bool ready;

	if (verify && probe(e->fd, events, &ready) != 0) {
		int saved_errno = errno;

		uring_forget_now(ub, e);
		/* As epoll: it is not the file that was registered. */
		errno = saved_errno == EPERM ? ESTALE : saved_errno;
		return -1;
	}
	e->generation = generation;
	e->events = (uint8_t)events;
	e->news = 0;
	/* What is armed may be about another file. */
	if (verify)
		e->armed = 0;
	if ((wider || verify) && e->place == URING_NONE)
		uring_place(ub, e, URING_MAYBE);
	return 0;
}

static int uring_modify(struct backend *be, int fd, uint32_t generation, uint32_t old_events,
	uint32_t new_events, unsigned hints)
{
	struct uring_backend *ub = self(be);
	struct entry *e;
	bool open;

	if (forked(ub)) {
		errno = EINVAL;
		return new_events != 0 ? -1 : 0;
	}
	if (ub->epoll != NULL)
		return ub->epoll->ops->modify(
			ub->epoll, fd, generation, old_events, new_events, hints);
	if (old_events == 0)
		return new_events == 0 ? 0
				       : add(ub, fd, generation, new_events,
						 (hints & BACKEND_INTERNAL) != 0);
	e = fd >= 0 ? uring_find(ub, fd) : NULL;
	/* wait() has found it closed, and forgotten it. */
	if (e == NULL || e->events == 0) {
		errno = pollmask_open(fd) ? ESTALE : EBADF;
		return -1;
	}
	if (new_events != 0)
		return change(ub, e, generation, new_events, (hints & BACKEND_VERIFY) != 0);
	open = base_get_fl(fd) >= 0;
	uring_forget_now(ub, e);
	errno = EBADF;
	return open ? 0 : -1;
}

/* It is not ready: from now on the ring has to tell. */
static void settle(struct uring_backend *ub, struct entry *e)
{
	bool enough = e->serial != 0 && (e->events & ~e->armed) == 0;

	e->again = false;
	e->news = 0;
	/* A completion that nobody wanted: more is armed than that. */
	if (e->armed != e->events && !e->told)
		enough = false;
	uring_place(ub, e, enough ? URING_NONE : URING_ARM);
}

/* The answer about the first that may be ready. Is there anything to report? */
static bool judge(struct uring_backend *ub, struct entry *e, const struct pollfd *answer,
	struct backend_event *event)
{
	uint32_t told = pollmask_to(answer->revents);

	if (told == 0) {
		settle(ub, e);
		return false;
	}
	*event = (struct backend_event){.fd = e->fd, .generation = e->generation, .events = told};
	ub->hot = ub->hot || e->again;
	e->told = true;
	e->again = !uring_is_edge(e);
	/* Else behind the others, for who takes one at a time. */
	if (uring_is_edge(e))
		settle(ub, e);
	else
		uring_place(ub, e, URING_MAYBE);
	return true;
}

/* poll(2) refuses a list that is longer than there may be descriptors. */
static int ask(struct pollfd *fds, int n)
{
	while (base_poll(fds, (nfds_t)n, 0) < 0) {
		if (errno != EINVAL || n == 1)
			return -1;
		n /= 2;
	}
	return n;
}

/* Reports those of which it is true, at most max; each that may be ready is asked once. */
static int collect(struct uring_backend *ub, struct backend_event *events, int max)
{
	uint32_t left = ub->maybe_count;
	int reported = 0;

	ub->hot = false;
	while (left > 0 && reported < max) {
		struct pollfd fds[BACKEND_BATCH];
		struct entry *of[BACKEND_BATCH];
		struct entry *e;
		bool asked = false;
		int closed = 0;
		int n = 0;

		TAILQ_FOREACH (e, &ub->maybe, link) {
			if (n == max - reported || (uint32_t)n == left)
				break;
			of[n] = e;
			/* poll(2) leaves out what is no descriptor. */
			fds[n++] = (struct pollfd){
				.fd = e->news != 0 ? -1 : e->fd,
				.events = pollmask_from(e->events),
			};
			asked = asked || e->news == 0;
		}
		if (asked)
			n = ask(fds, n);
		if (n < 0)
			return reported > 0 ? reported : -1;
		left -= (uint32_t)n;
		for (int i = 0; i < n; i++) {
			if (fds[i].fd < 0)
				fds[i].revents = of[i]->news;
			if (fds[i].revents & POLLNVAL)
				of[closed++] = of[i];
			reported += judge(ub, of[i], &fds[i], &events[reported]);
		}
		/* Not before: completions that come with it are newer than these answers. */
		while (closed > 0)
			uring_forget_now(ub, of[--closed]);
	}
	ub->unseen += (uint32_t)reported;
	return reported;
}

__attribute__((noinline)) static int set_alarms(
	struct uring_backend *ub, const struct backend_deadlines *deadlines)
{
	for (int clock = TALEV_CLOCK_REALTIME; clock < BASE_CLOCKS; clock++) {
		int created = alarm_set(&ub->alarms, (enum talev_clock)clock, deadlines->at[clock]);

		if (created < 0)
			return -1;
		if (created > 0) {
			ub->alarm_armed[clock] = false;
			ub->alarm_unarmed = true;
			ub->alarms_used = true;
		}
	}
	return 0;
}

static void hand_over_one(struct uring_backend *ub, struct entry *e)
{
	unsigned hints = e->internal ? BACKEND_INTERNAL : 0;

	if (ub->refused == 0 &&
		ub->epoll->ops->modify(ub->epoll, e->fd, e->generation, 0, e->events, hints) != 0 &&
		errno != EBADF && errno != EPERM)
		ub->refused = errno;
}

/* From now on by epoll. -1: nothing has changed. */
static int hand_over(struct uring_backend *ub)
{
	int error;

	ub->epoll = backend_epoll.create(ub);
	if (ub->epoll == NULL)
		return -1;
	ub->refused = 0;
	uring_each(ub, hand_over_one);
	error = ub->refused;
	ub->refused = 0;
	if (error != 0) {
		TALLOC_FREE(ub->epoll);
		errno = error;
		return -1;
	}
	uring_each(ub, uring_forget);
	ring_close(&ub->ring);
	alarms_close(&ub->alarms);
	return 0;
}

/* Nothing may be ready that the ring does not tell, and the kernel knows what it has to tell. */
static inline bool only_to_listen(const struct uring_backend *ub)
{
	return ub->placed == 0 && !ub->alarm_unarmed && ring_all_told(&ub->ring);
}

int uring_ask(struct uring_backend *ub, bool listened, const struct backend_deadlines *deadlines,
	struct backend_event *events, int max)
{
	talev_time_t timeout;
	int n;

	if (!listened && ub->hot && ub->unseen < UNSEEN_MAX) {
		n = collect(ub, events, max);
		if (n != 0)
			return n;
	}
	if (!listened && uring_exchange(ub, max) != 0)
		return -1;
	/* Too many wait queues. The rest of the work is told by epoll in the next wait. */
	if (ub->refused == EINVAL)
		return hand_over(ub);
	n = collect(ub, events, max);
	if (n != 0)
		return n;
	if (ub->refused != 0) {
		errno = ub->refused;
		return -1;
	}
	timeout = deadlines != NULL && !ub->alarmed ? alarm_timeout(deadlines) : 0;
	if (timeout == 0)
		return 0;
	if (uring_sleep(ub, timeout, max) != 0)
		return -1;
	return collect(ub, events, max);
}

/* In another process or thread, with epoll's help, or until a moment. */
__attribute__((noinline)) static int wait_with_care(struct uring_backend *ub,
	const struct backend_deadlines *deadlines, bool block, struct backend_event *events,
	int max)
{
	talev_time_t timeout;

	if (forked(ub)) {
		errno = EINVAL;
		return -1;
	}
	if (ub->epoll != NULL)
		return ub->epoll->ops->wait(ub->epoll, deadlines, block, events, max);
	if (ub->ring.thread != ring_this_thread && uring_claim(ub) != 0)
		return -1;
	if (block && set_alarms(ub, deadlines) != 0)
		return -1;
	ub->alarmed = false;
	ub->refused = 0;
	if (!only_to_listen(ub))
		return uring_ask(ub, false, block ? deadlines : NULL, events, max);
	timeout = block ? alarm_timeout(deadlines) : 0;
	if (timeout == 0 || timeout == TALEV_NEVER)
		return uring_listen(ub, timeout != 0, events, max);
	return uring_listen_until(ub, timeout, events, max);
}

static int uring_wait(struct backend *be, const struct backend_deadlines *deadlines, bool block,
	struct backend_event *events, int max)
{
	struct uring_backend *ub = self(be);

	if (unlikely(forked(ub) || ub->epoll != NULL || ub->ring.thread != ring_this_thread ||
		     deadlines != &backend_no_deadlines || ub->alarms_used))
		return wait_with_care(ub, deadlines, block, events, max);
	ub->alarmed = false;
	ub->refused = 0;
	if (likely(only_to_listen(ub)))
		return uring_listen(ub, block, events, max);
	return uring_ask(ub, false, block ? deadlines : NULL, events, max);
}

static int uring_rebuild(struct backend *be)
{
	struct uring_backend *ub = self(be);

	if (ub->epoll != NULL) {
		if (ub->epoll->ops->rebuild(ub->epoll) != 0)
			return -1;
	} else {
		if (uring_replace_ring(ub) != 0)
			return -1;
		uring_each(ub, uring_forget);
		alarms_close(&ub->alarms);
	}
	ub->fork_generation = base_fork_generation();
	return 0;
}

static void uring_stay(struct backend *be, bool stays)
{
	struct uring_backend *ub = self(be);

	ub->settling = stays ? SETTLE : 0;
	if (!stays && ub->ring.open)
		ring_put_away(&ub->ring);
}

static int uring_get_fd(struct backend *be)
{
	struct uring_backend *ub = self(be);

	if (forked(ub)) {
		errno = EINVAL;
		return -1;
	}
	if (ub->epoll == NULL && hand_over(ub) != 0)
		return -1;
	return ub->epoll->ops->get_fd(ub->epoll);
}

/* Only after get_fd(). */
static int uring_set_alarm(struct backend *be, const struct backend_deadlines *deadlines)
{
	struct uring_backend *ub = self(be);

	if (forked(ub) || ub->epoll == NULL) {
		errno = EINVAL;
		return -1;
	}
	return ub->epoll->ops->set_alarm(ub->epoll, deadlines);
}

const struct backend_ops backend_uring = {
	.name = "uring",
	.look_first = true,
	.create = uring_create,
	.modify = uring_modify,
	.wait = uring_wait,
	.rebuild = uring_rebuild,
	.stay = uring_stay,
	.get_fd = uring_get_fd,
	.set_alarm = uring_set_alarm,
};
