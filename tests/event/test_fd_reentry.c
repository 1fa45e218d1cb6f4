/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: what a watcher's handler may free, and when the close function runs. */
#include "event/told.h"

static void free_it(struct talev_context *ev, struct told *told)
{
	(void)ev;
	assert_int_equal(talloc_free(told->arg), 0);
}

static void freeing_itself_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {.act = free_it};
	int fds[2];

	test_pipe(fds);
	test_poke(fds[1]);
	add(ev, &a, fds[0], TALEV_FD_READ);
	a.arg = a.fde;
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 1);
	close_both(fds);
}

static void freeing_a_sibling_of_the_same_descriptor(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {.name = "a", .act = free_it}, b = {.name = "b"}, c = {.name = "c"};
	int fds[2];

	test_pipe(fds);
	test_poke(fds[1]);
	add(ev, &a, fds[0], TALEV_FD_READ);
	add(ev, &b, fds[0], TALEV_FD_READ);
	add(ev, &c, fds[0], TALEV_FD_READ);
	a.arg = b.fde;
	assert_ok(test_once(ev));
	a.act = NULL;
	assert_ok(test_once(ev));
	assert_ok(test_once(ev));
	assert_notes("a c a");
	talloc_free(a.fde);
	talloc_free(c.fde);
	close_both(fds);
}

static void free_both(struct talev_context *ev, struct told *told)
{
	struct told *pair = told->arg;

	(void)ev;
	assert_int_equal(talloc_free(pair[0].fde), 0);
	assert_int_equal(talloc_free(pair[1].fde), 0);
}

/* Both are in one batch; whichever is told first, the other is not. */
static void freeing_a_sibling_that_is_ready_too(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told pair[2] = {
		{.name = "told", .act = free_both}, {.name = "told", .act = free_both}};
	int fds[2][2];

	for (int i = 0; i < 2; i++) {
		test_pipe(fds[i]);
		test_poke(fds[i][1]);
		add(ev, &pair[i], fds[i][0], TALEV_FD_READ);
		pair[i].arg = pair;
	}
	assert_ok(test_run(ev));
	assert_notes("told");
	close_both(fds[0]);
	close_both(fds[1]);
}

static void freeing_the_parent_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *parent = talloc_new(*state);
	struct told a = {.act = free_it, .arg = parent};
	int fds[2];

	test_pipe(fds);
	test_poke(fds[1]);
	a.fde = talev_add_fd(ev, talloc_new(parent), fds[0], TALEV_FD_READ, on_fd, &a);
	assert_ok(test_run(ev));
	assert_int_equal(a.calls, 1);
	close_both(fds);
}

static void freeing_the_context_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {.name = "a", .act = free_it, .arg = ev}, b = {.name = "b"};
	int fds[2];

	test_pipe(fds);
	test_poke(fds[1]);
	add(ev, &a, fds[0], TALEV_FD_READ);
	b.fde = talev_add_fd(ev, *state, fds[0], TALEV_FD_READ, on_fd, &b);
	assert_errno(test_run(ev), ESHUTDOWN);
	assert_notes("a");
	assert_int_equal(talev_fd_get_fd(b.fde), -1);
	close_both(fds);
}

static void run_nested(struct talev_context *ev, struct told *told)
{
	if (told->calls < 10)
		assert_ok(talev_loop_once(ev));
	else
		talloc_free(told->fde);
	test_note("%d", told->calls);
}

static void freeing_itself_ten_levels_deep(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {.act = run_nested};
	int fds[2];

	talev_loop_allow_nesting(ev);
	test_pipe(fds);
	test_poke(fds[1]);
	add(ev, &a, fds[0], TALEV_FD_READ);
	assert_ok(test_run(ev));
	assert_notes("10 10 10 10 10 10 10 10 10 10");
	close_both(fds);
}

static void note_close(struct talev_context *ev, struct talev_fd *fde, int fd, void *private_data)
{
	struct told *told = private_data;

	assert_ptr_equal(ev, told->arg);
	assert_ptr_equal(fde, told->fde);
	/* It is inert already, and the descriptor is still open. */
	assert_int_equal(talev_fd_get_fd(fde), -1);
	assert_int_equal(talev_fd_get_flags(fde), 0);
	assert_errno(talev_fd_set_flags(fde, TALEV_FD_READ), ESTALE);
	assert_ok(close(fd));
	test_note("close");
}

static void close_function_runs_once_when_the_watcher_goes(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {.arg = ev};
	int fds[2];

	test_pipe(fds);
	add(ev, &a, fds[0], TALEV_FD_READ);
	assert_ok(talev_fd_set_close_fn(a.fde, note_close));
	talloc_free(a.fde);
	assert_notes("close");
	assert_errno(close(fds[0]), EBADF);
	close(fds[1]);
}

