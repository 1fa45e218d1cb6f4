/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: a descriptor that is closed before its watcher is freed. */
#include <fcntl.h>
#include "support/support.h"

#define TICKS 20

struct closed {
	struct talev_context *ev;
	int fds[2];
	unsigned calls;
	unsigned other_calls;
	int ticks;
};

static void mistaken_handler(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct closed *closed = arg;

	(void)ev;
	(void)fde;
	(void)flags;
	closed->calls++;
}

static void other_handler(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct closed *closed = arg;

	(void)ev;
	(void)flags;
	closed->other_calls++;
	test_drain(talev_fd_get_fd(fde));
}

static void tick(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	struct closed *closed = arg;

	(void)te;
	(void)now;
	if (++closed->ticks % TICKS == 0)
		talev_loop_break(ev);
}

/* Runs the loop for TICKS ticks of a millisecond: that is about as many turns, not thousands. */
static void assert_not_busy(struct closed *closed)
{
	struct talev_timer *te;
	struct talev_snapshot *snap;
	struct talev_context_info info;
	uint64_t turns;

	snap = talev_snapshot(test_root(), closed->ev);
	assert_ok(talev_snapshot_get_context(snap, &info, sizeof(info)));
	turns = info.turns + info.waits;
	talloc_free(snap);
	te = talev_add_ticker(closed->ev, test_root(), TALEV_MSEC(1), tick, closed);
	assert_non_null(te);
	assert_ok(test_run(closed->ev));
	talloc_free(te);
	snap = talev_snapshot(test_root(), closed->ev);
	assert_ok(talev_snapshot_get_context(snap, &info, sizeof(info)));
	talloc_free(snap);
	turns = info.turns + info.waits - turns;
	if (turns > TICKS * 10)
		fail_msg("busy loop: %lu turns and waits in %d ticks", (unsigned long)turns, TICKS);
}

/* By name and place, and once. */
static void assert_reported(void)
{
	if (test_log_count("mistaken_handler") != 1 || !test_log_contains("test_closed_fd.c:"))
		fail_msg("no report, or more than one: \"%s\"", test_log_text());
}

static struct talev_fd *set_up(struct closed *closed, TALLOC_CTX *mem_ctx)
{
	struct talev_fd *fde;

	memset(closed, 0, sizeof(*closed));
	test_log_capture();
	test_abort_capture();
	closed->ev = test_context(mem_ctx);
	test_pipe(closed->fds);
	fde = talev_add_fd(
		closed->ev, mem_ctx, closed->fds[0], TALEV_FD_READ, mistaken_handler, closed);
	assert_non_null(fde);
	assert_not_busy(closed);
	assert_string_equal(test_log_text(), "");
	return fde;
}

struct heard {
	int calls;
	enum talev_log_level level;
	char message[200];
};

static void hear(enum talev_log_level level, const char *message, void *private_data)
{
	struct heard *heard = private_data;

	heard->calls++;
	heard->level = level;
	snprintf(heard->message, sizeof(heard->message), "%s", message);
}

static void who_listens_to_the_context_is_told_alone(void **state)
{
	struct talev_context *other = test_context(*state);
	struct heard heard = {0};
	struct heard others = {0};
	struct closed closed;
	struct talev_fd *fde = set_up(&closed, *state);

	talev_context_set_log_fn(closed.ev, hear, &heard);
	talev_context_set_log_fn(other, hear, &others);
	close(closed.fds[0]);
	talloc_free(fde);
	assert_int_equal(heard.calls, 1);
	assert_int_equal(heard.level, TALEV_LOG_WARNING);
	assert_non_null(strstr(heard.message, "mistaken_handler"));
	assert_int_equal(others.calls, 0);
	assert_string_equal(test_log_text(), "");
	close(closed.fds[1]);
}

