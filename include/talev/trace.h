/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_TRACE_H
#define TALEV_TRACE_H

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;

enum talev_trace_point {
	TALEV_TRACE_BEFORE_TURN,
	TALEV_TRACE_AFTER_TURN,
	TALEV_TRACE_BEFORE_WAIT, /* right before and after the kernel's wait */
	TALEV_TRACE_AFTER_WAIT,
	TALEV_TRACE_BEFORE_HANDLER,
	TALEV_TRACE_AFTER_HANDLER, /* source is NULL if it was freed in its handler */
	TALEV_TRACE_ATTACH,        /* a source came into the context, or was scheduled in it */
	TALEV_TRACE_DETACH,        /* a source leaves it */
};

/* source: the fd, timer, signal, immediate or child, where there is one; ask it for its name, tag
 * and location. Must not free it, nor run a loop of ev. */
typedef void (*talev_trace_fn_t)(
	struct talev_context *ev, enum talev_trace_point point, void *source, void *private_data);

/* Has fn called at every trace point of ev; NULL takes it away. Owner's thread. */
void talev_context_set_trace(struct talev_context *ev, talev_trace_fn_t fn, void *private_data);

#ifdef __cplusplus
}
#endif

#endif
