/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: many descriptors ready in one wait, and handlers that change one another. */
#include <fcntl.h>
#include "support/support.h"

#define CROWD 8

struct crowd {
	struct talev_context *ev;
	struct talev_fd *fde[CROWD];
	int in[CROWD];
	int out[CROWD];
	unsigned calls[CROWD];
	unsigned total;
	unsigned ended; /* finalizers that have run */
	struct talev_fd *before;
	bool nested;
};

static void set_blocking(int fd)
{
	int fl = fcntl(fd, F_GETFL);

	assert_true(fl >= 0);
	assert_int_equal(fcntl(fd, F_SETFL, fl & ~O_NONBLOCK), 0);
}

static int close_all(struct crowd *crowd)
{
	for (int i = 0; i < CROWD; i++) {
		close(crowd->in[i]);
		if (crowd->out[i] >= 0)
			close(crowd->out[i]);
	}
	return 0;
}

/* CROWD pipes with a byte in each, and a watcher for each. */
static struct crowd *gather(talev_fd_handler_t handler, bool blocking)
{
	struct crowd *crowd = talloc_zero(test_late(), struct crowd);

	crowd->ev = test_context(test_root());
	for (int i = 0; i < CROWD; i++) {
		int fds[2];

		test_pipe(fds);
		crowd->in[i] = fds[0];
		crowd->out[i] = fds[1];
		if (blocking)
			set_blocking(fds[0]);
		test_poke(fds[1]);
		crowd->fde[i] =
			talev_add_fd(crowd->ev, test_root(), fds[0], TALEV_FD_READ, handler, crowd);
		assert_non_null(crowd->fde[i]);
	}
	talloc_set_destructor(crowd, close_all);
	return crowd;
}

static int who(struct crowd *crowd, struct talev_fd *fde)
{
	for (int i = 0; i < CROWD; i++)
		if (crowd->fde[i] == fde)
			return i;
	fail_msg("an unknown watcher was called");
	return -1;
}

static void read_one(struct crowd *crowd, int i)
{
	char byte;

	assert_int_equal(read(crowd->in[i], &byte, 1), 1);
}

/* Loops until the context has nothing ready any more. */
static void run_dry(struct crowd *crowd)
{
	test_watchdog("a descriptor was told of stale readiness", __location__);
	while (talev_loop_nowait(crowd->ev) == 0)
		;
	assert_true(errno == EAGAIN || errno == ENOENT);
}

static void stop(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)te;
	(void)now;
	(void)arg;
	talev_loop_break(ev);
}

/* One loop_wait(), which takes them all from one wait of the kernel; it ends some turns later. */
static void run_batch(struct crowd *crowd)
{
	talev_time_t soon = talev_time_add(talev_now(crowd->ev), TALEV_MSEC(5));

	assert_non_null(talev_add_timer(crowd->ev, test_root(), soon, stop, NULL));
	assert_ok(test_run(crowd->ev));
	run_dry(crowd);
}

static void serve(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct crowd *crowd = arg;
	int i = who(crowd, fde);

	(void)ev;
	assert_int_equal(flags, TALEV_FD_READ);
	crowd->calls[i]++;
	crowd->total++;
	read_one(crowd, i);
}

static void each_ready_descriptor_is_told_once(void **state)
{
	(void)state;
	for (int blocking = 0; blocking < 2; blocking++) {
		struct crowd *crowd = gather(serve, blocking);

		run_batch(crowd);
		for (int i = 0; i < CROWD; i++)
			assert_int_equal(crowd->calls[i], 1);
		talloc_free(crowd->ev);
	}
}

struct queue_jump {
	struct crowd *crowd;
	unsigned due; /* have run */
	unsigned again;
};

static void come_again(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	struct queue_jump *jump = arg;

	(void)now;
	assert_true(jump->crowd->total < CROWD);
	jump->again++;
	talev_update_timer(te, talev_turn_time(ev));
}

