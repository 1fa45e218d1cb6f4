/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_SIGNAL_H
#define TALEV_SIGNAL_H

#include <stdint.h>
#include <talloc.h>
#include <talev/source.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;
struct talev_signal;

/* Without SA_SIGINFO: one call for all arrivals since the last, count says how many the kernel
 * delivered, siginfo is NULL. With it: one call for each, in order, count is 1, and siginfo
 * points to a siginfo_t that is valid during the call. */
typedef void (*talev_signal_handler_t)(struct talev_context *ev, struct talev_signal *se,
	int signum, int count, const void *siginfo, void *private_data);

/* Watches a Unix signal, in the loop: the handler is ordinary code. Any number of watchers on one
 * number and in any contexts of the process, each is told. The first watcher of a number in the
 * process installs the disposition, the last one to go restores the old one. sa_flags: SA_SIGINFO
 * for this watcher; SA_RESTART, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_ONSTACK go to the kernel if it is
 * the first; others are EINVAL. NULL: EINVAL (also SIGKILL, SIGSTOP), ENOMEM, EMFILE, ESHUTDOWN,
 * ESTALE. */
struct talev_signal *_talev_add_signal(struct talev_context *ev, TALLOC_CTX *mem_ctx, int signum,
	int sa_flags, talev_signal_handler_t handler, void *private_data, const char *where);
#define talev_add_signal(ev, mem_ctx, signum, sa_flags, handler, private_data)                     \
	_talev_add_signal(                                                                         \
		ev, mem_ctx, signum, sa_flags, handler, private_data, TALEV_WHERE(handler))

/* The number that is watched. */
int talev_signal_get_signum(const struct talev_signal *se);

#ifdef __cplusplus
}
#endif

#endif
