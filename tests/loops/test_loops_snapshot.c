/* SPDX-License-Identifier: BSD-2-Clause */
/* Loops tell what they hold and how long their handlers take: contract row T7. */
#include <talev/loops_snapshot.h>
#include "loops/kit.h"

static sem_t inside;
static sem_t gate;
static struct talev_loops_snapshot *got;
static int error;

static struct talev_loop_info get(unsigned i)
{
	struct talev_loop_info info;

	demand(talev_loops_snapshot_get(got, i, &info, sizeof(info)) == 0);
	return info;
}

static void receive(struct talev_req *req)
{
	got = talev_loops_snapshot_recv(req, test_root());
	error = errno;
}

/* The callback of a listing that is the last thing to happen. */
static void receive_and_stop(struct talev_req *req)
{
	struct talev_loops *loops = talev_req_callback_data_void(req);

	receive(req);
	talev_loops_shutdown(loops);
}

static void sleeper(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	gate_open(&inside);
	gate_wait(&gate);
}

static void ask_for_others(struct talev_loops *loops, struct talev_context *ev);

/* On a machine that has much else to do those that are not busy may be late as well. */
static void wake_sleeper_and_stop(struct talev_req *req)
{
	struct talev_loops *loops = talev_req_callback_data_void(req);

	receive(req);
	demand(got != NULL);
	if (get(0).answer == TALEV_LOOP_BUSY || get(2).answer == TALEV_LOOP_BUSY) {
		ask_for_others(loops, talev_loop_context(talev_loop_current()));
		return;
	}
	gate_open(&gate);
	talev_loops_shutdown(loops);
}

static void ask_for_others(struct talev_loops *loops, struct talev_context *ev)
{
	struct talev_req *req = talev_loops_snapshot_send(ev, ev, loops, TALEV_MSEC(20));

	demand(req != NULL);
	talev_req_set_callback(req, wake_sleeper_and_stop, loops);
}

static void list_while_one_sleeps(struct talev_loop *loop, void *data)
{
	struct talev_loops *loops = talev_loop_loops(loop);

	(void)data;
	demand(talev_async_run(talev_loops_get(loops, 1), sleeper, NULL) == 0);
	gate_wait(&inside);
	ask_for_others(loops, talev_loop_context(loop));
}

/* The one that sleeps is let go by the answer: so the answer does not wait for it. */
static void T7_a_handler_that_sleeps_does_not_hold_up_the_listing(void **state)
{
	struct talev_loops *loops = make_loops(3);
	char *text;
	char *json;

	demand(sem_init(&inside, 0, 0) == 0 && sem_init(&gate, 0, 0) == 0);
	assert_ok(talev_loop_setup(talev_loops_main(loops), list_while_one_sleeps, NULL));
	test_loops(loops);
	assert_non_null(got);
	assert_int_equal(talev_loops_snapshot_count(got), 3);
	assert_int_equal(get(0).answer, TALEV_LOOP_ANSWERED);
	assert_non_null(get(0).snapshot);
	assert_int_equal(get(1).answer, TALEV_LOOP_BUSY);
	assert_null(get(1).snapshot);
	assert_true(get(1).waited >= TALEV_MSEC(20));
	assert_int_equal(get(2).answer, TALEV_LOOP_ANSWERED);
	assert_string_equal(get(2).name, "test-2");
	assert_string_equal(get(2).pool, "test");
	assert_int_equal(get(2).index, 2);
	text = talev_loops_snapshot_text(*state, got);
	assert_non_null(strstr(text, "loop test-0: answered after "));
	assert_non_null(strstr(text, "loop test-1: busy, has not answered for "));
	json = talev_loops_snapshot_json(*state, got);
	assert_non_null(strstr(json, "\"name\":\"test-1\",\"pool\":\"test\",\"index\":1,"
				     "\"answer\":\"busy\",\"waited\":"));
	assert_non_null(strstr(json, "\"snapshot\":null}"));
	assert_errno(talev_loops_snapshot_get(got, 3, NULL, 0), EINVAL);
}

static void quick(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
}

static void other(struct talev_loop *loop, void *data)
{
	quick(loop, data);
}

