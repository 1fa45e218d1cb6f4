/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: the states of an object are told truly, and a closing one cannot be armed. */
#include "support/kinds.h"

static void assert_inert(struct thing *thing)
{
	void *source = thing->source;

	assert_int_not_equal(talev_source_get_state(source), TALEV_LIVE);
	assert_errno(kind_arm(thing), ESTALE);
	assert_errno(talev_source_set_enabled(source, true), ESTALE);
	assert_errno(talev_source_set_enabled(source, false), ESTALE);
	assert_errno(talev_source_set_finalizer(source, 0, count_finalizer, thing), ESTALE);
	assert_null(talev_source_get_context(source));
	assert_int_not_equal(talev_source_get_state(source), TALEV_LIVE);
	switch (thing->kind) {
	case KIND_FD:
		assert_int_equal(talev_fd_get_fd(source), -1);
		assert_int_equal(talev_fd_get_flags(source), 0);
		assert_errno(talev_fd_set_flags(source, 0), ESTALE);
		assert_errno(talev_fd_set_auto_close(source), ESTALE);
		assert_errno(talev_fd_set_close_fn(source, NULL), ESTALE);
		break;
	case KIND_TIMER:
		assert_true(talev_timer_get_deadline(source) == TALEV_NEVER);
		assert_errno(talev_update_timer(source, 0), ESTALE);
		assert_errno(talev_timer_stop(source), ESTALE);
		assert_errno(talev_timer_set_period(source, 1), ESTALE);
		assert_errno(talev_timer_set_slack(source, 1), ESTALE);
		break;
	case KIND_IMMEDIATE:
		assert_false(talev_immediate_is_scheduled(source));
		assert_errno(talev_cancel_immediate(source), ESTALE);
		break;
	case KIND_CHILD:
		assert_errno(talev_child_kill(source, 0), ESTALE);
		break;
	default:
		break;
	}
	/* What does not change is still told. */
	assert_non_null(talev_source_get_name(source));
	assert_non_null(strstr(talev_source_get_location(source), "kinds.c:"));
}

static void new_object_is_live(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	assert_int_equal(talev_source_get_state(thing->source), TALEV_LIVE);
	assert_ptr_equal(talev_source_get_context(thing->source), ev);
	assert_int_equal(talev_source_get_state(ev), TALEV_LIVE);
	talloc_free(thing->source);
}

static void object_in_a_finalized_tree_is_closing(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *tree = talloc_new(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, tree, NULL, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	kind_fire(thing);
	assert_ok(talev_finalize(ev, tree, 0, NULL, NULL));
	assert_int_equal(talev_source_get_state(thing->source), TALEV_CLOSING);
	assert_inert(thing);
	assert_int_equal(talev_source_get_state(thing->source), TALEV_CLOSING);
	assert_ok(test_run(ev));
	assert_int_equal(thing->finalized, 1);
	assert_int_equal(thing->calls, 0);
}

static void finalize_tree(struct thing *thing)
{
	struct talev_context_info info;
	struct talev_snapshot *snap;

	assert_ptr_equal(talev_running(), thing->source);
	assert_ok(talev_finalize(thing->ev, thing->arg, 0, NULL, NULL));
	assert_int_equal(talev_source_get_state(thing->source), TALEV_CLOSING);
	assert_inert(thing);
	snap = talev_snapshot(test_root(), thing->ev);
	assert_non_null(snap);
	assert_ok(talev_snapshot_get_context(snap, &info, sizeof(info)));
	assert_true(info.finalizers_pinned > 0);
	assert_int_equal(info.finalizers_ready, 0);
	talloc_free(snap);
}

static void object_whose_handler_runs_is_closing_until_that_returns(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *tree = talloc_new(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, tree, finalize_tree, tree);

	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	kind_fire(thing);
	assert_ok(test_run(ev));
	assert_int_equal(thing->calls, 1);
	assert_int_equal(thing->finalized, 1);
}

static void inert_in_finalizer(struct talev_context *ev, void *arg)
{
	struct thing *thing = arg;

	assert_ptr_equal(ev, thing->ev);
	assert_null(talev_running());
	assert_inert(thing);
	thing->finalized++;
}

static void own_finalizer_cannot_revive(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *tree = talloc_new(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, tree, NULL, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, inert_in_finalizer, thing));
	assert_ok(talev_finalize(ev, tree, 0, NULL, NULL));
	assert_ok(test_run(ev));
	assert_int_equal(thing->finalized, 1);
}

static void object_of_a_freed_context_is_finalized(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	talloc_free(ev);
	/* Scheduling an immediate would need a context: not this one. */
	thing->ev = test_context(*state);
	assert_int_equal(talev_source_get_state(thing->source), TALEV_FINALIZED);
	assert_inert(thing);
	talloc_free(thing->source);
}

static void object_of_a_re_initialised_context_is_finalized(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	kind_fire(thing);
	assert_ok(talev_re_initialise(ev));
	assert_ok(test_run(ev));
	assert_int_equal(talev_source_get_state(thing->source), TALEV_FINALIZED);
	assert_inert(thing);
	talloc_free(thing->source);
	assert_ok(test_run(ev));
	assert_int_equal(thing->calls, 0);
}

static void free_sibling(struct thing *thing)
{
	struct talev_context_info info;
	struct talev_snapshot *snap;
	struct thing *sibling = thing->arg;

	talloc_free(sibling->source);
	assert_ptr_equal(talev_running(), thing->source);
	snap = talev_snapshot(test_root(), thing->ev);
	assert_non_null(snap);
	assert_ok(talev_snapshot_get_context(snap, &info, sizeof(info)));
	assert_int_equal(info.finalizers_ready, 1);
	assert_int_equal(info.finalizers_pinned, 0);
	assert_int_equal(info.level, 1);
	talloc_free(snap);
	talloc_free(thing->source);
	assert_null(talev_running());
}

static void pending_finalizer_is_in_the_snapshot(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *sibling = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct thing *thing = kind_add(KIND_TIMER, ev, *state, free_sibling, sibling);

	assert_ok(talev_source_set_finalizer(sibling->source, 0, count_finalizer, sibling));
	if (sibling->kind == KIND_IMMEDIATE)
		assert_ok(talev_cancel_immediate(sibling->source));
	kind_fire(thing);
	assert_ok(test_run(ev));
	assert_int_equal(sibling->finalized, 1);
}

static void nothing_runs_outside_of_handlers(void **state)
{
	struct talev_context *ev = test_context(*state);

	assert_null(talev_running());
	assert_errno(talev_loop_once(ev), ENOENT);
	assert_null(talev_running());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KIND(new_object_is_live),
		EACH_KIND(object_in_a_finalized_tree_is_closing),
		EACH_KIND(object_whose_handler_runs_is_closing_until_that_returns),
		EACH_KIND(own_finalizer_cannot_revive),
		EACH_KIND(object_of_a_freed_context_is_finalized),
		EACH_KIND(object_of_a_re_initialised_context_is_finalized),
		EACH_KIND(pending_finalizer_is_in_the_snapshot),
		TEST(nothing_runs_outside_of_handlers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
