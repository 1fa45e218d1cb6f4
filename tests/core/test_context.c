/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: making a context, asking it, and freeing it. */
#include <stdio.h>
#include "support/kinds.h"

static void backends_are_listed_best_first(void **state)
{
	const char **names = talev_backend_list(*state);
	struct talev_context *best = talev_context_init(*state);
	bool found = false;

	assert_non_null(names);
	assert_non_null(best);
	assert_string_equal(names[0], "epoll");
	assert_string_equal(talev_context_get_backend(best), names[0]);
	for (int i = 0; names[i]; i++) {
		struct talev_context *ev = talev_context_init_byname(*state, names[i]);

		assert_non_null(ev);
		assert_string_equal(talev_context_get_backend(ev), names[i]);
		found = found || strcmp(names[i], test_backend()) == 0;
	}
	assert_true(found);
}

static void unknown_backend_is_refused(void **state)
{
	struct talev_context *ev;

	assert_null_errno(talev_context_init_byname(*state, "kqueue"), EINVAL);
	assert_null_errno(talev_context_init_byname(*state, ""), EINVAL);
	ev = talev_context_init_byname(*state, NULL);
	assert_non_null(ev);
	assert_string_equal(talev_context_get_backend(ev), "epoll");
}

static void context_is_a_source_with_name_and_place(void **state)
{
	struct talev_context *ev = test_context(*state);

	assert_int_equal(talev_source_get_state(ev), TALEV_LIVE);
	assert_ptr_equal(talev_source_get_context(ev), ev);
	assert_non_null(strstr(talev_source_get_location(ev), "support.c:"));
	assert_ok(talev_source_set_name(ev, "main loop"));
	assert_string_equal(talev_source_get_name(ev), "main loop");
	assert_ok(talev_source_set_tag(ev, 7));
	assert_int_equal(talev_source_get_tag(ev), 7);
	assert_errno(talev_source_set_enabled(ev, false), EINVAL);
	assert_string_equal(talloc_get_name(ev), "struct talev_context");
}

static void source_parented_elsewhere_survives_inert(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	kind_fire(thing);
	talloc_free(ev);
	assert_null(talev_source_get_context(thing->source));
	assert_int_not_equal(talev_source_get_state(thing->source), TALEV_LIVE);
	assert_int_equal(talloc_free(thing->source), 0);
	assert_int_equal(thing->calls, 0);
}

static void source_without_parent_belongs_to_the_context(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, NULL, NULL, NULL);

	assert_ptr_equal(talloc_parent(thing->source), ev);
	talloc_free(ev);
	assert_int_equal(thing->calls, 0);
}

static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)arg;
}

static void close_fn(struct talev_context *ev, struct talev_fd *fde, int fd, void *arg)
{
	(void)fde;
	assert_true(!ev || talev_source_get_state(ev) != TALEV_LIVE);
	close(fd);
	++*(int *)arg;
}

static void descriptor_of_a_freed_context_is_closed_once(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_fd *fde;
	int fds[2], closed = 0;

	test_pipe(fds);
	fde = talev_add_fd(ev, *state, fds[0], TALEV_FD_READ, on_fd, &closed);
	assert_ok(talev_fd_set_close_fn(fde, close_fn));
	talloc_free(ev);
	talloc_free(fde);
	assert_int_equal(closed, 1);
	close(fds[1]);
}

static void time_goes_on(void **state)
{
	struct talev_context *ev = test_context(*state);
	talev_time_t before = talev_now(ev);

	assert_true(before >= 0);
	assert_true(talev_now(ev) >= before);
	assert_true(talev_turn_time(ev) <= talev_now(ev));
	assert_true(talev_clock_now(ev, TALEV_CLOCK_MONOTONIC) >= before);
	assert_true(talev_clock_now(ev, TALEV_CLOCK_REALTIME) >= 0);
	assert_true(talev_clock_now(ev, TALEV_CLOCK_BOOTTIME) >= 0);
	assert_errno(talev_clock_now(ev, (enum talev_clock)99), EINVAL);
}