static void run_due(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	struct queue_jump *jump = arg;

	(void)ev;
	(void)te;
	(void)now;
	assert_int_equal(jump->crowd->total, 0);
	jump->due++;
}

static bool crowd_is_served(void *arg)
{
	struct crowd *crowd = arg;

	return crowd->total == CROWD;
}

/* However many there are; but one that is set again while they run waits for its share. */
static void timers_that_are_due_go_before_descriptors(void **state)
{
	enum { TIMERS = 5000 };
	struct crowd *crowd = gather(serve, false);
	struct queue_jump jump = {crowd, 0, 0};

	assert_non_null(talev_add_timer(crowd->ev, test_root(), 0, come_again, &jump));
	for (int i = 0; i < TIMERS; i++)
		assert_non_null(talev_add_timer(crowd->ev, test_root(),
			talev_turn_time(crowd->ev) - i % 7, run_due, &jump));
	(void)state;
	test_watchdog("a timer that is always due starves descriptors", __location__);
	assert_ok(talev_loop_until(crowd->ev, crowd_is_served, crowd));
	assert_int_equal(jump.due, TIMERS);
	assert_true(jump.again > 1);
	talloc_free(crowd->ev);
}

static void drain_all(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct crowd *crowd = arg;

	(void)ev;
	(void)fde;
	(void)flags;
	crowd->total++;
	for (int i = 0; i < CROWD; i++)
		read_one(crowd, i);
}

/* Would hang in read(2). */
static void blocking_descriptor_is_not_told_of_what_another_handler_used_up(void **state)
{
	struct crowd *crowd = gather(drain_all, true);

	(void)state;
	run_batch(crowd);
	assert_int_equal(crowd->total, 1);
	for (int i = 0; i < CROWD; i++)
		test_poke(crowd->out[i]);
	run_batch(crowd);
	assert_int_equal(crowd->total, 2);
}

static void read_shared(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	char byte;

	(void)ev;
	(void)flags;
	assert_int_equal(read(talev_fd_get_fd(fde), &byte, 1), 1);
	++*(unsigned *)arg;
}

static void watchers_of_one_blocking_descriptor_share_a_byte(void **state)
{
	struct crowd crowd = {.ev = test_context(*state)};
	unsigned calls = 0;
	int fds[2];

	test_pipe(fds);
	set_blocking(fds[0]);
	for (int i = 0; i < 3; i++)
		assert_non_null(
			talev_add_fd(crowd.ev, *state, fds[0], TALEV_FD_READ, read_shared, &calls));
	test_poke(fds[1]);
	run_batch(&crowd);
	assert_int_equal(calls, 1);
	test_poke(fds[1]);
	test_poke(fds[1]);
	run_batch(&crowd);
	assert_int_equal(calls, 3);
	talloc_free(crowd.ev);
	close(fds[0]);
	close(fds[1]);
}

static void duplicates_of_one_blocking_descriptor_share_a_byte(void **state)
{
	struct crowd crowd = {.ev = test_context(*state)};
	unsigned calls = 0;
	int fds[2], copy;

	test_pipe(fds);
	set_blocking(fds[0]);
	copy = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
	assert_true(copy >= 0);
	assert_non_null(talev_add_fd(crowd.ev, *state, fds[0], TALEV_FD_READ, read_shared, &calls));
	assert_non_null(talev_add_fd(crowd.ev, *state, copy, TALEV_FD_READ, read_shared, &calls));
	test_poke(fds[1]);
	run_batch(&crowd);
	assert_int_equal(calls, 1);
	talloc_free(crowd.ev);
	close(copy);
	close(fds[0]);
	close(fds[1]);
}

static void free_others(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct crowd *crowd = arg;

	serve(ev, fde, flags, arg);
	for (int i = 0; i < CROWD; i++)
		if (crowd->fde[i] && crowd->fde[i] != fde)
			TALLOC_FREE(crowd->fde[i]);
}

