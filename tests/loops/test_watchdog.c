/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is stuck is told by name: contract row W1, and W2, W4, W6. */
#include <sched.h>
#include <signal.h>
#include <talev/finalize.h>
#include <talev/job.h>
#include <talev/pool.h>
#include <talev/retire.h>
#include "loops/watchdog_kit.h"
#include "work/jobs.h"

static void hang_in_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)data;
	hang_until_told();
	stop_loops(talev_loop_current(), NULL);
	talloc_free(fde);
}

static int ends[2];

static void begin_fd(struct talev_loop *loop, void *data)
{
	(void)data;
	test_pipe(ends);
	test_poke(ends[1]);
	demand(talev_add_fd(talev_loop_context(loop), NULL, ends[0], TALEV_FD_READ, hang_in_fd,
		       NULL) != NULL);
}

static void hang_in_timer(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)now;
	(void)data;
	hang_until_told();
	talloc_free(te);
	stop_loops(talev_loop_current(), NULL);
}

static void begin_timer(struct talev_loop *loop, void *data)
{
	(void)data;
	demand(talev_add_timer(talev_loop_context(loop), NULL, 1, hang_in_timer, NULL) != NULL);
}

static void hang_in_ticker(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	hang_in_timer(ev, te, now, data);
}

static void begin_ticker(struct talev_loop *loop, void *data)
{
	(void)data;
	demand(talev_add_ticker(talev_loop_context(loop), NULL, TALEV_MSEC(1), hang_in_ticker,
		       NULL) != NULL);
}

static void hang_in_call(struct talev_loop *loop, void *data)
{
	hang_until_told();
	stop_loops(loop, data);
}

static void begin_call(struct talev_loop *loop, void *data)
{
	(void)data;
	demand(talev_async_run(loop, hang_in_call, NULL) == 0);
}

static void hang_in_finalizer(struct talev_context *ev, void *arg)
{
	(void)ev;
	(void)arg;
	hang_until_told();
	stop_loops(talev_loop_current(), NULL);
}

static void begin_finalizer(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	void *tree = talloc_named_const(NULL, 0, "tree");

	(void)data;
	demand(talev_finalize(ev, tree, 0, hang_in_finalizer, NULL) == 0);
}

static int hang_in_destructor(void *ptr)
{
	(void)ptr;
	hang_until_told();
	stop_loops(talev_loop_current(), NULL);
	return 0;
}

static void begin_retired(struct talev_loop *loop, void *data)
{
	void *tree = talloc_named_const(NULL, 0, "retired");

	(void)loop;
	(void)data;
	talloc_set_destructor((char *)tree, (int (*)(char *))hang_in_destructor);
	demand(talev_retire(tree) == 0);
}