static void contexts_do_not_see_each_other(void **state)
{
	struct talev_context *a = test_context(*state);
	struct talev_context *b = test_context(*state);
	struct thing *in_a = kind_add(kind_of_test(), a, *state, NULL, NULL);
	struct thing *in_b = kind_add(kind_of_test(), b, *state, NULL, NULL);

	kind_fire(in_a);
	kind_fire(in_b);
	assert_ok(test_once(b));
	assert_int_equal(in_a->calls, 0);
	assert_int_equal(in_b->calls, 1);
	talloc_free(b);
	assert_ok(test_once(a));
	assert_int_equal(in_a->calls, 1);
}

static void many_contexts_leave_nothing_behind(void **state)
{
	int before = test_count_fds();

	for (int i = 0; i < 100; i++) {
		struct talev_context *ev = test_context(*state);
		struct thing *thing = kind_add(KIND_SIGNAL, ev, *state, NULL, NULL);

		kind_fire(thing);
		assert_ok(test_once(ev));
		talloc_free(ev);
		talloc_free(thing->source);
		talloc_free(thing);
	}
	assert_int_equal(test_count_fds(), before);
}

static void the_descriptors_of_a_context_are_closed_on_exec(void **state)
{
	struct talev_context *ev = test_context(*state);
	char command[128];

	kind_add(KIND_SIGNAL, ev, *state, NULL, NULL);
	kind_add(KIND_TIMER, ev, *state, NULL, NULL);
	if (kinds_here() > KIND_CHILD)
		kind_add(KIND_CHILD, ev, *state, NULL, NULL);
	(void)talev_context_get_fd(ev);
	/* What a program sees that we start: nothing of ours above the three of the system. */
	snprintf(command, sizeof(command),
		"for fd in /proc/self/fd/*; do case $(readlink $fd) in "
		"anon_inode:*) exit 1;; esac; done");
	assert_int_equal(system(command), 0);
}

static void never_runs(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	(void)ev;
	(void)te;
	(void)now;
	(void)private_data;
	fail_msg("a timer of a freed context ran");
}

static void arm_the_other(
	struct talev_context *ev, struct talev_fd *fde, int fd, void *private_data)
{
	struct talev_timer **te = private_data;

	(void)ev;
	(void)fde;
	(void)fd;
	test_note("closed");
	(void)talev_update_timer(*te, 0);
}

static void close_function_arms_a_timer_while_the_context_goes(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_timer *te = talev_add_timer(ev, *state, TALEV_SEC(9), never_runs, NULL);
	struct talev_fd *fde;
	int fds[2];

	test_pipe(fds);
	fde = talev_add_fd(ev, *state, fds[0], TALEV_FD_READ, on_fd, &te);
	assert_non_null(fde);
	assert_int_equal(talev_timer_stop(te), 0);
	assert_int_equal(talev_fd_set_close_fn(fde, arm_the_other), 0);
	talloc_free(ev);
	assert_notes("closed");
	assert_int_equal(talev_source_get_state(te), TALEV_FINALIZED);
	talloc_free(te);
	talloc_free(fde);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(close_function_arms_a_timer_while_the_context_goes),
		TEST(backends_are_listed_best_first),
		TEST(unknown_backend_is_refused),
		TEST(context_is_a_source_with_name_and_place),
		EACH_KIND(source_parented_elsewhere_survives_inert),
		EACH_KIND(source_without_parent_belongs_to_the_context),
		TEST(descriptor_of_a_freed_context_is_closed_once),
		TEST(time_goes_on),
		EACH_KIND(contexts_do_not_see_each_other),
		TEST(many_contexts_leave_nothing_behind),
		TEST(the_descriptors_of_a_context_are_closed_on_exec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
