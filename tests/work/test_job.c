/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: jobs, as the loop that sends them sees them. */
#include <signal.h>
#include "work/jobs.h"

struct sum {
	int a;
	int b;
	int sum;
	pthread_t thread;
};

static int add(struct talev_job *job, void *data)
{
	struct sum *sum = talloc_get_type_abort(data, struct sum);

	assert_non_null(job);
	sum->sum = sum->a + sum->b;
	sum->thread = pthread_self();
	return 0;
}

static int fails(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	return 4711;
}

static int nothing(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	return 0;
}

static struct sum *sum_of(int a, int b)
{
	struct sum *sum = talloc_zero(test_root(), struct sum);

	assert_non_null(sum);
	sum->a = a;
	sum->b = b;
	return sum;
}

static void a_job_runs_elsewhere_and_its_data_comes_back(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("sums", 2);
	struct sum *sum = sum_of(40, 2);
	struct talev_req *req = talev_job_send(ev, ev, jobq, add, &sum);
	unsigned ends = 0;

	(void)state;
	assert_non_null(req);
	assert_null(sum);
	assert_errno(talev_job_recv(req, test_root(), &sum), EINPROGRESS);
	talev_req_set_callback(req, count_end, &ends);
	assert_int_equal(ends, 0);
	test_run(ev);
	assert_int_equal(ends, 1);
	assert_ok(talev_job_recv(req, test_root(), &sum));
	assert_int_equal(sum->sum, 42);
	assert_ptr_equal(talloc_parent(sum), test_root());
	assert_false(pthread_equal(sum->thread, pthread_self()));
	assert_int_equal(jobs_info(jobq).done, 1);
}

static void an_error_of_the_function_is_that_of_the_request(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("errors", 1);
	struct sum *sum = sum_of(1, 2);
	struct talev_req *req = talev_job_send(ev, ev, jobq, fails, &sum);

	(void)state;
	assert_ok(talev_req_poll(req));
	assert_errno(talev_job_recv(req, test_root(), &sum), 4711);
	assert_int_equal(sum->a, 1);
}

static void data_that_nobody_receives_goes_with_the_request(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("unwanted", 1);
	struct sum *sum = sum_of(1, 2);
	struct talev_req *req = talev_job_send(ev, ev, jobq, add, &sum);
	void *none = NULL;

	(void)state;
	assert_ok(talev_req_poll(req));
	talloc_free(req);
	sum = sum_of(1, 2);
	req = talev_job_send(ev, ev, jobq, add, &sum);
	assert_ok(talev_req_poll(req));
	assert_ok(talev_job_recv(req, NULL, NULL));
	assert_int_equal(jobs_end(talev_job_send(ev, ev, jobq, nothing, NULL)), 0);
	req = talev_job_send(ev, ev, jobq, nothing, &none);
	assert_ok(talev_req_poll(req));
	assert_ok(talev_job_recv(req, NULL, &none));
	assert_null(none);
}

static void what_cannot_be_sent_is_refused_and_stays(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("refused", 1);
	struct sum *sum = sum_of(1, 2);
	struct sum *kept = sum;

	(void)state;
	assert_null_errno(talev_job_send(ev, ev, NULL, add, &sum), EINVAL);
	assert_null_errno(talev_job_send(ev, ev, jobq, NULL, &sum), EINVAL);
	assert_null_errno(talev_job_send(ev, NULL, jobq, add, &sum), EINVAL);
	assert_non_null(talloc_reference(test_root(), sum));
	assert_null_errno(talev_job_send(ev, ev, jobq, add, &sum), EINVAL);
	talloc_unlink(test_root(), sum);
	sum = kept = sum_of(1, 2);
	assert_non_null(talev_add_timer(ev, sum, TALEV_NEVER, (talev_timer_handler_t)abort, NULL));
	assert_null_errno(talev_job_send(ev, ev, jobq, add, &sum), EINVAL);
	assert_ptr_equal(sum, kept);
	assert_int_equal(jobs_info(jobq).sent, 0);
}

