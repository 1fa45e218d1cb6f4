/* SPDX-License-Identifier: BSD-2-Clause */
/* What every backend promises about descriptors. */
#include "backend/kit.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define R TALEV_FD_READ
#define W TALEV_FD_WRITE
#define E TALEV_FD_ERROR
#define H TALEV_FD_HUP

static void shut(int fds[2])
{
	assert_ok(close(fds[0]));
	assert_ok(close(fds[1]));
}

static void reading_and_writing_are_told_as_asked(void **state)
{
	struct backend *be = new_backend();
	int s[2];

	(void)state;
	test_socketpair(s);
	watch(be, s[0], R);
	assert_int_equal(ready(be, s[0]), 0);
	test_poke(s[1]);
	assert_int_equal(ready(be, s[0]), R);
	assert_int_equal(ready(be, s[0]), R);
	assert_ok(modify(be, s[0], R, R | W));
	assert_int_equal(ready(be, s[0]), R | W);
	assert_ok(modify(be, s[0], R | W, W));
	assert_int_equal(ready(be, s[0]), W);
	test_fill(s[0]);
	assert_int_equal(ready(be, s[0]), 0);
	assert_ok(modify(be, s[0], W, 0));
	test_drain(s[1]);
	assert_int_equal(ready(be, s[0]), 0);
	shut(s);
}

static void the_generation_is_the_last_one_given(void **state)
{
	struct backend *be = new_backend();
	struct backend_event event;
	int p[2];

	(void)state;
	test_pipe(p);
	test_poke(p[1]);
	assert_ok(be->ops->modify(be, p[0], 0xffffffff, 0, R, 0));
	assert_int_equal(look(be, &event, 1), 1);
	assert_int_equal(event.generation, 0xffffffff);
	assert_ok(be->ops->modify(be, p[0], 0xffffffff, R, 0, 0));
	assert_ok(be->ops->modify(be, p[0], 7, 0, R, 0));
	assert_int_equal(look(be, &event, 1), 1);
	assert_int_equal(event.generation, 7);
	shut(p);
}

static void a_peer_that_stops_sending_is_a_hup_for_those_who_ask(void **state)
{
	struct backend *be = new_backend();
	int s[2];

	(void)state;
	test_socketpair(s);
	watch(be, s[0], H);
	assert_int_equal(ready(be, s[0]), 0);
	assert_ok(shutdown(s[1], SHUT_WR));
	assert_int_equal(ready(be, s[0]), H);
	assert_ok(modify(be, s[0], H, R));
	assert_int_equal(ready(be, s[0]), R);
	assert_ok(modify(be, s[0], R, E));
	assert_int_equal(ready(be, s[0]), 0);
	shut(s);
}

static void a_peer_that_is_gone_is_a_hangup(void **state)
{
	struct backend *be = new_backend();
	int s[2], p[2];

	(void)state;
	test_socketpair(s);
	watch(be, s[0], E);
	assert_ok(close(s[1]));
	assert_int_equal(ready(be, s[0]), H | BACKEND_HANGUP);
	assert_ok(modify(be, s[0], E, 0));
	test_pipe(p);
	watch(be, p[0], R);
	assert_ok(close(p[1]));
	assert_int_equal(ready(be, p[0]), H | BACKEND_HANGUP);
	assert_ok(close(p[0]));
	assert_ok(close(s[0]));
}

static void a_pipe_that_nobody_reads_is_an_error(void **state)
{
	struct backend *be = new_backend();
	int p[2];

	(void)state;
	test_pipe(p);
	watch(be, p[1], W);
	assert_int_equal(ready(be, p[1]), W);
	assert_ok(close(p[0]));
	assert_int_equal(ready(be, p[1]), W | E);
	assert_ok(close(p[1]));
}

