/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: groups end as their members do, and leave none of them in progress. */
#include "support/support.h"

struct some_state {
	int number;
};

struct fixture {
	struct talev_context *ev;
	struct talev_req *req[5];
	struct talev_req *group;
};

static struct talev_req *make(struct talev_context *ev, TALLOC_CTX *mem_ctx, uint64_t tag)
{
	struct some_state *state;
	struct talev_req *req = talev_req_create(ev, mem_ctx, &state, struct some_state);

	assert_non_null(req);
	assert_ok(talev_source_set_tag(req, tag));
	return req;
}

static void note_end(struct talev_req *req)
{
	size_t which = 99;
	int error = talev_group_recv(req, &which) == 0 ? 0 : errno;

	test_note("group=%d:%d", error, (int)which);
}

static struct fixture *fixture(TALLOC_CTX *root)
{
	struct fixture *fix = talloc_zero(test_late(), struct fixture);

	fix->ev = test_context(root);
	for (uint64_t i = 0; i < 5; i++)
		fix->req[i] = make(fix->ev, root, i);
	return fix;
}

static void started(struct fixture *fix, struct talev_req *group)
{
	assert_non_null(group);
	fix->group = group;
	talev_req_set_callback(group, note_end, NULL);
}

static void all(struct fixture *fix, TALLOC_CTX *root)
{
	started(fix, talev_group_all_send(root, fix->ev, fix->req, 5));
}

static void all_ends_with_the_last(void **state)
{
	struct fixture *fix = fixture(*state);

	all(fix, *state);
	for (int i = 0; i < 5; i++) {
		assert_ptr_equal(talloc_parent(fix->req[i]), fix->group);
		assert_notes("");
		talev_req_done(fix->req[(i + 3) % 5]);
	}
	assert_notes("group=0:5");
	for (int i = 0; i < 5; i++)
		assert_ok(talev_req_simple_recv(fix->req[i]));
	talloc_free(fix->group);
}

static void all_fails_with_the_first_to_fail_and_cancels_the_rest(void **state)
{
	struct fixture *fix = fixture(*state);

	all(fix, *state);
	talev_req_done(fix->req[1]);
	talev_req_error(fix->req[3], EIO);
	assert_notes("");
	assert_ok(test_run(fix->ev));
	assert_notes("group=5:3");
	assert_ok(talev_req_simple_recv(fix->req[1]));
	assert_errno(talev_req_simple_recv(fix->req[3]), EIO);
	assert_errno(talev_req_simple_recv(fix->req[0]), ECANCELED);
}

static void group_of_none_is_done(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *group = talev_group_all_send(*state, ev, NULL, 0);

	talev_req_set_callback(group, note_end, NULL);
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("group=0:0");
	assert_null_errno(talev_group_any_send(*state, ev, NULL, 0), EINVAL);
	assert_null_errno(talev_group_first_send(*state, ev, NULL, 0), EINVAL);
}

static void any_ends_like_the_first_to_end(void **state)
{
	for (int way = 0; way < 2; way++) {
		struct fixture *fix = fixture(*state);

		started(fix, talev_group_any_send(*state, fix->ev, fix->req, 5));
		if (way == 0)
			talev_req_done(fix->req[2]);
		else
			talev_req_error(fix->req[2], EIO);
		assert_ok(test_run(fix->ev));
		for (int i = 0; i < 5; i++)
			assert_false(talev_req_is_in_progress(fix->req[i]));
	}
	assert_notes("group=0:2 group=5:2");
}

static void first_ends_with_the_first_success(void **state)
{
	struct fixture *fix = fixture(*state);

	started(fix, talev_group_first_send(*state, fix->ev, fix->req, 5));
	talev_req_error(fix->req[0], EIO);
	talev_req_error(fix->req[4], EPERM);
	assert_ok(test_run(fix->ev));
	assert_notes("");
	talev_req_done(fix->req[1]);
	assert_ok(test_run(fix->ev));
	assert_notes("group=0:1");
}

