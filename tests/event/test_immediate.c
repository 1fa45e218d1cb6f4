/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: immediates run soon, in the order of scheduling, in whichever context. */
#include "support/support.h"

struct turn {
	const char *name;
	struct talev_immediate *im;
	struct talev_context *ev; /* where it ran last */
	int calls;
	void (*act)(struct talev_context *ev, struct turn *turn);
	void *arg;
};

static void on_turn(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	struct turn *turn = private_data;

	assert_ptr_equal(im, turn->im);
	assert_false(talev_immediate_is_scheduled(im));
	turn->calls++;
	turn->ev = ev;
	if (turn->name)
		test_note("%s", turn->name);
	if (turn->act)
		turn->act(ev, turn);
}

static void other_handler(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	(void)ev;
	(void)im;
	test_note("other-%s", (const char *)private_data);
}

static void make(struct turn *turn)
{
	turn->im = talev_create_immediate(test_root());
	assert_non_null(turn->im);
}

static void schedule(struct talev_context *ev, struct turn *turn)
{
	if (!turn->im)
		make(turn);
	assert_ok(talev_schedule_immediate(turn->im, ev, on_turn, turn));
	assert_true(talev_immediate_is_scheduled(turn->im));
	assert_ptr_equal(talev_source_get_context(turn->im), ev);
}

static void first_scheduled_is_first_run(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {.name = "a"}, b = {.name = "b"}, c = {.name = "c"};

	schedule(ev, &b);
	schedule(ev, &a);
	schedule(ev, &c);
	assert_int_equal(a.calls + b.calls + c.calls, 0);
	assert_ok(test_once(ev));
	assert_notes("b");
	assert_ok(test_run(ev));
	assert_notes("b a c");
	assert_false(talev_have_events(ev));
}

static void idle_one_belongs_to_no_context(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {0};

	make(&a);
	assert_null(talev_source_get_context(a.im));
	assert_false(talev_immediate_is_scheduled(a.im));
	assert_string_equal(talev_source_get_name(a.im), "immediate");
	assert_non_null(strstr(talev_source_get_location(a.im), "test_immediate.c:"));
	schedule(ev, &a);
	assert_string_equal(talev_source_get_name(a.im), "on_turn");
	assert_ok(test_run(ev));
	assert_null(talev_source_get_context(a.im));
	talloc_free(ev);
	assert_int_equal(talev_source_get_state(a.im), TALEV_LIVE);
	ev = test_context(*state);
	schedule(ev, &a);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 2);
}

static void scheduling_again_replaces_and_goes_to_the_tail(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {.name = "a"}, b = {.name = "b"};
	char text[] = "text";

	schedule(ev, &a);
	schedule(ev, &b);
	assert_ok(talev_schedule_immediate(a.im, ev, other_handler, text));
	assert_string_equal(talev_source_get_name(a.im), "other_handler");
	assert_ok(test_run(ev));
	assert_notes("b other-text");
}

static void scheduling_elsewhere_moves_it(void **state)
{
	struct talev_context *one = test_context(*state);
	struct talev_context *two = test_context(*state);
	struct turn a = {0};

	schedule(one, &a);
	schedule(two, &a);
	assert_false(talev_have_events(one));
	assert_errno(talev_loop_nowait(one), ENOENT);
	assert_ok(test_run(two));
	assert_ptr_equal(a.ev, two);
	assert_int_equal(a.calls, 1);
}

static void cancelled_one_does_not_run(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {0};

	make(&a);
	assert_ok(talev_cancel_immediate(a.im));
	schedule(ev, &a);
	assert_ok(talev_cancel_immediate(a.im));
	assert_false(talev_immediate_is_scheduled(a.im));
	assert_errno(talev_loop_nowait(ev), ENOENT);
	schedule(ev, &a);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 1);
}

static void on_timer(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)ev;
	(void)te;
	(void)now;
	(void)arg;
	test_note("timer");
}

static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)flags;
	test_drain(*(int *)arg);
	talloc_free(fde);
	test_note("fd");
}

