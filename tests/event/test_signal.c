/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: Unix signals reach their watchers as ordinary code, each of them, all. */
#include "event/watch.h"
#include <pthread.h>

static void without_siginfo_one_call_tells_how_many_came(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch w = {0};

	watch(ev, &w, SIGUSR1);
	for (int i = 0; i < 3; i++)
		raise(SIGUSR1);
	assert_int_equal(w.calls, 0);
	assert_ok(test_once(ev));
	assert_int_equal(w.calls, 1);
	assert_int_equal(w.count, 3);
	assert_int_equal(w.signum, SIGUSR1);
	assert_int_equal(talev_signal_get_signum(w.se), SIGUSR1);
	assert_errno(talev_loop_nowait(ev), EAGAIN);
}

static void with_siginfo_each_arrival_is_a_call_in_order(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch w = {.name = "v"};

	watch_info(ev, &w, ONE);
	for (int i = 7; i < 10; i++)
		send(ONE, i);
	assert_ok(test_once(ev));
	assert_notes("v7 v8 v9");
}

static void watchers_are_told_in_the_order_they_were_added(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a"}, b = {.name = "b"}, c = {.name = "c"}, d = {.name = "d"};

	watch_info(ev, &a, ONE);
	watch(ev, &b, ONE);
	watch_info(ev, &c, ONE);
	watch(ev, &d, ONE);
	send(ONE, 1);
	send(ONE, 2);
	assert_ok(test_once(ev));
	assert_notes("a1 b c1 d a2 c2");
	assert_int_equal(b.count, 2);
}

static void signal_goes_before_everything_else(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch w = {.name = "signal"};

	watch(ev, &w, ONE);
	raise(ONE);
	for (int i = 0; i < 3; i++)
		assert_non_null(talev_add_timer(ev, NULL, 0, (talev_timer_handler_t)abort, NULL));
	assert_ok(test_once(ev));
	assert_notes("signal");
}

static void raise_before_wait(
	struct talev_context *ev, enum talev_trace_point point, void *source, void *private_data)
{
	(void)ev;
	(void)source;
	(void)private_data;
	if (point == TALEV_TRACE_BEFORE_WAIT)
		send(ONE, 0);
}

/* The classic race: after the last look at what is pending, before the kernel sleeps. */
static void signal_right_before_the_wait_ends_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch w = {.act = break_loop};

	watch(ev, &w, ONE);
	talev_context_set_trace(ev, raise_before_wait, NULL);
	assert_ok(test_run(ev));
	assert_int_equal(w.calls, 1);
	assert_ok(test_once(ev));
	talev_context_set_trace(ev, NULL, NULL);
}

