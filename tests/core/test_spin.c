/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: a loop that looks about before it sleeps. */
#include <pthread.h>
#include <semaphore.h>
#include "support/support.h"
#include <talev/proxy.h>
#include "core/context.h"

#define LONG TALEV_SEC(30)

static atomic_int wakes;
static sem_t waiting;

void __real_wake_post(struct core_wake *wake);
void __wrap_wake_post(struct core_wake *wake);

void __wrap_wake_post(struct core_wake *wake)
{
	wakes++;
	__real_wake_post(wake);
}

static bool cannot_spin(void)
{
	return base_cpus() == 1 || test_is_sim();
}

static void tell_that_it_waits(
	struct talev_context *ev, enum talev_trace_point point, void *source, void *private_data)
{
	(void)ev;
	(void)source;
	(void)private_data;
	if (point == TALEV_TRACE_BEFORE_WAIT)
		sem_post(&waiting);
}

static struct talev_context *spinning_context(TALLOC_CTX *mem_ctx, talev_time_t longest)
{
	struct talev_context *ev = test_context(mem_ctx);

	wakes = 0;
	assert_ok(sem_init(&waiting, 0, 0));
	assert_ok(talev_context_set_spin(ev, longest));
	talev_context_set_trace(ev, tell_that_it_waits, NULL);
	return ev;
}

static void arrived(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	(void)im;
	(void)private_data;
	talev_loop_break(ev);
	test_note("arrived");
}

static void *send(void *arg)
{
	struct talev_immediate *im = talev_create_immediate(NULL);
	TALLOC_CTX *data = talloc_new(NULL);

	sem_wait(&waiting);
	assert_ok(talev_thread_proxy_schedule(arg, &im, arrived, &data));
	return NULL;
}

static void who_sends_while_it_spins_need_not_wake_it(void **state)
{
	struct talev_context *ev;
	struct talev_thread_proxy *tp;
	pthread_t thread;

	if (cannot_spin())
		skip();
	ev = spinning_context(*state, LONG);
	tp = talev_thread_proxy_create(ev, NULL);
	assert_non_null(tp);
	assert_ok(pthread_create(&thread, NULL, send, tp));
	assert_ok(test_run(ev));
	assert_ok(pthread_join(thread, NULL));
	assert_notes("arrived");
	assert_int_equal(wakes, 0);
	assert_int_equal(ev->spin_misses, 0);
}

static void readable(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *private_data)
{
	(void)ev;
	(void)flags;
	(void)private_data;
	test_drain(talev_fd_get_fd(fde));
	talloc_free(fde);
	test_note("readable");
}

static void *poke(void *arg)
{
	sem_wait(&waiting);
	test_poke(*(int *)arg);
	return NULL;
}

static void descriptors_are_noticed(void **state)
{
	struct talev_context *ev;
	pthread_t thread;
	int fds[2];

	if (cannot_spin())
		skip();
	ev = spinning_context(*state, LONG);
	test_pipe(fds);
	assert_non_null(talev_add_fd(ev, NULL, fds[0], TALEV_FD_READ, readable, NULL));
	assert_ok(pthread_create(&thread, NULL, poke, &fds[1]));
	assert_ok(test_run(ev));
	assert_ok(pthread_join(thread, NULL));
	assert_notes("readable");
	assert_int_equal(ev->spin_misses, 0);
	close(fds[0]);
	close(fds[1]);
}

static void tick(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	(void)te;
	(void)private_data;
	assert_true(talev_now(ev) >= now);
	test_note("tick");
}

static void timers_do_not_wait_for_it(void **state)
{
	struct talev_context *ev = spinning_context(*state, LONG);
	talev_time_t before = talev_now(ev);

	assert_non_null(talev_add_timer(ev, NULL, before + TALEV_MSEC(2), tick, NULL));
	assert_ok(test_run(ev));
	assert_true(talev_now(ev) - before < LONG);
	assert_notes("tick");
}

static void in_vain_it_rests(void **state)
{
	struct talev_context *ev;
	unsigned spins = 0;
	unsigned rest = 0;

	if (cannot_spin())
		skip();
	ev = spinning_context(*state, 1);
	for (int i = 0; i < 200; i++) {
		assert_non_null(
			talev_add_timer(ev, NULL, talev_now(ev) + TALEV_USEC(50), tick, NULL));
		assert_ok(test_once(ev));
		if (ev->spin_rest > rest)
			spins++;
		rest = ev->spin_rest;
	}
	/* 1 + 3 + 7 + 15 + 31 sleeps went without, then 63 at a time. */
	assert_in_range(spins, 5, 9);
}

static void it_is_off_unless_asked_for(void **state)
{
	struct talev_context *ev = test_context(*state);

	assert_int_equal(ev->spin, 0);
	assert_errno(talev_context_set_spin(ev, -1), EINVAL);
	assert_ok(talev_context_set_spin(ev, TALEV_USEC(20)));
	assert_true(ev->spin == (base_cpus() > 1 ? TALEV_USEC(20) : 0));
	assert_ok(talev_context_set_spin(ev, 0));
	assert_int_equal(ev->spin, 0);
}

static void note_lateness(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)now;
	*(talev_time_t *)arg =
		talev_clock_now(ev, talev_timer_get_clock(te)) - *(talev_time_t *)arg;
}

static void timers_of_every_clock_end_the_spinning(void **state)
{
	if (cannot_spin())
		skip();
	for (int clock = 0; clock <= TALEV_CLOCK_BOOTTIME; clock++) {
		struct talev_context *ev = spinning_context(*state, LONG);
		talev_time_t at = talev_time_add(
			talev_clock_now(ev, (enum talev_clock)clock), TALEV_MSEC(20));

		assert_non_null(talev_add_timer_on(
			ev, NULL, (enum talev_clock)clock, at, note_lateness, &at));
		assert_ok(test_run(ev));
		assert_true(at < TALEV_SEC(10));
		talloc_free(ev);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_sends_while_it_spins_need_not_wake_it),
		TEST(descriptors_are_noticed),
		TEST(timers_do_not_wait_for_it),
		TEST(in_vain_it_rests),
		TEST(it_is_off_unless_asked_for),
		TEST(timers_of_every_clock_end_the_spinning),
	};

	return cmocka_run_group_tests_name("spin", tests, NULL, NULL);
}
