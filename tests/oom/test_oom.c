/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TEST_ALL_BACKENDS: each allocation fails in turn, once or for good: an error is returned,
 * nothing leaks, and the context goes on working.
 *
 * NO_VALGRIND: it replaces the allocator that fails here
 * NO_ASAN: it replaces the allocator that fails here
 */
#include <stdio.h>
#include <signal.h>
#include <sys/wait.h>
#include "event/fd_inside.h"
#include "support/support.h"

struct oom {
	TALLOC_CTX *mem_ctx; /* freed after each try, with all that is below */
	struct talev_context *ev;
	struct talev_fd *fde;
	struct talev_timer *te;
	struct talev_immediate *im;
	TALLOC_CTX *tree;
	struct talev_snapshot *snap;
	int fds[2];
	pid_t pid;
	unsigned fd_calls;
	unsigned im_calls;
	unsigned finalized;
	unsigned sources_finalized;
};

static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct oom *oom = arg;

	(void)ev;
	if (flags & TALEV_FD_READ)
		test_drain(talev_fd_get_fd(fde));
	oom->fd_calls++;
}

static void on_timer(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)ev;
	(void)te;
	(void)now;
	(void)arg;
}

static void on_signal(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *arg)
{
	(void)ev;
	(void)se;
	(void)signum;
	(void)count;
	(void)siginfo;
	(void)arg;
}

static void on_immediate(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	struct oom *oom = arg;

	(void)ev;
	(void)im;
	oom->im_calls++;
}

static void on_child(
	struct talev_context *ev, struct talev_child *child, pid_t pid, int status, void *arg)
{
	(void)ev;
	(void)child;
	(void)pid;
	(void)status;
	(void)arg;
}

static void finalizer(struct talev_context *ev, void *arg)
{
	struct oom *oom = arg;

	(void)ev;
	oom->finalized++;
}

static void source_finalizer(struct talev_context *ev, void *arg)
{
	struct oom *oom = arg;

	(void)ev;
	oom->sources_finalized++;
}

/* What is tried: 0, or -1 and errno. */
typedef int (*try_fn)(struct oom *oom);

static int made(const void *ptr)
{
	return ptr ? 0 : -1;
}

static int try_context(struct oom *oom)
{
	return made(talev_context_init_byname(oom->mem_ctx, test_backend()));
}

static int try_backend_list(struct oom *oom)
{
	return made(talev_backend_list(oom->mem_ctx));
}

static int try_fd(struct oom *oom)
{
	return made(talev_add_fd(oom->ev, oom->mem_ctx, oom->fds[1], TALEV_FD_HUP, on_fd, oom));
}

static int try_high_fd(struct oom *oom)
{
	int fd = dup2(oom->fds[1], 900);
	struct talev_fd *fde;
	int error;

	assert_int_equal(fd, 900);
	fde = talev_add_fd(oom->ev, oom->mem_ctx, fd, TALEV_FD_HUP, on_fd, oom);
	error = errno;
	talloc_free(fde);
	close(fd);
	errno = error;
	return made(fde);
}

static int try_fd_inside(struct oom *oom)
{
	struct fd_inside inside = {{0}};
	int fd = dup2(oom->fds[1], 1000);
	int result;
	int error;

	assert_int_equal(fd, 1000);
	result = fd_inside_add(&inside, oom->ev, fd, TALEV_FD_HUP, on_fd, oom, "inside\0oom");
	error = errno;
	fd_inside_remove(&inside);
	close(fd);
	errno = error;
	return result;
}

static int try_timer(struct oom *oom)
{
	return made(talev_add_timer(oom->ev, oom->mem_ctx, TALEV_NEVER - 1, on_timer, oom));
}

static int try_realtime_timer(struct oom *oom)
{
	return made(talev_add_timer_on(
		oom->ev, oom->mem_ctx, TALEV_CLOCK_REALTIME, TALEV_NEVER - 1, on_timer, oom));
}

static int try_ticker(struct oom *oom)
{
	return made(talev_add_ticker(oom->ev, oom->mem_ctx, TALEV_SEC(3600), on_timer, oom));
}

static int try_signal(struct oom *oom)
{
	return made(talev_add_signal(oom->ev, oom->mem_ctx, SIGUSR1, 0, on_signal, oom));
}