static void on_timer(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)te;
	(void)now;
	(void)data;
}

static struct talev_timer *timers[4];

static void start_timing(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);

	(void)data;
	talev_context_set_timing(ev, true);
	timers[talev_loop_index(loop)] = talev_add_timer(ev, ev, TALEV_NEVER - 1, on_timer, NULL);
	demand(timers[talev_loop_index(loop)] != NULL);
}

static void drop_timers(struct talev_loop *loop, void *data)
{
	(void)data;
	talloc_free(timers[talev_loop_index(loop)]);
}

static void call_all_and_list(struct talev_loop *loop, void *data)
{
	struct talev_loops *loops = talev_loop_loops(loop);
	struct talev_context *ev = talev_loop_context(loop);
	struct talev_req *req;

	(void)data;
	for (unsigned i = 0; i < talev_loops_count(loops); i++) {
		struct talev_loop *to = talev_loops_get(loops, i);

		for (int n = 0; n < 10; n++)
			demand(talev_async_run(to, quick, NULL) == 0);
		demand(talev_async_run(to, other, NULL) == 0);
	}
	/* Behind those on the way there, and as they are. */
	req = talev_loops_snapshot_send(NULL, ev, loops, TALEV_NEVER);
	demand(req != NULL);
	talev_req_set_callback(req, receive_and_stop, loops);
}

static void handlers_of_all_loops_are_put_together(void **state)
{
	struct talev_loops *loops = make_loops(4);
	const struct talev_latency *latency;
	uint64_t calls = 0;
	size_t waiting = 0;
	size_t sources = 0;

	assert_ok(talev_loops_setup(loops, start_timing, NULL));
	assert_ok(talev_loops_teardown(loops, drop_timers, NULL));
	assert_ok(talev_loop_setup(talev_loops_main(loops), call_all_and_list, NULL));
	test_loops(loops);
	assert_non_null(got);
	latency = talev_loops_snapshot_latency(got);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(get(i).answer, TALEV_LOOP_ANSWERED);
		waiting += get(i).calls;
		sources += talev_snapshot_count(get(i).snapshot);
	}
	assert_true(sources >= 4);
	for (size_t i = 0; i < talev_latency_count(latency); i++) {
		struct talev_handler_info info;

		assert_ok(talev_latency_get(latency, i, &info, sizeof(info)));
		if (strcmp(info.name, "quick") == 0 || strcmp(info.name, "other") == 0)
			calls += info.calls;
	}
	/* Each has run, or was waiting. */
	assert_int_equal(calls + waiting, 44);
	assert_non_null(talev_loops_snapshot_json(*state, got));
}

static size_t messages(struct talev_loop *loop)
{
	struct talev_snapshot *snap = talev_snapshot(test_root(), talev_loop_context(loop));
	struct talev_context_info info;

	demand(snap != NULL && talev_snapshot_get_context(snap, &info, sizeof(info)) == 0);
	talloc_free(snap);
	return info.messages;
}

static void *send_some(void *arg)
{
	for (int i = 0; i < 100; i++)
		demand(talev_async_run(arg, quick, NULL) == 0);
	return NULL;
}

/* The owner looks while others send. */
static void messages_that_wait_are_counted(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_loop *loop = talev_loops_main(loops);
	pthread_t threads[2];

	(void)state;
	assert_int_equal(messages(loop), 0);
	for (int i = 0; i < 2; i++)
		threads[i] = thread_start(send_some, loop);
	for (size_t seen = 0; seen < 200;) {
		size_t now = messages(loop);

		assert_true(now >= seen);
		seen = now;
	}
	for (int i = 0; i < 2; i++)
		thread_join(threads[i]);
	assert_int_equal(messages(loop), 200);
}

static void slow(struct talev_loop *loop, void *data)
{
	talev_time_t until = talev_now(talev_loop_context(loop)) + TALEV_MSEC(3);

	(void)data;
	while (talev_now(talev_loop_context(loop)) < until)
		;
}

