/* SPDX-License-Identifier: BSD-2-Clause */
/* J6: deadlines of jobs; and what a queue with far too much to do does to the loop. */
#include <time.h>
#include "work/jobs.h"

static void j06_a_deadline_that_passes_in_the_queue(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("late", 1);
	atomic_uint ran = 0;
	atomic_uint **data = count_data(test_root(), &ran);
	struct talev_req *first;
	struct talev_req *req;
	struct gates gates;
	unsigned ends = 0;

	(void)state;
	gates_init(&gates);
	first = jobs_block(ev, jobq, &gates);
	req = talev_job_send(test_root(), ev, jobq, job_count, &data);
	talev_req_set_callback(req, count_end, &ends);
	assert_ok(talev_job_set_deadline(req, talev_now(ev) + TALEV_MSEC(5)));
	assert_ok(talev_req_poll(req));
	/* Both are told, the work is not done. */
	assert_errno(talev_job_recv(req, test_root(), &data), ETIME);
	assert_non_null(data);
	gate_open(&gates.go);
	assert_int_equal(jobs_end(first), 0);
	assert_int_equal(ran, 0);
	assert_int_equal(jobs_info(jobq).queued, 0);
	assert_int_equal(ends <= 1, 1);
}

/* Work 0, end 1, and its data is cleaned up once: however its time comes to be over, while nobody
 * asks. */
struct once {
	unsigned ends;
	unsigned destroyed;
};

static int destroyed_once(struct once **data)
{
	(*data)->destroyed++;
	return 0;
}

static void ended_once(struct talev_req *req)
{
	struct once *once = talev_req_callback_data_void(req);

	once->ends++;
	assert_errno(talev_job_recv(req, NULL, NULL), ETIME);
	talloc_free(req);
}

static int never_works(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	demand(false);
	return 0;
}

static void j06_no_work_one_end_one_cleanup(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("once", 1);
	struct once once[3] = {{0}};
	struct talev_req *first;
	struct gates gates;

	(void)state;
	gates_init(&gates);
	first = jobs_block(ev, jobq, &gates);
	for (int i = 0; i < 3; i++) {
		const talev_time_t when[3] = {0, talev_now(ev), talev_now(ev) + TALEV_MSEC(2)};
		struct once **data = talloc(test_root(), struct once *);
		struct talev_req *req;

		*data = &once[i];
		talloc_set_destructor(data, destroyed_once);
		req = talev_job_send(test_root(), ev, jobq, never_works, &data);
		talev_req_set_callback(req, ended_once, &once[i]);
		assert_ok(talev_job_set_deadline(req, when[i]));
	}
	while (once[0].ends + once[1].ends + once[2].ends < 3)
		assert_ok(test_once(ev));
	gate_open(&gates.go);
	assert_int_equal(jobs_end(first), 0);
	test_run(ev);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(once[i].ends, 1);
		assert_int_equal(once[i].destroyed, 1);
	}
	assert_int_equal(jobs_info(jobq).done, 1);
}

/* The loop does not come around to it: the thread knows by itself. */
static void j06_a_deadline_that_only_the_thread_notices(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("late thread", 1);
	atomic_uint ran = 0;
	struct talev_req *first;
	struct talev_req *req;
	struct gates gates;
	talev_time_t at;

	(void)state;
	gates_init(&gates);
	first = jobs_block(ev, jobq, &gates);
	req = jobs_send_count(ev, jobq, &ran);
	at = talev_now(ev) + TALEV_MSEC(5);
	assert_ok(talev_job_set_deadline(req, at));
	while (talev_now(ev) <= at)
		sched_yield();
	gate_open(&gates.go);
	while (jobs_info(jobq).expired == 0)
		sched_yield();
	assert_int_equal(jobs_end(first), 0);
	assert_int_equal(jobs_end(req), ETIME);
	assert_int_equal(ran, 0);
}

static void j06_a_deadline_at_zero(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("zero", 1);
	atomic_uint ran = 0;
	struct talev_req *first;
	struct talev_req *req;
	struct gates gates;

	(void)state;
	gates_init(&gates);
	first = jobs_block(ev, jobq, &gates);
	req = jobs_send_count(ev, jobq, &ran);
	assert_ok(talev_job_set_deadline(req, 0));
	assert_int_equal(jobs_end(req), ETIME);
	req = jobs_send_count(ev, jobq, &ran);
	assert_ok(talev_job_set_deadline(req, 0));
	gate_open(&gates.go);
	assert_int_equal(jobs_end(first), 0);
	assert_int_equal(jobs_end(req), ETIME);
	assert_errno(talev_job_set_deadline(req, 0), ESTALE);
	assert_int_equal(ran, 0);
}

static int until_cancelled(struct talev_job *job, void *data)
{
	gate_open(&(*(struct gates **)data)->began);
	while (!talev_job_cancelled(job))
		sched_yield();
	gate_open(&(*(struct gates **)data)->go);
	return ETIME; /* it may be back before the loop looks at the clock */
}

