/* SPDX-License-Identifier: BSD-2-Clause */
/* Histograms of times: merging, reading, text and JSON. */
#include "base/histogram.h"

#include <errno.h>
#include "base/json.h"

#define load  histogram_load
#define store histogram_store

/* The longest time that falls into it. */
static talev_time_t most_of(const struct talev_histogram *h, size_t bucket)
{
	size_t octave = bucket >> HISTOGRAM_LINEAR;
	uint64_t digits = bucket & ((1u << HISTOGRAM_LINEAR) - 1);

	if (bucket == HISTOGRAM_BUCKETS - 1)
		return load(&h->longest);
	if (octave == 0)
		return (talev_time_t)digits;
	return (talev_time_t)(((digits | 1u << HISTOGRAM_LINEAR) + 1) << (octave - 1)) - 1;
}

struct talev_histogram *talev_histogram_create(TALLOC_CTX *mem_ctx)
{
	struct talev_histogram *h = talloc_zero(mem_ctx, struct talev_histogram);

	if (h == NULL)
		errno = ENOMEM;
	return h;
}

void talev_histogram_add(struct talev_histogram *h, talev_time_t took)
{
	histogram_add(h, took);
}

void talev_histogram_merge(struct talev_histogram *h, const struct talev_histogram *from)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		store(&h->buckets[i], load(&h->buckets[i]) + load(&from->buckets[i]));
	store(&h->count, load(&h->count) + load(&from->count));
	store(&h->total, load(&h->total) + load(&from->total));
	if (load(&from->longest) > load(&h->longest))
		store(&h->longest, load(&from->longest));
}

void talev_histogram_clear(struct talev_histogram *h)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		store(&h->buckets[i], 0);
	store(&h->count, 0);
	store(&h->total, 0);
	store(&h->longest, 0);
}

uint64_t talev_histogram_count(const struct talev_histogram *h)
{
	return load(&h->count);
}

talev_time_t talev_histogram_total(const struct talev_histogram *h)
{
	return (talev_time_t)load(&h->total);
}

talev_time_t talev_histogram_longest(const struct talev_histogram *h)
{
	return load(&h->longest);
}

talev_time_t talev_histogram_quantile(const struct talev_histogram *h, double share)
{
	double wanted = share * (double)load(&h->count);
	uint64_t seen = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		talev_time_t most;

		seen += load(&h->buckets[i]);
		if (seen == 0 || (double)seen < wanted)
			continue;
		most = most_of(h, i);
		return most < load(&h->longest) ? most : load(&h->longest);
	}
	return load(&h->longest);
}

bool talev_histogram_next(
	const struct talev_histogram *h, size_t *i, talev_time_t *most, uint64_t *count)
{
	while (*i < HISTOGRAM_BUCKETS) {
		size_t bucket = (*i)++;

		*count = load(&h->buckets[bucket]);
		if (*count == 0)
			continue;
		*most = most_of(h, bucket);
		return true;
	}
	return false;
}

void histogram_json_members(struct out *out, const struct talev_histogram *h)
{
	const char *comma = "";
	talev_time_t most;
	uint64_t count;
	size_t i = 0;

	json_uint_at(out, "count", talev_histogram_count(h));
	json_int_at(out, "total", talev_histogram_total(h));
	json_int_at(out, "p50", talev_histogram_quantile(h, 0.5));
	json_int_at(out, "p90", talev_histogram_quantile(h, 0.9));
	json_int_at(out, "p99", talev_histogram_quantile(h, 0.99));
	json_int_at(out, "p999", talev_histogram_quantile(h, 0.999));
	json_int_at(out, "longest", talev_histogram_longest(h));
	json_key(out, "buckets");
	out_string(out, "[");
	for (; talev_histogram_next(h, &i, &most, &count); comma = ",")
		out_printf(out, "%s[%lld,%llu]", comma, (long long)most, (unsigned long long)count);
	out_string(out, "]");
}

char *talev_histogram_json(TALLOC_CTX *mem_ctx, const struct talev_histogram *h)
{
	struct out out;

	out_init(&out, mem_ctx);
	out_string(&out, "{");
	histogram_json_members(&out, h);
	out_string(&out, "}");
	return out_finish(&out);
}

static void put_time(struct out *out, talev_time_t t)
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	double value = (double)t;
	size_t unit = 0;

	while (value >= 1000 && unit < 3) {
		value /= 1000;
		unit++;
	}
	out_printf(out, "%.3g %s", value, units[unit]);
}

void histogram_text(struct out *out, const struct talev_histogram *h)
{
	static const struct {
		const char *name;
		double share;
	} shares[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		out_printf(out, "%s ", shares[i].name);
		put_time(out, talev_histogram_quantile(h, shares[i].share));
		out_string(out, ", ");
	}
	out_string(out, "longest ");
	put_time(out, talev_histogram_longest(h));
	out_printf(out, ", of %llu", (unsigned long long)talev_histogram_count(h));
}

char *talev_histogram_text(TALLOC_CTX *mem_ctx, const struct talev_histogram *h)
{
	struct out out;

	out_init(&out, mem_ctx);
	histogram_text(&out, h);
	return out_finish(&out);
}
