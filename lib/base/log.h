/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <talev/log.h>

/* One line to the log hook. Cut at 1,000 bytes; allocates nothing. Keeps errno. */
void base_log(enum talev_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Reports misuse and calls the abort hook; returns if that returns. Keeps errno. */
void base_misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
