/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: what a signal's handler may do. */
#include "event/watch.h"

static void free_arg(struct talev_context *ev, struct watch *w)
{
	struct watch *victim = w->arg;

	(void)ev;
	assert_int_equal(talloc_free(victim->se), 0);
}

static void freeing_itself_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a", .act = free_arg, .arg = &a}, b = {.name = "b"};

	watch(ev, &a, ONE);
	watch(ev, &b, ONE);
	send(ONE, 0);
	assert_ok(test_once(ev));
	send(ONE, 0);
	assert_ok(test_once(ev));
	assert_notes("a b b");
}

static void freeing_the_next_of_the_same_number_in_a_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a", .act = free_arg}, b = {.name = "b"}, c = {.name = "c"};

	a.arg = &b;
	watch(ev, &a, ONE);
	watch(ev, &b, ONE);
	watch(ev, &c, ONE);
	send(ONE, 0);
	assert_ok(test_once(ev));
	assert_notes("a c");
}

static void freeing_the_previous_of_the_same_number_in_a_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a"}, b = {.name = "b", .act = free_arg}, c = {.name = "c"};

	b.arg = &a;
	watch(ev, &a, ONE);
	watch(ev, &b, ONE);
	watch(ev, &c, ONE);
	send(ONE, 0);
	assert_ok(test_once(ev));
	assert_notes("a b c");
}

static void free_tree(struct talev_context *ev, struct watch *w)
{
	(void)ev;
	assert_int_equal(talloc_free(w->arg), 0);
}

static void freeing_all_of_a_number_in_a_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *tree = talloc_new(*state);
	struct watch w[3] = {
		{.name = "a", .act = free_tree, .arg = tree}, {.name = "b"}, {.name = "c"}};

	for (int i = 0; i < 3; i++) {
		watch_info(ev, &w[i], ONE);
		talloc_steal(tree, w[i].se);
	}
	send(ONE, 1);
	send(ONE, 2);
	assert_ok(test_once(ev));
	assert_notes("a1");
	assert_errno(talev_loop_nowait(ev), ENOENT);
}

static void freeing_a_watcher_of_another_number_in_a_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a", .act = free_arg}, b = {.name = "b"};

	a.arg = &b;
	watch(ev, &a, ONE);
	watch(ev, &b, TWO);
	send(ONE, 0);
	send(TWO, 0);
	assert_ok(test_once(ev));
	assert_notes("a");
}

static void freeing_the_context_in_a_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a", .act = free_tree, .arg = ev}, b = {.name = "b"};
	struct watch c = {.name = "c"};

	watch_info(ev, &a, ONE);
	watch(ev, &b, ONE);
	watch(ev, &c, TWO);
	send(ONE, 1);
	send(TWO, 1);
	assert_errno(test_run(ev), ESHUTDOWN);
	assert_notes("a1");
}

static void freeing_the_context_in_the_handler_of_a_signal_outside_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a", .act = free_tree, .arg = ev};

	watch(ev, &a, ONE);
	talloc_steal(*state, a.se);
	send(ONE, 1);
	assert_errno(test_once(ev), ESHUTDOWN);
	assert_int_equal(talev_source_get_state(a.se), TALEV_FINALIZED);
	assert_null(talev_source_get_context(a.se));
	assert_errno(talev_source_set_enabled(a.se, false), ESTALE);
}

static void run_nested(struct talev_context *ev, struct watch *w)
{
	if (w->calls != 1)
		return;
	send(ONE, 3);
	assert_ok(talev_loop_once(ev));
	test_note("back");
}

/* Each watcher sees the order of arrival, however the loops nest. */
static void nested_loop_goes_on_where_the_outer_one_was(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a", .act = run_nested}, b = {.name = "b"};

	talev_loop_allow_nesting(ev);
	watch_info(ev, &a, ONE);
	watch_info(ev, &b, ONE);
	send(ONE, 1);
	send(ONE, 2);
	run_pending(ev);
	assert_notes("a1 b1 a2 b2 a3 b3 back");
}

static void free_context_in_nested(struct talev_context *ev, struct watch *w)
{
	if (w->calls == 1) {
		send(ONE, 2);
		assert_errno(talev_loop_once(ev), ESHUTDOWN);
	} else {
		talloc_free(ev);
	}
}

static void freeing_the_context_in_a_nested_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a", .act = free_context_in_nested}, b = {.name = "b"};

	talev_loop_allow_nesting(ev);
	watch_info(ev, &a, ONE);
	watch_info(ev, &b, ONE);
	send(ONE, 1);
	assert_errno(test_run(ev), ESHUTDOWN);
	assert_notes("a1 b1 a2");
}

static void break_leaves_the_rest_for_the_next_call(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a", .act = break_loop}, b = {.name = "b"}, c = {.name = "c"};

	watch_info(ev, &a, ONE);
	watch_info(ev, &b, ONE);
	watch(ev, &c, TWO);
	send(ONE, 1);
	send(TWO, 1);
	assert_ok(test_run(ev));
	assert_notes("a1");
	assert_ok(test_once(ev));
	assert_notes("a1 b1 c");
}

static void re_initialise_now(struct talev_context *ev, struct watch *w)
{
	(void)w;
	assert_ok(talev_re_initialise(ev));
}

static void re_initialise_in_a_handler_ends_the_telling(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a", .act = re_initialise_now}, b = {.name = "b"};

	watch(ev, &a, ONE);
	watch(ev, &b, ONE);
	send(ONE, 1);
	assert_ok(test_once(ev));
	assert_notes("a");
	assert_errno(talev_loop_nowait(ev), ENOENT);
}

static void stop_all(struct talev_context *ev, struct watch *w)
{
	(void)w;
	assert_ok(talev_finalize(ev, ev, 0, NULL, NULL));
}

static void finalizing_the_context_in_a_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a", .act = stop_all}, b = {.name = "b"};

	watch(ev, &a, ONE);
	watch(ev, &b, ONE);
	send(ONE, 1);
	assert_errno(test_once(ev), ESHUTDOWN);
	assert_notes("a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(freeing_itself_in_the_handler),
		TEST(freeing_the_next_of_the_same_number_in_a_handler),
		TEST(freeing_the_previous_of_the_same_number_in_a_handler),
		TEST(freeing_all_of_a_number_in_a_handler),
		TEST(freeing_a_watcher_of_another_number_in_a_handler),
		TEST(freeing_the_context_in_a_handler),
		TEST(freeing_the_context_in_the_handler_of_a_signal_outside_it),
		TEST(nested_loop_goes_on_where_the_outer_one_was),
		TEST(freeing_the_context_in_a_nested_handler),
		TEST(break_leaves_the_rest_for_the_next_call),
		TEST(re_initialise_in_a_handler_ends_the_telling),
		TEST(finalizing_the_context_in_a_handler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
