/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: jobs that are sent again and again. */
#include "work/work.h"
#include <talev/work.h>
#include "work/jobs.h"

struct count {
	unsigned ran;   /* in threads */
	unsigned back;  /* in the loop */
	unsigned until; /* sent again */
	pthread_t thread;
};

static int count_one(struct talev_job *job, void *data)
{
	struct count *count = talloc_get_type_abort(data, struct count);

	demand(!talev_job_cancelled(job));
	count->ran++;
	count->thread = pthread_self();
	return 0;
}

static int with_error(struct talev_job *job, void *data)
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

static struct count *count_until(unsigned until)
{
	struct count *count = talloc_zero(test_root(), struct count);

	assert_non_null(count);
	count->until = until;
	return count;
}

static void send_again(struct talev_context *ev, struct talev_work *work, int error, void *data,
	void *private_data)
{
	struct count *count = data;
	unsigned *backs = private_data;

	assert_int_equal(error, 0);
	assert_false(talev_work_is_scheduled(work));
	assert_ptr_equal(talev_source_get_context(work), ev);
	assert_false(pthread_equal(count->thread, pthread_self()));
	assert_int_equal(count->ran, ++count->back);
	(*backs)++;
	if (count->back == count->until)
		return;
	assert_ok(talev_work_schedule(work, count_one, &data, send_again, private_data));
	assert_null(data);
	assert_true(talev_work_is_scheduled(work));
}

static void a_work_is_sent_again_and_again_by_its_handler(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("again", 2);
	unsigned backs = 0;
	struct talev_stats stats;
	struct talev_work *work;

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct count *count = count_until(100);

		work = talev_work_create(ev, test_root(), jobq);
		assert_non_null(work);
		assert_ok(talev_work_schedule(work, count_one, &count, send_again, &backs));
		assert_null(count);
	}
	/* Never inside the call. */
	assert_int_equal(backs, 0);
	test_run(ev);
	assert_int_equal(backs, 500);
	assert_int_equal(jobs_info(jobq).done, 500);
	assert_ok(talev_source_get_stats(work, &stats));
	assert_int_equal(stats.calls, 100);
	assert_string_equal(talev_source_get_name(work), "send_again");
}

/* What came back last. */
struct result {
	unsigned calls;
	int error;
	void *data;
};

static void note_result(struct talev_context *ev, struct talev_work *work, int error, void *data,
	void *private_data)
{
	struct result *result = private_data;

	assert_non_null(ev);
	assert_false(talev_work_is_scheduled(work));
	result->calls++;
	result->error = error;
	result->data = data;
}

static void an_error_of_the_function_is_told(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_work *work = talev_work_create(ev, NULL, jobs_queue("errors", 1));
	struct result result = {.calls = 0};

	(void)state;
	assert_ptr_equal(talloc_parent(work), ev);
	assert_ok(talev_work_schedule(work, with_error, NULL, note_result, &result));
	test_run(ev);
	assert_int_equal(result.calls, 1);
	assert_int_equal(result.error, 4711);
	assert_null(result.data);
	assert_ok(talev_work_schedule(work, nothing, NULL, note_result, &result));
	test_run(ev);
	assert_int_equal(result.calls, 2);
	assert_int_equal(result.error, 0);
}

static int tell_destroyed(char *name)
{
	test_note("%s goes", name);
	return 0;
}

static char *named(const char *name)
{
	char *data = talloc_strdup(test_root(), name);

	talloc_set_destructor(data, tell_destroyed);
	return data;
}

static void data_stays_with_the_work_until_other_data_is_sent(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_work *work = talev_work_create(ev, test_root(), jobs_queue("stays", 1));
	struct result result = {.calls = 0};
	char *data = named("first");

	(void)state;
	assert_ok(talev_work_schedule(work, nothing, &data, note_result, &result));
	test_run(ev);
	assert_string_equal(result.data, "first");
	/* It may be left there as long as one likes. */
	data = result.data;
	assert_ok(talev_work_schedule(work, nothing, &data, note_result, &result));
	test_run(ev);
	assert_string_equal(result.data, "first");
	assert_notes("");
	data = named("second");
	assert_ok(talev_work_schedule(work, nothing, &data, note_result, &result));
	assert_notes("first goes");
	test_run(ev);
	assert_string_equal(result.data, "second");
	assert_ok(talev_work_schedule(work, nothing, NULL, note_result, &result));
	assert_notes("first goes second goes");
	test_run(ev);
	assert_null(result.data);
	data = named("third");
	assert_ok(talev_work_schedule(work, nothing, &data, note_result, &result));
	test_run(ev);
	talloc_free(work);
	assert_notes("first goes second goes third goes");
}

