/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: finalizers run in the order asked, children first, before any later callback.
 */
#include "support/kinds.h"

#define MANY 100000

static void note(struct talev_context *ev, void *arg)
{
	(void)ev;
	test_note("%s", (const char *)arg);
}

static void note_self(struct thing *thing)
{
	test_note("%s", (const char *)thing->arg);
	if (thing->kind == KIND_FD || thing->kind == KIND_SIGNAL)
		talloc_free(thing->source);
}

static struct thing *noting(struct talev_context *ev, TALLOC_CTX *mem_ctx, const char *name)
{
	struct thing *thing = kind_add(kind_of_test(), ev, mem_ctx, NULL, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, note, (void *)(uintptr_t)name));
	return thing;
}

static void first_asked_is_first_run(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *a = noting(ev, *state, "a");
	struct thing *b = noting(ev, *state, "b");
	struct thing *c = noting(ev, *state, "c");

	talloc_free(b->source);
	talloc_free(c->source);
	talloc_free(a->source);
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("b c a");
}

static void freed_children_are_before_their_parents(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *parent = noting(ev, *state, "parent");
	struct thing *child = noting(ev, parent->source, "child");

	noting(ev, child->source, "grandchild");
	talloc_free(parent->source);
	assert_ok(test_run(ev));
	assert_notes("grandchild child parent");
}

static void finalized_children_are_before_their_parents(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *parent = noting(ev, *state, "parent");
	struct thing *child = noting(ev, parent->source, "child");

	noting(ev, talloc_new(child->source), "grandchild");
	assert_ok(talev_finalize(ev, parent->source, 0, note, (void *)(uintptr_t) "tree"));
	assert_ok(test_run(ev));
	assert_notes("grandchild child parent tree");
}

static void trees_are_in_the_order_asked(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *a = talloc_new(*state);
	TALLOC_CTX *b = talloc_new(*state);
	struct thing *c;

	noting(ev, a, "in-a");
	noting(ev, b, "in-b");
	c = noting(ev, *state, "c");
	assert_ok(talev_finalize(ev, b, 0, note, (void *)(uintptr_t) "b"));
	talloc_free(c->source);
	assert_ok(talev_finalize(ev, a, 0, note, (void *)(uintptr_t) "a"));
	assert_ok(test_run(ev));
	assert_notes("in-b b c in-a a");
}

static void free_victim(struct thing *thing)
{
	struct thing *victim = thing->arg;

	talloc_free(victim->source);
	test_note("freed");
	talloc_free(thing->source);
}

/* Everything here is ready at the same time; the victim's finalizer goes before what is left. */
static void before_any_later_callback(void **state)
{
	struct talev_context *ev = test_context(*state);

	for (int by = 0; by < kinds_here(); by++) {
		struct thing *victim = noting(ev, *state, "finalized");
		struct thing *killer = kind_add((enum kind)by, ev, *state, free_victim, victim);
		struct thing *later[KINDS];

		test_forget_notes();
		if (victim->kind == KIND_IMMEDIATE)
			assert_ok(talev_cancel_immediate(victim->source));
		for (int i = 0; i < kinds_here(); i++) {
			later[i] = kind_add(
				(enum kind)i, ev, *state, note_self, (void *)(uintptr_t) "later");
			if (i != KIND_IMMEDIATE)
				kind_fire(later[i]);
		}
		kind_fire(killer);
		if (by == KIND_IMMEDIATE) /* in front of the other immediate */
			kind_fire(later[KIND_IMMEDIATE]);
		assert_ok(test_run(ev));
		if (!strstr(test_notes(), "freed finalized"))
			fail_msg("a %s frees a %s: %s", kind_name((enum kind)by),
				kind_name(victim->kind), test_notes());
		talloc_free(later[KIND_IMMEDIATE]->source);
	}
}

struct storm {
	unsigned calls;
	unsigned calls_at_free;
	unsigned calls_at_finalizer;
	struct thing *victim;
};