static void slow_calls_are_reported_by_name(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_loop *loop = talev_loops_main(loops);

	(void)state;
	test_log_capture();
	talev_context_set_slow_handler(talev_loop_context(loop), TALEV_MSEC(2));
	assert_ok(talev_async_run(loop, slow, NULL));
	assert_ok(talev_async_run(loop, stop_loops, NULL));
	test_loops(loops);
	assert_int_equal(test_log_count("handler slow (../tests/loops/test_loops_snapshot.c:"), 1);
}

static void loops_that_do_not_run_are_told(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_loops *loops = make_loops(2);
	struct talev_req *req;

	req = talev_loops_snapshot_send(*state, ev, loops, 0);
	assert_non_null(req);
	talev_req_set_callback(req, receive, NULL);
	assert_int_equal(talev_req_poll(req), 0);
	assert_int_equal(test_run(ev), 0);
	assert_int_equal(get(0).answer, TALEV_LOOP_BUSY);
	assert_int_equal(get(1).answer, TALEV_LOOP_BUSY);
	talev_loops_shutdown(loops);
	test_loops(loops);
	req = talev_loops_snapshot_send(*state, ev, loops, TALEV_NEVER);
	assert_non_null(req);
	talev_req_set_callback(req, receive, NULL);
	assert_int_equal(test_run(ev), 0);
	assert_int_equal(get(0).answer, TALEV_LOOP_ENDED);
	assert_non_null(strstr(talev_loops_snapshot_text(*state, got), "loop test-1: has ended\n"));
	assert_null_errno(talev_loops_snapshot_send(*state, ev, NULL, 0), EINVAL);
	assert_null_errno(talev_loops_snapshot_send(*state, ev, loops, -1), EINVAL);
}

/* The manager goes while it is asked: what is on its way is dropped. */
static void a_manager_may_be_freed_meanwhile(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_loops *loops = make_loops(2);
	struct talev_req *req;

	req = talev_loops_snapshot_send(*state, ev, loops, TALEV_NEVER);
	assert_non_null(req);
	talloc_free(loops);
	talev_req_set_callback(req, receive, NULL);
	assert_int_equal(test_run(ev), 0);
	assert_int_equal(get(0).answer, TALEV_LOOP_ENDED);
	assert_int_equal(get(1).answer, TALEV_LOOP_ENDED);
}

static void a_request_may_be_cancelled(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_loops *loops = make_loops(2);
	struct talev_req *req;

	req = talev_loops_snapshot_send(*state, ev, loops, TALEV_SEC(100));
	assert_non_null(req);
	assert_null_errno(talev_loops_snapshot_recv(req, *state), EINPROGRESS);
	assert_ok(talev_req_cancel(req));
	talev_req_set_callback(req, receive, NULL);
	assert_int_equal(test_run(ev), 0);
	assert_null(got);
	assert_int_equal(error, ECANCELED);
}

/* A thread with a context of its own that asks, and sometimes does not wait for the answer. */
struct asker {
	struct talev_loops *loops;
	unsigned rounds;
	unsigned answers;
};

static void ask(struct asker *asker, unsigned round, struct talev_context *ev)
{
	struct talev_loops_snapshot *snap;
	struct talev_req *req;

	req = talev_loops_snapshot_send(ev, ev, asker->loops, TALEV_NEVER);
	demand(req != NULL);
	if (round % 4 == 1) {
		talloc_free(req);
		return;
	}
	if (round % 4 == 2)
		return;
	demand(talev_req_poll(req) == 0);
	snap = talev_loops_snapshot_recv(req, ev);
	demand(snap != NULL);
	demand(talev_loops_snapshot_json(snap, snap) != NULL);
	asker->answers++;
}

static void *ask_again_and_again(void *arg)
{
	struct asker *asker = arg;
	struct talev_context *ev = NULL;

	for (unsigned round = 0; round < asker->rounds; round++) {
		if (ev == NULL)
			ev = talev_context_init(NULL);
		demand(ev != NULL);
		ask(asker, round, ev);
		if (round % 4 == 2)
			TALLOC_FREE(ev);
	}
	talloc_free(ev);
	return NULL;
}

static void *ask_and_stop(void *arg)
{
	struct asker *asker = arg;
	struct asker others[2] = {*asker, *asker};
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		threads[i] = thread_start(ask_again_and_again, &others[i]);
	for (int i = 0; i < 2; i++) {
		thread_join(threads[i]);
		asker->answers += others[i].answers;
	}
	talev_loops_shutdown(asker->loops);
	return NULL;
}

