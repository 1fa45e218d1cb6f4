/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: watchers of a descriptor are told what is ready of what they asked for. */
#include "event/told.h"
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>

#define ALL (TALEV_FD_READ | TALEV_FD_WRITE | TALEV_FD_ERROR | TALEV_FD_HUP)

static void watcher_is_told_until_it_has_read(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {0};
	int fds[2];

	test_pipe(fds);
	add(ev, &a, fds[0], TALEV_FD_READ);
	assert_int_equal(talev_fd_get_fd(a.fde), fds[0]);
	assert_int_equal(talev_fd_get_flags(a.fde), TALEV_FD_READ);
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	test_poke(fds[1]);
	assert_ok(test_once(ev));
	assert_ok(test_once(ev));
	assert_int_equal(a.calls, 2);
	assert_int_equal(a.flags, TALEV_FD_READ);
	test_drain(fds[0]);
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	talloc_free(a.fde);
	close_both(fds);
}

static void all_that_is_ready_comes_in_one_call(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {0};
	int fds[2];

	test_socketpair(fds);
	add(ev, &a, fds[0], TALEV_FD_READ | TALEV_FD_WRITE);
	assert_ok(test_once(ev));
	assert_int_equal(a.flags, TALEV_FD_WRITE);
	test_poke(fds[1]);
	assert_ok(test_once(ev));
	assert_int_equal(a.flags, TALEV_FD_READ | TALEV_FD_WRITE);
	test_fill(fds[0]);
	assert_ok(test_once(ev));
	assert_int_equal(a.flags, TALEV_FD_READ);
	talloc_free(a.fde);
	close_both(fds);
}

static void nothing_is_told_that_was_not_asked_for(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {0};
	int fds[2];

	test_socketpair(fds);
	test_poke(fds[1]);
	add(ev, &a, fds[0], TALEV_FD_WRITE);
	assert_ok(test_once(ev));
	assert_int_equal(a.flags, TALEV_FD_WRITE);
	test_fill(fds[0]);
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	assert_ok(talev_fd_set_flags(a.fde, TALEV_FD_ERROR | TALEV_FD_HUP));
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	talloc_free(a.fde);
	close_both(fds);
}

static void flags_are_toggled(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {0};
	int fds[2];

	test_socketpair(fds);
	test_poke(fds[1]);
	add(ev, &a, fds[0], 0);
	assert_int_equal(talev_fd_get_flags(a.fde), 0);
	assert_false(talev_have_events(ev));
	assert_ok(test_run(ev));
	for (int i = 0; i < 5; i++) {
		assert_ok(talev_fd_set_flags(a.fde, TALEV_FD_READ));
		assert_true(talev_have_events(ev));
		assert_ok(test_once(ev));
		assert_int_equal(a.flags, TALEV_FD_READ);
		assert_ok(talev_fd_set_flags(a.fde, TALEV_FD_WRITE));
		assert_ok(test_once(ev));
		assert_int_equal(a.flags, TALEV_FD_WRITE);
		/* There and back between two waits. */
		assert_ok(talev_fd_set_flags(a.fde, TALEV_FD_READ));
		assert_ok(talev_fd_set_flags(a.fde, TALEV_FD_WRITE));
		assert_ok(test_once(ev));
		assert_int_equal(a.flags, TALEV_FD_WRITE);
		assert_ok(talev_fd_set_flags(a.fde, 0));
		assert_errno(talev_loop_nowait(ev), ENOENT);
	}
	assert_int_equal(a.calls, 15);
	assert_errno(talev_fd_set_flags(a.fde, 0x10), EINVAL);
	assert_int_equal(talev_fd_get_flags(a.fde), 0);
	talloc_free(a.fde);
	close_both(fds);
}

static void peer_that_closes_is_read_as_the_end_and_hup(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {0};
	int fds[2];

	test_socketpair(fds);
	add(ev, &a, fds[0], TALEV_FD_READ);
	assert_ok(close(fds[1]));
	assert_ok(test_once(ev));
	assert_int_equal(a.flags, TALEV_FD_READ);
	assert_ok(talev_fd_set_flags(a.fde, TALEV_FD_HUP));
	assert_ok(test_once(ev));
	assert_int_equal(a.flags, TALEV_FD_HUP);
	assert_ok(talev_fd_set_flags(a.fde, TALEV_FD_READ | TALEV_FD_HUP));
	assert_ok(test_once(ev));
	assert_int_equal(a.flags, TALEV_FD_READ | TALEV_FD_HUP);
	/* A write would not block either: it fails. */
	assert_ok(talev_fd_set_flags(a.fde, TALEV_FD_WRITE));
	assert_ok(test_once(ev));
	assert_int_equal(a.flags, TALEV_FD_WRITE);
	talloc_free(a.fde);
	close(fds[0]);
}

