/* SPDX-License-Identifier: BSD-2-Clause */
/* The row of jobs with talev. */
#include <talloc.h>
#include <talev.h>
#include "bench/jobs.h"

static struct talev_context *ev;
static struct talev_jobq *jobq;

static int on_other_thread(struct talev_job *job, void *work)
{
	(void)job;
	do_job(work);
	return 0;
}

static void send_job(struct work *work);

static void on_job_back(struct talev_req *req)
{
	struct work *work;

	need(talev_job_recv(req, NULL, &work) == 0);
	talloc_free(req);
	if (job_is_back(work))
		send_job(work);
	else if (all_jobs_back())
		talev_loop_break(ev);
}

static void send_job(struct work *work)
{
	struct talev_req *req;

	describe_job(work);
	req = talev_job_send(ev, ev, jobq, on_other_thread, &work);
	need(req != NULL);
	talev_req_set_callback(req, on_job_back, NULL);
}

static void jobs_row(void)
{
	uint64_t n = first_jobs();

	ev = talev_context_init(NULL);
	need(ev != NULL);
	jobq = talev_jobq_create(ev, "bench");
	need(jobq != NULL);
	talev_jobq_set_concurrency(jobq, job_threads());
	for (uint64_t i = 0; i < n; i++) {
		struct work *work = talloc(NULL, struct work);

		need(work != NULL);
		send_job(work);
	}
	need(talev_loop_wait(ev) == 0);
	end_jobs();
	talloc_free(ev);
}

static const struct row rows[] = {
	{"jobs", jobs_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	talloc_disable_null_tracking();
	return bench_main(argc, argv, rows);
}
