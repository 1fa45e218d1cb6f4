/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: a request may be freed at every state, from every callback. */
#include "support/support.h"

struct some_state {
	int number;
};

/* What is freed, and by which way. */
struct victim {
	struct talev_context *ev;
	struct talev_req *req;
	struct talev_req *below;
	void *target;
	unsigned finalized;
	bool running; /* a callback of it that frees it */
};

static struct talev_req *make(struct talev_context *ev, TALLOC_CTX *mem_ctx)
{
	struct some_state *state;
	struct talev_req *req = talev_req_create(ev, mem_ctx, &state, struct some_state);

	assert_non_null(req);
	return req;
}

static void count(struct talev_context *ev, void *arg)
{
	struct victim *victim = arg;

	(void)ev;
	assert_false(victim->running);
	victim->finalized++;
}

enum target { TARGET_REQUEST, TARGET_PARENT, TARGET_CONTEXT, TARGETS };

static struct victim *victim_make(TALLOC_CTX *root, enum target target)
{
	struct victim *victim = talloc_zero(test_late(), struct victim);
	TALLOC_CTX *parent = talloc_new(root);

	victim->ev = test_context(root);
	victim->req = make(victim->ev, parent);
	assert_ok(talev_source_set_finalizer(victim->req, 0, count, victim));
	victim->target = victim->req;
	if (target == TARGET_PARENT)
		victim->target = parent;
	if (target == TARGET_CONTEXT)
		victim->target = victim->ev;
	return victim;
}

static void kill_it(struct victim *victim)
{
	victim->running = true;
	assert_int_equal(talloc_free(victim->target), 0);
	assert_int_equal(victim->finalized, 0);
	test_note("killed");
	victim->running = false;
}

/* Runs what is left to run, and sees that it was finalized once. */
static void assert_finalized(struct victim *victim)
{
	if (victim->target != victim->ev)
		assert_ok(test_run(victim->ev));
	assert_int_equal(victim->finalized, 1);
	assert_notes("killed");
}

static void kill_in_callback(struct talev_req *req)
{
	kill_it(talev_req_callback_data_void(req));
}

static void freed_in_its_own_callback(void **state)
{
	for (int target = 0; target < TARGETS; target++) {
		struct victim *victim = victim_make(*state, target);

		talev_req_set_callback(victim->req, kill_in_callback, victim);
		talev_req_done(victim->req);
		assert_finalized(victim);
		test_forget_notes();
	}
}

static void freed_in_its_own_posted_callback(void **state)
{
	for (int target = 0; target < TARGETS; target++) {
		struct victim *victim = victim_make(*state, target);

		talev_req_set_callback(talev_req_post(victim->req), kill_in_callback, victim);
		talev_req_error(victim->req, EIO);
		if (target == TARGET_CONTEXT)
			assert_errno(test_run(victim->ev), ESHUTDOWN);
		else
			assert_ok(test_run(victim->ev));
		assert_finalized(victim);
		test_forget_notes();
	}
}

static void freed_in_the_callback_of_its_deadline(void **state)
{
	for (int target = 0; target < TARGETS; target++) {
		struct victim *victim = victim_make(*state, target);

		talev_req_set_callback(victim->req, kill_in_callback, victim);
		assert_ok(talev_req_set_deadline(victim->req, talev_now(victim->ev)));
		if (target == TARGET_CONTEXT)
			assert_errno(test_run(victim->ev), ESHUTDOWN);
		else
			assert_ok(test_run(victim->ev));
		assert_finalized(victim);
		test_forget_notes();
	}
}

static void kill_in_cleanup(struct talev_req *req, enum talev_req_state how)
{
	struct victim *victim = talev_req_callback_data_void(req);

	if (how == TALEV_REQ_RECEIVED)
		return;
	kill_it(victim);
}

static void never(struct talev_req *req)
{
	fail_msg("callback of a freed request %p", (void *)req);
}

