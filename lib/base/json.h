/* SPDX-License-Identifier: BSD-2-Clause */
/* Members of a JSON object, with the comma before them where one is due. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <talev/time.h>
#include "base/out.h"

/* The key alone: the value follows. */
void json_key(struct out *out, const char *key);
/* value may hold anything: what is not UTF-8 is replaced. */
void json_string_at(struct out *out, const char *key, const char *value);
void json_bool_at(struct out *out, const char *key, bool value);
void json_int_at(struct out *out, const char *key, int64_t value);
void json_uint_at(struct out *out, const char *key, uint64_t value);
/* Integer nanoseconds; TALEV_NEVER is null. */
void json_moment_at(struct out *out, const char *key, talev_time_t moment);

#endif
