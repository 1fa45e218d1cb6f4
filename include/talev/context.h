/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_CONTEXT_H
#define TALEV_CONTEXT_H

#include <stdbool.h>
#include <talloc.h>
#include <talev/log.h>
#include <talev/time.h>
#include <talev/source.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A context belongs to one thread: the one that made it, until it is run on another. */
struct talev_context;

/* A context on the best backend of this machine. Freed with talloc_free(), also from inside its
 * own handlers. NULL: ENOMEM, EMFILE, ENFILE. */
struct talev_context *_talev_context_init(TALLOC_CTX *mem_ctx, const char *where);
#define talev_context_init(mem_ctx) _talev_context_init(mem_ctx, TALEV_WHERE(context))

/* The same on the backend of that name; NULL is the best. NULL: EINVAL no such backend; EOPNOTSUPP
 * it cannot be had here; ENOMEM, EMFILE, ENFILE. */
struct talev_context *_talev_context_init_byname(
	TALLOC_CTX *mem_ctx, const char *backend, const char *where);
#define talev_context_init_byname(mem_ctx, backend)                                                \
	_talev_context_init_byname(mem_ctx, backend, TALEV_WHERE(context))

/* The names of the backends to be had here, best first, NULL at the end; a talloc array. NULL:
 * ENOMEM. Any thread. */
const char **talev_backend_list(TALLOC_CTX *mem_ctx);

/* The name of the context's backend. */
const char *talev_context_get_backend(const struct talev_context *ev);

/* For a child of fork(2) that wants nothing of its parent's events: every source goes inert, its
 * finalizer runs, the kernel's objects are made anew and are this process's own. Close functions
 * of descriptors are not called. Without this call a child that uses the context goes on with all
 * its sources, on kernel objects of its own. -1: ENOMEM, EMFILE, ENFILE; the context is empty then
 * and can only be freed or re-initialised again. EINVAL, ESHUTDOWN: nothing changed. */
int talev_re_initialise(struct talev_context *ev);

/* A descriptor that polls readable whenever a turn has something to do; from now on interest
 * changes reach the kernel at once. The context keeps owning it. -1: EOPNOTSUPP by this backend;
 * ESHUTDOWN; ENOMEM, EMFILE. */
int talev_context_get_fd(struct talev_context *ev);

/* True: tevent's exact order and no bounded shares: immediates go before timers go before
 * descriptors, even if descriptors starve. False by default. */
void talev_context_set_strict(struct talev_context *ev, bool strict);

/* Measure the time that handlers and turns take; off by default (costs two clock readings each).
 * See talev/latency.h. */
void talev_context_set_timing(struct talev_context *ev, bool on);

/* Report each handler that runs for longer than this many ns, by name, through the log hook.
 * 0 is off. */
void talev_context_set_slow_handler(struct talev_context *ev, talev_time_t threshold);

/* Before the loop sleeps, look about for up to longest ns for messages of other threads, signals
 * and descriptors: they are noticed sooner, and their senders need not wake it, at the price of a
 * CPU that works meanwhile. Rests by itself while it is in vain, where there is one CPU, and while
 * timers of other clocks than the monotonic one are armed. 0, the default, is off. -1: EINVAL
 * negative. */
int talev_context_set_spin(struct talev_context *ev, talev_time_t longest);

/* Where messages about this context go, instead of to the log hook of the process, which NULL puts
 * back. Misuse still goes to that hook. Called on the thread of the context. */
void talev_context_set_log_fn(struct talev_context *ev, talev_log_fn_t fn, void *private_data);

/* The innermost source whose handler is running on this thread, or NULL if none is, if it was
 * freed meanwhile, or if it is a finalizer. Any thread, about itself. */
void *talev_running(void);

#ifdef __cplusplus
}
#endif

#endif
