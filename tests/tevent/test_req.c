/* SPDX-License-Identifier: BSD-2-Clause */
/* Points 48 to 57: requests. */
#include "points.h"

struct the_state {
	int value;
	struct tevent_context *ev;
};

static struct tevent_req *request(TALLOC_CTX *mem, struct the_state **state)
{
	struct the_state *dummy;
	struct tevent_req *req = tevent_req_create(mem, state ? state : &dummy, struct the_state);

	assert_non_null(req);
	return req;
}

static void note_result(struct tevent_req *req)
{
	enum tevent_req_state state = TEVENT_REQ_INIT;
	uint64_t err = 4711;
	bool is_error = tevent_req_is_error(req, &state, &err);

	if (is_error)
		note("state%d_err%d", (int)state, (int)err);
	else
		note("done");
}

static void p48_finishing_notifies_at_once(void **state)
{
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_req_set_callback(req, note_result, NULL);
	assert_true(tevent_req_is_in_progress(req));
	tevent_req_done(req);
	assert_notes("done");
	assert_false(tevent_req_is_in_progress(req));
	forget_notes();
	req = request(root(), NULL);
	tevent_req_set_callback(req, note_result, NULL);
	assert_false(tevent_req_error(req, 0));
	assert_notes("");
	assert_true(tevent_req_is_in_progress(req));
	assert_true(tevent_req_error(req, 17));
	assert_notes("state3_err17");
	forget_notes();
	req = request(root(), NULL);
	tevent_req_set_callback(req, note_result, NULL);
	assert_false(tevent_req_nomem(req, req));
	assert_true(tevent_req_nomem(NULL, req));
	assert_notes("state5_err4711");
	forget_notes();
	req = request(root(), NULL);
	tevent_req_set_callback(req, note_result, NULL);
	tevent_req_oom(req);
	assert_notes("state5_err4711");
}

static void p48_finishing_twice_notifies_twice(void **state)
{
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_req_set_callback(req, note_result, NULL);
	tevent_req_error(req, 5);
	tevent_req_done(req);
	assert_notes("state3_err5 done");
}

static void p48_finishing_drops_the_timeout(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_req_set_callback(req, note_result, NULL);
	assert_true(tevent_req_set_endtime(req, ev, in_milliseconds(1)));
	tevent_req_done(req);
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("done");
}

static void note_cleanup(struct tevent_req *req, enum tevent_req_state state)
{
	struct the_state *data = tevent_req_data(req, struct the_state);

	note("cleanup%d_%d", state, data->value);
}

static void cleanup_raises(struct tevent_req *req, enum tevent_req_state state)
{
	note("cleanup%d", state);
	if (state == TEVENT_REQ_DONE)
		tevent_req_error(req, 9);
}

static void p49_cleanup_comes_before_the_callback_and_at_the_end(void **state)
{
	struct the_state *data;
	struct tevent_req *req = request(root(), &data);

	(void)state;
	data->value = 7;
	tevent_req_set_callback(req, note_result, NULL);
	tevent_req_set_cleanup_fn(req, note_cleanup);
	tevent_req_done(req);
	assert_notes("cleanup2_7 done");
	tevent_req_received(req);
	assert_notes("cleanup2_7 done cleanup6_7");
	talloc_free(req);
	assert_notes("cleanup2_7 done cleanup6_7");
}

static void p49_cleanup_of_a_request_that_is_freed(void **state)
{
	struct the_state *data;
	struct tevent_req *req = request(root(), &data);

	(void)state;
	data->value = 3;
	tevent_req_set_cleanup_fn(req, note_cleanup);
	talloc_free(req);
	assert_notes("cleanup6_3");
}

static void p49_once_for_each_higher_state(void **state)
{
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_req_set_callback(req, note_result, NULL);
	tevent_req_set_cleanup_fn(req, note_cleanup);
	tevent_req_done(req);
	tevent_req_done(req);
	assert_notes("cleanup2_0 done done");
	tevent_req_error(req, 2);
	assert_notes("cleanup2_0 done done cleanup3_0 state3_err2");
}

static void p49_cleanup_may_end_it_otherwise(void **state)
{
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_req_set_callback(req, note_result, NULL);
	tevent_req_set_cleanup_fn(req, cleanup_raises);
	tevent_req_done(req);
	assert_notes("cleanup2 cleanup3 state3_err9 state3_err9");
}