static void immediates_go_before_timers_and_descriptors(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {.name = "a"}, b = {.name = "b"};
	int fds[2];

	test_pipe(fds);
	test_poke(fds[1]);
	assert_non_null(talev_add_fd(ev, NULL, fds[0], TALEV_FD_READ, on_fd, &fds[0]));
	assert_non_null(talev_add_timer(ev, NULL, 0, on_timer, NULL));
	schedule(ev, &a);
	schedule(ev, &b);
	for (int i = 0; i < 4; i++)
		assert_ok(test_once(ev));
	assert_notes("a b timer fd");
	close(fds[0]);
	close(fds[1]);
}

static void again(struct talev_context *ev, struct turn *turn)
{
	if (turn->calls < 3)
		schedule(ev, turn);
}

static void handler_schedules_it_again(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {.name = "a", .act = again}, b = {.name = "b"};

	schedule(ev, &a);
	schedule(ev, &b);
	assert_ok(test_run(ev));
	assert_notes("a b a a");
}

static void for_ever(struct talev_context *ev, struct turn *turn)
{
	schedule(ev, turn);
}

static void break_loop(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)fde;
	(void)flags;
	(void)arg;
	talev_loop_break(ev);
}

static void one_that_always_comes_again_does_not_starve_descriptors(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {.act = for_ever};
	int fds[2];

	test_pipe(fds);
	test_poke(fds[1]);
	assert_non_null(talev_add_fd(ev, NULL, fds[0], TALEV_FD_READ, break_loop, NULL));
	schedule(ev, &a);
	assert_ok(test_run(ev));
	assert_in_range(a.calls, 1, 10000);
	while (!talev_loop_broken(ev) || a.calls == 0)
		assert_ok(test_once(ev));
	talloc_free(ev);
	close(fds[0]);
	close(fds[1]);
}

static void free_it(struct talev_context *ev, struct turn *turn)
{
	(void)ev;
	assert_int_equal(talloc_free(turn->arg), 0);
}

static void freeing_itself_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {.act = free_it};

	make(&a);
	a.arg = a.im;
	schedule(ev, &a);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 1);
}

static void reschedule_and_free(struct talev_context *ev, struct turn *turn)
{
	schedule(ev, turn);
	assert_int_equal(talloc_free(turn->im), 0);
}

static void freeing_itself_after_scheduling_again(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {.act = reschedule_and_free};

	schedule(ev, &a);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 1);
}

static void freeing_a_scheduled_sibling(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {.name = "a", .act = free_it}, b = {.name = "b"}, c = {.name = "c"};

	schedule(ev, &a);
	schedule(ev, &b);
	schedule(ev, &c);
	a.arg = b.im;
	assert_ok(test_run(ev));
	assert_notes("a c");
}

static void freeing_the_parent_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *parent = talloc_new(*state);
	struct turn a = {.act = free_it, .arg = parent};

	make(&a);
	talloc_steal(parent, a.im);
	schedule(ev, &a);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 1);
}

static void freeing_the_context_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {.name = "a", .act = free_it, .arg = ev}, b = {.name = "b"};

	schedule(ev, &a);
	schedule(ev, &b);
	assert_errno(test_run(ev), ESHUTDOWN);
	assert_notes("a");
	/* It was in no context when that went; b was. */
	assert_int_equal(talev_source_get_state(a.im), TALEV_LIVE);
	assert_int_equal(talev_source_get_state(b.im), TALEV_FINALIZED);
	ev = test_context(*state);
	assert_errno(talev_schedule_immediate(b.im, ev, on_turn, &b), ESTALE);
	assert_errno(talev_cancel_immediate(b.im), ESTALE);
	assert_false(talev_immediate_is_scheduled(b.im));
	a.act = NULL;
	schedule(ev, &a);
	assert_ok(test_run(ev));
	assert_notes("a a");
}

