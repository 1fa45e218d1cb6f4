/* SPDX-License-Identifier: BSD-2-Clause */
/* Points 1 to 9: what one turn of the loop does, in which order, and when the loop ends. */
#include "points.h"

static void raise_and_note(struct tevent_context *ev, struct tevent_immediate *im, void *word)
{
	note_immediate(ev, im, word);
	raise(SIGUSR1);
}

static void p01_one_unit_of_work_a_turn_by_class(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_immediate *im[2];
	int a[2], i;

	(void)state;
	make_pipe(a);
	poke(a[1]);
	assert_non_null(tevent_add_fd(ev, ev, a[0], TEVENT_FD_READ, note_fd, "fd"));
	assert_non_null(tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "timer1"));
	assert_non_null(tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "timer2"));
	for (i = 0; i < 2; i++) {
		im[i] = tevent_create_immediate(ev);
		tevent_schedule_immediate(im[i], ev, note_immediate, i ? "im2" : "im1");
	}
	assert_non_null(tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "usr1"));
	assert_non_null(tevent_add_signal(ev, ev, SIGUSR2, 0, note_signal, "usr2"));
	assert_non_null(tevent_add_signal(ev, ev, SIGUSR2, 0, note_signal, "usr2"));
	raise(SIGUSR1);
	raise(SIGUSR2);

	once(ev);
	assert_int_equal(strlen(notes()), strlen("usr1 usr2 usr2"));
	assert_non_null(strstr(notes(), "usr1"));
	forget_notes();
	once(ev);
	assert_notes("im1");
	once(ev);
	assert_notes("im1 im2");
	once(ev);
	assert_notes("im1 im2 timer1");
	once(ev);
	assert_notes("im1 im2 timer1 timer2");
	/* The wake descriptor may cost a turn. */
	once(ev);
	if (!strstr(notes(), "fd"))
		once(ev);
	assert_notes("im1 im2 timer1 timer2 fd");
}

static void p01_one_descriptor_a_turn(void **state)
{
	struct tevent_context *ev = context();
	int a[2], b[2];

	(void)state;
	make_pipe(a);
	make_pipe(b);
	poke(a[1]);
	poke(b[1]);
	tevent_add_fd(ev, ev, a[0], TEVENT_FD_READ, note_fd, "x");
	tevent_add_fd(ev, ev, b[0], TEVENT_FD_READ, note_fd, "x");
	once(ev);
	assert_notes("x");
	once(ev);
	assert_notes("x x");
}

static void p01_a_signal_comes_before_the_next_immediate(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "signal");
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, raise_and_note, "im1");
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im2");
	turns(ev, 3);
	assert_notes("im1 signal im2");
}

static void p01_a_signal_waits_while_no_context_with_signals_loops(void **state)
{
	struct tevent_context *with = context(), *without = context();

	(void)state;
	tevent_add_signal(with, with, SIGUSR1, 0, note_signal, "signal");
	raise(SIGUSR1);
	tevent_schedule_immediate(tevent_create_immediate(without), without, note_immediate, "im");
	once(without);
	assert_notes("im");
	once(with);
	assert_notes("im signal");
}

struct again {
	struct tevent_immediate *im;
	int times;
};

static void immediate_again(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	struct again *again = p;

	again->times++;
	tevent_schedule_immediate(im, ev, immediate_again, again);
}

static void timer_again(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *p)
{
	struct again *again = p;

	(void)te, (void)now;
	again->times++;
	tevent_add_timer(ev, ev, ZERO_TIME, timer_again, again);
}

static void p02_an_immediate_that_comes_again_starves_the_rest(void **state)
{
	struct tevent_context *ev = context();
	struct again again = {0};
	int fds[2];

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "fd");
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "timer");
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, immediate_again, &again);
	turns(ev, 2000);
	assert_int_equal(again.times, 2000);
	assert_notes("");
}

static void p02_a_timer_that_is_always_due_starves_descriptors(void **state)
{
	struct tevent_context *ev = context();
	struct again again = {0};
	int fds[2];

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "fd");
	tevent_add_timer(ev, ev, ZERO_TIME, timer_again, &again);
	turns(ev, 2000);
	assert_int_equal(again.times, 2000);
	assert_notes("");
}