static void watcher_freed_in_the_batch_is_not_called(void **state)
{
	struct crowd *crowd = gather(free_others, false);

	(void)state;
	run_batch(crowd);
	assert_int_equal(crowd->total, 1);
}

static void disable_others(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct crowd *crowd = arg;

	serve(ev, fde, flags, arg);
	for (int i = 0; i < CROWD; i++) {
		if (crowd->fde[i] == fde)
			continue;
		if (i % 2)
			assert_ok(talev_source_set_enabled(crowd->fde[i], false));
		else
			assert_ok(talev_fd_set_flags(crowd->fde[i], 0));
	}
}

static void watcher_disabled_in_the_batch_is_told_when_it_is_enabled(void **state)
{
	struct crowd *crowd = gather(disable_others, false);

	(void)state;
	run_batch(crowd);
	assert_int_equal(crowd->total, 1);
	for (unsigned served = 1; served < CROWD; served++) {
		for (int i = 0; i < CROWD; i++) {
			assert_ok(talev_source_set_enabled(crowd->fde[i], true));
			assert_ok(talev_fd_set_flags(crowd->fde[i], TALEV_FD_READ));
		}
		run_batch(crowd);
		assert_int_equal(crowd->total, served + 1);
	}
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(crowd->calls[i], 1);
}

static void nest(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct crowd *crowd = arg;

	serve(ev, fde, flags, arg);
	if (crowd->total < CROWD)
		assert_ok(test_once(ev));
}

static void nested_loops_in_a_batch_serve_each_once(void **state)
{
	(void)state;
	for (int blocking = 0; blocking < 2; blocking++) {
		struct crowd *crowd = gather(nest, blocking);

		talev_loop_allow_nesting(crowd->ev);
		run_batch(crowd);
		for (int i = 0; i < CROWD; i++)
			assert_int_equal(crowd->calls[i], 1);
		talloc_free(crowd->ev);
	}
}

static void free_in_nested(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct crowd *crowd = arg;

	if (!crowd->nested) {
		crowd->nested = true;
		serve(ev, fde, flags, arg);
		assert_ok(test_once(ev));
		return;
	}
	free_others(ev, fde, flags, arg);
}

static void watchers_freed_in_a_nested_loop_are_not_called_by_the_outer(void **state)
{
	struct crowd *crowd = gather(free_in_nested, false);

	(void)state;
	talev_loop_allow_nesting(crowd->ev);
	run_batch(crowd);
	assert_int_equal(crowd->total, 2);
}

static void replace_others(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct crowd *crowd = arg;

	serve(ev, fde, flags, arg);
	if (crowd->total > 1)
		return;
	for (int i = 0; i < CROWD; i++) {
		int fds[2];

		if (crowd->fde[i] == fde)
			continue;
		TALLOC_FREE(crowd->fde[i]);
		close(crowd->out[i]);
		test_pipe(fds);
		assert_int_equal(dup3(fds[0], crowd->in[i], O_CLOEXEC), crowd->in[i]);
		close(fds[0]);
		crowd->out[i] = fds[1];
		crowd->fde[i] = talev_add_fd(
			ev, test_root(), crowd->in[i], TALEV_FD_READ, replace_others, crowd);
		assert_non_null(crowd->fde[i]);
	}
}

/* The same numbers, other files: what the kernel said of the old ones is not told to the new. */
static void number_reused_in_the_batch_is_not_told_of_the_old_file(void **state)
{
	struct crowd *crowd = gather(replace_others, false);
	unsigned first = 0;

	(void)state;
	run_batch(crowd);
	assert_int_equal(crowd->total, 1);
	for (int i = 0; i < CROWD; i++) {
		first += crowd->calls[i];
		test_poke(crowd->out[i]);
	}
	assert_int_equal(first, 1);
	run_batch(crowd);
	assert_int_equal(crowd->total, 1 + CROWD);
}

static void note_end(struct talev_context *ev, void *arg)
{
	struct crowd *crowd = arg;

	assert_ptr_equal(ev, crowd->ev);
	crowd->ended++;
}

