/* SPDX-License-Identifier: BSD-2-Clause */
/* Re-arming, fairness, timers and clocks in the loops of a manager: contract rows L7, L8, L10. */
#include <talev/histogram.h>
#include "loops/kit.h"

static unsigned count;

/* L7 */

static void rearm(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	if (++count == 1)
		test_alloc_fail_at(0);
	if (count == 1000000) {
		unsigned long allocated = test_alloc_count();

		if (test_alloc_works())
			assert_int_equal(allocated, 0);
		talloc_free(im);
		stop_loops(data, NULL);
		return;
	}
	assert_ok(talev_schedule_immediate(im, ev, rearm, data));
	/* While it is queued: it goes to the tail, and runs once. */
	if (count % 1000 == 0)
		assert_ok(talev_schedule_immediate(im, ev, rearm, data));
}

static void begin_rearming(struct talev_loop *loop, void *data)
{
	struct talev_immediate *im = talev_create_immediate(talev_loop_context(loop));

	(void)data;
	count = 0;
	assert_ok(talev_schedule_immediate(im, talev_loop_context(loop), rearm, loop));
}

static void l07_a_job_arms_itself_a_million_times_without_memory(void **state)
{
	struct talev_loops *loops = make_loops(1);

	(void)state;
	assert_ok(talev_loops_setup(loops, begin_rearming, NULL));
	test_loops(loops);
	assert_int_equal(count, 1000000);
}

/*
 * L8: three that go on for ever by themselves, and beside them a 10 ms timer and a ping-pong. How
 * long those wait is counted in handlers of the greedy ones, since the machine is not ours alone:
 * between the moment that the timer is due, or the byte is written, and its handler. A turn runs at
 * most 64 immediates and 64 timers more than there were when it began, and the calls of one go.
 */
#define TURN (64 + 64 + 256 + 16)

struct greedy {
	struct talev_loop *loop;
	TALLOC_CTX *held; /* what the loop would wait for */
	int fds[2];
	unsigned ticks;
	unsigned pings;
	talev_time_t due;
	unsigned since_due;
	unsigned since_ping;
	unsigned each[3]; /* how often the greedy ones ran */
	struct talev_histogram *timer_waits;
	struct talev_histogram *ping_waits;
};

static struct greedy greedy;

static bool goes_on(unsigned which)
{
	greedy.each[which]++;
	greedy.since_ping++;
	if (talev_now(talev_loop_context(greedy.loop)) >= greedy.due)
		greedy.since_due++;
	return !talev_loop_shutting_down(greedy.loop);
}

static void greedy_immediate(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	if (goes_on(0))
		assert_ok(talev_schedule_immediate(im, ev, greedy_immediate, data));
}

static void greedy_async(struct talev_loop *loop, void *data)
{
	(void)data;
	if (goes_on(1))
		assert_ok(talev_async_run(loop, greedy_async, NULL));
}

static void greedy_timer(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)now;
	(void)data;
	if (goes_on(2))
		assert_ok(talev_timer_start(te, 0));
}

static void finish(void)
{
	if (greedy.ticks >= scaled(100, 20) && greedy.pings >= 1000 &&
		!talev_loop_shutting_down(greedy.loop)) {
		talloc_free(greedy.held);
		stop_loops(greedy.loop, NULL);
	}
}

static void timely(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)now;
	(void)data;
	talev_histogram_add(greedy.timer_waits, greedy.since_due);
	greedy.since_due = 0;
	greedy.due = talev_timer_get_deadline(te);
	greedy.ticks++;
	finish();
}

static void pong(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *data)
{
	char byte;
	int fd = talev_fd_get_fd(fde);

	(void)ev;
	(void)flags;
	(void)data;
	if (read(fd, &byte, 1) != 1)
		return;
	greedy.pings++;
	talev_histogram_add(greedy.ping_waits, greedy.since_ping);
	greedy.since_ping = 0;
	assert_int_equal(write(fd, &byte, 1), 1);
	finish();
}

