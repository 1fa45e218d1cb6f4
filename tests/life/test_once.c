/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: a finalizer runs exactly once, whatever way the object goes. */
#include "support/kinds.h"

static void nothing(struct talev_context *ev, void *arg)
{
	(void)ev;
	(void)arg;
	fail_msg("a finalizer ran that was refused");
}

static struct thing *with_finalizer(struct talev_context *ev, TALLOC_CTX *mem_ctx)
{
	struct thing *thing = kind_add(kind_of_test(), ev, mem_ctx, NULL, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	return thing;
}

static void freed_object_is_finalized_once_by_the_loop(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = with_finalizer(ev, *state);

	assert_int_equal(talloc_free(thing->source), 0);
	assert_int_equal(thing->finalized, 0);
	assert_ok(test_run(ev));
	assert_int_equal(thing->finalized, 1);
	assert_ok(test_run(ev));
	talloc_free(ev);
	assert_int_equal(thing->finalized, 1);
	assert_int_equal(thing->calls, 0);
}

static void freed_ready_object_is_finalized_and_not_called(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = with_finalizer(ev, *state);

	kind_fire(thing);
	assert_int_equal(talloc_free(thing->source), 0);
	assert_ok(test_run(ev));
	assert_int_equal(thing->finalized, 1);
	assert_int_equal(thing->calls, 0);
}

static void freed_parent_finalizes_once(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *grandparent = talloc_new(*state);
	struct thing *thing = with_finalizer(ev, talloc_new(grandparent));

	assert_int_equal(talloc_free(grandparent), 0);
	assert_int_equal(thing->finalized, 0);
	assert_ok(test_run(ev));
	assert_int_equal(thing->finalized, 1);
}

static void context_that_never_ran_finalizes_its_own_object(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = with_finalizer(ev, NULL);

	talloc_free(ev);
	assert_int_equal(thing->finalized, 1);
}

static void context_that_never_ran_finalizes_an_object_elsewhere(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = with_finalizer(ev, *state);

	talloc_free(ev);
	assert_int_equal(thing->finalized, 1);
	assert_int_equal(talloc_free(thing->source), 0);
	assert_int_equal(thing->finalized, 1);
}

static void object_freed_before_its_context_is_finalized_by_that(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = with_finalizer(ev, *state);

	talloc_free(thing->source);
	talloc_free(ev);
	assert_int_equal(thing->finalized, 1);
}

static void common_parent_of_context_and_object_finalizes_once(void **state)
{
	TALLOC_CTX *both = talloc_new(*state);
	struct talev_context *ev = test_context(both);
	struct thing *thing = with_finalizer(ev, both);

	talloc_free(both);
	assert_int_equal(thing->finalized, 1);
}

static void object_above_its_context_is_finalized_once(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = with_finalizer(ev, *state);

	talloc_steal(thing->source, ev);
	assert_int_equal(talloc_free(thing->source), 0);
	assert_int_equal(thing->finalized, 1);
}

static void re_initialise_finalizes_once(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = with_finalizer(ev, *state);

	kind_fire(thing);
	assert_ok(talev_re_initialise(ev));
	assert_ok(test_run(ev));
	assert_int_equal(thing->finalized, 1);
	assert_int_equal(thing->calls, 0);
	talloc_free(thing->source);
	talloc_free(ev);
	assert_int_equal(thing->finalized, 1);
}

static void free_self(struct thing *thing)
{
	assert_int_equal(talloc_free(thing->source), 0);
	assert_int_equal(thing->finalized, 0);
}

static void object_freed_in_its_handler_is_finalized_after_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, free_self, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	kind_fire(thing);
	assert_ok(test_run(ev));
	assert_int_equal(thing->calls, 1);
	assert_int_equal(thing->finalized, 1);
}

static void free_parent(struct thing *thing)
{
	assert_int_equal(talloc_free(thing->arg), 0);
	assert_int_equal(thing->finalized, 0);
}

static void object_freed_with_its_parent_in_its_handler_is_finalized_after_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *parent = talloc_new(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, parent, free_parent, parent);

	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	kind_fire(thing);
	assert_ok(test_run(ev));
	assert_int_equal(thing->calls, 1);
	assert_int_equal(thing->finalized, 1);
}

static void break_loop(struct thing *thing)
{
	talloc_free(thing->source);
	talev_loop_break(thing->ev);
}

static void loop_that_is_broken_leaves_no_finalizer_behind(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, break_loop, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	kind_fire(thing);
	assert_ok(test_run(ev));
	assert_int_equal(thing->finalized, 1);
}

