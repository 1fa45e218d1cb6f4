/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each allocation of queues, jobs and drains fails in turn: an error is returned, nothing leaks,
 * and all goes on working. And the same for a thread that cannot be started.
 *
 * NO_VALGRIND: it replaces the allocator that fails here
 * NO_ASAN: it replaces the allocator that fails here
 */
#include <talev/work.h>
#include "work/jobs.h"

static int create_fails;
static int create_calls;

int __real_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg);
int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg);
int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg)
{
	create_calls++;
	return create_fails != 0 ? create_fails : __real_pthread_create(thread, attr, fn, arg);
}

struct oom {
	TALLOC_CTX *mem_ctx; /* freed after each try */
	struct talev_context *ev;
	struct talev_jobq *jobq;
};

static int nothing(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	return 0;
}

static int pass_on(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	return talev_job_add(job, NULL, nothing, NULL) == 0 ? 0 : errno;
}

/* Each returns whether it worked; if not, errno says ENOMEM. */
static bool create(struct oom *oom)
{
	return talev_jobq_create(oom->mem_ctx, "made") != NULL;
}

static bool handles(struct oom *oom)
{
	return talev_jobq_attach(oom->mem_ctx, oom->jobq) != NULL &&
	       talev_jobq_get(oom->mem_ctx, "oom") != NULL;
}

static bool finish(struct oom *oom, struct talev_req *req, void **data, bool moved)
{
	void *kept = *data;

	if (req == NULL) {
		assert_true(moved || kept != NULL);
		return false;
	}
	assert_null(kept);
	assert_int_equal(talev_req_poll(req), 0);
	if (talev_job_recv(req, oom->mem_ctx, data) == 0)
		return true;
	assert_non_null(*data);
	return false;
}

static bool send(struct oom *oom)
{
	void *data = talloc_strdup(oom->mem_ctx, "data");

	if (data == NULL)
		return false;
	return finish(oom, talev_job_send(oom->mem_ctx, oom->ev, oom->jobq, nothing, &data), &data,
		false);
}

static bool class_send(struct oom *oom)
{
	void *data = talloc_strdup(oom->mem_ctx, "data");

	if (data == NULL)
		return false;
	return finish(oom,
		talev_job_class_send(oom->mem_ctx, oom->ev, oom->jobq, "class", pass_on, &data),
		&data, false);
}

static void work_back(struct talev_context *ev, struct talev_work *work, int error, void *data,
	void *private_data)
{
	int *times = private_data;

	(void)ev;
	demand(error == 0);
	if (--*times > 0)
		demand(talev_work_schedule(work, nothing, &data, work_back, times) == 0);
}

static bool work(struct oom *oom)
{
	void *data = talloc_strdup(oom->mem_ctx, "data");
	struct talev_work *work = NULL;
	int times = 10;

	if (data != NULL)
		work = talev_work_create(oom->ev, oom->mem_ctx, oom->jobq);
	if (work == NULL || talev_work_set_class(work, "class") != 0)
		return false;
	if (talev_work_schedule(work, nothing, &data, work_back, &times) != 0) {
		assert_string_equal(data, "data");
		return false;
	}
	test_run(oom->ev);
	assert_int_equal(times, 0);
	return true;
}

static bool set_class(struct oom *oom)
{
	struct talev_jobq *jobq = talev_jobq_create(oom->mem_ctx, "classes");

	return jobq != NULL && talev_jobq_set_class(jobq, "class", 2) == 0;
}

static bool drain(struct oom *oom)
{
	struct talev_req *req = talev_jobq_drain_send(oom->mem_ctx, oom->ev, oom->jobq);

	if (req == NULL)
		return false;
	assert_int_equal(talev_req_poll(req), 0);
	return talev_jobq_drain_recv(req) == 0;
}

static bool show(struct oom *oom)
{
	return talev_jobq_text(oom->mem_ctx, NULL) != NULL &&
	       talev_jobq_json(oom->mem_ctx, NULL) != NULL &&
	       talev_jobq_text(oom->mem_ctx, oom->jobq) != NULL &&
	       talev_histogram_create(oom->mem_ctx) != NULL;
}

static const struct {
	const char *name;
	bool (*fn)(struct oom *oom);
} cases[] = {
	{"create", create},
	{"handles", handles},
	{"send", send},
	{"class_send", class_send},
	{"work", work},
	{"set_class", set_class},
	{"drain", drain},
	{"show", show},
};

