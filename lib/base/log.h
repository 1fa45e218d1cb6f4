/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <talev/log.h>

/* One line to the log hook. Cut at 1,000 bytes; allocates nothing. Keeps errno. */
void base_log(enum talev_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The same, to fn; NULL is the log hook. */
void base_log_to(talev_log_fn_t fn, void *private_data, enum talev_log_level level,
	const char *format, va_list ap) __attribute__((format(printf, 4, 0)));

/* Reports misuse and calls the abort hook; returns if that returns. Keeps errno. */
void base_misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