static void *signal_main_thread(void *arg)
{
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void signal_interrupts_a_waiting_loop(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch w = {.act = break_loop};
	pthread_t self = pthread_self();
	pthread_t other;

	watch(ev, &w, SIGUSR1);
	assert_ok(pthread_create(&other, NULL, signal_main_thread, &self));
	assert_ok(test_run(ev));
	assert_int_equal(w.calls, 1);
	pthread_join(other, NULL);
}

static void arrival_keeps_errno(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch w = {0};

	watch_info(ev, &w, ONE);
	errno = EXDEV;
	raise(ONE);
	assert_int_equal(errno, EXDEV);
	run_pending(ev);
	assert_int_equal(w.calls, 1);
}

static void add_one(struct talev_context *ev, struct watch *w)
{
	watch(ev, w->arg, ONE);
	w->act = NULL;
}

static void watcher_added_in_a_handler_is_told_of_later_arrivals_only(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch late = {.name = "late"};
	struct watch a = {.name = "a", .act = add_one, .arg = &late};

	watch(ev, &a, ONE);
	send(ONE, 0);
	assert_ok(test_once(ev));
	assert_notes("a");
	send(ONE, 0);
	assert_ok(test_once(ev));
	assert_notes("a a late");
	assert_int_equal(late.count, 1);
}

static void watcher_is_not_told_of_arrivals_before_it_was_added(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a"}, b = {.name = "b"}, c = {.name = "c"};

	watch_info(ev, &a, ONE);
	send(ONE, 1);
	watch_info(ev, &b, ONE);
	watch(ev, &c, ONE);
	send(ONE, 2);
	run_pending(ev);
	assert_notes("a1 c a2 b2");
	assert_int_equal(c.count, 1);
}

static void arrivals_are_lost_to_a_disabled_watcher(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {.name = "a"}, b = {.name = "b"}, c = {.name = "c"};

	watch(ev, &a, ONE);
	watch(ev, &b, ONE);
	watch_info(ev, &c, ONE);
	assert_ok(talev_source_set_enabled(b.se, false));
	assert_ok(talev_source_set_enabled(c.se, false));
	assert_false(talev_source_get_enabled(b.se));
	send(ONE, 1);
	run_pending(ev);
	assert_notes("a");
	send(ONE, 2);
	assert_ok(talev_source_set_enabled(b.se, true));
	assert_ok(talev_source_set_enabled(c.se, true));
	send(ONE, 3);
	run_pending(ev);
	assert_notes("a a b c3");
	assert_int_equal(a.count, 3);
	assert_int_equal(b.count, 1);
}

static void enabled_watcher_keeps_the_loop_running(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch w = {0};

	watch(ev, &w, ONE);
	assert_true(talev_have_events(ev));
	assert_ok(talev_source_set_enabled(w.se, false));
	assert_false(talev_have_events(ev));
	assert_ok(test_run(ev));
	assert_ok(talev_source_set_enabled(w.se, true));
	assert_true(talev_have_events(ev));
	talloc_free(w.se);
	assert_false(talev_have_events(ev));
}

static void send_again(struct talev_context *ev, struct watch *w)
{
	(void)ev;
	send(ONE, w->calls + 1);
}

static void signal_raised_in_its_handler_is_for_another_turn(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch w = {.name = "v", .act = send_again};

	watch_info(ev, &w, ONE);
	send(ONE, 1);
	assert_ok(test_once(ev));
	assert_notes("v1");
	assert_ok(test_once(ev));
	assert_notes("v1 v2");
}

static void wrong_arguments_are_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	static const int bad_signals[] = {0, -1, 65, 1000, SIGKILL, SIGSTOP, 32};
	static const int bad_flags[] = {SA_RESETHAND, SA_NODEFER, SA_RESTART | SA_RESETHAND};

	for (size_t i = 0; i < sizeof(bad_signals) / sizeof(bad_signals[0]); i++)
		assert_null_errno(
			talev_add_signal(ev, NULL, bad_signals[i], 0, on_signal, NULL), EINVAL);
	for (size_t i = 0; i < sizeof(bad_flags) / sizeof(bad_flags[0]); i++)
		assert_null_errno(
			talev_add_signal(ev, NULL, ONE, bad_flags[i], on_signal, NULL), EINVAL);
	assert_null_errno(talev_add_signal(ev, NULL, ONE, 0, NULL, NULL), EINVAL);
	assert_null_errno(talev_add_signal(NULL, *state, ONE, 0, on_signal, NULL), EINVAL);
	assert_false(talev_have_events(ev));
}

static void no_memory_is_an_error_and_leaves_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct sigaction now;
	struct watch w = {0};
	unsigned long n;

	if (!test_alloc_works())
		skip();
	for (n = 1;; n++) {
		test_alloc_fail_at(n);
		w.se = talev_add_signal(ev, NULL, ONE, SA_SIGINFO, on_info, &w);
		if (w.se)
			break;
		assert_int_equal(errno, ENOMEM);
		test_alloc_fail_at(0);
		assert_ok(sigaction(ONE, NULL, &now));
		assert_ptr_equal(now.sa_handler, SIG_DFL);
		assert_false(talev_have_events(ev));
	}
	test_alloc_fail_at(0);
	assert_true(n > 3);
	send(ONE, 5);
	run_pending(ev);
	assert_int_equal(w.values[0], 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_siginfo_one_call_tells_how_many_came),
		TEST(with_siginfo_each_arrival_is_a_call_in_order),
		TEST(watchers_are_told_in_the_order_they_were_added),
		TEST(signal_goes_before_everything_else),
		TEST(signal_right_before_the_wait_ends_it),
		TEST(signal_interrupts_a_waiting_loop),
		TEST(arrival_keeps_errno),
		TEST(watcher_added_in_a_handler_is_told_of_later_arrivals_only),
		TEST(watcher_is_not_told_of_arrivals_before_it_was_added),
		TEST(arrivals_are_lost_to_a_disabled_watcher),
		TEST(enabled_watcher_keeps_the_loop_running),
		TEST(signal_raised_in_its_handler_is_for_another_turn),
		TEST(wrong_arguments_are_refused),
		TEST(no_memory_is_an_error_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
