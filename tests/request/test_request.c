/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: how a request is made, ends, tells, and is received. */
#include "support/support.h"
#include <stdio.h>

struct some_state {
	int number;
	char text[40];
};

struct other_state {
	int number;
};

static struct talev_req *make(struct talev_context *ev, TALLOC_CTX *mem_ctx)
{
	struct some_state *state;
	struct talev_req *req = talev_req_create(ev, mem_ctx, &state, struct some_state);

	assert_non_null(req);
	return req;
}

static void note_end(struct talev_req *req)
{
	enum talev_req_state state = TALEV_REQ_DONE;
	uint64_t error = 0;

	talev_req_is_error(req, &state, &error);
	test_note("%d/%d", (int)state, (int)error);
}

static void state_is_zeroed_and_in_the_same_piece_of_memory(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct some_state *mine;
	struct talev_req *req = talev_req_create(ev, *state, &mine, struct some_state);

	assert_non_null(req);
	assert_ptr_equal(talev_req_data(req, struct some_state), mine);
	for (size_t i = 0; i < sizeof(*mine); i++)
		assert_int_equal(((char *)mine)[i], 0);
	assert_int_equal((uintptr_t)mine % 16, 0);
	assert_int_equal(talloc_total_blocks(req), 1);
	assert_ptr_equal(talloc_parent(req), *state);
	assert_ptr_equal(talev_req_context(req), ev);
	assert_string_equal(talloc_get_name(req), "struct talev_req");
	assert_string_equal(talev_source_get_name(req), "struct some_state");
	assert_non_null(strstr(talev_source_get_location(req), "test_request.c:"));
	assert_int_equal(talev_source_get_state(req), TALEV_LIVE);
}

static void request_takes_at_most_300_bytes(void **state)
{
	struct talev_context *ev = test_context(*state);
	void **mine;
	long before = test_alloc_bytes();

	if (!test_alloc_works())
		skip();
	assert_non_null(talev_req_create(ev, *state, &mine, void *));
	assert_true(test_alloc_bytes() - before <= 300);
}

static void request_belongs_to_its_context_by_default(void **state)
{
	struct talev_context *ev = test_context(*state);

	assert_ptr_equal(talloc_parent(make(ev, NULL)), ev);
}

static void state_of_a_wrong_type_is_misuse(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	test_log_capture();
	test_abort_capture();
	assert_null(talev_req_data(req, struct other_state));
	assert_int_equal(test_abort_count(), 1);
	assert_true(test_log_contains("struct other_state"));
	assert_ok(talev_source_set_name(req, "renamed"));
	assert_non_null(talev_req_data(req, struct some_state));
	assert_int_equal(test_abort_count(), 1);
}

static void callback_data_is_checked_too(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	struct talev_req *above = make(ev, *state);

	test_log_capture();
	test_abort_capture();
	talev_req_set_callback(req, note_end, above);
	assert_ptr_equal(talev_req_callback_data(req, struct talev_req), above);
	assert_ptr_equal(talev_req_callback_data_void(req), above);
	assert_null(talev_req_callback_data(req, struct other_state));
	assert_int_equal(test_abort_count(), 1);
	talev_req_set_callback(req, note_end, NULL);
	assert_null(talev_req_callback_data(req, struct other_state));
	assert_int_equal(test_abort_count(), 1);
}

static void no_request_without_a_context(void **state)
{
	struct some_state *mine;

	assert_null_errno(talev_req_create(NULL, *state, &mine, struct some_state), EINVAL);
}

static void done_calls_the_callback_at_once(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	struct talev_stats stats;

	talev_req_set_callback(req, note_end, NULL);
	assert_true(talev_req_is_in_progress(req));
	talev_req_done(req);
	assert_notes("1/0");
	assert_false(talev_req_is_in_progress(req));
	assert_ok(talev_source_get_stats(req, &stats));
	assert_int_equal(stats.calls, 1);
	assert_ok(test_run(ev));
	assert_notes("1/0");
}

static void each_end_says_why(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req[4];

	for (int i = 0; i < 4; i++) {
		req[i] = make(ev, *state);
		talev_req_set_callback(req[i], note_end, NULL);
	}
	assert_false(talev_req_error(req[0], 0));
	assert_true(talev_req_is_in_progress(req[0]));
	assert_true(talev_req_error(req[0], EIO));
	talev_req_oom(req[1]);
	assert_false(talev_req_nomem(ev, req[2]));
	assert_true(talev_req_is_in_progress(req[2]));
	assert_true(talev_req_nomem(NULL, req[2]));
	assert_true(talev_req_error(req[3], UINT64_C(1) << 40));
	test_forget_notes();
	for (int i = 0; i < 3; i++)
		note_end(req[i]);
	assert_notes("2/5 4/12 4/12");
	assert_errno(talev_req_simple_recv(req[3]), EIO);
}