static void who_stops_to_listen_is_told_no_more(void **state)
{
	struct heard heard = {0};
	struct closed closed;
	struct talev_fd *fde = set_up(&closed, *state);

	talev_context_set_log_fn(closed.ev, hear, &heard);
	talev_context_set_log_fn(closed.ev, NULL, &heard);
	close(closed.fds[0]);
	talloc_free(fde);
	assert_int_equal(heard.calls, 0);
	assert_reported();
	close(closed.fds[1]);
}

static void closing_first_is_reported(void **state)
{
	struct closed closed;
	struct talev_fd *fde = set_up(&closed, *state);

	close(closed.fds[0]);
	assert_not_busy(&closed);
	talloc_free(fde);
	assert_not_busy(&closed);
	assert_reported();
	assert_int_equal(closed.calls, 0);
	close(closed.fds[1]);
	assert_int_equal(test_abort_count(), 0);
}

static void closing_first_is_reported_when_the_interest_changes(void **state)
{
	struct closed closed;
	struct talev_fd *fde = set_up(&closed, *state);

	close(closed.fds[0]);
	talev_fd_set_flags(fde, TALEV_FD_READ | TALEV_FD_HUP);
	assert_not_busy(&closed);
	assert_reported();
	talev_fd_set_flags(fde, TALEV_FD_READ);
	assert_not_busy(&closed);
	talloc_free(fde);
	assert_not_busy(&closed);
	assert_reported();
	assert_int_equal(closed.calls, 0);
	close(closed.fds[1]);
}

static void closing_first_is_reported_when_the_interest_comes_back(void **state)
{
	struct closed closed;
	struct talev_fd *fde = set_up(&closed, *state);

	talev_fd_set_flags(fde, 0);
	assert_not_busy(&closed);
	close(closed.fds[0]);
	talev_fd_set_flags(fde, TALEV_FD_READ);
	assert_not_busy(&closed);
	assert_reported();
	assert_int_equal(talev_fd_get_fd(fde), -1);
	assert_not_busy(&closed);
	talloc_free(fde);
	assert_reported();
	assert_int_equal(closed.calls, 0);
	close(closed.fds[1]);
}

static void auto_close_of_a_closed_descriptor_hurts_nobody(void **state)
{
	struct closed closed;
	struct talev_fd *fde = set_up(&closed, *state);

	assert_ok(talev_fd_set_auto_close(fde));
	close(closed.fds[0]);
	assert_not_busy(&closed);
	talloc_free(fde);
	assert_reported();
	close(closed.fds[1]);
}

static void number_reused_by_another_watcher_works_for_that(void **state)
{
	struct closed closed;
	struct talev_fd *fde = set_up(&closed, *state);
	struct talev_fd *other;
	int fds[2];

	test_pipe(fds);
	assert_int_equal(dup3(fds[0], closed.fds[0], O_CLOEXEC), closed.fds[0]);
	close(fds[0]);
	other = talev_add_fd(
		closed.ev, *state, closed.fds[0], TALEV_FD_READ, other_handler, &closed);
	assert_non_null(other);
	assert_not_busy(&closed);
	test_poke(fds[1]);
	assert_not_busy(&closed);
	assert_int_equal(closed.other_calls, 1);
	talloc_free(fde);
	test_poke(fds[1]);
	assert_not_busy(&closed);
	assert_int_equal(closed.other_calls, 2);
	talloc_free(other);
	close(closed.fds[0]);
	close(closed.fds[1]);
	close(fds[1]);
	assert_not_busy(&closed);
}