static void first_fails_when_all_have(void **state)
{
	struct fixture *fix = fixture(*state);

	started(fix, talev_group_first_send(*state, fix->ev, fix->req, 5));
	for (int i = 4; i >= 0; i--)
		talev_req_error(fix->req[i], (uint64_t)(i + 1));
	assert_notes("group=5:4");
}

static void members_that_have_ended_before_count(void **state)
{
	struct fixture *fix = fixture(*state);

	talev_req_done(fix->req[0]);
	talev_req_done(fix->req[1]);
	talev_req_set_callback(fix->req[1], note_end, NULL);
	assert_ok(test_run(fix->ev));
	test_forget_notes();
	for (int i = 2; i < 5; i++)
		talev_req_done(talev_req_post(fix->req[i]));
	all(fix, *state);
	assert_notes("");
	assert_ok(test_run(fix->ev));
	assert_notes("group=0:5");
}

static void received_member_is_refused_and_nothing_moves(void **state)
{
	struct fixture *fix = fixture(*state);

	talev_req_received(fix->req[3]);
	assert_null_errno(talev_group_all_send(*state, fix->ev, fix->req, 5), EINVAL);
	assert_ptr_equal(talloc_parent(fix->req[0]), *state);
}

/* The group would wait for ever for the first place of one that has two. */
static void member_that_is_there_twice_is_refused(void **state)
{
	struct fixture *fix = fixture(*state);
	struct talev_req *twice[] = {fix->req[0], fix->req[1], fix->req[0]};

	assert_null_errno(talev_group_all_send(*state, fix->ev, twice, 3), EINVAL);
	assert_ptr_equal(talloc_parent(fix->req[0]), *state);
	assert_non_null(talev_group_all_send(*state, fix->ev, twice, 2));
}

/* It would be below itself. */
static void member_above_the_group_is_refused(void **state)
{
	struct fixture *fix = fixture(*state);
	TALLOC_CTX *below = talloc_new(fix->req[1]);

	assert_null_errno(talev_group_all_send(below, fix->ev, fix->req, 5), EINVAL);
	assert_ptr_equal(talloc_parent(fix->req[1]), *state);
	assert_non_null(talev_group_all_send(below, fix->ev, fix->req, 1));
}

static void cancelled_group_cancels_its_members(void **state)
{
	struct fixture *fix = fixture(*state);

	all(fix, *state);
	talev_req_done(fix->req[0]);
	assert_ok(talev_req_cancel(fix->group));
	assert_notes("");
	assert_ok(test_run(fix->ev));
	assert_notes("group=125:5");
	assert_ok(talev_req_simple_recv(fix->req[0]));
	assert_errno(talev_req_simple_recv(fix->req[1]), ECANCELED);
}

static bool refuse(struct talev_req *req)
{
	test_note("refused:%d", (int)talev_source_get_tag(req));
	return false;
}

static void group_waits_for_members_that_refuse(void **state)
{
	struct fixture *fix = fixture(*state);

	all(fix, *state);
	talev_req_set_cancel_fn(fix->req[2], refuse);
	talev_req_error(fix->req[0], EIO);
	assert_ok(test_run(fix->ev));
	assert_notes("refused:2");
	talev_req_done(fix->req[2]);
	assert_notes("refused:2 group=5:0");
}

static void freed_member_counts_as_cancelled(void **state)
{
	struct fixture *fix = fixture(*state);

	all(fix, *state);
	talloc_free(fix->req[2]);
	assert_notes("");
	assert_ok(test_run(fix->ev));
	assert_notes("group=125:2");
}

static void freed_group_takes_its_members_along(void **state)
{
	struct fixture *fix = fixture(*state);

	all(fix, *state);
	talloc_steal(*state, fix->req[1]);
	talloc_free(fix->group);
	talev_req_done(fix->req[1]);
	assert_ok(test_run(fix->ev));
	assert_notes("");
}

