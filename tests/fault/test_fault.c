/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: system calls that fail: the error is told, and the context goes on working. */
/* WRAP: base_epoll_create base_epoll_ctl base_epoll_wait base_poll base_eventfd */
/* WRAP: base_timerfd_create base_timerfd_set base_sigaction base_pidfd_open base_waitpid */
#include <signal.h>
#include <sys/wait.h>
#include "base/sys.h"
#include "support/kinds.h"
#ifdef TALEV_URING
#include <liburing.h>
#endif

enum call {
	EPOLL_CREATE,
	EPOLL_CTL,
	EPOLL_WAIT,
	POLL,
	EVENTFD,
	TIMERFD_CREATE,
	TIMERFD_SET,
	SIGACTION,
	PIDFD_OPEN,
	WAITPID,
	RING_CREATE,
	RING_ENTER,
	CALLS
};

static struct {
	int error; /* 0: none */
	unsigned times;
	unsigned failed;
} faults[CALLS];

static void fail_call(enum call call, int error, unsigned times)
{
	faults[call].error = error;
	faults[call].times = times;
	faults[call].failed = 0;
}

static bool fails(enum call call)
{
	if (faults[call].times == 0)
		return false;
	faults[call].times--;
	faults[call].failed++;
	errno = faults[call].error;
	return true;
}

int __real_base_epoll_create(void);
int __wrap_base_epoll_create(void);
int __wrap_base_epoll_create(void)
{
	return fails(EPOLL_CREATE) ? -1 : __real_base_epoll_create();
}

int __real_base_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_base_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_base_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	return fails(EPOLL_CTL) ? -1 : __real_base_epoll_ctl(epfd, op, fd, event);
}

int __real_base_epoll_wait(int epfd, struct epoll_event *events, int max, talev_time_t timeout);
int __wrap_base_epoll_wait(int epfd, struct epoll_event *events, int max, talev_time_t timeout);
int __wrap_base_epoll_wait(int epfd, struct epoll_event *events, int max, talev_time_t timeout)
{
	return fails(EPOLL_WAIT) ? -1 : __real_base_epoll_wait(epfd, events, max, timeout);
}

int __real_base_poll(struct pollfd *fds, nfds_t n, talev_time_t timeout);
int __wrap_base_poll(struct pollfd *fds, nfds_t n, talev_time_t timeout);
int __wrap_base_poll(struct pollfd *fds, nfds_t n, talev_time_t timeout)
{
	/* Half of what uring waits with. */
	return fails(POLL) || fails(RING_ENTER) ? -1 : __real_base_poll(fds, n, timeout);
}

int __real_base_eventfd(void);
int __wrap_base_eventfd(void);
int __wrap_base_eventfd(void)
{
	return fails(EVENTFD) ? -1 : __real_base_eventfd();
}

int __real_base_timerfd_create(enum talev_clock clock);
int __wrap_base_timerfd_create(enum talev_clock clock);
int __wrap_base_timerfd_create(enum talev_clock clock)
{
	return fails(TIMERFD_CREATE) ? -1 : __real_base_timerfd_create(clock);
}

int __real_base_timerfd_set(int fd, enum talev_clock clock, talev_time_t deadline);
int __wrap_base_timerfd_set(int fd, enum talev_clock clock, talev_time_t deadline);
int __wrap_base_timerfd_set(int fd, enum talev_clock clock, talev_time_t deadline)
{
	return fails(TIMERFD_SET) ? -1 : __real_base_timerfd_set(fd, clock, deadline);
}

int __real_base_sigaction(int signum, const struct sigaction *act, struct sigaction *old);
int __wrap_base_sigaction(int signum, const struct sigaction *act, struct sigaction *old);
int __wrap_base_sigaction(int signum, const struct sigaction *act, struct sigaction *old)
{
	return fails(SIGACTION) ? -1 : __real_base_sigaction(signum, act, old);
}

int __real_base_pidfd_open(pid_t pid);
int __wrap_base_pidfd_open(pid_t pid);
int __wrap_base_pidfd_open(pid_t pid)
{
	return fails(PIDFD_OPEN) ? -1 : __real_base_pidfd_open(pid);
}

pid_t __real_base_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_base_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_base_waitpid(pid_t pid, int *status, int options)
{
	return fails(WAITPID) ? -1 : __real_base_waitpid(pid, status, options);
}