static void p49_set_late_it_knows_the_state(void **state)
{
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_req_done(req);
	tevent_req_set_cleanup_fn(req, note_cleanup);
	tevent_req_done(req);
	assert_notes("");
	tevent_req_received(req);
	assert_notes("cleanup6_0");
}

static void p50_done_then_post(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_req_done(req);
	assert_ptr_equal(tevent_req_post(req, ev), req);
	tevent_req_set_callback(req, note_result, NULL);
	assert_notes("");
	once(ev);
	assert_notes("done");
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("done");
}

static void p50_post_before_it_is_finished(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_req_set_callback(req, note_result, NULL);
	tevent_req_post(req, ev);
	once(ev);
	assert_notes("state1_err4711");
}

static void p50_freed_while_posted(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_req_set_callback(req, note_result, NULL);
	tevent_req_post(req, ev);
	talloc_free(req);
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("");
}

static void p51_deferred_once(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_req_set_callback(req, note_result, NULL);
	tevent_req_defer_callback(req, ev);
	tevent_req_done(req);
	assert_notes("");
	once(ev);
	assert_notes("done");
	tevent_req_notify_callback(req);
	assert_notes("done done");
}

static void p51_notify_touches_no_state(void **state)
{
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_req_set_callback(req, note_result, NULL);
	tevent_req_notify_callback(req);
	assert_notes("state1_err4711");
	assert_true(tevent_req_is_in_progress(req));
	/* Nobody listens. */
	tevent_req_set_callback(req, NULL, NULL);
	tevent_req_notify_callback(req);
	tevent_req_done(req);
	assert_notes("state1_err4711");
}

static bool cancelled(struct tevent_req *req)
{
	(void)req;
	note("cancel");
	return true;
}

static bool not_cancelled(struct tevent_req *req)
{
	(void)req;
	note("cancel");
	return false;
}

static void p52_received_ends_all_but_the_callback(void **state)
{
	struct tevent_context *ev = context();
	struct the_state *data;
	struct tevent_req *req = request(root(), &data);
	enum tevent_req_state req_state;
	uint64_t err;

	(void)state;
	note_when_freed(data, "data");
	tevent_req_set_callback(req, note_result, NULL);
	tevent_req_set_cancel_fn(req, cancelled);
	tevent_req_set_endtime(req, ev, in_milliseconds(1));
	tevent_req_received(req);
	assert_notes("data");
	assert_false(tevent_req_is_in_progress(req));
	assert_true(tevent_req_is_error(req, &req_state, &err));
	assert_int_equal(req_state, TEVENT_REQ_RECEIVED);
	assert_false(tevent_req_cancel(req));
	assert_null(_tevent_req_data(req));
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("data");
	forget_notes();
	tevent_req_notify_callback(req);
	assert_notes("state6_err4711");
}

static void p52_cancel(void **state)
{
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	assert_false(tevent_req_cancel(req));
	tevent_req_set_cancel_fn(req, not_cancelled);
	assert_false(tevent_req_cancel(req));
	tevent_req_set_cancel_fn(req, cancelled);
	assert_true(tevent_req_cancel(req));
	assert_notes("cancel cancel");
	/* It is the cancel function that finishes the request. */
	assert_true(tevent_req_is_in_progress(req));
}

static void free_request(struct tevent_req *req)
{
	note("callback");
	talloc_free(req);
}

static void p52_freed_in_its_callback(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	note_when_freed(req, "gone");
	tevent_req_set_callback(req, free_request, NULL);
	tevent_req_done(req);
	assert_notes("callback gone");
	forget_notes();
	req = request(root(), NULL);
	note_when_freed(req, "gone");
	tevent_req_set_callback(req, free_request, NULL);
	tevent_req_done(req);
	forget_notes();
	req = request(root(), NULL);
	note_when_freed(req, "gone");
	tevent_req_set_callback(req, free_request, NULL);
	tevent_req_post(req, ev);
	once(ev);
	assert_notes("callback gone");
	forget_notes();
	req = request(root(), NULL);
	tevent_req_set_callback(req, free_request, NULL);
	tevent_req_set_endtime(req, ev, ZERO_TIME);
	once(ev);
	assert_notes("callback");
}