static void w1_the_stuck_handler_is_named(void **state)
{
	static const struct {
		talev_loop_fn_t begin;
		const char *handler;
		const char *location;
	} cases[] = {
		{begin_fd, "hang_in_fd", "test_watchdog.c:"},
		{begin_timer, "hang_in_timer", "test_watchdog.c:"},
		{begin_ticker, "hang_in_ticker", "test_watchdog.c:"},
		{begin_call, "hang_in_call", "test_watchdog.c:"},
		{hang_in_call, "a_setup_job", "test_watchdog.c:"},
		{begin_finalizer, "finalizer", "test_watchdog"},
		{begin_retired, "talev_retire", "talev"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct talev_loops *loops = make_loops(2);
		struct talev_watchdog *wd = make_watchdog();
		talev_loop_fn_t a_setup_job = cases[i].begin;

		assert_ok(talev_watchdog_add_loops(wd, loops, LIMIT, TALEV_NEVER));
		assert_ok(talev_loop_setup(talev_loops_get(loops, 1), a_setup_job, NULL));
		test_loops(loops);
		assert_int_equal(told.event[0], TALEV_WATCHDOG_SOFT);
		assert_int_equal(told.trouble, TALEV_WATCHDOG_STUCK);
		assert_string_equal(told.heart, "test-1");
		assert_string_equal(told.handler, cases[i].handler);
		assert_non_null(strstr(told.location, cases[i].location));
		assert_string_equal(told.thread, "test-1");
		assert_true(told.answered);
		assert_true(told.stalled >= LIMIT && told.running >= LIMIT / 2);
		assert_true(told.frames > 1);
		talloc_free(wd);
		assert_true(told.count == 1 || told.event[1] == TALEV_WATCHDOG_RECOVERED);
		talloc_free(loops);
		if (i == 0) {
			close(ends[0]);
			close(ends[1]);
		}
	}
}

static int hang_in_job(struct talev_job *job, void *data)
{
	(void)job;
	(void)data;
	hang_until_told();
	return 0;
}

static void w1_the_stuck_job_is_named(void **state)
{
	struct talev_context *ev = talev_context_init(test_root());
	struct talev_jobq *jobq = talev_jobq_create(test_root(), "slow");
	struct talev_watchdog *wd = make_watchdog();
	struct talev_req *req;

	(void)state;
	assert_ok(talev_watchdog_add_jobq(wd, jobq, LIMIT, TALEV_NEVER));
	req = talev_job_send(test_root(), ev, jobq, hang_in_job, NULL);
	assert_non_null(req);
	assert_true(talev_req_poll(req) == 0);
	assert_ok(talev_job_recv(req, NULL, NULL));
	wait_for_event(TALEV_WATCHDOG_RECOVERED);
	assert_int_equal(told.event[0], TALEV_WATCHDOG_SOFT);
	assert_int_equal(told.trouble, TALEV_WATCHDOG_STUCK);
	assert_string_equal(told.heart, "slow");
	assert_string_equal(told.handler, "hang_in_job");
	assert_non_null(strstr(told.location, "test_watchdog.c:"));
	assert_true(told.answered && told.frames > 1);
	talloc_free(wd);
	talloc_free(jobq);
}

static void hang_in_setup(struct talev_loop *loop, void *data)
{
	(void)data;
	hang_until_told();
	stop_loops(loop, NULL);
}

/* Both hang; the one with the longer limit is freed by what is told of the other. */
static void w2_each_pool_has_its_own_limit(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_watchdog *wd = make_watchdog();
	struct talev_pool *quick = talev_pool_create(loops, "quick", 1, hang_in_setup, NULL);
	struct talev_pool *slow = talev_pool_create(loops, "slow", 0, hang_in_setup, NULL);

	(void)state;
	assert_ok(talev_watchdog_add_loops(wd, loops, LIMIT, TALEV_NEVER));
	assert_ok(talev_watchdog_add_pool(wd, slow, LIMIT, TALEV_NEVER));
	assert_ok(talev_watchdog_add_pool(wd, slow, 25 * LIMIT, 25 * LIMIT));
	assert_ok(talev_watchdog_add_pool(wd, quick, LIMIT, TALEV_NEVER));
	/* It comes later, and is found. */
	assert_ok(talev_pool_grow(slow, 1));
	test_loops(loops);
	talloc_free(wd);
	assert_string_equal(told.heart, "quick-0");
	for (unsigned i = 0; i < told.count; i++)
		assert_string_equal(told.hearts[i], "quick-0");
}

/* The loop of a strict context never comes to look at the kernel. */
static void again(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	if (count_told() > 0)
		return;
	usleep(1000);
	talev_schedule_immediate(im, ev, again, data);
}

static void w4_a_live_lock_is_no_pass(void **state)
{
	struct talev_context *ev = talev_context_init(test_root());
	struct talev_watchdog *wd = make_watchdog();

	(void)state;
	assert_non_null(
		talev_watchdog_add_context(test_root(), wd, ev, "strict", LIMIT, TALEV_NEVER));
	talev_context_set_strict(ev, true);
	talev_schedule_immediate(talev_create_immediate(test_root()), ev, again, NULL);
	assert_ok(test_run(ev));
	assert_int_equal(told.event[0], TALEV_WATCHDOG_SOFT);
	assert_int_equal(told.trouble, TALEV_WATCHDOG_NOPASS);
	assert_string_equal(told.heart, "strict");
	assert_true(told.handlers > 3);
	/* It may have been asked between two of them. */
	if (told.handler[0] != '\0')
		assert_string_equal(told.handler, "again");
	assert_non_null(strstr(told.text, "has not come round"));
	talloc_free(wd);
}

static void w6_hearts_go_with_their_loops(void **state)
{
	struct talev_watchdog *wd = make_watchdog();
	struct talev_loops *loops;
	long before = 0;
	char *text;

	(void)state;
	for (unsigned i = 0; i < scaled(1000, 50); i++) {
		loops = make_loops(2);
		assert_non_null(talev_pool_create(loops, "extra", 1, NULL, NULL));
		assert_ok(talev_watchdog_add_loops(wd, loops, TALEV_SEC(60), TALEV_NEVER));
		assert_ok(talev_watchdog_add_pool(
			wd, talev_pool_get("extra"), TALEV_SEC(50), TALEV_NEVER));
		text = talev_watchdog_text(test_root(), wd);
		assert_non_null(strstr(text, "loop test-1: off"));
		assert_non_null(strstr(text, "loop extra-0: off"));
		talloc_free(text);
		if (i % 100 == 0) {
			assert_ok(talev_loop_setup(talev_loops_main(loops), stop_loops, NULL));
			test_loops(loops);
		}
		talloc_free(loops);
		text = talev_watchdog_text(test_root(), wd);
		assert_string_equal(text, "");
		talloc_free(text);
		if (i == 10)
			before = test_alloc_bytes();
	}
	if (test_alloc_works())
		assert_true(test_alloc_bytes() <= before);
	talloc_free(wd);
}

static void hang_once(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	bool *hung = data;

	(void)ev;
	(void)now;
	if (*hung && has_told(TALEV_WATCHDOG_RECOVERED))
		talloc_free(te);
	if (!*hung)
		hang_until(2);
	*hung = true;
}

static void both_limits_are_told_of_and_that_it_goes_on(void **state)
{
	struct talev_context *ev = talev_context_init(test_root());
	struct talev_watchdog *wd = make_watchdog();
	bool hung = false;

	(void)state;
	assert_non_null(talev_watchdog_add_context(ev, wd, ev, "plain", LIMIT, LIMIT + LIMIT / 2));
	assert_non_null(talev_add_ticker(ev, NULL, TALEV_MSEC(5), hang_once, &hung));
	assert_ok(test_run(ev));
	assert_int_equal(told.count, 3);
	assert_int_equal(told.event[0], TALEV_WATCHDOG_SOFT);
	assert_int_equal(told.event[1], TALEV_WATCHDOG_HARD);
	assert_int_equal(told.event[2], TALEV_WATCHDOG_RECOVERED);
	talloc_free(ev);
	talloc_free(wd);
}

/* The same signal is blocked where it hangs: then the kernel is asked. */
static void *hang_deaf(void *arg)
{
	struct talev_heart *heart = talev_heart_create(NULL, arg, "deaf", LIMIT, TALEV_NEVER);
	sigset_t all;

	demand(heart != NULL);
	sigfillset(&all);
	demand(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
	hang_until_told();
	talev_heart_beat(heart);
	wait_for_event(TALEV_WATCHDOG_RECOVERED);
	talloc_free(heart);
	return NULL;
}

static void a_thread_that_does_not_answer_is_described_by_the_kernel(void **state)
{
	struct talev_watchdog *wd = make_watchdog();
	pthread_t thread = thread_start(hang_deaf, wd);

	(void)state;
	thread_join(thread);
	assert_string_equal(told.heart, "deaf");
	assert_int_equal(told.trouble, TALEV_WATCHDOG_SILENT);
	assert_false(told.answered);
	assert_non_null(strstr(told.kernel, "state S"));
	assert_non_null(strstr(told.text, "does not answer"));
	talloc_free(wd);
}

struct changing {
	struct talev_watchdog *wd;
	struct talev_loops *loops;
};

static void hang_and_stop(struct talev_loop *loop, void *data)
{
	(void)data;
	hang_until_told();
	stop_loops(loop, NULL);
}

static void change_limits(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	struct changing *changing = data;
	static unsigned n;

	(void)ev;
	(void)te;
	(void)now;
	assert_ok(talev_watchdog_add_loops(
		changing->wd, changing->loops, LIMIT + TALEV_USEC(n++ % 2), TALEV_NEVER));
	if (count_told() > 0)
		talloc_free(te);
}

static void changes_do_not_put_off_the_next_look(void **state)
{
	struct changing changing = {.loops = make_loops(2), .wd = make_watchdog()};
	struct talev_context *ev = talev_loop_context(talev_loops_main(changing.loops));

	(void)state;
	assert_ok(talev_watchdog_add_loops(changing.wd, changing.loops, LIMIT, TALEV_NEVER));
	assert_ok(talev_async_run(talev_loops_get(changing.loops, 1), hang_and_stop, NULL));
	assert_non_null(talev_add_ticker(ev, ev, TALEV_MSEC(1), change_limits, &changing));
	test_loops(changing.loops);
	assert_string_equal(told.heart, "test-1");
	talloc_free(changing.wd);
	talloc_free(changing.loops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(w1_the_stuck_handler_is_named),
		JOB_TEST(w1_the_stuck_job_is_named),
		TEST(w2_each_pool_has_its_own_limit),
		TEST(w4_a_live_lock_is_no_pass),
		TEST(w6_hearts_go_with_their_loops),
		TEST(both_limits_are_told_of_and_that_it_goes_on),
		TEST(changes_do_not_put_off_the_next_look),
		TEST(a_thread_that_does_not_answer_is_described_by_the_kernel),
	};

	talloc_disable_null_tracking();
	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
