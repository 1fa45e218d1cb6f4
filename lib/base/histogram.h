/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A histogram inside something else: zeroed memory is an empty one. One thread at a time writes;
 * others may read meanwhile, and see some additions and not yet others. So a load and a store count
 * as well as an atomic addition would, for less.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <talev/histogram.h>
#include "base/out.h"

/* Below 2^LINEAR every value is a bucket of its own; from there each power of two is divided. What
 * is 2^TOP ns (18 minutes) or more falls into the last bucket. */
#define HISTOGRAM_LINEAR  4
#define HISTOGRAM_TOP     40
#define HISTOGRAM_BUCKETS ((HISTOGRAM_TOP - HISTOGRAM_LINEAR + 1) << HISTOGRAM_LINEAR)

struct talev_histogram {
	_Atomic uint64_t count;
	_Atomic int64_t longest;
	_Atomic uint64_t total;
	_Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
};

#define histogram_load(p)     atomic_load_explicit((p), memory_order_relaxed)
#define histogram_store(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)

/* The leading bits of a value: where the first one is, and the LINEAR bits behind it. */
static inline size_t histogram_bucket(talev_time_t took)
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

static inline void histogram_add(struct talev_histogram *h, talev_time_t took)
{
	_Atomic uint64_t *bucket;

	if (took < 0)
		took = 0;
	bucket = &h->buckets[histogram_bucket(took)];
	histogram_store(bucket, histogram_load(bucket) + 1);
	histogram_store(&h->count, histogram_load(&h->count) + 1);
	histogram_store(&h->total, histogram_load(&h->total) + (uint64_t)took);
	if (took > histogram_load(&h->longest))
		histogram_store(&h->longest, took);
}

/* The members "count", "total", "p50", "p90", "p99", "p999", "longest", and "buckets", an array of
 * pairs. */
void histogram_json_members(struct out *out, const struct talev_histogram *h);
/* "p50 1.2us, p90 8us, p99 30us, p99.9 2ms, longest 2.1ms, of 1000" */
void histogram_text(struct out *out, const struct talev_histogram *h);

#endif
