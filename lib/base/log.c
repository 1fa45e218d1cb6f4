/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with stdio for this: it allocates, locks, keeps unwritten lines across fork(2) and
 * changes errno. A message goes out as one write(2) of one line, from the stack.
 */
#include "base/log.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MESSAGE_MAX 1000

static void log_to_stderr(enum talev_log_level level, const char *message, void *private_data);

static talev_log_fn_t log_fn = log_to_stderr;
static void *log_private_data;
static talev_abort_fn_t abort_fn;

static const char *level_name(enum talev_log_level level)
{
	switch (level) {
	case TALEV_LOG_FATAL:
		return "fatal";
	case TALEV_LOG_ERROR:
		return "error";
	case TALEV_LOG_WARNING:
		return "warning";
	case TALEV_LOG_INFO:
		break;
	}
	return "info";
}

static void log_to_stderr(enum talev_log_level level, const char *message, void *private_data)
{
	char line[MESSAGE_MAX + 32];
	ssize_t ignored;
	int length;

	(void)private_data;
	if (level > TALEV_LOG_WARNING)
		return;
	length = snprintf(line, sizeof(line), "talev: %s: %s\n", level_name(level), message);
	if (length < 0)
		return;
	if ((size_t)length >= sizeof(line)) {
		length = sizeof(line) - 1;
		line[length - 1] = '\n';
	}
	/* Where would one complain about a stderr that is closed? */
	ignored = write(STDERR_FILENO, line, (size_t)length);
	(void)ignored;
}

__attribute__((format(printf, 2, 0))) static void format_message(
	char message[MESSAGE_MAX + 1], const char *format, va_list ap)
{
	message[0] = '\0';
	vsnprintf(message, MESSAGE_MAX + 1, format, ap);
}

void base_log_to(talev_log_fn_t fn, void *private_data, enum talev_log_level level,
	const char *format, va_list ap)
{
	char message[MESSAGE_MAX + 1];
	int saved_errno = errno;

	format_message(message, format, ap);
	if (fn != NULL)
		fn(level, message, private_data);
	else
		log_fn(level, message, log_private_data);
	errno = saved_errno;
}

void base_log(enum talev_log_level level, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	base_log_to(NULL, NULL, level, format, ap);
	va_end(ap);
}

void base_misuse(const char *format, ...)
{
	char message[MESSAGE_MAX + 1];
	int saved_errno = errno;
	va_list ap;

	va_start(ap, format);
	format_message(message, format, ap);
	va_end(ap);
	log_fn(TALEV_LOG_FATAL, message, log_private_data);
	if (abort_fn == NULL)
		abort();
	abort_fn(message);
	errno = saved_errno;
}

void talev_set_log_fn(talev_log_fn_t fn, void *private_data)
{
	log_fn = fn != NULL ? fn : log_to_stderr;
	log_private_data = fn != NULL ? private_data : NULL;
}

void talev_set_abort_fn(talev_abort_fn_t fn)
{
	abort_fn = fn;
}