static void one_at_a_time_is_fair(void **state)
{
	enum { N = 7, ROUNDS = 40 };
	struct backend *be = new_backend();
	int p[N][2], seen[N] = {0};

	(void)state;
	for (int i = 0; i < N; i++) {
		test_pipe(p[i]);
		test_poke(p[i][1]);
		watch(be, p[i][0], R);
	}
	for (int i = 0; i < N * ROUNDS; i++) {
		struct backend_event event;
		int which = 0;

		assert_int_equal(look(be, &event, 1), 1);
		while (which < N && p[which][0] != event.fd)
			which++;
		assert_in_range(which, 0, N - 1);
		seen[which]++;
	}
	for (int i = 0; i < N; i++) {
		/* Sim draws, it does not take turns. */
		assert_in_range(seen[i], be->ops == &backend_sim ? 10 : ROUNDS,
			be->ops == &backend_sim ? 100 : ROUNDS);
		shut(p[i]);
	}
}

static void a_batch_tells_each_once_and_no_more_than_asked(void **state)
{
	enum { N = 20 };
	struct backend *be = new_backend();
	struct backend_event events[BACKEND_BATCH];
	int p[N][2];

	(void)state;
	for (int i = 0; i < N; i++) {
		test_pipe(p[i]);
		test_poke(p[i][1]);
		watch(be, p[i][0], R);
	}
	assert_int_equal(look(be, events, 3), 3);
	assert_int_equal(look(be, events, BACKEND_BATCH), N);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < i; j++)
			assert_int_not_equal(events[i].fd, events[j].fd);
	/* Every second one goes, and so does its answer. */
	for (int i = 0; i < N; i += 2)
		assert_ok(modify(be, p[i][0], R, 0));
	assert_int_equal(look(be, events, BACKEND_BATCH), N / 2);
	for (int i = 0; i < N; i++)
		shut(p[i]);
}

static void what_is_not_open_is_refused(void **state)
{
	struct backend *be = new_backend();
	int p[2];

	(void)state;
	test_pipe(p);
	shut(p);
	assert_errno(modify(be, p[0], 0, R), EBADF);
	assert_errno(modify(be, -1, 0, R), EBADF);
	assert_int_equal(ready(be, p[0]), 0);
}

static void closing_a_watched_descriptor_shows_when_it_is_taken_out(void **state)
{
	struct backend *be = new_backend();
	int p[2], other;

	(void)state;
	test_pipe(p);
	watch(be, p[0], R);
	assert_ok(close(p[0]));
	assert_errno(modify(be, p[0], R, 0), EBADF);
	/* It is forgotten, so the number is free for somebody else. */
	other = base_eventfd();
	if (other != p[0]) {
		assert_int_equal(dup2(other, p[0]), p[0]);
		assert_ok(close(other));
	}
	watch(be, p[0], W);
	assert_int_equal(ready(be, p[0]), W);
	shut(p);
}

static void verifying_finds_a_closed_descriptor(void **state)
{
	struct backend *be = new_backend();
	int p[2];

	(void)state;
	test_pipe(p);
	watch(be, p[0], R);
	assert_ok(be->ops->modify(be, p[0], 1, R, R, BACKEND_VERIFY));
	assert_ok(close(p[0]));
	assert_errno(be->ops->modify(be, p[0], 1, R, R, BACKEND_VERIFY), EBADF);
	assert_int_equal(ready(be, p[0]), 0);
	assert_ok(close(p[1]));
}

static void rebuilding_forgets_everything(void **state)
{
	struct backend *be = new_backend();
	int p[2];

	(void)state;
	test_pipe(p);
	test_poke(p[1]);
	watch(be, p[0], R);
	assert_ok(be->ops->rebuild(be));
	assert_int_equal(ready(be, p[0]), 0);
	watch(be, p[0], R);
	assert_int_equal(ready(be, p[0]), R);
	shut(p);
}

struct forked {
	struct backend *be;
	int fd;
	bool rebuild;
};