static void request_in_progress_is_an_error_of_its_own(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	enum talev_req_state how;
	uint64_t error;

	assert_true(talev_req_is_error(req, &how, &error));
	assert_int_equal(how, TALEV_REQ_IN_PROGRESS);
	assert_int_equal(error, EINPROGRESS);
	assert_errno(talev_req_simple_recv(req), EINPROGRESS);
	talev_req_done(req);
	assert_ok(talev_req_simple_recv(req));
	assert_true(talev_req_is_error(req, &how, &error));
	assert_int_equal(how, TALEV_REQ_RECEIVED);
	assert_int_equal(error, ESTALE);
}

static struct talev_req *fail_at_once_send(struct talev_context *ev, TALLOC_CTX *mem_ctx, bool post)
{
	struct talev_req *req = make(ev, mem_ctx);

	talev_req_error(req, EIO);
	return post ? talev_req_post(req) : req;
}

static void send_that_fails_at_once_answers_from_the_loop(void **state)
{
	struct talev_context *ev = test_context(*state);

	for (int post = 0; post < 2; post++) {
		struct talev_req *req = fail_at_once_send(ev, *state, post != 0);

		talev_req_set_callback(req, note_end, NULL);
		assert_notes("");
		assert_true(talev_have_events(ev));
		assert_ok(test_run(ev));
		assert_notes("2/5");
		test_forget_notes();
	}
}

static void result_without_a_callback_keeps_no_loop(void **state)
{
	struct talev_context *ev = test_context(*state);

	talev_req_post(fail_at_once_send(ev, *state, true));
	assert_false(talev_have_events(ev));
	make(ev, *state);
	assert_false(talev_have_events(ev));
}

static void posted_requests_answer_in_order(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *first = make(ev, *state);
	struct talev_req *second = make(ev, *state);

	talev_req_set_callback(talev_req_post(first), note_end, NULL);
	talev_req_set_callback(talev_req_post(second), note_end, NULL);
	talev_req_error(first, 1);
	talev_req_error(second, 2);
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("2/1 2/2");
}

static void deferred_callback_comes_from_the_loop(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	talev_req_set_callback(req, note_end, NULL);
	talev_req_defer_callback(req);
	talev_req_done(req);
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("1/0");
}

static void notify_tells_without_ending(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	talev_req_set_callback(req, note_end, NULL);
	talev_req_notify(req);
	assert_notes("0/115");
	talev_req_defer_callback(req);
	talev_req_notify(req);
	assert_notes("0/115");
	assert_ok(test_run(ev));
	assert_notes("0/115 0/115");
	talev_req_defer_callback(req);
	talev_req_notify(req);
	talev_req_done(req);
	assert_notes("0/115 0/115");
	assert_ok(test_run(ev));
	assert_notes("0/115 0/115 1/0");
}

static void disabled_request_holds_its_callback_back(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	talev_req_set_callback(req, note_end, NULL);
	assert_ok(talev_source_set_enabled(req, false));
	talev_req_done(req);
	assert_ok(test_run(ev));
	assert_notes("");
	assert_ok(talev_source_set_enabled(req, true));
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("1/0");
}

static void ending_twice_is_misuse_with_both_locations(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	char first[64];
	char second[64];

	test_log_capture();
	test_abort_capture();
	talev_req_set_callback(req, note_end, NULL);
	snprintf(first, sizeof(first), "test_request.c:%d", __LINE__ + 1);
	talev_req_error(req, EIO);
	snprintf(second, sizeof(second), "test_request.c:%d", __LINE__ + 1);
	talev_req_done(req);
	assert_int_equal(test_abort_count(), 1);
	assert_true(test_log_contains(first));
	assert_true(test_log_contains(second));
	assert_true(test_log_contains("struct some_state"));
	assert_notes("2/5");
	note_end(req);
	assert_notes("2/5 2/5");
}

static void note_cleanup(struct talev_req *req, enum talev_req_state how)
{
	assert_non_null(req);
	test_note("cleanup:%d", (int)how);
}

static void cleanup_goes_before_the_callback_and_at_the_end(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	talev_req_set_callback(req, note_end, NULL);
	talev_req_set_cleanup_fn(req, note_cleanup);
	talev_req_done(req);
	assert_notes("cleanup:1 1/0");
	talev_req_received(req);
	assert_notes("cleanup:1 1/0 cleanup:6");
	talloc_free(req);
	assert_notes("cleanup:1 1/0 cleanup:6");
}