static void deadline_of_a_group_ends_them_all(void **state)
{
	struct fixture *fix = fixture(*state);

	all(fix, *state);
	talev_req_set_cancel_fn(fix->req[2], refuse);
	assert_ok(talev_req_set_deadline(fix->req[2], talev_now(fix->ev) + TALEV_SEC(1000)));
	assert_ok(talev_req_set_deadline(fix->group, talev_now(fix->ev)));
	assert_ok(test_run(fix->ev));
	assert_notes("refused:2 group=62:0");
	assert_errno(talev_req_simple_recv(fix->req[0]), ETIME);
	assert_false(talev_req_is_in_progress(fix->req[4]));
}

static void free_group(struct talev_req *req)
{
	test_note("free");
	talloc_free(req);
}

static bool free_group_in_cancel(struct talev_req *req)
{
	struct talev_req *group = talloc_get_type(talloc_parent(req), struct talev_req);

	test_note("cancel");
	talloc_free(group);
	return true;
}

static void group_is_freed_in_its_callback_or_in_that_of_a_member(void **state)
{
	for (int way = 0; way < 3; way++) {
		struct fixture *fix = fixture(*state);

		all(fix, *state);
		talev_req_set_callback(fix->group, free_group, NULL);
		if (way == 1)
			talev_req_set_cancel_fn(fix->req[3], free_group_in_cancel);
		if (way == 2)
			talloc_free(fix->req[4]);
		talev_req_error(fix->req[0], EIO);
		assert_ok(test_run(fix->ev));
		talloc_free(fix->ev);
	}
	assert_notes("free cancel free");
}

static void context_goes_with_a_group_in_it(void **state)
{
	struct fixture *fix = fixture(*state);

	all(fix, *state);
	talloc_free(fix->ev);
	talev_req_done(fix->req[0]);
	assert_notes("");
}

static void recv_of_something_else_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);

	assert_errno(talev_group_recv(make(ev, *state, 0), NULL), EINVAL);
}

struct list {
	struct talev_context *ev;
	size_t n;
	size_t fail_at;
	size_t stop_at;
	size_t running;
	size_t most;
	size_t ended;
	bool at_once;
	bool free_in_start;
	bool free_in_ended;
};

static int start(struct talev_req *group, size_t i, struct talev_req **member, void *private_data)
{
	struct list *list = private_data;

	if (list->free_in_start && i >= 2) {
		talloc_free(group);
		return 0;
	}
	if (i == list->n)
		return 0;
	if (i == list->fail_at) {
		errno = EMFILE;
		return -1;
	}
	if (list->at_once) {
		*member = make(list->ev, group, i);
		talev_req_done(*member);
	} else {
		*member = talev_wakeup_send(
			group, list->ev, talev_now(list->ev) + TALEV_MSEC(1 + i % 3));
	}
	if (++list->running > list->most)
		list->most = list->running;
	return 0;
}

static int ended(struct talev_req *group, size_t i, struct talev_req *member, void *private_data)
{
	struct list *list = private_data;

	list->running--;
	list->ended++;
	if (list->free_in_ended && i == 2) {
		talloc_free(group);
		return 0;
	}
	if (i == list->stop_at) {
		errno = EDOM;
		return -1;
	}
	if (i % 2 == 0)
		talloc_free(member);
	return 0;
}

static struct list list_of(struct talev_context *ev, size_t n)
{
	return (struct list){.ev = ev, .n = n, .fail_at = SIZE_MAX, .stop_at = SIZE_MAX};
}

static void no_more_than_the_limit_are_in_progress(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct list list = list_of(ev, 20);
	struct talev_req *group = talev_group_each_send(*state, ev, 4, start, ended, &list);

	assert_int_equal(list.running, 4);
	talev_req_set_callback(group, note_end, NULL);
	assert_ok(test_run(ev));
	assert_notes("group=0:20");
	assert_int_equal(list.most, 4);
	assert_int_equal(list.ended, 20);
	assert_int_equal(list.running, 0);
	assert_null_errno(talev_group_each_send(*state, ev, 0, start, ended, &list), EINVAL);
	assert_null_errno(talev_group_each_send(*state, ev, 1, NULL, ended, &list), EINVAL);
}

