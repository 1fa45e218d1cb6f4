/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_HISTOGRAM_H
#define TALEV_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How often something took how long: 16 buckets for each power of two nanoseconds, so that what it
 * says is at most a sixteenth too high. One talloc chunk of fixed size, which knows no other:
 * belongs to one thread, and may be sent to another. */
struct talev_histogram;

/* Empty. NULL: ENOMEM. */
struct talev_histogram *talev_histogram_create(TALLOC_CTX *mem_ctx);

/* One more that took that long; what is negative counts as 0. */
void talev_histogram_add(struct talev_histogram *h, talev_time_t took);

/* All that is in from as well. */
void talev_histogram_merge(struct talev_histogram *h, const struct talev_histogram *from);

/* Empties it. */
void talev_histogram_clear(struct talev_histogram *h);

uint64_t talev_histogram_count(const struct talev_histogram *h);

/* All of them together. */
talev_time_t talev_histogram_total(const struct talev_histogram *h);

/* The longest, exactly. */
talev_time_t talev_histogram_longest(const struct talev_histogram *h);

/* That share of all took no longer: 0.5 is the median, 0.99 the 99th percentile. 0 if it is empty.
 */
talev_time_t talev_histogram_quantile(const struct talev_histogram *h, double share);

/* The next bucket after *i (0 at first) that is not empty: *most is the longest time that falls
 * into it, *count how many did. False: there is none. */
bool talev_histogram_next(
	const struct talev_histogram *h, size_t *i, talev_time_t *most, uint64_t *count);

/* One line for people, or one JSON object. NULL: ENOMEM. */
char *talev_histogram_text(TALLOC_CTX *mem_ctx, const struct talev_histogram *h);
char *talev_histogram_json(TALLOC_CTX *mem_ctx, const struct talev_histogram *h);

#ifdef __cplusplus
}
#endif

#endif
