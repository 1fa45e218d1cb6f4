/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: weak references: cancel, wait, finalize, from wherever. */
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

/* One call on another thread. */
struct call {
	struct talev_ref *ref;
	enum talev_ref_status status;
	int result;
	int error;
};

static void *cancel(void *arg)
{
	struct call *call = arg;

	call->status = talev_ref_cancel(call->ref);
	return NULL;
}

static enum talev_ref_status cancel_elsewhere(struct talev_ref *ref)
{
	struct call call = {.ref = ref};

	thread_join(thread_start(cancel, &call));
	return call.status;
}

static void *ask(void *arg)
{
	struct call *call = arg;

	call->status = talev_ref_get_status(call->ref);
	return NULL;
}

static enum talev_ref_status status_elsewhere(struct talev_ref *ref)
{
	struct call call = {.ref = ref};

	thread_join(thread_start(ask, &call));
	assert_int_equal(call.status, talev_ref_get_status(ref));
	return call.status;
}

static struct thing *thing_with_finalizer(struct talev_context *ev, void (*fn)(struct thing *thing))
{
	struct thing *thing = kind_add(kind_of_test(), ev, test_root(), fn, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	return thing;
}

static void cancelled_before_it_runs(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = thing_with_finalizer(ev, NULL);
	struct talev_ref *ref = ref_to(thing);

	assert_int_equal(status_elsewhere(ref), TALEV_REF_IDLE);
	assert_int_equal(cancel_elsewhere(ref), TALEV_REF_IDLE);
	assert_int_equal(cancel_elsewhere(ref), TALEV_REF_GONE);
	assert_int_equal(status_elsewhere(ref), TALEV_REF_GONE);
	assert_int_equal(thing->finalized, 0);
	kind_fire(thing);
	run_what_is_there(ev);
	assert_int_equal(thing->calls, 0);
	assert_int_equal(thing->finalized, 1);
	assert_int_equal(talev_source_get_state(thing->source), TALEV_FINALIZED);
	assert_errno(kind_arm(thing), ESTALE);
	talloc_free(thing->source);
	run_what_is_there(ev);
	assert_int_equal(thing->finalized, 1);
	assert_false(talev_have_events(ev));
}

static void cancelled_where_the_handler_would_have_run(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = thing_with_finalizer(ev, NULL);
	struct talev_ref *ref = ref_to(thing);

	/* Ready, and then cancelled by its owner: the message and the handler are in one turn. */
	kind_fire(thing);
	assert_int_equal(talev_ref_cancel(ref), TALEV_REF_IDLE);
	assert_int_equal(talev_ref_cancel_wait(ref), 0);
	run_what_is_there(ev);
	assert_int_equal(thing->calls, 0);
	assert_int_equal(thing->finalized, 1);
}

static void look(struct thing *thing)
{
	struct talev_ref *ref = thing->arg;

	assert_int_equal(status_elsewhere(ref), TALEV_REF_RUNNING);
}

static void status_follows_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, look, NULL);
	bool once = thing->kind == KIND_TIMER || thing->kind == KIND_CHILD;

	thing->arg = ref_to(thing);
	assert_int_equal(status_elsewhere(thing->arg), TALEV_REF_IDLE);
	kind_fire(thing);
	run_what_is_there(ev);
	assert_int_equal(thing->calls, 1);
	assert_int_equal(status_elsewhere(thing->arg), once ? TALEV_REF_GONE : TALEV_REF_IDLE);
	if (!once)
		talloc_free(thing->source);
	assert_int_equal(status_elsewhere(thing->arg), TALEV_REF_GONE);
}

static void cancel_itself(struct thing *thing)
{
	struct talev_ref *ref = thing->arg;

	assert_int_equal(talev_ref_cancel(ref), TALEV_REF_RUNNING);
	assert_int_equal(talev_ref_cancel(ref), TALEV_REF_RUNNING);
	assert_int_equal(talev_source_get_state(thing->source), TALEV_LIVE);
	if (thing->kind != KIND_CHILD) {
		kind_arm(thing);
		kind_fire(thing);
	}
}