static void begin_greed(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	TALLOC_CTX *parent = talloc_new(ev);
	struct talev_timer *te;

	(void)data;
	greedy = (struct greedy){.loop = loop, .held = parent};
	greedy.timer_waits = talev_histogram_create(test_root());
	greedy.ping_waits = talev_histogram_create(test_root());
	test_socketpair(greedy.fds);
	for (int i = 0; i < 2; i++) {
		struct talev_fd *fde =
			talev_add_fd(ev, parent, greedy.fds[i], TALEV_FD_READ, pong, NULL);

		assert_non_null(fde);
		assert_ok(talev_fd_set_auto_close(fde));
	}
	test_poke(greedy.fds[0]);
	te = talev_add_ticker(ev, parent, TALEV_MSEC(10), timely, NULL);
	assert_non_null(te);
	greedy.due = talev_timer_get_deadline(te);
	assert_non_null(talev_add_timer(ev, NULL, talev_now(ev), greedy_timer, NULL));
	assert_ok(talev_schedule_immediate(talev_create_immediate(ev), ev, greedy_immediate, NULL));
	assert_ok(talev_async_run(loop, greedy_async, NULL));
}

static void l08_nobody_starves_beside_three_that_never_rest(void **state)
{
	struct talev_loops *loops = make_loops(1);
	int timer_waits;
	int ping_waits;

	(void)state;
	assert_ok(talev_loops_setup(loops, begin_greed, NULL));
	test_loops(loops);
	timer_waits = (int)talev_histogram_quantile(greedy.timer_waits, 0.99);
	ping_waits = (int)talev_histogram_quantile(greedy.ping_waits, 0.99);
	print_message("# greedy %u %u %u; handlers waited for at the 99th percentile: timer %d, "
		      "socket %d\n",
		greedy.each[0], greedy.each[1], greedy.each[2], timer_waits, ping_waits);
	assert_in_range(timer_waits, 0, TURN);
	assert_in_range(ping_waits, 0, TURN);
	for (int i = 0; i < 3; i++)
		assert_true(greedy.each[i] > 0);
}

/* L10 */

static talev_time_t deadlines[8];
static unsigned order[8];

static void in_order(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	unsigned index = (unsigned)(uintptr_t)data;

	(void)te;
	assert_true(now >= deadlines[index]);
	assert_true(talev_now(ev) >= deadlines[index]);
	order[count++] = index;
	if (count == 8)
		stop_loops(talev_loop_current(), NULL);
}

/* Busy until all of them are due: the latest deadline was set first. */
static void set_and_be_busy(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	talev_time_t now = talev_now(ev);

	(void)data;
	count = 0;
	for (unsigned i = 0; i < 8; i++) {
		deadlines[i] = now + TALEV_MSEC(i < 4 ? 20 : 10);
		assert_non_null(
			talev_add_timer(ev, NULL, deadlines[i], in_order, (void *)(uintptr_t)i));
	}
	while (talev_now(ev) < now + TALEV_MSEC(200)) {
	}
}

static void l10_after_a_busy_handler_timers_are_in_order_and_not_early(void **state)
{
	const unsigned wanted[8] = {4, 5, 6, 7, 0, 1, 2, 3};
	struct talev_loops *loops = make_loops(1);

	(void)state;
	assert_ok(talev_async_run(talev_loops_main(loops), set_and_be_busy, NULL));
	test_loops(loops);
	assert_memory_equal(order, wanted, sizeof(wanted));
}

/* One loop has a timer that is due and waits; the other one cancels it. */
static struct talev_ref *ref;
static sem_t has_ref;
static sem_t cancelled;

static void must_not_run(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)te;
	(void)now;
	(void)data;
	demand(false);
}

static void wait_with_a_due_timer(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	struct talev_timer *te = talev_add_timer(ev, NULL, talev_now(ev), must_not_run, NULL);

	(void)data;
	demand(te != NULL);
	ref = talev_ref_create(ev, ev, te);
	demand(ref != NULL);
	gate_open(&has_ref);
	gate_wait(&cancelled);
	talev_loops_shutdown(talev_loop_loops(loop));
}

static void cancel_it(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	gate_wait(&has_ref);
	demand(talev_ref_cancel(ref) == TALEV_REF_IDLE);
	gate_open(&cancelled);
}

