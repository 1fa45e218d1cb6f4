/* SPDX-License-Identifier: BSD-2-Clause */
/* Points 69 to 71: wrapper contexts. */
#include "points.h"

struct wrapped {
	int answer;
};

static struct tevent_context *the_main, *the_wrapper;
static bool refuse;

static void check(struct tevent_context *wrapper, void *state, struct tevent_context *main_ev)
{
	struct wrapped *wrapped = talloc_get_type_abort(state, struct wrapped);

	assert_int_equal(wrapped->answer, 42);
	assert_ptr_equal(wrapper, the_wrapper);
	assert_ptr_equal(main_ev, the_main);
}

static bool before_use(struct tevent_context *wrapper, void *state, struct tevent_context *main_ev,
	const char *location)
{
	check(wrapper, state, main_ev);
	assert_non_null(strstr(location, "test_wrapper.c:"));
	note("+use");
	return !refuse;
}

static void after_use(struct tevent_context *wrapper, void *state, struct tevent_context *main_ev,
	const char *location)
{
	(void)location;
	check(wrapper, state, main_ev);
	note("-use");
}

static void before_fd(struct tevent_context *wrapper, void *state, struct tevent_context *main_ev,
	struct tevent_fd *fde, uint16_t flags, const char *handler, const char *location)
{
	(void)fde, (void)flags;
	check(wrapper, state, main_ev);
	assert_string_equal(handler, "note_fd");
	assert_non_null(strstr(location, "test_wrapper.c:"));
	note("+fd");
}

static void after_fd(struct tevent_context *wrapper, void *state, struct tevent_context *main_ev,
	struct tevent_fd *fde, uint16_t flags, const char *handler, const char *location)
{
	(void)fde, (void)flags, (void)handler, (void)location;
	check(wrapper, state, main_ev);
	note("-fd");
}

static void before_timer(struct tevent_context *wrapper, void *state,
	struct tevent_context *main_ev, struct tevent_timer *te, struct timeval requested,
	struct timeval trigger, const char *handler, const char *location)
{
	(void)te, (void)trigger, (void)handler, (void)location;
	check(wrapper, state, main_ev);
	note("+timer%d", (int)requested.tv_sec);
}

static void after_timer(struct tevent_context *wrapper, void *state, struct tevent_context *main_ev,
	struct tevent_timer *te, struct timeval requested, struct timeval trigger,
	const char *handler, const char *location)
{
	(void)te, (void)requested, (void)trigger, (void)handler, (void)location;
	check(wrapper, state, main_ev);
	note("-timer");
}

static void before_immediate(struct tevent_context *wrapper, void *state,
	struct tevent_context *main_ev, struct tevent_immediate *im, const char *handler,
	const char *location)
{
	(void)im, (void)handler, (void)location;
	check(wrapper, state, main_ev);
	note("+im");
}

static void after_immediate(struct tevent_context *wrapper, void *state,
	struct tevent_context *main_ev, struct tevent_immediate *im, const char *handler,
	const char *location)
{
	(void)im, (void)handler, (void)location;
	check(wrapper, state, main_ev);
	note("-im");
}

static void before_signal(struct tevent_context *wrapper, void *state,
	struct tevent_context *main_ev, struct tevent_signal *se, int signum, int count,
	void *siginfo, const char *handler, const char *location)
{
	(void)se, (void)siginfo, (void)handler, (void)location;
	check(wrapper, state, main_ev);
	note("+signal%d_%d", signum, count);
}

static void after_signal(struct tevent_context *wrapper, void *state,
	struct tevent_context *main_ev, struct tevent_signal *se, int signum, int count,
	void *siginfo, const char *handler, const char *location)
{
	(void)se, (void)signum, (void)count, (void)siginfo, (void)handler, (void)location;
	check(wrapper, state, main_ev);
	note("-signal");
}

static const struct tevent_wrapper_ops ops = {
	.name = "noting",
	.before_use = before_use,
	.after_use = after_use,
	.before_fd_handler = before_fd,
	.after_fd_handler = after_fd,
	.before_timer_handler = before_timer,
	.after_timer_handler = after_timer,
	.before_immediate_handler = before_immediate,
	.after_immediate_handler = after_immediate,
	.before_signal_handler = before_signal,
	.after_signal_handler = after_signal,
};

static struct tevent_context *wrap(void)
{
	struct wrapped *wrapped = NULL;

	the_main = context();
	the_wrapper =
		tevent_context_wrapper_create(the_main, root(), &ops, &wrapped, struct wrapped);
	assert_non_null(the_wrapper);
	assert_non_null(wrapped);
	wrapped->answer = 42;
	return the_wrapper;
}

