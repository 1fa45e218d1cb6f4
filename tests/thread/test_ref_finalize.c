/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: finalizing through a weak reference: once, on the owner's thread, after all.
 */
#include "support/kinds.h"
#include "thread/threads.h"

static struct talev_ref *ref_to(struct thing *thing)
{
	struct talev_ref *ref = talev_ref_create(thing->ev, test_late(), thing->source);

	assert_non_null(ref);
	return ref;
}

static void run_what_is_there(struct talev_context *ev)
{
	test_watchdog(__func__, __location__);
	while (talev_loop_nowait(ev) == 0) {
	}
	assert_true(errno == EAGAIN || errno == ENOENT);
}

struct end {
	struct talev_ref *ref;
	struct thing *thing;
	pthread_t owner;
	unsigned flags;
	int count;
	int result;
	int error;
};

/* Fails the test if anything of the source could still be executing. */
static void count_end(struct talev_context *ev, void *arg)
{
	struct end *end = arg;

	(void)ev;
	demand(pthread_equal(pthread_self(), end->owner));
	demand(!end->thing->running);
	demand(talev_ref_get_status(end->ref) == TALEV_REF_GONE);
	end->count++;
}

static void *finalize(void *arg)
{
	struct end *end = arg;

	end->result = talev_ref_finalize(end->ref, end->flags, count_end, end);
	end->error = errno;
	return NULL;
}

static int finalize_elsewhere(struct end *end)
{
	thread_join(thread_start(finalize, end));
	errno = end->error;
	return end->result;
}

static struct end end_of(struct thing *thing)
{
	return (struct end){.ref = ref_to(thing), .thing = thing, .owner = pthread_self()};
}

static int gone(void **child)
{
	(void)child;
	test_note("memory");
	return 0;
}

/* A chunk below the source tells when the memory goes. */
static void *watch_memory(void *parent)
{
	void **child = talloc_zero(parent, void *);

	talloc_set_destructor(child, gone);
	return child;
}

static void the_source_and_all_below_it_goes(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct end end = end_of(thing);

	watch_memory(thing->source);
	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	assert_ok(finalize_elsewhere(&end));
	assert_int_equal(end.count, 0);
	assert_int_equal(talev_ref_get_status(end.ref), TALEV_REF_GONE);
	kind_fire(thing);
	run_what_is_there(ev);
	assert_int_equal(end.count, 1);
	assert_int_equal(thing->finalized, 1);
	assert_int_equal(thing->calls, 0);
	assert_notes("memory");
	assert_false(talev_have_events(ev));
}

static void asking_twice_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct end end = end_of(thing);
	struct end again = end;

	assert_ok(finalize_elsewhere(&end));
	assert_errno(finalize_elsewhere(&again), EALREADY);
	run_what_is_there(ev);
	assert_errno(finalize_elsewhere(&again), EALREADY);
	run_what_is_there(ev);
	assert_int_equal(end.count, 1);
	assert_int_equal(again.count, 0);
}

static void finalize_in_handler(struct thing *thing)
{
	struct end *end = thing->arg;

	assert_ok(talev_ref_finalize(end->ref, 0, count_end, end));
	assert_int_equal(end->count, 0);
	assert_int_equal(talev_ref_get_status(end->ref), TALEV_REF_RUNNING);
}

static void asked_for_in_its_own_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, finalize_in_handler, NULL);
	struct end end = end_of(thing);

	thing->arg = &end;
	kind_fire(thing);
	run_what_is_there(ev);
	assert_int_equal(thing->calls, 1);
	assert_int_equal(end.count, 1);
}

struct nest {
	struct end *end;
	struct talev_immediate *im;
	bool inner;
};

static void inner(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	struct nest *nest = arg;

	(void)ev;
	(void)im;
	nest->inner = true;
}

/* The message arrives in a loop nested in the handler: the memory stays until that returns. */
static void run_nested(struct thing *thing)
{
	struct nest *nest = thing->arg;

	assert_ok(finalize_elsewhere(nest->end));
	assert_ok(talev_schedule_immediate(nest->im, thing->ev, inner, nest));
	while (!nest->inner)
		assert_ok(talev_loop_once(thing->ev));
	run_what_is_there(thing->ev);
	assert_int_equal(nest->end->count, 0);
	assert_notes("");
}

static void delivered_in_a_loop_nested_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct nest nest = {.im = talev_create_immediate(*state)};
	struct thing *thing = kind_add(kind_of_test(), ev, *state, run_nested, &nest);
	struct end end = end_of(thing);

	nest.end = &end;
	watch_memory(thing->source);
	talev_loop_allow_nesting(ev);
	kind_fire(thing);
	run_what_is_there(ev);
	assert_int_equal(thing->calls, 1);
	assert_int_equal(end.count, 1);
	assert_notes("memory");
}

