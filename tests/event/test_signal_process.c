/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: dispositions and forks: what signals share with the whole process. */
#include "event/watch.h"
#include "core/core.h"

static void each_context_gets_its_own(void **state)
{
	struct talev_context *ev[3];
	struct watch w[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};

	for (int i = 0; i < 3; i++) {
		ev[i] = test_context(*state);
		watch(ev[i], &w[i], ONE);
	}
	send(ONE, 0);
	send(ONE, 0);
	assert_ok(test_once(ev[1]));
	assert_notes("b");
	assert_ok(test_once(ev[0]));
	talloc_free(ev[0]);
	assert_ok(test_once(ev[2]));
	assert_notes("b a c");
	for (int i = 0; i < 3; i++)
		assert_int_equal(w[i].count, 2);
	send(ONE, 0);
	assert_ok(test_once(ev[2]));
	assert_int_equal(w[2].count, 3);
}

static volatile sig_atomic_t own_calls;

static void own_handler(int signum)
{
	(void)signum;
	own_calls++;
}

static void last_watcher_restores_the_disposition(void **state)
{
	struct talev_context *one = test_context(*state);
	struct talev_context *two = test_context(*state);
	struct sigaction own = {.sa_handler = own_handler, .sa_flags = SA_NODEFER};
	struct sigaction before, now;
	struct watch a = {0}, b = {0};

	sigaddset(&own.sa_mask, SIGUSR2);
	assert_ok(sigaction(SIGUSR1, &own, &before));
	own_calls = 0;
	watch(one, &a, SIGUSR1);
	watch(two, &b, SIGUSR1);
	raise(SIGUSR1);
	assert_int_equal(own_calls, 0);
	talloc_free(one);
	raise(SIGUSR1);
	assert_int_equal(own_calls, 0);
	talloc_free(b.se);
	raise(SIGUSR1);
	assert_int_equal(own_calls, 1);
	assert_ok(sigaction(SIGUSR1, &before, &now));
	assert_ptr_equal(now.sa_handler, own_handler);
	assert_true(now.sa_flags & SA_NODEFER);
	assert_true(sigismember(&now.sa_mask, SIGUSR2));
}

static void disposition_that_the_program_took_back_stays(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch w = {0};

	watch(ev, &w, SIGUSR1);
	signal(SIGUSR1, own_handler);
	talloc_free(w.se);
	own_calls = 0;
	raise(SIGUSR1);
	assert_int_equal(own_calls, 1);
	signal(SIGUSR1, SIG_DFL);
}

static void first_watcher_decides_the_kernels_flags(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch a = {0}, b = {0};
	struct sigaction now;

	a.se = talev_add_signal(ev, NULL, ONE, SA_RESTART, on_signal, &a);
	b.se = talev_add_signal(ev, NULL, ONE, SA_SIGINFO | SA_NOCLDSTOP, on_info, &b);
	assert_non_null(a.se);
	assert_non_null(b.se);
	assert_ok(sigaction(ONE, NULL, &now));
	assert_true(now.sa_flags & SA_RESTART);
	assert_false(now.sa_flags & SA_NOCLDSTOP);
	send(ONE, 1);
	run_pending(ev);
	assert_int_equal(a.calls + b.calls, 2);
}

struct forked {
	struct talev_context *ev;
	struct watch *watch;
};

static void raise_in_child(void *arg)
{
	struct forked *forked = arg;

	send(ONE, 2);
	run_pending(forked->ev);
	assert_int_equal(forked->watch->calls, 1);
	assert_int_equal(forked->watch->values[0], 2);
	send(ONE, 3);
	assert_ok(test_once(forked->ev));
	assert_int_equal(forked->watch->calls, 2);
}

static void signals_of_a_forked_child_are_its_own(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch w = {0};
	struct forked forked = {ev, &w};
	struct core_wake *wake;
	uint64_t count;

	watch_info(ev, &w, ONE);
	run_pending(ev);
	assert_int_equal(test_in_child(raise_in_child, &forked), 0);
	wake = core_wake_get(ev);
	assert_int_equal(read(wake->fd, &count, sizeof(count)), -1);
	assert_int_equal(errno, EAGAIN);
	wake_unref(wake);
	run_pending(ev);
	assert_int_equal(w.calls, 0);
	send(ONE, 4);
	run_pending(ev);
	assert_int_equal(w.calls, 1);
}

static void re_initialise_in_child(void *arg)
{
	struct forked *forked = arg;
	struct sigaction now;
	struct watch w = {0};

	assert_ok(talev_re_initialise(forked->ev));
	assert_ok(sigaction(ONE, NULL, &now));
	assert_ptr_equal(now.sa_handler, SIG_DFL);
	watch_info(forked->ev, &w, ONE);
	run_pending(forked->ev);
	assert_int_equal(w.calls, 0);
	assert_int_equal(forked->watch->calls, 0);
	send(ONE, 9);
	run_pending(forked->ev);
	assert_int_equal(w.calls, 1);
}

static void inherited_arrivals_are_dropped_by_re_initialise(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch w = {0};
	struct forked forked = {ev, &w};

	watch_info(ev, &w, ONE);
	send(ONE, 1);
	assert_int_equal(test_in_child(re_initialise_in_child, &forked), 0);
	run_pending(ev);
	assert_int_equal(w.calls, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_context_gets_its_own),
		TEST(last_watcher_restores_the_disposition),
		TEST(disposition_that_the_program_took_back_stays),
		TEST(first_watcher_decides_the_kernels_flags),
		TEST(signals_of_a_forked_child_are_its_own),
		TEST(inherited_arrivals_are_dropped_by_re_initialise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
