/* SPDX-License-Identifier: BSD-2-Clause */
/* Each allocation of the watchdog fails in turn: an error, and nothing lost. */
#include <talev/job.h>
#include <talev/pool.h>
#include "loops/watchdog_kit.h"

struct things {
	struct talev_watchdog *wd;
	struct talev_loops *loops;
	struct talev_context *ev;
};

static void fail_each(bool (*attempt)(struct things *things))
{
	struct things things = {
		.loops = make_loops(3),
		.wd = make_watchdog(),
		.ev = talev_context_init(test_root()),
	};
	unsigned long n = 0;
	bool ok;

	if (!test_alloc_works())
		skip();
	do {
		test_alloc_fail_at(++n);
		errno = 0;
		ok = attempt(&things);
		if (!ok)
			assert_int_equal(errno, ENOMEM);
		assert_true(ok || test_alloc_failed());
	} while (test_alloc_failed());
	test_alloc_fail_at(0);
	assert_true(ok);
	talloc_free(things.wd);
}

static bool create(struct things *things)
{
	struct talev_watchdog *wd = talev_watchdog_create(things->ev);

	talloc_free(wd);
	/* Without memory for a thread there is none. */
	if (wd == NULL && errno == EAGAIN)
		errno = ENOMEM;
	return wd != NULL;
}

static void a_watchdog(void **state)
{
	(void)state;
	fail_each(create);
}

/* Who got no heart has no limits, and the others have those that they had. */
static bool add(struct things *things)
{
	struct talev_pool *pool = talev_pool_get("test");
	char *text;

	if (talev_watchdog_add_loops(things->wd, things->loops, TALEV_SEC(100), TALEV_SEC(200)) ==
		0)
		return talev_watchdog_add_pool(things->wd, pool, TALEV_SEC(300), TALEV_SEC(400)) ==
		       0;
	test_alloc_fail_at(0);
	text = talev_watchdog_text(things->ev, things->wd);
	assert_string_equal(text, "");
	errno = ENOMEM;
	test_alloc_fail_at(1);
	talloc_free(talloc_named_const(NULL, 1, "fails"));
	return false;
}

static void loops_and_pools(void **state)
{
	(void)state;
	fail_each(add);
}

static bool make_hearts(struct things *things)
{
	TALLOC_CTX *mine = talloc_new(NULL);
	bool ok;

	ok = mine != NULL &&
	     talev_watchdog_add_context(mine, things->wd, things->ev, "one", 1000, 2000) != NULL &&
	     talev_heart_create(mine, things->wd, "two", TALEV_SEC(1), TALEV_NEVER) != NULL &&
	     talev_watchdog_suspend(mine, TALEV_SEC(1), "three") != NULL;
	if (mine == NULL)
		errno = ENOMEM;
	talloc_free(mine);
	return ok;
}

static void hearts(void **state)
{
	(void)state;
	fail_each(make_hearts);
}

static bool look(struct things *things)
{
	TALLOC_CTX *mine = talloc_new(NULL);
	bool ok;

	ok = mine != NULL && talev_watchdog_text(mine, things->wd) != NULL &&
	     talev_watchdog_json(mine, things->wd) != NULL;
	if (mine == NULL)
		errno = ENOMEM;
	talloc_free(mine);
	return ok;
}

static void what_there_is_to_see(void **state)
{
	(void)state;
	fail_each(look);
}

static bool add_queue(struct things *things)
{
	struct talev_jobq *jobq = talev_jobq_create(NULL, "oom");
	bool ok;

	ok = jobq != NULL &&
	     talev_watchdog_add_jobq(things->wd, jobq, TALEV_SEC(1), TALEV_SEC(2)) == 0;
	talloc_free(jobq);
	return ok;
}

static void queues(void **state)
{
	(void)state;
	fail_each(add_queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_watchdog),
		TEST(loops_and_pools),
		TEST(hearts),
		TEST(what_there_is_to_see),
		TEST(queues),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
