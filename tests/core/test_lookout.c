/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: a loop that is always busy, and a timer that is far. */
#include <fcntl.h>
#include "support/support.h"
#include "core/context.h"

#define FAR TALEV_SEC(3600)
/* More turns than any loop pays for before it sends out a lookout. */
#define HOT 1000

static struct {
	int fd;           /* of the last timerfd that was made; -1: none */
	int made;         /* or tried */
	int set;          /* or tried */
	talev_time_t at;  /* what the last one was set to */
	int create_errno; /* 0: it does not fail */
	int set_errno;
	unsigned ticks; /* looks at the coarse clock */
} kernel;

talev_time_t __real_base_clock_last_tick(void);
talev_time_t __wrap_base_clock_last_tick(void);
talev_time_t __wrap_base_clock_last_tick(void)
{
	kernel.ticks++;
	return __real_base_clock_last_tick();
}

int __real_base_timerfd_create(enum talev_clock clock);
int __wrap_base_timerfd_create(enum talev_clock clock);
int __wrap_base_timerfd_create(enum talev_clock clock)
{
	kernel.made++;
	errno = kernel.create_errno;
	kernel.fd = kernel.create_errno == 0 ? __real_base_timerfd_create(clock) : -1;
	return kernel.fd;
}

int __real_base_timerfd_set(int fd, enum talev_clock clock, talev_time_t deadline);
int __wrap_base_timerfd_set(int fd, enum talev_clock clock, talev_time_t deadline);
int __wrap_base_timerfd_set(int fd, enum talev_clock clock, talev_time_t deadline)
{
	kernel.set++;
	kernel.at = deadline;
	errno = kernel.set_errno;
	return kernel.set_errno == 0 ? __real_base_timerfd_set(fd, clock, deadline) : -1;
}

struct hot {
	struct talev_context *ev;
	int p[2];
	unsigned long turns;
	unsigned long left;    /* before it breaks the loop; 0: it does not */
	talev_time_t deadline; /* of the timer */
	unsigned long late;    /* handlers of the pipe after that, and before the timer's */
	bool fired;
};

static void on_pipe(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct hot *hot = arg;

	(void)fde;
	(void)flags;
	hot->turns++;
	if (!hot->fired && hot->deadline != 0 && talev_now(ev) > hot->deadline)
		hot->late++;
	if (hot->left > 0 && --hot->left == 0) {
		talev_loop_break(ev);
		return;
	}
	test_drain(hot->p[0]);
	if (!hot->fired)
		test_poke(hot->p[1]);
}

static void on_timer(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	struct hot *hot = arg;

	(void)te;
	assert_true(now >= hot->deadline);
	assert_true(talev_now(ev) >= hot->deadline);
	hot->fired = true;
	talev_loop_break(ev);
}

static struct hot *hot_pipe(TALLOC_CTX *mem_ctx)
{
	struct hot *hot = talloc_zero(mem_ctx, struct hot);

	memset(&kernel, 0, sizeof(kernel));
	kernel.fd = -1;
	hot->ev = test_context(hot);
	test_pipe(hot->p);
	test_poke(hot->p[1]);
	assert_non_null(talev_add_fd(hot->ev, hot->ev, hot->p[0], TALEV_FD_READ, on_pipe, hot));
	return hot;
}

static struct hot *in_real_time(TALLOC_CTX *mem_ctx)
{
	if (test_is_sim())
		skip();
	return hot_pipe(mem_ctx);
}

/* The other backends have no such thing. */
static struct hot *with_lookout(TALLOC_CTX *mem_ctx)
{
	if (strcmp(test_backend(), "epoll") != 0)
		skip();
	return hot_pipe(mem_ctx);
}

static struct talev_timer *add_timer(struct hot *hot, talev_time_t delay)
{
	struct talev_timer *te;

	hot->fired = false;
	hot->late = 0;
	hot->deadline = talev_now(hot->ev) + delay;
	te = talev_add_timer(hot->ev, hot->ev, hot->deadline, on_timer, hot);
	assert_non_null(te);
	return te;
}

