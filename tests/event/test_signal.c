/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: Unix signals reach their watchers as ordinary code, each of them, all. */
#include "support/support.h"
#include <pthread.h>
#include <signal.h>
#include "core/core.h"
#include "event/sigring.h"

#define ONE (SIGRTMIN + 3)
#define TWO (SIGRTMIN + 4)

/* What a watcher was told, and what it does then. */
struct watch {
	const char *name;
	struct talev_signal *se;
	int calls;
	int count;
	int signum;
	int values[3];
	void (*act)(struct talev_context *ev, struct watch *watch);
	void *arg;
};

static void on_signal(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *private_data)
{
	struct watch *watch = private_data;

	assert_ptr_equal(se, watch->se);
	assert_null(siginfo);
	watch->signum = signum;
	watch->count += count;
	watch->calls++;
	if (watch->name)
		test_note("%s", watch->name);
	if (watch->act)
		watch->act(ev, watch);
}

static void on_info(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *private_data)
{
	struct watch *watch = private_data;
	const siginfo_t *info = siginfo;
	int value = info->si_value.sival_int;

	assert_ptr_equal(se, watch->se);
	assert_int_equal(count, 1);
	assert_int_equal(info->si_signo, signum);
	if (watch->calls < 3)
		watch->values[watch->calls] = value;
	watch->calls++;
	if (watch->name)
		test_note("%s%d", watch->name, value);
	if (watch->act)
		watch->act(ev, watch);
	/* The siginfo is this call's, whatever the handler did. */
	assert_int_equal(info->si_value.sival_int, value);
}

static void watch(struct talev_context *ev, struct watch *w, int signum)
{
	w->se = talev_add_signal(ev, NULL, signum, 0, on_signal, w);
	assert_non_null(w->se);
}

static void watch_info(struct talev_context *ev, struct watch *w, int signum)
{
	w->se = talev_add_signal(ev, NULL, signum, SA_SIGINFO, on_info, w);
	assert_non_null(w->se);
}

/* Valgrind delivers at the next call that may have sent one, and does not count sigqueue(3). */
static void send(int signum, int value)
{
	assert_ok(sigqueue(getpid(), signum, (union sigval){.sival_int = value}));
	assert_ok(kill(getpid(), 0));
}

/* Until nothing has come that was not told. */
static void run_pending(struct talev_context *ev)
{
	while (talev_loop_nowait(ev) == 0)
		;
	assert_int_equal(errno, EAGAIN);
}

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

static void break_loop(struct talev_context *ev, struct watch *w)
{
	(void)w;
	talev_loop_break(ev);
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

/* Valgrind does not give a handler the mask that it returns to. */
static bool can_hold_back(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return !preload || !strstr(preload, "vgpreload");
}

struct storm {
	int next;
	int last;
};

static void expect_next(struct talev_context *ev, struct watch *w)
{
	struct storm *storm = w->arg;

	assert_int_equal(w->values[0], storm->next);
	w->calls = 0;
	if (storm->next++ == storm->last)
		talev_loop_break(ev);
}

static bool is_blocked(int signum)
{
	sigset_t mask;

	assert_ok(pthread_sigmask(SIG_SETMASK, NULL, &mask));
	return sigismember(&mask, signum);
}

static void ten_thousand_queued_signals_arrive_in_order(void **state)
{
	struct talev_context *ev = test_context(*state);
	int n = can_hold_back() ? 10000 : 900;
	struct storm storms[2] = {{0, n}, {0, n - 1}};
	struct watch a = {.act = expect_next, .arg = &storms[0]};
	struct watch b = {.act = expect_next, .arg = &storms[1]};

	watch_info(ev, &a, ONE);
	watch_info(ev, &b, ONE);
	for (int i = 0; i < n; i++)
		send(ONE, i);
	assert_ok(test_run(ev));
	assert_int_equal(storms[0].next, n);
	assert_int_equal(storms[1].next, n);
	assert_false(is_blocked(ONE));
}

static void ten_thousand_signals_are_counted(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch w = {0};

	watch(ev, &w, ONE);
	for (int i = 0; i < 10000; i++)
		raise(ONE);
	assert_ok(test_once(ev));
	assert_int_equal(w.calls, 1);
	assert_int_equal(w.count, 10000);
	assert_false(is_blocked(ONE));
}

/* What the kernel keeps because the ring is full must not hit the old disposition: it would end
 * the process. */
static void watcher_freed_in_a_storm_takes_the_storm_with_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct watch w = {0};

	if (!can_hold_back())
		skip();
	watch_info(ev, &w, ONE);
	for (int i = 0; i < 3000; i++)
		send(ONE, i);
	assert_true(is_blocked(ONE));
	talloc_free(w.se);
	assert_false(is_blocked(ONE));
	assert_int_equal(w.calls, 0);

	watch_info(ev, &w, ONE);
	send(ONE, 42);
	run_pending(ev);
	assert_int_equal(w.calls, 1);
	assert_int_equal(w.values[0], 42);
}

