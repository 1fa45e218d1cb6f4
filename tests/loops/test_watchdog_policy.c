/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens by default, what is refused, and what there is to see. */
#include <signal.h>
#include <sys/wait.h>
#include <talev/job.h>
#include "loops/watchdog_kit.h"

static char reason[1024];
static atomic_bool aborted;

static void on_abort(const char *text)
{
	strlcpy(reason, text, sizeof(reason));
	atomic_store(&aborted, true);
}

static void hang_until_abort(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)now;
	(void)data;
	while (!atomic_load(&aborted))
		usleep(1000);
	talloc_free(te);
}

static void the_hard_limit_calls_the_abort_hook_with_a_report(void **state)
{
	struct talev_context *ev = talev_context_init(test_root());
	struct talev_watchdog *wd = talev_watchdog_create(test_root());

	(void)state;
	test_log_capture();
	atomic_store(&aborted, false);
	talev_set_abort_fn(on_abort);
	grow_stack();
	assert_non_null(talev_watchdog_add_context(ev, wd, ev, "plain", LIMIT, LIMIT + LIMIT / 2));
	assert_non_null(talev_add_timer(ev, NULL, 1, hang_until_abort, NULL));
	assert_ok(test_run(ev));
	talloc_free(ev);
	talloc_free(wd);
	assert_true(test_log_count("watchdog: context plain: hang_until_abort (") >= 3);
	assert_true(test_log_count("watchdog:   ") > 2);
	assert_non_null(strstr(reason, "hang_until_abort"));
	assert_non_null(strstr(reason, "test_watchdog_policy.c:"));
	assert_non_null(strstr(reason, "\n  "));
}

static void abort_by_default(void *arg)
{
	struct talev_context *ev = talev_context_init(test_root());
	struct talev_watchdog *wd = talev_watchdog_create(test_root());

	(void)arg;
	talev_set_abort_fn(NULL);
	test_log_capture();
	demand(talev_watchdog_add_context(ev, wd, ev, "plain", LIMIT, LIMIT) != NULL);
	demand(talev_add_timer(ev, NULL, 1, hang_until_abort, NULL) != NULL);
	signal(SIGABRT, SIG_DFL);
	(void)talev_loop_wait(ev);
}