static void members_that_end_at_once_do_not_recurse(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct list list = list_of(ev, 100000);
	struct talev_req *group;

	if (test_is_slow())
		list.n = 1000;
	list.at_once = true;
	group = talev_group_each_send(*state, ev, 3, start, ended, &list);
	talev_req_set_callback(group, note_end, NULL);
	assert_int_equal(list.ended, 0);
	assert_ok(test_run(ev));
	assert_int_equal(list.ended, list.n);
	assert_int_equal(list.most, 3);
}

static void empty_list_is_done_from_the_loop(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct list list = list_of(ev, 0);
	struct talev_req *group = talev_group_each_send(*state, ev, 4, start, NULL, &list);

	talev_req_set_callback(group, note_end, NULL);
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("group=0:0");
}

static void failing_start_and_failing_ended_end_the_list(void **state)
{
	struct talev_context *ev = test_context(*state);

	for (int way = 0; way < 2; way++) {
		struct list list = list_of(ev, 20);
		struct talev_req *group;

		if (way == 0)
			list.fail_at = 6;
		else
			list.stop_at = 6;
		group = talev_group_each_send(*state, ev, 3, start, ended, &list);
		talev_req_set_callback(group, note_end, NULL);
		assert_ok(test_run(ev));
		assert_true(list.ended < 12);
		assert_int_equal(list.running, 0);
		talloc_free(group);
	}
	assert_notes("group=24:6 group=33:6");
}

static void without_ended_the_first_failure_is_the_group_s(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct list list = list_of(ev, 20);
	struct talev_req *group = talev_group_each_send(*state, ev, 3, start, NULL, &list);

	talev_req_set_callback(group, note_end, NULL);
	assert_ok(talev_req_set_deadline(group, 0));
	assert_ok(test_run(ev));
	assert_notes("group=62:0");
}

static void group_is_freed_in_start_and_in_ended(void **state)
{
	struct talev_context *ev = test_context(*state);

	for (int way = 0; way < 2; way++) {
		struct list list = list_of(ev, 20);
		struct talev_req *group;

		list.free_in_start = way == 0;
		list.free_in_ended = way == 1;
		group = talev_group_each_send(*state, ev, 2, start, ended, &list);
		talev_req_set_callback(group, note_end, NULL);
		assert_ok(test_run(ev));
	}
	for (size_t n = 0; n < 2; n++) {
		struct list list = list_of(ev, 20);

		list.free_in_start = true;
		assert_null_errno(talev_group_each_send(*state, ev, 3, start, NULL, &list), ESTALE);
	}
	assert_ok(test_run(ev));
	assert_notes("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_ends_with_the_last),
		TEST(all_fails_with_the_first_to_fail_and_cancels_the_rest),
		TEST(group_of_none_is_done),
		TEST(any_ends_like_the_first_to_end),
		TEST(first_ends_with_the_first_success),
		TEST(first_fails_when_all_have),
		TEST(members_that_have_ended_before_count),
		TEST(received_member_is_refused_and_nothing_moves),
		TEST(member_that_is_there_twice_is_refused),
		TEST(member_above_the_group_is_refused),
		TEST(cancelled_group_cancels_its_members),
		TEST(group_waits_for_members_that_refuse),
		TEST(freed_member_counts_as_cancelled),
		TEST(freed_group_takes_its_members_along),
		TEST(deadline_of_a_group_ends_them_all),
		TEST(group_is_freed_in_its_callback_or_in_that_of_a_member),
		TEST(context_goes_with_a_group_in_it),
		TEST(recv_of_something_else_is_refused),
		TEST(no_more_than_the_limit_are_in_progress),
		TEST(members_that_end_at_once_do_not_recurse),
		TEST(empty_list_is_done_from_the_loop),
		TEST(failing_start_and_failing_ended_end_the_list),
		TEST(without_ended_the_first_failure_is_the_group_s),
		TEST(group_is_freed_in_start_and_in_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