#ifdef TALEV_URING
int __real_io_uring_queue_init_params(
	unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(
	unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(
	unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
	if (fails(RING_CREATE))
		return -errno;
	return __real_io_uring_queue_init_params(entries, ring, params);
}

int __real_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring)
{
	return fails(RING_ENTER) ? -errno : __real_io_uring_submit_and_get_events(ring);
}

int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr)
{
	return fails(RING_ENTER) ? -errno : __real_io_uring_submit_and_wait(ring, wait_nr);
}

int __real_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
	unsigned wait_nr, struct __kernel_timespec *ts, sigset_t *sigmask);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
	unsigned wait_nr, struct __kernel_timespec *ts, sigset_t *sigmask);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
	unsigned wait_nr, struct __kernel_timespec *ts, sigset_t *sigmask)
{
	if (fails(RING_ENTER))
		return -errno;
	return __real_io_uring_submit_and_wait_timeout(ring, cqe, wait_nr, ts, sigmask);
}
#endif

static int set_up(void **state)
{
	memset(faults, 0, sizeof(faults));
	return test_setup(state);
}

static int tear_down(void **state)
{
	memset(faults, 0, sizeof(faults));
	return test_teardown(state);
}

/* The call that this backend waits with. */
static enum call wait_call(void)
{
	if (strcmp(test_backend(), "epoll") == 0)
		return EPOLL_WAIT;
	return strcmp(test_backend(), "uring") == 0 ? RING_ENTER : POLL;
}

/* The call that makes what it waits with; without one, the test is skipped. */
static enum call create_call(void)
{
	if (wait_call() == POLL)
		skip();
	return wait_call() == EPOLL_WAIT ? EPOLL_CREATE : RING_CREATE;
}

static void only_on_epoll(void)
{
	if (strcmp(test_backend(), "epoll") != 0)
		skip();
}

static void assert_works(struct talev_context *ev)
{
	for (int i = 0; i < kinds_here(); i++) {
		struct thing *thing = kind_add((enum kind)i, ev, test_root(), NULL, NULL);

		kind_fire(thing);
		while (thing->calls == 0)
			assert_ok(test_once(ev));
		if (i != KIND_TIMER && i != KIND_CHILD)
			talloc_free(thing->source);
	}
}

static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)flags;
	test_drain(talev_fd_get_fd(fde));
	++*(unsigned *)arg;
}

static void on_timer(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)ev;
	(void)te;
	(void)now;
	++*(unsigned *)arg;
}

static void on_signal(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *arg)
{
	(void)ev;
	(void)se;
	(void)signum;
	(void)count;
	(void)siginfo;
	++*(unsigned *)arg;
}

static void on_child(
	struct talev_context *ev, struct talev_child *child, pid_t pid, int status, void *arg)
{
	(void)ev;
	(void)child;
	(void)pid;
	*(int *)arg = status;
}

static const int create_errors[] = {EMFILE, ENFILE, ENOMEM};

static void context_that_cannot_wait_is_none(void **state)
{
	for (int i = 0; i < 3; i++) {
		fail_call(create_call(), create_errors[i], 1);
		assert_null_errno(
			talev_context_init_byname(*state, test_backend()), create_errors[i]);
	}
	assert_works(test_context(*state));
}

static void re_initialise_may_be_tried_again(void **state)
{
	struct talev_context *ev;
	struct thing *thing;

	create_call();
	ev = test_context(*state);
	thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	fail_call(create_call(), EMFILE, 1);
	assert_errno(talev_re_initialise(ev), EMFILE);
	assert_int_equal(thing->finalized, 1);
	assert_int_equal(talev_loop_once(ev), -1);
	assert_null(talev_add_timer(ev, NULL, 0, on_timer, NULL));
	assert_false(talev_have_events(ev));
	assert_ok(talev_re_initialise(ev));
	assert_works(ev);
	assert_int_equal(thing->finalized, 1);
	fail_call(create_call(), EMFILE, 1);
	assert_errno(talev_re_initialise(ev), EMFILE);
	talloc_free(ev);
}

static void fork_without_a_set(void *arg)
{
	struct thing *thing = arg;

	fail_call(create_call(), EMFILE, 1);
	kind_fire(thing);
	assert_errno(talev_loop_once(thing->ev), EMFILE);
	while (thing->calls == 0)
		assert_ok(test_once(thing->ev));
}

