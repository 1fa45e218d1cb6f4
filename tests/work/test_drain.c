/* SPDX-License-Identifier: BSD-2-Clause */
/* J8: drains, and J12: jobs that jobs add. */
#include "work/jobs.h"

static void note_drained(struct talev_req *req)
{
	test_note("%s", (const char *)talev_req_callback_data_void(req));
}

static struct talev_req *drain(struct talev_context *ev, struct talev_jobq *jobq, char *name)
{
	struct talev_req *req = talev_jobq_drain_send(test_root(), ev, jobq);

	assert_non_null(req);
	talev_req_set_callback(req, note_drained, name);
	return req;
}

static char drained[] = "drained";
static char again[] = "again";

static void j08_an_empty_queue_is_drained_from_the_loop(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("empty", 1);
	struct talev_req *req = drain(ev, jobq, drained);

	(void)state;
	assert_null_errno(talev_jobq_drain_send(ev, ev, NULL), EINVAL);
	assert_notes("");
	test_run(ev);
	assert_notes("drained");
	assert_ok(talev_jobq_drain_recv(req));
}

/* What is sent later does not count, also when it runs first. */
static void j08_a_drain_waits_for_what_was_sent_before(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("before", 2);
	struct gates before;
	struct gates after;
	struct talev_req *late;
	struct talev_req *req;
	atomic_uint ran = 0;

	(void)state;
	gates_init(&before);
	gates_init(&after);
	jobs_block(ev, jobq, &before);
	req = drain(ev, jobq, drained);
	late = jobs_block(ev, jobq, &after);
	drain(ev, jobq, again);
	assert_true(talev_req_is_in_progress(req));
	gate_open(&before.go);
	assert_ok(talev_req_poll(req));
	(void)talev_loop_nowait(ev);
	assert_notes("drained");
	assert_true(talev_req_is_in_progress(late));
	assert_int_equal(jobs_end(jobs_send_count(ev, jobq, &ran)), 0);
	gate_open(&after.go);
	test_run(ev);
	assert_notes("drained again");
}

static void j08_a_drain_with_lifo_and_a_thousand_classes(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("lifo", 2);
	struct talev_req *req;
	atomic_uint ran = 0;
	atomic_uint late = 0;

	(void)state;
	talev_jobq_set_lifo(jobq, true);
	talev_jobq_set_concurrency(jobq, 0);
	for (int i = 0; i < 1000; i++) {
		atomic_uint **data = count_data(test_root(), &ran);
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		assert_non_null(talev_job_class_send(ev, ev, jobq, name, job_count, &data));
	}
	req = drain(ev, jobq, drained);
	for (int i = 0; i < 10; i++)
		jobs_send_count(ev, jobq, &late);
	talev_jobq_set_concurrency(jobq, 2);
	assert_ok(talev_req_poll(req));
	assert_int_equal(ran, 1000);
	test_run(ev);
	assert_int_equal(late, 10);
}

static void j08_a_drain_with_a_deadline(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("deadline", 1);
	struct gates gates;
	struct talev_req *job;
	struct talev_req *req;

	(void)state;
	gates_init(&gates);
	job = jobs_block(ev, jobq, &gates);
	req = drain(ev, jobq, drained);
	assert_ok(talev_req_set_deadline(req, talev_now(ev) + TALEV_MSEC(5)));
	assert_ok(talev_req_poll(req));
	assert_errno(talev_jobq_drain_recv(req), ETIME);
	req = drain(ev, jobq, again);
	assert_ok(talev_req_cancel(req));
	talloc_free(drain(ev, jobq, drained));
	assert_ok(talev_req_poll(req));
	assert_errno(talev_jobq_drain_recv(req), ECANCELED);
	gate_open(&gates.go);
	assert_int_equal(jobs_end(job), 0);
	/* The one that was freed does not hold the loop. */
	assert_false(talev_have_events(ev));
}