static void number_reused_by_another_file_is_free_for_a_new_watcher(void **state)
{
	struct closed closed;
	struct talev_fd *fde = set_up(&closed, *state);
	struct talev_fd *other;
	int fds[2];

	test_pipe(fds);
	assert_int_equal(dup3(fds[0], closed.fds[0], O_CLOEXEC), closed.fds[0]);
	close(fds[0]);
	assert_not_busy(&closed);
	talloc_free(fde);
	if (strcmp(test_backend(), "epoll") == 0)
		assert_reported(); /* poll(2) knows numbers only, and cannot tell */
	other = talev_add_fd(
		closed.ev, *state, closed.fds[0], TALEV_FD_READ, other_handler, &closed);
	test_poke(fds[1]);
	assert_not_busy(&closed);
	assert_int_equal(closed.other_calls, 1);
	talloc_free(other);
	close(closed.fds[0]);
	close(closed.fds[1]);
	close(fds[1]);
}

/* The kernel goes on reporting the file as long as a duplicate is open somewhere. */
static void duplicate_left_behind_is_no_busy_loop(void **state)
{
	struct closed closed;
	struct talev_fd *fde = set_up(&closed, *state);
	int copy = fcntl(closed.fds[0], F_DUPFD_CLOEXEC, 0);

	assert_true(copy >= 0);
	close(closed.fds[0]);
	test_poke(closed.fds[1]);
	talloc_free(fde);
	assert_not_busy(&closed);
	assert_reported();
	assert_true(closed.calls <= 1);
	close(copy);
	close(closed.fds[1]);
}

static void duplicate_left_behind_then_a_new_watcher_of_the_number(void **state)
{
	struct closed closed;
	struct talev_fd *fde = set_up(&closed, *state);
	struct talev_fd *other;
	int copy = fcntl(closed.fds[0], F_DUPFD_CLOEXEC, 0);
	int fds[2];

	test_pipe(fds);
	test_poke(closed.fds[1]);
	assert_int_equal(dup3(fds[0], closed.fds[0], O_CLOEXEC), closed.fds[0]);
	close(fds[0]);
	talloc_free(fde);
	other = talev_add_fd(
		closed.ev, *state, closed.fds[0], TALEV_FD_READ, other_handler, &closed);
	assert_non_null(other);
	assert_not_busy(&closed);
	assert_int_equal(closed.other_calls, 0);
	test_poke(fds[1]);
	assert_not_busy(&closed);
	assert_int_equal(closed.other_calls, 1);
	talloc_free(other);
	close(copy);
	close(closed.fds[0]);
	close(closed.fds[1]);
	close(fds[1]);
}

static void free_right_order(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct closed *closed = arg;

	(void)ev;
	(void)flags;
	talloc_free(fde);
	close(closed->fds[0]);
	talev_loop_break(ev);
}

static void freeing_first_is_not_reported(void **state)
{
	struct closed closed = {0};
	struct talev_fd *fde;

	test_log_capture();
	closed.ev = test_context(*state);
	for (int i = 0; i < 10; i++) {
		test_pipe(closed.fds);
		fde = talev_add_fd(
			closed.ev, *state, closed.fds[0], TALEV_FD_READ, free_right_order, &closed);
		if (i % 2 == 0) {
			test_poke(closed.fds[1]);
			assert_ok(test_run(closed.ev));
		} else {
			assert_ok(talev_fd_set_flags(fde, 0));
			talloc_free(fde);
			close(closed.fds[0]);
		}
		assert_not_busy(&closed);
		close(closed.fds[1]);
	}
	assert_string_equal(test_log_text(), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(closing_first_is_reported),
		TEST(who_listens_to_the_context_is_told_alone),
		TEST(who_stops_to_listen_is_told_no_more),
		TEST(closing_first_is_reported_when_the_interest_changes),
		TEST(closing_first_is_reported_when_the_interest_comes_back),
		TEST(auto_close_of_a_closed_descriptor_hurts_nobody),
		TEST(number_reused_by_another_watcher_works_for_that),
		TEST(number_reused_by_another_file_is_free_for_a_new_watcher),
		TEST(duplicate_left_behind_is_no_busy_loop),
		TEST(duplicate_left_behind_then_a_new_watcher_of_the_number),
		TEST(freeing_first_is_not_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
