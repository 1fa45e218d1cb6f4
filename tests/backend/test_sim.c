/* SPDX-License-Identifier: BSD-2-Clause */
/* What is special to sim: its time, its script, its order. */
#include "backend/kit.h"
#include <talev/sim.h>

#define R     TALEV_FD_READ
#define W     TALEV_FD_WRITE
#define E     TALEV_FD_ERROR
#define H     TALEV_FD_HUP
#define START TALEV_SEC(1000)
#define FD    500 /* open nowhere */

/* Stands for the context, which this room cannot make. */
static struct backend *current;
static struct talev_context *const ev = (struct talev_context *)&current;

struct backend *__wrap_core_get_backend(struct talev_context *asked);
struct backend *__wrap_core_get_backend(struct talev_context *asked)
{
	return asked == ev ? current : NULL;
}

static struct backend *new_sim(uint64_t seed)
{
	current = new_backend();
	sim_set_seed(current, seed);
	return current;
}

static talev_time_t now(enum talev_clock clock)
{
	return current->ops->now(current, clock);
}

/* Waits without a descriptor coming out of it. */
static int wait_for(enum talev_clock clock, talev_time_t deadline)
{
	struct backend_deadlines deadlines = deadline_on(clock, deadline);
	struct backend_event event;

	return current->ops->wait(current, &deadlines, true, &event, 1);
}

static void the_clocks_start_at_fixed_moments_and_stand_still(void **state)
{
	(void)state;
	new_sim(0);
	for (int i = 0; i < 2; i++) {
		assert_true(now(TALEV_CLOCK_MONOTONIC) == START);
		assert_true(now(TALEV_CLOCK_BOOTTIME) == START);
		assert_true(now(TALEV_CLOCK_REALTIME) == TALEV_SEC(1000000000));
	}
}

static void waiting_jumps_to_the_deadline_of_each_clock(void **state)
{
	(void)state;
	new_sim(0);
	for (int c = 0; c < BASE_CLOCKS; c++) {
		enum talev_clock clock = (enum talev_clock)c;
		talev_time_t deadline = now(clock) + TALEV_SEC(86400);
		talev_time_t start = now(TALEV_CLOCK_MONOTONIC);

		assert_int_equal(wait_for(clock, deadline), 0);
		assert_true(now(clock) == deadline);
		assert_true(now(TALEV_CLOCK_MONOTONIC) == start + TALEV_SEC(86400));
		assert_int_equal(wait_for(clock, deadline), 0);
		assert_true(now(clock) == deadline);
	}
}

static void looking_moves_no_clock(void **state)
{
	struct backend *be = new_sim(0);
	struct backend_event event;

	(void)state;
	assert_ok(talev_sim_script(ev, START + 1, FD, R));
	assert_int_equal(look(be, &event, 1), 0);
	assert_true(now(TALEV_CLOCK_MONOTONIC) == START);
}

static void a_script_makes_a_descriptor_ready_in_its_time(void **state)
{
	struct backend *be = new_sim(0);

	(void)state;
	assert_ok(talev_sim_script(ev, START + 20, FD, R | W | H));
	assert_ok(talev_sim_script(ev, START + 10, FD, R));
	assert_ok(talev_sim_script(ev, START + 30, FD, 0));
	watch(be, FD, R | H);
	assert_int_equal(ready(be, FD), 0);
	assert_int_equal(wait_for(TALEV_CLOCK_MONOTONIC, START + 5), 0);
	assert_int_equal(wait_for(TALEV_CLOCK_MONOTONIC, START + 100), 1);
	assert_true(now(TALEV_CLOCK_MONOTONIC) == START + 10);
	assert_int_equal(ready(be, FD), R);
	assert_ok(talev_sim_advance(ev, 10));
	assert_int_equal(ready(be, FD), R | H);
	assert_ok(modify(be, FD, R | H, W));
	assert_int_equal(ready(be, FD), W);
	assert_ok(talev_sim_advance(ev, 10));
	assert_int_equal(ready(be, FD), 0);
	assert_ok(modify(be, FD, W, 0));
	assert_int_equal(wait_for(TALEV_CLOCK_MONOTONIC, START + 100), 0);
}

static void a_scripted_error_is_told_to_everybody(void **state)
{
	struct backend *be = new_sim(0);

	(void)state;
	assert_ok(talev_sim_script(ev, START, FD, E));
	watch(be, FD, R);
	assert_int_equal(ready(be, FD), E);
}

static void what_is_not_in_the_script_has_to_be_open(void **state)
{
	struct backend *be = new_sim(0);

	(void)state;
	assert_errno(modify(be, FD, 0, R), EBADF);
	assert_ok(talev_sim_script(ev, START + 1, FD, R));
	watch(be, FD, R);
	assert_ok(modify(be, FD, R, W));
	assert_ok(modify(be, FD, W, 0));
}