/* A job may have a loop of its own, and there wait for anything but itself. */
static int drain_within(struct talev_jobq *jobq)
{
	struct talev_context *ev = talev_context_init(NULL);
	struct talev_req *req;
	int error = 0;

	demand(ev != NULL);
	req = talev_jobq_drain_send(ev, ev, jobq);
	demand(req != NULL);
	demand(talev_req_poll(req) == 0);
	if (talev_jobq_drain_recv(req) != 0)
		error = errno;
	talloc_free(ev);
	return error;
}

static int drain_that_queue(struct talev_job *job, void *data)
{
	(void)job;
	return drain_within(*(struct talev_jobq **)data);
}

static int run_drain(struct talev_context *ev, struct talev_jobq *in, struct talev_jobq *of)
{
	struct talev_jobq **data = talloc(test_root(), struct talev_jobq *);

	*data = of;
	return jobs_end(talev_job_send(test_root(), ev, in, drain_that_queue, &data));
}

static int add_that_drain(struct talev_job *job, void *data)
{
	struct talev_jobq **both = data;
	struct talev_jobq **of = talloc(NULL, struct talev_jobq *);

	*of = both[0];
	demand(talev_job_add(job, both[1], drain_that_queue, &of) == 0);
	return 0;
}

static void j08_a_drain_from_a_job_of_the_same_queue(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("itself", 2);
	struct talev_jobq *other = jobs_queue("not itself", 2);
	struct talev_jobq **both = talloc_array(test_root(), struct talev_jobq *, 2);

	(void)state;
	assert_int_equal(run_drain(ev, jobq, jobq), EDEADLK);
	assert_int_equal(run_drain(ev, jobq, other), 0);
	/* Nor by way of a job on another queue, that the first one waits for. */
	both[0] = jobq;
	both[1] = other;
	assert_int_equal(
		jobs_end(talev_job_send(test_root(), ev, jobq, add_that_drain, &both)), EDEADLK);
}

static void j08_a_drain_of_a_queue_that_closes(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("closes", 1);
	struct gates gates;
	struct talev_req *job;
	struct talev_req *req;
	atomic_uint ran = 0;

	(void)state;
	gates_init(&gates);
	job = jobs_block(ev, jobq, &gates);
	jobs_send_count(ev, jobq, &ran);
	req = drain(ev, jobq, drained);
	talloc_free(jobq);
	assert_true(talev_req_is_in_progress(req));
	gate_open(&gates.go);
	test_run(ev);
	assert_notes("drained");
	assert_ok(talev_job_recv(job, NULL, NULL));
	assert_int_equal(ran, 0);
}

/* J12 */
struct family {
	struct talev_jobq *other;
	unsigned depth;
	unsigned width;
	int error;
	atomic_uint *ran;
};

static struct family *family(TALLOC_CTX *mem_ctx, const struct family *like)
{
	struct family *one = talloc(mem_ctx, struct family);

	demand(one != NULL);
	*one = *like;
	return one;
}

/* Every second one goes to the other queue. */
static int have_children(struct talev_job *job, void *data)
{
	struct family *me = data;

	atomic_fetch_add(me->ran, 1);
	for (unsigned i = 0; me->depth > 0 && i < me->width; i++) {
		struct family *child = family(NULL, me);

		child->depth--;
		if (talev_job_add(job, i % 2 == 0 ? me->other : NULL, have_children, &child) == 0) {
			demand(child == NULL);
			continue;
		}
		demand(errno == ESHUTDOWN);
		talloc_free(child);
		return ESHUTDOWN;
	}
	return me->depth == 0 ? me->error : 0;
}

