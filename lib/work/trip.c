/* SPDX-License-Identifier: BSD-2-Clause */
/* A job on its way, on the loop's side. */
#include "work/trip.h"
#include "work/forks.h"

static struct outcome *orphans; /* of parents: nobody may touch or free them in a child; by next */

static bool is_parents(const struct talev_job *job)
{
	return job->generation != fork_generation();
}

/* Another thread of the parent may have been at work on it. */
static void orphan(struct talev_job *job)
{
	job->out.next = orphans;
	orphans = &job->out;
}

int trip_begin(struct trip *trip, struct hub *hub, const char *class_name)
{
	struct talev_job *job = trip->job;
	int error;

	hub_expect(hub, &job->out, &trip->awaited);
	job->trip = trip;
	trip->on_its_way = true;
	error = job_push(job, class_name);
	if (error != 0) {
		hub_forget(&job->out);
		trip->on_its_way = false;
	}
	return error;
}

bool trip_withdraw(struct trip *trip)
{
	struct talev_job *job = trip->job;

	if (is_parents(job)) {
		hub_forget(&job->out);
		orphan(job);
		trip->job = NULL;
	} else if (job_withdraw(job)) {
		hub_forget(&job->out);
	} else {
		atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
		return false;
	}
	trip->on_its_way = false;
	return true;
}

void trip_end(struct trip *trip)
{
	if (trip_withdraw(trip))
		return;
	hub_abandon(&trip->job->out);
	trip->job->trip = NULL;
	trip->job = NULL;
	trip->on_its_way = false;
}

static void deliver(struct outcome *outcome)
{
	struct talev_job *job = (struct talev_job *)outcome;
	struct trip *trip = job->trip;

	if (trip == NULL) {
		job_free(job, true);
		return;
	}
	trip->on_its_way = false;
	trip->back(trip, false);
}

static void lost(struct outcome *outcome)
{
	job_free((struct talev_job *)outcome, true);
}

static void forked(struct outcome *outcome)
{
	struct talev_job *job = (struct talev_job *)outcome;

	job->trip->on_its_way = false;
	job->trip->back(job->trip, true);
	orphan(job);
}

const struct outcome_ops job_outcome_ops = {.deliver = deliver, .lost = lost, .forked = forked};
