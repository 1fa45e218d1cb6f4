/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON (RFC 8259). By hand: a library for writing it would become a dependency of every daemon for
 * the lines below. Names come from users and from descriptors of any origin, so a string may hold
 * anything.
 */
#include "base/json.h"
#include <inttypes.h>
#include <string.h>

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

void json_key(struct out *out, const char *key)
{
	char last = out->used > 0 ? out->text[out->used - 1] : '\0';

	if (!out->failed && last != '{')
		out_string(out, ",");
	out_printf(out, "\"%s\":", key);
}

void json_string_at(struct out *out, const char *key, const char *value)
{
	json_key(out, key);
	put_string(out, value);
}

void json_bool_at(struct out *out, const char *key, bool value)
{
	json_key(out, key);
	out_string(out, value ? "true" : "false");
}

void json_int_at(struct out *out, const char *key, int64_t value)
{
	json_key(out, key);
	out_printf(out, "%" PRId64, value);
}

void json_uint_at(struct out *out, const char *key, uint64_t value)
{
	json_key(out, key);
	out_printf(out, "%" PRIu64, value);
}

void json_moment_at(struct out *out, const char *key, talev_time_t moment)
{
	if (moment != TALEV_NEVER) {
		json_int_at(out, key, moment);
		return;
	}
	json_key(out, key);
	out_string(out, "null");
}