static void forked_child_may_try_again(void **state)
{
	struct talev_context *ev;

	create_call();
	ev = test_context(*state);
	assert_int_equal(
		test_in_child(fork_without_a_set, kind_add(KIND_FD, ev, *state, NULL, NULL)), 0);
	assert_works(ev);
}

static void refused_watcher_leaves_nothing_behind(void **state)
{
	static const int errors[] = {ENOSPC, ENOMEM, EBADF};
	struct talev_context *ev;
	unsigned calls = 0;
	int fds[2];

	only_on_epoll();
	ev = test_context(*state);
	test_pipe(fds);
	for (int i = 0; i < 3; i++) {
		test_log_capture();
		fail_call(EPOLL_CTL, errors[i], 1);
		assert_null_errno(
			talev_add_fd(ev, *state, fds[0], TALEV_FD_READ, on_fd, &calls), errors[i]);
		assert_int_equal(faults[EPOLL_CTL].failed, 1);
		assert_false(talev_have_events(ev));
		assert_non_null(talev_add_fd(ev, ev, fds[0], TALEV_FD_READ, on_fd, &calls));
		test_poke(fds[1]);
		assert_ok(test_once(ev));
		assert_int_equal(calls, i + 1);
		assert_ok(talev_re_initialise(ev));
	}
	assert_works(ev);
	close(fds[0]);
	close(fds[1]);
}

static void refused_change_stays_pending(void **state)
{
	static const int errors[] = {ENOSPC, ENOMEM};
	struct talev_context *ev;
	struct talev_fd *fde;
	unsigned calls = 0;
	int fds[2];

	only_on_epoll();
	ev = test_context(*state);
	test_pipe(fds);
	fde = talev_add_fd(ev, *state, fds[0], 0, on_fd, &calls);
	assert_non_null(fde);
	for (unsigned i = 0; i < 2; i++) {
		assert_ok(talev_fd_set_flags(fde, 0));
		assert_errno(talev_loop_nowait(ev), ENOENT);
		assert_ok(talev_fd_set_flags(fde, TALEV_FD_READ | (i ? TALEV_FD_HUP : 0)));
		test_poke(fds[1]);
		fail_call(EPOLL_CTL, errors[i], 2);
		/* By whichever call: both say why, and neither calls the handler. */
		assert_errno(talev_loop_once(ev), errors[i]);
		assert_errno(talev_loop_wait(ev), errors[i]);
		assert_int_equal(calls, i);
		assert_ok(test_once(ev));
		assert_int_equal(calls, i + 1);
	}
	talloc_free(fde);
	assert_works(ev);
	close(fds[0]);
	close(fds[1]);
}

static void closed_descriptor_at_a_change_is_reported(void **state)
{
	struct talev_context *ev;
	struct talev_fd *fde;
	unsigned calls = 0;
	int fds[2];

	only_on_epoll();
	ev = test_context(*state);
	test_log_capture();
	test_pipe(fds);
	fde = talev_add_fd(ev, *state, fds[0], TALEV_FD_READ, on_fd, &calls);
	assert_non_null(fde);
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	assert_ok(talev_fd_set_flags(fde, TALEV_FD_READ | TALEV_FD_HUP));
	fail_call(EPOLL_CTL, EBADF, 2);
	while (talev_loop_nowait(ev) == 0)
		;
	assert_true(errno == EAGAIN || errno == ENOENT);
	fail_call(EPOLL_CTL, 0, 0);
	assert_true(test_log_contains("on_fd"));
	assert_true(test_log_contains("test_fault.c:"));
	talloc_free(fde);
	assert_works(ev);
	close(fds[0]);
	close(fds[1]);
}

static void interrupted_wait_is_a_unit_of_work(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(KIND_FD, ev, *state, NULL, NULL);

	fail_call(wait_call(), EINTR, 1);
	assert_ok(test_once(ev));
	assert_int_equal(faults[wait_call()].failed, 1);
	assert_int_equal(thing->calls, 0);
	kind_fire(thing);
	fail_call(wait_call(), EINTR, 1000);
	while (thing->calls == 0)
		assert_ok(test_once(ev));
	assert_int_equal(thing->calls, 1);
}

static void stop(struct thing *thing)
{
	talev_loop_break(thing->ev);
}