static void workers_block_all_signals(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("signals", 1);
	sigset_t mine;
	struct gates gates;
	struct talev_req *req;
	sigset_t after;

	(void)state;
	gates_init(&gates);
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	req = jobs_block(ev, jobq, &gates);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int signum = 1; signum < 32; signum++)
		assert_int_equal(sigismember(&mine, signum), sigismember(&after, signum));
	/* A signal for the process finds only this thread, which blocks it too. */
	sigaddset(&after, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &after, NULL);
	kill(getpid(), SIGUSR1);
	gate_open(&gates.go);
	assert_int_equal(jobs_end(req), 0);
	sigemptyset(&after);
	sigaddset(&after, SIGUSR1);
	assert_int_equal(sigwaitinfo(&after, NULL), SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &mine, NULL);
}

/* J1: one after the other, each from the callback of the one before. */
struct pingpong {
	struct talev_context *ev;
	struct talev_jobq *jobq;
	struct talev_histogram *h;
	talev_time_t sent;
	unsigned left;
};

static void pong(struct talev_req *req);

static void ping(struct pingpong *p)
{
	struct talev_req *req;

	p->sent = talev_now(p->ev);
	req = talev_job_send(p->ev, p->ev, p->jobq, nothing, NULL);
	assert_non_null(req);
	talev_req_set_callback(req, pong, p);
}

static void pong(struct talev_req *req)
{
	struct pingpong *p = talev_req_callback_data_void(req);

	assert_ok(talev_job_recv(req, NULL, NULL));
	talloc_free(req);
	talev_histogram_add(p->h, talev_now(p->ev) - p->sent);
	if (--p->left > 0)
		ping(p);
}

static void j01_sequential_round_trips(void **state)
{
	struct pingpong p = {.ev = test_context(test_root()), .jobq = jobs_queue("pingpong", 2)};
	unsigned n = scaled(100000, 2000);

	(void)state;
	p.h = talev_histogram_create(test_root());
	p.left = n;
	ping(&p);
	test_run(p.ev);
	assert_int_equal(p.left, 0);
	assert_int_equal(talev_histogram_count(p.h), n);
	assert_int_equal(jobs_info(p.jobq).done, n);
	print_message("# round trips: %s\n", talev_histogram_text(test_root(), p.h));
}

/* T3: the job is done before the callback that sent it returns. */
static atomic_uint quick_ran;

static int quick(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	atomic_fetch_add(&quick_ran, 1);
	return 0;
}

static void send_and_wait(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	struct talev_jobq *jobq = private_data;
	struct talev_req *req = talev_job_send(ev, ev, jobq, quick, NULL);
	static unsigned ends;

	(void)im;
	ends = 0;
	talev_req_set_callback(req, count_end, &ends);
	while (jobs_info(jobq).done == 0)
		sched_yield();
	assert_int_equal(ends, 0);
	test_note("returns");
	assert_ok(talev_loop_nowait(ev) == 0 || errno == ELOOP ? 0 : -1);
	assert_int_equal(ends, 0);
}

static void note_end(struct talev_req *req)
{
	(void)req;
	test_note("ended");
}

static void t03_a_job_that_is_done_before_its_callback_returns(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("early", 1);
	struct talev_immediate *im = talev_create_immediate(ev);
	struct talev_req *req;

	(void)state;
	atomic_store(&quick_ran, 0);
	talev_schedule_immediate(im, ev, send_and_wait, jobq);
	test_run(ev);
	assert_int_equal(atomic_load(&quick_ran), 1);
	/* And when the callback is set only after it is done. */
	req = talev_job_send(ev, ev, jobq, quick, NULL);
	while (jobs_info(jobq).done < 2)
		sched_yield();
	talev_req_set_callback(req, note_end, NULL);
	test_forget_notes();
	test_run(ev);
	assert_notes("ended");
}