static void j12_a_job_ends_after_all_that_it_added(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("parents", 2);
	struct talev_jobq *other = jobs_queue("children", 2);
	unsigned rounds = scaled(200, 10);
	atomic_uint ran = 0;

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		struct family like = {.other = other, .depth = 3, .width = 4, .ran = &ran};
		struct family *root = family(test_root(), &like);
		struct talev_req *req;

		atomic_store(&ran, 0);
		req = talev_job_send(ev, ev, jobq, have_children, &root);
		assert_ok(talev_req_poll(req));
		assert_int_equal(ran, 1 + 4 + 16 + 64);
		assert_int_equal(jobs_info(jobq).waiting, 0);
		assert_ok(talev_job_recv(req, test_root(), &root));
		/* What they had is below what it had. */
		assert_int_equal(talloc_total_blocks(root), 1 + 4 + 16 + 64);
		talloc_free(root);
		talloc_free(req);
	}
}

static void j12_the_error_of_one_that_was_added(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("failing", 2);
	atomic_uint ran = 0;
	struct family like = {.depth = 2, .width = 2, .ran = &ran, .error = 77};
	struct family *root = family(test_root(), &like);
	struct talev_req *req = talev_job_send(ev, ev, jobq, have_children, &root);

	(void)state;
	assert_int_equal(jobs_end(req), 77);
	assert_int_equal(ran, 7);
}

static int add_a_gated_one(struct talev_job *job, void *data)
{
	struct gates **child = talloc(NULL, struct gates *);

	*child = *(struct gates **)data;
	demand(talev_job_add(job, NULL, job_gated, &child) == 0);
	return 0;
}

/* The parent does not hold a thread while it waits, and has not ended. */
static void j12_a_waiting_job_holds_no_thread(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("one thread", 1);
	struct gates gates;
	struct gates **data = gated_data(&gates);
	struct talev_req *req;

	(void)state;
	gates_init(&gates);
	req = talev_job_send(ev, ev, jobq, add_a_gated_one, &data);
	gate_wait(&gates.began);
	assert_int_equal(jobs_info(jobq).waiting, 1);
	assert_int_equal(jobs_info(jobq).running, 1);
	assert_true(talev_req_is_in_progress(req));
	assert_errno(talev_req_cancel(req), EBUSY);
	gate_open(&gates.go);
	assert_int_equal(jobs_end(req), 0);
}

static int add_many(struct talev_job *job, void *data)
{
	struct family *me = data;

	for (unsigned i = 0; i < me->width; i++) {
		struct family *child = family(NULL, me);

		child->depth = 0;
		demand(talev_job_add(job, NULL, have_children, &child) == 0);
	}
	while (!talev_job_cancelled(job))
		sched_yield();
	return 0;
}

static void j12_what_was_added_by_a_cancelled_job_never_begins(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("disowned", 1);
	atomic_uint ran = 0;
	struct family like = {.width = 10, .ran = &ran};
	struct family *root = family(test_root(), &like);
	struct talev_req *req = talev_job_send(ev, ev, jobq, add_many, &root);

	(void)state;
	while (jobs_info(jobq).queued < 10)
		sched_yield();
	assert_errno(talev_req_cancel(req), EBUSY);
	assert_int_equal(jobs_end(req), ECANCELED);
	assert_int_equal(ran, 0);
	assert_int_equal(jobs_info(jobq).dropped, 10);
}

static int add_to_a_full_one(struct talev_job *job, void *data)
{
	struct family *me = data;
	struct family *child = family(NULL, me);
	struct family *kept = child;

	child->depth = 0;
	if (talev_job_add(job, me->other, have_children, &child) == 0)
		return 0;
	demand(child == kept);
	talloc_free(child);
	return errno;
}

static void j12_adding_fails_at_once(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("adds", 1);
	struct talev_jobq *full = jobs_queue("takes none", 0);
	atomic_uint ran = 0;
	struct family like = {.other = full, .ran = &ran};
	struct family *root = family(test_root(), &like);

	(void)state;
	talev_jobq_set_max_backlog(full, 1);
	jobs_send_count(ev, full, &ran);
	assert_int_equal(jobs_end(talev_job_send(ev, ev, jobq, add_to_a_full_one, &root)), EAGAIN);
	talev_jobq_close(full);
	root = family(test_root(), &like);
	assert_int_equal(
		jobs_end(talev_job_send(ev, ev, jobq, add_to_a_full_one, &root)), ESHUTDOWN);
	assert_int_equal(ran, 0);
}