static void p69_a_wrapper_is_one(void **state)
{
	struct tevent_context *wrapper = wrap(), *stranger = context();

	(void)state;
	assert_true(tevent_context_is_wrapper(wrapper));
	assert_false(tevent_context_is_wrapper(the_main));
	assert_true(tevent_context_same_loop(wrapper, the_main));
	assert_true(tevent_context_same_loop(the_main, the_main));
	assert_true(tevent_context_same_loop(wrapper, wrapper));
	assert_false(tevent_context_same_loop(wrapper, stranger));
	assert_true(tevent_signal_support(wrapper));
	assert_int_equal(talloc_free(wrapper), 0);
}

static void p69_no_wrapper_of_a_wrapper(void **state)
{
	struct tevent_context *wrapper = wrap();
	struct wrapped *wrapped;

	(void)state;
	errno = 0;
	assert_null(tevent_context_wrapper_create(wrapper, root(), &ops, &wrapped, struct wrapped));
	assert_int_equal(errno, EINVAL);
}

static void p69_nesting_and_wrapping_exclude_each_other(void **state)
{
	struct tevent_context *ev = context();
	struct wrapped *wrapped;

	(void)state;
	tevent_loop_allow_nesting(ev);
	errno = 0;
	assert_null(tevent_context_wrapper_create(ev, root(), &ops, &wrapped, struct wrapped));
	assert_int_equal(errno, EINVAL);
	wrap();
	capture_aborts();
	tevent_loop_allow_nesting(the_main);
	assert_int_equal(abort_count(), 1);
	tevent_loop_allow_nesting(the_wrapper);
	assert_int_equal(abort_count(), 2);
}

static void wrong_once(void *ev)
{
	tevent_loop_once(ev);
}

static void wrong_wait(void *ev)
{
	tevent_loop_wait(ev);
}

static bool at_once(void *unused)
{
	(void)unused;
	return false;
}

static void wrong_until(void *ev)
{
	tevent_loop_until(ev, at_once, NULL);
}

static void wrong_debug(void *ev)
{
	tevent_set_debug(ev, NULL, NULL);
}

static void wrong_trace(void *ev)
{
	tevent_set_trace_callback(ev, NULL, NULL);
}

static void p69_a_wrapper_has_no_loop_of_its_own(void **state)
{
	struct tevent_context *wrapper = wrap();

	(void)state;
	assert_aborts(wrong_once, wrapper);
	assert_aborts(wrong_wait, wrapper);
	assert_aborts(wrong_until, wrapper);
	assert_aborts(wrong_debug, wrapper);
	assert_aborts(wrong_trace, wrapper);
}

static void schedule(void *wrapper)
{
	tevent_schedule_immediate(tevent_create_immediate(root()), wrapper, note_immediate, "im");
}

static void p69_after_its_main_context_a_wrapper_refuses(void **state)
{
	struct tevent_context *wrapper = wrap();
	int fds[2];

	(void)state;
	make_pipe(fds);
	talloc_free(the_main);
	errno = 0;
	assert_null(tevent_add_fd(wrapper, root(), fds[0], TEVENT_FD_READ, note_fd, "fd"));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(tevent_add_timer(wrapper, root(), ZERO_TIME, note_timer, "timer"));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(tevent_add_signal(wrapper, root(), SIGUSR1, 0, note_signal, "signal"));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(talloc_free(wrapper), 0);
}

static void p69_scheduling_after_its_main_context_aborts(void **state)
{
	struct tevent_context *wrapper = wrap();

	(void)state;
	talloc_free(the_main);
	assert_aborts(schedule, wrapper);
}

static void p70_each_handler_is_bracketed(void **state)
{
	struct tevent_context *wrapper = wrap();
	struct tevent_fd *fde;
	struct tevent_signal *se;
	char expected[128];
	int fds[2];

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	fde = tevent_add_fd(wrapper, root(), fds[0], TEVENT_FD_READ, note_fd, "fd");
	tevent_fd_set_close_fn(fde, note_close);
	tevent_add_timer(wrapper, root(), tevent_timeval_set(5, 0), note_timer, "timer");
	tevent_schedule_immediate(tevent_create_immediate(root()), wrapper, note_immediate, "im");
	se = tevent_add_signal(wrapper, root(), SIGUSR1, 0, note_signal, "signal");
	raise(SIGUSR1);
	once(the_main);
	snprintf(expected, sizeof(expected), "+signal%d_1 signal -signal", SIGUSR1);
	assert_notes(expected);
	forget_notes();
	talloc_free(se);
	once(the_main);
	assert_notes("+im im -im");
	forget_notes();
	once(the_main);
	assert_notes("+timer5 timer -timer");
	forget_notes();
	while (!*notes())
		once(the_main);
	assert_notes("+fd fd -fd");
	forget_notes();
	/* The close function is not. */
	talloc_free(fde);
	assert_notes("fd");
}

static void check_context(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)im, (void)p;
	note("%s", ev == the_wrapper ? "wrapper" : ev == the_main ? "main" : "other");
}

