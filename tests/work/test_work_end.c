/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: a work that is cancelled or freed, or whose queue, context or process goes. */
#include <talev/work.h>
#include "work/jobs.h"

struct result {
	unsigned calls;
	int error;
	void *data;
	struct talev_work *other;
};

static void note_result(struct talev_context *ev, struct talev_work *work, int error, void *data,
	void *private_data)
{
	struct result *result = private_data;

	(void)ev;
	assert_false(talev_work_is_scheduled(work));
	result->calls++;
	result->error = error;
	result->data = data;
}

static int nothing(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	return 0;
}

/* Until its token says so. */
static int until_cancelled(struct talev_job *job, void *data)
{
	struct gates *gates = *(struct gates **)data;

	gate_open(&gates->began);
	while (!talev_job_cancelled(job))
		sched_yield();
	gate_open(&gates->go);
	return 4711;
}

struct telling {
	pthread_t thread;
};

static int tell_destroyed(struct telling *telling)
{
	assert_true(pthread_equal(telling->thread, pthread_self()));
	test_note("destroyed");
	return 0;
}

/* Tells when it is freed, which has to be on this thread. */
static struct gates **telling_data(struct gates *gates)
{
	struct gates **data = gated_data(gates);
	struct telling *telling = talloc_zero(data, struct telling);

	telling->thread = pthread_self();
	talloc_set_destructor(telling, tell_destroyed);
	return data;
}

static void cancelled_before_it_begins(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("cancelled", 1);
	struct talev_work *work = talev_work_create(ev, test_root(), jobq);
	struct result result = {.calls = 0};
	struct talev_req *first;
	struct gates gates;
	struct gates **data;
	struct gates **sent;

	(void)state;
	gates_init(&gates);
	assert_ok(talev_work_cancel(work, NULL));
	first = jobs_block(ev, jobq, &gates);
	sent = data = telling_data(&gates);
	for (int i = 0; i < 3; i++) {
		assert_ok(talev_work_schedule(work, job_gated, &data, note_result, &result));
		assert_int_equal(jobs_info(jobq).queued, 1);
		assert_ok(talev_work_cancel(work, &data));
		assert_int_equal(jobs_info(jobq).queued, 0);
		assert_false(talev_work_is_scheduled(work));
		assert_ptr_equal(data, sent);
	}
	assert_ok(talev_work_schedule(work, nothing, NULL, note_result, &result));
	assert_notes("destroyed");
	assert_ok(talev_work_cancel(work, &data));
	assert_null(data);
	gate_open(&gates.go);
	assert_int_equal(jobs_end(first), 0);
	test_run(ev);
	assert_int_equal(result.calls, 0);
	assert_int_equal(jobs_info(jobq).done, 1);
	assert_int_equal(jobs_info(jobq).dropped, 4);
}

static void a_running_one_is_told_and_its_handler_called(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_work *work = talev_work_create(ev, test_root(), jobs_queue("told", 1));
	struct result result = {.calls = 0};
	struct gates gates;
	struct gates **data;
	void *back = &gates;

	(void)state;
	gates_init(&gates);
	data = telling_data(&gates);
	assert_ok(talev_work_schedule(work, until_cancelled, &data, note_result, &result));
	gate_wait(&gates.began);
	assert_errno(talev_work_cancel(work, &back), EBUSY);
	assert_null(back);
	test_run(ev);
	assert_int_equal(result.calls, 1);
	assert_int_equal(result.error, 4711);
	assert_non_null(result.data);
	assert_notes("");
	/* The next time nobody has cancelled it. */
	data = result.data;
	assert_ok(talev_work_schedule(work, job_gated, &data, note_result, &result));
	gate_open(&gates.go);
	test_run(ev);
	assert_int_equal(result.error, 0);
}

static void cancel_other(struct talev_context *ev, struct talev_work *work, int error, void *data,
	void *private_data)
{
	struct result *result = private_data;
	char *of_other = NULL;

	note_result(ev, work, error, data, private_data);
	assert_true(talev_work_is_scheduled(result->other));
	/* It is back, but its handler has not run. */
	assert_ok(talev_work_cancel(result->other, &of_other));
	assert_string_equal(of_other, "other");
}

