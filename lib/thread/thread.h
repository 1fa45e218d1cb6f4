/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thread: the doors between threads: mailbox, proxy, threaded immediate, weak reference.
 *
 * Owns one mailbox per context that has such a door, counted, so that it outlives the context for
 * those who may still knock. Each file is used through its public header; neighbours that bring
 * their own kind of message use thread/mailbox.h, and thread/home.h to send memory back.
 */
#ifndef THREAD_THREAD_H
#define THREAD_THREAD_H

#include <stdbool.h>
#include "thread/home.h"
#include "thread/mailbox.h"

/* May the talloc tree at ptr (NULL: none) go to another thread? False: EINVAL. If it may, the
 * handlers on the stack do not know it any more. The thread that owns it. */
bool thread_may_cross(const void *ptr);

#endif
