/* SPDX-License-Identifier: BSD-2-Clause */
/* What the backends that wait really promise about time. */
#include "backend/kit.h"

/* Waits as core does, and says whether it was ever told of a deadline and is there now. */
static void wait_until(struct backend *be, enum talev_clock clock, talev_time_t deadline)
{
	struct backend_deadlines deadlines = deadline_on(clock, deadline);
	struct backend_event event;
	int waits = 0;

	do {
		assert_int_equal(be->ops->wait(be, &deadlines, true, &event, 1), 0);
		/* Once for the deadline, once because two clocks of the kernel may differ by a
		 * moment, once for the administrator: not more, that would be a busy loop. */
		assert_in_range(++waits, 1, 3);
	} while (base_clock_now(clock) < deadline);
}

static void each_clock_wakes_at_its_deadline(void **state)
{
	struct backend *be = new_backend();

	(void)state;
	for (int c = 0; c < BASE_CLOCKS; c++) {
		enum talev_clock clock = (enum talev_clock)c;

		for (int i = 0; i < 5; i++)
			wait_until(be, clock, base_clock_now(clock) + TALEV_USEC(1300));
	}
}

static void a_deadline_that_is_past_does_not_wait(void **state)
{
	static const talev_time_t past[] = {1, 0, -1, INT64_MIN};
	struct backend *be = new_backend();
	struct backend_event event;

	(void)state;
	for (int clock = 0; clock < BASE_CLOCKS; clock++) {
		for (int i = 0; i < 8; i++) {
			struct backend_deadlines deadlines =
				deadline_on((enum talev_clock)clock, past[i % 4]);

			assert_int_equal(be->ops->wait(be, &deadlines, true, &event, 1), 0);
		}
	}
}

static void the_same_deadline_can_be_waited_for_twice(void **state)
{
	struct backend *be = new_backend();

	(void)state;
	for (int c = 0; c < BASE_CLOCKS; c++) {
		enum talev_clock clock = (enum talev_clock)c;
		talev_time_t deadline = base_clock_now(clock) + TALEV_MSEC(1);

		wait_until(be, clock, deadline);
		wait_until(be, clock, deadline);
	}
}

static void the_earliest_clock_ends_the_wait(void **state)
{
	struct backend *be = new_backend();

	(void)state;
	for (int c = 0; c < BASE_CLOCKS; c++) {
		enum talev_clock clock = (enum talev_clock)c;
		struct backend_deadlines deadlines = no_deadlines;
		struct backend_event event;

		for (int other = 0; other < BASE_CLOCKS; other++)
			deadlines.at[other] =
				base_clock_now((enum talev_clock)other) + TALEV_SEC(3600);
		deadlines.at[clock] = base_clock_now(clock) + TALEV_MSEC(1);
		while (base_clock_now(clock) < deadlines.at[clock])
			assert_int_equal(be->ops->wait(be, &deadlines, true, &event, 1), 0);
	}
}

static void what_is_ready_does_not_wait_for_a_deadline(void **state)
{
	struct backend *be = new_backend();
	struct backend_event events[4];
	int p[2];

	(void)state;
	test_pipe(p);
	test_poke(p[1]);
	watch(be, p[0], TALEV_FD_READ);
	for (int c = 0; c < BASE_CLOCKS; c++) {
		enum talev_clock clock = (enum talev_clock)c;
		struct backend_deadlines deadlines =
			deadline_on(clock, base_clock_now(clock) + TALEV_SEC(3600));

		assert_int_equal(be->ops->wait(be, &deadlines, true, events, 4), 1);
		assert_int_equal(events[0].fd, p[0]);
	}
	assert_ok(close(p[0]));
	assert_ok(close(p[1]));
}

static void alarms_that_go_off_are_no_descriptors_of_cores(void **state)
{
	struct backend *be = new_backend();
	struct backend_deadlines deadlines = {.at = {0, 0, 0}};
	struct backend_event events[4];
	int p[2];

	(void)state;
	test_pipe(p);
	test_poke(p[1]);
	watch(be, p[0], TALEV_FD_READ);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(be->ops->wait(be, &deadlines, true, events, 4), 1);
		assert_int_equal(events[0].fd, p[0]);
	}
	assert_ok(close(p[0]));
	assert_ok(close(p[1]));
}

