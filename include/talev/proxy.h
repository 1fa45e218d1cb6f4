/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_PROXY_H
#define TALEV_PROXY_H

#include <talloc.h>
#include <talev/immediate.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;
struct talev_thread_proxy;
struct talev_threaded_context;

/* A door into the loop of ev for other threads. While it lives, talev_loop_wait() goes on. Freeing
 * it closes the door: later messages are refused, those on their way are lost before that returns.
 * mem_ctx NULL: ev owns it. Owner's thread of ev. NULL: EINVAL, ENOMEM, EMFILE, ENFILE, ESHUTDOWN,
 * ESTALE. */
struct talev_thread_proxy *_talev_thread_proxy_create(
	struct talev_context *ev, TALLOC_CTX *mem_ctx, const char *location);
#define talev_thread_proxy_create(ev, mem_ctx)                                                     \
	_talev_thread_proxy_create(ev, mem_ctx, "proxy\0" __location__)

/* A handle of its own to the same door, in the tree of another thread; counted, so that it may
 * outlive tp, the context and its thread. The thread that owns mem_ctx calls it, while tp exists.
 * NULL: ENOMEM, ESTALE. */
struct talev_thread_proxy *_talev_thread_proxy_attach(
	TALLOC_CTX *mem_ctx, struct talev_thread_proxy *tp, const char *location);
#define talev_thread_proxy_attach(mem_ctx, tp)                                                     \
	_talev_thread_proxy_attach(mem_ctx, tp, "proxy\0" __location__)

/* Moves *im and the talloc tree at *private_ptr (private_ptr or *private_ptr may be NULL) to the
 * loop of tp, and sets both pointers to NULL. There handler(ev, im, data) runs as an immediate, in
 * the order in which this thread sent. What of the two the handler did not talloc_steal() is freed
 * after it. The thread that owns *im and *private_ptr, through any handle that exists until this
 * returns, or lies in the data. Takes no memory.
 * -1, nothing moved, but im is idle: ESHUTDOWN the door is closed; EINVAL the data has talloc
 * references, or events of a loop in it; ESTALE im is not live. */
int _talev_thread_proxy_schedule(struct talev_thread_proxy *tp, struct talev_immediate **im,
	talev_immediate_handler_t handler, void *private_ptr, const char *where);
#define talev_thread_proxy_schedule(tp, im, handler, private_ptr)                                  \
	_talev_thread_proxy_schedule(tp, im, handler, private_ptr, TALEV_WHERE(handler))

/* fn(data, private_data) is called for each message sent through this handle from now on whose
 * handler can never run, on the thread that owned the loop, just before the message is freed:
 * mostly inside the call that frees the proxy or the context. NULL: none. The thread that owns tp.
 * -1: EINVAL, ENOMEM. */
typedef void (*talev_thread_proxy_lost_fn_t)(void *data, void *private_data);
int talev_thread_proxy_set_lost_fn(
	struct talev_thread_proxy *tp, talev_thread_proxy_lost_fn_t fn, void *private_data);

/* For a helper thread that reports completion to the loop of ev without allocating anything.
 * While it lives, talev_loop_wait() goes on. It stays a valid argument until it is freed, also when
 * the context went. mem_ctx NULL: ev owns it. Owner's thread of ev. NULL: as
 * talev_thread_proxy_create(). */
struct talev_threaded_context *_talev_threaded_context_create(
	struct talev_context *ev, TALLOC_CTX *mem_ctx, const char *location);
#define talev_threaded_context_create(ev, mem_ctx)                                                 \
	_talev_threaded_context_create(ev, mem_ctx, "threaded context\0" __location__)

/* Schedules im, which stays where it is in the tree of the owner's thread and is idle, in the loop
 * of tctx. Until its handler runs only the owner may touch im again: cancel it, schedule it or free
 * it. Any thread, one at a time for one im. -1: ESHUTDOWN the loop is gone; EINVAL. */
int _talev_threaded_schedule_immediate(struct talev_threaded_context *tctx,
	struct talev_immediate *im, talev_immediate_handler_t handler, void *private_data,
	const char *where);
#define talev_threaded_schedule_immediate(tctx, im, handler, private_data)                         \
	_talev_threaded_schedule_immediate(tctx, im, handler, private_data, TALEV_WHERE(handler))

#ifdef __cplusplus
}
#endif

#endif