static void the_source_was_freed_before(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct end end = end_of(thing);

	talloc_free(thing->source);
	assert_ok(finalize_elsewhere(&end));
	run_what_is_there(ev);
	assert_int_equal(end.count, 1);
}

static void the_source_is_freed_with_the_message_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct end end = end_of(thing);

	assert_ok(finalize_elsewhere(&end));
	talloc_free(thing->source);
	/* Nothing else is there that would keep the loop running. */
	assert_ok(test_run(ev));
	assert_int_equal(end.count, 1);
}

static void free_source(struct thing *thing)
{
	struct end *end = thing->arg;

	assert_ok(finalize_elsewhere(end));
	talloc_free(thing->source);
	assert_int_equal(end->count, 0);
}

static void the_source_is_freed_in_its_handler_with_the_message_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, free_source, NULL);
	struct end end = end_of(thing);

	thing->arg = &end;
	kind_fire(thing);
	run_what_is_there(ev);
	assert_int_equal(thing->calls, 1);
	assert_int_equal(end.count, 1);
}

static void free_source_and_run_nested(struct thing *thing)
{
	talloc_free(thing->source);
	run_nested(thing);
}

static void freed_in_its_handler_and_the_message_arrives_before_that_returns(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct nest nest = {.im = talev_create_immediate(*state)};
	struct thing *thing =
		kind_add(kind_of_test(), ev, *state, free_source_and_run_nested, &nest);
	struct end end = end_of(thing);

	nest.end = &end;
	talev_loop_allow_nesting(ev);
	kind_fire(thing);
	run_what_is_there(ev);
	assert_int_equal(thing->calls, 1);
	assert_int_equal(end.count, 1);
}

static void it_goes_with_a_tree_that_is_finalized(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *tree = talloc_new(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, tree, NULL, NULL);
	struct end end = end_of(thing);

	assert_ok(finalize_elsewhere(&end));
	assert_ok(talev_finalize(ev, tree, 0, NULL, NULL));
	run_what_is_there(ev);
	assert_int_equal(end.count, 1);
}

static void the_context_is_freed_with_the_message_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, NULL, NULL, NULL);
	struct end end = end_of(thing);

	watch_memory(thing->source);
	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	assert_ok(finalize_elsewhere(&end));
	talloc_free(ev);
	assert_int_equal(end.count, 1);
	assert_int_equal(thing->finalized, 1);
	assert_notes("memory");
}

static void finalize_and_free_context(struct thing *thing)
{
	struct end *end = thing->arg;

	assert_ok(finalize_elsewhere(end));
	talloc_free(thing->ev);
	assert_int_equal(end->count, 0);
}

static void the_context_is_freed_in_the_handler_with_the_message_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, finalize_and_free_context, NULL);
	struct end end = end_of(thing);

	thing->arg = &end;
	kind_fire(thing);
	assert_errno(test_run(ev), ESHUTDOWN);
	assert_int_equal(thing->calls, 1);
	assert_int_equal(end.count, 1);
}

static void a_loop_that_is_gone_refuses(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, NULL, NULL, NULL);
	struct end end = end_of(thing);

	talloc_free(ev);
	assert_errno(finalize_elsewhere(&end), ESHUTDOWN);
	assert_errno(finalize_elsewhere(&end), ESHUTDOWN);
	assert_int_equal(end.count, 0);
}

static void a_cancelled_source_can_be_finalized(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct end end = end_of(thing);

	watch_memory(thing->source);
	assert_int_equal(talev_ref_cancel(end.ref), TALEV_REF_IDLE);
	run_what_is_there(ev);
	assert_notes("");
	assert_ok(finalize_elsewhere(&end));
	run_what_is_there(ev);
	assert_int_equal(end.count, 1);
	assert_notes("memory");
}

static void references_may_go_while_the_message_is_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct end end = end_of(thing);
	struct talev_ref *ref = end.ref;

	end.ref = talev_ref_create(ev, test_late(), thing->source);
	assert_ok(talev_ref_finalize(ref, 0, count_end, &end));
	talloc_free(ref);
	run_what_is_there(ev);
	assert_int_equal(end.count, 1);
}

static void a_finalizer_is_optional(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	watch_memory(thing->source);
	assert_ok(talev_ref_finalize(ref_to(thing), 0, NULL, NULL));
	run_what_is_there(ev);
	assert_notes("memory");
}

static void note_end(struct talev_context *ev, void *arg)
{
	(void)ev;
	test_note("%s", (const char *)arg);
}