static void loop_goes_on_after_interrupted_waits(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(KIND_FD, ev, *state, stop, NULL);

	kind_fire(thing);
	fail_call(wait_call(), EINTR, 100);
	assert_ok(test_run(ev));
	assert_int_equal(thing->calls, 1);
	assert_int_equal(faults[wait_call()].failed, 100);
}

static void failing_wait_ends_the_loop_and_nothing_else(void **state)
{
	static const int errors[] = {ENOMEM, EINVAL, EBADF};
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(KIND_FD, ev, *state, stop, NULL);

	for (unsigned i = 0; i < 3; i++) {
		kind_fire(thing);
		fail_call(wait_call(), errors[i], 2);
		assert_errno(talev_loop_wait(ev), errors[i]);
		assert_int_equal(talev_loop_level(ev), 0);
		assert_errno(talev_loop_once(ev), errors[i]);
		assert_int_equal(thing->calls, i);
		assert_ok(test_run(ev));
		assert_int_equal(thing->calls, i + 1);
	}
	assert_works(ev);
}

static void free_then_fail(struct thing *thing)
{
	struct thing *victim = thing->arg;

	talloc_free(victim->source);
	fail_call(wait_call(), ENOMEM, 1);
}

static void loop_that_ends_by_an_error_leaves_no_finalizer_behind(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *victim = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct thing *thing = kind_add(KIND_TIMER, ev, *state, free_then_fail, victim);

	if (victim->kind == KIND_IMMEDIATE)
		assert_ok(talev_cancel_immediate(victim->source));
	kind_add(KIND_FD, ev, *state, NULL, NULL);
	assert_ok(talev_source_set_finalizer(victim->source, 0, count_finalizer, victim));
	kind_fire(thing);
	assert_errno(talev_loop_wait(ev), ENOMEM);
	assert_int_equal(victim->finalized, 1);
	talloc_free(ev);
	assert_int_equal(victim->finalized, 1);
}

static void signal_without_eventfd_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	unsigned calls = 0;

	for (int i = 0; i < 3; i++) {
		fail_call(EVENTFD, create_errors[i], 1);
		assert_null_errno(talev_add_signal(ev, *state, SIGUSR1, 0, on_signal, &calls),
			create_errors[i]);
	}
	assert_works(ev);
	assert_non_null(talev_add_signal(ev, *state, SIGUSR1, 0, on_signal, &calls));
	raise(SIGUSR1);
	assert_ok(test_once(ev));
	assert_int_equal(calls, 1);
}

static void signal_without_sigaction_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct sigaction before, after;
	unsigned calls = 0;

	assert_ok(sigaction(SIGUSR1, NULL, &before));
	fail_call(SIGACTION, EINVAL, 1);
	assert_null_errno(talev_add_signal(ev, *state, SIGUSR1, 0, on_signal, &calls), EINVAL);
	assert_ok(sigaction(SIGUSR1, NULL, &after));
	assert_true(before.sa_handler == after.sa_handler);
	assert_false(talev_have_events(ev));
	assert_works(ev);
}

static void fd_of_the_context_without_eventfd_is_refused(void **state)
{
	struct talev_context *ev;

	create_call();
	ev = test_context(*state);
	fail_call(EVENTFD, EMFILE, 1);
	assert_errno(talev_context_get_fd(ev), EMFILE);
	assert_true(talev_context_get_fd(ev) >= 0);
	assert_works(ev);
}

static void fork_without_an_eventfd(void *arg)
{
	struct thing *im = arg;
	struct pollfd pfd = {.fd = *(int *)im->arg, .events = POLLIN};

	fail_call(EVENTFD, EMFILE, 2);
	assert_errno(talev_loop_nowait(im->ev), EMFILE);
	assert_errno(talev_loop_nowait(im->ev), EMFILE);
	assert_errno(talev_loop_nowait(im->ev), ENOENT);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	kind_fire(im);
	assert_int_equal(poll(&pfd, 1, 0), 1);
	assert_ok(talev_loop_nowait(im->ev));
	assert_int_equal(im->calls, 1);
}

/* Its loop in the child is woken as before. */
static void guest_in_a_forked_child_may_try_again(void **state)
{
	struct talev_context *ev;
	struct thing *im;
	int fd;

	create_call();
	ev = test_context(*state);
	im = kind_add(KIND_IMMEDIATE, ev, *state, NULL, &fd);
	assert_ok(talev_cancel_immediate(im->source));
	fd = talev_context_get_fd(ev);
	if (fd == -1)
		skip();
	assert_int_equal(test_in_child(fork_without_an_eventfd, im), 0);
	assert_works(ev);
}