static void p70_handlers_are_told_the_wrapper(void **state)
{
	struct tevent_context *wrapper = wrap();

	(void)state;
	tevent_schedule_immediate(tevent_create_immediate(root()), wrapper, check_context, NULL);
	tevent_schedule_immediate(tevent_create_immediate(root()), the_main, check_context, NULL);
	assert_int_equal(tevent_loop_wait(the_main), 0);
	assert_notes("+im wrapper -im main");
}

static void p70_push_and_pop(void **state)
{
	struct tevent_context *wrapper = wrap();

	(void)state;
	assert_true(tevent_context_push_use(wrapper));
	assert_notes("+use");
	assert_true(tevent_context_push_use(the_main));
	tevent_context_pop_use(the_main);
	tevent_context_pop_use(wrapper);
	assert_notes("+use -use");
	refuse = true;
	assert_false(tevent_context_push_use(wrapper));
	assert_notes("+use -use +use");
}

static void push_twice(void *wrapper)
{
	assert_true(tevent_context_push_use(wrapper));
	tevent_context_push_use(wrapper);
}

static void pop_in_the_wrong_order(void *wrapper)
{
	assert_true(tevent_context_push_use(wrapper));
	assert_true(tevent_context_push_use(the_main));
	tevent_context_pop_use(wrapper);
}

static void p70_wrong_use_aborts(void **state)
{
	struct tevent_context *wrapper = wrap();

	(void)state;
	assert_aborts(push_twice, wrapper);
	assert_aborts(pop_in_the_wrong_order, wrapper);
}

static void push(void *times)
{
	int i;

	for (i = 0; i < *(int *)times; i++)
		if (!tevent_context_push_use(the_main))
			_exit(1);
}

static void p70_the_stack_holds_thirty_two(void **state)
{
	int times = 32;

	(void)state;
	wrap();
	assert_int_equal(ends_with(push, &times), 0);
	times = 33;
	assert_aborts(push, &times);
}

static void free_wrapper(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)im, (void)p;
	note("free%d", talloc_free(ev));
	note("end");
}

static void p71_a_wrapper_freed_in_its_handler(void **state)
{
	struct tevent_context *wrapper = wrap();
	struct tevent_fd *fde;
	int fds[2];

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	fde = tevent_add_fd(wrapper, root(), fds[0], TEVENT_FD_READ, note_fd, "never");
	tevent_add_timer(wrapper, root(), ZERO_TIME, note_timer, "never");
	tevent_add_signal(wrapper, root(), SIGUSR1, 0, note_signal, "never");
	tevent_schedule_immediate(tevent_create_immediate(root()), wrapper, free_wrapper, NULL);
	tevent_schedule_immediate(
		tevent_create_immediate(root()), wrapper, note_immediate, "never");
	note_when_freed(wrapper, "gone");
	once(the_main);
	/* Its state is still there for the hook that comes after. */
	assert_notes("+im free-1 end -im gone");
	forget_notes();
	assert_int_equal(tevent_fd_get_flags(fde), 0);
	assert_int_equal(tevent_loop_wait(the_main), 0);
	assert_notes("");
}

static void p71_a_wrapper_freed_outside(void **state)
{
	struct tevent_context *wrapper = wrap();
	int fds[2];

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	tevent_add_fd(wrapper, root(), fds[0], TEVENT_FD_READ, note_fd, "never");
	tevent_add_timer(wrapper, root(), ZERO_TIME, note_timer, "never");
	tevent_schedule_immediate(
		tevent_create_immediate(root()), wrapper, note_immediate, "never");
	assert_int_equal(talloc_free(wrapper), 0);
	assert_int_equal(tevent_loop_wait(the_main), 0);
	assert_notes("");
}

static void p71_events_of_others_go_on(void **state)
{
	struct tevent_context *wrapper = wrap();

	(void)state;
	tevent_schedule_immediate(tevent_create_immediate(root()), wrapper, free_wrapper, NULL);
	tevent_schedule_immediate(
		tevent_create_immediate(root()), the_main, note_immediate, "main");
	assert_int_equal(tevent_loop_wait(the_main), 0);
	assert_notes("+im free-1 end -im main");
}

static const struct point_test tests[] = {
	BOTH(p69_a_wrapper_is_one),
	BOTH(p69_no_wrapper_of_a_wrapper),
	BOTH(p69_nesting_and_wrapping_exclude_each_other),
	BOTH(p69_a_wrapper_has_no_loop_of_its_own),
	BOTH(p69_after_its_main_context_a_wrapper_refuses),
	MENDED(p69_scheduling_after_its_main_context_aborts),
	BOTH(p70_each_handler_is_bracketed),
	BOTH(p70_handlers_are_told_the_wrapper),
	BOTH(p70_push_and_pop),
	BOTH(p70_wrong_use_aborts),
	BOTH(p70_the_stack_holds_thirty_two),
	BOTH(p71_a_wrapper_freed_in_its_handler),
	BOTH(p71_a_wrapper_freed_outside),
	BOTH(p71_events_of_others_go_on),
};

POINTS_MAIN(tests)
