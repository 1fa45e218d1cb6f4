/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: what threads of the parent had in their hands is lost in the child */
/* fork(2): the child's queues are empty, have no threads, and work. */
#include <sys/wait.h>
#include <talev/work.h>
#include "work/jobs.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* A thread of the parent may hold a lock of the sanitizer's allocator, which the child then never
 * gets. */
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

struct forked {
	struct talev_context *ev;
	struct talev_jobq *jobq;
	struct talev_req *running;
	struct talev_req *queued;
	struct talev_req *drain;
	struct talev_work *work;
	struct talev_work *queued_work;
	unsigned backs;
};

/* Not test_in_child(): freeing what the parent's threads use is no part of this. */
static void in_child(void (*fn)(struct forked *f), struct forked *f)
{
	pid_t pid = fork();
	int status;

	demand(pid >= 0);
	if (pid == 0) {
		alarm(30);
		fn(f);
		_exit(0);
	}
	demand(waitpid(pid, &status, 0) == pid);
	assert_int_equal(status, 0);
}

static int end_of(struct talev_req *req)
{
	demand(talev_req_poll(req) == 0);
	return talev_job_recv(req, NULL, NULL) == 0 ? 0 : errno;
}

static void use(struct forked *f)
{
	atomic_uint ran = 0;

	for (int i = 0; i < 10; i++) {
		atomic_uint **data = count_data(test_root(), &ran);

		demand(end_of(talev_job_send(f->ev, f->ev, f->jobq, job_count, &data)) == 0);
	}
	demand(ran == 10);
	demand(jobs_info(f->jobq).done == 10);
}

static void jobs_of_the_parent_end_in_the_child(struct forked *f)
{
	demand(jobs_info(f->jobq).queued == 0 && jobs_info(f->jobq).threads == 0);
	demand(jobs_info(f->jobq).running == 0);
	demand(end_of(f->running) == ESHUTDOWN);
	demand(end_of(f->queued) == ESHUTDOWN);
	demand(talev_req_poll(f->drain) == 0);
	demand(talev_jobq_drain_recv(f->drain) == -1 && errno == ESHUTDOWN);
	use(f);
}

static void requests_are_cancelled_and_freed_in_the_child(struct forked *f)
{
	demand(talev_req_cancel(f->queued) == 0);
	talloc_free(f->running);
	demand(end_of(f->queued) == ECANCELED);
	use(f);
}

static void the_context_is_freed_in_the_child(struct forked *f)
{
	talloc_free(f->ev);
	f->ev = test_context(test_root());
	use(f);
}

static void the_queue_is_freed_in_the_child(struct forked *f)
{
	talloc_free(f->jobq);
	demand(end_of(f->running) == ESHUTDOWN);
	f->jobq = talev_jobq_create(test_root(), "forked");
	demand(f->jobq != NULL);
	use(f);
}

static void re_initialise_and_use(struct forked *f)
{
	demand(talev_re_initialise(f->ev) == 0);
	use(f);
}

static void go_on_and_use(struct forked *f)
{
	use(f);
}

static void work_is_lost(struct talev_context *ev, struct talev_work *work, int error, void *data,
	void *private_data)
{
	struct forked *f = private_data;

	demand(ev == f->ev && work != NULL);
	demand(error == ESHUTDOWN && data == NULL);
	f->backs++;
}

static void work_is_done(struct talev_context *ev, struct talev_work *work, int error, void *data,
	void *private_data)
{
	struct forked *f = private_data;
	atomic_uint **ran = data;

	demand(ev == f->ev);
	demand(error == 0 && **ran > 0);
	if (++f->backs < 10)
		demand(talev_work_schedule(work, job_count, &data, work_is_done, f) == 0);
}

/* Works of the parent, in the child. */
static void use_works(struct forked *f)
{
	struct talev_work *works[] = {f->work, f->queued_work};
	atomic_uint ran = 0;

	for (int i = 0; i < 2; i++) {
		atomic_uint **data = count_data(test_root(), &ran);

		f->backs = 0;
		demand(talev_work_schedule(works[i], job_count, &data, work_is_done, f) == 0);
		while (f->backs < 10)
			demand(talev_loop_once(f->ev) == 0);
	}
	demand(ran == 20);
}

static void works_of_the_parent_end_in_the_child(struct forked *f)
{
	while (f->backs < 2)
		demand(talev_loop_once(f->ev) == 0);
	use_works(f);
}

static void works_are_cancelled_in_the_child(struct forked *f)
{
	void *data = f;

	demand(talev_work_cancel(f->work, &data) == 0 && data == NULL);
	demand(talev_work_cancel(f->queued_work, NULL) == 0);
	use_works(f);
	demand(f->backs == 10);
}

