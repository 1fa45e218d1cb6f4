/* SPDX-License-Identifier: BSD-2-Clause */
/* Jobs of the loops of a manager: contract row L11, and T3 for several loops at once. */
#include "loops/kit.h"
#include "work/jobs.h"

static struct talev_jobq *jobq;
static atomic_uint ran;
static atomic_uint ended;

static int run_one(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	atomic_fetch_add(&ran, 1);
	return 0;
}

static void end_one(struct talev_req *req)
{
	const struct talev_loop *loop = talev_req_callback_data_void(req);

	demand(talev_loop_current() == loop);
	demand(talev_job_recv(req, NULL, NULL) == 0);
	talloc_free(req);
	atomic_fetch_add(&ended, 1);
}

static void send_one(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	struct talev_req *req = talev_job_send(ev, ev, jobq, run_one, NULL);

	(void)data;
	demand(req != NULL);
	talev_req_set_callback(req, end_one, loop);
}

static struct talev_loops *begin(unsigned n)
{
	jobq = jobs_queue("jobs", 2);
	atomic_store(&ran, 0);
	atomic_store(&ended, 0);
	return make_loops(n);
}

/* A loop does not end before what it has sent has come back. */
static void l11_jobs_sent_in_the_shutdown_are_done(void **state)
{
	struct talev_loops *loops = begin(3);

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_ok(talev_loops_teardown(loops, send_one, NULL));
	assert_ok(talev_async_run(talev_loops_get(loops, 1), stop_loops, NULL));
	test_loops(loops);
	assert_int_equal(ran, 15);
	assert_int_equal(ended, 15);
}

static void send_and_stop(struct talev_loop *loop, void *data)
{
	for (unsigned i = 0; i < 100; i++)
		send_one(loop, data);
	stop_loops(loop, NULL);
}

static void l11_a_shutdown_waits_for_jobs_that_are_under_way(void **state)
{
	struct talev_loops *loops = begin(3);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_ok(talev_async_run(talev_loops_get(loops, i), send_and_stop, NULL));
	test_loops(loops);
	/* A loop that had been shut down before its call came still made it. */
	assert_int_equal(ran, 300);
	assert_int_equal(ended, 300);
}

/* Each loop gets its own, in its own thread, once, and never inside the callback that sent it. */
struct chain {
	struct talev_loop *loop;
	unsigned left;
	bool sending;
};

static atomic_uint chains;

static void chain_end(struct talev_req *req);

static void chain_send(struct chain *chain)
{
	struct talev_context *ev = talev_loop_context(chain->loop);
	uint64_t done = jobs_info(jobq).done;
	struct talev_req *req;

	chain->sending = true;
	req = talev_job_send(ev, ev, jobq, run_one, NULL);
	demand(req != NULL);
	talev_req_set_callback(req, chain_end, chain);
	/* Sometimes it is done by now. */
	for (int i = 0; i < 50 && jobs_info(jobq).done == done; i++)
		sched_yield();
	chain->sending = false;
}

static void chain_end(struct talev_req *req)
{
	struct chain *chain = talev_req_callback_data_void(req);

	demand(talev_loop_current() == chain->loop && !chain->sending);
	demand(talev_job_recv(req, NULL, NULL) == 0);
	talloc_free(req);
	atomic_fetch_add(&ended, 1);
	if (--chain->left > 0)
		chain_send(chain);
	else if (atomic_fetch_sub(&chains, 1) == 1)
		talev_loops_shutdown(talev_loop_loops(chain->loop));
}

static void begin_chain(struct talev_loop *loop, void *data)
{
	struct chain *chain = talloc_zero(talev_loop_context(loop), struct chain);

	(void)data;
	chain->loop = loop;
	chain->left = scaled(500, 50);
	chain_send(chain);
}

static void t03_each_loop_gets_its_own_after_the_callback_returned(void **state)
{
	struct talev_loops *loops = begin(3);

	(void)state;
	atomic_store(&chains, 3);
	assert_ok(talev_loops_setup(loops, begin_chain, NULL));
	test_loops(loops);
	assert_int_equal(ran, 3 * scaled(500, 50));
	assert_int_equal(ended, ran);
}

/* The owner of a request goes while its job runs: nobody is told, and the job's data is freed. */
static struct gates gates;
static atomic_uint destroyed;

static int count_destroyed(struct gates **data)
{
	(void)data;
	atomic_fetch_add(&destroyed, 1);
	return 0;
}

static void never_ends(struct talev_req *req)
{
	(void)req;
	demand(false);
}

static void send_and_forget(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	struct gates **job_data = talloc(ev, struct gates *);
	struct talev_req *req;

	(void)data;
	*job_data = &gates;
	talloc_set_destructor(job_data, count_destroyed);
	req = talev_job_send(ev, ev, jobq, job_gated, &job_data);
	demand(req != NULL);
	talev_req_set_callback(req, never_ends, NULL);
	gate_wait(&gates.began);
	talloc_free(req);
	stop_loops(loop, NULL);
}

static void l11_an_owner_that_goes_while_its_job_runs(void **state)
{
	struct talev_loops *loops = begin(2);

	(void)state;
	gates_init(&gates);
	atomic_store(&destroyed, 0);
	assert_ok(talev_async_run(talev_loops_get(loops, 1), send_and_forget, NULL));
	test_loops(loops);
	/* The loop has ended, and the job has not. */
	assert_int_equal(jobs_info(jobq).running, 1);
	gate_open(&gates.go);
	while (atomic_load(&destroyed) == 0)
		sched_yield();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(l11_jobs_sent_in_the_shutdown_are_done),
		JOB_TEST(l11_a_shutdown_waits_for_jobs_that_are_under_way),
		JOB_TEST(t03_each_loop_gets_its_own_after_the_callback_returned),
		JOB_TEST(l11_an_owner_that_goes_while_its_job_runs),
	};

	talloc_disable_null_tracking();
	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
