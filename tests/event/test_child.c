/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: the exit of one child, without taking SIGCHLD or other children. */
#include "support/support.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "base/sys.h"

struct exit_of {
	struct talev_child *child;
	pid_t pid;
	int release; /* closing it lets the child exit; -1: it was */
	int calls;
	int status;
	void (*act)(struct talev_context *ev, struct exit_of *one);
	void *arg;
};

static void on_exit_of(struct talev_context *ev, struct talev_child *child, pid_t pid, int status,
	void *private_data)
{
	struct exit_of *one = private_data;

	assert_ptr_equal(child, one->child);
	assert_int_equal(pid, one->pid);
	assert_int_equal(talev_child_get_pid(child), pid);
	one->calls++;
	one->status = status;
	if (one->act)
		one->act(ev, one);
}

/* Valgrind does not know pidfd_open(2). */
static void need_pidfd(void)
{
	int fd = base_pidfd_open(getpid());

	if (fd < 0 && errno == ENOSYS)
		skip();
	assert_true(fd >= 0);
	close(fd);
}

static void start(struct talev_context *ev, struct exit_of *one, int exit_status)
{
	one->pid = test_spawn(exit_status, &one->release);
	one->child = talev_add_child(ev, NULL, one->pid, on_exit_of, one);
	assert_non_null(one->child);
}

static void let_exit(struct exit_of *one)
{
	close(one->release);
	one->release = -1;
}

static void wait_for_exit(pid_t pid)
{
	siginfo_t info;

	assert_ok(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
}

static void reap(struct exit_of *one)
{
	if (one->release >= 0)
		let_exit(one);
	assert_int_equal(waitpid(one->pid, NULL, 0), one->pid);
}

static void assert_reaped(pid_t pid)
{
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void exit_status_is_told_and_the_child_is_reaped(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {0};

	need_pidfd();
	start(ev, &one, 42);
	assert_int_equal(talev_child_get_pid(one.child), one.pid);
	assert_true(talev_have_events(ev));
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	let_exit(&one);
	assert_ok(test_run(ev));
	assert_int_equal(one.calls, 1);
	assert_true(WIFEXITED(one.status));
	assert_int_equal(WEXITSTATUS(one.status), 42);
	assert_reaped(one.pid);
	assert_false(talev_have_events(ev));
}

static void child_that_exited_before_is_told_too(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {0};

	need_pidfd();
	one.pid = test_spawn(1, &one.release);
	let_exit(&one);
	wait_for_exit(one.pid);
	one.child = talev_add_child(ev, NULL, one.pid, on_exit_of, &one);
	assert_non_null(one.child);
	assert_ok(test_run(ev));
	assert_int_equal(WEXITSTATUS(one.status), 1);
}

static void killed_child_is_told_as_waitpid_tells_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {0};

	need_pidfd();
	start(ev, &one, 0);
	assert_ok(talev_child_kill(one.child, 0));
	assert_errno(talev_child_kill(one.child, 1000), EINVAL);
	assert_ok(talev_child_kill(one.child, SIGKILL));
	assert_ok(test_run(ev));
	assert_true(WIFSIGNALED(one.status));
	assert_int_equal(WTERMSIG(one.status), SIGKILL);
	let_exit(&one);
}

static void each_of_many_children_is_told_once(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of many[10] = {0};

	need_pidfd();
	for (int i = 0; i < 10; i++)
		start(ev, &many[i], i);
	for (int i = 9; i >= 0; i--)
		let_exit(&many[i]);
	assert_ok(test_run(ev));
	for (int i = 0; i < 10; i++) {
		assert_int_equal(many[i].calls, 1);
		assert_int_equal(WEXITSTATUS(many[i].status), i);
	}
}

static volatile sig_atomic_t sigchlds;

static void count_sigchld(int signum)
{
	(void)signum;
	sigchlds++;
}

static void sigchld_and_other_children_stay_the_programs(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of watched = {0}, other = {0};
	void (*before)(int);

	need_pidfd();
	before = signal(SIGCHLD, count_sigchld);
	sigchlds = 0;
	start(ev, &watched, 0);
	assert_ptr_equal(signal(SIGCHLD, count_sigchld), count_sigchld);
	other.pid = test_spawn(0, &other.release);
	let_exit(&other);
	wait_for_exit(other.pid);
	let_exit(&watched);
	assert_ok(test_run(ev));
	assert_true(sigchlds > 0);
	assert_int_equal(watched.calls, 1);
	assert_int_equal(waitpid(other.pid, NULL, WNOHANG), other.pid);
	signal(SIGCHLD, before);
}

static void child_that_somebody_else_reaped_has_status_minus_one(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {0};

	need_pidfd();
	start(ev, &one, 3);
	reap(&one);
	assert_ok(test_run(ev));
	assert_int_equal(one.calls, 1);
	assert_int_equal(one.status, -1);
}

static void two_watchers_of_one_child_are_both_told(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {0}, two = {0};

	need_pidfd();
	start(ev, &one, 3);
	two.pid = one.pid;
	two.child = talev_add_child(ev, NULL, two.pid, on_exit_of, &two);
	assert_non_null(two.child);
	let_exit(&one);
	assert_ok(test_run(ev));
	assert_int_equal(one.calls + two.calls, 2);
	/* Whoever comes first reaps. */
	assert_true((one.status == -1) != (two.status == -1));
}

static void freed_watcher_leaves_the_child_to_the_program(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {0};

	need_pidfd();
	start(ev, &one, 0);
	talloc_free(one.child);
	let_exit(&one);
	wait_for_exit(one.pid);
	assert_errno(talev_loop_nowait(ev), ENOENT);
	assert_int_equal(waitpid(one.pid, NULL, 0), one.pid);
	assert_int_equal(one.calls, 0);
}

static void disabled_watcher_tells_afterwards(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {0};

	need_pidfd();
	start(ev, &one, 7);
	assert_ok(talev_source_set_enabled(one.child, false));
	let_exit(&one);
	wait_for_exit(one.pid);
	assert_errno(talev_loop_nowait(ev), ENOENT);
	assert_ok(talev_source_set_enabled(one.child, true));
	assert_ok(test_run(ev));
	assert_int_equal(WEXITSTATUS(one.status), 7);
}

static void free_it(struct talev_context *ev, struct exit_of *one)
{
	(void)ev;
	assert_int_equal(talloc_free(one->arg), 0);
}

static void freeing_itself_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {.act = free_it};

	need_pidfd();
	start(ev, &one, 0);
	one.arg = one.child;
	let_exit(&one);
	assert_ok(test_run(ev));
	assert_int_equal(one.calls, 1);
}

