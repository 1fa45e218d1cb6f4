/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: a context as a guest in another loop, by talev_context_get_fd(). */
#include <poll.h>
#include "support/kinds.h"

/* The descriptor of a context on this backend, or the test is skipped. */
static struct talev_context *guest(TALLOC_CTX *mem_ctx, int *fd)
{
	struct talev_context *ev = test_context(mem_ctx);

	*fd = talev_context_get_fd(ev);
	if (*fd < 0) {
		assert_int_equal(errno, EOPNOTSUPP);
		assert_string_not_equal(test_backend(), "epoll");
		skip();
	}
	return ev;
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	int n = poll(&pfd, 1, timeout_ms);

	assert_true(n >= 0);
	return n > 0;
}

/* Everything that is ready; the descriptor is quiet afterwards. */
static void settle(struct talev_context *ev, int fd)
{
	int turns = 0;

	test_watchdog(__func__, __location__);
	while (readable(fd, 0)) {
		while (talev_loop_nowait(ev) == 0)
			;
		assert_true(errno == EAGAIN || errno == ENOENT);
		/* Looking once more may be needed after an alarm, but not for ever. */
		assert_true(++turns < 10);
	}
}

/* The host's loop: waits in its own poll(2) until the guest has called the handler. */
static void host(struct talev_context *ev, int fd, struct thing *thing)
{
	int turns = 0;

	test_watchdog(__func__, __location__);
	while (thing->calls == 0) {
		if (!readable(fd, 10000))
			fail_msg("%s: not readable in ten seconds", kind_name(thing->kind));
		while (talev_loop_nowait(ev) == 0)
			;
		assert_true(errno == EAGAIN || errno == ENOENT);
		assert_true(++turns < 10);
	}
}

static void guest_with_nothing_ready_is_quiet(void **state)
{
	int fd;
	struct talev_context *ev = guest(*state, &fd);

	assert_int_equal(talev_context_get_fd(ev), fd);
	kind_add(KIND_FD, ev, *state, NULL, NULL);
	kind_add(KIND_TIMER, ev, *state, NULL, NULL);
	kind_add(KIND_SIGNAL, ev, *state, NULL, NULL);
	settle(ev, fd);
	assert_false(readable(fd, 20));
}

static void each_kind_makes_it_readable(void **state)
{
	int fd;
	struct talev_context *ev = guest(*state, &fd);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	if (thing->kind != KIND_IMMEDIATE)
		settle(ev, fd);
	kind_fire(thing);
	host(ev, fd, thing);
	talloc_free(thing->kind == KIND_TIMER || thing->kind == KIND_CHILD ? NULL : thing->source);
	settle(ev, fd);
	assert_false(readable(fd, 0));
}

static void source_that_was_ready_before_get_fd_makes_it_readable(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	int fd;

	kind_fire(thing);
	fd = talev_context_get_fd(ev);
	if (fd < 0)
		skip();
	host(ev, fd, thing);
}

static void timer_ends_the_wait_of_the_host(void **state)
{
	int fd;
	struct talev_context *ev = guest(*state, &fd);
	struct thing *thing = kind_add(KIND_TIMER, ev, *state, NULL, NULL);
	talev_time_t deadline;

	settle(ev, fd);
	/* Moved to an earlier moment while the host is not looking. */
	deadline = talev_time_add(talev_now(ev), TALEV_MSEC(20));
	assert_ok(talev_update_timer(thing->source, deadline));
	host(ev, fd, thing);
	assert_true(talev_now(ev) >= deadline);
	settle(ev, fd);
	assert_false(readable(fd, 0));
}

static void change_of_interest_reaches_the_host(void **state)
{
	int fd;
	struct talev_context *ev = guest(*state, &fd);
	struct thing *thing = kind_add(KIND_FD, ev, *state, NULL, NULL);

	assert_ok(talev_fd_set_flags(thing->source, 0));
	kind_fire(thing);
	settle(ev, fd);
	assert_false(readable(fd, 0));
	assert_ok(talev_fd_set_flags(thing->source, TALEV_FD_READ));
	host(ev, fd, thing);

	assert_ok(talev_source_set_enabled(thing->source, false));
	kind_fire(thing);
	settle(ev, fd);
	assert_false(readable(fd, 0));
	thing->calls = 0;
	assert_ok(talev_source_set_enabled(thing->source, true));
	host(ev, fd, thing);
}

static void nothing(struct talev_context *ev, void *arg)
{
	(void)ev;
	++*(int *)arg;
}

static void finalizer_makes_it_readable(void **state)
{
	int fd, finalized = 0;
	struct talev_context *ev = guest(*state, &fd);

	settle(ev, fd);
	assert_ok(talev_finalize(ev, talloc_new(*state), 0, nothing, &finalized));
	assert_true(readable(fd, 1000));
	settle(ev, fd);
	assert_int_equal(finalized, 1);
}

static void freed_source_with_a_finalizer_makes_it_readable(void **state)
{
	int fd;
	struct talev_context *ev = guest(*state, &fd);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	if (thing->kind == KIND_IMMEDIATE)
		assert_ok(talev_cancel_immediate(thing->source));
	settle(ev, fd);
	talloc_free(thing->source);
	assert_true(readable(fd, 1000));
	settle(ev, fd);
	assert_int_equal(thing->finalized, 1);
	assert_false(readable(fd, 0));
}

static void fire_other(struct thing *thing)
{
	kind_fire(thing->arg);
}

static void what_a_handler_makes_ready_is_not_forgotten(void **state)
{
	int fd;
	struct talev_context *ev = guest(*state, &fd);
	struct thing *second = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct thing *first = kind_add(KIND_TIMER, ev, *state, fire_other, second);

	if (second->kind == KIND_IMMEDIATE)
		assert_ok(talev_cancel_immediate(second->source));
	settle(ev, fd);
	kind_fire(first);
	/* One unit of work for each time that the host sees something. */
	test_watchdog(__func__, __location__);
	while (second->calls == 0) {
		assert_true(readable(fd, 10000));
		if (talev_loop_nowait(ev) != 0)
			assert_int_equal(errno, EAGAIN);
	}
	assert_int_equal(first->calls, 1);
}

static void run_guest(struct talev_context *outer, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct talev_context *ev = arg;

	(void)outer;
	(void)fde;
	assert_int_equal(flags, TALEV_FD_READ);
	while (talev_loop_nowait(ev) == 0)
		;
}

static void talev_context_may_be_the_host(void **state)
{
	int fd;
	struct talev_context *ev = guest(*state, &fd);
	struct talev_context *outer = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct talev_fd *fde;

	fde = talev_add_fd(outer, *state, fd, TALEV_FD_READ, run_guest, ev);
	assert_non_null(fde);
	for (int round = 0; round < 3; round++) {
		kind_fire(thing);
		while (thing->calls == 0)
			assert_ok(test_once(outer));
		if (thing->kind == KIND_TIMER || thing->kind == KIND_CHILD)
			break;
		thing->calls = 0;
	}
	talloc_free(fde);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(guest_with_nothing_ready_is_quiet),
		EACH_KIND(each_kind_makes_it_readable),
		EACH_KIND(source_that_was_ready_before_get_fd_makes_it_readable),
		TEST(timer_ends_the_wait_of_the_host),
		TEST(change_of_interest_reaches_the_host),
		TEST(finalizer_makes_it_readable),
		EACH_KIND(freed_source_with_a_finalizer_makes_it_readable),
		EACH_KIND(what_a_handler_makes_ready_is_not_forgotten),
		EACH_KIND(talev_context_may_be_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
