/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_LOOP_H
#define TALEV_LOOP_H

#include <stdbool.h>
#include <talloc.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;

/* All of these are for the owner's thread and return 0, or -1 with errno:
 * ENOENT   nothing is left that could ever happen (once, nowait, until)
 * ELOOP    called inside a handler without talev_loop_allow_nesting(); the outer loop goes on
 * ESHUTDOWN the context was freed, or finalized, meanwhile: do not touch it again
 * or the errno of the kernel's wait, or of an interest change that the kernel refused: it stays
 * pending and the loop may be called again. */

/* One unit of work: finalizers that are due; else all pending signals; else one immediate; else
 * one due timer; else waits and runs one descriptor's handler, or one timer's. A wait that a
 * Unix signal interrupts is a unit of work. */
int _talev_loop_once(struct talev_context *ev, const char *location);
#define talev_loop_once(ev) _talev_loop_once(ev, __location__)

/* The same without waiting. -1: EAGAIN nothing is ready. */
int _talev_loop_nowait(struct talev_context *ev, const char *location);
#define talev_loop_nowait(ev) _talev_loop_nowait(ev, __location__)

/* The same, waiting for at most longest ns, also if nothing is left that could happen. -1: EAGAIN
 * nothing came; what the loop keeps to itself may end the wait early. */
int _talev_loop_timed(struct talev_context *ev, talev_time_t longest, const char *location);
#define talev_loop_timed(ev, longest) _talev_loop_timed(ev, longest, __location__)

/* Runs until no event is left or talev_loop_break() was called. */
int _talev_loop_wait(struct talev_context *ev, const char *location);
#define talev_loop_wait(ev) _talev_loop_wait(ev, __location__)

/* Runs until finished(private_data) says true, which is asked before each unit of work, or
 * talev_loop_break() was called. -1: ENOENT no event is left and it is not finished. */
int _talev_loop_until(struct talev_context *ev, bool (*finished)(void *private_data),
	void *private_data, const char *location);
#define talev_loop_until(ev, finished, private_data)                                               \
	_talev_loop_until(ev, finished, private_data, __location__)

/* Every running call of a loop on this context, at every nesting level, returns 0 after the
 * current handler. Sticky: with none running, the next call returns 0 at once. */
void talev_loop_break(struct talev_context *ev);

/* True from talev_loop_break() on, also after the call that it ended, until another outermost
 * loop call begins. */
bool talev_loop_broken(const struct talev_context *ev);

/* From now on handlers may call the loops of this context. */
void talev_loop_allow_nesting(struct talev_context *ev);

/* How many loop calls of this context are on the stack. */
unsigned talev_loop_level(const struct talev_context *ev);

/* Is there anything that could still happen: descriptors with flags, armed timers, scheduled
 * immediates, signals, children, finalizers, what other threads have sent. Disabled sources do not
 * count. */
bool talev_have_events(const struct talev_context *ev);

/* Has something come from outside (a Unix signal, a message of another thread) that goes before
 * everything else in the next turn. Costs a load or two. */
bool talev_loop_has_arrivals(const struct talev_context *ev);

#ifdef __cplusplus
}
#endif

#endif