static void the_default_abort_hook_ends_the_process(void **state)
{
	int status;

	(void)state;
	atomic_store(&aborted, false);
	status = test_in_child(abort_by_default, NULL);
	assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

static void wrong_arguments_are_refused(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_context *ev = talev_context_init(test_root());
	struct talev_watchdog *wd = make_watchdog();
	TALLOC_CTX *root = test_root();

	(void)state;
	assert_errno(talev_watchdog_add_loops(wd, loops, 0, 1), EINVAL);
	assert_errno(talev_watchdog_add_loops(wd, loops, 2, 1), EINVAL);
	assert_errno(talev_watchdog_add_loops(wd, NULL, 1, 1), EINVAL);
	assert_errno(talev_watchdog_add_loops(NULL, loops, 1, 1), EINVAL);
	assert_errno(talev_watchdog_add_pool(wd, NULL, 1, 1), EINVAL);
	assert_errno(talev_watchdog_add_jobq(wd, NULL, 1, 1), EINVAL);
	assert_null_errno(talev_watchdog_add_context(root, wd, NULL, "", 1, 1), EINVAL);
	assert_null_errno(talev_watchdog_add_context(root, wd, ev, NULL, 1, 1), EINVAL);
	assert_null_errno(talev_heart_create(root, wd, "", -1, 1), EINVAL);
	assert_null_errno(talev_heart_create(root, NULL, "", 1, 1), EINVAL);
	assert_null_errno(talev_watchdog_suspend(root, 0, "why"), EINVAL);
	assert_null_errno(talev_watchdog_suspend(root, 1, NULL), EINVAL);
	assert_errno(talev_watchdog_set_signal(SIGUSR1), EALREADY);
	talloc_free(wd);
}

static void another_signal(void *arg)
{
	struct talev_watchdog *wd;
	struct talev_heart *heart;

	(void)arg;
	demand(talev_watchdog_set_signal(SIGKILL) == -1 && errno == EINVAL);
	demand(talev_watchdog_set_signal(-1) == -1 && errno == EINVAL);
	demand(talev_watchdog_set_signal(SIGRTMIN + 3) == 0);
	wd = make_watchdog();
	heart = talev_heart_create(NULL, wd, "asked", LIMIT, TALEV_NEVER);
	demand(heart != NULL);
	hang_until_told();
	demand(told.answered && told.frames > 1);
	talloc_free(heart);
	talloc_free(wd);
}

static void no_signal_at_all(void *arg)
{
	struct talev_watchdog *wd;
	struct talev_heart *heart;

	(void)arg;
	demand(talev_watchdog_set_signal(0) == 0);
	wd = make_watchdog();
	heart = talev_heart_create(NULL, wd, "unasked", LIMIT, TALEV_NEVER);
	demand(heart != NULL);
	hang_until_told();
	demand(!told.answered && strstr(told.kernel, "state ") != NULL);
	talloc_free(wd);
	/* It is inert by now, and may still be used. */
	talev_heart_beat(heart);
	talloc_free(heart);
}

static void the_signal_can_be_chosen(void **state)
{
	(void)state;
	assert_int_equal(test_in_child(another_signal, NULL), 0);
	assert_int_equal(test_in_child(no_signal_at_all, NULL), 0);
}

static void hearts_can_be_seen(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_context *ev = talev_context_init(test_root());
	struct talev_watchdog *wd = make_watchdog();
	struct talev_suspension *suspension;
	char *text;

	(void)state;
	assert_ok(talev_watchdog_add_loops(wd, loops, TALEV_SEC(10), TALEV_SEC(20)));
	assert_non_null(talev_watchdog_add_context(ev, wd, ev, "mine", TALEV_SEC(30), TALEV_NEVER));
	assert_non_null(talev_heart_create(ev, wd, "own \"one\"", TALEV_SEC(40), TALEV_SEC(50)));
	suspension = talev_watchdog_suspend(test_root(), TALEV_SEC(60), "sees");
	text = talev_watchdog_text(test_root(), wd);
	assert_non_null(strstr(text, "loop test-0: off, thread 0"));
	assert_non_null(strstr(text, "soft 10.000 s, hard 20.000 s, remaining 10.000 s, fired 0 "));
	assert_non_null(strstr(text, "context mine: off"));
	assert_non_null(strstr(text, "hard never"));
	assert_non_null(strstr(text, "heart own \"one\":"));
	assert_non_null(strstr(text, ": sees (../tests/loops/test_watchdog_policy.c:"));
	text = talev_watchdog_json(test_root(), wd);
	assert_non_null(strstr(text, "{\"running\":true,\"hearts\":[{\"name\":\"test-0\","));
	assert_non_null(strstr(text, "\"name\":\"own \\\"one\\\"\",\"kind\":\"heart\""));
	assert_non_null(strstr(text, "\"hard\":null"));
	assert_non_null(strstr(text, "\"suspended\":{\"reason\":\"sees\""));
	talloc_free(suspension);
	text = talev_watchdog_json(test_root(), wd);
	assert_null(strstr(text, "suspended"));
	talloc_free(ev);
	text = talev_watchdog_text(test_root(), wd);
	assert_null(strstr(text, "mine"));
	talloc_free(wd);
}

static void look_in_child(void *arg)
{
	struct talev_watchdog *wd = arg;
	char *text = talev_watchdog_json(test_root(), wd);

	demand(strncmp(text, "{\"running\":false", 16) == 0);
	talloc_free(wd);
	/* A new one is as good as any. */
	wd = make_watchdog();
	demand(talev_heart_create(test_root(), wd, "of the child", LIMIT, TALEV_NEVER) != NULL);
	hang_until_told();
	demand(strcmp(told.heart, "of the child") == 0);
	talloc_free(wd);
}

static void a_child_has_no_watchdog_but_may_make_one(void **state)
{
	struct talev_watchdog *wd = make_watchdog();

	(void)state;
#ifdef __SANITIZE_THREAD__
	skip(); /* it knows no threads in a child of a process that had some */
#endif
	assert_non_null(talev_heart_create(test_root(), wd, "old", TALEV_SEC(100), TALEV_NEVER));
	assert_int_equal(test_in_child(look_in_child, wd), 0);
	talloc_free(wd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, as long as there has been no watchdog. */
		TEST(the_signal_can_be_chosen),
		TEST(the_hard_limit_calls_the_abort_hook_with_a_report),
		TEST(the_default_abort_hook_ends_the_process),
		TEST(wrong_arguments_are_refused),
		TEST(hearts_can_be_seen),
		TEST(a_child_has_no_watchdog_but_may_make_one),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
