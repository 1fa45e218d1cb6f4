/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_LOG_H
#define PLUGIND_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <talev/log.h>

/* Until log_open() everything up to INFO goes to stderr. Also takes the library's messages. */
void log_open(bool to_syslog, enum talev_log_level level);

/* One line; control characters in it are replaced. source, if not NULL, is put before it. */
void log_vmessage(enum talev_log_level level, const char *source, const char *format,
	va_list arguments) __attribute__((format(printf, 3, 0)));
void log_message(enum talev_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The level of that name: error, warning, info. -1: no such level. */
int log_level_parse(const char *name, enum talev_log_level *level);

/* Replaces what could not be shown in a line. */
void log_clean(char *text);

#endif
