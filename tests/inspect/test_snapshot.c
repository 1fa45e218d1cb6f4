/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: a snapshot is a true copy of what a context holds. */
#include "support/support.h"
#include <signal.h>

static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)flags;
	(void)arg;
	test_drain(talev_fd_get_fd(fde));
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
	(void)ev;
	(void)im;
	(void)arg;
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

static struct talev_source_info get(const struct talev_snapshot *snap, size_t i)
{
	struct talev_source_info info;

	assert_ok(talev_snapshot_get(snap, i, &info, sizeof(info)));
	return info;
}

static struct talev_context_info context_of(const struct talev_snapshot *snap)
{
	struct talev_context_info info;

	assert_ok(talev_snapshot_get_context(snap, &info, sizeof(info)));
	return info;
}

static void empty_context_has_a_snapshot(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_snapshot *snap = talev_snapshot(*state, ev);
	struct talev_context_info info;

	assert_non_null(snap);
	assert_int_equal(talev_snapshot_count(snap), 0);
	info = context_of(snap);
	assert_string_equal(info.name, "context");
	assert_non_null(strstr(info.location, "support.c:"));
	assert_string_equal(info.backend, test_backend());
	assert_int_equal(info.state, TALEV_LIVE);
	assert_true(info.now <= talev_now(ev));
	assert_int_equal(info.level, 0);
	assert_int_equal(info.handlers, 0);
	assert_int_equal(info.finalizers_ready, 0);
	assert_int_equal(info.finalizers_pinned, 0);
}

static void each_kind_tells_what_is_special_to_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	talev_time_t deadline = talev_now(ev) + TALEV_SEC(60);
	struct talev_immediate *im = talev_create_immediate(*state);
	struct talev_source_info info;
	struct talev_snapshot *snap;
	struct talev_timer *te;
	struct talev_fd *fde;
	int fds[2];

	test_pipe(fds);
	assert_ok(talev_schedule_immediate(im, ev, on_immediate, NULL));
	assert_non_null(talev_add_signal(ev, NULL, SIGUSR1, 0, on_signal, NULL));
	te = talev_add_timer_on(ev, NULL, TALEV_CLOCK_BOOTTIME, deadline, on_timer, NULL);
	assert_ok(talev_timer_set_period(te, TALEV_SEC(5)));
	fde = talev_add_fd(ev, NULL, fds[0], TALEV_FD_READ | TALEV_FD_HUP, on_fd, NULL);
	assert_ok(talev_source_set_tag(fde, 0xfedcba9876543210));
	assert_ok(talev_source_set_name(fde, "the pipe"));

	snap = talev_snapshot(*state, ev);
	assert_int_equal(talev_snapshot_count(snap), 4);

	info = get(snap, 0);
	assert_string_equal(info.kind, "fd");
	assert_string_equal(info.name, "the pipe");
	assert_non_null(strstr(info.location, "test_snapshot.c:"));
	assert_int_equal(info.fd, fds[0]);
	assert_int_equal(info.flags, TALEV_FD_READ | TALEV_FD_HUP);
	assert_true(info.tag == 0xfedcba9876543210);
	assert_true(info.deadline == TALEV_NEVER);
	assert_int_equal(info.state, TALEV_LIVE);
	assert_true(info.enabled && info.armed && !info.running);

	info = get(snap, 1);
	assert_string_equal(info.kind, "timer");
	assert_string_equal(info.name, "on_timer");
	assert_int_equal(info.clock, TALEV_CLOCK_BOOTTIME);
	assert_int_equal(info.deadline, deadline);
	assert_int_equal(info.period, TALEV_SEC(5));
	assert_int_equal(info.fd, -1);
	assert_true(info.armed);

	info = get(snap, 2);
	assert_string_equal(info.kind, "signal");
	assert_int_equal(info.signum, SIGUSR1);
	assert_true(info.armed);

	info = get(snap, 3);
	assert_string_equal(info.kind, "immediate");
	assert_string_equal(info.name, "on_immediate");
	assert_true(info.armed);

	assert_errno(talev_snapshot_get(snap, 4, &info, sizeof(info)), EINVAL);
	talloc_free(fde);
	close(fds[0]);
	close(fds[1]);
}