static void the_script_takes_a_real_descriptor_over(void **state)
{
	struct backend *be = new_sim(0);
	int p[2];

	(void)state;
	test_pipe(p);
	test_poke(p[1]);
	watch(be, p[0], R);
	assert_ok(talev_sim_script(ev, START + 10, p[0], 0));
	assert_int_equal(ready(be, p[0]), R);
	assert_ok(talev_sim_advance(ev, 10));
	assert_int_equal(ready(be, p[0]), 0);
	assert_ok(modify(be, p[0], R, 0));
	assert_ok(close(p[0]));
	assert_ok(close(p[1]));
}

static void the_script_has_no_say_about_talevs_own(void **state)
{
	struct backend *be = new_sim(0);
	int fd = base_eventfd();
	uint32_t generation = (uint32_t)fd + 1000;

	(void)state;
	assert_ok(talev_sim_script(ev, START, fd, R));
	assert_int_equal(ready(be, fd), 0);
	assert_ok(be->ops->modify(be, fd, generation, 0, R, BACKEND_INTERNAL));
	assert_int_equal(ready(be, fd), 0);
	assert_ok(be->ops->modify(be, fd, generation, R, W, BACKEND_INTERNAL));
	assert_int_equal(ready(be, fd), W);
	assert_ok(be->ops->modify(be, fd, generation, W, 0, BACKEND_INTERNAL));
	assert_ok(close(fd));
}

static void a_real_descriptor_that_is_ready_stops_the_clock(void **state)
{
	struct backend *be = new_sim(0);
	int p[2];

	(void)state;
	test_pipe(p);
	test_poke(p[1]);
	watch(be, p[0], R);
	assert_int_equal(wait_for(TALEV_CLOCK_MONOTONIC, START + 10), 1);
	assert_true(now(TALEV_CLOCK_MONOTONIC) == START);
	test_drain(p[0]);
	assert_int_equal(wait_for(TALEV_CLOCK_MONOTONIC, START + 10), 0);
	assert_true(now(TALEV_CLOCK_MONOTONIC) == START + 10);
	assert_ok(close(p[0]));
	assert_ok(close(p[1]));
}

static void with_nothing_to_come_waiting_is_a_deadlock(void **state)
{
	struct backend *be = new_sim(0);
	struct backend_event event;

	(void)state;
	assert_errno(be->ops->wait(be, &no_deadlines, true, &event, 1), EDEADLK);
	assert_ok(talev_sim_script(ev, START, FD, 0));
	watch(be, FD, R);
	assert_errno(be->ops->wait(be, &no_deadlines, true, &event, 1), EDEADLK);
}

static void stepping_the_wall_clock_moves_its_deadlines_only(void **state)
{
	talev_time_t midnight;

	(void)state;
	new_sim(0);
	midnight = now(TALEV_CLOCK_REALTIME) + TALEV_SEC(3600);
	assert_ok(talev_sim_step_realtime(ev, TALEV_SEC(3000)));
	assert_int_equal(wait_for(TALEV_CLOCK_REALTIME, midnight), 0);
	assert_true(now(TALEV_CLOCK_REALTIME) == midnight);
	assert_true(now(TALEV_CLOCK_MONOTONIC) == START + TALEV_SEC(600));
	assert_ok(talev_sim_step_realtime(ev, TALEV_SEC(-5)));
	assert_int_equal(wait_for(TALEV_CLOCK_REALTIME, midnight), 0);
	assert_true(now(TALEV_CLOCK_BOOTTIME) == START + TALEV_SEC(605));
}

static void extreme_steps_do_not_overflow(void **state)
{
	static const talev_time_t steps[] = {INT64_MAX, INT64_MAX, INT64_MIN, INT64_MIN, INT64_MIN};

	(void)state;
	new_sim(0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct backend_deadlines deadlines = {
			.at = {now(TALEV_CLOCK_MONOTONIC) + 1, 0, TALEV_NEVER}};
		struct backend_event event;

		assert_ok(talev_sim_step_realtime(ev, steps[i]));
		assert_int_equal(current->ops->wait(current, &deadlines, true, &event, 1), 0);
	}
	assert_ok(talev_sim_advance(ev, INT64_MAX));
	assert_true(now(TALEV_CLOCK_MONOTONIC) == TALEV_NEVER);
}

/* The order in which n descriptors, ready together, are told one by one. */
static void order_of(uint64_t seed, int n, char *order)
{
	struct backend *be = new_sim(seed);

	for (int i = 0; i < n; i++) {
		assert_ok(talev_sim_script(ev, START, FD + i, R));
		watch(be, FD + i, R);
	}
	for (int i = 0; i < n; i++) {
		struct backend_event event;

		assert_int_equal(look(be, &event, 1), 1);
		order[i] = (char)('a' + event.fd - FD);
		assert_ok(modify(be, event.fd, R, 0));
	}
	order[n] = '\0';
}

static void the_seed_decides_the_order(void **state)
{
	enum { SEEDS = 200 };
	bool seen[256] = {false};
	int different = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		char first[5], second[5];

		order_of(seed, 4, first);
		order_of(seed, 4, second);
		assert_string_equal(first, second);
		/* Two bits each for the first three tell a permutation of four. */
		different += !seen[(first[0] - 'a') * 16 + (first[1] - 'a') * 4 + first[2] - 'a'];
		seen[(first[0] - 'a') * 16 + (first[1] - 'a') * 4 + first[2] - 'a'] = true;
	}
	assert_int_equal(different, 24);
}

