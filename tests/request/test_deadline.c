/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: deadlines of requests, and wakeups. */
#include "support/support.h"

struct some_state {
	int number;
};

static struct talev_req *make(struct talev_context *ev, TALLOC_CTX *mem_ctx)
{
	struct some_state *state;
	struct talev_req *req = talev_req_create(ev, mem_ctx, &state, struct some_state);

	assert_non_null(req);
	return req;
}

/* Notes its tag, and how it ended. */
static void note_end(struct talev_req *req)
{
	enum talev_req_state how = TALEV_REQ_DONE;
	uint64_t error = 0;

	talev_req_is_error(req, &how, &error);
	test_note("%d:%d/%d", (int)talev_source_get_tag(req), (int)how, (int)error);
}

static struct talev_req *noted(struct talev_context *ev, TALLOC_CTX *mem_ctx, uint64_t tag)
{
	struct talev_req *req = make(ev, mem_ctx);

	assert_ok(talev_source_set_tag(req, tag));
	talev_req_set_callback(req, note_end, NULL);
	return req;
}

static talev_time_t in_ms(struct talev_context *ev, int ms)
{
	return talev_now(ev) + TALEV_MSEC(ms);
}

static void request_ends_at_its_deadline(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = noted(ev, *state, 1);
	talev_time_t deadline = in_ms(ev, 5);

	assert_true(talev_req_get_deadline(req) == TALEV_NEVER);
	assert_ok(talev_req_set_deadline(req, deadline));
	assert_true(talev_req_get_deadline(req) == deadline);
	assert_true(talev_have_events(ev));
	assert_ok(test_run(ev));
	assert_notes("1:3/62");
	assert_true(talev_now(ev) >= deadline);
	assert_errno(talev_req_simple_recv(req), ETIME);
}

static void deadline_in_the_past_ends_it_from_the_loop(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = noted(ev, *state, 1);

	assert_ok(talev_req_set_deadline(req, 0));
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("1:3/62");
}

static void ended_request_keeps_no_timer(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = noted(ev, *state, 1);

	assert_ok(talev_req_set_deadline(req, in_ms(ev, 10000)));
	talev_req_done(req);
	assert_notes("1:1/0");
	assert_false(talev_have_events(ev));
	assert_errno(talev_req_set_deadline(req, in_ms(ev, 1)), ESTALE);
	assert_true(talev_req_get_deadline(req) == TALEV_NEVER);
}

static void deadline_can_be_moved_and_taken_back(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = noted(ev, *state, 1);

	assert_ok(talev_req_set_deadline(req, in_ms(ev, 10000)));
	assert_ok(talev_req_set_deadline(req, TALEV_NEVER));
	assert_false(talev_have_events(ev));
	assert_ok(talev_req_set_deadline(req, in_ms(ev, 10000)));
	talev_req_reset_deadline(req);
	assert_false(talev_have_events(ev));
	assert_true(talev_req_get_deadline(req) == TALEV_NEVER);
	assert_ok(talev_req_set_deadline(req, in_ms(ev, 10000)));
	assert_ok(talev_req_set_deadline(req, in_ms(ev, 1)));
	assert_ok(test_run(ev));
	assert_notes("1:3/62");
}

static void deadline_outlasts_a_notification(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = noted(ev, *state, 1);

	assert_ok(talev_req_set_deadline(req, in_ms(ev, 1)));
	talev_req_defer_callback(req);
	talev_req_notify(req);
	assert_ok(talev_req_set_deadline(req, in_ms(ev, 2)));
	assert_ok(test_run(ev));
	assert_notes("1:0/115 1:3/62");
}

static void requests_below_inherit(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *above = noted(ev, *state, 1);
	struct talev_req *below = noted(ev, talloc_new(above), 2);
	struct talev_req *innermost = noted(ev, below, 3);
	talev_time_t deadline = in_ms(ev, 2);

	assert_ok(talev_req_set_deadline(above, deadline));
	assert_true(talev_req_get_deadline(below) == deadline);
	assert_true(talev_req_get_deadline(innermost) == deadline);
	assert_ok(test_run(ev));
	assert_notes("3:3/62 2:3/62 1:3/62");
}

static void deadline_of_its_own_is_not_inherited(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *above = noted(ev, *state, 1);
	struct talev_req *below = noted(ev, above, 2);
	struct talev_req *innermost = noted(ev, below, 3);
	struct talev_req *sibling = noted(ev, above, 4);
	talev_time_t late = in_ms(ev, 6);

	assert_ok(talev_req_set_deadline(above, in_ms(ev, 2)));
	assert_ok(talev_req_set_deadline(below, late));
	assert_true(talev_req_get_deadline(innermost) == late);
	assert_ok(talev_req_set_deadline(sibling, TALEV_NEVER));
	assert_ok(test_run(ev));
	assert_notes("1:3/62 3:3/62 2:3/62");
	assert_true(talev_req_is_in_progress(sibling));
	talev_req_reset_deadline(sibling);
}

static void stolen_request_follows_its_new_tree(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *above = noted(ev, *state, 1);
	struct talev_req *out = noted(ev, above, 2);
	struct talev_req *in = noted(ev, *state, 3);

	assert_ok(talev_req_set_deadline(above, in_ms(ev, 2)));
	talloc_steal(*state, out);
	talloc_steal(above, in);
	assert_ok(test_run(ev));
	assert_notes("3:3/62 1:3/62");
	assert_true(talev_req_is_in_progress(out));
}

static void fail_above(struct talev_req *req)
{
	struct talev_req *above = talev_req_callback_data(req, struct talev_req);
	uint64_t error;

	note_end(req);
	assert_true(talev_req_is_error(req, NULL, &error));
	talloc_free(req);
	talev_req_error(above, error);
}