static void j06_a_deadline_that_passes_while_it_runs(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("running late", 1);
	struct gates gates;
	struct gates **data = gated_data(&gates);
	struct talev_req *req;

	(void)state;
	gates_init(&gates);
	req = talev_job_send(test_root(), ev, jobq, until_cancelled, &data);
	gate_wait(&gates.began);
	assert_ok(talev_job_set_deadline(req, talev_now(ev) + TALEV_MSEC(5)));
	/* Its token says so, without the loop. */
	gate_wait(&gates.go);
	assert_int_equal(jobs_end(req), ETIME);
	/* And that of a request above it. */
	data = gated_data(&gates);
	req = talev_job_send(test_root(), ev, jobq, until_cancelled, &data);
	gate_wait(&gates.began);
	assert_ok(talev_req_set_deadline(req, talev_now(ev)));
	assert_ok(talev_req_poll(req));
	assert_errno(talev_job_recv(req, test_root(), &data), ETIME);
	assert_null(data);
	gate_wait(&gates.go);
}

/*
 * 16 times more jobs under way than the queue has room for, each of them sent again as soon as it
 * has ended: most are refused. A 10 ms timer is to be on time all the same. Others use the machine
 * as well, and take the processor away when they like; so what is asserted is how much time the
 * loop itself used from the moment that the timer was due, and for how many callbacks.
 */
struct overload {
	struct talev_context *ev;
	struct talev_jobq *jobq;
	unsigned in_flight;
	unsigned done;
	unsigned refused;
	unsigned ticks;
	size_t most_queued;
	talev_time_t due;
	talev_time_t used; /* by this thread, when a callback first saw that it is due */
	unsigned overtaking;
	struct talev_histogram *late;
	struct talev_histogram *late_used;
	struct talev_histogram *overtaken;
};

#define BACKLOG 64
#define THREADS 2
#define TICKS   100

static atomic_uint begun;

static int a_while(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	atomic_fetch_add(&begun, 1);
	usleep(1000);
	return 0;
}

static talev_time_t time_used(void)
{
	struct timespec ts;

	assert_ok(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts));
	return TALEV_SEC(ts.tv_sec) + ts.tv_nsec;
}

static void overload_ended(struct talev_req *req);

static void overload_send(struct overload *o)
{
	struct talev_req *req = talev_job_send(o->ev, o->ev, o->jobq, a_while, NULL);

	assert_non_null(req);
	talev_req_set_callback(req, overload_ended, o);
	o->in_flight++;
}

static void overload_ended(struct talev_req *req)
{
	struct overload *o = talev_req_callback_data_void(req);

	if (talev_job_recv(req, NULL, NULL) == 0) {
		o->done++;
	} else {
		assert_int_equal(errno, EAGAIN);
		o->refused++;
	}
	talloc_free(req);
	o->in_flight--;
	if (o->ticks == TICKS)
		return;
	if (talev_now(o->ev) >= o->due && o->overtaking++ == 0)
		o->used = time_used();
	overload_send(o);
}

static void tick(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct overload *o = private_data;
	size_t queued = jobs_info(o->jobq).queued;

	(void)now;
	talev_histogram_add(o->late, talev_now(ev) - o->due);
	talev_histogram_add(o->late_used, o->overtaking > 0 ? time_used() - o->used : 0);
	talev_histogram_add(o->overtaken, o->overtaking);
	o->overtaking = 0;
	o->due = talev_timer_get_deadline(te);
	if (queued > o->most_queued)
		o->most_queued = queued;
	if (++o->ticks == TICKS)
		talloc_free(te);
}

static void overload_stays_within_the_backlog_and_the_loop_on_time(void **state)
{
	struct overload o = {
		.ev = test_context(test_root()), .jobq = jobs_queue("overload", THREADS)};
	struct talev_timer *te;

	(void)state;
	atomic_store(&begun, 0);
	o.late = talev_histogram_create(test_root());
	o.late_used = talev_histogram_create(test_root());
	o.overtaken = talev_histogram_create(test_root());
	talev_jobq_set_max_backlog(o.jobq, BACKLOG);
	te = talev_add_ticker(o.ev, o.ev, TALEV_MSEC(10), tick, &o);
	assert_non_null(te);
	o.due = talev_timer_get_deadline(te);
	for (int i = 0; i < 16 * (BACKLOG + THREADS); i++)
		overload_send(&o);
	test_run(o.ev);
	print_message("# done %u, refused %u; late: %s\n", o.done, o.refused,
		talev_histogram_text(test_root(), o.late));
	print_message(
		"# of that the loop used: %s\n", talev_histogram_text(test_root(), o.late_used));
	print_message("# callbacks before a timer that was due: at the 99th percentile %d\n",
		(int)talev_histogram_quantile(o.overtaken, 0.99));
	assert_int_equal(o.in_flight, 0);
	assert_int_equal(o.done, atomic_load(&begun));
	assert_true(o.done > 0);
	assert_true(o.most_queued > 0 && o.most_queued <= BACKLOG);
	assert_true(o.refused > 16 * o.done || test_is_slow());
	/* The clock is read once a turn, and a turn runs what was queued when it began. */
	assert_in_range(
		talev_histogram_quantile(o.overtaken, 0.99), 0, 3 * 16 * (BACKLOG + THREADS));
	if (!test_is_slow())
		assert_in_range(talev_histogram_quantile(o.late_used, 0.99), 0, TALEV_MSEC(5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(j06_a_deadline_that_passes_in_the_queue),
		JOB_TEST(j06_no_work_one_end_one_cleanup),
		JOB_TEST(j06_a_deadline_that_only_the_thread_notices),
		JOB_TEST(j06_a_deadline_at_zero),
		JOB_TEST(j06_a_deadline_that_passes_while_it_runs),
		JOB_TEST(overload_stays_within_the_backlog_and_the_loop_on_time),
	};

	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