/* J7 and L11: cancel. */
static void j07_cancelled_before_it_begins(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("cancel", 1);
	atomic_uint ran = 0;
	atomic_uint **data = count_data(test_root(), &ran);
	atomic_uint **kept = data;
	enum talev_req_state how;
	struct talev_req *first;
	struct talev_req *req;
	struct gates gates;
	unsigned ends = 0;
	uint64_t error;

	(void)state;
	gates_init(&gates);
	first = jobs_block(ev, jobq, &gates);
	req = talev_job_send(ev, ev, jobq, job_count, &data);
	talev_req_set_callback(req, count_end, &ends);
	assert_ok(talev_req_cancel(req));
	assert_int_equal(ends, 0);
	assert_int_equal(jobs_info(jobq).queued, 0);
	assert_int_equal(jobs_info(jobq).dropped, 1);
	gate_open(&gates.go);
	test_run(ev);
	assert_int_equal(ends, 1);
	assert_true(talev_req_is_error(req, &how, &error));
	assert_int_equal(how, TALEV_REQ_CANCELED);
	assert_errno(talev_job_recv(req, test_root(), &data), ECANCELED);
	assert_ptr_equal(data, kept);
	assert_int_equal(ran, 0);
	assert_int_equal(jobs_end(first), 0);
}

static int until_cancelled(struct talev_job *job, void *data)
{
	(void)data;
	while (!talev_job_cancelled(job))
		sched_yield();
	return ECANCELED;
}

static void j07_a_running_job_that_looks_at_its_token(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("cooperative", 1);
	struct talev_req *req = talev_job_send(ev, ev, jobq, until_cancelled, NULL);

	(void)state;
	while (jobs_info(jobq).running == 0)
		sched_yield();
	assert_errno(talev_req_cancel(req), EBUSY);
	assert_errno(talev_req_cancel(req), EBUSY);
	assert_int_equal(jobs_end(req), ECANCELED);
}

static void j07_a_running_job_that_is_deaf(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("deaf", 1);
	struct gates gates;
	struct talev_req *req;

	(void)state;
	gates_init(&gates);
	req = jobs_block(ev, jobq, &gates);
	assert_errno(talev_req_cancel(req), EBUSY);
	gate_open(&gates.go);
	assert_int_equal(jobs_end(req), 0);
	/* And one that is done, but whose end has not arrived. */
	req = talev_job_send(ev, ev, jobq, nothing, NULL);
	while (jobs_info(jobq).done < 2)
		sched_yield();
	assert_errno(talev_req_cancel(req), EBUSY);
	assert_int_equal(jobs_end(req), 0);
}

static void l11_who_wins_a_race_of_cancel_and_begin(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("race", 2);
	unsigned n = scaled(20000, 1000);
	unsigned cancelled = 0;
	atomic_uint ran = 0;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		struct talev_req *req = jobs_send_count(ev, jobq, &ran);
		bool won;

		for (unsigned k = 0; k < i % 8; k++)
			(void)jobs_info(jobq);
		won = talev_req_cancel(req) == 0;
		assert_int_equal(jobs_end(req), won ? ECANCELED : 0);
		cancelled += won;
		talloc_free(req);
	}
	assert_int_equal(ran + cancelled, n);
}

static void l11_a_blocked_queue_does_not_delay_another(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *slow = jobs_queue("slow", 1);
	struct talev_jobq *fast = jobs_queue("fast", 1);
	struct talev_req *req;
	struct gates gates;
	atomic_uint ran = 0;

	(void)state;
	gates_init(&gates);
	req = jobs_block(ev, slow, &gates);
	for (int i = 0; i < 100; i++)
		assert_int_equal(jobs_end(jobs_send_count(ev, fast, &ran)), 0);
	assert_true(talev_req_is_in_progress(req));
	gate_open(&gates.go);
	assert_int_equal(jobs_end(req), 0);
}

/* The loop has nothing else left, and goes on until the last one is back. */
static void send_another(struct talev_req *req)
{
	struct pingpong *p = talev_req_callback_data_void(req);

	if (p->left-- > 0)
		talev_req_set_callback(
			talev_job_send(p->ev, p->ev, p->jobq, nothing, NULL), send_another, p);
}

static void l11_a_job_sent_while_the_loop_ends_is_done(void **state)
{
	struct pingpong p = {
		.ev = test_context(test_root()), .jobq = jobs_queue("last", 1), .left = 3};
	struct talev_req *req = talev_job_send(p.ev, p.ev, p.jobq, nothing, NULL);

	(void)state;
	talev_req_set_callback(req, send_another, &p);
	test_run(p.ev);
	assert_int_equal(jobs_info(p.jobq).done, 4);
}

