/* SPDX-License-Identifier: BSD-2-Clause */
/* TIMEOUT: 240 */
/* Queues: their settings under load, their bounds, and their end. */
#include "work/storm.h"
#include "work/work.h"

static int nothing(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	return 0;
}

static void names_are_unique_while_the_queue_is_open(void **state)
{
	struct talev_jobq *jobq = jobs_queue("name", 1);
	struct talev_jobq *same;

	(void)state;
	assert_null_errno(talev_jobq_create(test_root(), "name"), EEXIST);
	assert_null_errno(talev_jobq_create(test_root(), ""), EINVAL);
	assert_null_errno(talev_jobq_create(test_root(), NULL), EINVAL);
	assert_null_errno(talev_jobq_get(test_root(), "other"), ENOENT);
	same = talev_jobq_get(test_root(), "name");
	talev_jobq_set_concurrency(same, 17);
	assert_int_equal(jobs_info(jobq).concurrency, 17);
	talloc_free(jobq);
	assert_true(jobs_info(same).closed);
	assert_null_errno(talev_jobq_get(test_root(), "name"), ENOENT);
	assert_non_null(talev_jobq_create(test_root(), "name"));
}

static void concurrency_is_kept_within_its_limits(void **state)
{
	struct talev_jobq *jobq = jobs_queue("limits", 8);

	(void)state;
	assert_errno(talev_jobq_set_min_max(jobq, 3, 2), EINVAL);
	assert_ok(talev_jobq_set_min_max(jobq, 2, 4));
	assert_int_equal(jobs_info(jobq).concurrency, 4);
	talev_jobq_set_concurrency(jobq, 0);
	assert_int_equal(jobs_info(jobq).concurrency, 2);
	assert_ok(talev_jobq_set_min_max(jobq, 0, 4));
	assert_int_equal(jobs_info(jobq).concurrency, 0);
}

static void never_more_than_three_wait(struct storm *storm)
{
	assert_true(jobs_info(storm->jobq).queued <= 3);
}

/* libmtev's test sends a million jobs to a queue that has 4 threads and a backlog of 3. */
static void j03_a_million_jobs_through_back_pressure(void **state)
{
	unsigned n = scaled(1000000, 5000);
	struct storm storm = {.ev = test_context(test_root()),
		.jobq = jobs_queue("pressure", 4),
		.left = n,
		.sometimes = never_more_than_three_wait};

	(void)state;
	talev_jobq_set_max_backlog(storm.jobq, 3);
	storm_run(&storm, 8);
	assert_int_equal(storm.done, n);
	assert_int_equal(total, n);
	assert_int_equal(jobs_info(storm.jobq).refused, storm.refused);
	assert_true(atomic_load(&most_running) <= 4);
	print_message("# refused %u times\n", storm.refused);
}

static void j03_a_full_queue_refuses_from_the_loop_and_gives_the_data_back(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("full", 1);
	struct gates gates;
	struct talev_req *first;
	struct talev_req *second;
	struct talev_req *third;
	atomic_uint ran = 0;
	atomic_uint **data = count_data(test_root(), &ran);
	unsigned ends = 0;

	(void)state;
	gates_init(&gates);
	talev_jobq_set_max_backlog(jobq, 1);
	first = jobs_block(ev, jobq, &gates);
	second = jobs_send_count(ev, jobq, &ran);
	third = talev_job_send(test_root(), ev, jobq, job_count, &data);
	assert_non_null(third);
	assert_null(data);
	talev_req_set_callback(third, count_end, &ends);
	assert_int_equal(ends, 0);
	assert_ok(talev_req_poll(third));
	assert_errno(talev_job_recv(third, test_root(), &data), EAGAIN);
	assert_non_null(data);
	assert_int_equal(jobs_info(jobq).refused, 1);
	gate_open(&gates.go);
	assert_int_equal(jobs_end(first), 0);
	assert_int_equal(jobs_end(second), 0);
	assert_int_equal(ran, 1);
}

/* 1, 8, 2, 0, 4, and again. */
static void change_concurrency(struct storm *storm)
{
	static const unsigned steps[] = {1, 8, 2, 0, 4};
	static unsigned step;
	struct talev_jobq_info info = jobs_info(storm->jobq);

	assert_true(info.running <= 8);
	if (storm->done % 100 != 0 || storm->left == 0)
		return;
	step = (step + 1) % 5;
	talev_jobq_set_concurrency(storm->jobq, steps[step]);
	if (steps[step] != 0)
		return;
	/* Those that run may end; no other begins; what is sent meanwhile waits. */
	while (jobs_info(storm->jobq).running > 0)
		sched_yield();
	info = jobs_info(storm->jobq);
	storm_send(storm);
	storm->left--;
	for (int i = 0; i < 100; i++)
		sched_yield();
	assert_int_equal(jobs_info(storm->jobq).done, info.done);
	assert_int_equal(jobs_info(storm->jobq).queued, info.queued + 1);
	step = (step + 1) % 5;
	talev_jobq_set_concurrency(storm->jobq, steps[step]);
}