static void p53_is_error_writes_only_what_there_is(void **state)
{
	enum tevent_req_state req_state = 99;
	uint64_t err = 4711;
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	assert_true(tevent_req_is_error(req, &req_state, &err));
	assert_int_equal(req_state, TEVENT_REQ_IN_PROGRESS);
	assert_int_equal(err, 4711);
	req_state = 99;
	tevent_req_done(req);
	assert_false(tevent_req_is_error(req, &req_state, &err));
	assert_int_equal(req_state, 99);
	assert_int_equal(err, 4711);
	req = request(root(), NULL);
	tevent_req_error(req, UINT64_C(0x123456789abc));
	assert_true(tevent_req_is_error(req, &req_state, &err));
	assert_int_equal(req_state, TEVENT_REQ_USER_ERROR);
	assert_true(err == UINT64_C(0x123456789abc));
	req = request(root(), NULL);
	err = 4711;
	tevent_req_oom(req);
	assert_true(tevent_req_is_error(req, &req_state, &err));
	assert_int_equal(req_state, TEVENT_REQ_NO_MEMORY);
	assert_int_equal(err, 4711);
}

static void p54_a_timeout(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_req_set_callback(req, note_result, NULL);
	assert_true(tevent_req_set_endtime(req, ev, in_milliseconds(1)));
	once(ev);
	assert_notes("state4_err4711");
	assert_non_null(strstr(tevent_req_print(root(), req), "finish[tevent_req_timedout]"));
}

static void p54_a_later_endtime_replaces_the_earlier(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_req_set_callback(req, note_result, NULL);
	tevent_req_set_endtime(req, ev, in_milliseconds(1));
	tevent_req_set_endtime(req, ev, in_milliseconds(8000));
	turns_for(ev, 5);
	assert_notes("");
	tevent_req_set_endtime(req, ev, in_milliseconds(1));
	turns_for(ev, 5);
	assert_notes("state4_err4711");
	forget_notes();
	req = request(root(), NULL);
	tevent_req_set_callback(req, note_result, NULL);
	tevent_req_set_endtime(req, ev, in_milliseconds(1));
	tevent_req_reset_endtime(req);
	turns_for(ev, 3);
	assert_notes("");
}

static void p54_wakeup(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_req *req = tevent_wakeup_send(root(), ev, in_milliseconds(2));

	(void)state;
	assert_true(tevent_req_poll(req, ev));
	assert_true(tevent_wakeup_recv(req));
	/* Not received: it can be asked again. */
	assert_true(tevent_wakeup_recv(req));
	req = tevent_wakeup_send(root(), ev, in_milliseconds(2000));
	assert_false(tevent_wakeup_recv(req));
	talloc_free(req);
	assert_int_equal(tevent_loop_wait(ev), 0);
}

static void p54_poll_runs_the_loop_until_it_is_finished(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_req *req = request(root(), NULL);

	(void)state;
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	tevent_req_set_endtime(req, ev, in_milliseconds(2));
	assert_true(tevent_req_poll(req, ev));
	assert_notes("im");
	req = request(root(), NULL);
	tevent_req_done(req);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	assert_true(tevent_req_poll(req, ev));
	assert_notes("im");
}

static void p55_request_and_state_are_one_chunk(void **state)
{
	struct the_state *data = NULL, zero;
	struct tevent_req *req = request(root(), &data);

	(void)state;
	memset(&zero, 0, sizeof(zero));
	assert_memory_equal(data, &zero, sizeof(zero));
	assert_string_equal(talloc_get_name(req), "struct tevent_req");
	assert_string_equal(talloc_get_name(data), "struct the_state");
	assert_ptr_equal(talloc_parent(data), req);
	assert_ptr_equal(tevent_req_data(req, struct the_state), data);
	assert_ptr_equal(_tevent_req_data(req), data);
	/* An immediate is there from the beginning or comes with the first post. */
	assert_in_range(talloc_total_blocks(req), 2, 3);
	/* In the request's own pool: the memory between them is small. */
	assert_in_range((char *)data - (char *)req, 1, 2048);
}

static void p55_callback_data_is_checked_by_the_caller(void **state)
{
	struct the_state *data;
	struct tevent_req *req = request(root(), &data);

	(void)state;
	assert_null(tevent_req_callback_data_void(req));
	tevent_req_set_callback(req, note_result, data);
	assert_ptr_equal(tevent_req_callback_data(req, struct the_state), data);
	assert_ptr_equal(tevent_req_callback_data_void(req), data);
}

