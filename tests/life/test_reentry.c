/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: what a finalizer may do: free anything, finalize anything, add what it likes.
 */
#include "support/kinds.h"

static void note(struct talev_context *ev, void *arg)
{
	(void)ev;
	test_note("%s", (const char *)arg);
}

static struct thing *watched(struct talev_context *ev, TALLOC_CTX *mem_ctx)
{
	struct thing *thing = kind_add(kind_of_test(), ev, mem_ctx, NULL, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	return thing;
}

static void free_thing(struct talev_context *ev, void *arg)
{
	struct thing *thing = arg;

	(void)ev;
	test_note("killer");
	assert_int_equal(talloc_free(thing->source), 0);
	assert_int_equal(thing->finalized, 0);
}

static struct thing *killer_of(struct talev_context *ev, TALLOC_CTX *mem_ctx, struct thing *victim)
{
	struct thing *killer = kind_add(kind_of_test(), ev, mem_ctx, NULL, NULL);

	assert_ok(talev_source_set_finalizer(killer->source, 0, free_thing, victim));
	return killer;
}

static void finalizer_frees_another_object(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *victim = watched(ev, *state);
	struct thing *killer = killer_of(ev, *state, victim);

	kind_fire(victim);
	talloc_free(killer->source);
	assert_ok(test_run(ev));
	assert_int_equal(victim->finalized, 1);
	assert_int_equal(victim->calls, 0);
	assert_notes("killer");
}

struct pair {
	struct thing *self;
	struct pair *other;
};

static void free_other(struct talev_context *ev, void *arg)
{
	struct pair *pair = arg;

	(void)ev;
	pair->self->finalized++;
	assert_int_equal(talloc_free(pair->other->self->source), 0);
}

static void finalizers_of_one_tree_free_each_others_objects(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *tree = talloc_new(*state);
	struct pair pair[2] = {{.other = &pair[1]}, {.other = &pair[0]}};

	for (int i = 0; i < 2; i++) {
		pair[i].self = kind_add(kind_of_test(), ev, talloc_new(tree), NULL, NULL);
		assert_ok(
			talev_source_set_finalizer(pair[i].self->source, 0, free_other, &pair[i]));
	}
	assert_ok(talev_finalize(ev, tree, 0, note, (void *)(uintptr_t) "fn"));
	assert_ok(test_run(ev));
	assert_int_equal(pair[0].self->finalized, 1);
	assert_int_equal(pair[1].self->finalized, 1);
	assert_notes("fn");
}

static void finalizers_of_a_freed_context_free_each_others_objects(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct pair pair[2] = {{.other = &pair[1]}, {.other = &pair[0]}};

	for (int i = 0; i < 2; i++) {
		pair[i].self = kind_add(kind_of_test(), ev, *state, NULL, NULL);
		assert_ok(
			talev_source_set_finalizer(pair[i].self->source, 0, free_other, &pair[i]));
	}
	talloc_free(ev);
	assert_int_equal(pair[0].self->finalized, 1);
	assert_int_equal(pair[1].self->finalized, 1);
}

struct grave {
	struct talev_context *ev;
	void *tree;
	unsigned flags;
	struct thing *thing;
};

static void free_tree(struct talev_context *ev, void *arg)
{
	struct grave *grave = arg;

	(void)ev;
	test_note("free");
	assert_int_equal(talloc_free(grave->tree), 0);
}

static int on_free(void **ptr)
{
	(void)ptr;
	test_note("memory");
	return 0;
}

static void finalizer_frees_its_own_tree(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct grave grave = {.ev = ev};
	void **mark;

	grave.tree = talloc_new(*state);
	mark = talloc(grave.tree, void *);
	talloc_set_destructor(mark, on_free);
	grave.thing = kind_add(kind_of_test(), ev, grave.tree, NULL, NULL);
	assert_ok(talev_source_set_finalizer(grave.thing->source, 0, free_tree, &grave));
	assert_ok(talev_finalize(ev, grave.tree, 0, note, (void *)(uintptr_t) "fn"));
	assert_ok(test_run(ev));
	assert_notes("free memory fn");
}

static void finalizer_of_a_tree_frees_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct grave grave = {.ev = ev};

