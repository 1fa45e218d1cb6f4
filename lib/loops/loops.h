/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loops: managers of loops and their threads, calls from thread to thread, moves, safe memory.
 *
 * Owns the threads of the loops, one context for each, and its door: a mailbox, which outlives the
 * context for those who may still knock. The neighbours come in by the public headers.
 *
 * A manager is IDLE, RUNNING or ENDED. Its loops belong to the thread that made it while it is
 * idle, and each to its own thread while it runs. Between calls: a loop that has not ended has a
 * context and takes what is sent; one that has ended has neither.
 */
#ifndef LOOPS_LOOPS_H
#define LOOPS_LOOPS_H

#include <talev/loops.h>

#endif
