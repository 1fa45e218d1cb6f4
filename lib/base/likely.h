/* SPDX-License-Identifier: BSD-2-Clause */
/* Which way the path of every event goes, so that it lies in one piece. For nothing else. */
#ifndef BASE_LIKELY_H
#define BASE_LIKELY_H

#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#endif
