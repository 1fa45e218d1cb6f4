/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: the trace points, in order and in pairs. */
#include "support/kinds.h"

static const char *const names[] = {
	[TALEV_TRACE_BEFORE_TURN] = "turn(",
	[TALEV_TRACE_AFTER_TURN] = ")turn",
	[TALEV_TRACE_BEFORE_WAIT] = "wait(",
	[TALEV_TRACE_AFTER_WAIT] = ")wait",
	[TALEV_TRACE_BEFORE_HANDLER] = "handler(",
	[TALEV_TRACE_AFTER_HANDLER] = ")handler",
	[TALEV_TRACE_ATTACH] = "attach",
	[TALEV_TRACE_DETACH] = "detach",
};

struct watch {
	struct talev_context *ev;
	void *source; /* of the last point that has one */
	int depth;
};

/* The context is traced until it is freed, which is after the test. */
static struct watch watch;

static void trace(
	struct talev_context *ev, enum talev_trace_point point, void *source, void *private_data)
{
	assert_ptr_equal(private_data, &watch);
	assert_ptr_equal(ev, watch.ev);
	test_note("%s", names[point]);
	if (source) {
		watch.source = source;
		assert_non_null(talev_source_get_name(source));
		assert_non_null(talev_source_get_location(source));
		(void)talev_source_get_tag(source);
	}
	if (point <= TALEV_TRACE_AFTER_HANDLER)
		watch.depth += point % 2 == 0 ? 1 : -1;
	assert_true(watch.depth >= 0);
}

static struct talev_context *traced(TALLOC_CTX *mem_ctx)
{
	memset(&watch, 0, sizeof(watch));
	watch.ev = test_context(mem_ctx);
	talev_context_set_trace(watch.ev, trace, &watch);
	return watch.ev;
}

static void source_is_attached_and_detached(void **state)
{
	struct talev_context *ev = traced(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	assert_notes("attach");
	assert_ptr_equal(watch.source, thing->source);
	talloc_free(thing->source);
	assert_notes("attach detach");
}

static void turn_has_the_handler_in_it(void **state)
{
	struct talev_context *ev = traced(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	bool waits = thing->kind == KIND_FD || thing->kind == KIND_CHILD;

	kind_fire(thing);
	test_forget_notes();
	assert_ok(test_once(ev));
	assert_int_equal(watch.depth, 0);
	assert_int_equal(strncmp(test_notes(), "turn( ", 6), 0);
	assert_int_equal(!!strstr(test_notes(), "wait( )wait"), waits);
	assert_non_null(strstr(test_notes(), "handler("));
	assert_non_null(strstr(test_notes(), ")handler"));
	assert_string_equal(test_notes() + strlen(test_notes()) - 6, " )turn");
}

static void descriptor_is_told_after_the_wait(void **state)
{
	struct talev_context *ev = traced(*state);
	struct thing *thing = kind_add(KIND_FD, ev, *state, NULL, NULL);

	kind_fire(thing);
	test_forget_notes();
	assert_ok(test_once(ev));
	assert_notes("turn( wait( )wait handler( )handler )turn");
}

static void timer_needs_no_wait(void **state)
{
	struct talev_context *ev = traced(*state);
	struct thing *thing = kind_add(KIND_TIMER, ev, *state, NULL, NULL);

	kind_fire(thing);
	test_forget_notes();
	assert_ok(test_once(ev));
	assert_int_equal(watch.depth, 0);
	assert_null(strstr(test_notes(), "wait"));
}

static void nothing_ready_is_a_turn_with_a_wait(void **state)
{
	struct talev_context *ev = traced(*state);

	kind_add(KIND_FD, ev, *state, NULL, NULL);
	test_forget_notes();
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	assert_notes("turn( wait( )wait )turn");
}

static void free_self(struct thing *thing)
{
	talloc_free(thing->source);
}

static void after_handler(
	struct talev_context *ev, enum talev_trace_point point, void *source, void *private_data)
{
	bool *there = private_data;

	(void)ev;
	if (point == TALEV_TRACE_AFTER_HANDLER)
		*there = source != NULL;
}

static void freed_source_is_null_after_its_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, free_self, NULL);
	bool there = true;

	talev_context_set_trace(ev, after_handler, &there);
	kind_fire(thing);
	assert_ok(test_once(ev));
	assert_false(there);
}

static void nest(struct thing *thing)
{
	struct thing *inner = thing->arg;

	kind_fire(inner);
	assert_ok(test_once(thing->ev));
	assert_int_equal(inner->calls, 1);
}

static void nested_turns_are_in_the_handler(void **state)
{
	struct talev_context *ev = traced(*state);
	struct thing *inner = kind_add(KIND_FD, ev, *state, NULL, NULL);
	struct thing *thing = kind_add(KIND_FD, ev, *state, nest, inner);

	talev_loop_allow_nesting(ev);
	kind_fire(thing);
	test_forget_notes();
	assert_ok(test_once(ev));
	assert_notes("turn( wait( )wait handler( "
		     "turn( wait( )wait handler( )handler )turn "
		     ")handler )turn");
}

static void free_context(struct thing *thing)
{
	talloc_free(thing->ev);
}

static void freed_context_is_traced_no_more(void **state)
{
	struct talev_context *ev = traced(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, free_context, NULL);

	kind_fire(thing);
	test_forget_notes();
	assert_errno(test_once(ev), ESHUTDOWN);
	assert_null(strstr(test_notes(), ")handler"));
	assert_null(strstr(test_notes(), ")turn"));
}

static void null_takes_the_trace_away(void **state)
{
	struct talev_context *ev = traced(*state);
	struct thing *thing;

	talev_context_set_trace(ev, NULL, NULL);
	thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	kind_fire(thing);
	assert_ok(test_once(ev));
	assert_notes("");
	assert_int_equal(thing->calls, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KIND(source_is_attached_and_detached),
		EACH_KIND(turn_has_the_handler_in_it),
		TEST(descriptor_is_told_after_the_wait),
		TEST(timer_needs_no_wait),
		TEST(nothing_ready_is_a_turn_with_a_wait),
		EACH_KIND(freed_source_is_null_after_its_handler),
		TEST(nested_turns_are_in_the_handler),
		EACH_KIND(freed_context_is_traced_no_more),
		EACH_KIND(null_takes_the_trace_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
