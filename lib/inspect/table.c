/* SPDX-License-Identifier: BSD-2-Clause */
#include "inspect/table.h"
#include <inttypes.h>
#include <string.h>

void table_init(struct table *table, TALLOC_CTX *mem_ctx, const char *const *heading,
	unsigned columns, unsigned right, size_t rows)
{
	*table = (struct table){.columns = columns, .right = right};
	if (mem_ctx != NULL)
		table->cells =
			talloc_zero_array(mem_ctx, const char *, (unsigned)(columns * (rows + 1)));
	if (table->cells == NULL) {
		table->failed = true;
		return;
	}
	memcpy(table->cells, heading, columns * sizeof(*heading));
	table->rows = 1;
}

const char **table_row(struct table *table)
{
	return table->failed ? NULL : &table->cells[table->rows++ * table->columns];
}

const char *table_text(struct table *table, const char *text)
{
	if (text == NULL)
		table->failed = true;
	return text != NULL ? text : "";
}

const char *table_number(struct table *table, uint64_t number)
{
	return table_text(table, talloc_asprintf(table->cells, "%" PRIu64, number));
}

const char *table_duration(struct table *table, talev_time_t t)
{
	return table_text(table, inspect_duration(table->cells, t));
}

const char *table_name(struct table *table, const char *name)
{
	return table_text(table, inspect_printable(table->cells, name));
}

static size_t width(const char *string)
{
	size_t n = 0;

	for (; *string != '\0'; string++)
		n += ((unsigned char)*string & 0xc0) != 0x80;
	return n;
}

static void measure(const struct table *table, size_t *widths)
{
	for (size_t i = 0; i < table->rows * table->columns; i++) {
		size_t w = width(table->cells[i]);

		if (w > widths[i % table->columns])
			widths[i % table->columns] = w;
	}
}

static void put_row(
	struct out *out, const struct table *table, const char **cells, const size_t *widths)
{
	for (unsigned c = 0; c < table->columns; c++) {
		int pad = (int)(widths[c] - width(cells[c]));

		if ((table->hidden >> c & 1) != 0)
			continue;
		if (c + 1 == table->columns)
			out_printf(out, "%s\n", cells[c]);
		else if ((table->right >> c & 1) != 0)
			out_printf(out, "%*s%s  ", pad, "", cells[c]);
		else
			out_printf(out, "%s%*s  ", cells[c], pad, "");
	}
}

void table_put(struct out *out, struct table *table)
{
	size_t widths[TABLE_COLUMNS] = {0};

	out->failed |= table->failed;
	if (!table->failed) {
		measure(table, widths);
		for (size_t i = 0; i < table->rows; i++)
			put_row(out, table, &table->cells[i * table->columns], widths);
	}
	talloc_free(table->cells);
}

static char *whole(TALLOC_CTX *mem_ctx, talev_time_t t, talev_time_t unit, const char *name)
{
	talev_time_t tenths = t % unit * 10 / unit;

	if (t / unit < 100 && tenths != 0)
		return talloc_asprintf(
			mem_ctx, "%" PRId64 ".%" PRId64 " %s", t / unit, tenths, name);
	return talloc_asprintf(mem_ctx, "%" PRId64 " %s", t / unit, name);
}

static char *two_units(TALLOC_CTX *mem_ctx, talev_time_t t, talev_time_t large,
	const char *large_name, talev_time_t small, const char *small_name)
{
	if (t % large < small)
		return talloc_asprintf(mem_ctx, "%" PRId64 " %s", t / large, large_name);
	return talloc_asprintf(mem_ctx, "%" PRId64 " %s %" PRId64 " %s", t / large, large_name,
		t % large / small, small_name);
}

char *inspect_duration(TALLOC_CTX *mem_ctx, talev_time_t t)
{
	const talev_time_t minute = TALEV_SEC(60);
	const talev_time_t hour = 60 * minute;

	if (t < TALEV_USEC(1))
		return talloc_asprintf(mem_ctx, "%" PRId64 " ns", t);
	if (t < TALEV_MSEC(1))
		return whole(mem_ctx, t, TALEV_USEC(1), "us");
	if (t < TALEV_SEC(1))
		return whole(mem_ctx, t, TALEV_MSEC(1), "ms");
	if (t < minute)
		return whole(mem_ctx, t, TALEV_SEC(1), "s");
	if (t < hour)
		return two_units(mem_ctx, t, minute, "min", TALEV_SEC(1), "s");
	if (t < 24 * hour)
		return two_units(mem_ctx, t, hour, "h", minute, "min");
	return two_units(mem_ctx, t, 24 * hour, "d", hour, "h");
}

char *inspect_printable(TALLOC_CTX *mem_ctx, const char *string)
{
	char *copy = talloc_strdup(mem_ctx, string);

	for (char *c = copy; c != NULL && *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return copy;
}
