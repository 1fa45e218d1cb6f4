/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: threaded immediates: none is lost, whatever the owner does meanwhile. */
#include "thread/threads.h"

/* What a helper thread does: it reports, and ends. */
struct report {
	struct talev_threaded_context *tctx;
	struct talev_immediate *im;
	talev_immediate_handler_t handler;
	void *arg;
	int result;
	int error;
};

static void *report(void *arg)
{
	struct report *r = arg;

	r->result = talev_threaded_schedule_immediate(r->tctx, r->im, r->handler, r->arg);
	r->error = errno;
	return NULL;
}

/* From another thread; when this returns the post is on its way, and no turn has been taken. */
static int report_elsewhere(struct talev_threaded_context *tctx, struct talev_immediate *im,
	talev_immediate_handler_t handler, void *arg)
{
	struct report r = {.tctx = tctx, .im = im, .handler = handler, .arg = arg};

	thread_join(thread_start(report, &r));
	errno = r.error;
	return r.result;
}

static struct talev_threaded_context *threaded(struct talev_context *ev)
{
	struct talev_threaded_context *tctx = talev_threaded_context_create(ev, NULL);

	assert_non_null(tctx);
	return tctx;
}

static struct talev_immediate *immediate(TALLOC_CTX *mem_ctx)
{
	struct talev_immediate *im = talev_create_immediate(mem_ctx);

	assert_non_null(im);
	return im;
}

static void run_what_is_there(struct talev_context *ev)
{
	test_watchdog(__func__, __location__);
	while (talev_loop_nowait(ev) == 0) {
	}
	assert_true(errno == EAGAIN || errno == ENOENT);
}

#define NOTE(text) ((void *)(uintptr_t)(text))

static void note(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	assert_non_null(ev);
	assert_non_null(im);
	test_note("%s", (const char *)arg);
}

static void never(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	(void)ev;
	(void)im;
	(void)arg;
	fail_msg("a cancelled immediate ran");
}

static void note_finalized(struct talev_context *ev, void *arg)
{
	(void)ev;
	test_note("finalized:%s", (const char *)arg);
}

static void a_helper_reports_to_a_waiting_loop(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct report r = {.tctx = threaded(ev),
		.im = immediate(*state),
		.handler = note,
		.arg = NOTE("done")};
	pthread_t thread = thread_start(report, &r);

	test_watchdog(__func__, __location__);
	while (test_notes()[0] == '\0')
		assert_ok(talev_loop_once(ev));
	thread_join(thread);
	assert_ok(r.result);
	assert_notes("done");
	assert_ptr_equal(talloc_parent(r.im), *state);
}

static void reports_arrive_in_order(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_threaded_context *tctx = threaded(ev);

	assert_ok(report_elsewhere(tctx, immediate(*state), note, NOTE("a")));
	assert_ok(report_elsewhere(tctx, immediate(*state), note, NOTE("b")));
	assert_ok(report_elsewhere(threaded(ev), immediate(*state), note, NOTE("c")));
	run_what_is_there(ev);
	assert_notes("a b c");
}

static void a_report_allocates_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_threaded_context *tctx = threaded(ev);
	struct talev_immediate *im = immediate(*state);

	if (!test_alloc_works())
		skip();
	test_alloc_fail_from(1);
	assert_ok(talev_threaded_schedule_immediate(tctx, im, note, NOTE("done")));
	run_what_is_there(ev);
	assert_int_equal(test_alloc_count(), 0);
	test_alloc_fail_at(0);
	assert_notes("done");
}

static void the_same_immediate_reports_again(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *other = test_context(*state);
	struct talev_threaded_context *tctx = threaded(ev);
	struct talev_threaded_context *to_other = threaded(other);
	struct talev_immediate *im = immediate(*state);

	assert_ok(report_elsewhere(tctx, im, note, NOTE("a")));
	run_what_is_there(ev);
	assert_ok(report_elsewhere(to_other, im, note, NOTE("b")));
	run_what_is_there(ev);
	assert_notes("a");
	run_what_is_there(other);
	assert_notes("a b");
	assert_ok(talev_schedule_immediate(im, ev, note, NOTE("c")));
	run_what_is_there(ev);
	assert_notes("a b c");
}

static void cancelled_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_threaded_context *tctx = threaded(ev);
	struct talev_immediate *im = immediate(*state);

	assert_ok(report_elsewhere(tctx, immediate(*state), note, NOTE("a")));
	assert_ok(report_elsewhere(tctx, im, never, NULL));
	assert_ok(report_elsewhere(tctx, immediate(*state), note, NOTE("b")));
	assert_ok(talev_cancel_immediate(im));
	run_what_is_there(ev);
	assert_notes("a b");
	assert_ok(report_elsewhere(tctx, im, note, NOTE("c")));
	run_what_is_there(ev);
	assert_notes("a b c");
}