	grave.tree = talloc_new(*state);
	kind_add(kind_of_test(), ev, grave.tree, NULL, NULL);
	assert_ok(talev_finalize(ev, grave.tree, 0, free_tree, &grave));
	assert_ok(test_run(ev));
	assert_notes("free");
}

/* Finalize, then free: the tree goes now, its finalizers run in their turn. */
static void tree_is_freed_after_it_was_finalized(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *tree = talloc_new(*state);
	struct thing *thing = watched(ev, tree);

	assert_ok(talev_finalize(ev, tree, 0, note, (void *)(uintptr_t) "fn"));
	assert_int_equal(talloc_free(tree), 0);
	assert_int_equal(thing->finalized, 0);
	assert_ok(test_run(ev));
	assert_int_equal(thing->finalized, 1);
	assert_notes("fn");
}

static void object_is_freed_after_its_tree_was_finalized(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *tree = talloc_new(*state);
	struct thing *thing = watched(ev, tree);

	assert_ok(talev_finalize(ev, tree, 0, note, (void *)(uintptr_t) "fn"));
	assert_int_equal(talloc_free(thing->source), 0);
	assert_int_equal(thing->finalized, 0);
	assert_ok(test_run(ev));
	assert_int_equal(thing->finalized, 1);
	assert_notes("fn");
}

static void finalize_tree(struct talev_context *ev, void *arg)
{
	struct grave *grave = arg;

	test_note("outer");
	assert_ok(talev_finalize(ev, grave->tree, grave->flags, note, (void *)(uintptr_t) "inner"));
	if (grave->flags & TALEV_FINALIZE_NOW)
		assert_int_equal(grave->thing->finalized, 1);
	else
		assert_int_equal(grave->thing->finalized, 0);
	test_note("done");
}

static void finalizer_finalizes_another_tree(void **state)
{
	struct talev_context *ev = test_context(*state);

	for (int now = 0; now < 2; now++) {
		struct grave grave = {.ev = ev, .flags = now ? TALEV_FINALIZE_NOW : 0};
		struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

		test_forget_notes();
		grave.tree = talloc_new(*state);
		grave.thing = watched(ev, grave.tree);
		assert_ok(talev_source_set_finalizer(thing->source, 0, finalize_tree, &grave));
		talloc_free(thing->source);
		assert_ok(test_run(ev));
		assert_notes(now ? "outer inner done" : "outer done inner");
		assert_int_equal(grave.thing->finalized, 1);
	}
}

static void free_context(struct talev_context *ev, void *arg)
{
	(void)arg;
	assert_non_null(ev);
	assert_int_equal(talloc_free(ev), 0);
	test_note("freed");
}

static void finalizer_frees_the_context(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct thing *after = watched(ev, *state);
	struct thing *live = watched(ev, *state);
	assert_ok(talev_source_set_finalizer(ev, 0, note, (void *)(uintptr_t) "context"));
	assert_ok(talev_source_set_finalizer(thing->source, 0, free_context, NULL));
	talloc_free(thing->source);
	talloc_free(after->source);
	assert_errno(test_run(ev), ESHUTDOWN);
	assert_int_equal(after->finalized, 1);
	assert_int_equal(live->finalized, 1);
	assert_non_null(strstr(test_notes(), "freed"));
	assert_non_null(strstr(test_notes(), "context"));
	talloc_free(live->source);
	assert_int_equal(live->finalized, 1);
}

static void on_timer(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)ev;
	(void)te;
	(void)now;
	(void)arg;
	test_note("timer");
}

static void on_immediate(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	(void)ev;
	(void)im;
	(void)arg;
	test_note("immediate");
}

static void add_timer(struct talev_context *ev, void *arg)
{
	(void)arg;
	assert_non_null(talev_add_timer(ev, NULL, 0, on_timer, NULL));
	test_note("added");
}

