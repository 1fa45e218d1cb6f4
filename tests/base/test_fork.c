/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/support.h"
#include "base/fork.h"

static void differs(void *arg)
{
	assert_int_not_equal(base_fork_generation(), *(const unsigned *)arg);
}

static void differs_from_both_in_a_grandchild(void *arg)
{
	unsigned mine = base_fork_generation();

	differs(arg);
	assert_int_equal(test_in_child(differs, arg), 0);
	assert_int_equal(test_in_child(differs, &mine), 0);
}

static void a_child_sees_that_it_is_one(void **state)
{
	unsigned before = base_fork_generation();

	(void)state;
	assert_int_equal(test_in_child(differs, &before), 0);
	assert_int_equal(base_fork_generation(), before);
}

static void a_grandchild_is_told_from_its_child(void **state)
{
	unsigned before = base_fork_generation();

	(void)state;
	assert_int_equal(test_in_child(differs_from_both_in_a_grandchild, &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_child_sees_that_it_is_one),
		TEST(a_grandchild_is_told_from_its_child),
	};

	return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