static void freed_in_its_cleanup_when_it_ends(void **state)
{
	for (int target = 0; target < TARGETS; target++) {
		struct victim *victim = victim_make(*state, target);

		talev_req_set_callback(victim->req, never, victim);
		talev_req_set_cleanup_fn(victim->req, kill_in_cleanup);
		talev_req_done(victim->req);
		assert_finalized(victim);
		test_forget_notes();
	}
}

static void kill_in_last_cleanup(struct talev_req *req, enum talev_req_state how)
{
	assert_int_equal(how, TALEV_REQ_RECEIVED);
	kill_it(talev_req_callback_data_void(req));
}

static void freed_in_its_cleanup_when_it_is_received(void **state)
{
	for (int target = 0; target < TARGETS; target++) {
		struct victim *victim = victim_make(*state, target);

		talev_req_set_callback(victim->req, never, victim);
		talev_req_set_cleanup_fn(victim->req, kill_in_last_cleanup);
		talev_req_received(victim->req);
		assert_finalized(victim);
		test_forget_notes();
	}
}

static void freed_in_its_cleanup_when_its_context_goes(void **state)
{
	struct victim *victim = victim_make(*state, TARGET_REQUEST);

	talev_req_set_callback(victim->req, never, victim);
	talev_req_set_cleanup_fn(victim->req, kill_in_last_cleanup);
	talloc_free(victim->ev);
	assert_int_equal(victim->finalized, 1);
}

static bool kill_in_cancel(struct talev_req *req)
{
	kill_it(talev_req_callback_data_void(req));
	return true;
}

static void freed_in_its_cancel_function(void **state)
{
	for (int target = 0; target < TARGETS; target++) {
		struct victim *victim = victim_make(*state, target);

		talev_req_set_callback(victim->req, never, victim);
		talev_req_set_cancel_fn(victim->req, kill_in_cancel);
		assert_ok(talev_req_cancel(victim->req));
		assert_finalized(victim);
		test_forget_notes();
	}
}

static char *kill_in_print(struct talev_req *req, TALLOC_CTX *mem_ctx)
{
	kill_it(talev_req_callback_data_void(req));
	return talloc_strdup(mem_ctx, "gone");
}

static void freed_in_its_print_function(void **state)
{
	struct victim *victim = victim_make(*state, TARGET_REQUEST);

	talev_req_set_callback(victim->req, never, victim);
	assert_ok(talev_req_set_print_fn(victim->req, kill_in_print));
	assert_string_equal(talev_req_print(*state, victim->req), "gone");
	assert_finalized(victim);
}

static void freed_in_the_callback_of_a_request_below_it(void **state)
{
	for (int target = 0; target < TARGETS; target++) {
		for (int way = 0; way < 3; way++) {
			struct victim *victim = victim_make(*state, target);

			victim->below = make(victim->ev, victim->req);
			talev_req_set_callback(victim->req, never, NULL);
			talev_req_set_callback(victim->below, kill_in_callback, victim);
			if (way == 0)
				talev_req_done(victim->below);
			else if (way == 1)
				assert_ok(talev_req_cancel(victim->below));
			else
				assert_ok(
					talev_req_set_deadline(victim->req, talev_now(victim->ev)));
			if (way > 0)
				(void)test_run(victim->ev);
			assert_finalized(victim);
			test_forget_notes();
		}
	}
}

static void kill_in_finalizer(struct talev_context *ev, void *arg)
{
	struct victim *victim = arg;

	(void)ev;
	assert_int_equal(talloc_free(victim->target), 0);
	test_note("killed");
}

static void freed_in_a_finalizer(void **state)
{
	for (int target = 0; target < TARGETS; target++) {
		struct victim *victim = victim_make(*state, target);
		struct talev_req *killer = make(victim->ev, *state);

		talev_req_set_callback(talev_req_post(victim->req), never, victim);
		talev_req_done(victim->req);
		assert_ok(talev_source_set_finalizer(killer, 0, kill_in_finalizer, victim));
		talloc_free(killer);
		if (target == TARGET_CONTEXT)
			assert_errno(test_run(victim->ev), ESHUTDOWN);
		assert_finalized(victim);
		test_forget_notes();
	}
}