static void storm_finalizer(struct talev_context *ev, void *arg)
{
	struct storm *storm = arg;

	(void)ev;
	storm->calls_at_finalizer = storm->calls;
}

static void storm_immediate(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	struct storm *storm = arg;

	(void)ev;
	(void)im;
	if (storm->calls++ == 0) {
		talloc_free(storm->victim->source);
		storm->calls_at_free = storm->calls;
	}
}

static void is_not_delayed_by_many_ready_callbacks(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct storm storm = {0};
	unsigned many = test_is_slow() ? MANY / 10 : MANY;
	TALLOC_CTX *pool = talloc_new(*state);

	storm.victim = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	assert_ok(talev_source_set_finalizer(storm.victim->source, 0, storm_finalizer, &storm));
	if (storm.victim->kind == KIND_IMMEDIATE)
		assert_ok(talev_cancel_immediate(storm.victim->source));
	for (unsigned i = 0; i < many; i++) {
		struct talev_immediate *im = talev_create_immediate(pool);

		assert_non_null(im);
		assert_ok(talev_schedule_immediate(im, ev, storm_immediate, &storm));
	}
	assert_ok(test_run(ev));
	assert_int_equal(storm.calls, many);
	assert_int_equal(storm.calls_at_finalizer, storm.calls_at_free);
}

static void hot_immediate(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	struct storm *storm = arg;

	if (++storm->calls == 1000) {
		talloc_free(storm->victim->source);
		storm->calls_at_free = storm->calls;
	}
	if (storm->calls < 2000)
		assert_ok(talev_schedule_immediate(im, ev, hot_immediate, storm));
}

static void is_not_delayed_by_a_hot_immediate_in_strict_mode(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct storm storm = {0};
	struct talev_immediate *im = talev_create_immediate(*state);

	talev_context_set_strict(ev, true);
	storm.victim = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	assert_ok(talev_source_set_finalizer(storm.victim->source, 0, storm_finalizer, &storm));
	if (storm.victim->kind == KIND_IMMEDIATE)
		assert_ok(talev_cancel_immediate(storm.victim->source));
	assert_ok(talev_schedule_immediate(im, ev, hot_immediate, &storm));
	assert_ok(test_run(ev));
	assert_int_equal(storm.calls_at_free, 1000);
	assert_int_equal(storm.calls_at_finalizer, 1000);
}

struct chain {
	bool stop;
	unsigned links;
	struct talev_context *ev;
};

static void never(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)ev;
	(void)te;
	(void)now;
	(void)arg;
	fail_msg("a freed timer ran");
}

static void next_link(struct talev_context *ev, void *arg)
{
	struct chain *chain = arg;
	struct talev_timer *te;

	if (chain->stop || ++chain->links == 1000000)
		return;
	te = talev_add_timer(ev, NULL, TALEV_NEVER - 1, never, NULL);
	assert_non_null(te);
	assert_ok(talev_source_set_finalizer(te, 0, next_link, chain));
	talloc_free(te);
}

static void stop_chain(struct thing *thing)
{
	struct chain *chain = thing->arg;

	chain->stop = true;
	talloc_free(thing->source);
}

static void endless_finalizers_starve_no_callback(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct chain chain = {.ev = ev};
	struct thing *thing = kind_add(kind_of_test(), ev, *state, stop_chain, &chain);

	kind_fire(thing);
	next_link(ev, &chain);
	assert_ok(test_run(ev));
	assert_true(chain.stop);
	assert_int_equal(thing->calls, 1);
	assert_true(chain.links < 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KIND(first_asked_is_first_run),
		EACH_KIND(freed_children_are_before_their_parents),
		EACH_KIND(finalized_children_are_before_their_parents),
		EACH_KIND(trees_are_in_the_order_asked),
		EACH_KIND(before_any_later_callback),
		EACH_KIND(is_not_delayed_by_many_ready_callbacks),
		EACH_KIND(is_not_delayed_by_a_hot_immediate_in_strict_mode),
		EACH_KIND(endless_finalizers_starve_no_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