static void close_function_runs_once_when_the_context_goes(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {.arg = ev};
	int fds[2];

	test_pipe(fds);
	a.fde = talev_add_fd(ev, *state, fds[0], TALEV_FD_READ, on_fd, &a);
	assert_ok(talev_fd_set_close_fn(a.fde, note_close));
	talloc_free(ev);
	assert_notes("close");
	talloc_free(a.fde);
	assert_notes("close");
	close(fds[1]);
}

static void close_function_runs_inside_finalize(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *tree = talloc_new(*state);
	struct told a = {.arg = ev};
	int fds[2];

	test_pipe(fds);
	a.fde = talev_add_fd(ev, tree, fds[0], TALEV_FD_READ, on_fd, &a);
	assert_ok(talev_fd_set_close_fn(a.fde, note_close));
	assert_ok(talev_finalize(ev, tree, 0, NULL, NULL));
	assert_notes("close");
	assert_ok(test_run(ev));
	assert_notes("close");
	close(fds[1]);
}

static void close_function_can_be_taken_back(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {.arg = ev};
	int fds[2];

	test_pipe(fds);
	add(ev, &a, fds[0], TALEV_FD_READ);
	assert_ok(talev_fd_set_close_fn(a.fde, note_close));
	assert_ok(talev_fd_set_close_fn(a.fde, NULL));
	talloc_free(a.fde);
	assert_notes("");
	close_both(fds);
}

static void auto_close_closes(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct told a = {.act = free_it};
	int fds[2];

	test_pipe(fds);
	test_poke(fds[1]);
	add(ev, &a, fds[0], TALEV_FD_READ);
	assert_ok(talev_fd_set_auto_close(a.fde));
	a.arg = a.fde;
	assert_ok(test_run(ev));
	assert_errno(close(fds[0]), EBADF);
	close(fds[1]);
}

static void free_everything(
	struct talev_context *ev, struct talev_fd *fde, int fd, void *private_data)
{
	struct told *told = private_data;

	(void)ev;
	(void)fde;
	close(fd);
	test_note("close");
	talloc_free(told->arg);
}

static void close_function_may_free_the_tree_and_the_context(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *tree = talloc_new(*state);
	struct told a = {.arg = ev}, b = {.arg = tree};
	int fds[2], more[2];

	test_pipe(fds);
	test_pipe(more);
	a.fde = talev_add_fd(ev, tree, fds[0], TALEV_FD_READ, on_fd, &a);
	b.fde = talev_add_fd(ev, *state, more[0], TALEV_FD_READ, on_fd, &b);
	assert_ok(talev_fd_set_close_fn(a.fde, free_everything));
	assert_ok(talev_fd_set_close_fn(b.fde, free_everything));
	talloc_free(a.fde);
	assert_notes("close close");
	close(fds[1]);
	close(more[1]);
}

struct reuse {
	struct talev_context *ev;
	struct told next;
	int old[2];
	int fresh[2];
};

/* The number is free as soon as the watcher is, and what its new file is not ready for is not
 * told, though the old one's readiness is in the same batch. */
static void close_and_open(struct talev_context *ev, struct told *told)
{
	struct reuse *reuse = told->arg;

	if (reuse->next.fde)
		return;
	talloc_free(((struct told *)reuse->next.arg)->fde);
	close_both(reuse->old);
	test_pipe(reuse->fresh);
	reuse->next.arg = NULL;
	add(ev, &reuse->next, reuse->fresh[0], TALEV_FD_READ);
	test_note("reused");
	talev_loop_break(ev);
}

static void number_is_reused_in_the_same_batch(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct reuse reuse = {.ev = ev, .next = {.name = "wrong"}};
	struct told killer = {.act = close_and_open, .arg = &reuse}, victim = {0};
	int fds[2];

	test_pipe(fds);
	test_pipe(reuse.old);
	reuse.next.arg = &victim;
	add(ev, &killer, fds[0], TALEV_FD_READ);
	add(ev, &victim, reuse.old[0], TALEV_FD_READ);
	test_poke(fds[1]);
	test_poke(reuse.old[1]);
	assert_ok(test_run(ev));
	assert_int_equal(reuse.fresh[0], reuse.old[0]);
	talloc_free(killer.fde);
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	assert_notes("reused");
	talloc_free(reuse.next.fde);
	close_both(fds);
	close_both(reuse.fresh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(freeing_itself_in_the_handler),
		TEST(freeing_a_sibling_of_the_same_descriptor),
		TEST(freeing_a_sibling_that_is_ready_too),
		TEST(freeing_the_parent_in_the_handler),
		TEST(freeing_the_context_in_the_handler),
		TEST(freeing_itself_ten_levels_deep),
		TEST(close_function_runs_once_when_the_watcher_goes),
		TEST(close_function_runs_once_when_the_context_goes),
		TEST(close_function_runs_inside_finalize),
		TEST(close_function_can_be_taken_back),
		TEST(auto_close_closes),
		TEST(close_function_may_free_the_tree_and_the_context),
		TEST(number_is_reused_in_the_same_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