static void j04_concurrency_changes_under_load(void **state)
{
	unsigned n = scaled(50000, 2000);
	struct storm storm = {.ev = test_context(test_root()),
		.jobq = jobs_queue("steps", 1),
		.left = n,
		.sometimes = change_concurrency};

	(void)state;
	storm_run(&storm, 64);
	assert_int_equal(storm.done, n);
	assert_int_equal(total, n);
	assert_true(atomic_load(&most_running) <= 8);
}

/* After it is lowered, those that run go on, and no more begin than the new setting has room for.
 */
static void j04_a_lower_concurrency_lets_running_jobs_end(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("lower", 4);
	struct talev_req *reqs[4];
	atomic_uint ran = 0;
	struct talev_req *last;
	struct gates gates;

	(void)state;
	gates_init(&gates);
	for (int i = 0; i < 4; i++)
		reqs[i] = jobs_block(ev, jobq, &gates);
	talev_jobq_set_concurrency(jobq, 1);
	assert_int_equal(jobs_info(jobq).running, 4);
	last = jobs_send_count(ev, jobq, &ran);
	for (int i = 0; i < 3; i++)
		gate_open(&gates.go);
	while (jobs_info(jobq).running > 1)
		sched_yield();
	assert_int_equal(jobs_info(jobq).queued, 1);
	assert_int_equal(ran, 0);
	gate_open(&gates.go);
	for (int i = 0; i < 4; i++)
		assert_int_equal(jobs_end(reqs[i]), 0);
	assert_int_equal(jobs_end(last), 0);
	assert_int_equal(ran, 1);
}

static void flip(struct storm *storm)
{
	static bool lifo;

	if (storm->done % 16 == 0)
		talev_jobq_set_lifo(storm->jobq, lifo = !lifo);
}

static void j05_fifo_and_lifo_by_turns_under_load(void **state)
{
	unsigned n = scaled(16000, 2000);
	struct storm storm = {.ev = test_context(test_root()),
		.jobq = jobs_queue("flips", 3),
		.left = n,
		.sometimes = flip};

	(void)state;
	storm_run(&storm, 100);
	assert_int_equal(storm.done, n);
	assert_int_equal(total, n);
}

static char order[64];

static int note_order(struct talev_job *job, void *data)
{
	(void)job;
	strcat(order, data);
	return 0;
}

static void order_is(bool lifo, const char *expected)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue(lifo ? "last first" : "first first", 1);
	struct talev_req *first;
	struct gates gates;

	order[0] = '\0';
	gates_init(&gates);
	talev_jobq_set_lifo(jobq, lifo);
	first = jobs_block(ev, jobq, &gates);
	for (char c = 'a'; c <= 'e'; c++) {
		char *data = talloc_asprintf(test_root(), "%c", c);

		assert_non_null(talev_job_send(test_root(), ev, jobq, note_order, &data));
	}
	gate_open(&gates.go);
	test_run(ev);
	assert_ok(talev_job_recv(first, NULL, NULL));
	assert_string_equal(order, expected);
}

static void j05_the_order_within_a_queue(void **state)
{
	(void)state;
	order_is(false, "abcde");
	order_is(true, "edcba");
}

static void queued_and_running(struct talev_context *ev, struct talev_jobq *jobq,
	struct gates *gates, struct talev_req *reqs[4], atomic_uint *ran)
{
	gates_init(gates);
	reqs[0] = jobs_block(ev, jobq, gates);
	for (int i = 1; i < 4; i++)
		reqs[i] = jobs_send_count(ev, jobq, ran);
}

static void j09_a_queue_freed_with_jobs_queued_and_running(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("going", 1);
	struct talev_jobq *other = talev_jobq_attach(test_root(), jobq);
	struct talev_req *reqs[4];
	struct gates gates;
	atomic_uint ran = 0;

	(void)state;
	queued_and_running(ev, jobq, &gates, reqs, &ran);
	talloc_free(jobq);
	for (int i = 1; i < 4; i++) {
		atomic_uint **data;

		assert_ok(talev_req_poll(reqs[i]));
		assert_errno(talev_job_recv(reqs[i], test_root(), &data), ESHUTDOWN);
		assert_ptr_equal(*data, &ran);
	}
	/* The handle is still a valid argument. */
	assert_int_equal(jobs_end(talev_job_send(ev, ev, other, nothing, NULL)), ESHUTDOWN);
	assert_true(talev_req_is_in_progress(reqs[0]));
	gate_open(&gates.go);
	assert_int_equal(jobs_end(reqs[0]), 0);
	assert_int_equal(ran, 0);
}