static void child_tells_its_pid(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_source_info info;
	struct talev_child *child;
	int release;
	pid_t pid = test_spawn(0, &release);

	child = talev_add_child(ev, NULL, pid, on_child, NULL);
	if (!child && errno == ENOSYS) {
		/* Valgrind does not know pidfd_open(2). */
		close(release);
		skip();
	}
	info = get(talev_snapshot(*state, ev), 0);
	assert_string_equal(info.kind, "child");
	assert_int_equal(info.pid, pid);
	assert_true(info.armed);
	close(release);
	assert_ok(test_run(ev));
}

static void what_cannot_run_is_not_armed(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_immediate *im = talev_create_immediate(*state);
	void *sources[5];
	struct talev_snapshot *snap;
	int fds[2];

	test_pipe(fds);
	sources[0] = talev_add_fd(ev, NULL, fds[0], 0, on_fd, NULL);
	sources[1] = talev_add_timer(ev, NULL, TALEV_NEVER, on_timer, NULL);
	sources[2] = talev_add_timer(ev, NULL, talev_now(ev), on_timer, NULL);
	sources[3] = talev_add_signal(ev, NULL, SIGUSR1, 0, on_signal, NULL);
	assert_ok(talev_schedule_immediate(im, ev, on_immediate, NULL));
	sources[4] = im;
	for (int i = 2; i < 5; i++)
		assert_ok(talev_source_set_enabled(sources[i], false));
	snap = talev_snapshot(*state, ev);
	assert_int_equal(talev_snapshot_count(snap), 5);
	for (size_t i = 0; i < 5; i++) {
		struct talev_source_info info = get(snap, i);

		assert_false(info.armed);
		assert_int_equal(info.enabled, i == 0 || info.deadline == TALEV_NEVER ? i < 3 : 0);
	}
	talloc_free(sources[0]);
	close(fds[0]);
	close(fds[1]);
}

static void copy_is_independent_of_the_context(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_timer *te = talev_add_timer(ev, NULL, 1, on_timer, NULL);
	struct talev_snapshot *snap;
	char *text, *json;

	assert_ok(talev_source_set_name(te, "gone soon"));
	snap = talev_snapshot(*state, ev);
	talloc_free(ev);
	assert_string_equal(get(snap, 0).name, "gone soon");
	text = talev_snapshot_text(*state, snap);
	json = talev_snapshot_json(*state, snap);
	talloc_free(snap);
	assert_non_null(strstr(text, "gone soon"));
	assert_non_null(strstr(json, "\"gone soon\""));
}

static void timers_are_in_the_order_of_their_deadlines(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_snapshot *snap;
	unsigned seed = 3;

	for (int i = 0; i < 100; i++)
		assert_non_null(talev_add_timer(ev, NULL, rand_r(&seed), on_timer, NULL));
	snap = talev_snapshot(*state, ev);
	for (size_t i = 1; i < 100; i++)
		assert_true(get(snap, i - 1).deadline <= get(snap, i).deadline);
}

static struct talev_snapshot *inside;

static void take_inside(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)te;
	(void)now;
	inside = talev_snapshot(arg, ev);
}

static void finalize(struct talev_context *ev, void *arg)
{
	(void)ev;
	(void)arg;
}

