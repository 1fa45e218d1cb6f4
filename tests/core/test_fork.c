/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: a context after fork(2): what a child does with it does not reach the parent.
 */
#include <signal.h>
#include <sys/wait.h>
#include "support/kinds.h"

/* Fires it and waits for its handler. */
static void assert_works(struct thing *thing)
{
	unsigned calls = thing->calls;

	kind_fire(thing);
	while (thing->calls == calls)
		assert_ok(test_once(thing->ev));
	assert_int_equal(thing->calls, calls + 1);
}

static void free_everything(void *arg)
{
	struct thing *thing = arg;

	talloc_free(thing->source);
	talloc_free(thing->ev);
}

static void child_that_frees_everything_leaves_the_parent_alone(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	assert_int_equal(test_in_child(free_everything, thing), 0);
	assert_works(thing);
}

static void free_context_only(void *arg)
{
	struct thing *thing = arg;

	talloc_free(thing->ev);
}

static void child_that_frees_the_context_leaves_a_running_parent_alone(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *fd = kind_add(KIND_FD, ev, *state, NULL, NULL);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	/* The kernel knows all of it by now. */
	assert_works(fd);
	assert_int_equal(test_in_child(free_context_only, thing), 0);
	assert_works(thing);
	assert_works(fd);
}

static void change_interest(void *arg)
{
	struct thing *thing = arg;

	assert_ok(talev_fd_set_flags(thing->source, 0));
	while (talev_loop_nowait(thing->ev) == 0)
		;
	assert_ok(talev_fd_set_flags(thing->source, TALEV_FD_READ | TALEV_FD_HUP));
	while (talev_loop_nowait(thing->ev) == 0)
		;
	assert_ok(talev_source_set_enabled(thing->source, false));
	while (talev_loop_nowait(thing->ev) == 0)
		;
}

static void interest_of_the_child_is_its_own(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(KIND_FD, ev, *state, NULL, NULL);

	assert_works(thing);
	assert_int_equal(test_in_child(change_interest, thing), 0);
	assert_works(thing);
	assert_works(thing);
}

static void go_on(void *arg)
{
	struct thing *thing = arg;
	struct thing *own[KINDS];

	for (int i = 0; i < kinds_here(); i++)
		own[i] = kind_add((enum kind)i, thing->ev, test_root(), NULL, NULL);
	for (int i = 0; i < kinds_here(); i++)
		assert_works(own[i]);
	/* What it inherited works, too, except the children of its parent. */
	if (thing->kind != KIND_CHILD)
		assert_works(thing);
}

static void child_goes_on_using_the_context(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	assert_int_equal(test_in_child(go_on, thing), 0);
	/* The byte that the child wrote for itself was in the shared pipe, and it read it. */
	assert_works(thing);
}

static void re_initialise(void *arg)
{
	struct thing *thing = arg;
	struct thing *own[KINDS];

	assert_ok(talev_re_initialise(thing->ev));
	assert_false(talev_have_events(thing->ev));
	assert_errno(talev_loop_once(thing->ev), ENOENT);
	for (int i = 0; i < kinds_here(); i++)
		own[i] = kind_add((enum kind)i, thing->ev, test_root(), NULL, NULL);
	for (int i = 0; i < kinds_here(); i++)
		assert_works(own[i]);
	assert_int_equal(thing->calls, 0);
	talloc_free(thing->source);
}

static void child_re_initialises_and_begins_anew(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	assert_int_equal(test_in_child(re_initialise, thing), 0);
	assert_works(thing);
}

static void re_initialise_without_fork_begins_anew_too(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	re_initialise(thing);
	assert_int_equal(thing->calls, 0);
}

static void raise_signals(void *arg)
{
	struct thing *thing = arg;

	for (int i = 0; i < 100; i++)
		raise(thing->signum);
}

static void signal_of_the_child_is_no_signal_of_the_parent(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(KIND_SIGNAL, ev, *state, NULL, NULL);

	assert_int_equal(test_in_child(raise_signals, thing), 0);
	while (talev_loop_nowait(ev) == 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(thing->calls, 0);
	assert_works(thing);
}

static void in_grandchild(void *arg)
{
	go_on(arg);
	assert_int_equal(test_in_child(go_on, arg), 0);
}

static void grandchild_goes_on_too(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(KIND_FD, ev, *state, NULL, NULL);

	assert_works(thing);
	assert_int_equal(test_in_child(in_grandchild, thing), 0);
	assert_works(thing);
}

static void fork_in_handler(struct thing *thing)
{
	assert_int_equal(test_in_child(free_everything, thing), 0);
}

static void child_forked_in_a_handler_frees_everything(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, fork_in_handler, NULL);

	assert_works(thing);
}

struct forked {
	struct thing *other;
	pid_t pid;
	int status; /* of the child, in the parent */
};

static void fork_and_go_on(struct thing *thing)
{
	struct forked *forked = thing->arg;

	forked->pid = fork();
	if (forked->pid == 0)
		test_child_begins(__location__);
	else if (forked->pid > 0)
		waitpid(forked->pid, &forked->status, 0);
	kind_fire(forked->other);
}

static bool has_run(void *arg)
{
	return ((struct thing *)arg)->calls > 0;
}

static void break_other(struct thing *thing)
{
	talev_loop_break(thing->ev);
}

/* No call of a loop begins in the child: the one that is running goes on. */
static void child_forked_in_a_handler_returns_to_the_loop(void **state)
{
	for (int until = 0; until < 2; until++) {
		struct talev_context *ev = test_context(*state);
		struct forked forked = {.status = -1};
		struct thing *thing = kind_add(kind_of_test(), ev, *state, fork_and_go_on, &forked);
		struct thing *other = kind_add(KIND_FD, ev, *state, break_other, NULL);
		int result;

		forked.other = other;
		kind_fire(thing);
		result = until ? talev_loop_until(ev, has_run, other) : test_run(ev);
		if (forked.pid == 0) {
			int status = result == 0 && other->calls == 1 ? 0 : 1;

			talloc_free(ev);
			test_child_ends(status);
		}
		assert_int_equal(forked.status, 0);
		assert_ok(result);
		assert_int_equal(other->calls, 1);
		talloc_free(ev);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KIND(child_that_frees_everything_leaves_the_parent_alone),
		EACH_KIND(child_that_frees_the_context_leaves_a_running_parent_alone),
		TEST(interest_of_the_child_is_its_own),
		EACH_KIND(child_goes_on_using_the_context),
		EACH_KIND(child_re_initialises_and_begins_anew),
		EACH_KIND(re_initialise_without_fork_begins_anew_too),
		TEST(signal_of_the_child_is_no_signal_of_the_parent),
		TEST(grandchild_goes_on_too),
		EACH_KIND(child_forked_in_a_handler_frees_everything),
		EACH_KIND(child_forked_in_a_handler_returns_to_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
