/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with calling the kernel directly: nobody can make it fail. These are doors that a
 * test can close; they translate times and descriptor flags, and decide nothing else.
 */
#include "base/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/likely.h"

#define NSEC_PER_MSEC 1000000

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

int base_epoll_create(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

int base_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	return epoll_ctl(epfd, op, fd, event);
}

/* Whole milliseconds, upwards: waking early would make the loop spin until the deadline. */
static int milliseconds(talev_time_t timeout)
{
	talev_time_t ms = timeout / NSEC_PER_MSEC + (timeout % NSEC_PER_MSEC > 0);

	if (ms < 0)
		return 0;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* By number, and with the kernel's own 64-bit timespec, because C libraries that lack the function
 * run on kernels that have the call. */
static int epoll_wait_ns(int epfd, struct epoll_event *events, int max, talev_time_t timeout)
{
	struct timespec ts = base_timespec(timeout);
	struct {
		int64_t sec;
		int64_t nsec;
	} kernel_ts = {ts.tv_sec, ts.tv_nsec};

	return (int)syscall(SYS_epoll_pwait2, epfd, events, max, &kernel_ts, NULL, (size_t)0);
}

__attribute__((noinline)) static int epoll_wait_until(
	int epfd, struct epoll_event *events, int max, talev_time_t timeout)
{
	static atomic_bool missing;
	int n;

	if (!atomic_load_explicit(&missing, memory_order_relaxed)) {
		n = epoll_wait_ns(epfd, events, max, timeout);
		/* EPERM is what some sandboxes say of calls that they have not heard of. */
		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			return n;
		atomic_store_explicit(&missing, true, memory_order_relaxed);
	}
	return epoll_wait(epfd, events, max, milliseconds(timeout));
}

int base_epoll_wait(int epfd, struct epoll_event *events, int max, talev_time_t timeout)
{
	if (likely(timeout == TALEV_NEVER))
		return epoll_wait(epfd, events, max, -1);
	if (timeout <= 0)
		return epoll_wait(epfd, events, max, 0);
	return epoll_wait_until(epfd, events, max, timeout);
}

/* poll(2) does not copy back how much time is left, and so takes what is whole milliseconds. */
int base_poll(struct pollfd *fds, nfds_t n, talev_time_t timeout)
{
	struct timespec ts;

	if (timeout == TALEV_NEVER)
		return poll(fds, n, -1);
	if (timeout % TALEV_MSEC(1) == 0 && timeout / TALEV_MSEC(1) <= INT_MAX)
		return poll(fds, n, timeout > 0 ? (int)(timeout / TALEV_MSEC(1)) : 0);
	ts = base_timespec(timeout > 0 ? timeout : 0);
	return ppoll(fds, n, &ts, NULL);
}

int base_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

int base_timerfd_create(enum talev_clock clock)
{
	return timerfd_create(base_clock_id(clock), TFD_CLOEXEC | TFD_NONBLOCK);
}

int base_timerfd_set(int fd, enum talev_clock clock, talev_time_t deadline)
{
	struct itimerspec at = {0};
	int flags = TFD_TIMER_ABSTIME;

	if (clock == TALEV_CLOCK_REALTIME)
		flags |= TFD_TIMER_CANCEL_ON_SET;
	/* Zero would disarm, and the kernel refuses what is before it: a moment long past is 1 ns.
	 */
	if (deadline != TALEV_NEVER)
		at.it_value = base_timespec(deadline > 0 ? deadline : 1);
	return timerfd_settime(fd, flags, &at, NULL);
}

int base_cpus(void)
{
	cpu_set_t set;

	/* With more CPUs than the set has room for there are certainly two. */
	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : CPU_SETSIZE;
}

int base_get_fl(int fd)
{
	return fcntl(fd, F_GETFL);
}

ssize_t base_read(int fd, void *buf, size_t n)
{
	return read(fd, buf, n);
}

ssize_t base_write(int fd, const void *buf, size_t n)
{
	return write(fd, buf, n);
}

int base_close(int fd)
{
	return close(fd);
}

int base_sigaction(int signum, const struct sigaction *act, struct sigaction *old)
{
	return sigaction(signum, act, old);
}

int base_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int base_pidfd_send_signal(int pidfd, int signum)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signum, NULL, 0);
}

pid_t base_waitpid(pid_t pid, int *status, int options)
{
	return waitpid(pid, status, options);
}
