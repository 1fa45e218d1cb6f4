/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_RETIRE_H
#define TALEV_RETIRE_H

#include <talloc.h>
#include <talev/source.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Frees the talloc tree at ptr when no handler that may have found it is running any more: when
 * every loop of every manager in the process has left the handler it was in, and every section that
 * had been entered has been left. It is taken out of its tree now, and freed on the calling thread,
 * which runs a loop; that loop does not end before. Allocates nothing. -1, nothing changed: EINVAL
 * ptr is NULL, or this thread runs no loop; EBUSY ptr has talloc references; ESHUTDOWN the loop has
 * ended, and this is a destructor in it. */
int talev_retire(void *ptr);

/* For a thread that runs no loop, and for what lasts longer than a handler: what it finds from now
 * on is not freed by talev_retire() until the section is left, by talloc_free(). Any thread;
 * sections may overlap in any way. NULL: ENOMEM. */
struct talev_section;
struct talev_section *_talev_section_enter(
	TALLOC_CTX *mem_ctx, const char *name, const char *location);
#define talev_section_enter(mem_ctx, name) _talev_section_enter(mem_ctx, name, __location__)

/* Something that has been retired for that long is told to the log hook, with the name of what it
 * waits for, and again each time as much has passed; 10 s by default, TALEV_NEVER: never. For what
 * is retired from now on. Any thread. -1: EINVAL not positive. */
int talev_retire_set_patience(talev_time_t patience);

#ifdef __cplusplus
}
#endif

#endif