static int try_siginfo(struct oom *oom)
{
	return made(talev_add_signal(oom->ev, oom->mem_ctx, SIGUSR2, SA_SIGINFO, on_signal, oom));
}

static int try_create_immediate(struct oom *oom)
{
	return made(talev_create_immediate(oom->mem_ctx));
}

static int try_child(struct oom *oom)
{
	struct talev_child *child = talev_add_child(oom->ev, oom->mem_ctx, oom->pid, on_child, oom);
	int error = errno;

	talloc_free(child);
	errno = error;
	return made(child);
}

static int try_set_name(struct oom *oom)
{
	return talev_source_set_name(oom->fde, "a name of its own");
}

static int try_set_context_name(struct oom *oom)
{
	return talev_source_set_name(oom->ev, "a name of its own");
}

/* If it fails nothing has changed. */

static int try_set_tag(struct oom *oom)
{
	int ret = talev_source_set_tag(oom->te, 7);

	assert_int_equal(talev_source_get_tag(oom->te), ret == 0 ? 7 : 0);
	return ret;
}

static int try_set_period(struct oom *oom)
{
	int ret = talev_timer_set_period(oom->te, TALEV_SEC(1));

	assert_int_equal(talev_timer_get_period(oom->te), ret == 0 ? TALEV_SEC(1) : 0);
	return ret;
}

static int try_set_slack(struct oom *oom)
{
	int ret = talev_timer_set_slack(oom->te, TALEV_SEC(1));

	assert_int_equal(talev_timer_get_slack(oom->te), ret == 0 ? TALEV_SEC(1) : 0);
	return ret;
}

static int try_set_finalizer(struct oom *oom)
{
	return talev_source_set_finalizer(oom->im, 0, source_finalizer, oom);
}

static int try_finalize(struct oom *oom)
{
	int ret = talev_finalize(oom->ev, oom->tree, 0, finalizer, oom);
	int error = errno;

	/* Nothing changed, or all of it. */
	assert_int_equal(talev_source_get_state(oom->te), ret ? TALEV_LIVE : TALEV_CLOSING);
	errno = error;
	return ret;
}

static int try_snapshot(struct oom *oom)
{
	return made(talev_snapshot(oom->mem_ctx, oom->ev));
}

static int try_text(struct oom *oom)
{
	return made(talev_snapshot_text(oom->mem_ctx, oom->snap));
}

static int try_json(struct oom *oom)
{
	return made(talev_snapshot_json(oom->mem_ctx, oom->snap));
}

static int try_loop_once(struct oom *oom)
{
	assert_ok(talev_fd_set_flags(oom->fde, TALEV_FD_READ | TALEV_FD_HUP));
	test_poke(oom->fds[1]);
	return test_once(oom->ev);
}

static int try_loop_wait(struct oom *oom)
{
	int ret;

	assert_ok(talev_fd_set_flags(oom->fde, TALEV_FD_READ | TALEV_FD_HUP));
	test_poke(oom->fds[1]);
	while ((ret = test_once(oom->ev)) == 0 && oom->fd_calls == 0)
		;
	return ret;
}

static int try_get_fd(struct oom *oom)
{
	int fd = talev_context_get_fd(oom->ev);

	return fd >= 0 || errno == EOPNOTSUPP ? 0 : -1;
}

static int try_re_initialise(struct oom *oom)
{
	int ret = talev_re_initialise(oom->ev);

	if (ret == 0)
		oom->fde = NULL;
	return ret;
}

static void set_up(struct oom *oom, TALLOC_CTX *mem_ctx)
{
	struct talev_fd *fde;

	oom->mem_ctx = talloc_new(mem_ctx);
	oom->ev = test_context(oom->mem_ctx);
	oom->fde = talev_add_fd(oom->ev, oom->mem_ctx, oom->fds[0], TALEV_FD_READ, on_fd, oom);
	oom->im = talev_create_immediate(oom->mem_ctx);
	oom->tree = talloc_new(oom->mem_ctx);
	oom->te = talev_add_timer(oom->ev, oom->tree, TALEV_NEVER - 1, on_timer, oom);
	fde = talev_add_fd(oom->ev, oom->te, oom->fds[1], TALEV_FD_HUP, on_fd, oom);
	assert_true(oom->fde && oom->im && oom->te && fde);
	assert_ok(talev_source_set_finalizer(oom->te, 0, source_finalizer, oom));
	oom->snap = talev_snapshot(oom->mem_ctx, oom->ev);
	assert_non_null(oom->snap);
	assert_ok(talev_schedule_immediate(oom->im, oom->ev, on_immediate, oom));
	assert_ok(test_once(oom->ev));
	oom->fd_calls = oom->im_calls = oom->finalized = oom->sources_finalized = 0;
}

