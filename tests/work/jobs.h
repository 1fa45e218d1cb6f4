/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of job queues share. */
#ifndef WORK_JOBS_H
#define WORK_JOBS_H

#include <dirent.h>
#include <sched.h>
#include <unistd.h>
#include "thread/threads.h"

/* A test whose threads have all ended when it has. */
#define JOB_TEST(fn) cmocka_unit_test_setup_teardown(fn, test_setup, jobs_teardown)

static int jobs_threads_at_first;

static inline int jobs_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = 0;

	demand(tasks != NULL);
	while (readdir(tasks) != NULL)
		count++;
	closedir(tasks);
	return count - 2;
}

/* There is nothing that tells of the end of a thread whose end nobody waits for. */
static inline void jobs_wait_for_threads(int count)
{
	while (jobs_threads() > jobs_threads_at_first + count)
		usleep(500);
}

static inline void *jobs_no_thread(void *arg)
{
	return arg;
}

/* Before the first test. ThreadSanitizer brings a thread of its own with the first one of ours. */
static inline void jobs_begin(void)
{
	thread_join(thread_start(jobs_no_thread, NULL));
	jobs_threads_at_first = jobs_threads();
}

static inline int jobs_teardown(void **state)
{
	test_watchdog("jobs_teardown", "waiting for threads to end");
	talloc_free_children(test_root());
	jobs_wait_for_threads(0);
	return test_teardown(state);
}

static inline struct talev_jobq *jobs_queue(const char *name, unsigned concurrency)
{
	struct talev_jobq *jobq = talev_jobq_create(test_root(), name);

	assert_non_null(jobq);
	talev_jobq_set_concurrency(jobq, concurrency);
	return jobq;
}

static inline struct talev_jobq_info jobs_info(struct talev_jobq *jobq)
{
	struct talev_jobq_info info;

	talev_jobq_get_info(jobq, &info, sizeof(info));
	return info;
}

/* A job that waits: it has begun when began opens, and goes on when go does. */
struct gates {
	sem_t began;
	sem_t go;
};

static inline void gates_init(struct gates *gates)
{
	sem_init(&gates->began, 0, 0);
	sem_init(&gates->go, 0, 0);
}

static inline int job_gated(struct talev_job *job, void *data)
{
	struct gates *gates = *(struct gates **)data;

	(void)job;
	gate_open(&gates->began);
	gate_wait(&gates->go);
	return 0;
}

static inline struct gates **gated_data(struct gates *gates)
{
	struct gates **data = talloc(test_root(), struct gates *);

	assert_non_null(data);
	*data = gates;
	return data;
}

/* Fills a queue of concurrency 1 with a job that has begun. */
static inline struct talev_req *jobs_block(
	struct talev_context *ev, struct talev_jobq *jobq, struct gates *gates)
{
	struct gates **data = gated_data(gates);
	struct talev_req *req = talev_job_send(test_root(), ev, jobq, job_gated, &data);

	assert_non_null(req);
	assert_null(data);
	gate_wait(&gates->began);
	return req;
}

/* Counts how often it ran, in any thread. */
static inline int job_count(struct talev_job *job, void *data)
{
	(void)job;
	atomic_fetch_add(*(atomic_uint **)data, 1);
	return 0;
}

static inline atomic_uint **count_data(TALLOC_CTX *mem_ctx, atomic_uint *count)
{
	atomic_uint **data = talloc(mem_ctx, atomic_uint *);

	assert_non_null(data);
	*data = count;
	return data;
}

static inline struct talev_req *jobs_send_count(
	struct talev_context *ev, struct talev_jobq *jobq, atomic_uint *count)
{
	atomic_uint **data = count_data(test_root(), count);
	struct talev_req *req = talev_job_send(test_root(), ev, jobq, job_count, &data);

	assert_non_null(req);
	return req;
}

/* A callback that counts, and checks that it comes from the loop. */
static inline void count_end(struct talev_req *req)
{
	unsigned *ends = talev_req_callback_data_void(req);

	(*ends)++;
}

/* Runs the loop until req has ended, and receives it: its errno, or 0. */
static inline int jobs_end(struct talev_req *req)
{
	int rc;

	assert_ok(talev_req_poll(req));
	rc = talev_job_recv(req, test_root(), NULL);
	return rc == 0 ? 0 : errno;
}

#endif