static void p03_a_timer_that_the_wait_was_for_fires_in_the_same_turn(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_add_timer(ev, ev, in_milliseconds(10), note_timer, "timer");
	once(ev);
	assert_notes("timer");
}

static void p03_only_one_timer_after_the_wait(void **state)
{
	struct tevent_context *ev = context();
	struct timeval when = in_milliseconds(5);

	(void)state;
	tevent_add_timer(ev, ev, when, note_timer, "one");
	tevent_add_timer(ev, ev, when, note_timer, "two");
	once(ev);
	assert_notes("one");
	once(ev);
	assert_notes("one two");
}

static void ignore_signal(int signum)
{
	(void)signum;
}

/* Again and again: the first signal may come before the wait. */
static pid_t interrupt_often(void)
{
	pid_t parent = getpid(), child = fork();

	assert_true(child >= 0);
	while (child == 0) {
		usleep(50000);
		if (getppid() != parent)
			_exit(0);
		kill(parent, SIGUSR2);
	}
	return child;
}

static void stop_interrupting(pid_t child)
{
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0)
		assert_int_equal(errno, EINTR);
}

static void p03_an_interrupted_wait_is_a_turn(void **state)
{
	struct tevent_context *ev = context();
	struct sigaction action = {.sa_handler = ignore_signal};
	pid_t child;

	(void)state;
	assert_int_equal(sigaction(SIGUSR2, &action, NULL), 0);
	tevent_add_timer(ev, ev, in_milliseconds(3600000), note_timer, "timer");
	child = interrupt_often();
	once(ev);
	stop_interrupting(child);
	assert_notes("");
}

static void p03_an_interrupted_wait_runs_the_signal_handlers(void **state)
{
	struct tevent_context *ev = context();
	pid_t parent = getpid(), child;

	(void)state;
	tevent_add_timer(ev, ev, in_milliseconds(8000), note_timer, "timer");
	tevent_add_signal(ev, ev, SIGUSR2, 0, note_signal, "signal");
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		usleep(50000);
		kill(parent, SIGUSR2);
		_exit(0);
	}
	while (!*notes())
		once(ev);
	assert_notes("signal");
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void note_if_early(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *p)
{
	struct timeval *deadline = p, real = tevent_timeval_current();

	(void)ev, (void)te;
	note("%s", tevent_timeval_compare(&now, deadline) < 0 ? "early"
		   : tevent_timeval_compare(&real, &now) < 0  ? "future"
							      : "fine");
}

static void p04_the_wait_is_rounded_up(void **state)
{
	struct tevent_context *ev = context();
	struct timeval deadline;
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		forget_notes();
		deadline = tevent_timeval_current_ofs(0, 1500 + (unsigned)i * 37);
		tevent_add_timer(ev, ev, deadline, note_if_early, &deadline);
		/* In one turn: it neither wakes too early nor spins. */
		once(ev);
		assert_notes("fine");
	}
}

static void p05_without_timers_a_wait_lasts_thirty_seconds(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	assert_int_equal(wait_timeout(ev, 7), 30);
	assert_int_equal(wait_timeout(ev, 0), 7);
	assert_int_equal(wait_timeout(ev, INT32_MAX), 0);
}

static void p05_wait_timeout_zero_is_a_poll(void **state)
{
	struct tevent_context *ev = context();
	int fds[2];

	(void)state;
	make_pipe(fds);
	tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "fd");
	wait_timeout(ev, 0);
	errno = 0;
	assert_int_equal(tevent_loop_once(ev), -1);
	assert_int_equal(errno, EAGAIN);
	poke(fds[1]);
	once(ev);
	assert_notes("fd");
	drain(fds[0]);
	errno = 0;
	assert_int_equal(tevent_loop_once(ev), -1);
	assert_int_equal(errno, EAGAIN);
}

static void p05_wait_timeout_zero_does_not_wait_for_a_timer(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_timer *te;

	(void)state;
	te = tevent_add_timer(ev, ev, in_milliseconds(8000), note_timer, "timer");
	wait_timeout(ev, 0);
	errno = 0;
	assert_int_equal(tevent_loop_once(ev), -1);
	assert_int_equal(errno, EAGAIN);
	tevent_update_timer(te, ZERO_TIME);
	once(ev);
	assert_notes("timer");
}

