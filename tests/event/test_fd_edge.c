/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: TALEV_FD_EDGE may save reports, and loses none that a handler that drains its
 * descriptor needs. */
#include "event/told.h"

#define EDGE (TALEV_FD_READ | TALEV_FD_EDGE)

static bool backend_has_edges(void)
{
	return strcmp(test_backend(), "epoll") == 0;
}

static void what_is_left_is_not_told_again_until_more_comes(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {.name = "a"};
	int fds[2];

	test_pipe(fds);
	add(ev, &a, fds[0], EDGE);
	test_poke(fds[1]);
	assert_ok(test_once(ev));
	assert_int_equal(a.calls, 1);
	if (backend_has_edges()) {
		assert_errno(talev_loop_nowait(ev), EAGAIN);
		assert_int_equal(a.calls, 1);
	}
	test_poke(fds[1]);
	assert_ok(test_once(ev));
	assert_int_equal(a.calls, 2);
	talloc_free(a.fde);
	close_both(fds);
}

static void the_edge_alone_asks_for_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {.name = "a"};
	int fds[2];

	test_pipe(fds);
	test_poke(fds[1]);
	add(ev, &a, fds[0], TALEV_FD_EDGE);
	assert_false(talev_have_events(ev));
	assert_errno(test_once(ev), ENOENT);
	assert_ok(talev_fd_set_flags(a.fde, EDGE));
	assert_int_equal(talev_fd_get_flags(a.fde), EDGE);
	assert_ok(test_once(ev));
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.flags, TALEV_FD_READ);
	talloc_free(a.fde);
	close_both(fds);
}

static void breaks(struct talev_context *ev, struct told *told)
{
	test_drain(talev_fd_get_fd(told->fde));
	talloc_free(told->fde);
	talev_loop_break(ev);
}

static void waits_inside(struct talev_context *ev, struct told *told)
{
	test_drain(talev_fd_get_fd(told->fde));
	talloc_free(told->fde);
	/* Only what is new: the other one's readiness has been reported to the outer loop. */
	(void)talev_loop_nowait(ev);
}

/* Whichever of the two comes first keeps the other one from being told of this report. */
static void whoever_is_left_out_is_told(
	void **state, void (*act)(struct talev_context *, struct told *))
{
	struct talev_context *ev = test_context(*state);
	struct told pair[2] = {{.name = "told", .act = act}, {.name = "told", .act = act}};
	int fds[2][2];

	talev_loop_allow_nesting(ev);
	for (int i = 0; i < 2; i++) {
		test_pipe(fds[i]);
		add(ev, &pair[i], fds[i][0], EDGE);
		test_poke(fds[i][1]);
	}
	while (talev_have_events(ev))
		assert_ok(test_run(ev));
	assert_notes("told told");
	close_both(fds[0]);
	close_both(fds[1]);
}

static void after_a_break(void **state)
{
	whoever_is_left_out_is_told(state, breaks);
}

static void after_a_nested_loop(void **state)
{
	whoever_is_left_out_is_told(state, waits_inside);
}

static void enable_both(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	struct told *pair = private_data;

	(void)ev;
	for (int i = 0; i < 2; i++)
		if (talev_source_get_state(pair[i].fde) == TALEV_LIVE)
			talev_source_set_enabled(pair[i].fde, true);
	talloc_free(im);
}

static void disable_the_other(struct talev_context *ev, struct told *told)
{
	struct told *pair = told->arg;
	struct told *other = &pair[told == &pair[0]];
	struct talev_immediate *im = talev_create_immediate(test_root());

	test_drain(talev_fd_get_fd(told->fde));
	talev_source_set_enabled(other->fde, false);
	/* Before or after the other's turn, and either way no change is left for the kernel. */
	assert_ok(talev_schedule_immediate(im, ev, enable_both, pair));
}

static void after_it_was_disabled_for_a_moment(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told pair[2] = {
		{.name = "a", .act = disable_the_other}, {.name = "b", .act = disable_the_other}};
	int fds[2][2];

	for (int i = 0; i < 2; i++) {
		test_pipe(fds[i]);
		pair[i].arg = pair;
		add(ev, &pair[i], fds[i][0], EDGE);
		test_poke(fds[i][1]);
	}
	while (pair[0].calls == 0 || pair[1].calls == 0)
		assert_ok(test_once(ev));
	for (int i = 0; i < 2; i++) {
		talloc_free(pair[i].fde);
		close_both(fds[i]);
	}
}

static void two_watchers_are_told_in_turn_while_it_is_ready(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {.name = "a"}, b = {.name = "b"};
	int fds[2];

	test_pipe(fds);
	test_poke(fds[1]);
	add(ev, &a, fds[0], EDGE);
	add(ev, &b, fds[0], EDGE);
	for (int i = 0; i < 4; i++)
		assert_ok(test_once(ev));
	assert_notes("a b a b");
	/* Alone again, it is told of what is there, at least once. */
	talloc_free(b.fde);
	assert_ok(test_once(ev));
	assert_int_equal(a.calls, 3);
	talloc_free(a.fde);
	close_both(fds);
}

static void both_ends_of_an_echo_drain_and_go_on(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {.name = "a"};
	int fds[2];

	test_socketpair(fds);
	add(ev, &a, fds[0], EDGE | TALEV_FD_WRITE);
	assert_ok(test_once(ev));
	assert_int_equal(a.flags, TALEV_FD_WRITE);
	test_fill(fds[0]);
	test_poke(fds[1]);
	assert_ok(test_once(ev));
	assert_true((a.flags & TALEV_FD_READ) != 0);
	assert_int_equal(test_drain(fds[0]), 1);
	assert_true(test_drain(fds[1]) > 0);
	assert_ok(test_once(ev));
	assert_true((a.flags & TALEV_FD_WRITE) != 0);
	talloc_free(a.fde);
	close_both(fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_left_is_not_told_again_until_more_comes),
		TEST(the_edge_alone_asks_for_nothing),
		TEST(after_a_break),
		TEST(after_a_nested_loop),
		TEST(after_it_was_disabled_for_a_moment),
		TEST(two_watchers_are_told_in_turn_while_it_is_ready),
		TEST(both_ends_of_an_echo_drain_and_go_on),
	};

	return cmocka_run_group_tests_name("fd_edge", tests, NULL, NULL);
}
