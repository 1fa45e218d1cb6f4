/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * P14: jobs for other threads, arg[0] in all, arg[1] at a time: whoever is back is sent again. All
 * that a job does is to count, so what is measured is the way there and back. Before them as many
 * as may be on their way, but at least a thousand, as a rehearsal.
 *
 * The variant tells how many threads there are; the column counts the best.
 */
#ifndef BENCH_JOBS_H
#define BENCH_JOBS_H

#include "bench/bench.h"

/* What the job has to do, and what comes of it. */
struct work {
	uint64_t number;
	uint64_t result;
	int64_t sent; /* at this moment */
};

static uint64_t jobs_sent, jobs_back, jobs_before, jobs_all;
static int64_t *trips; /* how long each was away, if there is one at a time */

static inline unsigned job_threads(void)
{
	return strstr(variant, "two") ? 2 : 1;
}

/* How many are to be sent at first. */
static inline uint64_t first_jobs(void)
{
	need(arg[0] >= arg[1] && arg[1] >= 1);
	jobs_before = arg[1] > 1000 ? arg[1] : 1000;
	jobs_all = jobs_before + arg[0];
	if (arg[1] == 1)
		trips = take(arg[0] * sizeof(*trips));
	return arg[1];
}

/* On the loop's thread, before the job is sent. */
static inline void describe_job(struct work *work)
{
	work->number = jobs_sent++;
	work->result = 0;
	if (trips != NULL)
		work->sent = nanoseconds();
}

/* On the other thread. */
static inline void do_job(struct work *work)
{
	work->result = work->number + 1;
}

/* On the loop's thread: the job is back. True: it is sent again. False: see all_jobs_back(). */
static inline bool job_is_back(struct work *work)
{
	need(work->result == work->number + 1);
	if (jobs_back >= jobs_before && trips != NULL)
		trips[jobs_back - jobs_before] = nanoseconds() - work->sent;
	if (++jobs_back == jobs_before)
		begin();
	if (jobs_back == jobs_all)
		end();
	return jobs_sent < jobs_all;
}

static inline bool all_jobs_back(void)
{
	return jobs_back == jobs_all;
}

static inline void end_jobs(void)
{
	need(all_jobs_back());
	tell("ns", (double)section.wall / (double)arg[0]);
	tell("loop", (double)section.cpu / (double)arg[0]);
	tell("count", (double)(jobs_back - jobs_before));
	if (trips != NULL)
		tell_quantiles(trips, arg[0]);
}

#endif