static void p05_a_wait_timeout_of_a_second_ends_the_turn(void **state)
{
	struct tevent_context *ev = context();
	int fds[2];

	(void)state;
	make_pipe(fds);
	tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "fd");
	wait_timeout(ev, 1);
	once(ev);
	assert_notes("");
}

static void p06_loop_wait_of_an_empty_context_is_over_at_once(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	assert_int_equal(tevent_loop_wait(ev), 0);
}

static void free_it(struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *p)
{
	(void)ev, (void)te, (void)now;
	note("freed");
	talloc_free(p);
}

static void p06_loop_wait_runs_everything(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2];

	(void)state;
	make_pipe(fds);
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "fd");
	tevent_add_timer(ev, ev, in_milliseconds(10), free_it, fde);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("im freed");
}

static void p06_the_wake_descriptor_keeps_nothing_alive(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_signal *se = tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "signal");

	(void)state;
	assert_non_null(se);
	talloc_free(se);
	assert_non_null(tevent_threaded_context_create(ev, ev));
	assert_int_equal(tevent_loop_wait(ev), 0);
}

static void leave_at_the_wait(enum tevent_trace_point point, void *unused)
{
	(void)unused;
	if (point == TEVENT_TRACE_BEFORE_WAIT)
		_exit(77);
}

static void loop_until_it_waits(void *p)
{
	struct tevent_context *ev = p;

	tevent_set_trace_callback(ev, leave_at_the_wait, NULL);
	tevent_loop_wait(ev);
}

static void p06_signals_proxies_and_descriptors_keep_the_loop_alive(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_thread_proxy *proxy;
	struct tevent_signal *se;
	struct tevent_fd *fde;
	int fds[2], status;

	(void)state;
	make_pipe(fds);
	se = tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "signal");
	status = ends_with(loop_until_it_waits, ev);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 77);
	talloc_free(se);
	proxy = tevent_thread_proxy_create(ev);
	assert_non_null(proxy);
	status = ends_with(loop_until_it_waits, ev);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 77);
	talloc_free(proxy);
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "fd");
	status = ends_with(loop_until_it_waits, ev);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 77);
	talloc_free(fde);
	status = ends_with(loop_until_it_waits, ev);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void p06_a_disabled_descriptor_keeps_nothing_alive(void **state)
{
	struct tevent_context *ev = context();
	int fds[2];

	(void)state;
	make_pipe(fds);
	assert_non_null(tevent_add_fd(ev, ev, fds[0], 0, note_fd, "fd"));
	assert_int_equal(tevent_loop_wait(ev), 0);
}

static void nest(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)im, (void)p;
	errno = 0;
	note("%d", tevent_loop_once(ev));
	note("%s", errno == ELOOP ? "ELOOP" : "other");
}

static void nest_once(void *p)
{
	struct tevent_context *ev = p;

	tevent_schedule_immediate(tevent_create_immediate(ev), ev, nest, NULL);
	tevent_loop_once(ev);
}

static void p07_nesting_without_allow_aborts(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	assert_aborts(nest_once, ev);
}

static void p07_an_abort_that_returns_is_eloop(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	capture_aborts();
	nest_once(ev);
	assert_int_equal(abort_count(), 1);
	assert_non_null(strstr(abort_reason(), "nesting at "));
	assert_non_null(strstr(abort_reason(), "test_loop.c:"));
	assert_notes("-1 ELOOP");
}

static void p07_the_level_is_back_after_that_abort(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	capture_aborts();
	nest_once(ev);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	once(ev);
	assert_int_equal(abort_count(), 1);
	assert_notes("-1 ELOOP im");
}

static void nest_deeper(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	int *left = p;

	(void)im;
	if ((*left)-- > 0) {
		tevent_schedule_immediate(tevent_create_immediate(ev), ev, nest_deeper, left);
		assert_int_equal(tevent_loop_once(ev), 0);
	}
	note("im");
}

static int note_hook(struct tevent_context *ev, void *p, uint32_t level, bool begin, void *stack,
	const char *location)
{
	static void *slots[16];

	(void)ev;
	assert_non_null(strstr(location, ".c:"));
	note("%c%u", begin ? '+' : '-', (unsigned)level);
	if (begin)
		slots[level] = stack;
	else
		assert_ptr_equal(slots[level], stack);
	if (level > 1)
		assert_ptr_not_equal(slots[level], slots[level - 1]);
	return p ? *(int *)p : 0;
}