static void cancelled_in_its_own_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = thing_with_finalizer(ev, cancel_itself);

	thing->arg = ref_to(thing);
	kind_fire(thing);
	run_what_is_there(ev);
	assert_int_equal(thing->calls, 1);
	assert_int_equal(thing->finalized, 1);
	assert_int_equal(talev_ref_get_status(thing->arg), TALEV_REF_GONE);
}

static void wait_for_itself(struct thing *thing)
{
	assert_errno(talev_ref_cancel_wait(thing->arg), EDEADLK);
	assert_errno(talev_ref_cancel_wait(thing->arg), EDEADLK);
}

static void waiting_in_its_own_handler_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = thing_with_finalizer(ev, wait_for_itself);

	thing->arg = ref_to(thing);
	kind_fire(thing);
	run_what_is_there(ev);
	assert_int_equal(thing->calls, 1);
	assert_int_equal(thing->finalized, 1);
}

/* A thread that cancels and waits while the handler runs. */
struct waiter {
	struct talev_ref *ref;
	sem_t running;
	sem_t waiting;
	atomic_bool done; /* the handler is about to return */
	bool creates;     /* its reference in the handler */
	void (*last)(struct thing *thing);
	pthread_t thread;
};

static void *wait_for_handler(void *arg)
{
	struct waiter *waiter = arg;

	gate_wait(&waiter->running);
	demand(talev_ref_get_status(waiter->ref) == TALEV_REF_RUNNING);
	gate_open(&waiter->waiting);
	demand(talev_ref_cancel_wait(waiter->ref) == 0);
	demand(waiter->done);
	demand(talev_ref_get_status(waiter->ref) == TALEV_REF_GONE);
	demand(talev_ref_cancel_wait(waiter->ref) == 0);
	return NULL;
}

static void be_waited_for(struct thing *thing)
{
	struct waiter *waiter = thing->arg;
	void (*last)(struct thing * thing) = waiter->last;

	if (waiter->creates)
		waiter->ref = ref_to(thing);
	gate_open(&waiter->running);
	gate_wait(&waiter->waiting);
	if (last != NULL)
		last(thing);
	waiter->done = true;
}

static void be_waited_for_in_a_thread(void **state, bool creates, void (*last)(struct thing *thing))
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, NULL, be_waited_for, NULL);
	struct waiter waiter = {.creates = creates, .last = last};

	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	assert_ok(sem_init(&waiter.running, 0, 0));
	assert_ok(sem_init(&waiter.waiting, 0, 0));
	thing->arg = &waiter;
	if (!creates)
		waiter.ref = ref_to(thing);
	kind_fire(thing);
	waiter.thread = thread_start(wait_for_handler, &waiter);
	run_what_is_there(ev);
	thread_join(waiter.thread);
	/* The cancel may have come after the last look. */
	run_what_is_there(ev);
	assert_int_equal(thing->calls, 1);
	assert_int_equal(thing->finalized, 1);
}

static void another_thread_waits_for_the_handler(void **state)
{
	be_waited_for_in_a_thread(state, false, NULL);
}

static void another_thread_waits_by_a_reference_made_in_the_handler(void **state)
{
	be_waited_for_in_a_thread(state, true, NULL);
}

static void free_source(struct thing *thing)
{
	talloc_free(thing->source);
}

static void the_source_is_freed_in_its_handler_while_another_thread_waits(void **state)
{
	be_waited_for_in_a_thread(state, false, free_source);
	be_waited_for_in_a_thread(state, true, free_source);
}

static void finalize_source(struct thing *thing)
{
	assert_ok(talev_finalize(thing->ev, thing->source, 0, NULL, NULL));
}

static void the_source_is_finalized_in_its_handler_while_another_thread_waits(void **state)
{
	be_waited_for_in_a_thread(state, false, finalize_source);
}