static void l10_another_thread_suppresses_a_timer_that_is_due(void **state)
{
	struct talev_loops *loops = make_loops(2);

	(void)state;
	sem_init(&has_ref, 0, 0);
	sem_init(&cancelled, 0, 0);
	assert_ok(talev_async_run(talev_loops_main(loops), wait_with_a_due_timer, NULL));
	assert_ok(talev_async_run(talev_loops_get(loops, 1), cancel_it, NULL));
	test_loops(loops);
	sem_destroy(&has_ref);
	sem_destroy(&cancelled);
}

static void again_or_gone(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)now;
	(void)data;
	count++;
	if (count == 1) {
		assert_ok(talev_timer_start(te, TALEV_MSEC(5)));
		assert_ok(talev_timer_start(te, TALEV_MSEC(1)));
		/* Down, and up again. */
		assert_ok(talev_timer_start(te, TALEV_MSEC(2)));
	} else if (count == 2) {
		assert_ok(talev_timer_start(te, 0));
	} else {
		talloc_free(te);
		stop_loops(talev_loop_current(), NULL);
	}
}

static void begin_again(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);

	(void)data;
	count = 0;
	assert_null_errno(talev_add_ticker(ev, NULL, 0, again_or_gone, NULL), EINVAL);
	assert_non_null(talev_add_timer(ev, NULL, talev_now(ev), again_or_gone, NULL));
}

static void l10_timers_are_started_again_and_freed_in_their_handlers(void **state)
{
	struct talev_loops *loops = make_loops(1);

	(void)state;
	assert_ok(talev_loops_setup(loops, begin_again, NULL));
	test_loops(loops);
	assert_int_equal(count, 3);
}

/* A delay of 0 is the next turn: never the one that asks. */
static void zero_again(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)now;
	(void)data;
	if (++count < 5)
		assert_ok(talev_timer_start(te, 0));
}

static void l10_a_delay_of_zero_is_the_next_turn(void **state)
{
	struct talev_context *ev = test_context(test_root());

	(void)state;
	count = 0;
	assert_non_null(talev_add_timer(ev, NULL, talev_now(ev), zero_again, NULL));
	for (unsigned i = 1; i <= 5; i++) {
		assert_ok(test_once(ev));
		assert_int_equal(count, i);
	}
	talloc_free(ev);
}

/* A ticker that is late skips what it has missed, says how much that was, and is back in step. */
static talev_time_t first;
static uint64_t passed;

static void late_tick(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)data;
	assert_true(now >= first + (talev_time_t)passed * TALEV_MSEC(1));
	passed += 1 + talev_timer_get_missed(te);
	assert_int_equal(
		talev_timer_get_deadline(te), first + (talev_time_t)passed * TALEV_MSEC(1));
	if (++count < 5) {
		/* Three and a half: three more have passed when the next one is told. */
		talev_time_t until =
			first + (talev_time_t)passed * TALEV_MSEC(1) + TALEV_USEC(3500);

		while (talev_now(ev) < until) {
		}
		return;
	}
	assert_true(passed >= 5 + 4 * 3);
	talloc_free(te);
	stop_loops(talev_loop_current(), NULL);
}

static void begin_to_tick(struct talev_loop *loop, void *data)
{
	struct talev_timer *te;

	(void)data;
	count = 0;
	passed = 0;
	te = talev_add_ticker(talev_loop_context(loop), NULL, TALEV_MSEC(1), late_tick, NULL);
	first = talev_timer_get_deadline(te);
}

static void l10_a_late_ticker_skips_and_does_not_drift(void **state)
{
	struct talev_loops *loops = make_loops(1);

	(void)state;
	assert_ok(talev_loops_setup(loops, begin_to_tick, NULL));
	test_loops(loops);
	assert_int_equal(count, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(l07_a_job_arms_itself_a_million_times_without_memory),
		TEST(l08_nobody_starves_beside_three_that_never_rest),
		TEST(l10_after_a_busy_handler_timers_are_in_order_and_not_early),
		TEST(l10_another_thread_suppresses_a_timer_that_is_due),
		TEST(l10_timers_are_started_again_and_freed_in_their_handlers),
		TEST(l10_a_delay_of_zero_is_the_next_turn),
		TEST(l10_a_late_ticker_skips_and_does_not_drift),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