static void cleanup_is_told_when_the_request_is_freed_or_loses_its_context(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	talev_req_set_cleanup_fn(req, note_cleanup);
	talloc_free(req);
	assert_notes("cleanup:6");
	req = make(ev, *state);
	talev_req_set_cleanup_fn(req, note_cleanup);
	talloc_free(ev);
	assert_notes("cleanup:6 cleanup:6");
	talloc_free(req);
	assert_notes("cleanup:6 cleanup:6");
}

static void fail_in_cleanup(struct talev_req *req, enum talev_req_state how)
{
	if (how == TALEV_REQ_DONE)
		talev_req_error(req, ENOSPC);
}

static void cleanup_may_change_the_result(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	talev_req_set_callback(req, note_end, NULL);
	talev_req_set_cleanup_fn(req, fail_in_cleanup);
	talev_req_done(req);
	assert_notes("2/28");
}

static void received_request_has_nothing_left(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	test_log_capture();
	test_abort_capture();
	assert_ok(talev_source_set_name(req, "named"));
	assert_non_null(talloc_strdup(req, "below"));
	talev_req_set_callback(req, note_end, NULL);
	talev_req_received(req);
	assert_int_equal(talloc_total_blocks(req), 1);
	assert_string_equal(talev_source_get_name(req), "struct some_state");
	assert_null(talev_req_data(req, struct some_state));
	assert_int_equal(test_abort_count(), 1);
	talev_req_received(req);
	talev_req_notify(req);
	assert_ok(test_run(ev));
	assert_notes("");
	talev_req_done(req);
	assert_int_equal(test_abort_count(), 2);
	assert_notes("");
}

static void received_before_its_posted_callback_is_not_called(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	talev_req_set_callback(talev_req_post(req), note_end, NULL);
	talev_req_done(req);
	assert_ok(talev_req_simple_recv(req));
	assert_false(talev_have_events(ev));
	assert_notes("");
}

static void end_it(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)ev;
	(void)te;
	(void)now;
	talev_req_done(arg);
}

static void break_it(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)te;
	(void)now;
	(void)arg;
	talev_loop_break(ev);
}

static void free_it(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)ev;
	(void)te;
	(void)now;
	talloc_free(arg);
}

static void poll_runs_the_loop_until_the_end(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	test_watchdog(__func__, __location__);
	assert_errno(talev_req_poll(req), ENOENT);
	assert_non_null(talev_add_timer(ev, ev, talev_now(ev) + TALEV_MSEC(1), end_it, req));
	assert_ok(talev_req_poll(req));
	assert_false(talev_req_is_in_progress(req));
	assert_ok(talev_req_poll(req));
}

static void poll_says_why_it_gave_up(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *other = test_context(*state);
	struct talev_req *req = make(ev, *state);
	struct talev_req *of_other = make(other, *state);

	test_watchdog(__func__, __location__);
	assert_non_null(talev_add_timer(ev, ev, talev_now(ev), break_it, NULL));
	assert_errno(talev_req_poll(req), EINTR);
	assert_non_null(talev_add_timer(ev, ev, talev_now(ev), free_it, req));
	assert_errno(talev_req_poll(req), ESTALE);
	assert_non_null(talev_add_timer(other, other, talev_now(other), free_it, other));
	assert_errno(talev_req_poll(of_other), ESTALE);
	assert_errno(talev_req_poll(of_other), ESTALE);
}

static void poll_in_callback(struct talev_req *req)
{
	struct talev_req *other = talev_req_callback_data(req, struct talev_req);

	test_note("%d", talev_req_poll(other) == -1 ? errno : 0);
}

static void poll_in_a_handler_needs_nesting(void **state)
{
	struct talev_context *ev = test_context(*state);

	for (int allowed = 0; allowed < 2; allowed++) {
		struct talev_req *req = make(ev, *state);
		struct talev_req *other = make(ev, *state);

		if (allowed)
			talev_loop_allow_nesting(ev);
		assert_non_null(talev_add_timer(ev, ev, talev_now(ev), end_it, other));
		talev_req_set_callback(talev_req_post(req), poll_in_callback, other);
		talev_req_done(req);
		assert_ok(test_run(ev));
		assert_false(talev_req_is_in_progress(other));
	}
	assert_notes("40 0");
}

static void print_tells_what_it_is(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	char *text = talev_req_print(*state, req);

	assert_non_null(strstr(text, "struct some_state"));
	assert_non_null(strstr(text, "in progress"));
	talev_req_error(req, 77);
	text = talev_req_print(*state, req);
	assert_non_null(strstr(text, "77"));
	assert_non_null(strstr(text, "test_request.c:"));
	assert_string_equal(talev_req_print(*state, NULL), "no request");
	talev_req_received(req);
	assert_non_null(strstr(talev_req_default_print(req, *state), "received"));
}

static char *print_own(struct talev_req *req, TALLOC_CTX *mem_ctx)
{
	return talloc_asprintf(mem_ctx, "own %d", talev_req_is_in_progress(req));
}