static void j09_a_queue_freed_and_never_asked_again(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("gone", 1);
	struct talev_req *reqs[4];
	struct gates gates;
	atomic_uint ran = 0;

	(void)state;
	queued_and_running(ev, jobq, &gates, reqs, &ran);
	talloc_free(jobq);
	gate_open(&gates.go);
	talloc_free(ev);
	assert_int_equal(ran, 0);
	jobs_wait_for_threads(0);
}

static int tell_the_gate(struct talev_job *job, void *data)
{
	struct gates *gates = *(struct gates **)data;

	gate_open(&gates->began);
	while (!talev_job_cancelled(job))
		sched_yield();
	gate_open(&gates->go);
	return 0;
}

static void j09_a_running_job_is_told_that_its_queue_closes(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("told", 1);
	struct gates gates;
	struct gates **data = gated_data(&gates);
	struct talev_req *req;

	(void)state;
	gates_init(&gates);
	req = talev_job_send(ev, ev, jobq, tell_the_gate, &data);
	gate_wait(&gates.began);
	talev_jobq_close(jobq);
	gate_wait(&gates.go);
	assert_int_equal(jobs_end(req), 0);
}

static atomic_uint destroyed;

static int count_destroyed(atomic_uint **data)
{
	(void)data;
	atomic_fetch_add(&destroyed, 1);
	return 0;
}

static void j10_a_context_freed_while_its_jobs_run(void **state)
{
	struct talev_jobq *jobq = jobs_queue("outlives", 2);

	(void)state;
	for (unsigned round = 0; round < scaled(500, 50); round++) {
		struct talev_context *ev = test_context(test_root());
		atomic_uint ran = 0;

		atomic_store(&destroyed, 0);
		for (int i = 0; i < 8; i++) {
			atomic_uint **data = count_data(test_root(), &ran);

			talloc_set_destructor(data, count_destroyed);
			assert_non_null(talev_job_send(ev, ev, jobq, job_count, &data));
		}
		for (unsigned k = 0; k < round % 5; k++)
			(void)talev_loop_nowait(ev);
		talloc_free(ev);
		/* Those that ran when it went are freed by their threads. */
		while (atomic_load(&destroyed) < 8)
			sched_yield();
		while (jobs_info(jobq).running > 0)
			sched_yield();
	}
}

static void j11_threads_end_down_to_the_floor(struct talev_jobq *jobq, unsigned floor)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_req *reqs[8];
	struct gates gates;

	gates_init(&gates);
	for (int i = 0; i < 8; i++)
		reqs[i] = jobs_block(ev, jobq, &gates);
	assert_int_equal(jobs_info(jobq).threads, 8);
	for (int i = 0; i < 8; i++)
		gate_open(&gates.go);
	for (int i = 0; i < 8; i++)
		assert_int_equal(jobs_end(reqs[i]), 0);
	while (jobs_info(jobq).threads > floor)
		usleep(1000);
	while (jobs_info(jobq).idle < floor)
		usleep(1000);
	jobs_wait_for_threads((int)floor);
}

static void j11_a_burst_shrinks_to_the_floor(void **state)
{
	struct talev_jobq *jobq = jobs_queue("burst", 8);

	(void)state;
	talev_jobq_set_floor(jobq, 2);
	talev_jobq_set_idle(jobq, TALEV_MSEC(50));
	j11_threads_end_down_to_the_floor(jobq, 2);
	j11_threads_end_down_to_the_floor(jobq, 2);
	/* And lower, when that is asked for later. */
	talev_jobq_set_floor(jobq, 0);
	while (jobs_info(jobq).threads > 0)
		usleep(1000);
}

static void j11_no_thread_ends_before_its_time(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("stays", 1);
	atomic_uint ran = 0;

	(void)state;
	talev_jobq_set_idle(jobq, TALEV_SEC(1000));
	assert_int_equal(jobs_end(jobs_send_count(ev, jobq, &ran)), 0);
	assert_int_equal(jobs_info(jobq).threads, 1);
	while (jobs_info(jobq).idle == 0)
		usleep(1000);
	talev_jobq_set_idle(jobq, 0);
	while (jobs_info(jobq).threads > 0)
		usleep(1000);
	assert_int_equal(jobs_end(jobs_send_count(ev, jobq, &ran)), 0);
}