static int destroyed_in(struct sum *sum)
{
	assert_true(pthread_equal(sum->thread, pthread_self()));
	test_note("destroyed");
	return 0;
}

static struct gates **gates_that_tell(struct gates *gates)
{
	struct gates **data = gated_data(gates);
	struct sum *below = talloc_zero(data, struct sum);

	below->thread = pthread_self();
	talloc_set_destructor(below, destroyed_in);
	return data;
}

static void l11_a_request_freed_while_its_job_runs(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("freed", 1);
	struct gates **data;
	struct talev_req *drain;
	struct talev_req *req;
	struct gates gates;

	(void)state;
	gates_init(&gates);
	data = gates_that_tell(&gates);
	req = talev_job_send(ev, ev, jobq, job_gated, &data);
	gate_wait(&gates.began);
	talloc_free(req);
	assert_notes("");
	/* Nobody waits for it any more. */
	assert_false(talev_have_events(ev));
	gate_open(&gates.go);
	drain = talev_jobq_drain_send(ev, ev, jobq);
	assert_ok(talev_req_poll(drain));
	/* On this thread, although nobody waited for it. */
	assert_notes("destroyed");
}

static void a_request_freed_before_its_job_begins(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("freed early", 1);
	struct gates **data;
	struct talev_req *first;
	struct talev_req *req;
	struct gates gates;
	struct gates other;

	(void)state;
	gates_init(&gates);
	first = jobs_block(ev, jobq, &gates);
	data = gates_that_tell(&other);
	req = talev_job_send(ev, ev, jobq, job_gated, &data);
	talloc_free(req);
	assert_notes("destroyed");
	gate_open(&gates.go);
	assert_int_equal(jobs_end(first), 0);
	assert_int_equal(jobs_info(jobq).sent, 2);
	assert_int_equal(jobs_info(jobq).done, 1);
}

/* The clock of the context may be far behind that of the threads. */
static void a_deadline_that_is_nearly_never_does_not_pass(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("late", 1);
	struct talev_req *req;
	struct talev_req *running_one;
	struct gates gates;

	(void)state;
	gates_init(&gates);
	running_one = jobs_block(ev, jobq, &gates);
	req = talev_job_send(test_root(), ev, jobq, nothing, NULL);
	assert_non_null(req);
	assert_ok(talev_job_set_deadline(req, TALEV_NEVER - 1));
	gate_open(&gates.go);
	/* The loop stands still: in virtual time it would be there with its first wait. */
	while (jobs_info(jobq).done + jobs_info(jobq).expired < 2)
		sched_yield();
	assert_int_equal(jobs_info(jobq).expired, 0);
	assert_int_equal(jobs_end(running_one), 0);
	assert_int_equal(jobs_end(req), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(a_job_runs_elsewhere_and_its_data_comes_back),
		JOB_TEST(an_error_of_the_function_is_that_of_the_request),
		JOB_TEST(data_that_nobody_receives_goes_with_the_request),
		JOB_TEST(what_cannot_be_sent_is_refused_and_stays),
		JOB_TEST(workers_block_all_signals),
		JOB_TEST(j01_sequential_round_trips),
		JOB_TEST(t03_a_job_that_is_done_before_its_callback_returns),
		JOB_TEST(j07_cancelled_before_it_begins),
		JOB_TEST(j07_a_running_job_that_looks_at_its_token),
		JOB_TEST(j07_a_running_job_that_is_deaf),
		JOB_TEST(l11_who_wins_a_race_of_cancel_and_begin),
		JOB_TEST(l11_a_blocked_queue_does_not_delay_another),
		JOB_TEST(l11_a_job_sent_while_the_loop_ends_is_done),
		JOB_TEST(l11_a_request_freed_while_its_job_runs),
		JOB_TEST(a_request_freed_before_its_job_begins),
		JOB_TEST(a_deadline_that_is_nearly_never_does_not_pass),
	};

	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