static void print_function_takes_over(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	assert_ok(talev_req_set_print_fn(req, print_own));
	assert_string_equal(talev_req_print(*state, req), "own 1");
	talloc_free(ev);
	assert_errno(talev_req_set_print_fn(req, NULL), ESTALE);
}

static void request_outlives_its_context_inert(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	struct talev_req *posted = make(ev, *state);

	talev_req_set_callback(req, note_end, NULL);
	talev_req_set_callback(talev_req_post(posted), note_end, NULL);
	talev_req_done(posted);
	talloc_free(ev);
	assert_null(talev_req_context(req));
	talev_req_done(req);
	talev_req_notify(req);
	talev_req_set_callback(req, note_end, NULL);
	assert_notes("");
	assert_false(talev_req_is_error(req, NULL, NULL));
	assert_ok(talev_req_simple_recv(req));
	assert_ok(talev_req_simple_recv(posted));
}

static void meddle(struct talev_req *req, enum talev_req_state how)
{
	test_note("cleanup:%d:%d", (int)how, talev_req_data(req, struct some_state)->number);
	talev_req_done(req);
	if (how == TALEV_REQ_ERROR)
		talev_req_received(req);
}

static void cleanup_cannot_end_what_is_received(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	talev_req_set_callback(req, note_end, NULL);
	talev_req_set_cleanup_fn(req, meddle);
	talev_req_received(req);
	assert_notes("cleanup:6:0");
	req = make(ev, *state);
	talev_req_set_callback(req, note_end, NULL);
	talev_req_set_cleanup_fn(req, meddle);
	talev_req_error(req, EIO);
	assert_ok(test_run(ev));
	assert_notes("cleanup:6:0 cleanup:2:0");
	assert_true(talev_req_is_error(req, NULL, NULL));
}

static void re_initialise_makes_requests_inert(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	struct talev_req *posted = make(ev, *state);

	talev_req_set_cleanup_fn(req, note_cleanup);
	assert_ok(talev_req_set_deadline(req, 0));
	talev_req_set_callback(req, note_end, NULL);
	talev_req_set_callback(talev_req_post(posted), note_end, NULL);
	talev_req_done(posted);
	assert_ok(talev_re_initialise(ev));
	assert_notes("cleanup:6");
	talev_req_done(req);
	assert_false(talev_have_events(ev));
	assert_notes("cleanup:6");
	posted = make(ev, *state);
	talev_req_set_callback(posted, note_end, NULL);
	talev_req_done(posted);
	assert_notes("cleanup:6 1/0");
}

static void request_cancelled_through_a_reference_calls_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	struct talev_ref *ref = talev_ref_create(ev, *state, req);

	assert_non_null(ref);
	talev_req_set_cleanup_fn(req, note_cleanup);
	talev_req_set_callback(req, note_end, NULL);
	assert_int_equal(talev_ref_cancel(ref), TALEV_REF_IDLE);
	talev_req_done(req);
	assert_ok(test_run(ev));
	assert_notes("cleanup:6");
	talloc_free(req);
	assert_notes("cleanup:6");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(state_is_zeroed_and_in_the_same_piece_of_memory),
		TEST(request_takes_at_most_300_bytes),
		TEST(request_belongs_to_its_context_by_default),
		TEST(state_of_a_wrong_type_is_misuse),
		TEST(callback_data_is_checked_too),
		TEST(no_request_without_a_context),
		TEST(done_calls_the_callback_at_once),
		TEST(each_end_says_why),
		TEST(request_in_progress_is_an_error_of_its_own),
		TEST(send_that_fails_at_once_answers_from_the_loop),
		TEST(result_without_a_callback_keeps_no_loop),
		TEST(posted_requests_answer_in_order),
		TEST(deferred_callback_comes_from_the_loop),
		TEST(notify_tells_without_ending),
		TEST(disabled_request_holds_its_callback_back),
		TEST(ending_twice_is_misuse_with_both_locations),
		TEST(cleanup_goes_before_the_callback_and_at_the_end),
		TEST(cleanup_is_told_when_the_request_is_freed_or_loses_its_context),
		TEST(cleanup_may_change_the_result),
		TEST(received_request_has_nothing_left),
		TEST(received_before_its_posted_callback_is_not_called),
		TEST(poll_runs_the_loop_until_the_end),
		TEST(poll_says_why_it_gave_up),
		TEST(poll_in_a_handler_needs_nesting),
		TEST(print_tells_what_it_is),
		TEST(print_function_takes_over),
		TEST(request_outlives_its_context_inert),
		TEST(cleanup_cannot_end_what_is_received),
		TEST(re_initialise_makes_requests_inert),
		TEST(request_cancelled_through_a_reference_calls_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