static void works_are_freed_in_the_child(struct forked *f)
{
	talloc_free(f->work);
	talloc_free(f->queued_work);
	f->work = talev_work_create(f->ev, test_root(), f->jobq);
	f->queued_work = talev_work_create(f->ev, test_root(), f->jobq);
	use_works(f);
}

static void works_are_stale_after_re_initialise(struct forked *f)
{
	demand(talev_re_initialise(f->ev) == 0);
	demand(talev_work_schedule(f->work, job_count, NULL, work_is_lost, f) == -1);
	demand(errno == ESTALE);
	works_are_freed_in_the_child(f);
	demand(f->backs == 10);
}

static void a_child_while_works_are_under_way(void **state)
{
	struct forked f = {.ev = test_context(test_root()), .jobq = jobs_queue("works", 1)};
	struct gates **data;
	struct gates gates;
	atomic_uint ran = 0;
	atomic_uint **count;

	(void)state;
	if (SANITIZED)
		skip();
	gates_init(&gates);
	f.work = talev_work_create(f.ev, test_root(), f.jobq);
	f.queued_work = talev_work_create(f.ev, test_root(), f.jobq);
	data = gated_data(&gates);
	count = count_data(test_root(), &ran);
	assert_ok(talev_work_set_class(f.queued_work, "class"));
	assert_ok(talev_work_schedule(f.work, job_gated, &data, work_is_lost, &f));
	gate_wait(&gates.began);
	assert_ok(talev_work_schedule(f.queued_work, job_count, &count, work_is_lost, &f));
	in_child(works_of_the_parent_end_in_the_child, &f);
	in_child(works_are_cancelled_in_the_child, &f);
	in_child(works_are_freed_in_the_child, &f);
	in_child(works_are_stale_after_re_initialise, &f);
	in_child(the_context_is_freed_in_the_child, &f);
	/* The parent was not disturbed. */
	assert_ok(talev_work_cancel(f.queued_work, &count));
	assert_ptr_equal(*count, &ran);
	assert_ok(talev_work_schedule(f.queued_work, job_count, &count, work_is_done, &f));
	gate_open(&gates.go);
	assert_errno(talev_work_cancel(f.work, NULL), EBUSY);
	talloc_free(f.work);
	test_run(f.ev);
	assert_int_equal(f.backs, 10);
	assert_int_equal(ran, 10);
}

static void a_child_while_jobs_are_under_way(void **state)
{
	struct forked f = {.ev = test_context(test_root()), .jobq = jobs_queue("forked", 1)};
	atomic_uint ran = 0;
	struct gates gates;

	(void)state;
	if (SANITIZED)
		skip();
	gates_init(&gates);
	f.running = jobs_block(f.ev, f.jobq, &gates);
	f.queued = jobs_send_count(f.ev, f.jobq, &ran);
	f.drain = talev_jobq_drain_send(test_root(), f.ev, f.jobq);
	in_child(jobs_of_the_parent_end_in_the_child, &f);
	in_child(requests_are_cancelled_and_freed_in_the_child, &f);
	in_child(the_context_is_freed_in_the_child, &f);
	in_child(the_queue_is_freed_in_the_child, &f);
	in_child(re_initialise_and_use, &f);
	/* The parent was not disturbed. */
	gate_open(&gates.go);
	assert_int_equal(jobs_end(f.running), 0);
	assert_int_equal(jobs_end(f.queued), 0);
	assert_int_equal(ran, 1);
	assert_ok(talev_req_poll(f.drain));
}

static void children_in_the_middle_of_a_storm(void **state)
{
	struct forked f = {.ev = test_context(test_root()), .jobq = jobs_queue("stormy", 3)};
	atomic_uint ran = 0;

	(void)state;
	if (SANITIZED)
		skip();
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 100; i++)
			jobs_send_count(f.ev, f.jobq, &ran);
		for (int i = 0; i < round; i++)
			(void)talev_loop_nowait(f.ev);
		in_child(re_initialise_and_use, &f);
		in_child(go_on_and_use, &f);
	}
	test_run(f.ev);
	assert_int_equal(ran, 5000);
}

/* A loop in the child that had no jobs in the parent. */
static void a_child_of_a_process_whose_queue_is_idle(void **state)
{
	struct forked f = {.ev = test_context(test_root()), .jobq = jobs_queue("idle", 1)};
	atomic_uint ran = 0;

	(void)state;
	if (SANITIZED)
		skip();
	assert_int_equal(jobs_end(jobs_send_count(f.ev, f.jobq, &ran)), 0);
	in_child(re_initialise_and_use, &f);
	in_child(go_on_and_use, &f);
	assert_int_equal(jobs_end(jobs_send_count(f.ev, f.jobq, &ran)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(a_child_while_jobs_are_under_way),
		JOB_TEST(a_child_while_works_are_under_way),
		JOB_TEST(children_in_the_middle_of_a_storm),
		JOB_TEST(a_child_of_a_process_whose_queue_is_idle),
	};

	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
