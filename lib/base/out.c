/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/out.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void grow(struct out *out, size_t room)
{
	char *text = talloc_realloc(NULL, out->text, char, room);

	if (text == NULL) {
		out->failed = true;
		return;
	}
	out->text = text;
	out->room = room;
}

void out_init(struct out *out, TALLOC_CTX *mem_ctx)
{
	*out = (struct out){.room = 1024};
	out->text = talloc_array(mem_ctx, char, out->room);
	out->failed = out->text == NULL;
}

void out_bytes(struct out *out, const char *bytes, size_t n)
{
	if (!out->failed && out->room - out->used <= n)
		grow(out, (out->room + n) * 2);
	if (out->failed)
		return;
	memcpy(out->text + out->used, bytes, n);
	out->used += n;
}

void out_string(struct out *out, const char *string)
{
	out_bytes(out, string, strlen(string));
}

void out_printf(struct out *out, const char *format, ...)
{
	char *text;
	va_list ap;

	if (out->failed)
		return;
	va_start(ap, format);
	text = talloc_vasprintf(out->text, format, ap);
	va_end(ap);
	if (text == NULL) {
		out->failed = true;
		return;
	}
	out_string(out, text);
	talloc_free(text);
}

char *out_finish(struct out *out)
{
	if (out->failed) {
		talloc_free(out->text);
		errno = ENOMEM;
		return NULL;
	}
	out->text[out->used] = '\0';
	return out->text;
}