static void use_in_child(void *arg)
{
	struct forked *forked = arg;
	struct backend *be = forked->be;
	struct backend_event event;

	assert_errno(look(be, &event, 1), EINVAL);
	assert_errno(modify(be, forked->fd, R, R | W), EINVAL);
	assert_ok(modify(be, forked->fd, R, 0));
	if (!forked->rebuild)
		return;
	assert_ok(be->ops->rebuild(be));
	assert_int_equal(ready(be, forked->fd), 0);
	watch(be, forked->fd, R);
	assert_int_equal(ready(be, forked->fd), R);
	assert_ok(modify(be, forked->fd, R, 0));
}

static void a_child_takes_nothing_from_its_parent(void **state)
{
	for (int rebuild = 0; rebuild < 2; rebuild++) {
		struct forked forked = {.be = new_backend(), .rebuild = rebuild};
		int p[2];

		(void)state;
		test_pipe(p);
		forked.fd = p[0];
		test_poke(p[1]);
		watch(forked.be, p[0], R);
		assert_int_equal(test_in_child(use_in_child, &forked), 0);
		assert_int_equal(ready(forked.be, p[0]), R);
		shut(p);
	}
}

static void catch_signal(int signum)
{
	(void)signum;
}

/* Again and again, because the first one may come before the wait has begun. */
static timer_t interrupt_soon(void)
{
	struct itimerspec every = {.it_value.tv_nsec = 2000000, .it_interval.tv_nsec = 2000000};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct sigaction action = {.sa_handler = catch_signal};
	timer_t timer;

	assert_ok(sigaction(SIGUSR1, &action, NULL));
	assert_ok(timer_create(CLOCK_MONOTONIC, &event, &timer));
	assert_ok(timer_settime(timer, 0, &every, NULL));
	return timer;
}

static void a_signal_ends_the_wait(void **state)
{
	struct backend *be = new_backend();
	struct backend_event event;
	timer_t timer;
	int p[2];

	(void)state;
	if (test_holds_signals(be))
		skip();
	test_pipe(p);
	watch(be, p[0], R);
	timer = interrupt_soon();
	errno = 0;
	assert_int_equal(be->ops->wait(be, &no_deadlines, true, &event, 1), -1);
	assert_int_equal(errno, EINTR);
	assert_ok(timer_delete(timer));
	shut(p);
}

static void the_wait_lasts_until_somebody_writes(void **state)
{
	struct backend *be = new_backend();
	struct backend_event event;
	int p[2];
	pid_t pid;

	(void)state;
	test_pipe(p);
	watch(be, p[0], R);
	pid = fork();
	if (pid == 0) {
		test_poke(p[1]);
		_exit(0);
	}
	assert_int_equal(be->ops->wait(be, &no_deadlines, true, &event, 1), 1);
	assert_int_equal(event.events, R);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	shut(p);
}

#define EACH(backend)                                                                              \
	ON(reading_and_writing_are_told_as_asked, backend),                                        \
		ON(the_generation_is_the_last_one_given, backend),                                 \
		ON(a_peer_that_stops_sending_is_a_hup_for_those_who_ask, backend),                 \
		ON(a_peer_that_is_gone_is_a_hangup, backend),                                      \
		ON(a_pipe_that_nobody_reads_is_an_error, backend),                                 \
		ON(one_at_a_time_is_fair, backend),                                                \
		ON(a_batch_tells_each_once_and_no_more_than_asked, backend),                       \
		ON(what_is_not_open_is_refused, backend),                                          \
		ON(closing_a_watched_descriptor_shows_when_it_is_taken_out, backend),              \
		ON(verifying_finds_a_closed_descriptor, backend),                                  \
		ON(rebuilding_forgets_everything, backend),                                        \
		ON(a_child_takes_nothing_from_its_parent, backend),                                \
		ON(a_signal_ends_the_wait, backend),                                               \
		ON(the_wait_lasts_until_somebody_writes, backend)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(backend_epoll),
		EACH(backend_poll),
		EACH(backend_sim),
#ifdef TALEV_URING
		/* Last: a ring that was closed interrupts later waits of epoll. */
		EACH(backend_uring),
#endif
	};

	return cmocka_run_group_tests_name("readiness", tests, NULL, NULL);
}
