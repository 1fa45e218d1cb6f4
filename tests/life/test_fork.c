/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: after fork the memory is finalized in both, outside effects are the parent's.
 */
#include "support/kinds.h"

struct family {
	struct talev_context *ev;
	TALLOC_CTX *tree;
	struct thing *memory;  /* finalized in both */
	struct thing *outside; /* NOT_IN_CHILD */
	int closed;
};

static void tree_done(struct talev_context *ev, void *arg)
{
	(void)ev;
	++*(int *)arg;
}

static void set_up(struct family *family, TALLOC_CTX *mem_ctx)
{
	memset(family, 0, sizeof(*family));
	family->ev = test_context(mem_ctx);
	family->tree = talloc_new(mem_ctx);
	family->memory = kind_add(kind_of_test(), family->ev, family->tree, NULL, NULL);
	family->outside = kind_add(kind_of_test(), family->ev, family->tree, NULL, NULL);
	assert_ok(talev_source_set_finalizer(
		family->memory->source, 0, count_finalizer, family->memory));
	assert_ok(talev_source_set_finalizer(family->outside->source, TALEV_FINALIZE_NOT_IN_CHILD,
		count_finalizer, family->outside));
}

static void re_initialise_in_child(void *arg)
{
	struct family *family = arg;

	assert_ok(talev_re_initialise(family->ev));
	assert_ok(test_run(family->ev));
	assert_int_equal(family->memory->finalized, 1);
	assert_int_equal(family->outside->finalized, 0);
	assert_int_equal(family->memory->calls, 0);
	talloc_free(family->ev);
	talloc_free(family->tree);
	assert_int_equal(family->memory->finalized, 1);
	assert_int_equal(family->outside->finalized, 0);
}

static void assert_parent_unharmed(struct family *family)
{
	kind_fire(family->memory);
	kind_fire(family->outside);
	while (family->memory->calls == 0 || family->outside->calls == 0)
		assert_ok(test_once(family->ev));
	talloc_free(family->tree);
	assert_ok(test_run(family->ev));
	assert_int_equal(family->memory->calls, 1);
	assert_int_equal(family->outside->calls, 1);
	assert_int_equal(family->memory->finalized, 1);
	assert_int_equal(family->outside->finalized, 1);
}

static void re_initialise_in_the_child_finalizes_memory_only(void **state)
{
	struct family family;

	set_up(&family, *state);
	assert_int_equal(test_in_child(re_initialise_in_child, &family), 0);
	assert_parent_unharmed(&family);
}

static void free_in_child(void *arg)
{
	struct family *family = arg;

	talloc_free(family->tree);
	talloc_free(family->ev);
	assert_int_equal(family->memory->finalized, 1);
	assert_int_equal(family->outside->finalized, 0);
}

static void freeing_in_the_child_finalizes_memory_only(void **state)
{
	struct family family;

	set_up(&family, *state);
	assert_int_equal(test_in_child(free_in_child, &family), 0);
	assert_parent_unharmed(&family);
}

static void finalize_in_child(void *arg)
{
	struct family *family = arg;
	int done = 0, hidden = 0;
	TALLOC_CTX *other = talloc_new(test_root());

	assert_ok(talev_finalize(family->ev, family->tree, 0, tree_done, &done));
	assert_ok(test_run(family->ev));
	assert_int_equal(done, 1);
	assert_int_equal(family->memory->finalized, 1);
	assert_int_equal(family->outside->finalized, 0);
	/* What this process asks for itself is no inheritance. */
	assert_ok(
		talev_finalize(family->ev, other, TALEV_FINALIZE_NOT_IN_CHILD, tree_done, &hidden));
	assert_ok(test_run(family->ev));
	assert_int_equal(hidden, 1);
}

static void finalizing_in_the_child_finalizes_memory_only(void **state)
{
	struct family family;

	set_up(&family, *state);
	assert_int_equal(test_in_child(finalize_in_child, &family), 0);
	assert_parent_unharmed(&family);
}

struct asked {
	struct talev_context *ev;
	int both;
	int outside;
	bool re_initialise;
};

static void pending_in_child(void *arg)
{
	struct asked *asked = arg;

	if (asked->re_initialise)
		assert_ok(talev_re_initialise(asked->ev));
	assert_ok(test_run(asked->ev));
	talloc_free(asked->ev);
	assert_int_equal(asked->both, 1);
	assert_int_equal(asked->outside, 0);
}

/* talev_finalize() was asked for before the fork; both processes have it pending. */
static void pending_trees_are_finalized_in_both(void **state)
{
	for (int again = 0; again < 2; again++) {
		struct asked asked = {.re_initialise = again};

		asked.ev = test_context(*state);
		assert_ok(talev_finalize(asked.ev, talloc_new(*state), 0, tree_done, &asked.both));
		assert_ok(talev_finalize(asked.ev, talloc_new(*state), TALEV_FINALIZE_NOT_IN_CHILD,
			tree_done, &asked.outside));
		assert_int_equal(test_in_child(pending_in_child, &asked), 0);
		assert_int_equal(asked.both, 0);
		assert_ok(test_run(asked.ev));
		assert_int_equal(asked.both, 1);
		assert_int_equal(asked.outside, 1);
		talloc_free(asked.ev);
	}
}

static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)arg;
}

static void close_fn(struct talev_context *ev, struct talev_fd *fde, int fd, void *arg)
{
	struct family *family = arg;

	(void)ev;
	(void)fde;
	close(fd);
	family->closed++;
}

static void re_initialise_closes_nothing(void *arg)
{
	struct family *family = arg;

	assert_ok(talev_re_initialise(family->ev));
	assert_int_equal(family->closed, 0);
	talloc_free(family->tree);
	talloc_free(family->ev);
	assert_int_equal(family->closed, 0);
}

static void close_functions_are_not_called_by_re_initialise(void **state)
{
	struct family family = {0};
	struct talev_fd *fde;
	int fds[2];

	test_pipe(fds);
	family.ev = test_context(*state);
	family.tree = talloc_new(*state);
	fde = talev_add_fd(family.ev, family.tree, fds[0], TALEV_FD_READ, on_fd, &family);
	assert_non_null(fde);
	assert_ok(talev_fd_set_close_fn(fde, close_fn));
	assert_int_equal(test_in_child(re_initialise_closes_nothing, &family), 0);
	talloc_free(family.tree);
	assert_int_equal(family.closed, 1);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KIND(re_initialise_in_the_child_finalizes_memory_only),
		EACH_KIND(freeing_in_the_child_finalizes_memory_only),
		EACH_KIND(finalizing_in_the_child_finalizes_memory_only),
		TEST(pending_trees_are_finalized_in_both),
		TEST(close_functions_are_not_called_by_re_initialise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