static void requests_end_through_each_other_once(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *above = noted(ev, *state, 1);
	struct talev_req *below = noted(ev, above, 2);
	struct talev_req *innermost = noted(ev, below, 3);

	talev_req_set_callback(below, fail_above, above);
	talev_req_set_callback(innermost, fail_above, below);
	assert_ok(talev_req_set_deadline(above, in_ms(ev, 1)));
	assert_ok(test_run(ev));
	assert_notes("3:3/62 2:2/62 1:2/62");
}

static void save_the_day(struct talev_req *req)
{
	talev_req_done(talev_req_callback_data(req, struct talev_req));
}

static void code_behind_it_may_still_end_it_well(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *above = noted(ev, *state, 1);
	struct talev_req *below = noted(ev, above, 2);

	talev_req_set_callback(below, save_the_day, above);
	assert_ok(talev_req_set_deadline(above, in_ms(ev, 1)));
	assert_ok(test_run(ev));
	assert_notes("1:1/0");
}

static void ending_after_the_deadline_is_no_misuse(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = noted(ev, *state, 1);

	assert_ok(talev_req_set_deadline(req, 0));
	assert_ok(test_run(ev));
	talev_req_done(req);
	assert_errno(talev_req_simple_recv(req), ETIME);
	talev_req_done(req);
	assert_notes("1:3/62");
}

static void count_end(struct talev_req *req)
{
	unsigned *ended = talev_req_callback_data_void(req);

	(*ended)++;
}

static void many_requests_below_one_deadline_need_one_timer(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *above = noted(ev, *state, 0);
	unsigned ended = 0;

	assert_ok(talev_req_set_deadline(above, in_ms(ev, 1)));
	for (int i = 0; i < 500; i++)
		talev_req_set_callback(make(ev, above), count_end, &ended);
	assert_ok(test_run(ev));
	assert_notes("0:3/62");
	assert_int_equal(ended, 500);
}

static void wakeup_comes_when_it_is_time(void **state)
{
	struct talev_context *ev = test_context(*state);
	talev_time_t at = in_ms(ev, 3);
	struct talev_req *req = talev_wakeup_send(*state, ev, at);

	talev_req_set_callback(req, note_end, NULL);
	assert_true(talev_req_get_deadline(req) == TALEV_NEVER);
	assert_int_equal(talloc_total_blocks(req), 1);
	assert_ok(test_run(ev));
	assert_notes("0:1/0");
	assert_true(talev_now(ev) >= at);
	assert_ok(talev_wakeup_recv(req));
}

static void wakeup_in_the_past_comes_from_the_loop(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = talev_wakeup_send(*state, ev, 0);

	talev_req_set_callback(req, note_end, NULL);
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("0:1/0");
}

static void wakeup_has_deadlines_too(void **state)
{
	struct talev_context *ev = test_context(*state);
	talev_time_t now = talev_now(ev);
	struct talev_req *early = talev_wakeup_send(*state, ev, now + TALEV_MSEC(2));
	struct talev_req *late = talev_wakeup_send(*state, ev, now + TALEV_SEC(100));
	struct talev_req *freed = talev_wakeup_send(*state, ev, now + TALEV_MSEC(4));
	struct talev_req *above = make(ev, *state);
	struct talev_req *below = talev_wakeup_send(above, ev, now + TALEV_SEC(100));

	talev_req_set_callback(early, note_end, NULL);
	talev_req_set_callback(late, note_end, NULL);
	talev_req_set_callback(freed, note_end, NULL);
	talev_req_set_callback(below, note_end, NULL);
	assert_ok(talev_source_set_tag(early, 1));
	assert_ok(talev_source_set_tag(late, 2));
	assert_ok(talev_source_set_tag(freed, 3));
	assert_ok(talev_source_set_tag(below, 4));
	assert_ok(talev_req_set_deadline(early, now + TALEV_SEC(50)));
	assert_true(talev_req_get_deadline(early) == now + TALEV_SEC(50));
	assert_ok(talev_req_set_deadline(late, now + TALEV_MSEC(3)));
	assert_ok(talev_req_set_deadline(freed, now + TALEV_MSEC(1)));
	talev_req_reset_deadline(freed);
	assert_ok(talev_req_set_deadline(above, now + TALEV_MSEC(5)));
	assert_ok(test_run(ev));
	assert_notes("1:1/0 2:3/62 3:1/0 4:3/62");
	assert_errno(talev_wakeup_recv(late), ETIME);
}

static void cancelled_wakeup_says_so(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = talev_wakeup_send(*state, ev, TALEV_NEVER);

	assert_false(talev_have_events(ev));
	talev_req_set_callback(req, note_end, NULL);
	assert_ok(talev_req_cancel(req));
	assert_ok(test_run(ev));
	assert_notes("0:5/125");
	assert_errno(talev_wakeup_recv(req), ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(request_ends_at_its_deadline),
		TEST(deadline_in_the_past_ends_it_from_the_loop),
		TEST(ended_request_keeps_no_timer),
		TEST(deadline_can_be_moved_and_taken_back),
		TEST(deadline_outlasts_a_notification),
		TEST(requests_below_inherit),
		TEST(deadline_of_its_own_is_not_inherited),
		TEST(stolen_request_follows_its_new_tree),
		TEST(requests_end_through_each_other_once),
		TEST(code_behind_it_may_still_end_it_well),
		TEST(ending_after_the_deadline_is_no_misuse),
		TEST(many_requests_below_one_deadline_need_one_timer),
		TEST(wakeup_comes_when_it_is_time),
		TEST(wakeup_in_the_past_comes_from_the_loop),
		TEST(wakeup_has_deadlines_too),
		TEST(cancelled_wakeup_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