static void free_other(struct talev_context *ev, struct exit_of *one)
{
	struct exit_of *other = one->arg;

	(void)ev;
	assert_int_equal(talloc_free(other->child), 0);
}

static void freeing_a_sibling_that_has_exited_too(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of pair[2] = {{.act = free_other}, {.act = free_other}};
	struct exit_of *left;

	need_pidfd();
	for (int i = 0; i < 2; i++) {
		start(ev, &pair[i], 0);
		pair[i].arg = &pair[1 - i];
	}
	for (int i = 0; i < 2; i++) {
		let_exit(&pair[i]);
		wait_for_exit(pair[i].pid);
	}
	assert_ok(test_run(ev));
	assert_int_equal(pair[0].calls + pair[1].calls, 1);
	left = pair[0].calls ? &pair[1] : &pair[0];
	assert_int_equal(waitpid(left->pid, NULL, 0), left->pid);
}

static void freeing_the_parent_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *parent = talloc_new(*state);
	struct exit_of one = {.act = free_it, .arg = parent};

	need_pidfd();
	start(ev, &one, 0);
	talloc_steal(parent, one.child);
	let_exit(&one);
	assert_ok(test_run(ev));
	assert_int_equal(one.calls, 1);
}

static void freeing_the_context_in_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {.act = free_it, .arg = ev}, other = {0};

	need_pidfd();
	start(ev, &one, 0);
	start(ev, &other, 0);
	talloc_steal(*state, other.child);
	let_exit(&one);
	assert_errno(test_run(ev), ESHUTDOWN);
	assert_errno(talev_child_kill(other.child, 0), ESTALE);
	reap(&other);
}

static void run_nested(struct talev_context *ev, struct exit_of *one)
{
	(void)one;
	assert_errno(talev_loop_nowait(ev), ENOENT);
}

static void nested_loop_does_not_tell_again(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {.act = run_nested};

	need_pidfd();
	talev_loop_allow_nesting(ev);
	start(ev, &one, 0);
	let_exit(&one);
	assert_ok(test_run(ev));
	assert_int_equal(one.calls, 1);
}