/* tevent's epoll backend takes the half-closed peer for an error, and the writer is never told. */
static void writer_goes_on_after_the_peer_has_shut_down_its_side(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {0};
	int fds[2];

	test_socketpair(fds);
	add(ev, &a, fds[0], TALEV_FD_READ | TALEV_FD_HUP);
	assert_ok(shutdown(fds[1], SHUT_WR));
	assert_ok(test_once(ev));
	assert_int_equal(a.flags, TALEV_FD_READ | TALEV_FD_HUP);
	assert_ok(talev_fd_set_flags(a.fde, TALEV_FD_WRITE));
	for (int i = 0; i < 3; i++) {
		assert_ok(test_once(ev));
		assert_int_equal(a.flags, TALEV_FD_WRITE);
	}
	test_fill(fds[0]);
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	talloc_free(a.fde);
	close_both(fds);
}

static void error_is_told_to_who_asks_for_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {0};
	int fds[2];

	test_pipe(fds);
	test_fill(fds[1]);
	add(ev, &a, fds[1], TALEV_FD_ERROR);
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	close(fds[0]);
	assert_ok(test_once(ev));
	assert_int_equal(a.flags, TALEV_FD_ERROR);
	assert_ok(talev_fd_set_flags(a.fde, TALEV_FD_WRITE | TALEV_FD_ERROR));
	assert_ok(test_once(ev));
	assert_int_equal(a.flags, TALEV_FD_WRITE | TALEV_FD_ERROR);
	/* Who only writes finds out by writing. */
	assert_ok(talev_fd_set_flags(a.fde, TALEV_FD_WRITE));
	assert_ok(test_once(ev));
	assert_int_equal(a.flags, TALEV_FD_WRITE);
	assert_ok(talev_fd_set_flags(a.fde, 0));
	assert_errno(talev_loop_nowait(ev), ENOENT);
	talloc_free(a.fde);
	close(fds[1]);
}

static void several_watchers_of_one_descriptor_take_turns(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told told[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
	int fds[2];

	test_pipe(fds);
	test_poke(fds[1]);
	add(ev, &told[0], fds[0], TALEV_FD_READ);
	add(ev, &told[1], fds[0], TALEV_FD_READ);
	for (int i = 0; i < 4; i++)
		assert_ok(test_once(ev));
	assert_notes("a b a b");
	test_forget_notes();
	add(ev, &told[2], fds[0], TALEV_FD_READ);
	for (int i = 0; i < 9; i++)
		assert_ok(test_once(ev));
	assert_notes("a b c a b c a b c");
	test_forget_notes();
	talloc_free(told[1].fde);
	for (int i = 0; i < 4; i++)
		assert_ok(test_once(ev));
	assert_notes("a c a c");
	talloc_free(told[0].fde);
	talloc_free(told[2].fde);
	close_both(fds);
}

static void reader_and_writer_of_one_descriptor_do_not_see_each_other(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told r = {.name = "r", .drain = true}, w = {.name = "w"};
	int fds[2];

	test_socketpair(fds);
	add(ev, &r, fds[0], TALEV_FD_READ);
	add(ev, &w, fds[0], TALEV_FD_WRITE);
	for (int i = 0; i < 3; i++)
		assert_ok(test_once(ev));
	assert_notes("w w w");
	test_poke(fds[1]);
	assert_ok(test_once(ev));
	assert_ok(test_once(ev));
	assert_int_equal(r.calls, 1);
	assert_int_equal(r.flags, TALEV_FD_READ);
	assert_int_equal(w.flags, TALEV_FD_WRITE);
	assert_ok(talev_fd_set_flags(w.fde, 0));
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	talloc_free(r.fde);
	talloc_free(w.fde);
	close_both(fds);
}

static void stop_after_ten(struct talev_context *ev, struct told *told)
{
	if (told->calls == 10)
		talev_loop_break(ev);
}

static void what_the_kernel_cannot_watch_is_always_ready(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told file = {0}, null = {0}, pipe_end = {.drain = true, .act = stop_after_ten};
	char name[] = "/tmp/talev-test-XXXXXX";
	int fd = mkstemp(name);
	int devnull = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[2];

	assert_true(fd >= 0 && devnull >= 0);
	unlink(name);
	test_pipe(fds);
	add(ev, &file, fd, TALEV_FD_READ);
	add(ev, &null, devnull, TALEV_FD_READ | TALEV_FD_WRITE);
	for (int i = 0; i < 10; i++)
		assert_ok(test_once(ev));
	assert_int_equal(file.flags, TALEV_FD_READ);
	assert_int_equal(null.flags, TALEV_FD_READ | TALEV_FD_WRITE);
	/* In turn; on sim as the seed has it. */
	assert_in_range(file.calls, test_is_sim() ? 1 : 4, test_is_sim() ? 9 : 6);
	assert_int_equal(file.calls + null.calls, 10);

	/* And they starve nobody, by one or by many a turn. */
	add(ev, &pipe_end, fds[0], TALEV_FD_READ);
	for (int i = 0; i < 9; i++) {
		int before = pipe_end.calls;

		test_poke(fds[1]);
		for (int turn = 0; turn < (test_is_sim() ? 60 : 6) && pipe_end.calls == before;
			turn++)
			assert_ok(test_once(ev));
		assert_int_equal(pipe_end.calls, before + 1);
	}
	test_poke(fds[1]);
	assert_ok(test_run(ev));
	assert_int_equal(pipe_end.calls, 10);

	assert_ok(talev_fd_set_flags(file.fde, 0));
	talloc_free(null.fde);
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	talloc_free(file.fde);
	talloc_free(pipe_end.fde);
	close_both(fds);
	close(fd);
	close(devnull);
}

static void readiness_is_told_to_a_disabled_watcher_afterwards(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {0};
	int fds[2];

	test_pipe(fds);
	test_poke(fds[1]);
	add(ev, &a, fds[0], TALEV_FD_READ);
	assert_ok(talev_source_set_enabled(a.fde, false));
	assert_false(talev_source_get_enabled(a.fde));
	assert_int_equal(talev_fd_get_flags(a.fde), TALEV_FD_READ);
	assert_errno(talev_loop_nowait(ev), ENOENT);
	assert_ok(talev_source_set_enabled(a.fde, true));
	assert_ok(test_once(ev));
	assert_int_equal(a.calls, 1);
	talloc_free(a.fde);
	close_both(fds);
}

static void watcher_that_is_not_live_says_so(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {0};
	int fds[2];

	test_pipe(fds);
	a.fde = talev_add_fd(ev, *state, fds[0], TALEV_FD_READ, on_fd, &a);
	talloc_free(ev);
	assert_int_equal(talev_fd_get_flags(a.fde), 0);
	assert_int_equal(talev_fd_get_fd(a.fde), -1);
	assert_errno(talev_fd_set_flags(a.fde, TALEV_FD_READ), ESTALE);
	assert_errno(talev_fd_set_close_fn(a.fde, NULL), ESTALE);
	assert_errno(talev_fd_set_auto_close(a.fde), ESTALE);
	assert_errno(talev_source_set_enabled(a.fde, false), ESTALE);
	assert_null(talev_source_get_context(a.fde));
	close_both(fds);
}

static void wrong_arguments_are_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	int fds[2];

	test_pipe(fds);
	assert_null_errno(talev_add_fd(NULL, *state, fds[0], 0, on_fd, NULL), EINVAL);
	assert_null_errno(talev_add_fd(ev, NULL, fds[0], 0, NULL, NULL), EINVAL);
	assert_null_errno(talev_add_fd(ev, NULL, fds[0], ALL + 1, on_fd, NULL), EINVAL);
	assert_null_errno(talev_add_fd(ev, NULL, -1, 0, on_fd, NULL), EBADF);
	close_both(fds);
	assert_null_errno(talev_add_fd(ev, NULL, fds[0], TALEV_FD_READ, on_fd, NULL), EBADF);
	assert_null_errno(talev_add_fd(ev, NULL, fds[0], 0, on_fd, NULL), EBADF);
	assert_false(talev_have_events(ev));
	assert_errno(talev_loop_nowait(ev), ENOENT);
}