static void j11_a_queue_made_by_a_job_shrinks_too(void **state)
{
	struct talev_jobq *first = jobs_queue("already", 1);
	struct talev_context *ev = test_context(test_root());
	atomic_uint ran = 0;
	struct talev_jobq *later;

	(void)state;
	talev_jobq_set_idle(first, 0);
	assert_int_equal(jobs_end(jobs_send_count(ev, first, &ran)), 0);
	later = jobs_queue("later", 8);
	talev_jobq_set_idle(later, TALEV_MSEC(20));
	talev_jobq_set_floor(later, 1);
	while (jobs_info(first).threads > 0)
		usleep(1000);
	j11_threads_end_down_to_the_floor(later, 1);
}

static void text_and_json_of_a_queue_and_of_all(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("shown", 3);
	atomic_uint ran = 0;
	struct talev_histogram *waited = talev_histogram_create(test_root());
	char *text;

	(void)state;
	talev_jobq_set_floor(jobq, 1);
	assert_int_equal(jobs_end(jobs_send_count(ev, jobq, &ran)), 0);
	text = talev_jobq_text(test_root(), jobq);
	assert_non_null(strstr(text, "shown: 0 of 3 running, 0 queued, 0 waiting, 1 threads"));
	assert_non_null(strstr(text, "1 sent, 1 done, 0 dropped, 0 expired, 0 refused"));
	text = talev_jobq_json(test_root(), jobq);
	assert_non_null(strstr(text, "{\"name\":\"shown\",\"concurrency\":3,"));
	assert_non_null(strstr(text, "\"waited\":{\"count\":1,"));
	jobs_queue("shown \"too\"", 1);
	text = talev_jobq_json(test_root(), NULL);
	assert_int_equal(text[0], '[');
	assert_non_null(strstr(text, "},{\"name\":\"shown \\\"too\\\"\","));
	assert_non_null(strstr(talev_jobq_text(test_root(), NULL), "shown \"too\": 0 of 1"));
	talev_jobq_get_times(jobq, waited, waited);
	assert_int_equal(talev_histogram_count(waited), 2);
}

static void note_running(const struct work_running *one, void *private_data)
{
	struct work_running *last = private_data;

	*last = *one;
	test_note("%s/%s", one->queue, one->job);
}

static void running_jobs_are_known_by_name(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("known", 1);
	struct work_running last = {.queue = NULL};
	struct talev_req *req;
	atomic_uint ran = 0;
	struct gates gates;

	(void)state;
	gates_init(&gates);
	req = jobs_block(ev, jobq, &gates);
	jobs_send_count(ev, jobq, &ran);
	work_each_running(note_running, &last);
	assert_notes("known/job_gated");
	assert_non_null(strstr(last.location, "jobs.h:"));
	assert_true(last.tid > 0 && last.tid != gettid());
	assert_true(last.since > 0 && last.since <= talev_now(ev));
	gate_open(&gates.go);
	assert_int_equal(jobs_end(req), 0);
	test_run(ev);
	test_forget_notes();
	work_each_running(note_running, &last);
	assert_notes("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(names_are_unique_while_the_queue_is_open),
		JOB_TEST(concurrency_is_kept_within_its_limits),
		JOB_TEST(j03_a_million_jobs_through_back_pressure),
		JOB_TEST(j03_a_full_queue_refuses_from_the_loop_and_gives_the_data_back),
		JOB_TEST(j04_concurrency_changes_under_load),
		JOB_TEST(j04_a_lower_concurrency_lets_running_jobs_end),
		JOB_TEST(j05_fifo_and_lifo_by_turns_under_load),
		JOB_TEST(j05_the_order_within_a_queue),
		JOB_TEST(j09_a_queue_freed_with_jobs_queued_and_running),
		JOB_TEST(j09_a_queue_freed_and_never_asked_again),
		JOB_TEST(j09_a_running_job_is_told_that_its_queue_closes),
		JOB_TEST(j10_a_context_freed_while_its_jobs_run),
		JOB_TEST(j11_a_burst_shrinks_to_the_floor),
		JOB_TEST(j11_no_thread_ends_before_its_time),
		JOB_TEST(j11_a_queue_made_by_a_job_shrinks_too),
		JOB_TEST(text_and_json_of_a_queue_and_of_all),
		JOB_TEST(running_jobs_are_known_by_name),
	};

	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