/* Everything that it has, and something new. */
static void assert_works(struct oom *oom)
{
	if (talev_context_get_backend(oom->ev) == NULL ||
		strcmp(talev_context_get_backend(oom->ev), test_backend()) != 0 ||
		(oom->fde && talev_source_get_state(oom->fde) != TALEV_LIVE)) {
		/* A re_initialise() that failed may be tried again, and nothing else. */
		assert_ok(talev_re_initialise(oom->ev));
		oom->fde = NULL;
	}
	if (!oom->fde)
		oom->fde =
			talev_add_fd(oom->ev, oom->mem_ctx, oom->fds[0], TALEV_FD_READ, on_fd, oom);
	assert_non_null(oom->fde);
	oom->fd_calls = 0;
	oom->im_calls = 0;
	test_poke(oom->fds[1]);
	while (oom->fd_calls == 0)
		assert_ok(test_once(oom->ev));
	assert_int_equal(test_drain(oom->fds[0]), 0);
	if (talev_source_get_state(oom->im) != TALEV_LIVE)
		oom->im = talev_create_immediate(oom->mem_ctx);
	assert_ok(talev_schedule_immediate(oom->im, oom->ev, on_immediate, oom));
	while (oom->im_calls == 0)
		assert_ok(test_once(oom->ev));
}

/* One try with the n-th allocation failing; false when it has fewer. */
static bool fail_one(struct oom *oom, try_fn try, unsigned long n, bool for_good)
{
	long before = test_alloc_bytes();
	bool failed;
	int ret, error;

	set_up(oom, test_root());
	if (for_good)
		test_alloc_fail_from(n);
	else
		test_alloc_fail_at(n);
	errno = 0;
	ret = try(oom);
	error = errno;
	failed = test_alloc_failed();
	test_alloc_fail_at(0);
	/* It may do without, but if it gives up it must say why. */
	if (ret != 0 && !failed)
		fail_msg("failed without a reason: %s", strerror(error));
	if (ret != 0 && error != ENOMEM)
		fail_msg("allocation %lu failed: %s", n, strerror(error));
	assert_works(oom);
	talloc_free(oom->mem_ctx);
	assert_int_equal(oom->sources_finalized, try == try_set_finalizer && ret == 0 ? 2 : 1);
	if (try == try_finalize)
		assert_int_equal(oom->finalized, ret == 0);
	if (test_alloc_bytes() != before)
		fail_msg("allocation %lu failed: %ld bytes leaked", n, test_alloc_bytes() - before);
	return failed;
}

static void fail_each(try_fn try)
{
	struct oom oom = {.pid = -1};
	int release = -1;

	test_socketpair(oom.fds);
	if (try == try_child)
		oom.pid = test_spawn(0, &release);
	/* What the process allocates once is no leak. */
	(void)fail_one(&oom, try, 1000000, false);
	for (int for_good = 0; for_good < 2; for_good++)
		for (unsigned long n = 1; fail_one(&oom, try, n, for_good); n++)
			assert_true(n < 1000);
	close(oom.fds[0]);
	close(oom.fds[1]);
	if (try == try_child) {
		close(release);
		assert_int_equal(waitpid(oom.pid, NULL, 0), oom.pid);
	}
}

