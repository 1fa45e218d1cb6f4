/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot as JSON (RFC 8259). By hand: a library for writing it would become a dependency of
 * every daemon for the lines below. Times are integers of nanoseconds, a moment that never comes
 * is null. Names come from users and from descriptors of any origin, so a string may hold anything.
 */
#include "inspect/inspect.h"
#include <inttypes.h>
#include <string.h>
#include "inspect/out.h"
#include <talev/fd.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* How many bytes the UTF-8 sequence at s has; 0 if it is none (RFC 3629: no surrogates, nothing
 * overlong, nothing above U+10FFFF). */
static size_t utf8_length(const unsigned char *s)
{
	unsigned char least = 0x80;
	unsigned char most = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		least = 0xa0;
	if (s[0] == 0xf0)
		least = 0x90;
	if (s[0] == 0xed)
		most = 0x9f;
	if (s[0] == 0xf4)
		most = 0x8f;
	if (s[1] < least || s[1] > most)
		return 0;
	/* The string's end is no continuation byte, so this does not read beyond it. */
	for (size_t i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static void put_string(struct out *out, const char *string)
{
	const unsigned char *s = (const unsigned char *)string;

	out_string(out, "\"");
	while (*s != '\0') {
		size_t n = utf8_length(s);

		if (n == 0)
			out_string(out, REPLACEMENT);
		else if (*s == '"' || *s == '\\')
			out_printf(out, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			out_printf(out, "\\u%04x", *s);
		else
			out_bytes(out, (const char *)s, n);
		s += n > 0 ? n : 1;
	}
	out_string(out, "\"");
}

static void put_key(struct out *out, const char *key)
{
	char last = out->used > 0 ? out->text[out->used - 1] : '\0';

	if (!out->failed && last != '{')
		out_string(out, ",");
	out_printf(out, "\"%s\":", key);
}

static void put_string_at(struct out *out, const char *key, const char *value)
{
	put_key(out, key);
	put_string(out, value);
}

static void put_bool_at(struct out *out, const char *key, bool value)
{
	put_key(out, key);
	out_string(out, value ? "true" : "false");
}

static void put_int_at(struct out *out, const char *key, int64_t value)
{
	put_key(out, key);
	out_printf(out, "%" PRId64, value);
}

static void put_uint_at(struct out *out, const char *key, uint64_t value)
{
	put_key(out, key);
	out_printf(out, "%" PRIu64, value);
}

static void put_moment_at(struct out *out, const char *key, talev_time_t moment)
{
	if (moment != TALEV_NEVER) {
		put_int_at(out, key, moment);
		return;
	}
	put_key(out, key);
	out_string(out, "null");
}

static void put_flags_at(struct out *out, const char *key, uint16_t flags)
{
	static const struct {
		uint16_t flag;
		const char *name;
	} names[] = {
		{TALEV_FD_READ, "\"read\""},
		{TALEV_FD_WRITE, "\"write\""},
		{TALEV_FD_ERROR, "\"error\""},
		{TALEV_FD_HUP, "\"hup\""},
	};
	const char *comma = "";

	put_key(out, key);
	out_string(out, "[");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((flags & names[i].flag) == 0)
			continue;
		out_string(out, comma);
		out_string(out, names[i].name);
		comma = ",";
	}
	out_string(out, "]");
}

static const char *clock_name(enum talev_clock clock)
{
	switch (clock) {
	case TALEV_CLOCK_REALTIME:
		return "realtime";
	case TALEV_CLOCK_BOOTTIME:
		return "boottime";
	case TALEV_CLOCK_MONOTONIC:
		break;
	}
	return "monotonic";
}

static void put_special(struct out *out, const struct talev_source_info *info)
{
	if (strcmp(info->kind, "fd") == 0) {
		put_int_at(out, "fd", info->fd);
		put_flags_at(out, "flags", info->flags);
	} else if (strcmp(info->kind, "timer") == 0) {
		put_string_at(out, "clock", clock_name(info->clock));
		put_moment_at(out, "deadline", info->deadline);
		put_int_at(out, "period", info->period);
	} else if (strcmp(info->kind, "signal") == 0) {
		put_int_at(out, "signum", info->signum);
	} else if (strcmp(info->kind, "child") == 0) {
		put_int_at(out, "pid", info->pid);
	}
}

static void put_source(struct out *out, const struct talev_source_info *info)
{
	out_string(out, "{");
	put_string_at(out, "kind", info->kind);
	put_string_at(out, "name", info->name);
	put_string_at(out, "location", info->location);
	put_string_at(out, "state", inspect_state_name(info->state));
	put_bool_at(out, "enabled", info->enabled);
	put_bool_at(out, "armed", info->armed);
	put_bool_at(out, "running", info->running);
	put_special(out, info);
	put_uint_at(out, "tag", info->tag);
	put_uint_at(out, "calls", info->stats.calls);
	put_int_at(out, "time_total", info->stats.time_total);
	put_int_at(out, "time_longest", info->stats.time_longest);
	out_string(out, "}");
}

static void put_context(struct out *out, const struct talev_context_info *info)
{
	out_string(out, "{");
	put_string_at(out, "name", info->name);
	put_string_at(out, "location", info->location);
	put_string_at(out, "backend", info->backend);
	put_string_at(out, "state", inspect_state_name(info->state));
	put_int_at(out, "now", info->now);
	put_uint_at(out, "level", info->level);
	put_uint_at(out, "turns", info->turns);
	put_uint_at(out, "waits", info->waits);
	put_uint_at(out, "handlers", info->handlers);
	put_uint_at(out, "finalizers_ready", info->finalizers_ready);
	put_uint_at(out, "finalizers_pinned", info->finalizers_pinned);
	out_string(out, "}");
}

char *talev_snapshot_json(TALLOC_CTX *mem_ctx, const struct talev_snapshot *snap)
{
	struct out out;

	out_init(&out, mem_ctx);
	out_string(&out, "{\"context\":");
	put_context(&out, &snap->context);
	out_string(&out, ",\"sources\":[");
	for (size_t i = 0; i < snap->count; i++) {
		if (i > 0)
			out_string(&out, ",");
		put_source(&out, &snap->sources[i]);
	}
	out_string(&out, "]}");
	return out_finish(&out);
}