/* With the n-th allocation failing. False: it needs fewer. */
static bool try(const char *name, bool (*fn)(struct oom *oom), unsigned long n)
{
	struct oom oom = {.ev = test_context(test_root()), .jobq = jobs_queue("oom", 1)};
	bool failed;
	bool worked;
	int error;

	oom.mem_ctx = talloc_new(test_root());
	test_alloc_fail_at(n);
	errno = 0;
	worked = fn(&oom);
	error = errno;
	failed = test_alloc_failed();
	test_alloc_fail_at(0);
	if (worked == failed || (failed && error != ENOMEM))
		fail_msg("%s: allocation %lu %s, it %s, errno %d", name, n,
			failed ? "failed" : "worked", worked ? "worked" : "failed", error);
	talloc_free(oom.mem_ctx);
	/* It goes on working. */
	oom.mem_ctx = talloc_new(test_root());
	assert_true(send(&oom) && drain(&oom));
	talloc_free(oom.mem_ctx);
	talloc_free(oom.jobq);
	talloc_free(oom.ev);
	return failed;
}

static void each_allocation_fails_in_turn(void **state)
{
	long before;

	(void)state;
	if (!test_alloc_works())
		skip();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (unsigned long n = 1; try(cases[i].name, cases[i].fn, n); n++) {
			jobs_wait_for_threads(0);
			before = test_alloc_bytes();
			(void)try(cases[i].name, cases[i].fn, n);
			jobs_wait_for_threads(0);
			if (test_alloc_bytes() != before)
				fail_msg("%s: %ld bytes leaked with allocation %lu", cases[i].name,
					test_alloc_bytes() - before, n);
		}
	}
}

static void a_work_is_sent_without_memory(void **state)
{
	struct oom oom = {.ev = test_context(test_root()), .jobq = jobs_queue("none", 1)};
	struct talev_work *work = talev_work_create(oom.ev, test_root(), oom.jobq);
	void *data = talloc_strdup(test_root(), "data");
	void *none = NULL;
	int times = 1;

	(void)state;
	if (!test_alloc_works())
		skip();
	assert_ok(talev_work_set_class(work, "class"));
	/* The first thread, and the first stack. */
	assert_ok(talev_work_schedule(work, nothing, &none, work_back, &times));
	test_run(oom.ev);
	times = 100;
	test_alloc_fail_from(1);
	assert_ok(talev_work_schedule(work, nothing, &data, work_back, &times));
	while (times > 0)
		(void)talev_loop_once(oom.ev);
	assert_false(test_alloc_failed());
	test_alloc_fail_at(0);
}

static void a_thread_that_cannot_be_started(void **state)
{
	struct oom oom = {.ev = test_context(test_root()), .jobq = jobs_queue("threads", 4)};
	struct talev_req *req;
	struct talev_req *other;
	struct talev_work *work;
	struct gates gates;
	void *data = talloc_strdup(test_root(), "data");
	int times = 2;

	(void)state;
	gates_init(&gates);
	oom.mem_ctx = test_root();
	create_fails = EAGAIN;
	req = talev_job_send(test_root(), oom.ev, oom.jobq, nothing, &data);
	assert_non_null(req);
	assert_false(finish(&oom, req, &data, true));
	assert_int_equal(errno, EAGAIN);
	assert_string_equal(data, "data");
	assert_int_equal(jobs_info(oom.jobq).threads, 0);
	work = talev_work_create(oom.ev, test_root(), oom.jobq);
	assert_errno(talev_work_schedule(work, nothing, &data, work_back, &times), EAGAIN);
	assert_string_equal(data, "data");
	assert_false(talev_work_is_scheduled(work));
	create_fails = 0;
	assert_ok(talev_work_schedule(work, nothing, &data, work_back, &times));
	test_run(oom.ev);
	assert_int_equal(times, 0);
	/* Where there is one thread, jobs wait for it. */
	create_fails = EAGAIN;
	req = jobs_block(oom.ev, oom.jobq, &gates);
	other = talev_job_send(test_root(), oom.ev, oom.jobq, nothing, NULL);
	assert_int_equal(jobs_info(oom.jobq).queued, 1);
	gate_open(&gates.go);
	assert_int_equal(jobs_end(req), 0);
	assert_int_equal(jobs_end(other), 0);
	create_fails = 0;
	assert_true(create_calls >= 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(each_allocation_fails_in_turn),
		JOB_TEST(a_work_is_sent_without_memory),
		JOB_TEST(a_thread_that_cannot_be_started),
	};

	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