static void data_may_be_stolen_freed_or_a_part_of_it_sent(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_work *work = talev_work_create(ev, test_root(), jobs_queue("stolen", 1));
	struct result result = {.calls = 0};
	char *data = named("mine");
	char *part;

	(void)state;
	assert_ok(talev_work_schedule(work, nothing, &data, note_result, &result));
	test_run(ev);
	data = talloc_steal(test_root(), result.data);
	assert_ok(talev_work_schedule(work, nothing, NULL, note_result, &result));
	test_run(ev);
	assert_string_equal(data, "mine");
	assert_notes("");
	/* Out of the same hand once more. */
	assert_ok(talev_work_schedule(work, nothing, &data, note_result, &result));
	test_run(ev);
	talloc_free(result.data);
	assert_notes("mine goes");
	test_forget_notes();
	data = named("whole");
	part = talloc_steal(data, named("part"));
	assert_ok(talev_work_schedule(work, nothing, &data, note_result, &result));
	test_run(ev);
	assert_ok(talev_work_schedule(work, nothing, &part, note_result, &result));
	assert_notes("whole goes");
	test_run(ev);
	assert_string_equal(result.data, "part");
}

static void one_works_data_may_be_sent_by_another(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("others", 1);
	struct talev_work *work = talev_work_create(ev, test_root(), jobq);
	struct talev_work *other = talev_work_create(ev, test_root(), jobq);
	struct result result = {.calls = 0};
	char *data = named("data");
	struct talev_req *req;

	(void)state;
	assert_ok(talev_work_schedule(work, nothing, &data, note_result, &result));
	test_run(ev);
	data = result.data;
	assert_ok(talev_work_schedule(other, nothing, &data, note_result, &result));
	test_run(ev);
	talloc_free(work);
	data = result.data;
	req = talev_job_send(ev, ev, jobq, nothing, &data);
	talloc_free(other);
	assert_ok(talev_req_poll(req));
	assert_ok(talev_job_recv(req, test_root(), &data));
	assert_string_equal(data, "data");
	assert_notes("");
}

static void what_cannot_be_sent_is_refused_and_stays(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("refused", 1);
	struct talev_work *work = talev_work_create(ev, test_root(), jobq);
	struct result result = {.calls = 0};
	char *data = named("data");
	char *kept = data;

	(void)state;
	assert_null_errno(talev_work_create(NULL, test_root(), jobq), EINVAL);
	assert_null_errno(talev_work_create(ev, test_root(), NULL), EINVAL);
	assert_errno(talev_work_schedule(work, NULL, &data, note_result, NULL), EINVAL);
	assert_errno(talev_work_schedule(work, nothing, &data, NULL, NULL), EINVAL);
	assert_non_null(talloc_reference(test_root(), data));
	assert_errno(talev_work_schedule(work, nothing, &data, note_result, NULL), EINVAL);
	talloc_unlink(test_root(), data);
	data = kept = named("with a timer");
	assert_non_null(talev_add_timer(ev, data, TALEV_NEVER, (talev_timer_handler_t)abort, NULL));
	assert_errno(talev_work_schedule(work, nothing, &data, note_result, NULL), EINVAL);
	assert_ptr_equal(data, kept);
	/* A work in its own data. */
	data = talloc_strdup(test_root(), "around");
	talloc_steal(data, work);
	assert_errno(talev_work_schedule(work, nothing, &data, note_result, NULL), EINVAL);
	assert_non_null(data);
	data = NULL;
	assert_ok(talev_work_schedule(work, nothing, &data, note_result, &result));
	assert_errno(talev_work_schedule(work, nothing, NULL, note_result, NULL), EBUSY);
	assert_errno(talev_work_set_class(work, "class"), EBUSY);
	test_run(ev);
	assert_int_equal(result.calls, 1);
	assert_int_equal(jobs_info(jobq).sent, 1);
}