static void run_hot(struct hot *hot, unsigned long turns)
{
	hot->left = turns;
	assert_ok(test_run(hot->ev));
	assert_int_equal(hot->left, 0);
}

static void run_until_fired(struct hot *hot)
{
	assert_ok(test_run(hot->ev));
	assert_true(hot->fired);
}

static void end(struct hot *hot)
{
	talloc_free(hot->ev);
	assert_ok(close(hot->p[0]));
	assert_ok(close(hot->p[1]));
}

static void a_far_timer_costs_a_busy_loop_no_look_at_the_clock(void **state)
{
	struct hot *hot = with_lookout(*state);

	add_timer(hot, FAR);
	run_hot(hot, HOT);
	assert_int_equal(kernel.made, 1);
	assert_int_equal(kernel.set, 1);
	assert_true(kernel.at < hot->deadline);
	assert_true(kernel.at > talev_now(hot->ev));
	kernel.ticks = 0;
	run_hot(hot, HOT);
	assert_int_equal(kernel.ticks, 0);
	assert_int_equal(kernel.set, 1);
	end(hot);
}

static void its_descriptor_is_closed_on_exec_and_with_the_context(void **state)
{
	struct hot *hot = with_lookout(*state);

	add_timer(hot, FAR);
	run_hot(hot, HOT);
	assert_true((fcntl(kernel.fd, F_GETFD) & FD_CLOEXEC) != 0);
	talloc_free(hot->ev);
	assert_errno(fcntl(kernel.fd, F_GETFD), EBADF);
	assert_ok(close(hot->p[0]));
	assert_ok(close(hot->p[1]));
}

static void a_loop_that_is_seldom_busy_makes_no_descriptor(void **state)
{
	struct hot *hot = in_real_time(*state);

	add_timer(hot, FAR);
	for (int i = 0; i < 20; i++)
		run_hot(hot, 2);
	/* Nor does one that asks for one unit at a time. */
	for (int i = 0; i < HOT; i++)
		assert_ok(talev_loop_once(hot->ev));
	assert_int_equal(kernel.made, 0);
	end(hot);
}

/* Between two handlers of the pipe the timer's goes first. One that begins just before the deadline
 * may see it pass: one of ten rounds without that is enough. */
static void a_busy_loop_is_on_time(void **state)
{
	struct hot *hot = in_real_time(*state);
	unsigned long late = 2;

	for (int round = 0; round < 10 && late > 1; round++) {
		add_timer(hot, TALEV_MSEC(150));
		run_until_fired(hot);
		late = hot->late;
		test_drain(hot->p[0]);
		test_poke(hot->p[1]);
	}
	assert_in_range(late, 0, 1);
	end(hot);
}

static void a_loop_that_is_busy_no_more_is_on_time(void **state)
{
	struct hot *hot = in_real_time(*state);
	uint64_t waits;

	add_timer(hot, TALEV_MSEC(150));
	run_hot(hot, 200);
	test_drain(hot->p[0]);
	waits = hot->ev->waits;
	run_until_fired(hot);
	/* One is the lookout's, one may be a look; two clocks of the kernel may differ. */
	assert_in_range(hot->ev->waits - waits, 0, 5);
	end(hot);
}

static void a_timer_that_comes_before_the_lookout_is_on_time(void **state)
{
	struct hot *hot = in_real_time(*state);
	struct talev_timer *far;

	far = add_timer(hot, FAR);
	run_hot(hot, HOT);
	/* An idle loop, and a busy one. */
	test_drain(hot->p[0]);
	add_timer(hot, TALEV_MSEC(2));
	run_until_fired(hot);
	test_poke(hot->p[1]);
	add_timer(hot, TALEV_MSEC(120));
	run_until_fired(hot);
	/* And one that was there, and moves. */
	hot->fired = false;
	hot->deadline = talev_now(hot->ev) + TALEV_MSEC(2);
	assert_ok(talev_update_timer(far, hot->deadline));
	run_until_fired(hot);
	end(hot);
}

