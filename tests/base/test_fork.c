/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/support.h"
#include <sys/wait.h>
#include "base/fork.h"

static int status_of_child(bool (*right)(unsigned before), unsigned before)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(right(before) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static bool differs(unsigned before)
{
	return base_fork_generation() != before;
}

static bool differs_from_both_in_a_grandchild(unsigned before)
{
	unsigned mine = base_fork_generation();
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(differs(before) && differs(mine) ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void a_child_sees_that_it_is_one(void **state)
{
	unsigned before = base_fork_generation();

	(void)state;
	assert_int_equal(status_of_child(differs, before), 0);
	assert_int_equal(base_fork_generation(), before);
}

static void a_grandchild_is_told_from_its_child(void **state)
{
	(void)state;
	assert_int_equal(
		status_of_child(differs_from_both_in_a_grandchild, base_fork_generation()), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_child_sees_that_it_is_one),
		TEST(a_grandchild_is_told_from_its_child),
	};

	return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