static void a_full_or_closed_queue_refuses_at_once(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("full", 1);
	struct talev_work *work = talev_work_create(ev, test_root(), jobq);
	struct result result = {.calls = 0};
	struct talev_req *first;
	atomic_uint ran = 0;
	struct gates gates;
	char *data = named("data");

	(void)state;
	gates_init(&gates);
	first = jobs_block(ev, jobq, &gates);
	talev_jobq_set_max_backlog(jobq, 1);
	jobs_send_count(ev, jobq, &ran);
	assert_errno(talev_work_schedule(work, nothing, &data, note_result, &result), EAGAIN);
	assert_string_equal(data, "data");
	assert_ptr_equal(talloc_parent(data), test_root());
	assert_false(talev_work_is_scheduled(work));
	gate_open(&gates.go);
	assert_int_equal(jobs_end(first), 0);
	test_run(ev);
	assert_ok(talev_work_schedule(work, nothing, &data, note_result, &result));
	test_run(ev);
	talev_jobq_close(jobq);
	data = result.data;
	assert_errno(talev_work_schedule(work, nothing, &data, note_result, &result), ESHUTDOWN);
	assert_ptr_equal(data, result.data);
	assert_int_equal(result.calls, 1);
	assert_false(talev_have_events(ev));
	talloc_free(work);
	assert_notes("data goes");
}

static char order[64];

static int note_order(struct talev_job *job, void *data)
{
	(void)job;
	strcat(order, data);
	return 0;
}

static void send_class(struct talev_context *ev, struct talev_jobq *jobq, const char *class_name,
	struct result *result)
{
	struct talev_work *work = talev_work_create(ev, test_root(), jobq);
	char *data = talloc_strdup(test_root(), class_name != NULL ? class_name : "-");

	assert_ok(talev_work_set_class(work, class_name));
	assert_ok(talev_work_schedule(work, note_order, &data, note_result, result));
}

static void works_of_classes_take_turns_and_of_one_keep_their_order(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("turns", 1);
	struct result result = {.calls = 0};
	struct gates gates;

	(void)state;
	order[0] = '\0';
	gates_init(&gates);
	assert_ok(talev_jobq_set_class(jobq, "b", 2));
	jobs_block(ev, jobq, &gates);
	for (int i = 0; i < 4; i++) {
		send_class(ev, jobq, "a", &result);
		send_class(ev, jobq, "b", &result);
		send_class(ev, jobq, NULL, &result);
	}
	assert_int_equal(jobs_info(jobq).classes, 3);
	gate_open(&gates.go);
	test_run(ev);
	assert_string_equal(order, "abb-abb-a-a-");
	assert_int_equal(result.calls, 12);
	order[0] = '\0';
	talev_jobq_set_lifo(jobq, true);
	jobs_block(ev, jobq, &gates);
	for (const char *c = "12345"; *c != '\0'; c++) {
		struct talev_work *work = talev_work_create(ev, test_root(), jobq);
		char *data = talloc_strndup(test_root(), c, 1);

		assert_ok(talev_work_schedule(work, note_order, &data, note_result, &result));
	}
	gate_open(&gates.go);
	test_run(ev);
	assert_string_equal(order, "54321");
}

static void a_class_is_there_as_long_as_works_are_of_it(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("held", 1);
	struct talev_work *work = talev_work_create(ev, test_root(), jobq);
	struct talev_work *other = talev_work_create(ev, test_root(), jobq);
	struct result result = {.calls = 0};

	(void)state;
	assert_ok(talev_work_set_class(work, "one"));
	assert_ok(talev_work_set_class(other, "one"));
	assert_ok(talev_work_set_class(work, "two"));
	assert_ok(talev_work_set_class(work, "two"));
	for (int i = 0; i < 3; i++) {
		assert_ok(talev_work_schedule(work, nothing, NULL, note_result, &result));
		assert_ok(talev_work_schedule(other, nothing, NULL, note_result, &result));
		test_run(ev);
	}
	talloc_free(other);
	assert_ok(talev_work_set_class(work, NULL));
	assert_ok(talev_work_schedule(work, nothing, NULL, note_result, &result));
	test_run(ev);
	assert_int_equal(result.calls, 7);
}