static void handler_that_runs_is_told(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_timer *te, *victim;

	talev_context_set_timing(ev, true);
	te = talev_add_ticker(ev, NULL, TALEV_MSEC(1), take_inside, *state);
	victim = talev_add_timer(ev, NULL, TALEV_NEVER, on_timer, NULL);
	assert_ok(test_once(ev));
	assert_true(get(inside, 0).running);
	assert_false(get(inside, 1).running);
	assert_int_equal(context_of(inside).level, 1);
	assert_int_equal(context_of(inside).handlers, 1);
	assert_int_equal(get(inside, 0).stats.calls, 1);
	assert_ok(test_once(ev));
	assert_int_equal(get(inside, 0).stats.calls, 2);
	assert_true(get(inside, 0).stats.time_longest <= get(inside, 0).stats.time_total);

	assert_ok(talev_source_set_finalizer(victim, 0, finalize, NULL));
	talloc_free(victim);
	inside = talev_snapshot(*state, ev);
	assert_int_equal(context_of(inside).finalizers_ready, 1);
	assert_int_equal(talev_snapshot_count(inside), 1);
	talloc_free(te);
}

static void old_and_new_programs_get_their_struct(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct {
		struct talev_source_info info;
		char newer[16];
	} longer;
	struct talev_context_info context;
	struct talev_snapshot *snap;
	const char *kind = NULL;

	assert_non_null(talev_add_timer(ev, NULL, 1, on_timer, NULL));
	snap = talev_snapshot(*state, ev);
	assert_ok(talev_snapshot_get(snap, 0, (struct talev_source_info *)&kind, sizeof(kind)));
	assert_string_equal(kind, "timer");
	memset(&longer, 'x', sizeof(longer));
	assert_ok(talev_snapshot_get(snap, 0, &longer.info, sizeof(longer)));
	assert_string_equal(longer.info.name, "on_timer");
	for (size_t i = 0; i < sizeof(longer.newer); i++)
		assert_int_equal(longer.newer[i], 0);
	memset(&context, 0, sizeof(context));
	assert_ok(talev_snapshot_get_context(snap, &context, sizeof(const char *)));
	assert_non_null(context.name);
	assert_null(context.location);
}

static void no_memory_is_an_error_and_leaves_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_snapshot *snap = NULL;
	char *text = NULL, *json = NULL;
	size_t before;

	if (!test_alloc_works())
		skip();
	for (int i = 0; i < 20; i++) {
		struct talev_timer *te = talev_add_ticker(ev, NULL, i + 1, on_timer, NULL);

		assert_ok(talev_source_set_name(te, "a \"quoted\"\tname"));
	}
	before = talloc_total_blocks(*state);
	for (unsigned long n = 1; !snap; n++) {
		test_alloc_fail_at(n);
		snap = talev_snapshot(*state, ev);
		test_alloc_fail_at(0);
		if (!snap) {
			assert_int_equal(errno, ENOMEM);
			assert_int_equal(talloc_total_blocks(*state), before);
		}
	}
	before = talloc_total_blocks(*state);
	for (unsigned long n = 1; !text; n++) {
		test_alloc_fail_at(n);
		text = talev_snapshot_text(*state, snap);
		test_alloc_fail_at(0);
		if (!text) {
			assert_int_equal(errno, ENOMEM);
			assert_int_equal(talloc_total_blocks(*state), before);
		}
	}
	assert_int_equal(talloc_total_blocks(*state), before + 1);
	for (unsigned long n = 1; !json; n++) {
		test_alloc_fail_at(n);
		json = talev_snapshot_json(*state, snap);
		test_alloc_fail_at(0);
		if (!json) {
			assert_int_equal(errno, ENOMEM);
			assert_int_equal(talloc_total_blocks(*state), before + 1);
		}
	}
	assert_int_equal(talloc_total_blocks(*state), before + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(empty_context_has_a_snapshot),
		TEST(each_kind_tells_what_is_special_to_it),
		TEST(child_tells_its_pid),
		TEST(what_cannot_run_is_not_armed),
		TEST(copy_is_independent_of_the_context),
		TEST(timers_are_in_the_order_of_their_deadlines),
		TEST(handler_that_runs_is_told),
		TEST(old_and_new_programs_get_their_struct),
		TEST(no_memory_is_an_error_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