static void a_timer_of_another_clock_is_on_time_beside_it(void **state)
{
	struct hot *hot = in_real_time(*state);

	add_timer(hot, FAR);
	run_hot(hot, HOT);
	test_drain(hot->p[0]);
	hot->deadline = 0;
	assert_non_null(talev_add_timer_on(hot->ev, hot->ev, TALEV_CLOCK_BOOTTIME,
		base_clock_now(TALEV_CLOCK_BOOTTIME) + TALEV_MSEC(2), on_timer, hot));
	run_until_fired(hot);
	end(hot);
}

static void a_lookout_whose_timer_has_gone_goes_on_for_the_next(void **state)
{
	struct hot *hot = with_lookout(*state);
	struct talev_timer *first;

	first = add_timer(hot, TALEV_MSEC(150));
	run_hot(hot, 200);
	assert_int_equal(kernel.set, 1);
	talloc_free(first);
	add_timer(hot, TALEV_MSEC(350));
	run_until_fired(hot);
	/* It told of the first, and was sent out again. */
	assert_int_equal(kernel.made, 1);
	assert_int_equal(kernel.set, 2);
	end(hot);
}

/* What it has to tell is nothing to whoever asks for one unit of work. */
static void what_is_ready_is_found_beside_what_it_tells(void **state)
{
	struct hot *hot = with_lookout(*state);
	talev_time_t deadline;

	add_timer(hot, TALEV_MSEC(200));
	run_hot(hot, 200);
	deadline = kernel.at;
	assert_int_equal(kernel.set, 1);
	while (hot->ev->lookout != TALEV_NEVER) {
		assert_true(talev_now(hot->ev) < deadline + TALEV_SEC(10));
		assert_ok(talev_loop_nowait(hot->ev));
	}
	assert_true(talev_now(hot->ev) >= deadline);
	end(hot);
}

static void without_a_descriptor_the_loop_looks_at_the_clock(void **state)
{
	struct hot *hot = with_lookout(*state);

	kernel.create_errno = EMFILE;
	add_timer(hot, TALEV_MSEC(150));
	run_until_fired(hot);
	assert_true(kernel.made > 0);
	assert_int_equal(kernel.set, 0);
	/* As soon as there is one again it is used. */
	kernel.create_errno = 0;
	add_timer(hot, FAR);
	test_poke(hot->p[1]);
	run_hot(hot, HOT);
	assert_int_equal(kernel.set, 1);
	end(hot);
}

static void if_it_cannot_be_sent_out_the_loop_looks_at_the_clock(void **state)
{
	struct hot *hot = with_lookout(*state);

	kernel.set_errno = ENOMEM;
	add_timer(hot, TALEV_MSEC(150));
	run_until_fired(hot);
	assert_true(kernel.set > 0);
	assert_true(hot->ev->lookout == TALEV_NEVER);
	end(hot);
}

static void out_of_memory_it_is_done_without(void **state)
{
	struct hot *hot;

	if (!test_alloc_works())
		skip();
	hot = with_lookout(*state);
	add_timer(hot, TALEV_MSEC(150));
	test_alloc_fail_from(1);
	run_until_fired(hot);
	assert_true(test_alloc_failed());
	test_alloc_fail_at(0);
	assert_null(hot->ev->lookout_source);
	end(hot);
}

static void whoever_closes_it_is_left_with_the_clock(void **state)
{
	struct hot *hot = with_lookout(*state);
	struct talev_fd *fde;
	int again;

	test_log_capture();
	add_timer(hot, TALEV_MSEC(150));
	run_hot(hot, 200);
	assert_int_equal(kernel.set, 1);
	assert_ok(close(kernel.fd));
	again = dup(hot->p[1]);
	assert_int_equal(again, kernel.fd);
	fde = talev_add_fd(hot->ev, hot->ev, again, TALEV_FD_HUP, on_pipe, hot);
	assert_non_null(fde);
	run_until_fired(hot);
	talloc_free(fde);
	talloc_free(hot->ev);
	assert_ok(close(again));
	assert_ok(close(hot->p[0]));
	assert_ok(close(hot->p[1]));
}

static void go_on_in_child(void *arg)
{
	struct hot *hot = arg;

	/* The pipe is the parent's too. */
	test_pipe(hot->p);
	test_poke(hot->p[1]);
	assert_non_null(talev_add_fd(hot->ev, hot->ev, hot->p[0], TALEV_FD_READ, on_pipe, hot));
	run_hot(hot, HOT);
	assert_int_equal(kernel.made, 2);
	run_until_fired(hot);
	talloc_free(hot->ev);
}

