/* SPDX-License-Identifier: BSD-2-Clause */
/* When it is not to bark: contract rows W3, W5, W8. */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <talev/job.h>
#include "loops/watchdog_kit.h"
#include "work/jobs.h"

/* A process that does something to this one, and tells when it is done by ending. Whatever it does
 * takes several limits: a second, where the contract has ten, as the limits here are shorter too.
 */
#define LONG_ENOUGH (LIMIT / 1000 * 10)

/* As a new program: the memory of this one is nothing that it could leak. */
static void end_tormentor(const char *status)
{
	execl("/bin/sh", "sh", "-c", "exit $0", status, (char *)NULL);
	_exit(127);
}

static pid_t start_tormentor(void (*fn)(pid_t victim, int tell))
{
	pid_t victim = getpid();
	int fds[2];
	char byte;
	pid_t pid;

	demand(pipe(fds) == 0);
	pid = fork();
	demand(pid >= 0);
	if (pid == 0) {
		fn(victim, fds[1]);
		end_tormentor("0");
	}
	close(fds[1]);
	demand(read(fds[0], &byte, 1) == 1);
	close(fds[0]);
	return pid;
}

static int wait_for_tormentor(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		demand(errno == EINTR);
	demand(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void stop_it(pid_t victim, int tell)
{
	usleep(LIMIT / 1000);
	demand(write(tell, "x", 1) == 1);
	demand(kill(victim, SIGSTOP) == 0);
	usleep((useconds_t)LONG_ENOUGH);
	demand(kill(victim, SIGCONT) == 0);
}

static pid_t tormentor;
static unsigned ticks_left;

/* Goes on for some time after that, and then hangs, to show that it was watched. */
static void tick(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)now;
	(void)data;
	if (ticks_left-- > 0)
		return;
	demand(count_told() == 0);
	hang_until_told();
	talloc_free(te);
}

static void be_stopped(void *arg)
{
	struct talev_context *ev = talev_context_init(test_root());
	struct talev_watchdog *wd;

	(void)arg;
	tormentor = start_tormentor(stop_it);
	wd = make_watchdog();
	ticks_left = 60;
	demand(talev_watchdog_add_context(ev, wd, ev, "stopped", LIMIT, TALEV_NEVER) != NULL);
	/* Waits between its ticks for less than it takes to be stopped. */
	demand(talev_add_ticker(ev, NULL, LIMIT / 10, tick, NULL) != NULL);
	demand(talev_loop_wait(ev) == 0);
	demand(wait_for_tormentor(tormentor) == 0);
	demand(strcmp(told.handler, "tick") == 0);
	talloc_free(wd);
}

static void w3_a_process_that_was_stopped_is_not_told_of(void **state)
{
	(void)state;
	assert_int_equal(test_in_child(be_stopped, NULL), 0);
}

/* The handler itself is what is stopped in the middle. */
static void be_busy(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)now;
	(void)data;
	tormentor = start_tormentor(stop_it);
	demand(wait_for_tormentor(tormentor) == 0);
	talloc_free(te);
}

static void be_stopped_in_a_handler(void *arg)
{
	struct talev_context *ev = talev_context_init(test_root());
	struct talev_watchdog *wd = make_watchdog();

	(void)arg;
	/* It takes one limit until it is stopped, and ten in which it is. */
	demand(talev_watchdog_add_context(ev, wd, ev, "stopped", 4 * LIMIT, TALEV_NEVER) != NULL);
	demand(talev_add_timer(ev, NULL, 1, be_busy, NULL) != NULL);
	demand(talev_loop_wait(ev) == 0);
	talloc_free(wd);
	demand(told.count == 0);
}

static void w3_time_stands_still_in_a_stopped_handler(void **state)
{
	(void)state;
	assert_int_equal(test_in_child(be_stopped_in_a_handler, NULL), 0);
}

static void trace_it(pid_t victim, int tell)
{
	bool may = ptrace(PTRACE_SEIZE, victim, NULL, NULL) == 0;

	demand(write(tell, "x", 1) == 1);
	if (!may)
		end_tormentor("77");
	usleep((useconds_t)LONG_ENOUGH);
}

