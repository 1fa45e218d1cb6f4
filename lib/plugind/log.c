/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <talev/log.h>

#include "plugind/log.h"

/* Any thread logs; the daemon's says how. */
static atomic_bool use_syslog;
static _Atomic enum talev_log_level threshold = TALEV_LOG_INFO;

static const struct {
	const char *name;
	const char *label;
	int priority;
} levels[] = {
	[TALEV_LOG_FATAL] = {"fatal", "fatal: ", LOG_CRIT},
	[TALEV_LOG_ERROR] = {"error", "error: ", LOG_ERR},
	[TALEV_LOG_WARNING] = {"warning", "warning: ", LOG_WARNING},
	[TALEV_LOG_INFO] = {"info", "", LOG_INFO},
};

static void library_message(enum talev_log_level level, const char *message, void *private_data)
{
	(void)private_data;
	log_message(level, "%s", message);
}

void log_open(bool to_syslog, enum talev_log_level level)
{
	static bool hooked; /* not once more: other threads may be using it */

	if (to_syslog && !use_syslog)
		openlog("talevd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	use_syslog = to_syslog;
	threshold = level;
	if (!hooked)
		talev_set_log_fn(library_message, NULL);
	hooked = true;
}

void log_clean(char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c == 0x7f)
			*text = '?';
	}
}

void log_vmessage(
	enum talev_log_level level, const char *source, const char *format, va_list arguments)
{
	char line[2048];
	const char *colon = source ? ": " : "";

	if (level > threshold)
		return;
	if (!source)
		source = "";
	vsnprintf(line, sizeof(line), format, arguments);
	log_clean(line);
	if (use_syslog)
		syslog(levels[level].priority, "%s%s%s%s", source, colon, levels[level].label,
			line);
	else
		fprintf(stderr, "talevd: %s%s%s%s\n", source, colon, levels[level].label, line);
}

void log_message(enum talev_log_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_vmessage(level, NULL, format, arguments);
	va_end(arguments);
}

int log_level_parse(const char *name, enum talev_log_level *level)
{
	static const enum talev_log_level choices[] = {
		TALEV_LOG_ERROR, TALEV_LOG_WARNING, TALEV_LOG_INFO};
	size_t i;

	for (i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		if (strcmp(name, levels[choices[i]].name) == 0) {
			*level = choices[i];
			return 0;
		}
	}
	return -1;
}
