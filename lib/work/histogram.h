/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A histogram inside something else: zeroed memory is an empty one. One thread at a time writes;
 * others may read meanwhile, and see some additions and not yet others.
 */
#ifndef WORK_HISTOGRAM_H
#define WORK_HISTOGRAM_H

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
	_Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct talev_histogram *h, talev_time_t took);
/* The members "count", "p50", "p90", "p99", "p999", "longest", and "buckets", an array of pairs. */
void histogram_json_members(struct out *out, const struct talev_histogram *h);
/* "p50 1.2us, p99 30us, longest 2.1ms, of 1000" */
void histogram_text(struct out *out, const struct talev_histogram *h);
/* A moment's length for people, with three digits. */
void histogram_time_text(struct out *out, talev_time_t t);

#endif