static void timer_without_timerfd_is_told_and_runs_later(void **state)
{
	static const enum call calls[] = {TIMERFD_CREATE, TIMERFD_SET};
	struct talev_context *ev = test_context(*state);

	for (int i = 0; i < 2; i++) {
		unsigned ran = 0;
		talev_time_t soon = talev_clock_now(ev, TALEV_CLOCK_REALTIME) + TALEV_MSEC(5);
		struct talev_timer *te;

		fail_call(calls[i], EMFILE, 1);
		te = talev_add_timer_on(ev, *state, TALEV_CLOCK_REALTIME, soon, on_timer, &ran);
		if (!te) {
			assert_int_equal(errno, EMFILE);
			te = talev_add_timer_on(
				ev, *state, TALEV_CLOCK_REALTIME, soon, on_timer, &ran);
		}
		assert_non_null(te);
		while (ran == 0)
			if (test_once(ev) != 0)
				assert_int_equal(errno, EMFILE);
		assert_int_equal(ran, 1);
	}
	assert_works(ev);
}

static void child_without_pidfd_is_refused(void **state)
{
	static const int errors[] = {EMFILE, ENFILE, ENOMEM, ENOSYS, ESRCH};
	struct talev_context *ev = test_context(*state);
	int release, status = -2;
	pid_t pid;

	if (kinds_here() <= KIND_CHILD)
		skip();
	pid = test_spawn(3, &release);
	for (int i = 0; i < 5; i++) {
		fail_call(PIDFD_OPEN, errors[i], 1);
		assert_null_errno(talev_add_child(ev, *state, pid, on_child, &status), errors[i]);
		assert_false(talev_have_events(ev));
	}
	assert_non_null(talev_add_child(ev, *state, pid, on_child, &status));
	close(release);
	assert_ok(test_run(ev));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	assert_works(ev);
}

static void child_that_somebody_else_reaped_has_no_status(void **state)
{
	struct talev_context *ev = test_context(*state);
	int release, status = -2;
	pid_t pid;

	if (kinds_here() <= KIND_CHILD)
		skip();
	pid = test_spawn(3, &release);
	assert_non_null(talev_add_child(ev, *state, pid, on_child, &status));
	close(release);
	fail_call(WAITPID, ECHILD, 1);
	assert_ok(test_run(ev));
	assert_int_equal(status, -1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define FAULT(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
#define FAULT_KIND(fn, kind, name)                                                                 \
	{                                                                                          \
#fn " (" name ")", fn, set_up, tear_down, (void *)(intptr_t)(kind)                 \
	}
#define FAULT_EACH_KIND(fn)                                                                        \
	FAULT_KIND(fn, KIND_FD, "fd"), FAULT_KIND(fn, KIND_TIMER, "timer"),                        \
		FAULT_KIND(fn, KIND_SIGNAL, "signal"),                                             \
		FAULT_KIND(fn, KIND_IMMEDIATE, "immediate"), FAULT_KIND(fn, KIND_CHILD, "child")

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT(context_that_cannot_wait_is_none),
		FAULT_EACH_KIND(re_initialise_may_be_tried_again),
		FAULT(forked_child_may_try_again),
		FAULT(refused_watcher_leaves_nothing_behind),
		FAULT(refused_change_stays_pending),
		FAULT(closed_descriptor_at_a_change_is_reported),
		FAULT(interrupted_wait_is_a_unit_of_work),
		FAULT(loop_goes_on_after_interrupted_waits),
		FAULT(failing_wait_ends_the_loop_and_nothing_else),
		FAULT_EACH_KIND(loop_that_ends_by_an_error_leaves_no_finalizer_behind),
		FAULT(signal_without_eventfd_is_refused),
		FAULT(signal_without_sigaction_is_refused),
		FAULT(fd_of_the_context_without_eventfd_is_refused),
		FAULT(guest_in_a_forked_child_may_try_again),
		FAULT(timer_without_timerfd_is_told_and_runs_later),
		FAULT(child_without_pidfd_is_refused),
		FAULT(child_that_somebody_else_reaped_has_no_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