static void flags_are_those_of_finalize_except_now(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(KIND_TIMER, ev, *state, NULL, NULL);
	struct talev_ref *ref = ref_to(thing);

	watch_memory(thing->source);
	assert_errno(talev_ref_finalize(ref, TALEV_FINALIZE_NOW, note_end, NULL), EINVAL);
	assert_errno(talev_ref_finalize(ref, 1u << 31, note_end, NULL), EINVAL);
	assert_int_equal(talev_ref_get_status(ref), TALEV_REF_IDLE);
	assert_ok(talev_ref_finalize(
		ref, TALEV_FINALIZE_AFTER_FREE, note_end, (void *)(uintptr_t) "after"));
	run_what_is_there(ev);
	assert_notes("memory after");
}

static void close_the_context(
	struct talev_context *ev, struct talev_fd *fde, int fd, void *private_data)
{
	(void)fde;
	(void)fd;
	(void)private_data;
	talloc_free(ev);
}

static void the_context_is_freed_where_the_descriptor_is_closed(void **state)
{
	for (int referenced = 0; referenced < 2; referenced++) {
		struct talev_context *ev = test_context(NULL);
		struct thing *thing = kind_add(KIND_FD, ev, *state, NULL, NULL);
		struct end end = end_of(thing);

		/* What somebody else refers to is not freed, but it is closed. */
		if (referenced)
			assert_non_null(talloc_reference(*state, thing->source));
		assert_ok(talev_fd_set_close_fn(thing->source, close_the_context));
		assert_ok(finalize_elsewhere(&end));
		assert_errno(talev_loop_nowait(ev), ESHUTDOWN);
		assert_int_equal(end.count, 1);
	}
}

static void without_memory_nothing_changes(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct end end = end_of(thing);

	if (!test_alloc_works())
		skip();
	test_alloc_fail_at(1);
	assert_errno(talev_ref_finalize(end.ref, 0, count_end, &end), ENOMEM);
	test_alloc_fail_at(0);
	assert_int_equal(talev_ref_get_status(end.ref), TALEV_REF_IDLE);
	assert_ok(talev_ref_finalize(end.ref, 0, count_end, &end));
	watch_memory(thing->source);
	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	/* The loop may be without it when it finalizes: it was said that it would. */
	test_alloc_fail_from(1);
	while (talev_loop_nowait(ev) == 0) {
	}
	test_alloc_fail_at(0);
	assert_int_equal(end.count, 1);
	assert_int_equal(thing->finalized, 1);
	assert_notes("memory");
}

static void finalize_self_and_look(struct thing *thing)
{
	struct end *end = thing->arg;

	assert_ok(finalize_elsewhere(end));
	talev_loop_allow_nesting(thing->ev);
	test_alloc_fail_from(1);
	run_what_is_there(thing->ev);
	test_alloc_fail_at(0);
	assert_int_equal(end->count, 0);
	assert_notes("");
}

/* All that waits for the handler waits without a list as well. */
static void without_memory_in_a_loop_nested_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, finalize_self_and_look, NULL);
	struct end end = end_of(thing);

	if (!test_alloc_works())
		skip();
	thing->arg = &end;
	watch_memory(thing->source);
	kind_fire(thing);
	run_what_is_there(ev);
	assert_int_equal(end.count, 1);
	assert_notes("memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KIND(the_source_and_all_below_it_goes),
		EACH_KIND(asking_twice_is_refused),
		EACH_KIND(asked_for_in_its_own_handler),
		EACH_KIND(delivered_in_a_loop_nested_in_the_handler),
		EACH_KIND(the_source_was_freed_before),
		EACH_KIND(the_source_is_freed_with_the_message_on_its_way),
		EACH_KIND(the_source_is_freed_in_its_handler_with_the_message_on_its_way),
		EACH_KIND(freed_in_its_handler_and_the_message_arrives_before_that_returns),
		EACH_KIND(it_goes_with_a_tree_that_is_finalized),
		EACH_KIND(the_context_is_freed_with_the_message_on_its_way),
		EACH_KIND(the_context_is_freed_in_the_handler_with_the_message_on_its_way),
		EACH_KIND(a_loop_that_is_gone_refuses),
		EACH_KIND(a_cancelled_source_can_be_finalized),
		EACH_KIND(references_may_go_while_the_message_is_on_its_way),
		EACH_KIND(a_finalizer_is_optional),
		TEST(flags_are_those_of_finalize_except_now),
		TEST(the_context_is_freed_where_the_descriptor_is_closed),
		EACH_KIND(without_memory_nothing_changes),
		EACH_KIND(without_memory_in_a_loop_nested_in_the_handler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
