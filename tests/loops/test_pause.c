/* SPDX-License-Identifier: BSD-2-Clause */
/* Everybody stands still: contract row L9. */
#include <sched.h>
#include <talev/job.h>
#include "loops/kit.h"
#include "work/jobs.h"

#define LOOPS 4

static atomic_uint turns[LOOPS];
static atomic_uint pauses;
static atomic_uint busy;
static atomic_bool delivered;

/* Each loop calls itself again and again, so that it is always about to run something. */
static void spin(struct talev_loop *loop, void *data)
{
	(void)data;
	atomic_fetch_add(&turns[talev_loop_index(loop)], 1);
	if (!talev_loop_shutting_down(loop))
		(void)talev_async_run(loop, spin, NULL);
}

static void mark_delivered(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	atomic_store(&delivered, true);
}

static void check_frozen(struct talev_loop *loop)
{
	struct talev_loops *loops = talev_loop_loops(loop);
	unsigned before[LOOPS];
	unsigned me = talev_loop_index(loop);

	for (unsigned i = 0; i < LOOPS; i++)
		before[i] = atomic_load(&turns[i]);
	atomic_store(&delivered, false);
	demand(talev_async_run(talev_loops_get(loops, (me + 1) % LOOPS), mark_delivered, NULL) ==
		0);
	for (int i = 0; i < 200; i++) {
		sched_yield();
		for (unsigned j = 0; j < LOOPS; j++)
			demand(j == me || atomic_load(&turns[j]) == before[j]);
	}
	demand(!atomic_load(&delivered));
}

static void wait_until_delivered(struct talev_loop *loop, void *data)
{
	(void)data;
	if (!atomic_load(&delivered))
		demand(talev_async_run(loop, wait_until_delivered, NULL) == 0);
	else
		talev_loops_shutdown(talev_loop_loops(loop));
}

static void pause_once(struct talev_loop *loop, void *data)
{
	struct talev_loops *loops = talev_loop_loops(loop);

	(void)data;
	demand(talev_loops_pause(loops) == 0);
	errno = 0;
	demand(talev_loops_pause(loops) == -1 && errno == EALREADY);
	check_frozen(loop);
	demand(talev_loops_resume(loops) == 0);
	errno = 0;
	demand(talev_loops_resume(loops) == -1 && errno == EINVAL);
	wait_until_delivered(loop, NULL);
}

static void l09_the_others_stand_still_and_what_was_sent_comes_afterwards(void **state)
{
	(void)state;
	for (unsigned who = 0; who < LOOPS; who++) {
		struct talev_loops *loops = make_loops(LOOPS);

		assert_ok(talev_loops_setup(loops, spin, NULL));
		assert_ok(talev_async_run(talev_loops_get(loops, who), pause_once, NULL));
		test_loops(loops);
		assert_true(atomic_load(&delivered));
		talloc_free(loops);
	}
}

/* Everybody tries at once, many times: one wins, and the others are told so. */
static void try_to_pause(struct talev_loop *loop, void *data)
{
	struct talev_loops *loops = talev_loop_loops(loop);

	(void)data;
	if (talev_loops_pause(loops) == 0) {
		demand(atomic_fetch_add(&busy, 1) == 0);
		demand(atomic_fetch_sub(&busy, 1) == 1);
		demand(talev_loops_resume(loops) == 0);
		if (atomic_fetch_add(&pauses, 1) == scaled(500, 20))
			talev_loops_shutdown(loops);
	} else {
		demand(errno == EBUSY);
	}
	if (!talev_loop_shutting_down(loop))
		(void)talev_async_run(loop, try_to_pause, NULL);
}

static void l09_a_second_pauser_is_told_that_it_is_busy(void **state)
{
	struct talev_loops *loops = make_loops(LOOPS);

	(void)state;
	atomic_store(&pauses, 0);
	assert_ok(talev_loops_setup(loops, try_to_pause, NULL));
	test_loops(loops);
	assert_true(atomic_load(&pauses) > 1);
}

static void pause_in_teardown(struct talev_loop *loop, void *private_data)
{
	struct talev_loops *loops = talev_loop_loops(loop);

	(void)private_data;
	while (talev_loops_pause(loops) != 0) {
		/* The other one waits for us to stand still. */
		demand(errno == EBUSY);
		demand(talev_loop_teardown(loop, pause_in_teardown, NULL) == -1);
		demand(talev_async_run(loop, pause_in_teardown, NULL) == 0);
		return;
	}
	atomic_fetch_add(&pauses, 1);
	demand(talev_loops_resume(loops) == 0);
}

