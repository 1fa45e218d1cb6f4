/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: cancel always ends in exactly one callback, which comes from the loop. */
#include "support/support.h"

struct some_state {
	int asked;
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
	enum talev_req_state how = TALEV_REQ_DONE;
	uint64_t error = 0;

	talev_req_is_error(req, &how, &error);
	test_note("%d/%d", (int)how, (int)error);
}

static void note_cleanup(struct talev_req *req, enum talev_req_state how)
{
	(void)req;
	if (how != TALEV_REQ_RECEIVED)
		test_note("cleanup:%d", (int)how);
}

static bool end_in_cancel(struct talev_req *req)
{
	talev_req_error(req, EINTR);
	return true;
}

static bool end_later(struct talev_req *req)
{
	talev_req_data(req, struct some_state)->asked++;
	return true;
}

static bool refuse(struct talev_req *req)
{
	talev_req_data(req, struct some_state)->asked++;
	return false;
}

static void without_a_cancel_function_it_ends_by_itself(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	talev_req_set_callback(req, note_end, NULL);
	talev_req_set_cleanup_fn(req, note_cleanup);
	assert_ok(talev_req_cancel(req));
	assert_notes("cleanup:5");
	assert_errno(talev_req_cancel(req), ESTALE);
	assert_ok(test_run(ev));
	assert_notes("cleanup:5 5/125");
}

static void code_behind_it_may_end_it_afterwards(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	talev_req_set_callback(req, note_end, NULL);
	assert_ok(talev_req_cancel(req));
	talev_req_done(req);
	assert_ok(test_run(ev));
	talev_req_error(req, EIO);
	assert_ok(test_run(ev));
	assert_notes("5/125");
}

static void cancel_function_that_ends_it_answers_from_the_loop(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	talev_req_set_callback(req, note_end, NULL);
	talev_req_set_cancel_fn(req, end_in_cancel);
	assert_ok(talev_req_cancel(req));
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("2/4");
}

static void cancel_function_is_asked_once_and_may_take_its_time(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	talev_req_set_callback(req, note_end, NULL);
	talev_req_set_cancel_fn(req, end_later);
	assert_ok(talev_req_cancel(req));
	assert_ok(talev_req_cancel(req));
	assert_int_equal(talev_req_data(req, struct some_state)->asked, 1);
	talev_req_done(req);
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("1/0");
}

static void refused_cancel_changes_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	talev_req_set_callback(req, note_end, NULL);
	talev_req_set_cancel_fn(req, refuse);
	assert_errno(talev_req_cancel(req), EBUSY);
	assert_errno(talev_req_cancel(req), EBUSY);
	assert_int_equal(talev_req_data(req, struct some_state)->asked, 2);
	assert_true(talev_req_is_in_progress(req));
	talev_req_done(req);
	assert_notes("1/0");
}

static void ended_request_cannot_be_cancelled(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	struct talev_req *orphan = make(ev, *state);

	talev_req_set_cancel_fn(req, end_later);
	talev_req_set_callback(talev_req_post(req), note_end, NULL);
	talev_req_done(req);
	assert_errno(talev_req_cancel(req), ESTALE);
	assert_ok(test_run(ev));
	assert_notes("1/0");
	talloc_free(ev);
	assert_errno(talev_req_cancel(orphan), ESTALE);
}

static void cancel_and_deadline_end_it_once(void **state)
{
	struct talev_context *ev = test_context(*state);

	for (int way = 0; way < 2; way++) {
		struct talev_req *req = make(ev, *state);

		talev_req_set_callback(req, note_end, NULL);
		assert_ok(talev_req_set_deadline(req, 0));
		if (way == 1)
			talev_req_set_cancel_fn(req, end_later);
		assert_ok(talev_req_cancel(req));
		assert_ok(test_run(ev));
	}
	assert_notes("5/125 3/62");
}

static void cancel_without_a_callback_is_told_to_the_one_that_comes(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);

	assert_ok(talev_req_cancel(req));
	assert_false(talev_have_events(ev));
	talev_req_set_callback(req, note_end, NULL);
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("5/125");
}

static void end_outer(struct talev_req *req)
{
	struct talev_req *outer = talev_req_callback_data(req, struct talev_req);
	uint64_t error;

	test_note("inner");
	assert_true(talev_req_is_error(req, NULL, &error));
	talev_req_error(outer, error);
}

static bool pass_on(struct talev_req *req)
{
	struct talev_req **inner = talev_req_callback_data_void(req);

	return talev_req_cancel(*inner) == 0;
}

static void cancel_is_passed_on_by_the_code_in_between(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *outer = make(ev, *state);
	struct talev_req *inner = make(ev, outer);

	talev_req_set_callback(outer, note_end, &inner);
	talev_req_set_cancel_fn(outer, pass_on);
	talev_req_set_callback(inner, end_outer, outer);
	assert_ok(talev_req_cancel(outer));
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("inner 2/125");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_cancel_function_it_ends_by_itself),
		TEST(code_behind_it_may_end_it_afterwards),
		TEST(cancel_function_that_ends_it_answers_from_the_loop),
		TEST(cancel_function_is_asked_once_and_may_take_its_time),
		TEST(refused_cancel_changes_nothing),
		TEST(ended_request_cannot_be_cancelled),
		TEST(cancel_and_deadline_end_it_once),
		TEST(cancel_without_a_callback_is_told_to_the_one_that_comes),
		TEST(cancel_is_passed_on_by_the_code_in_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
