/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: watchers that lie in a chunk of somebody else's. */
#include <fcntl.h>
#include "event/fd_inside.h"
#include "event/told.h"

struct owner {
	struct told told;
	struct fd_inside inside;
};

static int watch(struct talev_context *ev, struct owner *owner, int fd, uint16_t flags)
{
	owner->told.fde = fd_inside_watcher(&owner->inside);
	return fd_inside_add(
		&owner->inside, ev, fd, flags, on_fd, &owner->told, "inside\0test_fd_inside");
}

static void it_is_told_until_it_is_removed(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct owner a = {0};
	int fds[2];

	test_pipe(fds);
	assert_ok(watch(ev, &a, fds[0], TALEV_FD_READ));
	assert_true(talev_have_events(ev));
	assert_int_equal(talev_fd_get_fd(a.told.fde), fds[0]);
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	test_poke(fds[1]);
	assert_ok(test_once(ev));
	assert_int_equal(a.told.calls, 1);
	assert_int_equal(a.told.flags, TALEV_FD_READ);
	fd_inside_remove(&a.inside);
	assert_false(talev_have_events(ev));
	assert_int_equal(talev_fd_get_fd(a.told.fde), -1);
	memset(&a.inside, 0xff, sizeof(a.inside));
	assert_errno(test_once(ev), ENOENT);
	assert_int_equal(a.told.calls, 1);
	close_both(fds);
}

static void its_interest_changes(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct owner a = {0};
	int fds[2];

	test_socketpair(fds);
	assert_ok(watch(ev, &a, fds[0], 0));
	assert_false(talev_have_events(ev));
	assert_ok(talev_fd_set_flags(a.told.fde, TALEV_FD_WRITE));
	assert_int_equal(talev_fd_get_flags(a.told.fde), TALEV_FD_WRITE);
	assert_ok(test_once(ev));
	assert_int_equal(a.told.flags, TALEV_FD_WRITE);
	assert_ok(talev_fd_set_flags(a.told.fde, 0));
	assert_false(talev_have_events(ev));
	fd_inside_remove(&a.inside);
	close_both(fds);
}

static void remove_it(struct talev_context *ev, struct told *told)
{
	struct owner *owner = told->arg;

	(void)ev;
	fd_inside_remove(&owner->inside);
	memset(&owner->inside, 0xff, sizeof(owner->inside));
}

static void its_handler_may_remove_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct owner a = {.told.act = remove_it};
	int fds[2];

	a.told.arg = &a;
	test_pipe(fds);
	test_poke(fds[1]);
	assert_ok(watch(ev, &a, fds[0], TALEV_FD_READ));
	assert_ok(test_run(ev));
	assert_int_equal(a.told.calls, 1);
	close_both(fds);
}

static void it_shares_a_descriptor(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct owner a = {0};
	struct told b = {.drain = true};
	int fds[2];

	test_pipe(fds);
	add(ev, &b, fds[0], TALEV_FD_READ);
	assert_ok(watch(ev, &a, fds[0], TALEV_FD_HUP));
	fd_inside_remove(&a.inside);
	test_poke(fds[1]);
	assert_ok(test_once(ev));
	assert_int_equal(b.calls, 1);
	assert_int_equal(a.told.calls, 0);
	talloc_free(b.fde);
	close_both(fds);
}

static void a_descriptor_that_is_closed_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct owner a = {0};
	int fds[2];

	test_pipe(fds);
	close_both(fds);
	assert_errno(watch(ev, &a, fds[0], TALEV_FD_READ), EBADF);
	assert_int_equal(talev_fd_get_fd(a.told.fde), -1);
	fd_inside_remove(&a.inside);
	memset(&a.inside, 0xff, sizeof(a.inside));
	assert_errno(test_once(ev), ENOENT);
}

static void it_is_let_go_when_its_descriptor_is_closed(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct owner a = {0};
	int fds[2];

	test_pipe(fds);
	assert_ok(watch(ev, &a, fds[0], TALEV_FD_READ));
	test_log_capture();
	close_both(fds);
	assert_ok(talev_fd_set_flags(a.told.fde, TALEV_FD_HUP));
	(void)talev_loop_nowait(ev);
	assert_int_equal(test_log_count("closed before"), 1);
	assert_true(test_log_contains("inside (test_fd_inside)"));
	assert_int_equal(talev_fd_get_fd(a.told.fde), -1);
	fd_inside_remove(&a.inside);
	assert_int_equal(test_log_count("closed before"), 1);
}

static void its_context_may_go_first(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *other = test_context(*state);
	struct owner a = {0};
	struct owner b = {0};
	int fds[2];

	test_pipe(fds);
	assert_ok(watch(ev, &a, fds[0], TALEV_FD_READ));
	assert_ok(talev_finalize(other, ev, 0, NULL, NULL));
	assert_errno(talev_fd_set_flags(a.told.fde, 0), ESTALE);
	assert_int_equal(talev_fd_get_flags(a.told.fde), 0);
	fd_inside_remove(&a.inside);
	assert_ok(test_once(other));
	ev = test_context(*state);
	assert_ok(watch(ev, &b, fds[0], TALEV_FD_READ));
	talloc_free(ev);
	assert_errno(talev_fd_set_flags(b.told.fde, 0), ESTALE);
	fd_inside_remove(&b.inside);
	close_both(fds);
}

static void a_context_that_closes_takes_none(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *other = test_context(*state);
	struct owner a = {0};
	int fds[2];

	test_pipe(fds);
	assert_ok(talev_finalize(other, ev, 0, NULL, NULL));
	assert_errno(watch(ev, &a, fds[0], TALEV_FD_READ), ESHUTDOWN);
	assert_ok(test_once(other));
	fd_inside_remove(&a.inside);
	close_both(fds);
}

static void trace(struct talev_context *ev, enum talev_trace_point point, void *source, void *arg)
{
	struct owner *owner = arg;

	(void)ev;
	if (source != owner->told.fde)
		return;
	if (point == TALEV_TRACE_ATTACH)
		test_note("attach");
	else if (point == TALEV_TRACE_DETACH)
		test_note("detach");
}

static void it_is_traced(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct owner a = {0};
	int fds[2];

	test_pipe(fds);
	talev_context_set_trace(ev, trace, &a);
	assert_ok(watch(ev, &a, fds[0], TALEV_FD_READ));
	fd_inside_remove(&a.inside);
	talev_context_set_trace(ev, NULL, NULL);
	assert_notes("attach detach");
	assert_false(talev_have_events(ev));
	close_both(fds);
}

static void it_is_seen_in_a_snapshot(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_source_info info;
	struct talev_snapshot *snap;
	struct owner a = {0};
	int fds[2];

	test_pipe(fds);
	assert_ok(watch(ev, &a, fds[0], TALEV_FD_READ));
	snap = talev_snapshot(*state, ev);
	assert_non_null(snap);
	assert_int_equal(talev_snapshot_count(snap), 1);
	assert_ok(talev_snapshot_get(snap, 0, &info, sizeof(info)));
	assert_int_equal(info.fd, fds[0]);
	assert_string_equal(info.name, "inside");
	fd_inside_remove(&a.inside);
	close_both(fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_told_until_it_is_removed),
		TEST(its_interest_changes),
		TEST(its_handler_may_remove_it),
		TEST(it_shares_a_descriptor),
		TEST(a_descriptor_that_is_closed_is_refused),
		TEST(it_is_let_go_when_its_descriptor_is_closed),
		TEST(its_context_may_go_first),
		TEST(a_context_that_closes_takes_none),
		TEST(it_is_traced),
		TEST(it_is_seen_in_a_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