static void rescheduled_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *other = test_context(*state);
	struct talev_immediate *im = immediate(*state);

	assert_ok(report_elsewhere(threaded(ev), im, never, NULL));
	assert_ok(talev_schedule_immediate(im, other, note, NOTE("other")));
	run_what_is_there(ev);
	assert_notes("");
	run_what_is_there(other);
	assert_notes("other");
}

static void freed_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_threaded_context *tctx = threaded(ev);
	TALLOC_CTX *parent = talloc_new(*state);
	struct talev_immediate *im = immediate(*state);

	assert_ok(report_elsewhere(tctx, im, never, NULL));
	assert_ok(report_elsewhere(tctx, immediate(parent), never, NULL));
	assert_ok(report_elsewhere(tctx, immediate(*state), note, NOTE("left")));
	talloc_free(im);
	talloc_free(parent);
	run_what_is_there(ev);
	assert_notes("left");
}

static void finalized_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_threaded_context *tctx = threaded(ev);
	struct talev_immediate *a = immediate(*state);
	struct talev_immediate *b = immediate(*state);

	assert_ok(talev_source_set_finalizer(a, 0, note_finalized, NOTE("a")));
	assert_ok(report_elsewhere(tctx, a, never, NULL));
	assert_ok(report_elsewhere(tctx, b, never, NULL));
	talloc_free(a);
	assert_ok(talev_finalize(ev, b, 0, note_finalized, NOTE("b")));
	run_what_is_there(ev);
	assert_notes("finalized:a finalized:b");
}

static void helper_context_freed_while_a_report_is_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_threaded_context *tctx = threaded(ev);

	assert_ok(report_elsewhere(tctx, immediate(*state), note, NOTE("done")));
	talloc_free(tctx);
	assert_true(talev_have_events(ev));
	assert_ok(test_run(ev));
	assert_notes("done");
}

static void context_freed_while_a_report_is_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *other = test_context(*state);
	struct talev_threaded_context *tctx = talev_threaded_context_create(ev, *state);
	struct talev_immediate *mine = immediate(*state);
	struct talev_immediate *below = immediate(ev);

	assert_non_null(tctx);
	assert_ok(report_elsewhere(tctx, mine, never, NULL));
	assert_ok(report_elsewhere(tctx, below, never, NULL));
	talloc_free(ev);
	/* It was never told, and is as good as new. */
	assert_false(talev_immediate_is_scheduled(mine));
	assert_errno(report_elsewhere(tctx, mine, never, NULL), ESHUTDOWN);
	assert_ok(report_elsewhere(threaded(other), mine, note, NOTE("other")));
	run_what_is_there(other);
	assert_notes("other");
}

static void free_it(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	(void)ev;
	(void)im;
	talloc_free(arg);
	test_note("freed");
}

static void handler_frees_the_helper_context_and_the_immediate(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_threaded_context *tctx = threaded(ev);
	struct talev_immediate *im = immediate(*state);

	assert_ok(report_elsewhere(tctx, im, free_it, im));
	assert_ok(report_elsewhere(tctx, immediate(*state), free_it, tctx));
	assert_ok(test_run(ev));
	assert_notes("freed freed");
}

static void handler_frees_the_context_with_a_report_behind_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_threaded_context *tctx = threaded(ev);

	assert_ok(report_elsewhere(tctx, immediate(*state), free_it, ev));
	assert_ok(report_elsewhere(tctx, immediate(*state), never, NULL));
	assert_errno(test_run(ev), ESHUTDOWN);
	assert_notes("freed");
}

static void a_disabled_immediate_runs_when_it_is_enabled(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_immediate *im = immediate(*state);

	assert_ok(talev_source_set_enabled(im, false));
	assert_ok(report_elsewhere(threaded(ev), im, note, NOTE("now")));
	run_what_is_there(ev);
	assert_notes("");
	assert_ok(talev_source_set_enabled(im, true));
	run_what_is_there(ev);
	assert_notes("now");
}

static void the_loop_goes_on_while_a_helper_context_lives(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_threaded_context *tctx = threaded(ev);
	struct report r = {.tctx = tctx, .im = immediate(*state), .handler = free_it, .arg = tctx};
	pthread_t thread;

	assert_true(talev_have_events(ev));
	thread = thread_start(report, &r);
	assert_ok(test_run(ev));
	assert_notes("freed");
	thread_join(thread);
}

static void arguments_are_checked(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_threaded_context *tctx = threaded(ev);
	struct talev_immediate *im = immediate(*state);

	assert_null_errno(talev_threaded_context_create(NULL, *state), EINVAL);
	assert_errno(talev_threaded_schedule_immediate(NULL, im, note, NULL), EINVAL);
	assert_errno(talev_threaded_schedule_immediate(tctx, NULL, note, NULL), EINVAL);
	assert_errno(talev_threaded_schedule_immediate(tctx, im, NULL, NULL), EINVAL);
}