static void high_bits_of_the_seed_count(void **state)
{
	char orders[4][21];

	(void)state;
	order_of(1, 20, orders[0]);
	order_of(1 | 1ull << 20, 20, orders[1]);
	order_of(1 | 1ull << 40, 20, orders[2]);
	order_of(1 | 1ull << 60, 20, orders[3]);
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(orders[i], orders[j]);
}

static void a_closed_descriptor_is_told_once_even_if_others_are_told_first(void **state)
{
	enum { N = 6 };
	int closed = 0, p[2];
	struct backend *be;

	(void)state;
	be = new_sim(3);
	test_pipe(p);
	watch(be, p[0], R);
	assert_ok(close(p[0]));
	for (int i = 0; i < N; i++) {
		assert_ok(talev_sim_script(ev, START, FD + i, R));
		watch(be, FD + i, R);
	}
	for (int i = 0; i < 200; i++) {
		struct backend_event event;

		assert_int_equal(look(be, &event, 1), 1);
		if (event.fd == p[0]) {
			assert_int_equal(event.events, BACKEND_CLOSED);
			closed++;
		}
	}
	assert_int_equal(closed, 1);
	assert_ok(close(p[1]));
}

static void a_rebuild_keeps_time_and_script(void **state)
{
	struct backend *be = new_sim(0);

	(void)state;
	assert_ok(talev_sim_script(ev, START, FD, R));
	assert_ok(talev_sim_script(ev, START + 10, FD, W));
	watch(be, FD, R | W);
	assert_int_equal(ready(be, FD), R);
	assert_ok(be->ops->rebuild(be));
	assert_int_equal(ready(be, FD), 0);
	watch(be, FD, R | W);
	assert_int_equal(ready(be, FD), R);
	assert_ok(talev_sim_advance(ev, 10));
	assert_int_equal(ready(be, FD), W);
}

static void wrong_arguments_are_refused(void **state)
{
	(void)state;
	new_sim(0);
	assert_errno(talev_sim_script(ev, START - 1, FD, R), EINVAL);
	assert_errno(talev_sim_script(ev, START, -1, R), EINVAL);
	assert_errno(talev_sim_script(ev, START, FD, 0x10), EINVAL);
	assert_errno(talev_sim_advance(ev, -1), EINVAL);
	assert_true(now(TALEV_CLOCK_MONOTONIC) == START);
}

static void a_context_on_another_backend_is_refused(void **state)
{
	(void)state;
	current = backend_poll.create(test_root());
	for (int i = 0; i < 2; i++) {
		assert_errno(talev_sim_script(ev, START, FD, R), EINVAL);
		assert_errno(talev_sim_advance(ev, 1), EINVAL);
		assert_errno(talev_sim_step_realtime(ev, 1), EINVAL);
		current = NULL;
	}
}

static void without_memory_the_script_stays_as_it_was(void **state)
{
	struct backend *be = new_sim(0);
	int failures = 0;

	(void)state;
	if (!test_alloc_works())
		skip();
	for (unsigned long n = 1; n < 4; n++) {
		test_alloc_fail_at(n);
		if (talev_sim_script(ev, START, FD + (int)n * 600, R) != 0) {
			assert_int_equal(errno, ENOMEM);
			failures++;
		}
		test_alloc_fail_at(0);
	}
	assert_in_range(failures, 1, 3);
	assert_ok(talev_sim_script(ev, START, FD, R));
	watch(be, FD, R);
	assert_int_equal(ready(be, FD), R);
}

#define HERE(fn) ON(fn, backend_sim)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HERE(the_clocks_start_at_fixed_moments_and_stand_still),
		HERE(waiting_jumps_to_the_deadline_of_each_clock),
		HERE(looking_moves_no_clock),
		HERE(a_script_makes_a_descriptor_ready_in_its_time),
		HERE(a_scripted_error_is_told_to_everybody),
		HERE(what_is_not_in_the_script_has_to_be_open),
		HERE(the_script_takes_a_real_descriptor_over),
		HERE(the_script_has_no_say_about_talevs_own),
		HERE(a_real_descriptor_that_is_ready_stops_the_clock),
		HERE(with_nothing_to_come_waiting_is_a_deadlock),
		HERE(stepping_the_wall_clock_moves_its_deadlines_only),
		HERE(extreme_steps_do_not_overflow),
		HERE(the_seed_decides_the_order),
		HERE(high_bits_of_the_seed_count),
		HERE(a_closed_descriptor_is_told_once_even_if_others_are_told_first),
		HERE(a_rebuild_keeps_time_and_script),
		HERE(wrong_arguments_are_refused),
		HERE(a_context_on_another_backend_is_refused),
		HERE(without_memory_the_script_stays_as_it_was),
	};

	return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
