/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: what the kernel delivered is not lost, however much, from many threads. */
#include "event/watch.h"
#include <pthread.h>
#include <stdatomic.h>
#include "event/sigring.h"

#define THREADS    4
#define PER_THREAD 2000

/* Valgrind and ThreadSanitizer do not give a handler the mask that it returns to. */
static bool can_hold_back(void)
{
	const char *preload = getenv("LD_PRELOAD");

#ifdef __SANITIZE_THREAD__
	return false;
#endif
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

/* How many of n were sent, values from 0: the kernel keeps only so many for a user. */
static int send_until_refused(int n)
{
	for (int i = 0; i < n; i++) {
		if (sigqueue(getpid(), ONE, (union sigval){.sival_int = i}) == 0)
			continue;
		assert_int_equal(errno, EAGAIN);
		return i;
	}
	assert_ok(kill(getpid(), 0));
	return n;
}

static void ten_thousand_queued_signals_arrive_in_order(void **state)
{
	struct talev_context *ev = test_context(*state);
	int n = can_hold_back() ? 10000 : 900;
	struct storm storms[2] = {0};
	struct watch a = {.act = expect_next, .arg = &storms[0]};
	struct watch b = {.act = expect_next, .arg = &storms[1]};

	watch_info(ev, &a, ONE);
	watch_info(ev, &b, ONE);
	n = send_until_refused(n);
	assert_true(n > (int)SIGRING_SIZE || !can_hold_back());
	storms[0].last = n;
	storms[1].last = n - 1;
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
	for (int i = 0; i < 2000; i++)
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
			assert_int_equal(sigring_put(ring, &info), i + SIGRING_SPARE < SIGRING_SIZE
									   ? SIGRING_OK
									   : SIGRING_NEARLY_FULL);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ten_thousand_queued_signals_arrive_in_order),
		TEST(ten_thousand_signals_are_counted),
		TEST(watcher_freed_in_a_storm_takes_the_storm_with_it),
		TEST(overflow_is_reported_with_its_number),
		TEST(ring_gives_back_what_was_put_in_order),
		TEST(signals_of_many_threads_all_arrive_once),
		TEST(watchers_come_and_go_while_threads_raise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
