/* SPDX-License-Identifier: BSD-2-Clause */
/* A source that is used by another thread while its loop runs is reported with both threads. */
#include "support/kinds.h"
#include "thread/threads.h"

/* Done on a thread that does not own the loop, while a handler of it runs. */
struct trespass {
	void (*fn)(struct trespass *trespass);
	struct thing *victim;
};

static void *trespass_here(void *arg)
{
	struct trespass *trespass = arg;

	pthread_setname_np(pthread_self(), "trespasser");
	trespass->fn(trespass);
	return NULL;
}

static void let_trespass(struct thing *thing)
{
	thread_join(thread_start(trespass_here, thing->arg));
}

static bool checks_are_built_in(void)
{
#ifdef TALEV_OWNER_CHECKS
	return true;
#else
	return false;
#endif
}

static void report_of(TALLOC_CTX *root, void (*fn)(struct trespass *trespass), const char *what)
{
	struct talev_context *ev = test_context(root);
	struct trespass trespass = {.fn = fn};
	struct thing *host;

	if (!checks_are_built_in())
		skip();
	test_log_capture();
	test_abort_capture();
	pthread_setname_np(pthread_self(), "owner");
	trespass.victim = kind_add(KIND_TIMER, ev, root, NULL, NULL);
	host = kind_add(KIND_IMMEDIATE, ev, root, let_trespass, &trespass);
	assert_ok(test_once(ev));
	assert_int_equal(host->calls, 1);
	assert_int_equal(test_abort_count(), 1);
	assert_true(test_log_contains(what));
	assert_true(test_log_contains("\"trespasser\""));
	assert_true(test_log_contains("\"owner\""));
	assert_int_equal(trespass.victim->calls, 0);
	talloc_free(ev);
}

static void arm(struct trespass *trespass)
{
	errno = 0;
	demand(talev_timer_start(trespass->victim->source, 0) == -1);
	demand(errno == EINVAL);
}

static void arming_is_refused(void **state)
{
	report_of(*state, arm, "timer");
}

static void run(struct trespass *trespass)
{
	errno = 0;
	demand(talev_loop_nowait(trespass->victim->ev) == -1);
	demand(errno == EINVAL);
}

static void running_the_loop_is_refused(void **state)
{
	report_of(*state, run, "context");
}

static void finalize(struct trespass *trespass)
{
	errno = 0;
	demand(talev_finalize(trespass->victim->ev, trespass->victim->source, 0, NULL, NULL) == -1);
	demand(errno == EINVAL);
}

static void finalizing_is_refused(void **state)
{
	report_of(*state, finalize, "context");
}

static void give_away(struct thing *thing)
{
	talev_loop_break(thing->ev);
}

static void *run_here(void *arg)
{
	demand(talev_loop_wait(arg) == 0);
	return NULL;
}

/* Made here, run there, run here again: never two at a time. */
static void a_context_may_go_from_thread_to_thread(void **state)
{
	struct talev_context *ev = test_context(*state);

	test_log_capture();
	for (int i = 0; i < 3; i++) {
		struct thing *thing = kind_add(KIND_IMMEDIATE, ev, *state, give_away, NULL);

		if (i % 2 == 0)
			thread_join(thread_start(run_here, ev));
		else
			assert_ok(test_run(ev));
		assert_int_equal(thing->calls, 1);
	}
	assert_string_equal(test_log_text(), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(arming_is_refused),
		TEST(running_the_loop_is_refused),
		TEST(finalizing_is_refused),
		TEST(a_context_may_go_from_thread_to_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