static int add_two(struct talev_job *job, void *data)
{
	char *below = talloc_strdup(NULL, "below");

	demand(data != NULL);
	demand(talev_job_add(job, NULL, nothing, &below) == 0);
	demand(talev_job_add(job, NULL, with_error, NULL) == 0);
	return 0;
}

static void a_work_ends_after_all_that_it_has_added(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_work *work = talev_work_create(ev, test_root(), jobs_queue("family", 2));
	struct result result = {.calls = 0};
	char *data = talloc_strdup(test_root(), "above");

	(void)state;
	for (int i = 1; i <= 10; i++) {
		assert_ok(talev_work_schedule(work, add_two, &data, note_result, &result));
		test_run(ev);
		assert_int_equal(result.calls, i);
		assert_int_equal(result.error, 4711);
		assert_int_equal(talloc_total_blocks(result.data), 1 + i);
		data = result.data;
	}
}

static void count_drained(struct talev_req *req)
{
	struct result *result = talev_req_callback_data_void(req);

	assert_int_equal(result->calls, 3);
	test_note("drained");
}

static void a_drain_waits_for_works(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("drained", 1);
	struct result result = {.calls = 0};
	struct talev_req *drain;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_ok(talev_work_schedule(talev_work_create(ev, test_root(), jobq), nothing,
			NULL, note_result, &result));
	drain = talev_jobq_drain_send(ev, ev, jobq);
	talev_req_set_callback(drain, count_drained, &result);
	test_run(ev);
	assert_notes("drained");
}

static void note_running(const struct work_running *one, void *private_data)
{
	assert_non_null(strstr(one->location, private_data));
	test_note("%s/%s", one->queue, one->job);
}

static void a_running_work_is_known_by_name(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_work *work = talev_work_create(ev, test_root(), jobs_queue("known", 1));
	struct result result = {.calls = 0};
	struct gates **data;
	struct gates gates;
	char *text;

	(void)state;
	gates_init(&gates);
	data = gated_data(&gates);
	assert_ok(talev_work_schedule(work, job_gated, &data, note_result, &result));
	gate_wait(&gates.began);
	work_each_running(note_running, (void *)(uintptr_t) "test_work.c:");
	assert_notes("known/job_gated");
	text = talev_snapshot_text(test_root(), talev_snapshot(test_root(), ev));
	assert_non_null(strstr(text, "note_result"));
	gate_open(&gates.go);
	test_run(ev);
	assert_int_equal(result.calls, 1);
}

static void handlers_are_measured_and_their_order_is_that_of_immediates(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("measured", 1);
	struct talev_work *work = talev_work_create(ev, test_root(), jobq);
	struct result result = {.calls = 0};
	struct talev_stats stats;

	(void)state;
	talev_context_set_timing(ev, true);
	for (int i = 0; i < 3; i++) {
		assert_ok(talev_work_schedule(work, nothing, NULL, note_result, &result));
		test_run(ev);
	}
	assert_ok(talev_source_get_stats(work, &stats));
	assert_int_equal(stats.calls, 3);
	assert_true(test_is_sim() || stats.time_total > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(a_work_is_sent_again_and_again_by_its_handler),
		JOB_TEST(an_error_of_the_function_is_told),
		JOB_TEST(data_stays_with_the_work_until_other_data_is_sent),
		JOB_TEST(data_may_be_stolen_freed_or_a_part_of_it_sent),
		JOB_TEST(one_works_data_may_be_sent_by_another),
		JOB_TEST(what_cannot_be_sent_is_refused_and_stays),
		JOB_TEST(a_full_or_closed_queue_refuses_at_once),
		JOB_TEST(works_of_classes_take_turns_and_of_one_keep_their_order),
		JOB_TEST(a_class_is_there_as_long_as_works_are_of_it),
		JOB_TEST(a_work_ends_after_all_that_it_has_added),
		JOB_TEST(a_drain_waits_for_works),
		JOB_TEST(a_running_work_is_known_by_name),
		JOB_TEST(handlers_are_measured_and_their_order_is_that_of_immediates),
	};

	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
