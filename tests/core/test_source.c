/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: what all sources have in common. */
#include <stdio.h>
#include "support/kinds.h"

static void name_is_the_handlers_until_it_has_its_own(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	char expect[32], own[] = "connection 7";

	snprintf(expect, sizeof(expect), "on_%s", kind_name(thing->kind));
	assert_string_equal(talev_source_get_name(thing->source), expect);
	assert_non_null(strstr(talev_source_get_location(thing->source), "kinds.c:"));
	assert_ok(talev_source_set_name(thing->source, own));
	own[0] = '?';
	assert_string_equal(talev_source_get_name(thing->source), "connection 7");
	assert_non_null(strstr(talev_source_get_location(thing->source), "kinds.c:"));
	assert_ok(talev_source_set_name(thing->source, ""));
	assert_string_equal(talev_source_get_name(thing->source), "");
	assert_ok(talev_source_set_name(thing->source, NULL));
	assert_string_equal(talev_source_get_name(thing->source), expect);
	assert_ok(talev_source_set_name(thing->source, NULL));
	assert_non_null(strstr(talev_source_get_location(thing->source), "kinds.c:"));
}

static void name_may_be_made_of_the_old_name(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	void *source = thing->source;

	assert_ok(talev_source_set_name(source, "a long name"));
	assert_ok(talev_source_set_name(source, talev_source_get_name(source) + 2));
	assert_string_equal(talev_source_get_name(source), "long name");
}

static void tag_has_64_bits(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	assert_true(talev_source_get_tag(thing->source) == 0);
	assert_ok(talev_source_set_tag(thing->source, UINT64_MAX - 1));
	assert_true(talev_source_get_tag(thing->source) == UINT64_MAX - 1);
}

/* Runs what is ready, and a moment longer. */
static void settle(struct talev_context *ev)
{
	while (talev_loop_nowait(ev) == 0)
		;
	assert_true(errno == EAGAIN || errno == ENOENT);
}

static void disabled_source_does_not_run(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	assert_true(talev_source_get_enabled(thing->source));
	assert_ok(talev_source_set_enabled(thing->source, false));
	assert_ok(talev_source_set_enabled(thing->source, false));
	assert_false(talev_source_get_enabled(thing->source));
	kind_fire(thing);
	settle(ev);
	assert_int_equal(thing->calls, 0);
	assert_ok(talev_source_set_enabled(thing->source, true));
	assert_true(talev_source_get_enabled(thing->source));
	if (thing->kind == KIND_SIGNAL) {
		/* That one is lost; the next is not. */
		settle(ev);
		assert_int_equal(thing->calls, 0);
		kind_fire(thing);
	}
	while (thing->calls == 0)
		assert_ok(test_once(ev));
	settle(ev);
	assert_int_equal(thing->calls, 1);
}

static void ready_source_is_disabled_in_time(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	kind_fire(thing);
	assert_ok(talev_source_set_enabled(thing->source, false));
	settle(ev);
	assert_int_equal(thing->calls, 0);
	talloc_free(thing->source);
	settle(ev);
	assert_int_equal(thing->calls, 0);
}

static void disable_self(struct thing *thing)
{
	assert_ok(talev_source_set_enabled(thing->source, false));
}

static void source_disables_itself_in_its_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, disable_self, NULL);

	if (thing->kind == KIND_CHILD || thing->kind == KIND_TIMER)
		skip(); /* gone with their handler */
	kind_fire(thing);
	assert_ok(test_once(ev));
	kind_fire(thing);
	settle(ev);
	assert_int_equal(thing->calls, 1);
	assert_false(talev_source_get_enabled(thing->source));
}

static void what_is_no_source_is_refused(void **state)
{
	char *text = talloc_strdup(*state, "struct talev_fd");
	void *wrong[] = {NULL, text, *state};

	for (int i = 0; i < 3; i++) {
		errno = 0;
		assert_int_equal(talev_source_get_state(wrong[i]), TALEV_FINALIZED);
		assert_int_equal(errno, EINVAL);
		assert_null(talev_source_get_context(wrong[i]));
		assert_non_null(talev_source_get_name(wrong[i]));
		assert_non_null(talev_source_get_location(wrong[i]));
		assert_errno(talev_source_set_name(wrong[i], "name"), EINVAL);
		assert_errno(talev_source_set_tag(wrong[i], 1), EINVAL);
		assert_true(talev_source_get_tag(wrong[i]) == 0);
		assert_errno(talev_source_set_enabled(wrong[i], true), EINVAL);
		assert_false(talev_source_get_enabled(wrong[i]));
	}
}

static void wrong_contexts_are_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct talev_context *wrong[] = {
		NULL, (void *)talloc_strdup(*state, "text"), (void *)thing->source};

	for (int i = 0; i < 3; i++) {
		assert_errno(talev_loop_once(wrong[i]), EINVAL);
		assert_errno(talev_loop_wait(wrong[i]), EINVAL);
		assert_errno(talev_re_initialise(wrong[i]), EINVAL);
		assert_errno(talev_context_get_fd(wrong[i]), EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KIND(name_is_the_handlers_until_it_has_its_own),
		EACH_KIND(name_may_be_made_of_the_old_name),
		EACH_KIND(tag_has_64_bits),
		EACH_KIND(disabled_source_does_not_run),
		EACH_KIND(ready_source_is_disabled_in_time),
		EACH_KIND(source_disables_itself_in_its_handler),
		TEST(what_is_no_source_is_refused),
		EACH_KIND(wrong_contexts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