static void j12_a_family_whose_queue_and_context_go(void **state)
{
	unsigned rounds = scaled(200, 20);

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		struct talev_context *ev = test_context(test_root());
		struct talev_jobq *jobq = jobs_queue("going parents", 2);
		struct talev_jobq *other = jobs_queue("going children", 2);
		atomic_uint ran = 0;
		struct family like = {.other = other, .depth = 3, .width = 3, .ran = &ran};
		struct family *root = family(test_root(), &like);

		assert_non_null(talev_job_send(ev, ev, jobq, have_children, &root));
		while (atomic_load(&ran) <= i % 7)
			sched_yield();
		/* The handle that the family uses must be there as long as it does. */
		if (i % 2 == 0)
			talloc_free(ev);
		talloc_free(jobq);
		talev_jobq_close(other);
		jobs_wait_for_threads(0);
		if (i % 2 == 1)
			talloc_free(ev);
		talloc_free(other);
	}
}

/* Each job and each drain keeps the loop going, until it is freed or finalized, or its context is.
 */
static void what_goes_before_its_end_keeps_the_loop_no_longer(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("going", 1);
	static struct gates gates; /* a job that nobody waits for looks at them */
	static atomic_uint ran;
	TALLOC_CTX *tree = talloc_new(test_root());
	struct talev_req *job, *waits;

	(void)state;
	gates_init(&gates);
	job = jobs_block(ev, jobq, &gates);
	waits = drain(ev, jobq, drained);
	talloc_steal(tree, jobs_send_count(ev, jobq, &ran));
	talloc_steal(tree, drain(ev, jobq, again));
	assert_true(talev_have_events(ev));
	talloc_free(job);
	talloc_free(waits);
	assert_true(talev_have_events(ev));
	assert_ok(talev_finalize(ev, tree, TALEV_FINALIZE_NOW, NULL, NULL));
	assert_false(talev_have_events(ev));
	gate_open(&gates.go);
	assert_notes("");
}

static unsigned generations;

static int have_one_child(struct talev_job *job, void *data)
{
	(void)data;
	if (generations == 0)
		return 4711;
	generations--;
	return talev_job_add(job, NULL, have_one_child, NULL) == 0 ? 0 : errno;
}

/* What begins or ends does not go through all of its forebears, nor down to all that came of it. */
static void j12_a_family_of_many_generations(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_jobq *jobq = jobs_queue("family", 1);
	struct talev_req *req;

	(void)state;
	for (int i = 0; i < 2; i++) {
		generations = scaled(300000, 30000);
		req = talev_job_send(test_root(), ev, jobq, have_one_child, NULL);
		assert_non_null(req);
		if (i == 1) {
			/* The context goes before it is done. */
			talloc_free(ev);
			continue;
		}
		assert_int_equal(jobs_end(req), 4711);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(j08_an_empty_queue_is_drained_from_the_loop),
		JOB_TEST(j08_a_drain_waits_for_what_was_sent_before),
		JOB_TEST(j08_a_drain_with_lifo_and_a_thousand_classes),
		JOB_TEST(j08_a_drain_with_a_deadline),
		JOB_TEST(j08_a_drain_from_a_job_of_the_same_queue),
		JOB_TEST(j08_a_drain_of_a_queue_that_closes),
		JOB_TEST(j12_a_job_ends_after_all_that_it_added),
		JOB_TEST(j12_the_error_of_one_that_was_added),
		JOB_TEST(j12_a_waiting_job_holds_no_thread),
		JOB_TEST(j12_what_was_added_by_a_cancelled_job_never_begins),
		JOB_TEST(j12_adding_fails_at_once),
		JOB_TEST(j12_a_family_whose_queue_and_context_go),
		JOB_TEST(j12_a_family_of_many_generations),
		JOB_TEST(what_goes_before_its_end_keeps_the_loop_no_longer),
	};

	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
