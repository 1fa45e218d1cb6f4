/* SPDX-License-Identifier: BSD-2-Clause */
/* The log and abort hooks of the tests. */
#include <stdio.h>
#include "support/support.h"

static char text[256 * 1024];
static size_t used;
static int aborts;

static void keep(enum talev_log_level level, const char *message, void *private_data)
{
	int n = snprintf(text + used, sizeof(text) - used, "%d %s\n", (int)level, message);

	(void)private_data;
	if (n > 0 && (size_t)n < sizeof(text) - used)
		used += (size_t)n;
	else
		text[used] = '\0';
}

void test_log_capture(void)
{
	test_log_clear();
	talev_set_log_fn(keep, NULL);
}

void test_log_clear(void)
{
	used = 0;
	text[0] = '\0';
}

const char *test_log_text(void)
{
	return text;
}

int test_log_count(const char *what)
{
	int n = 0;

	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

bool test_log_contains(const char *what)
{
	return strstr(text, what) != NULL;
}

static void count_abort(const char *reason)
{
	(void)reason;
	aborts++;
}

void test_abort_capture(void)
{
	aborts = 0;
	talev_set_abort_fn(count_abort);
}

int test_abort_count(void)
{
	return aborts;
}