static void wrong_number_costs_no_memory(void **state)
{
	struct talev_context *ev = test_context(*state);
	long before;

	if (!test_alloc_works() || test_is_sim())
		skip();
	before = test_alloc_bytes();
	assert_null_errno(talev_add_fd(ev, *state, INT_MAX, TALEV_FD_READ, on_fd, NULL), EBADF);
	assert_null_errno(talev_add_fd(ev, *state, INT_MAX, 0, on_fd, NULL), EBADF);
	assert_in_range(test_alloc_bytes() - before, 0, 100000);
}

static void no_memory_is_an_error_and_leaves_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {0};
	unsigned long n;
	int fds[2];

	if (!test_alloc_works())
		skip();
	test_pipe(fds);
	test_poke(fds[1]);
	for (n = 1;; n++) {
		test_alloc_fail_at(n);
		a.fde = talev_add_fd(ev, NULL, fds[0], TALEV_FD_READ, on_fd, &a);
		if (a.fde)
			break;
		assert_int_equal(errno, ENOMEM);
		test_alloc_fail_at(0);
		assert_errno(talev_loop_nowait(ev), ENOENT);
	}
	test_alloc_fail_at(0);
	assert_true(n > 1);
	assert_ok(test_once(ev));
	assert_int_equal(a.calls, 1);
	talloc_free(a.fde);
	close_both(fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(watcher_is_told_until_it_has_read),
		TEST(all_that_is_ready_comes_in_one_call),
		TEST(nothing_is_told_that_was_not_asked_for),
		TEST(flags_are_toggled),
		TEST(peer_that_closes_is_read_as_the_end_and_hup),
		TEST(writer_goes_on_after_the_peer_has_shut_down_its_side),
		TEST(error_is_told_to_who_asks_for_it),
		TEST(several_watchers_of_one_descriptor_take_turns),
		TEST(reader_and_writer_of_one_descriptor_do_not_see_each_other),
		TEST(what_the_kernel_cannot_watch_is_always_ready),
		TEST(readiness_is_told_to_a_disabled_watcher_afterwards),
		TEST(watcher_that_is_not_live_says_so),
		TEST(wrong_arguments_are_refused),
		TEST(wrong_number_costs_no_memory),
		TEST(no_memory_is_an_error_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