static void cancelled_when_it_is_back(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("back", 1);
	struct talev_work *work = talev_work_create(ev, test_root(), jobq);
	struct result result = {.other = talev_work_create(ev, test_root(), jobq)};
	char *data = talloc_strdup(test_root(), "other");
	struct talev_req *last;
	struct gates gates;

	(void)state;
	gates_init(&gates);
	assert_ok(talev_work_schedule(work, nothing, NULL, cancel_other, &result));
	assert_ok(talev_work_schedule(result.other, nothing, &data, cancel_other, &result));
	/* Before the thread begins the next one it sends back the one before. */
	last = jobs_block(ev, jobq, &gates);
	gate_open(&gates.go);
	assert_int_equal(jobs_end(last), 0);
	assert_int_equal(result.calls, 1);
}

static void free_itself(struct talev_context *ev, struct talev_work *work, int error, void *data,
	void *private_data)
{
	note_result(ev, work, error, data, private_data);
	assert_int_equal(talloc_free(work), 0);
	assert_notes("destroyed");
}

static void freed_in_its_own_handler(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_work *work = talev_work_create(ev, test_root(), jobs_queue("itself", 1));
	struct result result = {.calls = 0};
	struct gates gates;
	struct gates **data;

	(void)state;
	gates_init(&gates);
	gate_open(&gates.go);
	data = telling_data(&gates);
	assert_ok(talev_work_schedule(work, job_gated, &data, free_itself, &result));
	test_run(ev);
	assert_int_equal(result.calls, 1);
}

static void freed_before_it_begins(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("early", 1);
	struct talev_work *work = talev_work_create(ev, test_root(), jobq);
	struct result result = {.calls = 0};
	struct talev_req *first;
	struct gates gates;
	struct gates **data;

	(void)state;
	gates_init(&gates);
	first = jobs_block(ev, jobq, &gates);
	data = telling_data(&gates);
	assert_ok(talev_work_set_class(work, "class"));
	assert_ok(talev_work_schedule(work, job_gated, &data, note_result, &result));
	talloc_free(work);
	assert_notes("destroyed");
	gate_open(&gates.go);
	assert_int_equal(jobs_end(first), 0);
	test_run(ev);
	assert_int_equal(result.calls, 0);
	assert_int_equal(jobs_info(jobq).done, 1);
}

static bool was_told;

static int gated_and_asked(struct talev_job *job, void *data)
{
	int rc = job_gated(job, data);

	was_told = talev_job_cancelled(job);
	return rc;
}

static void freed_while_it_runs(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("runs", 1);
	struct talev_work *work = talev_work_create(ev, test_root(), jobq);
	struct result result = {.calls = 0};
	struct talev_req *drain;
	struct gates gates;
	struct gates **data;

	(void)state;
	gates_init(&gates);
	data = telling_data(&gates);
	assert_ok(talev_work_set_class(work, "class"));
	assert_ok(talev_work_schedule(work, gated_and_asked, &data, note_result, &result));
	gate_wait(&gates.began);
	assert_true(talev_have_events(ev));
	talloc_free(work);
	assert_notes("");
	/* Nobody waits for it any more, but it is told. */
	assert_false(talev_have_events(ev));
	gate_open(&gates.go);
	drain = talev_jobq_drain_send(ev, ev, jobq);
	assert_ok(talev_req_poll(drain));
	assert_notes("destroyed");
	assert_true(was_told);
	assert_int_equal(result.calls, 0);
}

static void the_queue_closes_before_and_while_it_runs(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("closes", 1);
	struct talev_work *work = talev_work_create(ev, test_root(), jobq);
	struct talev_work *other = talev_work_create(ev, test_root(), jobq);
	struct result result = {.calls = 0};
	struct result of_other = {.calls = 0};
	char *waiting = talloc_strdup(test_root(), "waiting");
	struct gates gates;
	struct gates **data;

	(void)state;
	gates_init(&gates);
	data = telling_data(&gates);
	assert_ok(talev_work_schedule(work, until_cancelled, &data, note_result, &result));
	gate_wait(&gates.began);
	assert_ok(talev_work_schedule(other, nothing, &waiting, note_result, &of_other));
	talloc_free(jobq);
	test_run(ev);
	assert_int_equal(result.error, 4711);
	assert_int_equal(of_other.error, ESHUTDOWN);
	assert_string_equal(of_other.data, "waiting");
	assert_errno(talev_work_schedule(other, nothing, NULL, note_result, NULL), ESHUTDOWN);
}

