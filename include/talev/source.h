/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_SOURCE_H
#define TALEV_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include <talloc.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What every talev object has in common. "source" is any of them: struct talev_fd, talev_timer,
 * talev_signal, talev_immediate, talev_child, or a talev_context itself. Anything else is refused
 * with EINVAL. All of these are for the owner's thread. */

enum talev_state {
	TALEV_LIVE,      /* may be armed, its handler may run */
	TALEV_CLOSING,   /* inert: its handler never starts again, its finalizer is still to run */
	TALEV_FINALIZED, /* inert, and no handler or finalizer of it is left to run */
};

/* Statistics of one source. Times are counted while talev_context_set_timing() is on. */
struct talev_stats {
	uint64_t calls;            /* how often the handler was started */
	talev_time_t time_total;   /* ns spent in the handler */
	talev_time_t time_longest; /* ns of its longest run; saturates at about 4.29 s */
};

/* Handler name and call site in one literal: two strings, one after the other. */
#define TALEV_WHERE(handler) #handler "\0" __location__

/* LIVE, CLOSING or FINALIZED; EINVAL gives FINALIZED. */
enum talev_state talev_source_get_state(const void *source);

/* The context that the source is armed in, or NULL if it has none (any more). */
struct talev_context *talev_source_get_context(const void *source);

/* A name of its own in place of the handler's; copied. NULL takes it back. -1: ENOMEM, EINVAL. */
int talev_source_set_name(void *source, const char *name);

/* The name, or the name of its handler's function as written in the call. Never NULL. */
const char *talev_source_get_name(const void *source);

/* "file:line" of the call that made the source. Never NULL. */
const char *talev_source_get_location(const void *source);

/* 64 bits for the user. 0 by default. -1: ENOMEM, EINVAL. */
int talev_source_set_tag(void *source, uint64_t tag);
uint64_t talev_source_get_tag(const void *source);

/* A disabled source keeps all its settings, and its handler does not run. What happens meanwhile
 * is told afterwards where it lasts (readiness, a passed deadline, an exited child) and lost
 * where it does not (a signal). -1: EINVAL (a context), ESTALE. */
int talev_source_set_enabled(void *source, bool enabled);
bool talev_source_get_enabled(const void *source);

/* Fills *stats. -1: EINVAL. */
int talev_source_get_stats(const void *source, struct talev_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
