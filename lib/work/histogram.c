/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Histograms of times. The bucket of a value is its leading bits: where the first one is, and the
 * LINEAR bits behind it. There is one writer, so that a load and a store count as well as an atomic
 * addition would, for less.
 */
#include "work/histogram.h"

#include <errno.h>
#include "base/json.h"

#define load(p)     atomic_load_explicit((p), memory_order_relaxed)
#define store(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)

static size_t bucket_of(talev_time_t took)
{
	uint64_t v = (uint64_t)took;
	int top;

	if (v < 1u << HISTOGRAM_LINEAR)
		return (size_t)v;
	top = 63 - __builtin_clzll(v);
	if (top >= HISTOGRAM_TOP)
		return HISTOGRAM_BUCKETS - 1;
	return (size_t)(top - HISTOGRAM_LINEAR) * (1u << HISTOGRAM_LINEAR) +
	       (size_t)(v >> (top - HISTOGRAM_LINEAR));
}

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

void histogram_add(struct talev_histogram *h, talev_time_t took)
{
	_Atomic uint64_t *bucket;

	if (took < 0)
		took = 0;
	bucket = &h->buckets[bucket_of(took)];
	store(bucket, load(bucket) + 1);
	store(&h->count, load(&h->count) + 1);
	if (took > load(&h->longest))
		store(&h->longest, took);
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
	if (load(&from->longest) > load(&h->longest))
		store(&h->longest, load(&from->longest));
}

void talev_histogram_clear(struct talev_histogram *h)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		store(&h->buckets[i], 0);
	store(&h->count, 0);
	store(&h->longest, 0);
}

uint64_t talev_histogram_count(const struct talev_histogram *h)
{
	return load(&h->count);
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

void histogram_time_text(struct out *out, talev_time_t t)
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	double value = (double)t;
	size_t unit = 0;

	while (value >= 1000 && unit < 3) {
		value /= 1000;
		unit++;
	}
	out_printf(out, "%.3g%s", value, units[unit]);
}

void histogram_text(struct out *out, const struct talev_histogram *h)
{
	out_string(out, "p50 ");
	histogram_time_text(out, talev_histogram_quantile(h, 0.5));
	out_string(out, ", p99 ");
	histogram_time_text(out, talev_histogram_quantile(h, 0.99));
	out_string(out, ", longest ");
	histogram_time_text(out, talev_histogram_longest(h));
	out_printf(out, ", of %llu", (unsigned long long)talev_histogram_count(h));
}

char *talev_histogram_text(TALLOC_CTX *mem_ctx, const struct talev_histogram *h)
{
	struct out out;

	out_init(&out, mem_ctx);
	histogram_text(&out, h);
	return out_finish(&out);
}