static void end_itself(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct crowd *crowd = arg;
	int i = who(crowd, fde);

	assert_int_equal(crowd->ended, crowd->total);
	serve(ev, fde, flags, arg);
	crowd->fde[i] = NULL;
	assert_ok(talev_finalize(ev, fde, TALEV_FINALIZE_NOW, note_end, crowd));
	assert_int_equal(crowd->ended, crowd->total - 1);
}

static void finalizer_runs_before_the_next_handler_of_the_batch(void **state)
{
	struct crowd *crowd = gather(end_itself, false);

	(void)state;
	run_batch(crowd);
	assert_int_equal(crowd->ended, CROWD);
}

static void end_the_one_before(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct crowd *crowd = arg;

	serve(ev, fde, flags, arg);
	if (crowd->before != NULL) {
		assert_ok(talev_finalize(ev, crowd->before, TALEV_FINALIZE_NOW, note_end, crowd));
		assert_int_equal(crowd->ended, crowd->total - 1);
	}
	crowd->before = fde;
}

static void handler_of_the_batch_that_has_returned_holds_up_no_finalizer(void **state)
{
	struct crowd *crowd = gather(end_the_one_before, false);

	(void)state;
	run_batch(crowd);
	assert_int_equal(crowd->ended, CROWD - 1);
}

/* Longer than the stretch after which the batch looks at the clock. */
#define QUEUE 20

struct fall {
	unsigned calls;
	unsigned last; /* this call frees the context */
	bool finalize;
};

static void fall_over(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct fall *fall = arg;

	(void)fde;
	(void)flags;
	if (++fall->calls < fall->last)
		return;
	if (fall->finalize)
		assert_ok(talev_finalize(ev, ev, 0, NULL, NULL));
	else
		assert_int_equal(talloc_free(ev), 0);
}

static void context_may_go_in_any_handler_of_the_batch(void **state)
{
	int fds[2];

	(void)state;
	test_pipe(fds);
	test_poke(fds[1]);
	for (unsigned round = 0; round < 2 * QUEUE; round++) {
		struct fall fall = {.last = round / 2 + 1, .finalize = round % 2 != 0};
		struct talev_context *ev = test_context(test_root());
		talev_time_t later = talev_time_add(talev_now(ev), TALEV_SEC(3600));
		int copies[QUEUE];

		assert_non_null(talev_add_timer(ev, ev, later, stop, NULL));
		for (int i = 0; i < QUEUE; i++) {
			copies[i] = dup(fds[0]);
			assert_true(copies[i] >= 0);
			assert_non_null(
				talev_add_fd(ev, ev, copies[i], TALEV_FD_READ, fall_over, &fall));
		}
		assert_errno(talev_loop_wait(ev), ESHUTDOWN);
		assert_int_equal(fall.calls, fall.last);
		for (int i = 0; i < QUEUE; i++)
			close(copies[i]);
	}
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_ready_descriptor_is_told_once),
		TEST(timers_that_are_due_go_before_descriptors),
		TEST(blocking_descriptor_is_not_told_of_what_another_handler_used_up),
		TEST(watchers_of_one_blocking_descriptor_share_a_byte),
		TEST(duplicates_of_one_blocking_descriptor_share_a_byte),
		TEST(watcher_freed_in_the_batch_is_not_called),
		TEST(watcher_disabled_in_the_batch_is_told_when_it_is_enabled),
		TEST(nested_loops_in_a_batch_serve_each_once),
		TEST(watchers_freed_in_a_nested_loop_are_not_called_by_the_outer),
		TEST(number_reused_in_the_batch_is_not_told_of_the_old_file),
		TEST(finalizer_runs_before_the_next_handler_of_the_batch),
		TEST(handler_of_the_batch_that_has_returned_holds_up_no_finalizer),
		TEST(context_may_go_in_any_handler_of_the_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
