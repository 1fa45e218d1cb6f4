/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base: time, the deadline queue, log and abort hooks, system calls that tests can fail; JSON and
 * the text that it is written into, and how long things take, which are included where they are
 * needed.
 *
 * Owns nothing but the process-wide hooks. Any thread may call anything here, except that a
 * struct timerq belongs to one thread.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include "base/clock.h"
#include "base/fork.h"
#include "base/likely.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/timerq.h"

#endif