static void wrong_type(void *req)
{
	(void)tevent_req_data(req, struct tevent_context);
}

static void p55_the_wrong_type_aborts(void **state)
{
	(void)state;
	assert_aborts(wrong_type, request(root(), NULL));
}

static void p55_both_old_and_new_create_are_there(void **state)
{
	struct tevent_req *(*create)(
		TALLOC_CTX *, void *, size_t, const char *, const char *, const char *);
	struct tevent_req *(*older)(TALLOC_CTX *, void *, size_t, const char *, const char *);
	struct the_state *data = NULL;
	struct tevent_req *req;

	(void)state;
	*(void **)&create = newer_function("__tevent_req_create");
	req = create(root(), &data, sizeof(*data), "struct the_state", __func__, "here:1");
	assert_non_null(req);
	assert_ptr_equal(tevent_req_data(req, struct the_state), data);
	*(void **)&older = newer_function("_tevent_req_create");
	req = older(root(), &data, sizeof(*data), "struct the_state", "here:1");
	assert_non_null(req);
	assert_ptr_equal(tevent_req_data(req, struct the_state), data);
}

static const struct tevent_req_profile *only_child(const struct tevent_req_profile *parent)
{
	const struct tevent_req_profile *sub = tevent_req_profile_get_subprofiles(parent);

	assert_non_null(sub);
	assert_null(tevent_req_profile_next(sub));
	return sub;
}

static void p56_a_finished_child_goes_into_the_profile_of_its_parent(void **state)
{
	struct the_state *data;
	struct tevent_req *parent = request(root(), &data), *child;
	const struct tevent_req_profile *profile, *sub;
	struct tevent_req_profile *mine;
	enum tevent_req_state req_state;
	struct timeval start, stop;
	const char *text;
	uint64_t err;
	pid_t pid;

	(void)state;
	assert_null(tevent_req_get_profile(parent));
	assert_true(tevent_req_set_profile(parent));
	child = request(data, NULL);
	assert_non_null(tevent_req_get_profile(child));
	tevent_req_error(child, 8);
	assert_null(tevent_req_get_profile(child));
	talloc_free(child);
	tevent_req_done(parent);
	profile = tevent_req_get_profile(parent);
	assert_non_null(profile);
	assert_string_equal(talloc_get_name(profile), "struct tevent_req_profile");
	sub = only_child(profile);
	tevent_req_profile_get_name(sub, &text);
	assert_string_equal(text, "struct the_state");
	tevent_req_profile_get_status(sub, &pid, &req_state, &err);
	assert_true(pid == 0 || pid == getpid());
	assert_int_equal(req_state, TEVENT_REQ_USER_ERROR);
	assert_int_equal(err, 8);
	tevent_req_profile_get_start(sub, &text, &start);
	assert_non_null(strstr(text, "test_req.c:"));
	tevent_req_profile_get_stop(sub, &text, &stop);
	assert_non_null(strstr(text, "test_req.c:"));
	assert_true(tevent_timeval_compare(&start, &stop) <= 0);
	tevent_req_profile_get_status(profile, &pid, &req_state, &err);
	assert_int_equal(req_state, TEVENT_REQ_DONE);
	mine = tevent_req_move_profile(parent, root());
	assert_ptr_equal(mine, profile);
	assert_null(tevent_req_get_profile(parent));
	talloc_free(parent);
	only_child(mine);
}

static void p56_the_childs_own_pointer_goes_with_it(void **state)
{
	struct the_state *data;
	struct tevent_req *parent = request(root(), &data), *child;

	(void)state;
	assert_true(tevent_req_set_profile(parent));
	child = request(data, NULL);
	tevent_req_done(child);
	tevent_req_received(child);
	assert_null(tevent_req_get_profile(child));
	only_child(tevent_req_get_profile(parent));
}

