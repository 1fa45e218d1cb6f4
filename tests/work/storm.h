/* SPDX-License-Identifier: BSD-2-Clause */
/* Many jobs, and what they count. */
#ifndef WORK_STORM_H
#define WORK_STORM_H

#include "work/jobs.h"

/* A storm of jobs, so many in flight at a time. */
struct storm {
	struct talev_context *ev;
	struct talev_jobq *jobq;
	unsigned left;
	unsigned in_flight;
	unsigned done;
	unsigned refused;
	unsigned parked; /* to be sent again when another is done */
	void (*sometimes)(struct storm *storm);
};

static atomic_uint running;
static atomic_uint most_running;
static atomic_uint total;

static inline int measured(struct talev_job *job, void *data)
{
	unsigned now = atomic_fetch_add(&running, 1) + 1;
	unsigned most = atomic_load(&most_running);

	(void)job;
	(void)data;
	while (now > most && !atomic_compare_exchange_weak(&most_running, &most, now)) {
	}
	if (now % 4 == 0)
		sched_yield();
	atomic_fetch_add(&total, 1);
	atomic_fetch_sub(&running, 1);
	return 0;
}

static inline void storm_ended(struct talev_req *req);

static inline void storm_send(struct storm *storm)
{
	struct talev_req *req = talev_job_send(test_root(), storm->ev, storm->jobq, measured, NULL);

	assert_non_null(req);
	talev_req_set_callback(req, storm_ended, storm);
	storm->in_flight++;
}

static inline void storm_ended(struct talev_req *req)
{
	struct storm *storm = talev_req_callback_data_void(req);
	int rc = talev_job_recv(req, NULL, NULL);

	storm->in_flight--;
	if (rc == 0) {
		storm->done++;
	} else {
		assert_int_equal(errno, EAGAIN);
		storm->refused++;
		storm->parked++;
	}
	talloc_free(req);
	if (storm->sometimes != NULL)
		storm->sometimes(storm);
	if (rc != 0)
		return;
	if (storm->parked > 0) {
		storm->parked--;
		storm_send(storm);
	}
	if (storm->left > 0) {
		storm->left--;
		storm_send(storm);
	}
}

static inline void storm_run(struct storm *storm, unsigned at_a_time)
{
	atomic_store(&running, 0);
	atomic_store(&most_running, 0);
	atomic_store(&total, 0);
	while (storm->left > 0 && storm->in_flight < at_a_time) {
		storm->left--;
		storm_send(storm);
	}
	test_run(storm->ev);
}

#endif