static atomic_uint destroyed;

static int count_destroyed(atomic_uint **data)
{
	(void)data;
	atomic_fetch_add(&destroyed, 1);
	return 0;
}

static void the_context_goes_meanwhile(void **state)
{
	struct talev_jobq *jobq = jobs_queue("outlives", 2);

	(void)state;
	for (unsigned round = 0; round < scaled(300, 40); round++) {
		struct talev_context *ev = test_context(test_root());
		struct result result = {.calls = 0};
		struct talev_work *works[8];
		atomic_uint ran = 0;

		atomic_store(&destroyed, 0);
		for (int i = 0; i < 8; i++) {
			atomic_uint **data = count_data(test_root(), &ran);

			works[i] = talev_work_create(ev, i % 2 ? NULL : test_root(), jobq);
			talloc_set_destructor(data, count_destroyed);
			assert_ok(talev_work_schedule(
				works[i], job_count, &data, note_result, &result));
		}
		for (unsigned k = 0; k < round % 5; k++)
			(void)talev_loop_nowait(ev);
		talloc_free(ev);
		for (int i = 0; i < 8; i += 2) {
			assert_errno(
				talev_work_schedule(works[i], nothing, NULL, note_result, NULL),
				ESTALE);
			assert_errno(talev_work_cancel(works[i], NULL), ESTALE);
			assert_errno(talev_work_set_class(works[i], NULL), ESTALE);
			assert_false(talev_work_is_scheduled(works[i]));
			talloc_free(works[i]);
		}
		while (atomic_load(&destroyed) < 8 || jobs_info(jobq).running > 0)
			sched_yield();
	}
}

static void note_finalized(struct talev_context *ev, void *arg)
{
	(void)ev;
	test_note("%s", (const char *)arg);
}

static void finalize_itself(struct talev_context *ev, struct talev_work *work, int error,
	void *data, void *private_data)
{
	note_result(ev, work, error, data, private_data);
	assert_ok(talev_finalize(ev, work, 0, note_finalized, (void *)(uintptr_t) "tree"));
	assert_errno(talev_work_schedule(work, nothing, NULL, note_result, NULL), ESTALE);
	assert_string_equal(data, "data");
	assert_notes("");
}

static void finalizers_run_when_its_handler_has_returned(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_work *work = talev_work_create(ev, test_root(), jobs_queue("final", 1));
	struct result result = {.calls = 0};
	char *data = talloc_strdup(test_root(), "data");

	(void)state;
	assert_ok(talev_source_set_finalizer(work, 0, note_finalized, (void *)(uintptr_t) "work"));
	assert_ok(talev_work_schedule(work, nothing, &data, finalize_itself, &result));
	test_run(ev);
	assert_int_equal(result.calls, 1);
	assert_notes("work tree");
}

static void finalized_while_it_runs(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("inert", 1);
	struct talev_work *work = talev_work_create(ev, test_root(), jobq);
	struct result result = {.calls = 0};
	struct gates gates;
	struct gates **data;

	(void)state;
	gates_init(&gates);
	data = telling_data(&gates);
	assert_ok(talev_source_set_finalizer(work, 0, note_finalized, (void *)(uintptr_t) "work"));
	assert_ok(talev_work_schedule(work, until_cancelled, &data, note_result, &result));
	gate_wait(&gates.began);
	assert_ok(talev_finalize(ev, work, TALEV_FINALIZE_NOW, NULL, NULL));
	assert_notes("work");
	gate_wait(&gates.go);
	assert_ok(talev_req_poll(talev_jobq_drain_send(ev, ev, jobq)));
	assert_notes("work destroyed");
	assert_int_equal(result.calls, 0);
}

static void a_disabled_one_tells_nothing_until_it_is_enabled(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("disabled", 1);
	struct talev_work *work = talev_work_create(ev, test_root(), jobq);
	struct talev_work *other = talev_work_create(ev, test_root(), jobq);
	struct result result = {.calls = 0};
	struct result of_other = {.calls = 0};

	(void)state;
	assert_ok(talev_source_set_enabled(work, false));
	assert_ok(talev_work_schedule(work, nothing, NULL, note_result, &result));
	assert_ok(talev_work_schedule(other, nothing, NULL, note_result, &of_other));
	while (of_other.calls == 0)
		test_once(ev);
	assert_int_equal(result.calls, 0);
	assert_true(talev_work_is_scheduled(work));
	assert_ok(talev_source_set_enabled(work, true));
	test_run(ev);
	assert_int_equal(result.calls, 1);
}

