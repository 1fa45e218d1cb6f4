/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls that tests fail by wrapping these names. Each is the call itself: -1 and errno,
 * nothing retried, close-on-exec and non-blocking wherever a descriptor is made.
 */
#ifndef BASE_SYS_H
#define BASE_SYS_H

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <talev/time.h>

int base_epoll_create(void);
int base_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
/* timeout in ns: 0 looks, TALEV_NEVER waits for ever. Exact to the nanosecond by epoll_pwait2(2)
 * (Linux 5.11); else rounded up to milliseconds. */
int base_epoll_wait(int epfd, struct epoll_event *events, int max, talev_time_t timeout);
/* ppoll(2), timeout as above. */
int base_poll(struct pollfd *fds, nfds_t n, talev_time_t timeout);
int base_eventfd(void);
int base_timerfd_create(enum talev_clock clock);
/* Absolute; TALEV_NEVER disarms. On the realtime clock a step makes it readable, and is told once:
 * by read or by the next set, which fail with ECANCELED (set has armed it all the same). */
int base_timerfd_set(int fd, enum talev_clock clock, talev_time_t deadline);
/* fcntl(F_GETFL). */
int base_get_fl(int fd);
/* How many CPUs this thread may run on. */
int base_cpus(void);
ssize_t base_read(int fd, void *buf, size_t n);
ssize_t base_write(int fd, const void *buf, size_t n);
int base_close(int fd);
int base_sigaction(int signum, const struct sigaction *act, struct sigaction *old);
int base_pidfd_open(pid_t pid);
int base_pidfd_send_signal(int pidfd, int signum);
pid_t base_waitpid(pid_t pid, int *status, int options);

#endif
