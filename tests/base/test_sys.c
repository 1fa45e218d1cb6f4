/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/support.h"
#include <fcntl.h>
#include <sys/syscall.h>
#include "base/clock.h"
#include "base/sys.h"

/* A kernel that does not have epoll_pwait2(2); and what epoll_wait(2) was asked for. */
static int pwait2_error;
static int pwait2_calls;
static int last_timeout;

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	if (number == SYS_epoll_pwait2) {
		pwait2_calls++;
		if (pwait2_error != 0) {
			errno = pwait2_error;
			return -1;
		}
	}
	return __real_syscall(number, a, b, c, d, e, f);
}

int __real_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	last_timeout = timeout;
	return __real_epoll_wait(epfd, events, max, timeout <= 10 ? timeout : 0);
}

static void assert_manners(int fd, bool nonblocking)
{
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	if (nonblocking)
		assert_true(base_get_fl(fd) & O_NONBLOCK);
	assert_ok(base_close(fd));
}

static void what_is_made_is_close_on_exec_and_does_not_block(void **state)
{
	(void)state;
	assert_manners(base_epoll_create(), false);
	assert_manners(base_eventfd(), true);
	for (int clock = 0; clock < BASE_CLOCKS; clock++)
		assert_manners(base_timerfd_create((enum talev_clock)clock), true);
}

static void assert_waits_until(
	enum talev_clock clock, talev_time_t deadline, int fd, struct pollfd *poll)
{
	assert_ok(base_timerfd_set(fd, clock, deadline));
	assert_int_equal(base_poll(poll, 1, TALEV_NEVER), 1);
	assert_true(base_clock_now(clock) >= deadline);
}

static void a_timerfd_is_readable_from_its_deadline_on(void **state)
{
	(void)state;
	for (int c = 0; c < BASE_CLOCKS; c++) {
		enum talev_clock clock = (enum talev_clock)c;
		struct pollfd poll = {.fd = base_timerfd_create(clock), .events = POLLIN};
		uint64_t expirations;

		assert_waits_until(clock, base_clock_now(clock) + TALEV_MSEC(3), poll.fd, &poll);
		/* Long past, and before the zero of the clock: at once. */
		assert_waits_until(clock, 1, poll.fd, &poll);
		assert_waits_until(clock, 0, poll.fd, &poll);
		assert_waits_until(clock, -1, poll.fd, &poll);
		assert_waits_until(clock, INT64_MIN, poll.fd, &poll);
		assert_int_equal(base_read(poll.fd, &expirations, sizeof(expirations)), 8);
		assert_errno(base_read(poll.fd, &expirations, sizeof(expirations)), EAGAIN);
		assert_ok(base_close(poll.fd));
	}
}

static void a_timerfd_set_to_never_is_silent(void **state)
{
	(void)state;
	for (int c = 0; c < BASE_CLOCKS; c++) {
		enum talev_clock clock = (enum talev_clock)c;
		struct pollfd poll = {.fd = base_timerfd_create(clock), .events = POLLIN};

		assert_ok(base_timerfd_set(poll.fd, clock, 1));
		assert_ok(base_timerfd_set(poll.fd, clock, TALEV_NEVER));
		assert_int_equal(base_poll(&poll, 1, TALEV_MSEC(1)), 0);
		assert_ok(base_timerfd_set(poll.fd, clock, TALEV_NEVER - 1));
		assert_int_equal(base_poll(&poll, 1, 0), 0);
		assert_ok(base_close(poll.fd));
	}
}

static void assert_takes(int epfd, talev_time_t timeout, bool poll)
{
	struct epoll_event event;
	talev_time_t start = base_clock_now(TALEV_CLOCK_MONOTONIC);

	if (poll)
		assert_int_equal(base_poll(NULL, 0, timeout), 0);
	else
		assert_int_equal(base_epoll_wait(epfd, &event, 1, timeout), 0);
	assert_true(base_clock_now(TALEV_CLOCK_MONOTONIC) - start >= timeout);
}

static void no_wait_is_shorter_than_its_timeout(void **state)
{
	int epfd = base_epoll_create();

	(void)state;
	for (int poll = 0; poll < 2; poll++) {
		assert_takes(epfd, -5, poll);
		assert_takes(epfd, 0, poll);
		assert_takes(epfd, 1, poll);
		assert_takes(epfd, TALEV_USEC(1500), poll);
	}
	assert_ok(base_close(epfd));
}

/* The last of them: from here on the program believes that the call is missing. */
static void without_epoll_pwait2_timeouts_are_rounded_up(void **state)
{
	static const struct {
		talev_time_t timeout;
		int ms;
	} cases[] = {
		{1, 1},
		{TALEV_MSEC(1), 1},
		{TALEV_MSEC(1) + 1, 2},
		{TALEV_MSEC(INT32_MAX), INT32_MAX},
		{TALEV_MSEC(INT32_MAX) + 1, INT32_MAX},
		{TALEV_NEVER - 1, INT32_MAX},
	};
	int epfd = base_epoll_create();
	struct epoll_event event;
	int expected;
	int n;

	(void)state;
	pwait2_error = EINTR;
	pwait2_calls = 0;
	last_timeout = -1;
	n = base_epoll_wait(epfd, &event, 1, 1);
	assert_int_equal(n, last_timeout == -1 ? -1 : 0);
	/* Where the call is really missing, that is known already. */
	expected = pwait2_calls;
	pwait2_error = ENOSYS;
	pwait2_calls = 0;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(base_epoll_wait(epfd, &event, 1, cases[i].timeout), 0);
		assert_int_equal(last_timeout, cases[i].ms);
	}
	assert_int_equal(pwait2_calls, expected);
	assert_ok(base_close(epfd));
}

static void a_pidfd_takes_signals(void **state)
{
	int pidfd = base_pidfd_open(getpid());

	(void)state;
	/* Valgrind 3.19 does not know the call. */
	if (pidfd < 0 && errno == ENOSYS)
		skip();
	assert_ok(base_pidfd_send_signal(pidfd, 0));
	assert_manners(pidfd, false);
	assert_errno(base_pidfd_send_signal(pidfd, 0), EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_made_is_close_on_exec_and_does_not_block),
		TEST(a_timerfd_is_readable_from_its_deadline_on),
		TEST(a_timerfd_set_to_never_is_silent),
		TEST(no_wait_is_shorter_than_its_timeout),
		TEST(a_pidfd_takes_signals),
		TEST(without_epoll_pwait2_timeouts_are_rounded_up),
	};

	return cmocka_run_group_tests_name("sys", tests, NULL, NULL);
}