static void p56_a_profile_made_by_hand(void **state)
{
	struct tevent_req_profile *a = tevent_req_profile_create(root());
	struct tevent_req_profile *b = tevent_req_profile_create(root());
	struct tevent_req_profile *c = tevent_req_profile_create(root()), *keep = b;
	const struct tevent_req_profile *sub;
	enum tevent_req_state req_state;
	struct timeval when = {5, 6}, got;
	const char *text;
	uint64_t err;
	pid_t pid;

	(void)state;
	assert_true(tevent_req_profile_set_name(a, "name"));
	assert_true(tevent_req_profile_set_start(a, "start:1", when));
	assert_true(tevent_req_profile_set_stop(a, "stop:2", when));
	tevent_req_profile_set_status(a, 42, TEVENT_REQ_TIMED_OUT, 7);
	tevent_req_profile_get_name(a, &text);
	assert_string_equal(text, "name");
	tevent_req_profile_get_start(a, &text, &got);
	assert_string_equal(text, "start:1");
	assert_int_equal(got.tv_usec, 6);
	tevent_req_profile_get_stop(a, &text, &got);
	assert_string_equal(text, "stop:2");
	assert_int_equal(got.tv_sec, 5);
	tevent_req_profile_get_status(a, &pid, &req_state, &err);
	assert_int_equal(pid, 42);
	assert_int_equal(req_state, TEVENT_REQ_TIMED_OUT);
	assert_int_equal(err, 7);
	assert_null(tevent_req_profile_get_subprofiles(a));
	tevent_req_profile_append_sub(a, &b);
	tevent_req_profile_append_sub(a, &c);
	assert_null(b);
	assert_null(c);
	sub = tevent_req_profile_get_subprofiles(a);
	assert_ptr_equal(sub, keep);
	assert_non_null(tevent_req_profile_next(sub));
	assert_null(tevent_req_profile_next(tevent_req_profile_next(sub)));
	assert_ptr_equal(talloc_parent(keep), a);
}

static char *print_it(struct tevent_req *req, TALLOC_CTX *mem)
{
	(void)req;
	return talloc_strdup(mem, "mine");
}

static void p57_the_text_of_a_request(void **state)
{
	struct the_state *data;
	struct tevent_req *req = request(root(), &data);
	char *expected;

	(void)state;
	tevent_req_error(req, 10);
	expected = talloc_asprintf(root(), "tevent_req[%p/%s", req, "");
	assert_memory_equal(tevent_req_default_print(req, root()), expected, strlen(expected));
	expected = talloc_asprintf(root(),
		"]: state[3] error[10 (0xA)]  state[struct the_state "
		"(%p)] timer[(nil)] finish[",
		data);
	assert_non_null(strstr(tevent_req_print(root(), req), expected));
	assert_non_null(strstr(tevent_req_print(root(), req), "test_req.c:"));
	tevent_req_set_print_fn(req, print_it);
	assert_string_equal(tevent_req_print(root(), req), "mine");
	assert_non_null(tevent_req_print(root(), NULL));
}

static const struct point_test tests[] = {
	BOTH(p48_finishing_notifies_at_once),
	BOTH(p48_finishing_twice_notifies_twice),
	BOTH(p48_finishing_drops_the_timeout),
	BOTH(p49_cleanup_comes_before_the_callback_and_at_the_end),
	BOTH(p49_cleanup_of_a_request_that_is_freed),
	BOTH(p49_once_for_each_higher_state),
	BOTH(p49_cleanup_may_end_it_otherwise),
	BOTH(p49_set_late_it_knows_the_state),
	BOTH(p50_done_then_post),
	BOTH(p50_post_before_it_is_finished),
	BOTH(p50_freed_while_posted),
	BOTH(p51_deferred_once),
	BOTH(p51_notify_touches_no_state),
	BOTH(p52_received_ends_all_but_the_callback),
	BOTH(p52_cancel),
	BOTH(p52_freed_in_its_callback),
	BOTH(p53_is_error_writes_only_what_there_is),
	BOTH(p54_a_timeout),
	BOTH(p54_a_later_endtime_replaces_the_earlier),
	BOTH(p54_wakeup),
	BOTH(p54_poll_runs_the_loop_until_it_is_finished),
	BOTH(p55_request_and_state_are_one_chunk),
	BOTH(p55_callback_data_is_checked_by_the_caller),
	BOTH(p55_the_wrong_type_aborts),
	NEWER(p55_both_old_and_new_create_are_there),
	BOTH(p56_a_finished_child_goes_into_the_profile_of_its_parent),
	BOTH(p56_the_childs_own_pointer_goes_with_it),
	BOTH(p56_a_profile_made_by_hand),
	BOTH(p57_the_text_of_a_request),
};

POINTS_MAIN(tests)