/* A context whose loop does not run cannot hold up the others; what it loses is told. */
static void overflow_is_reported_with_its_number(void **state)
{
	struct talev_context *busy = test_context(*state);
	struct talev_context *lazy = test_context(*state);
	struct watch a = {0}, b = {0};
	int n = SIGRING_SIZE + 100;

	watch_info(busy, &a, ONE);
	watch_info(lazy, &b, ONE);
	test_log_capture();
	for (int i = 0; i < n; i++) {
		send(ONE, i);
		run_pending(busy);
	}
	run_pending(busy);
	assert_int_equal(a.calls, n);
	run_pending(lazy);
	assert_int_equal(b.calls, SIGRING_SIZE);
	assert_true(test_log_contains("siginfo of 100 arrivals is lost"));
	assert_int_equal(test_log_count("lost"), 1);

	send(ONE, 1);
	run_pending(lazy);
	assert_int_equal(b.calls, SIGRING_SIZE + 1);
	assert_int_equal(test_log_count("lost"), 1);
}

static void ring_gives_back_what_was_put_in_order(void **state)
{
	struct sigring *ring = sigring_create();
	siginfo_t info = {0};
	unsigned position;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < SIGRING_SIZE; i++) {
			info.si_value.sival_int = (int)i;
			assert_int_equal(sigring_put(ring, &info),
				i + SIGRING_SPARE < SIGRING_SIZE ? SIGRING_OK : SIGRING_NEARLY_FULL);
		}
		assert_int_equal(sigring_put(ring, &info), SIGRING_FULL);
		for (unsigned i = 0; i < SIGRING_SIZE; i++) {
			assert_true(sigring_get(ring, sigring_head(ring), &info, &position));
			assert_int_equal(info.si_value.sival_int, i);
			assert_int_equal(position, round * SIGRING_SIZE + i);
		}
		assert_false(sigring_get(ring, sigring_head(ring), &info, &position));
	}
	free(ring);
}

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
	struct watch w[3] = {{.name = "a", .act = free_tree, .arg = tree}, {.name = "b"},
		{.name = "c"}};

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

#define THREADS  4
#define PER_THREAD 2000

static void *send_many(void *arg)
{
	int first = *(int *)arg * PER_THREAD;

	for (int i = 0; i < PER_THREAD; i++) {
		/* EAGAIN: the kernel's queue for this user is full; the loop makes room. */
		while (sigqueue(getpid(), ONE, (union sigval){.sival_int = first + i}) != 0)
			assert_int_equal(errno, EAGAIN);
	}
	return NULL;
}

struct crowd {
	char seen[THREADS * PER_THREAD];
	int left;
};

static void see(struct talev_context *ev, struct watch *w)
{
	struct crowd *crowd = w->arg;

	w->calls = 0;
	assert_false(crowd->seen[w->values[0]]);
	crowd->seen[w->values[0]] = 1;
	if (--crowd->left == 0)
		talev_loop_break(ev);
}

