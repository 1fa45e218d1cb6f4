/* SPDX-License-Identifier: BSD-2-Clause */
/* Whoever it is, the main loop can be asked: contract row T6. */
#include <talev/pool.h>
#include "loops/kit.h"
#include "work/jobs.h"

static unsigned received;
static unsigned expected;
static atomic_uint destroyed;

static int count_destroyed(char *data)
{
	(void)data;
	atomic_fetch_add(&destroyed, 1);
	return 0;
}

static char *counted(TALLOC_CTX *mem_ctx)
{
	char *data = talloc_strdup(mem_ctx, "data");

	demand(data != NULL);
	talloc_set_destructor(data, count_destroyed);
	return data;
}

/* With data that is freed behind it. */
static void on_main(struct talev_loop *loop, void *data)
{
	assert_int_equal(talev_loop_index(loop), 0);
	assert_ptr_equal(talev_loop_current(), loop);
	assert_string_equal(data, "data");
	assert_int_equal(atomic_load(&destroyed), received);
	if (++received == expected)
		stop_loops(loop, NULL);
}

static void ask(struct talev_loops *loops)
{
	char *data = counted(NULL);

	demand(talev_async_run(talev_loops_main(loops), on_main, &data) == 0);
	demand(data == NULL);
}

static void never(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	demand(false);
}

static struct talev_loops *begin(unsigned n, unsigned how_many)
{
	received = 0;
	expected = how_many;
	atomic_store(&destroyed, 0);
	return make_loops(n);
}

static void finish(struct talev_loops *loops)
{
	test_loops(loops);
	assert_int_equal(received, expected);
	assert_int_equal(atomic_load(&destroyed), expected);
}

static void t6_before_the_loop_starts(void **state)
{
	struct talev_loops *loops = begin(2, 2);

	(void)state;
	ask(loops);
	ask(loops);
	finish(loops);
}

static void t6_before_a_manager_that_never_starts(void **state)
{
	struct talev_loops *loops = begin(1, 0);
	char *data = counted(NULL);

	(void)state;
	assert_ok(talev_async_run(talev_loops_main(loops), never, &data));
	talloc_free(loops);
	assert_int_equal(atomic_load(&destroyed), 1);
}

/* Refused: the data stays with who asked, and nothing is called. */
static void t6_after_it_has_stopped(void **state)
{
	struct talev_loops *loops = begin(1, 1);
	char *data = counted(test_root());
	char *same = data;

	(void)state;
	ask(loops);
	finish(loops);
	assert_errno(talev_async_run(talev_loops_main(loops), never, &data), ESHUTDOWN);
	assert_ptr_equal(data, same);
	assert_ptr_equal(talloc_parent(data), test_root());
	assert_int_equal(atomic_load(&destroyed), 1);
	talloc_free(data);
	assert_int_equal(atomic_load(&destroyed), 2);
}

static void ask_my_main(struct talev_loop *loop, void *data)
{
	(void)data;
	ask(talev_loop_loops(loop));
}

static void t6_from_another_loop_and_another_pool(void **state)
{
	struct talev_loops *loops = begin(2, 3);
	struct talev_pool *pool = talev_pool_create(loops, "others", 2, ask_my_main, NULL);

	(void)state;
	assert_non_null(pool);
	assert_ok(talev_async_run(talev_loops_get(loops, 1), ask_my_main, NULL));
	finish(loops);
}

static void ask_the_other(struct talev_loop *loop, void *data)
{
	ask(*(struct talev_loops **)data);
	stop_loops(loop, NULL);
}

static void *run_other(void *arg)
{
	demand(talev_loops_run(arg) == 0);
	return NULL;
}

static void t6_from_another_manager(void **state)
{
	struct talev_loops *loops = begin(1, 1);
	struct talev_loops *other = make_loops(1);
	struct talev_loops **data = talloc(NULL, struct talev_loops *);
	pthread_t thread;

	(void)state;
	*data = loops;
	assert_ok(talev_loops_set_signals(other, false));
	assert_ok(talev_async_run(talev_loops_main(other), ask_the_other, &data));
	thread = thread_start(run_other, other);
	finish(loops);
	thread_join(thread);
}

static int ask_from_a_job(struct talev_job *job, void *data)
{
	(void)job;
	ask(*(struct talev_loops **)data);
	return 0;
}

/* The job's end goes to another loop than the call that it makes. */
static struct talev_jobq *jobq;

static void job_ended(struct talev_req *req)
{
	demand(talev_loop_index(talev_loop_current()) == 1);
	demand(talev_job_recv(req, NULL, NULL) == 0);
	talloc_free(req);
}

static void send_job(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	struct talev_loops **loops = talloc(ev, struct talev_loops *);
	struct talev_req *req;

	(void)data;
	*loops = talev_loop_loops(loop);
	req = talev_job_send(ev, ev, jobq, ask_from_a_job, &loops);
	demand(req != NULL);
	talev_req_set_callback(req, job_ended, NULL);
}

static void t6_from_a_job(void **state)
{
	struct talev_loops *loops = begin(2, 4);

	(void)state;
	jobq = jobs_queue("asks", 2);
	for (int i = 0; i < 4; i++)
		assert_ok(talev_async_run(talev_loops_get(loops, 1), send_job, NULL));
	finish(loops);
	assert_int_equal(jobs_info(jobq).done, 4);
}

/* A job whose loops end meanwhile is refused, and has its data still. A hundred are under way, or
 * it would be too quick for the loop. */
static int ask_until_refused(struct talev_job *job, void *data)
{
	struct talev_loop *loop = *(struct talev_loop **)data;
	unsigned sent = 0;
	char *mine;

	(void)job;
	for (;;) {
		while (sent - atomic_load(&destroyed) > 100)
			sched_yield();
		mine = counted(NULL);
		if (talev_async_run(loop, on_main, &mine) != 0)
			break;
		sent++;
	}
	demand(errno == ESHUTDOWN && mine != NULL);
	talloc_free(mine);
	return 0;
}

static void t6_from_a_job_after_it_has_stopped(void **state)
{
	struct talev_loops *loops = begin(1, 1);
	struct talev_context *ev = test_context(test_root());
	struct talev_loop **data = talloc(test_root(), struct talev_loop *);
	struct talev_req *req;

	(void)state;
	*data = talev_loops_main(loops);
	jobq = jobs_queue("refused", 1);
	req = talev_job_send(ev, ev, jobq, ask_until_refused, &data);
	assert_non_null(req);
	test_loops(loops);
	assert_int_equal(jobs_end(req), 0);
	assert_true(received >= 1);
	/* Those that ran, those that were dropped, and the one that was refused. */
	assert_true(atomic_load(&destroyed) > received);
	talloc_free(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t6_before_the_loop_starts),
		TEST(t6_before_a_manager_that_never_starts),
		TEST(t6_after_it_has_stopped),
		TEST(t6_from_another_loop_and_another_pool),
		TEST(t6_from_another_manager),
		JOB_TEST(t6_from_a_job),
		JOB_TEST(t6_from_a_job_after_it_has_stopped),
	};

	talloc_disable_null_tracking();
	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
