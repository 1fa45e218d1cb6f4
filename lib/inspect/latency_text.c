/* SPDX-License-Identifier: BSD-2-Clause */
/* How long handlers took, as a table for people. */
#include "inspect/inspect.h"
#include "inspect/table.h"
#include "base/latency.h"

enum column { WHAT, CALLS, P50, P90, P99, P999, LONGEST, TOTAL, LOCATION, COLUMNS };

static const char *const heading[] = {
	"HANDLER", "CALLS", "P50", "P90", "P99", "P99.9", "LONGEST", "TOTAL", "LOCATION"};

#define NUMBERS                                                                                    \
	(1u << CALLS | 1u << P50 | 1u << P90 | 1u << P99 | 1u << P999 | 1u << LONGEST | 1u << TOTAL)

static void put(struct table *table, const char *name, const struct talev_histogram *h,
	const char *location)
{
	static const double shares[] = {0.5, 0.9, 0.99, 0.999};
	const char **row = table_row(table);

	if (row == NULL)
		return;
	row[WHAT] = table_name(table, name);
	row[CALLS] = table_number(table, talev_histogram_count(h));
	for (int i = 0; i < 4; i++)
		row[P50 + i] = table_duration(table, talev_histogram_quantile(h, shares[i]));
	row[LONGEST] = table_duration(table, talev_histogram_longest(h));
	row[TOTAL] = table_duration(table, talev_histogram_total(h));
	row[LOCATION] = table_name(table, location);
}

void inspect_latency_text(struct out *out, const struct talev_latency *latency)
{
	size_t count = talev_latency_count(latency);
	struct table table;

	table_init(&table, out->text, heading, COLUMNS, NUMBERS, count + 3);
	for (size_t i = 0; i < count; i++)
		put(&table, latency->list[i]->name, &latency->list[i]->times,
			latency->list[i]->location);
	put(&table, "all handlers", &latency->handlers, "-");
	put(&table, "turns", &latency->turns, "-");
	put(&table, "timers late by", &latency->delays, "-");
	table_put(out, &table);
}

char *talev_latency_text(TALLOC_CTX *mem_ctx, const struct talev_latency *latency)
{
	struct out out;

	out_init(&out, mem_ctx);
	out_string(&out, "-");
	inspect_latency_text(&out, latency);
	return out_finish(&out);
}