static void signals_of_many_threads_all_arrive_once(void **state)
{
	struct talev_context *ev = test_context(*state);
	static struct crowd crowd;
	struct watch w = {.act = see, .arg = &crowd}, count = {0};
	pthread_t threads[THREADS];
	int number[THREADS];

	if (!can_hold_back())
		skip();
	crowd = (struct crowd){.left = THREADS * PER_THREAD};
	watch(ev, &count, ONE);
	watch_info(ev, &w, ONE);
	for (int i = 0; i < THREADS; i++) {
		number[i] = i;
		assert_ok(pthread_create(&threads[i], NULL, send_many, &number[i]));
	}
	assert_ok(test_run(ev));
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(crowd.left, 0);
	run_pending(ev);
	assert_int_equal(count.count, THREADS * PER_THREAD);
}

static atomic_bool stop_raising;

static void *raise_always(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop_raising))
		raise(SIGUSR1);
	return NULL;
}

/* A handler on another thread may be in the middle of what is taken away. */
static void watchers_come_and_go_while_threads_raise(void **state)
{
	struct talev_context *ev = test_context(*state);
	pthread_t threads[2];
	int rounds = test_is_slow() ? 300 : 3000;
	void (*before)(int) = signal(SIGUSR1, SIG_IGN);

	atomic_store(&stop_raising, false);
	for (int i = 0; i < 2; i++)
		assert_ok(pthread_create(&threads[i], NULL, raise_always, NULL));
	for (int i = 0; i < rounds; i++) {
		struct watch a = {0}, b = {0};

		watch(ev, &a, SIGUSR1);
		watch_info(ev, &b, SIGUSR1);
		if (i % 3 == 0)
			(void)talev_loop_nowait(ev);
		talloc_free(a.se);
		talloc_free(b.se);
	}
	atomic_store(&stop_raising, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	signal(SIGUSR1, before);
	/* What a handler was looking at when it was taken away goes with the next call. */
	talloc_free(talev_add_signal(ev, NULL, ONE, 0, on_signal, NULL));
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
		TEST(without_siginfo_one_call_tells_how_many_came),
		TEST(with_siginfo_each_arrival_is_a_call_in_order),
		TEST(watchers_are_told_in_the_order_they_were_added),
		TEST(signal_goes_before_everything_else),
		TEST(signal_right_before_the_wait_ends_it),
		TEST(signal_interrupts_a_waiting_loop),
		TEST(arrival_keeps_errno),
		TEST(ten_thousand_queued_signals_arrive_in_order),
		TEST(ten_thousand_signals_are_counted),
		TEST(watcher_freed_in_a_storm_takes_the_storm_with_it),
		TEST(overflow_is_reported_with_its_number),
		TEST(ring_gives_back_what_was_put_in_order),
		TEST(freeing_itself_in_the_handler),
		TEST(freeing_the_next_of_the_same_number_in_a_handler),
		TEST(freeing_the_previous_of_the_same_number_in_a_handler),
		TEST(freeing_all_of_a_number_in_a_handler),
		TEST(freeing_a_watcher_of_another_number_in_a_handler),
		TEST(freeing_the_context_in_a_handler),
		TEST(freeing_the_context_in_the_handler_of_a_signal_outside_it),
		TEST(watcher_added_in_a_handler_is_told_of_later_arrivals_only),
		TEST(watcher_is_not_told_of_arrivals_before_it_was_added),
		TEST(arrivals_are_lost_to_a_disabled_watcher),
		TEST(enabled_watcher_keeps_the_loop_running),
		TEST(nested_loop_goes_on_where_the_outer_one_was),
		TEST(freeing_the_context_in_a_nested_handler),
		TEST(break_leaves_the_rest_for_the_next_call),
		TEST(signal_raised_in_its_handler_is_for_another_turn),
		TEST(each_context_gets_its_own),
		TEST(last_watcher_restores_the_disposition),
		TEST(disposition_that_the_program_took_back_stays),
		TEST(first_watcher_decides_the_kernels_flags),
		TEST(wrong_arguments_are_refused),
		TEST(no_memory_is_an_error_and_leaves_nothing),
		TEST(signals_of_many_threads_all_arrive_once),
		TEST(watchers_come_and_go_while_threads_raise),
		TEST(signals_of_a_forked_child_are_its_own),
		TEST(inherited_arrivals_are_dropped_by_re_initialise),
		TEST(re_initialise_in_a_handler_ends_the_telling),
		TEST(finalizing_the_context_in_a_handler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