#define OOM_TEST(name)                                                                             \
	static void name##_survives_failing_allocations(void **state)                              \
	{                                                                                          \
		(void)state;                                                                       \
		fail_each(try_##name);                                                             \
	}

OOM_TEST(context)
OOM_TEST(backend_list)
OOM_TEST(fd)
OOM_TEST(high_fd)
OOM_TEST(fd_inside)
OOM_TEST(timer)
OOM_TEST(realtime_timer)
OOM_TEST(ticker)
OOM_TEST(signal)
OOM_TEST(siginfo)
OOM_TEST(create_immediate)
OOM_TEST(child)
OOM_TEST(set_name)
OOM_TEST(set_context_name)
OOM_TEST(set_tag)
OOM_TEST(set_period)
OOM_TEST(set_slack)
OOM_TEST(set_finalizer)
OOM_TEST(finalize)
OOM_TEST(snapshot)
OOM_TEST(text)
OOM_TEST(json)
OOM_TEST(loop_once)
OOM_TEST(loop_wait)
OOM_TEST(get_fd)
OOM_TEST(re_initialise)

static void scheduling_and_arming_allocate_nothing(void **state)
{
	struct oom oom = {0};

	test_socketpair(oom.fds);
	set_up(&oom, *state);
	test_alloc_fail_from(1);
	for (int i = 0; i < 100; i++) {
		assert_ok(talev_schedule_immediate(oom.im, oom.ev, on_immediate, &oom));
		assert_ok(talev_update_timer(oom.te, talev_now(oom.ev) + TALEV_SEC(100)));
		assert_ok(talev_timer_stop(oom.te));
		assert_ok(talev_timer_start(oom.te, TALEV_SEC(100)));
		test_poke(oom.fds[1]);
		assert_ok(test_once(oom.ev));
		assert_ok(test_once(oom.ev));
		assert_int_equal(oom.im_calls, i + 1);
		assert_int_equal(oom.fd_calls, i + 1);
	}
	assert_int_equal(test_alloc_count(), 0);
	test_alloc_fail_at(0);
	talloc_free(oom.mem_ctx);
	close(oom.fds[0]);
	close(oom.fds[1]);
}

/* Freeing cannot fail, so its finalizers have what they need beforehand. */
static void freeing_needs_no_memory(void **state)
{
	struct oom oom = {0};
	struct talev_immediate *never;
	long before = test_alloc_bytes();

	test_log_capture();
	test_socketpair(oom.fds);
	set_up(&oom, *state);
	never = talev_create_immediate(oom.tree);
	assert_ok(talev_source_set_finalizer(never, 0, source_finalizer, &oom));
	test_alloc_fail_from(1);
	talloc_free(oom.tree);
	test_once(oom.ev);
	assert_int_equal(oom.sources_finalized, 2);
	talloc_free(oom.mem_ctx);
	test_alloc_fail_at(0);
	assert_int_equal(oom.sources_finalized, 2);
	assert_int_equal(test_alloc_bytes(), before);
	close(oom.fds[0]);
	close(oom.fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(context_survives_failing_allocations),
		TEST(backend_list_survives_failing_allocations),
		TEST(fd_survives_failing_allocations),
		TEST(high_fd_survives_failing_allocations),
		TEST(fd_inside_survives_failing_allocations),
		TEST(timer_survives_failing_allocations),
		TEST(realtime_timer_survives_failing_allocations),
		TEST(ticker_survives_failing_allocations),
		TEST(signal_survives_failing_allocations),
		TEST(siginfo_survives_failing_allocations),
		TEST(create_immediate_survives_failing_allocations),
		TEST(child_survives_failing_allocations),
		TEST(set_name_survives_failing_allocations),
		TEST(set_context_name_survives_failing_allocations),
		TEST(set_tag_survives_failing_allocations),
		TEST(set_period_survives_failing_allocations),
		TEST(set_slack_survives_failing_allocations),
		TEST(set_finalizer_survives_failing_allocations),
		TEST(finalize_survives_failing_allocations),
		TEST(snapshot_survives_failing_allocations),
		TEST(text_survives_failing_allocations),
		TEST(json_survives_failing_allocations),
		TEST(loop_once_survives_failing_allocations),
		TEST(loop_wait_survives_failing_allocations),
		TEST(get_fd_survives_failing_allocations),
		TEST(re_initialise_survives_failing_allocations),
		TEST(scheduling_and_arming_allocate_nothing),
		TEST(freeing_needs_no_memory),
	};

	if (!test_alloc_works()) {
		puts("a sanitizer or valgrind replaces the allocator that fails here");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
