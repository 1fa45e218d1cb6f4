/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows of jobs with talev: those that are sent again, and requests. */
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

static void send_again(struct talev_work *sender, struct work *work);

static void on_work_back(struct talev_context *context, struct talev_work *sender, int error,
	void *work, void *private_data)
{
	(void)context;
	(void)private_data;
	need(error == 0);
	if (job_is_back(work))
		send_again(sender, work);
	else if (all_jobs_back())
		talev_loop_break(ev);
}

static void send_again(struct talev_work *sender, struct work *work)
{
	describe_job(work);
	need(talev_work_schedule(sender, on_other_thread, &work, on_work_back, NULL) == 0);
}

static void send_first(struct work *work)
{
	struct talev_work *sender = talev_work_create(ev, ev, jobq);

	need(sender != NULL);
	send_again(sender, work);
}

static void send_request(struct work *work);

static void on_request_back(struct talev_req *req)
{
	struct work *work;

	need(talev_job_recv(req, NULL, &work) == 0);
	talloc_free(req);
	if (job_is_back(work))
		send_request(work);
	else if (all_jobs_back())
		talev_loop_break(ev);
}

static void send_request(struct work *work)
{
	struct talev_req *req;

	describe_job(work);
	req = talev_job_send(ev, ev, jobq, on_other_thread, &work);
	need(req != NULL);
	talev_req_set_callback(req, on_request_back, NULL);
}

static void run(void (*send)(struct work *work))
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
		send(work);
	}
	need(talev_loop_wait(ev) == 0);
	end_jobs();
	talloc_free(ev);
}

static void jobs_row(void)
{
	run(send_first);
}

static void job_requests_row(void)
{
	run(send_request);
}

static const struct row rows[] = {
	{"jobs", jobs_row},
	{"job_requests", job_requests_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	talloc_disable_null_tracking();
	return bench_main(argc, argv, rows);
}
