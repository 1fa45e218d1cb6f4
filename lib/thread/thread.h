/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thread: the doors between threads: mailbox, proxy, threaded immediate, weak reference.
 *
 * Owns one mailbox per context that has such a door, counted, so that it outlives the context for
 * those who may still knock. Each file is used through its public header; neighbours that bring
 * their own kind of message use thread/mailbox.h.
 */
#ifndef THREAD_THREAD_H
#define THREAD_THREAD_H

#include <stdbool.h>
#include <stdlib.h>
#include "thread/mailbox.h"

/* May the talloc tree at ptr (NULL: none) go to another thread? False: EINVAL. If it may, the
 * handlers on the stack do not know it any more. The thread that owns it. */
bool thread_may_cross(const void *ptr);

/* talloc's own part of a chunk. Another value would only make the list longer than it is worth. */
#define THREAD_HEADER 96
/* What the allocator's cache does not keep is not worth the way. */
#define THREAD_LARGEST ((size_t)1024)

/* Memory like that of a talloc chunk of that size, which has just been freed: to go home, see
 * thread/home.h, where free() is for it. NULL: none that is worth the way. */
static inline void *thread_alike(size_t size)
{
	return size + THREAD_HEADER <= THREAD_LARGEST ? malloc(size + THREAD_HEADER) : NULL;
}

#endif