static void a_child_has_its_own(void **state)
{
	struct hot *hot = with_lookout(*state);

	add_timer(hot, TALEV_MSEC(300));
	run_hot(hot, 200);
	assert_int_equal(kernel.set, 1);
	test_drain(hot->p[0]);
	assert_int_equal(test_in_child(go_on_in_child, hot), 0);
	test_poke(hot->p[1]);
	run_until_fired(hot);
	end(hot);
}

static void free_in_child(void *arg)
{
	struct hot *hot = arg;

	talloc_free(hot->ev);
}

static void a_child_that_frees_everything_leaves_the_parents_alone(void **state)
{
	struct hot *hot = with_lookout(*state);

	add_timer(hot, TALEV_MSEC(300));
	run_hot(hot, 200);
	assert_int_equal(test_in_child(free_in_child, hot), 0);
	assert_true(hot->ev->lookout != TALEV_NEVER);
	run_until_fired(hot);
	assert_true(hot->ev->lookout == TALEV_NEVER);
	assert_int_equal(kernel.set, 1);
	end(hot);
}

static void re_initialised_it_begins_afresh(void **state)
{
	struct hot *hot = with_lookout(*state);

	add_timer(hot, FAR);
	run_hot(hot, HOT);
	assert_ok(talev_re_initialise(hot->ev));
	assert_errno(fcntl(kernel.fd, F_GETFD), EBADF);
	assert_non_null(talev_add_fd(hot->ev, hot->ev, hot->p[0], TALEV_FD_READ, on_pipe, hot));
	add_timer(hot, TALEV_MSEC(150));
	run_until_fired(hot);
	end(hot);
}

static void who_looks_about_needs_none(void **state)
{
	struct hot *hot;

	if (base_cpus() == 1)
		skip();
	hot = with_lookout(*state);
	add_timer(hot, FAR);
	run_hot(hot, HOT);
	assert_ok(talev_context_set_spin(hot->ev, TALEV_USEC(50)));
	kernel.ticks = 0;
	run_hot(hot, HOT);
	assert_int_equal(kernel.set, 1);
	assert_true(kernel.ticks >= HOT);
	end(hot);
}

static void a_guest_has_none(void **state)
{
	struct hot *hot = with_lookout(*state);

	add_timer(hot, FAR);
	run_hot(hot, HOT);
	assert_true(talev_context_get_fd(hot->ev) >= 0);
	assert_null(hot->ev->lookout_source);
	kernel.ticks = 0;
	run_hot(hot, HOT);
	assert_null(hot->ev->lookout_source);
	assert_true(kernel.ticks >= HOT);
	end(hot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_far_timer_costs_a_busy_loop_no_look_at_the_clock),
		TEST(its_descriptor_is_closed_on_exec_and_with_the_context),
		TEST(a_loop_that_is_seldom_busy_makes_no_descriptor),
		TEST(a_busy_loop_is_on_time),
		TEST(a_loop_that_is_busy_no_more_is_on_time),
		TEST(a_timer_that_comes_before_the_lookout_is_on_time),
		TEST(a_timer_of_another_clock_is_on_time_beside_it),
		TEST(a_lookout_whose_timer_has_gone_goes_on_for_the_next),
		TEST(what_is_ready_is_found_beside_what_it_tells),
		TEST(without_a_descriptor_the_loop_looks_at_the_clock),
		TEST(if_it_cannot_be_sent_out_the_loop_looks_at_the_clock),
		TEST(out_of_memory_it_is_done_without),
		TEST(whoever_closes_it_is_left_with_the_clock),
		TEST(a_child_has_its_own),
		TEST(a_child_that_frees_everything_leaves_the_parents_alone),
		TEST(re_initialised_it_begins_afresh),
		TEST(who_looks_about_needs_none),
		TEST(a_guest_has_none),
	};

	return cmocka_run_group_tests_name("lookout", tests, NULL, NULL);
}