static void hang_while_traced(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	bool *may = data;

	(void)ev;
	(void)now;
	tormentor = start_tormentor(trace_it);
	*may = wait_for_tormentor(tormentor) == 0;
	if (*may)
		demand(count_told() == 0);
	hang_until_told();
	talloc_free(te);
}

static void be_traced(void *arg)
{
	struct talev_context *ev = talev_context_init(test_root());
	struct talev_watchdog *wd = make_watchdog();
	bool may = false;

	(void)arg;
	demand(talev_watchdog_add_context(ev, wd, ev, "traced", 2 * LIMIT, TALEV_NEVER) != NULL);
	demand(talev_add_timer(ev, NULL, 1, hang_while_traced, &may) != NULL);
	demand(talev_loop_wait(ev) == 0);
	talloc_free(wd);
	if (!may)
		_exit(77);
}

static void w3_a_debugger_is_not_barked_at(void **state)
{
	int status = test_in_child(be_traced, NULL);

	(void)state;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static struct talev_watchdog *barking;

/* Its suspension lasts for six limits, if nobody ends it: until then another one is told of. */
static void hang_suspended(struct talev_loop *loop, void *data)
{
	struct talev_suspension *suspension;

	(void)data;
	suspension = talev_watchdog_suspend(NULL, 6 * LIMIT, "reads a large file");
	demand(suspension != NULL);
	hang_until(2);
	talloc_free(suspension);
	stop_loops(loop, NULL);
}

static void *hang_later(void *arg)
{
	struct talev_heart *heart =
		talev_heart_create(NULL, barking, "later", 3 * LIMIT, TALEV_NEVER);

	(void)arg;
	demand(heart != NULL);
	hang_until_told();
	wait_for_event(TALEV_WATCHDOG_SOFT);
	talloc_free(heart);
	return NULL;
}

static void w5_a_suspension_ends_by_itself(void **state)
{
	struct talev_loops *loops = make_loops(1);
	pthread_t thread;

	(void)state;
	barking = make_watchdog();
	assert_ok(talev_watchdog_add_loops(barking, loops, LIMIT, TALEV_NEVER));
	assert_ok(talev_loop_setup(talev_loops_main(loops), hang_suspended, NULL));
	thread = thread_start(hang_later, NULL);
	test_loops(loops);
	thread_join(thread);
	talloc_free(barking);
	assert_string_equal(told.hearts[0], "later");
	assert_string_equal(told.hearts[1], "test-0");
	assert_non_null(strstr(told.texts[1], "reads a large file (../tests/loops/"));
}

static void hang_after_suspension(struct talev_loop *loop, void *data)
{
	struct talev_suspension *suspension;

	(void)data;
	suspension = talev_watchdog_suspend(NULL, TALEV_SEC(3600), "nothing");
	demand(suspension != NULL);
	talloc_free(suspension);
	hang_until_told();
	stop_loops(loop, NULL);
}

static void w5_a_suspension_that_was_freed_is_over(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_watchdog *wd = make_watchdog();

	(void)state;
	assert_ok(talev_watchdog_add_loops(wd, loops, LIMIT, TALEV_NEVER));
	assert_ok(talev_loop_setup(talev_loops_main(loops), hang_after_suspension, NULL));
	test_loops(loops);
	talloc_free(wd);
	assert_null(strstr(told.text, "suspended"));
}

/* Whoever stands still because of a pause does so on somebody else's account. */
static void pause_for_long(struct talev_loop *loop, void *data)
{
	struct talev_loops *loops = talev_loop_loops(loop);

	(void)data;
	demand(talev_loops_pause(loops) == 0);
	hang_until_told();
	demand(talev_loops_resume(loops) == 0);
	talev_loops_shutdown(loops);
}

static void who_is_paused_is_not_stuck(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_watchdog *wd = make_watchdog();
	struct talev_pool *others = talev_pool_create(loops, "others", 2, NULL, NULL);

	(void)state;
	assert_ok(talev_watchdog_add_pool(wd, others, LIMIT, TALEV_NEVER));
	assert_ok(talev_watchdog_add_loops(wd, loops, 4 * LIMIT, TALEV_NEVER));
	assert_ok(talev_async_run(talev_loops_main(loops), pause_for_long, NULL));
	test_loops(loops);
	talloc_free(wd);
	assert_string_equal(told.heart, "test-0");
	for (unsigned i = 0; i < told.count; i++)
		assert_string_equal(told.hearts[i], "test-0");
}

static void w8_remaining_decreases_and_comes_back_with_a_beat(void **state)
{
	struct talev_watchdog *wd = make_watchdog();
	struct talev_heart *heart;
	talev_time_t first;
	talev_time_t later;

	(void)state;
	assert_true(talev_watchdog_remaining() == TALEV_NEVER);
	heart = talev_heart_create(test_root(), wd, "mine", TALEV_SEC(1000), TALEV_SEC(2000));
	assert_non_null(heart);
	for (int i = 0; i < 3; i++) {
		talev_heart_beat(heart);
		first = talev_watchdog_remaining();
		assert_true(first <= TALEV_SEC(1000) && first > TALEV_SEC(900));
		do {
			later = talev_watchdog_remaining();
			if (later > first)
				fail_msg("from %lld to %lld", (long long)first, (long long)later);
		} while (later > first - TALEV_MSEC(20));
		talev_heart_beat(heart);
		assert_true(talev_watchdog_remaining() > later);
	}
	talloc_free(heart);
	assert_true(talev_watchdog_remaining() == TALEV_NEVER);
	talloc_free(wd);
}

/* In a handler of a loop, and in a job, which have hearts by themselves. */
static void ask_in_handler(struct talev_loop *loop, void *data)
{
	talev_time_t first = talev_watchdog_remaining();
	talev_time_t later;

	(void)data;
	demand(first <= TALEV_SEC(1000) && first > TALEV_SEC(900));
	do {
		later = talev_watchdog_remaining();
		demand(later <= first);
	} while (later == first);
	stop_loops(loop, NULL);
}

static int ask_in_job(struct talev_job *job, void *data)
{
	talev_time_t first = talev_watchdog_remaining();
	talev_time_t later;

	(void)job;
	(void)data;
	demand(first <= TALEV_SEC(1000) && first > TALEV_SEC(900));
	do {
		later = talev_watchdog_remaining();
		demand(later <= TALEV_SEC(1000));
	} while (later > first - TALEV_MSEC(20));
	return 0;
}

static void w8_handlers_and_jobs_may_ask_what_remains(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_watchdog *wd = make_watchdog();
	struct talev_context *ev = talev_context_init(test_root());
	struct talev_jobq *jobq = talev_jobq_create(test_root(), "asking");
	struct talev_req *req;

	(void)state;
	assert_ok(talev_watchdog_add_loops(wd, loops, TALEV_SEC(1000), TALEV_NEVER));
	assert_ok(talev_watchdog_add_jobq(wd, jobq, TALEV_SEC(1000), TALEV_NEVER));
	assert_ok(talev_async_run(talev_loops_main(loops), ask_in_handler, NULL));
	test_loops(loops);
	req = talev_job_send(test_root(), ev, jobq, ask_in_job, NULL);
	assert_true(talev_req_poll(req) == 0);
	assert_ok(talev_job_recv(req, NULL, NULL));
	talloc_free(wd);
	talloc_free(jobq);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(w3_a_process_that_was_stopped_is_not_told_of),
		TEST(w3_time_stands_still_in_a_stopped_handler),
		TEST(w3_a_debugger_is_not_barked_at),
		TEST(w5_a_suspension_ends_by_itself),
		TEST(w5_a_suspension_that_was_freed_is_over),
		TEST(who_is_paused_is_not_stuck),
		TEST(w8_remaining_decreases_and_comes_back_with_a_beat),
		JOB_TEST(w8_handlers_and_jobs_may_ask_what_remains),
	};

	talloc_disable_null_tracking();
	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
