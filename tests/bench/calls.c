/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * To be preloaded: counts the calls by which loops wait and wake each other, and prints the number
 * at the end to standard error. Unlike strace(1) it leaves the timing as it is.
 */
#include <dlfcn.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_ulong calls;

/* The C library's own, behind this one. */
#define NEXT(name) ((__typeof__(&name))next(#name))

static void *next(const char *name)
{
	atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
	return dlsym(RTLD_NEXT, name);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	return NEXT(write)(fd, buf, n);
}

ssize_t read(int fd, void *buf, size_t n)
{
	return NEXT(read)(fd, buf, n);
}

int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	return NEXT(epoll_wait)(epfd, events, max, timeout);
}

int epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout,
	const sigset_t *mask)
{
	return NEXT(epoll_pwait2)(epfd, events, max, timeout, mask);
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	return NEXT(poll)(fds, n, timeout);
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	return NEXT(ppoll)(fds, n, timeout, mask);
}

/* Where the C library may have no function: epoll_pwait2(2). */
long syscall(long number, ...)
{
	long args[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		args[i] = va_arg(list, long);
	va_end(list);
	return NEXT(syscall)(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

__attribute__((destructor)) static void tell(void)
{
	fprintf(stderr, "calls %lu\n", atomic_load(&calls));
}
