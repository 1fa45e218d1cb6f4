/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_MOVE_H
#define TALEV_MOVE_H

#include <talev/loops.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As talev_async_run(), and the descriptors' watchers, timers, immediates and children in the tree
 * go along: they are in the new loop from the time on at which fn begins, with whatever is ready or
 * due then, and not in the old one any more. Also in a handler of one of them, which must not touch
 * it afterwards. The thread that owns the tree and the context of the events, which need not be a
 * manager's. -1, nothing moved: ESHUTDOWN the loop has ended; EINVAL something else of a loop is in
 * the tree, or it has talloc references, or an event has a talev_ref or a finalizer, or a clock of
 * its own; ENOMEM. */
int _talev_move(struct talev_loop *loop, talev_loop_fn_t fn, void *private_ptr, const char *where);
#define talev_move(loop, fn, private_ptr) _talev_move(loop, fn, private_ptr, TALEV_WHERE(fn))

/* The same for one of those events and what is below it; the context of the loop owns it
 * afterwards.
 */
int talev_source_move(void *source, struct talev_loop *loop);

#ifdef __cplusplus
}
#endif

#endif
