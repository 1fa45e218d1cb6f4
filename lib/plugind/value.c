/* SPDX-License-Identifier: BSD-2-Clause */
#include <bsd/stdlib.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "plugind/value.h"

#define LONGEST (24 * 60 * TALEV_SEC(60))

int value_number(long long *number, const char *value, long long least, long long most, char *error,
	size_t size)
{
	const char *problem;

	*number = strtonum(value, least, most, &problem);
	if (!problem)
		return 0;
	snprintf(error, size, "a number from %lld to %lld", least, most);
	return -1;
}

int value_choice(
	bool *choice, const char *value, const char *no, const char *yes, char *error, size_t size)
{
	*choice = strcmp(value, yes) == 0;
	if (*choice || strcmp(value, no) == 0)
		return 0;
	snprintf(error, size, "%s or %s", no, yes);
	return -1;
}

int value_duration(talev_time_t *duration, const char *value, char *error, size_t size)
{
	static const struct {
		const char *unit;
		talev_time_t ns;
	} units[] = {{"ms", TALEV_MSEC(1)}, {"s", TALEV_SEC(1)}, {"m", TALEV_SEC(60)}};
	char *unit = NULL;
	long number = isdigit((unsigned char)value[0]) ? strtol(value, &unit, 10) : 0;
	size_t i;

	for (i = 0; number > 0 && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].unit) != 0 || number > LONGEST / units[i].ns)
			continue;
		*duration = number * units[i].ns;
		return 0;
	}
	snprintf(error, size, "a time as 250ms, 5s or 2m");
	return -1;
}

int value_limit(talev_time_t *limit, const char *value, char *error, size_t size)
{
	*limit = TALEV_NEVER;
	if (strcmp(value, "no") == 0 || value_duration(limit, value, error, size) == 0)
		return 0;
	snprintf(error, size, "no, or a time as 250ms, 5s or 2m");
	return -1;
}
