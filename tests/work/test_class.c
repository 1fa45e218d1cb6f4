/* SPDX-License-Identifier: BSD-2-Clause */
/* Classes: fair shares, exact counts, nothing left behind. */
#include "work/jobs.h"

static char order[256];

static int note_class(struct talev_job *job, void *data)
{
	(void)job;
	strcat(order, data);
	return 0;
}

static void send_class(struct talev_context *ev, struct talev_jobq *jobq, const char *class_name)
{
	char *data = talloc_strdup(test_root(), class_name != NULL ? class_name : "-");

	assert_non_null(talev_job_class_send(test_root(), ev, jobq, class_name, note_class, &data));
}

static void j02_classes_take_turns_by_their_weights(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("turns", 1);
	struct gates gates;

	(void)state;
	order[0] = '\0';
	gates_init(&gates);
	assert_errno(talev_jobq_set_class(jobq, "b", 0), EINVAL);
	assert_ok(talev_jobq_set_class(jobq, "b", 2));
	assert_ok(talev_jobq_set_class(jobq, NULL, 3));
	jobs_block(ev, jobq, &gates);
	for (int i = 0; i < 6; i++) {
		send_class(ev, jobq, "a");
		send_class(ev, jobq, "b");
		send_class(ev, jobq, NULL);
	}
	assert_int_equal(jobs_info(jobq).classes, 3);
	assert_int_equal(jobs_info(jobq).queued, 18);
	gate_open(&gates.go);
	test_run(ev);
	assert_string_equal(order, "abb---abb---abbaaa");
	assert_int_equal(jobs_info(jobq).classes, 0);
}

/* After libmtev's subqueues test: every class gets exactly what was sent to it. */
static atomic_uint counts[1000];

static void j02_a_thousand_classes_with_exact_counts(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("thousand", 3);
	unsigned each = scaled(20, 3);

	(void)state;
	for (unsigned c = 0; c < 1000; c++)
		atomic_store(&counts[c], 0);
	for (unsigned i = 0; i < each; i++) {
		for (unsigned c = 0; c < 1000; c++) {
			atomic_uint **data = count_data(test_root(), &counts[c]);
			char name[16];

			snprintf(name, sizeof(name), "class %u", c);
			assert_non_null(talev_job_class_send(
				test_root(), ev, jobq, name, job_count, &data));
		}
	}
	test_run(ev);
	for (unsigned c = 0; c < 1000; c++)
		assert_int_equal(counts[c], each);
	assert_int_equal(jobs_info(jobq).done, 1000 * each);
	assert_int_equal(jobs_info(jobq).classes, 0);
}

/* How many jobs of the others began while one of the light class waited. */
static atomic_uint heavy_begun;
static unsigned most_before;

struct light {
	unsigned sent_at;
	unsigned began_at;
};

static int heavy(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	atomic_fetch_add(&heavy_begun, 1);
	for (volatile int i = 0; i < 2000; i++) {
	}
	return 0;
}

static int light(struct talev_job *job, void *data)
{
	struct light *one = data;

	(void)job;
	one->began_at = atomic_load(&heavy_begun);
	return 0;
}

struct fair {
	struct talev_context *ev;
	struct talev_jobq *jobq;
	unsigned left;
};

static void light_ended(struct talev_req *req);

static void send_light(struct fair *fair)
{
	struct light *one = talloc_zero(test_root(), struct light);
	struct talev_req *req;

	talev_jobq_set_concurrency(fair->jobq, 0);
	while (jobs_info(fair->jobq).running > 0)
		sched_yield();
	one->sent_at = atomic_load(&heavy_begun);
	req = talev_job_class_send(test_root(), fair->ev, fair->jobq, "light", light, &one);
	talev_req_set_callback(req, light_ended, fair);
	talev_jobq_set_concurrency(fair->jobq, 1);
}

static void light_ended(struct talev_req *req)
{
	struct fair *fair = talev_req_callback_data_void(req);
	struct light *one;
	unsigned before;

	assert_ok(talev_job_recv(req, test_root(), &one));
	before = one->began_at - one->sent_at;
	if (before > most_before)
		most_before = before;
	talloc_free(one);
	talloc_free(req);
	if (--fair->left > 0)
		send_light(fair);
	else
		talloc_free(fair->jobq);
}

/* Counted in jobs, not in time: of a class that has 10,000 jobs waiting, and the same weight, at
 * most one begins before a light one does. There is one thread, and it is held while a light one is
 * sent, so that what began before is known. */
static void j13_a_light_class_does_not_wait_for_a_heavy_one(void **state)
{
	struct fair fair = {.ev = test_context(test_root()), .jobq = jobs_queue("fair", 1)};
	unsigned n = scaled(10000, 2000);

	(void)state;
	most_before = 0;
	atomic_store(&heavy_begun, 0);
	talev_jobq_set_concurrency(fair.jobq, 0);
	for (unsigned i = 0; i < n; i++)
		assert_non_null(
			talev_job_class_send(fair.ev, fair.ev, fair.jobq, "heavy", heavy, NULL));
	fair.left = scaled(200, 20);
	send_light(&fair);
	test_run(fair.ev);
	assert_int_equal(fair.left, 0);
	assert_true(atomic_load(&heavy_begun) > 0);
	print_message("# at most %u heavy jobs before a light one\n", most_before);
	assert_true(most_before <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(j02_classes_take_turns_by_their_weights),
		JOB_TEST(j02_a_thousand_classes_with_exact_counts),
		JOB_TEST(j13_a_light_class_does_not_wait_for_a_heavy_one),
	};

	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
