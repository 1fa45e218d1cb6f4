/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "tevent/context.h"

static void (*abort_hook)(const char *reason);

static void say(struct tevent_context *ev, enum tevent_debug_level level, const char *fmt,
	va_list ap) PRINTF_ATTRIBUTE(3, 0);
static void say(
	struct tevent_context *ev, enum tevent_debug_level level, const char *fmt, va_list ap)
{
	if (ev != NULL && ev->wrapper != NULL)
		ev = context_main(ev);
	if (ev == NULL || ev->debug == NULL || level > ev->debug_max)
		return;
	ev->debug(ev->debug_private, level, fmt, ap);
}

void debug_message(struct tevent_context *ev, enum tevent_debug_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(ev, level, fmt, ap);
	va_end(ap);
}

void tevent_debug(struct tevent_context *ev, enum tevent_debug_level level, const char *fmt, ...)
	PRINTF_ATTRIBUTE(3, 4);
void tevent_debug(struct tevent_context *ev, enum tevent_debug_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(ev, level, fmt, ap);
	va_end(ap);
}

void tevent_abort(struct tevent_context *ev, const char *reason);
void tevent_abort(struct tevent_context *ev, const char *reason)
{
	debug_message(ev, TEVENT_DEBUG_FATAL, "abort: %s\n", reason);
	if (abort_hook == NULL)
		abort();
	abort_hook(reason);
}

void debug_abort(struct tevent_context *ev, const char *fmt, ...)
{
	char reason[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	tevent_abort(ev, reason);
}

void tevent_set_abort_fn(void (*abort_fn)(const char *reason))
{
	abort_hook = abort_fn;
}

int tevent_set_debug(struct tevent_context *ev, tevent_debug_fn debug, void *context)
{
	if (ev->wrapper != NULL) {
		debug_abort(ev, "%s() on wrapper", __func__);
		errno = EINVAL;
		return -1;
	}
	ev->debug = debug;
	ev->debug_private = context;
	ev->debug_max = TEVENT_DEBUG_WARNING;
	return 0;
}

static void to_stderr(void *context, enum tevent_debug_level level, const char *fmt, va_list ap)
	PRINTF_ATTRIBUTE(3, 0);
static void to_stderr(void *context, enum tevent_debug_level level, const char *fmt, va_list ap)
{
	(void)context;
	if (level <= TEVENT_DEBUG_WARNING)
		vfprintf(stderr, fmt, ap);
}

int tevent_set_debug_stderr(struct tevent_context *ev)
{
	return tevent_set_debug(ev, to_stderr, ev);
}

enum tevent_debug_level tevent_set_max_debug_level(
	struct tevent_context *ev, enum tevent_debug_level max_level)
{
	enum tevent_debug_level old = ev->debug_max;

	ev->debug_max = max_level;
	return old;
}
