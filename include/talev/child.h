/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_CHILD_H
#define TALEV_CHILD_H

#include <sys/types.h>
#include <talloc.h>
#include <talev/source.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;
struct talev_child;

/* status: as waitpid(2) gives it. The child has been reaped. */
typedef void (*talev_child_handler_t)(struct talev_context *ev, struct talev_child *child,
	pid_t pid, int status, void *private_data);

/* Watches one child process of this process (pidfd_open(2), Linux 5.3) without touching SIGCHLD;
 * reaps it and calls handler once, then frees itself. Freeing it earlier leaves the child to the
 * program, also to reap. If somebody else reaps it first, status is -1. NULL: EINVAL, ESRCH or
 * ECHILD no such child; ENOMEM, EMFILE, ENOSYS, ESHUTDOWN, ESTALE. */
struct talev_child *_talev_add_child(struct talev_context *ev, TALLOC_CTX *mem_ctx, pid_t pid,
	talev_child_handler_t handler, void *private_data, const char *where);
#define talev_add_child(ev, mem_ctx, pid, handler, private_data)                                   \
	_talev_add_child(ev, mem_ctx, pid, handler, private_data, TALEV_WHERE(handler))

/* The process that is watched. */
pid_t talev_child_get_pid(const struct talev_child *child);

/* Sends a signal through the pidfd: never hits a process that got the number later.
 * -1: ESTALE, or the errno of pidfd_send_signal(2). */
int talev_child_kill(struct talev_child *child, int signum);

#ifdef __cplusplus
}
#endif

#endif