static void again(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	if (!talev_loop_shutting_down(talev_loop_current()))
		demand(talev_schedule_immediate(im, ev, again, data) == 0);
}

static void be_busy(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	struct talev_immediate *im = talev_create_immediate(ev);

	talev_context_set_timing(ev, true);
	demand(im != NULL && talev_schedule_immediate(im, ev, again, data) == 0);
}

static void any_thread_may_ask_and_go(void **state)
{
	struct asker asker = {.loops = make_loops(3), .rounds = scaled(200, 20)};
	pthread_t thread;

	(void)state;
	assert_ok(talev_loops_setup(asker.loops, be_busy, NULL));
	thread = thread_start(ask_and_stop, &asker);
	test_loops(asker.loops);
	thread_join(thread);
	assert_int_equal(asker.answers, asker.rounds);
}

/* What was asked is on its way while the loops end. */
static void ask_and_end(struct talev_loop *loop, void *data)
{
	struct talev_loops *loops = talev_loop_loops(loop);
	struct talev_context *ev = talev_loop_context(loop);

	(void)data;
	demand(talev_loops_snapshot_send(ev, ev, loops, TALEV_NEVER) != NULL);
	demand(talev_loops_snapshot_send(ev, ev, loops, 0) != NULL);
}

static void loops_may_end_meanwhile(void **state)
{
	(void)state;
	for (unsigned round = 0; round < scaled(50, 10); round++) {
		struct talev_loops *loops = make_loops(3);

		assert_ok(talev_loops_setup(loops, ask_and_end, NULL));
		assert_ok(talev_loop_setup(talev_loops_main(loops), stop_loops, NULL));
		assert_ok(talev_loops_teardown(loops, ask_and_end, NULL));
		test_loops(loops);
		talloc_free(loops);
	}
}

static bool failed;

static void try_listing(struct talev_loop *loop, unsigned long n)
{
	struct talev_context *ev = talev_loop_context(loop);
	struct talev_loops_snapshot *snap = NULL;
	struct talev_req *req;
	char *text = NULL;
	char *json = NULL;

	test_alloc_fail_at(n);
	req = talev_loops_snapshot_send(ev, ev, talev_loop_loops(loop), TALEV_SEC(10));
	if (req == NULL) {
		demand(errno == ENOMEM);
	} else {
		demand(talev_req_poll(req) == 0);
		snap = talev_loops_snapshot_recv(req, ev);
		demand(snap != NULL || errno == ENOMEM);
	}
	if (snap != NULL) {
		text = talev_loops_snapshot_text(snap, snap);
		json = talev_loops_snapshot_json(snap, snap);
	}
	failed = test_alloc_failed();
	test_alloc_fail_at(0);
	demand(failed || (text != NULL && json != NULL));
	talloc_free(req);
	talloc_free(snap);
}

static void fail_each_allocation(struct talev_loop *loop, void *data)
{
	unsigned long n = 1;

	talev_loop_allow_nesting(talev_loop_context(loop));
	talev_context_set_timing(talev_loop_context(loop), true);
	do
		try_listing(loop, n++);
	while (failed);
	stop_loops(loop, data);
}

/* One loop that asks itself: both sides are one thread, whose allocations fail in turn. */
static void want_of_memory_ends_the_request(void **state)
{
	struct talev_loops *loops = make_loops(1);

	(void)state;
	if (!test_alloc_works())
		skip();
	assert_ok(talev_async_run(talev_loops_main(loops), fail_each_allocation, NULL));
	test_loops(loops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(T7_a_handler_that_sleeps_does_not_hold_up_the_listing),
		TEST(handlers_of_all_loops_are_put_together),
		TEST(messages_that_wait_are_counted),
		TEST(slow_calls_are_reported_by_name),
		TEST(loops_that_do_not_run_are_told),
		TEST(a_manager_may_be_freed_meanwhile),
		TEST(a_request_may_be_cancelled),
		TEST(any_thread_may_ask_and_go),
		TEST(loops_may_end_meanwhile),
		TEST(want_of_memory_ends_the_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