static void only_children_can_be_watched(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {0};

	need_pidfd();
	assert_null_errno(talev_add_child(ev, NULL, 0, on_exit_of, &one), EINVAL);
	assert_null_errno(talev_add_child(ev, NULL, -1, on_exit_of, &one), EINVAL);
	assert_null_errno(talev_add_child(ev, NULL, getpid(), on_exit_of, &one), ECHILD);
	assert_null_errno(talev_add_child(ev, NULL, getppid(), on_exit_of, &one), ECHILD);
	assert_null_errno(talev_add_child(ev, NULL, 1, NULL, &one), EINVAL);
	one.pid = test_spawn(0, &one.release);
	assert_null_errno(talev_add_child(NULL, *state, one.pid, on_exit_of, &one), EINVAL);
	reap(&one);
	assert_null_errno(talev_add_child(ev, NULL, one.pid, on_exit_of, &one), ECHILD);
	assert_false(talev_have_events(ev));
}

static void no_memory_is_an_error_and_leaves_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {0};

	need_pidfd();
	if (!test_alloc_works())
		skip();
	one.pid = test_spawn(5, &one.release);
	for (unsigned long n = 1;; n++) {
		test_alloc_fail_at(n);
		one.child = talev_add_child(ev, NULL, one.pid, on_exit_of, &one);
		if (one.child)
			break;
		assert_int_equal(errno, ENOMEM);
		test_alloc_fail_at(0);
		assert_false(talev_have_events(ev));
	}
	test_alloc_fail_at(0);
	let_exit(&one);
	assert_ok(test_run(ev));
	assert_int_equal(WEXITSTATUS(one.status), 5);
}

static int interruptions;
static int open_error;

pid_t __real_base_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_base_waitpid(pid_t pid, int *status, int options);
int __real_base_pidfd_open(pid_t pid);
int __wrap_base_pidfd_open(pid_t pid);

pid_t __wrap_base_waitpid(pid_t pid, int *status, int options)
{
	if (interruptions > 0) {
		interruptions--;
		errno = EINTR;
		return -1;
	}
	return __real_base_waitpid(pid, status, options);
}

int __wrap_base_pidfd_open(pid_t pid)
{
	if (open_error) {
		errno = open_error;
		return -1;
	}
	return __real_base_pidfd_open(pid);
}

static void interrupted_waitpid_is_called_again(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {0};

	need_pidfd();
	start(ev, &one, 9);
	let_exit(&one);
	interruptions = 3;
	assert_ok(test_run(ev));
	assert_int_equal(interruptions, 0);
	assert_int_equal(WEXITSTATUS(one.status), 9);
}

static void error_of_pidfd_open_is_the_callers(void **state)
{
	static const int errors[] = {EMFILE, ENOSYS, ENOMEM, ESRCH};
	struct talev_context *ev = test_context(*state);
	struct exit_of one = {0};

	one.pid = test_spawn(0, &one.release);
	for (int i = 0; i < 4; i++) {
		open_error = errors[i];
		assert_null_errno(talev_add_child(ev, NULL, one.pid, on_exit_of, &one), errors[i]);
	}
	open_error = 0;
	reap(&one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(exit_status_is_told_and_the_child_is_reaped),
		TEST(child_that_exited_before_is_told_too),
		TEST(killed_child_is_told_as_waitpid_tells_it),
		TEST(each_of_many_children_is_told_once),
		TEST(sigchld_and_other_children_stay_the_programs),
		TEST(child_that_somebody_else_reaped_has_status_minus_one),
		TEST(two_watchers_of_one_child_are_both_told),
		TEST(freed_watcher_leaves_the_child_to_the_program),
		TEST(disabled_watcher_tells_afterwards),
		TEST(freeing_itself_in_the_handler),
		TEST(freeing_a_sibling_that_has_exited_too),
		TEST(freeing_the_parent_in_the_handler),
		TEST(freeing_the_context_in_the_handler),
		TEST(nested_loop_does_not_tell_again),
		TEST(only_children_can_be_watched),
		TEST(no_memory_is_an_error_and_leaves_nothing),
		TEST(interrupted_waitpid_is_called_again),
		TEST(error_of_pidfd_open_is_the_callers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