static void disabled_one_waits_until_it_is_enabled(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {.name = "a"}, b = {.name = "b"};

	schedule(ev, &a);
	schedule(ev, &b);
	assert_ok(talev_source_set_enabled(a.im, false));
	assert_true(talev_immediate_is_scheduled(a.im));
	assert_ok(test_run(ev));
	assert_notes("b");
	assert_ok(talev_source_set_enabled(a.im, true));
	assert_ok(test_run(ev));
	assert_notes("b a");
	assert_ok(talev_source_set_enabled(a.im, false));
	schedule(ev, &a);
	assert_false(talev_have_events(ev));
	assert_ok(talev_cancel_immediate(a.im));
	assert_ok(talev_source_set_enabled(a.im, true));
	assert_false(talev_have_events(ev));
}

static void run_nested(struct talev_context *ev, struct turn *turn)
{
	schedule(ev, turn->arg);
	assert_ok(talev_loop_wait(ev));
	assert_int_equal(turn->calls, 1);
}

static void nested_loop_does_not_run_one_that_is_running(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn b = {.name = "b"}, a = {.name = "a", .act = run_nested, .arg = &b};

	talev_loop_allow_nesting(ev);
	schedule(ev, &a);
	assert_ok(test_run(ev));
	assert_notes("a b");
}

static void note_trace(
	struct talev_context *ev, enum talev_trace_point point, void *source, void *private_data)
{
	(void)ev;
	(void)private_data;
	if (source && point == TALEV_TRACE_ATTACH)
		test_note("attach");
	if (source && point == TALEV_TRACE_DETACH)
		test_note("detach");
	if (point == TALEV_TRACE_AFTER_HANDLER)
		test_note("%s", source ? "ran" : "went");
}

static void trace_sees_it_come_and_go(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {0};

	talev_context_set_trace(ev, note_trace, NULL);
	schedule(ev, &a);
	assert_notes("attach");
	schedule(ev, &a);
	assert_notes("attach detach attach");
	test_forget_notes();
	assert_ok(test_run(ev));
	assert_notes("detach ran");
	test_forget_notes();
	schedule(ev, &a);
	talloc_free(a.im);
	assert_notes("attach detach");
	talev_context_set_trace(ev, NULL, NULL);
}

static void wrong_arguments_are_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {.name = "a"};

	schedule(ev, &a);
	assert_errno(talev_schedule_immediate(a.im, NULL, on_turn, &a), EINVAL);
	assert_errno(
		talev_schedule_immediate(a.im, (struct talev_context *)a.im, on_turn, &a), EINVAL);
	assert_errno(talev_schedule_immediate(a.im, ev, NULL, NULL), EINVAL);
	/* And what was there is still there. */
	assert_ok(test_run(ev));
	assert_notes("a");
}

static void count(struct talev_context *ev, struct turn *turn)
{
	(void)ev;
	(void)turn;
}

static void scheduling_and_running_allocate_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct turn a = {.act = count};

	if (!test_alloc_works())
		skip();
	make(&a);
	test_alloc_fail_from(1);
	for (int i = 0; i < 100; i++) {
		schedule(ev, &a);
		assert_ok(talev_loop_once(ev));
	}
	assert_int_equal(test_alloc_count(), 0);
	test_alloc_fail_from(1);
	assert_null_errno(talev_create_immediate(*state), ENOMEM);
	test_alloc_fail_at(0);
	assert_int_equal(a.calls, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_scheduled_is_first_run),
		TEST(idle_one_belongs_to_no_context),
		TEST(scheduling_again_replaces_and_goes_to_the_tail),
		TEST(scheduling_elsewhere_moves_it),
		TEST(cancelled_one_does_not_run),
		TEST(immediates_go_before_timers_and_descriptors),
		TEST(handler_schedules_it_again),
		TEST(one_that_always_comes_again_does_not_starve_descriptors),
		TEST(freeing_itself_in_the_handler),
		TEST(freeing_itself_after_scheduling_again),
		TEST(freeing_a_scheduled_sibling),
		TEST(freeing_the_parent_in_the_handler),
		TEST(freeing_the_context_in_the_handler),
		TEST(disabled_one_waits_until_it_is_enabled),
		TEST(nested_loop_does_not_run_one_that_is_running),
		TEST(trace_sees_it_come_and_go),
		TEST(wrong_arguments_are_refused),
		TEST(scheduling_and_running_allocate_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