static void finalizer_adds_a_timer(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, add_timer, NULL));
	talloc_free(thing->source);
	assert_ok(test_run(ev));
	assert_notes("added timer");
}

static void refused_by_dying_context(struct talev_context *ev, void *arg)
{
	struct grave *grave = arg;
	struct talev_immediate *im = talev_create_immediate(grave->tree);

	assert_non_null(ev);
	assert_int_equal(talev_source_get_state(ev), TALEV_CLOSING);
	assert_null_errno(talev_add_timer(ev, NULL, 0, on_timer, NULL), ESHUTDOWN);
	assert_null_errno(talev_add_timer(ev, grave->tree, 0, on_timer, NULL), ESHUTDOWN);
	assert_non_null(im);
	assert_errno(talev_schedule_immediate(im, ev, on_immediate, NULL), ESHUTDOWN);
	talloc_free(im);
	assert_errno(talev_loop_once(ev), ESHUTDOWN);
	test_note("refused");
}

static void dying_context_takes_nothing_new(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct grave grave = {.tree = talloc_new(*state)};
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	test_abort_capture();
	assert_ok(talev_source_set_finalizer(thing->source, 0, refused_by_dying_context, &grave));
	talloc_free(ev);
	assert_notes("refused");
	assert_int_equal(test_abort_count(), 0);
}

#define LINKS 100

struct links {
	void *link[LINKS];
	int run;
};

static void free_next_link(struct talev_context *ev, void *arg)
{
	struct links *links = arg;

	(void)ev;
	if (++links->run < LINKS)
		talloc_free(links->link[links->run]);
}

/* Each finalizer frees the object of the next. */
static void freed_context_drains_to_a_fixed_point(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct links links = {.run = 0};

	for (int i = 0; i < LINKS; i++) {
		struct talev_timer *te = talev_add_timer(ev, *state, TALEV_SEC(9), on_timer, NULL);

		assert_non_null(te);
		assert_ok(talev_source_set_finalizer(te, 0, free_next_link, &links));
		links.link[i] = te;
	}
	talloc_free(ev);
	assert_int_equal(links.run, LINKS);
}

static void late_tree(struct talev_context *ev, void *arg)
{
	struct grave *grave = arg;

	assert_ok(talev_finalize(ev, grave->tree, 0, note, (void *)(uintptr_t) "late"));
}

static void tree_finalized_while_its_context_is_freed_is_finalized_by_that(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct grave grave = {.tree = talloc_new(*state)};

	grave.thing = watched(ev, grave.tree);
	assert_ok(talev_source_set_finalizer(thing->source, 0, late_tree, &grave));
	talloc_free(ev);
	assert_notes("late");
	assert_int_equal(grave.thing->finalized, 1);
}

static void free_context_again(struct talev_context *ev, void *arg)
{
	(void)arg;
	/* It is being freed: talloc refuses, and nothing else happens. */
	talloc_free(ev);
	test_note("again");
}

static void finalizer_frees_the_context_that_is_being_freed(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, free_context_again, NULL));
	talloc_free(ev);
	assert_notes("again");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KIND(finalizer_frees_another_object),
		EACH_KIND(finalizers_of_one_tree_free_each_others_objects),
		EACH_KIND(finalizers_of_a_freed_context_free_each_others_objects),
		EACH_KIND(finalizer_frees_its_own_tree),
		EACH_KIND(finalizer_of_a_tree_frees_it),
		EACH_KIND(tree_is_freed_after_it_was_finalized),
		EACH_KIND(object_is_freed_after_its_tree_was_finalized),
		EACH_KIND(finalizer_finalizes_another_tree),
		EACH_KIND(finalizer_frees_the_context),
		EACH_KIND(finalizer_adds_a_timer),
		EACH_KIND(dying_context_takes_nothing_new),
		TEST(freed_context_drains_to_a_fixed_point),
		EACH_KIND(tree_finalized_while_its_context_is_freed_is_finalized_by_that),
		EACH_KIND(finalizer_frees_the_context_that_is_being_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
