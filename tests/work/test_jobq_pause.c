/* SPDX-License-Identifier: BSD-2-Clause */
/* Queues that stand still. */
#include "work/storm.h"

/* Waits for those that run; none begins, whatever the settings are, until each pause is over. */
static atomic_bool paused;

static void *pause_it(void *arg)
{
	demand(talev_jobq_pause(arg) == 0);
	atomic_store(&paused, true);
	return NULL;
}

static void a_pause_waits_for_what_runs_and_nothing_begins(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("still", 1);
	struct talev_req *running_one;
	struct talev_req *req;
	struct gates gates;
	atomic_uint ran = 0;
	pthread_t thread;

	(void)state;
	assert_errno(talev_jobq_resume(jobq), EINVAL);
	atomic_store(&paused, false);
	gates_init(&gates);
	running_one = jobs_block(ev, jobq, &gates);
	req = jobs_send_count(ev, jobq, &ran);
	thread = thread_start(pause_it, jobq);
	while (jobs_info(jobq).concurrency > 0)
		sched_yield();
	assert_false(atomic_load(&paused));
	gate_open(&gates.go);
	thread_join(thread);
	assert_int_equal(jobs_info(jobq).running, 0);
	assert_ok(talev_jobq_pause(jobq));
	assert_ok(talev_jobq_set_min_max(jobq, 1, 4));
	talev_jobq_set_concurrency(jobq, 4);
	assert_int_equal(jobs_info(jobq).concurrency, 0);
	assert_ok(talev_jobq_resume(jobq));
	assert_int_equal(jobs_end(running_one), 0);
	for (int i = 0; i < 100; i++)
		sched_yield();
	assert_int_equal(ran, 0);
	assert_int_equal(jobs_info(jobq).queued, 1);
	assert_ok(talev_jobq_resume(jobq));
	assert_int_equal(jobs_info(jobq).concurrency, 4);
	assert_int_equal(jobs_end(req), 0);
	assert_errno(talev_jobq_resume(jobq), EINVAL);
}

static void who_waits_is_told_that_somebody_else_has_resumed(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("still", 1);
	struct talev_req *running_one;
	struct gates gates;
	pthread_t thread;

	(void)state;
	gates_init(&gates);
	running_one = jobs_block(ev, jobq, &gates);
	thread = thread_start(pause_it, jobq);
	while (jobs_info(jobq).concurrency > 0)
		sched_yield();
	assert_ok(talev_jobq_resume(jobq));
	test_watchdog(__func__, "waiting for the pause");
	thread_join(thread);
	gate_open(&gates.go);
	assert_int_equal(jobs_end(running_one), 0);
	assert_errno(talev_jobq_resume(jobq), EINVAL);
}

static int pause_that_queue(struct talev_job *job, void *data)
{
	struct talev_jobq *jobq = *(struct talev_jobq **)data;

	(void)job;
	if (talev_jobq_pause(jobq) != 0)
		return errno;
	return talev_jobq_resume(jobq) == 0 ? 0 : errno;
}

static int run_pause(struct talev_context *ev, struct talev_jobq *in, struct talev_jobq *of)
{
	struct talev_jobq **data = talloc(test_root(), struct talev_jobq *);

	*data = of;
	return jobs_end(talev_job_send(test_root(), ev, in, pause_that_queue, &data));
}

static void a_job_cannot_pause_its_own_queue(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("pauses", 1);
	struct talev_jobq *other = jobs_queue("is paused", 1);

	(void)state;
	assert_int_equal(run_pause(ev, jobq, jobq), EDEADLK);
	assert_int_equal(run_pause(ev, jobq, other), 0);
}

/* Under load: while it is paused nothing runs, and nothing is lost. */
static void pause_now_and_then(struct storm *storm)
{
	if (storm->done % 50 != 0)
		return;
	assert_ok(talev_jobq_pause(storm->jobq));
	assert_int_equal(atomic_load(&running), 0);
	assert_int_equal(jobs_info(storm->jobq).running, 0);
	assert_ok(talev_jobq_resume(storm->jobq));
}

static void j04_pauses_under_load(void **state)
{
	unsigned n = scaled(20000, 2000);
	struct storm storm = {.ev = test_context(test_root()),
		.jobq = jobs_queue("pauses", 3),
		.left = n,
		.sometimes = pause_now_and_then};

	(void)state;
	storm_run(&storm, 64);
	assert_int_equal(storm.done, n);
	assert_int_equal(total, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(a_pause_waits_for_what_runs_and_nothing_begins),
		JOB_TEST(who_waits_is_told_that_somebody_else_has_resumed),
		JOB_TEST(a_job_cannot_pause_its_own_queue),
		JOB_TEST(j04_pauses_under_load),
	};

	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