static int timerfd_calls;
static int timerfd_errno;

int __real_base_timerfd_set(int fd, enum talev_clock clock, talev_time_t deadline);
int __wrap_base_timerfd_set(int fd, enum talev_clock clock, talev_time_t deadline);
int __wrap_base_timerfd_set(int fd, enum talev_clock clock, talev_time_t deadline)
{
	int result = __real_base_timerfd_set(fd, clock, deadline);

	timerfd_calls++;
	if (timerfd_errno == 0)
		return result;
	errno = timerfd_errno;
	return -1;
}

int __real_base_timerfd_create(enum talev_clock clock);
int __wrap_base_timerfd_create(enum talev_clock clock);
static int create_errno;
int __wrap_base_timerfd_create(enum talev_clock clock)
{
	if (create_errno == 0)
		return __real_base_timerfd_create(clock);
	errno = create_errno;
	return -1;
}

static void a_deadline_that_stays_costs_no_system_call(void **state)
{
	struct backend *be = new_backend();
	struct backend_deadlines deadlines = deadline_on(
		TALEV_CLOCK_REALTIME, base_clock_now(TALEV_CLOCK_REALTIME) + TALEV_SEC(3600));
	struct backend_event event;
	int p[2];

	(void)state;
	test_pipe(p);
	test_poke(p[1]);
	watch(be, p[0], TALEV_FD_READ);
	timerfd_calls = 0;
	for (int i = 0; i < 10; i++)
		assert_int_equal(be->ops->wait(be, &deadlines, true, &event, 1), 1);
	assert_int_equal(timerfd_calls, 1);
	assert_ok(close(p[0]));
	assert_ok(close(p[1]));
}

/* The kernel armed it, and says by the way that the clock was set. */
static void a_clock_that_was_set_meanwhile_is_no_error(void **state)
{
	struct backend *be = new_backend();

	(void)state;
	timerfd_errno = ECANCELED;
	wait_until(be, TALEV_CLOCK_REALTIME, base_clock_now(TALEV_CLOCK_REALTIME) + TALEV_MSEC(1));
	timerfd_errno = 0;
}

static void without_a_timerfd_the_wait_fails_and_can_be_tried_again(void **state)
{
	struct backend *be = new_backend();
	struct backend_deadlines deadlines = deadline_on(TALEV_CLOCK_BOOTTIME, 1);
	struct backend_event event;

	(void)state;
	create_errno = EMFILE;
	assert_errno(be->ops->wait(be, &deadlines, true, &event, 1), EMFILE);
	create_errno = 0;
	timerfd_errno = ENOMEM;
	assert_errno(be->ops->wait(be, &deadlines, true, &event, 1), ENOMEM);
	timerfd_errno = 0;
	wait_until(be, TALEV_CLOCK_BOOTTIME, 1);
}

#define EACH(backend)                                                                              \
	ON(each_clock_wakes_at_its_deadline, backend),                                             \
		ON(a_deadline_that_is_past_does_not_wait, backend),                                \
		ON(the_same_deadline_can_be_waited_for_twice, backend),                            \
		ON(the_earliest_clock_ends_the_wait, backend),                                     \
		ON(what_is_ready_does_not_wait_for_a_deadline, backend),                           \
		ON(alarms_that_go_off_are_no_descriptors_of_cores, backend),                       \
		ON(a_deadline_that_stays_costs_no_system_call, backend),                           \
		ON(a_clock_that_was_set_meanwhile_is_no_error, backend),                           \
		ON(without_a_timerfd_the_wait_fails_and_can_be_tried_again, backend)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(backend_epoll),
		EACH(backend_poll),
#ifdef TALEV_URING
		/* Last: a ring that was closed interrupts later waits of epoll. */
		EACH(backend_uring),
#endif
	};

	return cmocka_run_group_tests_name("deadlines", tests, NULL, NULL);
}
