/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_FD_H
#define TALEV_FD_H

#include <stdint.h>
#include <talloc.h>
#include <talev/source.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;
struct talev_fd;

#define TALEV_FD_READ  0x1 /* a read would not block; so would one that fails or finds the end */
#define TALEV_FD_WRITE 0x2 /* a write would not block; so would one that fails */
#define TALEV_FD_ERROR 0x4 /* an error is pending (POLLERR) */
#define TALEV_FD_HUP   0x8 /* the peer closed, or shut down its sending side (POLLHUP, POLLRDHUP) */
/* Beside others, never told: the handler reads, or writes, until the descriptor would block, so it
 * need not be told twice of the same readiness (EPOLLET). A hint: it may be told more often. */
#define TALEV_FD_EDGE  0x40

/* flags: what is ready of what was asked for. */
typedef void (*talev_fd_handler_t)(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *private_data);

/* Called once, when the watcher goes, with the descriptor it should close. May free anything;
 * ev takes nothing new if it is what is being freed. */
typedef void (*talev_fd_close_fn_t)(
	struct talev_context *ev, struct talev_fd *fde, int fd, void *private_data);

/* Watches fd while the object lives; level-triggered, unless flags have TALEV_FD_EDGE. mem_ctx
 * NULL: ev owns it. flags may be 0.
 * Does not own fd unless a close function is set. NULL: EINVAL, EBADF, ENOMEM, ENOSPC,
 * ESHUTDOWN, ESTALE mem_ctx is being finalized. */
struct talev_fd *_talev_add_fd(struct talev_context *ev, TALLOC_CTX *mem_ctx, int fd,
	uint16_t flags, talev_fd_handler_t handler, void *private_data, const char *where);
#define talev_add_fd(ev, mem_ctx, fd, flags, handler, private_data)                                \
	_talev_add_fd(ev, mem_ctx, fd, flags, handler, private_data, TALEV_WHERE(handler))

/* What is asked for; 0 when the watcher is not live. */
uint16_t talev_fd_get_flags(const struct talev_fd *fde);

/* Changes what is asked for; told to the kernel once, before the next wait. -1: EINVAL, ESTALE. */
int talev_fd_set_flags(struct talev_fd *fde, uint16_t flags);

/* The descriptor, or -1 when the watcher is not live. */
int talev_fd_get_fd(const struct talev_fd *fde);

/* fn runs when the watcher or its context is freed or finalized, inside that call, after the kernel
 * forgot the descriptor. It does not run if the program closed the descriptor itself before, nor
 * in talev_re_initialise(). NULL: none. -1: ESTALE. */
int talev_fd_set_close_fn(struct talev_fd *fde, talev_fd_close_fn_t fn);

/* A close function that calls close(2). -1: ESTALE. */
int talev_fd_set_auto_close(struct talev_fd *fde);

#ifdef __cplusplus
}
#endif

#endif