static void second_finalizer_is_refused_and_the_first_stays(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = with_finalizer(ev, *state);

	assert_errno(talev_source_set_finalizer(thing->source, 0, nothing, NULL), EALREADY);
	assert_errno(talev_source_set_finalizer(thing->source, 0, NULL, NULL), EALREADY);
	talloc_free(thing->source);
	assert_ok(test_run(ev));
	assert_int_equal(thing->finalized, 1);
}

static void null_means_no_finalizer(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, NULL, NULL));
	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	talloc_free(thing->source);
	assert_ok(test_run(ev));
	assert_int_equal(thing->finalized, 1);
	thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	assert_ok(talev_source_set_finalizer(thing->source, 0, NULL, NULL));
	talloc_free(thing->source);
	assert_ok(test_run(ev));
}

static void wrong_flags_are_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	void *source = thing->source;

	assert_errno(talev_source_set_finalizer(source, TALEV_FINALIZE_NOW, nothing, NULL), EINVAL);
	assert_errno(talev_source_set_finalizer(source, TALEV_FINALIZE_AFTER_FREE, nothing, NULL),
		EINVAL);
	assert_errno(talev_source_set_finalizer(source, 0x80000000u, nothing, NULL), EINVAL);
	talloc_free(source);
	assert_ok(test_run(ev));
}

static void wrong_objects_are_refused(void **state)
{
	char *text = talloc_strdup(*state, "no source");

	assert_errno(talev_source_set_finalizer(text, 0, nothing, NULL), EINVAL);
	assert_errno(talev_source_set_finalizer(NULL, 0, nothing, NULL), EINVAL);
}

/* The ones that go by themselves after their handler. */
static void fired_object_that_frees_itself_is_finalized_once(void **state)
{
	static const enum kind kinds[] = {KIND_TIMER, KIND_CHILD};
	struct talev_context *ev = test_context(*state);

	for (int i = 0; i < 2 && (int)kinds[i] < kinds_here(); i++) {
		struct thing *thing = kind_add(kinds[i], ev, *state, NULL, NULL);

		assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
		kind_fire(thing);
		assert_ok(test_run(ev));
		assert_int_equal(thing->calls, 1);
		assert_int_equal(thing->finalized, 1);
	}
}

static void count(struct talev_context *ev, void *arg)
{
	(void)ev;
	++*(int *)arg;
}

static void context_has_a_finalizer_too(void **state)
{
	struct talev_context *ev = test_context(*state);
	int finalized = 0;

	assert_ok(talev_source_set_finalizer(ev, 0, count, &finalized));
	assert_errno(talev_source_set_finalizer(ev, 0, nothing, NULL), EALREADY);
	assert_errno(talev_loop_once(ev), ENOENT);
	assert_int_equal(finalized, 0);
	talloc_free(ev);
	assert_int_equal(finalized, 1);
}

static void re_initialise_leaves_the_finalizer_of_the_context(void **state)
{
	struct talev_context *ev = test_context(*state);
	int finalized = 0;

	assert_ok(talev_source_set_finalizer(ev, 0, count, &finalized));
	assert_ok(talev_re_initialise(ev));
	assert_int_equal(finalized, 0);
	talloc_free(ev);
	assert_int_equal(finalized, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KIND(freed_object_is_finalized_once_by_the_loop),
		EACH_KIND(freed_ready_object_is_finalized_and_not_called),
		EACH_KIND(freed_parent_finalizes_once),
		EACH_KIND(context_that_never_ran_finalizes_its_own_object),
		EACH_KIND(context_that_never_ran_finalizes_an_object_elsewhere),
		EACH_KIND(object_freed_before_its_context_is_finalized_by_that),
		EACH_KIND(common_parent_of_context_and_object_finalizes_once),
		EACH_KIND(object_above_its_context_is_finalized_once),
		EACH_KIND(re_initialise_finalizes_once),
		EACH_KIND(object_freed_in_its_handler_is_finalized_after_it),
		EACH_KIND(object_freed_with_its_parent_in_its_handler_is_finalized_after_it),
		EACH_KIND(loop_that_is_broken_leaves_no_finalizer_behind),
		EACH_KIND(second_finalizer_is_refused_and_the_first_stays),
		EACH_KIND(null_means_no_finalizer),
		EACH_KIND(wrong_flags_are_refused),
		TEST(wrong_objects_are_refused),
		TEST(fired_object_that_frees_itself_is_finalized_once),
		TEST(context_has_a_finalizer_too),
		TEST(re_initialise_leaves_the_finalizer_of_the_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