static int other_hook(struct tevent_context *ev, void *p, uint32_t level, bool begin, void *stack,
	const char *location)
{
	(void)ev, (void)p, (void)level, (void)begin, (void)stack, (void)location;
	return 0;
}

static void p07_the_nesting_hook_brackets_each_level(void **state)
{
	struct tevent_context *ev = context();
	int left = 2;

	(void)state;
	tevent_loop_allow_nesting(ev);
	tevent_loop_set_nesting_hook(ev, note_hook, NULL);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, nest_deeper, &left);
	once(ev);
	assert_notes("+1 +2 +3 im -3 im -2 im -1");
}

static void p07_a_hook_replaces_the_result(void **state)
{
	struct tevent_context *ev = context();
	int result = 0;

	(void)state;
	tevent_loop_set_nesting_hook(ev, note_hook, &result);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	result = -1;
	assert_int_equal(tevent_loop_once(ev), -1);
	/* Refused before anything ran. */
	assert_null(strstr(notes(), "im"));
	result = 0;
	once(ev);
	assert_non_null(strstr(notes(), "im"));
}

static int end_hook(struct tevent_context *ev, void *p, uint32_t level, bool begin, void *stack,
	const char *location)
{
	(void)ev, (void)p, (void)level, (void)stack, (void)location;
	return begin ? 0 : 17;
}

static void p07_a_hook_replaces_the_result_at_the_end_too(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_loop_set_nesting_hook(ev, end_hook, NULL);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	assert_int_equal(tevent_loop_once(ev), 17);
	assert_notes("im");
}

static void p07_a_second_hook_aborts(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	capture_aborts();
	tevent_loop_set_nesting_hook(ev, note_hook, NULL);
	tevent_loop_set_nesting_hook(ev, note_hook, NULL);
	assert_int_equal(abort_count(), 0);
	tevent_loop_set_nesting_hook(ev, other_hook, NULL);
	assert_int_equal(abort_count(), 1);
}

static void p07_re_initialise_keeps_nesting_and_drops_the_hook(void **state)
{
	struct tevent_context *ev = context();
	int left = 1;

	(void)state;
	tevent_loop_allow_nesting(ev);
	tevent_loop_set_nesting_hook(ev, note_hook, NULL);
	assert_int_equal(tevent_re_initialise(ev), 0);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, nest_deeper, &left);
	once(ev);
	assert_notes("im im");
}

static void start_over_and_nest(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)im, (void)p;
	assert_int_equal(tevent_re_initialise(ev), 0);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "inner");
	assert_int_equal(tevent_loop_once(ev), 0);
	note("outer");
}

static void p07_re_initialise_forgets_the_levels(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, start_over_and_nest, NULL);
	tevent_loop_once(ev);
	assert_notes("inner outer");
}

static void timer_nests(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *p)
{
	(void)te, (void)now, (void)p;
	note("begin");
	assert_int_equal(tevent_loop_once(ev), 0);
	note("end");
}

static void immediate_nests(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)im, (void)p;
	note("begin");
	assert_int_equal(tevent_loop_once(ev), 0);
	note("end");
}

static void p08_a_nested_loop_runs_the_next_timer_or_immediate(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_loop_allow_nesting(ev);
	tevent_add_timer(ev, ev, ZERO_TIME, timer_nests, NULL);
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "timer");
	once(ev);
	assert_notes("begin timer end");
	forget_notes();
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, immediate_nests, NULL);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	once(ev);
	assert_notes("begin im end");
}

static void fd_nests(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *p)
{
	int *left = p;

	(void)fde, (void)flags;
	note("begin");
	if ((*left)-- > 0)
		assert_int_equal(tevent_loop_once(ev), 0);
	note("end");
}

static void p08_a_descriptor_is_entered_again(void **state)
{
	struct tevent_context *ev = context();
	int fds[2], left = 1;

	(void)state;
	tevent_loop_allow_nesting(ev);
	make_pipe(fds);
	poke(fds[1]);
	tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, fd_nests, &left);
	once(ev);
	assert_notes("begin begin end end");
}

static void signal_nests(struct tevent_context *ev, struct tevent_signal *se, int signum, int count,
	void *siginfo, void *p)
{
	int *left = p;

	(void)se, (void)count, (void)siginfo;
	note("begin");
	if ((*left)-- > 0) {
		raise(signum);
		assert_int_equal(tevent_loop_once(ev), 0);
	}
	note("end");
}