static void free_context(struct thing *thing)
{
	talloc_free(thing->ev);
}

static void the_context_is_freed_in_the_handler_while_another_thread_waits(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, NULL, be_waited_for, NULL);
	struct waiter waiter = {.last = free_context};

	assert_ok(sem_init(&waiter.running, 0, 0));
	assert_ok(sem_init(&waiter.waiting, 0, 0));
	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	thing->arg = &waiter;
	waiter.ref = ref_to(thing);
	kind_fire(thing);
	waiter.thread = thread_start(wait_for_handler, &waiter);
	assert_errno(test_run(ev), ESHUTDOWN);
	thread_join(waiter.thread);
	assert_int_equal(thing->calls, 1);
	assert_int_equal(thing->finalized, 1);
}

static void two_references_are_one_guard(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct talev_ref *a = ref_to(thing);
	struct talev_ref *b = ref_to(thing);
	struct talev_ref *of_b = talev_ref_attach(test_late(), b);

	assert_non_null(of_b);
	talloc_free(b);
	assert_int_equal(talev_ref_cancel(a), TALEV_REF_IDLE);
	assert_int_equal(talev_ref_get_status(of_b), TALEV_REF_GONE);
	talloc_free(a);
	assert_int_equal(talev_ref_cancel(of_b), TALEV_REF_GONE);
	kind_fire(thing);
	run_what_is_there(ev);
	assert_int_equal(thing->calls, 0);
}

static void a_loop_that_is_gone(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, NULL, NULL, NULL);
	struct talev_ref *ref = ref_to(thing);

	talloc_free(ev);
	assert_int_equal(cancel_elsewhere(ref), TALEV_REF_GONE);
	assert_int_equal(talev_ref_get_status(ref), TALEV_REF_GONE);
	assert_ok(talev_ref_cancel_wait(ref));
}

static void a_loop_that_went_with_the_cancel_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = thing_with_finalizer(ev, NULL);
	struct talev_ref *ref = ref_to(thing);

	assert_int_equal(cancel_elsewhere(ref), TALEV_REF_IDLE);
	talloc_free(ev);
	assert_int_equal(thing->finalized, 1);
	assert_int_equal(cancel_elsewhere(ref), TALEV_REF_GONE);
}

/* An inner handler of the same thread would wait for itself all the same. */
struct nest {
	struct talev_ref *outer;
	struct talev_immediate *im;
	bool done;
};

static void wait_for_outer(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	struct nest *nest = arg;

	(void)ev;
	(void)im;
	assert_errno(talev_ref_cancel_wait(nest->outer), EDEADLK);
	nest->done = true;
}

static void run_nested(struct thing *thing)
{
	struct nest *nest = thing->arg;

	assert_ok(talev_schedule_immediate(nest->im, thing->ev, wait_for_outer, nest));
	while (!nest->done)
		assert_ok(talev_loop_once(thing->ev));
	assert_int_equal(talev_ref_get_status(nest->outer), TALEV_REF_RUNNING);
}

static void waiting_in_a_loop_nested_in_the_handler_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct nest nest = {.im = talev_create_immediate(*state)};
	struct thing *thing = kind_add(kind_of_test(), ev, *state, run_nested, &nest);

	talev_loop_allow_nesting(ev);
	nest.outer = ref_to(thing);
	kind_fire(thing);
	run_what_is_there(ev);
	assert_int_equal(thing->calls, 1);
	assert_int_equal(talev_ref_get_status(nest.outer), TALEV_REF_GONE);
}

/* The wait of loop_once goes straight to the descriptor's handler, past all messages. */
static void cancel_after_the_wait(
	struct talev_context *ev, enum talev_trace_point point, void *source, void *arg)
{
	(void)ev;
	(void)source;
	if (point == TALEV_TRACE_AFTER_WAIT)
		talev_ref_cancel(arg);
}