static void freed_in_every_state(void **state)
{
	struct talev_context *ev = test_context(*state);

	for (int way = 0; way < 9; way++) {
		struct victim *victim = talloc_zero(test_late(), struct victim);
		struct talev_req *req = make(ev, *state);

		talev_req_set_callback(req, never, NULL);
		assert_ok(talev_source_set_finalizer(req, 0, count, victim));
		if (way == 1)
			talev_req_done(talev_req_post(req));
		if (way == 2)
			assert_ok(talev_req_cancel(req));
		if (way == 3)
			assert_ok(talev_req_set_deadline(req, talev_now(ev) + TALEV_SEC(1)));
		if (way == 4)
			assert_ok(talev_req_set_deadline(req, talev_now(ev) - 1));
		if (way == 5)
			assert_ok(talev_req_set_profile(req));
		if (way == 6)
			talev_req_received(req);
		if (way == 7) {
			assert_ok(talev_source_set_enabled(req, false));
			talev_req_done(req);
		}
		if (way == 8) {
			talev_req_defer_callback(req);
			assert_ok(talev_req_set_deadline(req, talev_now(ev) + TALEV_SEC(1)));
			talev_req_notify(req);
		}
		talloc_free(req);
		assert_ok(test_run(ev));
		assert_int_equal(victim->finalized, 1);
	}
}

static void free_victim(struct talev_req *req)
{
	talloc_free(talev_req_callback_data_void(req));
}

static void freed_with_others_that_are_due_in_the_same_turn(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *victim = make(ev, *state);
	struct talev_req *killer = make(ev, *state);

	talev_req_set_callback(talev_req_post(killer), free_victim, victim);
	talev_req_set_callback(talev_req_post(victim), never, NULL);
	talev_req_done(killer);
	talev_req_done(victim);
	assert_ok(test_run(ev));

	victim = make(ev, *state);
	killer = make(ev, *state);
	talev_req_set_callback(killer, free_victim, victim);
	talev_req_set_callback(victim, never, NULL);
	assert_ok(talev_req_set_deadline(killer, 1));
	assert_ok(talev_req_set_deadline(victim, 1));
	assert_ok(test_run(ev));
}

static void finalized_tree_in_its_callback(struct talev_req *req)
{
	struct victim *victim = talev_req_callback_data_void(req);

	victim->running = true;
	assert_ok(talev_finalize(victim->ev, req, TALEV_FINALIZE_NOW, NULL, NULL));
	assert_int_equal(talev_source_get_state(req), TALEV_CLOSING);
	/* The memory is there until the callback returns. */
	assert_false(talev_req_is_error(req, NULL, NULL));
	victim->running = false;
	test_note("killed");
}

static void tree_is_finalized_in_its_own_callback(void **state)
{
	struct victim *victim = victim_make(*state, TARGET_REQUEST);

	talev_req_set_callback(victim->req, finalized_tree_in_its_callback, victim);
	talev_req_set_callback(make(victim->ev, victim->req), never, NULL);
	talev_req_done(victim->req);
	assert_int_equal(victim->finalized, 0);
	assert_finalized(victim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(freed_in_its_own_callback),
		TEST(freed_in_its_own_posted_callback),
		TEST(freed_in_the_callback_of_its_deadline),
		TEST(freed_in_its_cleanup_when_it_ends),
		TEST(freed_in_its_cleanup_when_it_is_received),
		TEST(freed_in_its_cleanup_when_its_context_goes),
		TEST(freed_in_its_cancel_function),
		TEST(freed_in_its_print_function),
		TEST(freed_in_the_callback_of_a_request_below_it),
		TEST(freed_in_a_finalizer),
		TEST(freed_in_every_state),
		TEST(freed_with_others_that_are_due_in_the_same_turn),
		TEST(tree_is_finalized_in_its_own_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