static void p08_a_signal_is_entered_again(void **state)
{
	struct tevent_context *ev = context();
	int left = 1;

	(void)state;
	tevent_loop_allow_nesting(ev);
	tevent_add_signal(ev, ev, SIGUSR1, 0, signal_nests, &left);
	raise(SIGUSR1);
	once(ev);
	assert_memory_equal(notes(), "begin begin end end", strlen("begin begin end end"));
}

static void note_point(enum tevent_trace_point point, void *unused)
{
	(void)unused;
	note("%d", point);
}

static bool enough(void *p)
{
	int *left = p;

	return (*left)-- <= 0;
}

static void p09_trace_points_come_in_order(void **state)
{
	struct tevent_context *ev = context();
	tevent_trace_callback_t callback = NULL;
	void *data = NULL;
	int fds[2];

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	tevent_set_trace_callback(ev, note_point, ev);
	tevent_get_trace_callback(ev, &callback, &data);
	assert_ptr_equal(callback, note_point);
	assert_ptr_equal(data, ev);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "fd");
	once(ev);
	assert_notes("2 im 3");
	forget_notes();
	once(ev);
	assert_notes("2 0 1 fd 3");
}

static void p09_each_turn_of_loop_until_is_traced(void **state)
{
	struct tevent_context *ev = context();
	int left = 2;

	(void)state;
	tevent_set_trace_callback(ev, note_point, NULL);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	assert_int_equal(tevent_loop_until(ev, enough, &left), 0);
	assert_notes("2 im 3 2 im 3");
	/* Asked before the first turn, which therefore does not come. */
	left = 0;
	forget_notes();
	assert_int_equal(tevent_loop_until(ev, enough, &left), 0);
	assert_notes("");
}

static const struct point_test tests[] = {
	BOTH(p01_one_unit_of_work_a_turn_by_class),
	BOTH(p01_one_descriptor_a_turn),
	BOTH(p01_a_signal_comes_before_the_next_immediate),
	BOTH(p01_a_signal_waits_while_no_context_with_signals_loops),
	BOTH(p02_an_immediate_that_comes_again_starves_the_rest),
	BOTH(p02_a_timer_that_is_always_due_starves_descriptors),
	BOTH(p03_a_timer_that_the_wait_was_for_fires_in_the_same_turn),
	BOTH(p03_only_one_timer_after_the_wait),
	BOTH(p03_an_interrupted_wait_is_a_turn),
	BOTH(p03_an_interrupted_wait_runs_the_signal_handlers),
	BOTH(p04_the_wait_is_rounded_up),
	NEWER(p05_without_timers_a_wait_lasts_thirty_seconds),
	NEWER(p05_wait_timeout_zero_is_a_poll),
	NEWER(p05_wait_timeout_zero_does_not_wait_for_a_timer),
	NEWER(p05_a_wait_timeout_of_a_second_ends_the_turn),
	BOTH(p06_loop_wait_of_an_empty_context_is_over_at_once),
	BOTH(p06_loop_wait_runs_everything),
	BOTH(p06_the_wake_descriptor_keeps_nothing_alive),
	BOTH(p06_signals_proxies_and_descriptors_keep_the_loop_alive),
	NEWER(p06_a_disabled_descriptor_keeps_nothing_alive),
	BOTH(p07_nesting_without_allow_aborts),
	BOTH(p07_an_abort_that_returns_is_eloop),
	MENDED(p07_the_level_is_back_after_that_abort),
	BOTH(p07_the_nesting_hook_brackets_each_level),
	BOTH(p07_a_hook_replaces_the_result),
	BOTH(p07_a_hook_replaces_the_result_at_the_end_too),
	BOTH(p07_a_second_hook_aborts),
	BOTH(p07_re_initialise_keeps_nesting_and_drops_the_hook),
	BOTH(p07_re_initialise_forgets_the_levels),
	BOTH(p08_a_nested_loop_runs_the_next_timer_or_immediate),
	BOTH(p08_a_descriptor_is_entered_again),
	BOTH(p08_a_signal_is_entered_again),
	BOTH(p09_trace_points_come_in_order),
	BOTH(p09_each_turn_of_loop_until_is_traced),
};

POINTS_MAIN(tests)
