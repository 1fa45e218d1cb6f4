/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_VALUE_H
#define PLUGIND_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <talev/time.h>

/* What stands behind a key. These return -1 if it is something else, and say in error what they
 * would have taken. */

int value_number(long long *number, const char *value, long long least, long long most, char *error,
	size_t size);

/* True: it is yes; false: it is no. */
int value_choice(
	bool *choice, const char *value, const char *no, const char *yes, char *error, size_t size);

/* 250ms, 5s, 2m: 1 ms to 24 hours. */
int value_duration(talev_time_t *duration, const char *value, char *error, size_t size);

/* The same, or no, which is TALEV_NEVER. */
int value_limit(talev_time_t *limit, const char *value, char *error, size_t size);

#endif