static void free_context_in_close(
	struct talev_context *ev, struct talev_fd *fde, int fd, void *private_data)
{
	(void)fde;
	(void)fd;
	(void)private_data;
	test_note("closed");
	talloc_free(ev);
}

static void the_context_is_freed_where_a_cancelled_descriptor_is_closed(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(KIND_FD, ev, *state, NULL, NULL);
	struct talev_ref *ref = ref_to(thing);

	assert_ok(talev_fd_set_close_fn(thing->source, free_context_in_close));
	kind_fire(thing);
	talev_context_set_trace(ev, cancel_after_the_wait, ref);
	assert_errno(test_once(ev), ESHUTDOWN);
	assert_notes("closed");
	assert_int_equal(thing->calls, 0);
}

static void only_sources_can_be_referred_to(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *other = test_context(*state);
	struct thing *thing = kind_add(KIND_TIMER, ev, *state, NULL, NULL);
	void *proxy = talev_thread_proxy_create(ev, NULL);

	assert_null_errno(talev_ref_create(ev, *state, NULL), EINVAL);
	assert_null_errno(talev_ref_create(ev, *state, *state), EINVAL);
	assert_null_errno(talev_ref_create(ev, *state, ev), EINVAL);
	assert_null_errno(talev_ref_create(ev, *state, proxy), EINVAL);
	assert_null_errno(talev_ref_create(NULL, *state, thing->source), EINVAL);
	assert_null_errno(talev_ref_create(other, *state, thing->source), EINVAL);
	assert_int_equal(talev_ref_cancel(ref_to(thing)), TALEV_REF_IDLE);
	run_what_is_there(ev);
	assert_null_errno(talev_ref_create(ev, *state, thing->source), ESTALE);
}

static void without_memory_there_is_no_reference(void **state)
{
	struct talev_ref *ref = NULL;

	if (!test_alloc_works())
		skip();
	for (unsigned long n = 1; ref == NULL; n++) {
		struct talev_context *ev = test_context(*state);
		struct thing *thing = kind_add(kind_of_test(), ev, NULL, NULL, NULL);
		bool failed;
		int error;

		test_alloc_fail_at(n);
		ref = talev_ref_create(ev, *state, thing->source);
		error = errno;
		failed = test_alloc_failed();
		test_alloc_fail_at(0);
		assert_int_equal(failed, ref == NULL);
		if (ref == NULL)
			assert_int_equal(error, ENOMEM);
		/* It works as before. */
		kind_fire(thing);
		run_what_is_there(ev);
		assert_int_equal(thing->calls, 1);
		talloc_free(ev);
	}
	test_alloc_fail_at(1);
	assert_null_errno(talev_ref_attach(*state, ref), ENOMEM);
	test_alloc_fail_at(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KIND(cancelled_before_it_runs),
		EACH_KIND(cancelled_where_the_handler_would_have_run),
		EACH_KIND(status_follows_the_handler),
		EACH_KIND(cancelled_in_its_own_handler),
		EACH_KIND(waiting_in_its_own_handler_is_refused),
		EACH_KIND(another_thread_waits_for_the_handler),
		EACH_KIND(another_thread_waits_by_a_reference_made_in_the_handler),
		EACH_KIND(the_source_is_freed_in_its_handler_while_another_thread_waits),
		EACH_KIND(the_source_is_finalized_in_its_handler_while_another_thread_waits),
		EACH_KIND(the_context_is_freed_in_the_handler_while_another_thread_waits),
		EACH_KIND(two_references_are_one_guard),
		EACH_KIND(a_loop_that_is_gone),
		EACH_KIND(a_loop_that_went_with_the_cancel_on_its_way),
		EACH_KIND(waiting_in_a_loop_nested_in_the_handler_is_refused),
		TEST(the_context_is_freed_where_a_cancelled_descriptor_is_closed),
		TEST(only_sources_can_be_referred_to),
		EACH_KIND(without_memory_there_is_no_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