static void l09_a_pause_in_a_teardown_job_works(void **state)
{
	struct talev_loops *loops = make_loops(LOOPS);

	(void)state;
	atomic_store(&pauses, 0);
	assert_ok(talev_loops_teardown(loops, pause_in_teardown, NULL));
	assert_ok(talev_async_run(talev_loops_get(loops, 1), stop_loops, NULL));
	test_loops(loops);
	assert_int_equal(atomic_load(&pauses), LOOPS);
}

/* From a thread that has no loop, and while loops end. */
static void *pause_from_outside(void *arg)
{
	struct talev_loops *loops = arg;

	while (atomic_load(&pauses) == 0) {
		if (talev_loops_pause(loops) == 0) {
			unsigned before = atomic_load(&turns[1]);

			sched_yield();
			demand(atomic_load(&turns[1]) == before);
			talev_loops_shutdown(loops);
			demand(talev_loops_resume(loops) == 0);
			atomic_store(&pauses, 1);
		} else {
			demand(errno == EINVAL);
		}
	}
	while (talev_loops_pause(loops) == 0)
		demand(talev_loops_resume(loops) == 0);
	demand(errno == EINVAL);
	return NULL;
}

static void l09_a_thread_without_a_loop_stops_them_all(void **state)
{
	struct talev_loops *loops = make_loops(LOOPS);
	pthread_t thread;

	(void)state;
	atomic_store(&pauses, 0);
	assert_ok(talev_loops_setup(loops, spin, NULL));
	thread = thread_start(pause_from_outside, loops);
	test_loops(loops);
	thread_join(thread);
}

/* Two threads of a queue do jobs all the time, which the last loop sends. */
static atomic_uint worked;
static atomic_uint at_work;
static struct talev_jobq *busy_queue;

static int do_some(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	atomic_fetch_add(&at_work, 1);
	atomic_fetch_add(&worked, 1);
	sched_yield();
	atomic_fetch_sub(&at_work, 1);
	return 0;
}

static void send_some(struct talev_loop *loop);

static void did_some(struct talev_req *req)
{
	demand(talev_job_recv(req, NULL, NULL) == 0);
	talloc_free(req);
	if (!talev_loop_shutting_down(talev_loop_current()))
		send_some(talev_loop_current());
}

static void send_some(struct talev_loop *loop)
{
	struct talev_context *ev = talev_loop_context(loop);
	struct talev_req *req = talev_job_send(ev, ev, busy_queue, do_some, NULL);

	demand(req != NULL);
	talev_req_set_callback(req, did_some, NULL);
}

static void send_eight(struct talev_loop *loop, void *data)
{
	(void)data;
	for (int i = 0; i < 8; i++)
		send_some(loop);
}

static void pause_all(struct talev_loop *loop, void *data)
{
	struct talev_loops *loops = talev_loop_loops(loop);
	unsigned before;

	(void)data;
	if (atomic_load(&worked) < 20 * (1 + atomic_load(&pauses))) {
		demand(talev_async_run(loop, pause_all, NULL) == 0);
		return;
	}
	demand(talev_jobq_pause(busy_queue) == 0);
	demand(talev_loops_pause(loops) == 0);
	before = atomic_load(&worked);
	check_frozen(loop);
	demand(atomic_load(&at_work) == 0 && atomic_load(&worked) == before);
	demand(talev_loops_resume(loops) == 0);
	demand(talev_jobq_resume(busy_queue) == 0);
	if (atomic_fetch_add(&pauses, 1) < scaled(8, 2))
		demand(talev_async_run(loop, pause_all, NULL) == 0);
	else
		talev_loops_shutdown(loops);
}

static void l09_loops_and_workers_stand_still(void **state)
{
	struct talev_loops *loops = make_loops(LOOPS);

	(void)state;
	busy_queue = talev_jobq_create(test_root(), "busy");
	talev_jobq_set_concurrency(busy_queue, 2);
	atomic_store(&pauses, 0);
	atomic_store(&worked, 0);
	assert_ok(talev_loops_setup(loops, spin, NULL));
	assert_ok(talev_async_run(talev_loops_get(loops, LOOPS - 1), send_eight, NULL));
	assert_ok(talev_async_run(talev_loops_get(loops, 1), pause_all, NULL));
	test_loops(loops);
	assert_true(atomic_load(&pauses) > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(l09_the_others_stand_still_and_what_was_sent_comes_afterwards),
		TEST(l09_a_second_pauser_is_told_that_it_is_busy),
		TEST(l09_a_pause_in_a_teardown_job_works),
		TEST(l09_a_thread_without_a_loop_stops_them_all),
		JOB_TEST(l09_loops_and_workers_stand_still),
	};

	talloc_disable_null_tracking();
	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