/* Works that are sent, cancelled and freed at random, by a loop for threads. */
#define WORKS 32

struct storm {
	struct talev_context *ev;
	struct talev_jobq *jobq;
	struct talev_work *works[WORKS];
	bool waits[WORKS];
	atomic_uint *datas[WORKS]; /* at home */
	unsigned left;
	unsigned seed;
	unsigned calls;
};

static unsigned pick(struct storm *storm, unsigned below)
{
	storm->seed = storm->seed * 1103515245 + 12345;
	return (storm->seed >> 16) % below;
}

static int add_one(struct talev_job *job, void *data)
{
	(void)job;
	atomic_fetch_add_explicit((atomic_uint *)data, 1, memory_order_relaxed);
	return 0;
}

static void storm_back(struct talev_context *ev, struct talev_work *work, int error, void *data,
	void *private_data);

static void storm_send(struct storm *storm, unsigned i)
{
	void *data = storm->datas[i];

	storm->datas[i] = NULL;
	if (data == NULL)
		data = talloc_zero(test_root(), atomic_uint);
	assert_ok(talev_work_schedule(storm->works[i], add_one, &data, storm_back, storm));
	assert_false(storm->waits[i]);
	storm->waits[i] = true;
}

static void storm_make(struct storm *storm, unsigned i)
{
	storm->works[i] = talev_work_create(storm->ev, test_root(), storm->jobq);
	assert_non_null(storm->works[i]);
	if (pick(storm, 4) == 0)
		assert_ok(talev_work_set_class(storm->works[i], i % 2 ? "odd" : "even"));
	storm->waits[i] = false;
	storm->datas[i] = NULL;
}

static void storm_step(struct storm *storm)
{
	unsigned i = pick(storm, WORKS);
	void *data;

	switch (pick(storm, 4)) {
	case 0:
		talloc_free(storm->works[i]);
		storm_make(storm, i);
		break;
	case 1:
		if (talev_work_cancel(storm->works[i], &data) != 0)
			break;
		if (storm->waits[i])
			storm->datas[i] = data;
		storm->waits[i] = false;
		break;
	default:
		break;
	}
	if (!storm->waits[i])
		storm_send(storm, i);
}

static void storm_back(struct talev_context *ev, struct talev_work *work, int error, void *data,
	void *private_data)
{
	struct storm *storm = private_data;
	unsigned i = 0;

	(void)ev;
	while (storm->works[i] != work)
		demand(++i < WORKS);
	assert_int_equal(error, 0);
	assert_true(storm->waits[i]);
	assert_true(atomic_load((atomic_uint *)data) > 0);
	storm->waits[i] = false;
	storm->datas[i] = data;
	storm->calls++;
	if (storm->left == 0)
		return;
	storm->left--;
	storm_send(storm, i);
	storm_step(storm);
}

static void works_are_sent_cancelled_and_freed_in_a_storm(void **state)
{
	struct storm storm = {.ev = test_context(test_root()), .seed = 1};

	(void)state;
	storm.jobq = jobs_queue("storm", 3);
	storm.left = scaled(30000, 2000);
	for (unsigned i = 0; i < WORKS; i++) {
		storm_make(&storm, i);
		storm_send(&storm, i);
	}
	test_run(storm.ev);
	assert_true(storm.calls >= scaled(30000, 2000));
	assert_int_equal(jobs_info(storm.jobq).queued, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(cancelled_before_it_begins),
		JOB_TEST(a_running_one_is_told_and_its_handler_called),
		JOB_TEST(cancelled_when_it_is_back),
		JOB_TEST(freed_in_its_own_handler),
		JOB_TEST(freed_before_it_begins),
		JOB_TEST(freed_while_it_runs),
		JOB_TEST(the_queue_closes_before_and_while_it_runs),
		JOB_TEST(the_context_goes_meanwhile),
		JOB_TEST(finalizers_run_when_its_handler_has_returned),
		JOB_TEST(finalized_while_it_runs),
		JOB_TEST(a_disabled_one_tells_nothing_until_it_is_enabled),
		JOB_TEST(works_are_sent_cancelled_and_freed_in_a_storm),
	};

	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