static void an_immediate_that_is_scheduled_is_reported_as_misuse(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_threaded_context *tctx = threaded(ev);
	struct talev_immediate *im = immediate(*state);

	test_log_capture();
	test_abort_capture();
	assert_ok(talev_threaded_schedule_immediate(tctx, im, note, NOTE("a")));
	assert_errno(talev_threaded_schedule_immediate(tctx, im, never, NULL), EINVAL);
	assert_int_equal(test_abort_count(), 1);
	assert_ok(talev_cancel_immediate(im));
	assert_ok(talev_schedule_immediate(im, ev, note, NOTE("b")));
	assert_errno(talev_threaded_schedule_immediate(tctx, im, never, NULL), EINVAL);
	assert_int_equal(test_abort_count(), 2);
	run_what_is_there(ev);
	assert_notes("b");
}

static void without_memory_there_is_no_helper_context(void **state)
{
	if (!test_alloc_works())
		skip();
	for (unsigned long n = 1;; n++) {
		struct talev_context *ev = test_context(*state);
		struct talev_threaded_context *tctx;

		test_alloc_fail_at(n);
		tctx = talev_threaded_context_create(ev, NULL);
		if (!test_alloc_failed()) {
			test_alloc_fail_at(0);
			assert_non_null(tctx);
			assert_true(n > 2);
			return;
		}
		assert_int_equal(errno, ENOMEM);
		test_alloc_fail_at(0);
		assert_null(tctx);
		assert_false(talev_have_events(ev));
		talloc_free(ev);
	}
}

/* Helpers that report again and again, each told by the handler that it may. */
#define HELPERS 8

struct helper {
	struct talev_threaded_context *tctx;
	struct talev_immediate *im;
	sem_t may;
	unsigned reports;
	unsigned handled;
	unsigned expected;
};

static void count(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	struct helper *helper = arg;

	(void)ev;
	assert_ptr_equal(im, helper->im);
	assert_int_equal(helper->reports, helper->handled + 1);
	helper->handled++;
	gate_open(&helper->may);
}

static void *report_again_and_again(void *arg)
{
	struct helper *helper = arg;

	for (unsigned i = 0; i < helper->expected; i++) {
		gate_wait(&helper->may);
		helper->reports++;
		demand(talev_threaded_schedule_immediate(helper->tctx, helper->im, count, helper) ==
			0);
	}
	return NULL;
}

static bool all_handled(void *arg)
{
	struct helper *helpers = arg;

	for (int i = 0; i < HELPERS; i++)
		if (helpers[i].handled < helpers[i].expected)
			return false;
	return true;
}

static void eight_helpers_report_again_and_again(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct helper helpers[HELPERS];
	pthread_t threads[HELPERS];

	for (int i = 0; i < HELPERS; i++) {
		helpers[i] = (struct helper){.tctx = threaded(ev),
			.im = immediate(*state),
			.expected = scaled(2000, 300)};
		assert_ok(sem_init(&helpers[i].may, 0, 1));
		threads[i] = thread_start(report_again_and_again, &helpers[i]);
	}
	test_watchdog(__func__, __location__);
	assert_ok(talev_loop_until(ev, all_handled, helpers));
	for (int i = 0; i < HELPERS; i++)
		thread_join(threads[i]);
}

/* A handler frees the door that the helper has not yet left. */
static void *report_once(void *arg)
{
	struct report *r = arg;

	demand(talev_threaded_schedule_immediate(r->tctx, r->im, r->handler, r->arg) == 0);
	return NULL;
}

static void freeing_everything_while_the_helper_still_returns(void **state)
{
	unsigned rounds = scaled(500, 50);

	for (unsigned i = 0; i < rounds; i++) {
		struct talev_context *ev = test_context(*state);
		struct talev_threaded_context *tctx = threaded(ev);
		struct report r = {
			.tctx = tctx, .im = immediate(ev), .handler = free_it, .arg = ev};
		pthread_t thread = thread_start(report_once, &r);

		assert_errno(test_run(ev), ESHUTDOWN);
		thread_join(thread);
		test_forget_notes();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_helper_reports_to_a_waiting_loop),
		TEST(reports_arrive_in_order),
		TEST(a_report_allocates_nothing),
		TEST(the_same_immediate_reports_again),
		TEST(cancelled_on_its_way),
		TEST(rescheduled_on_its_way),
		TEST(freed_on_its_way),
		TEST(finalized_on_its_way),
		TEST(helper_context_freed_while_a_report_is_on_its_way),
		TEST(context_freed_while_a_report_is_on_its_way),
		TEST(handler_frees_the_helper_context_and_the_immediate),
		TEST(handler_frees_the_context_with_a_report_behind_it),
		TEST(a_disabled_immediate_runs_when_it_is_enabled),
		TEST(the_loop_goes_on_while_a_helper_context_lives),
		TEST(arguments_are_checked),
		TEST(an_immediate_that_is_scheduled_is_reported_as_misuse),
		TEST(without_memory_there_is_no_helper_context),
		TEST(eight_helpers_report_again_and_again),
		TEST(freeing_everything_while_the_helper_still_returns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
