/* SPDX-License-Identifier: BSD-2-Clause */
/* Text that grows. After a failed allocation it takes nothing more, and out_finish() says so. */
#ifndef BASE_OUT_H
#define BASE_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>

struct out {
	char *text;
	size_t used;
	size_t room;
	bool failed;
};

void out_init(struct out *out, TALLOC_CTX *mem_ctx);
void out_bytes(struct out *out, const char *bytes, size_t n);
void out_string(struct out *out, const char *string);
void out_printf(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text, or NULL with ENOMEM and nothing left. */
char *out_finish(struct out *out);

#endif
