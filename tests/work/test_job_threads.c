/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread that cannot be started: what others have sent meanwhile is done by those that are there,
 * or ends. */
#include "work/jobs.h"

static atomic_bool create_fails;
static void (*before_it_fails)(void); /* once */

int __real_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg);
int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg);
int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg)
{
	void (*before)(void) = before_it_fails;

	if (!atomic_load(&create_fails))
		return __real_pthread_create(thread, attr, fn, arg);
	if (before != NULL) {
		before_it_fails = NULL;
		atomic_store(&create_fails, false);
		before();
		atomic_store(&create_fails, true);
	}
	return EAGAIN;
}

static struct talev_jobq *jobq;
static struct gates gates;

static int nothing(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	return 0;
}

/* A sender with a loop of its own. */
static struct {
	pthread_t thread;
	sem_t sent;
	const char *class_name;
	int error;
} other;

static void *send_and_wait(void *arg)
{
	struct talev_context *ev = talev_context_init(NULL);
	struct talev_req *req;

	(void)arg;
	demand(ev != NULL);
	req = talev_job_class_send(ev, ev, jobq, other.class_name, nothing, NULL);
	demand(req != NULL);
	gate_open(&other.sent);
	demand(talev_req_poll(req) == 0);
	other.error = talev_job_recv(req, NULL, NULL) == 0 ? 0 : errno;
	talloc_free(ev);
	return NULL;
}

static void another_sends(void)
{
	sem_init(&other.sent, 0, 0);
	other.thread = thread_start(send_and_wait, NULL);
	gate_wait(&other.sent);
}

static void who_relied_on_it_is_told(void **state)
{
	static const char *const classes[] = {NULL, "class"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct talev_context *ev = test_context(test_root());
		struct talev_req *req;

		jobq = jobs_queue("queue", 1);
		other.class_name = classes[i];
		before_it_fails = another_sends;
		atomic_store(&create_fails, true);
		req = talev_job_send(test_root(), ev, jobq, nothing, NULL);
		assert_int_equal(jobs_end(req), EAGAIN);
		thread_join(other.thread);
		assert_int_equal(other.error, EAGAIN);
		/* And all goes on working. */
		atomic_store(&create_fails, false);
		req = talev_job_send(test_root(), ev, jobq, nothing, NULL);
		assert_int_equal(jobs_end(req), 0);
		talloc_free(jobq);
	}
}

/* It takes what was sent first, goes to sleep, and another job is sent: to that thread which is
 * about to come. */
static void the_first_becomes_idle(void)
{
	gate_open(&gates.go);
	while (jobs_info(jobq).done < 2 || jobs_info(jobq).idle < 1)
		sched_yield();
	another_sends();
}

static void who_is_idle_does_it(void **state)
{
	struct talev_context *ev = test_context(test_root());
	struct talev_req *first;
	struct talev_req *second;

	(void)state;
	gates_init(&gates);
	jobq = jobs_queue("queue", 2);
	talev_jobq_set_floor(jobq, 1);
	other.class_name = NULL;
	first = jobs_block(ev, jobq, &gates);
	before_it_fails = the_first_becomes_idle;
	atomic_store(&create_fails, true);
	second = talev_job_send(test_root(), ev, jobq, nothing, NULL);
	assert_int_equal(jobs_end(first), 0);
	assert_int_equal(jobs_end(second), 0);
	thread_join(other.thread);
	assert_int_equal(other.error, 0);
	atomic_store(&create_fails, false);
}

static void resume(void)
{
	assert_ok(talev_jobq_resume(jobq));
}

static void set_concurrency(void)
{
	talev_jobq_set_concurrency(jobq, 2);
	assert_ok(talev_jobq_resume(jobq));
}

static void what_waits_when_a_queue_goes_on_is_told(void **state)
{
	static void (*const go_on[])(void) = {resume, set_concurrency};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct talev_context *ev = test_context(test_root());
		struct talev_req *reqs[3];

		jobq = jobs_queue("queue", 1);
		assert_ok(talev_jobq_pause(jobq));
		for (int n = 0; n < 3; n++)
			reqs[n] = talev_job_send(test_root(), ev, jobq, nothing, NULL);
		atomic_store(&create_fails, true);
		go_on[i]();
		for (int n = 0; n < 3; n++)
			assert_int_equal(jobs_end(reqs[n]), EAGAIN);
		atomic_store(&create_fails, false);
		talloc_free(jobq);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(who_relied_on_it_is_told),
		JOB_TEST(who_is_idle_does_it),
		JOB_TEST(what_waits_when_a_queue_goes_on_is_told),
	};

	talloc_disable_null_tracking();
	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
