/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: connections freed in their own handlers, ten levels deep in nested loops. */
#include "support/kinds.h"

#define LEVELS 10

enum target { SELF, SIBLING, PARENT, CONTEXT };
enum way { FREE, FINALIZE, FINALIZE_NOW, WAYS };

/* What a server has on every level: a parent with a connection and another source. */
struct floor {
	struct tower *tower;
	TALLOC_CTX *parent;
	struct thing *self;
	struct thing *sibling;
	char *memory; /* of the connection */
};

struct tower {
	struct talev_context *ev;
	void (*handler)(struct thing *thing);
	enum target target;
	enum way way;
	bool first;     /* free before the next level runs, not when it has returned */
	unsigned level; /* handlers that were started */
	unsigned at;    /* the level that frees the context */
	unsigned ended;
	unsigned trees; /* finalizers of talev_finalize() that ran */
	bool gone;
	struct floor floors[LEVELS];
};

static void tree_done(struct talev_context *ev, void *arg)
{
	struct tower *tower = arg;

	(void)ev;
	tower->trees++;
}

static void *target_of(struct floor *floor)
{
	switch (floor->tower->target) {
	case SELF:
		return floor->self->source;
	case SIBLING:
		return floor->sibling->source;
	case PARENT:
		return floor->parent;
	default:
		return floor->tower->ev;
	}
}

static void end(struct floor *floor, unsigned level)
{
	struct tower *tower = floor->tower;
	unsigned flags = tower->way == FINALIZE_NOW ? TALEV_FINALIZE_NOW : 0;

	if (tower->target == CONTEXT && (tower->gone || level != tower->at))
		return;
	tower->gone = tower->target == CONTEXT;
	tower->ended++;
	if (tower->way == FREE)
		assert_int_equal(talloc_free(target_of(floor)), 0);
	else
		assert_ok(talev_finalize(tower->ev, target_of(floor), flags, tree_done, tower));
	if (tower->target == SIBLING)
		assert_int_equal(floor->sibling->finalized, tower->way == FINALIZE_NOW);
	assert_int_equal(floor->self->finalized, 0);
}

static void run_level(struct tower *tower, unsigned level);

static void handler(struct thing *thing)
{
	struct floor *floor = thing->arg;
	struct tower *tower = floor->tower;
	unsigned level = ++tower->level;

	assert_int_equal(talev_loop_level(tower->ev), level);
	if (tower->first)
		end(floor, level);
	if (level < LEVELS && !tower->gone)
		run_level(tower, level);
	if (!tower->first)
		end(floor, level);
	/* Only who freed the memory by hand has lost it. */
	if (tower->way != FREE || tower->target == SIBLING || tower->target == CONTEXT)
		assert_string_equal(floor->memory, "memory of the connection");
	assert_int_equal(thing->finalized, 0);
}

static void run_level(struct tower *tower, unsigned level)
{
	struct floor *floor = &tower->floors[level];

	floor->tower = tower;
	floor->parent = talloc_new(test_root());
	floor->self = kind_add(
		kind_of_test(), tower->ev, talloc_new(floor->parent), tower->handler, floor);
	floor->sibling = kind_add(KIND_TIMER, tower->ev, floor->parent, NULL, NULL);
	floor->memory = talloc_strdup(floor->self->source, "memory of the connection");
	assert_ok(talev_source_set_finalizer(floor->self->source, 0, count_finalizer, floor->self));
	assert_ok(talev_source_set_finalizer(
		floor->sibling->source, 0, count_finalizer, floor->sibling));
	kind_fire(floor->self);
	while (floor->self->calls == 0 && !tower->gone) {
		int ret = test_once(tower->ev);

		if (tower->gone) {
			assert_int_equal(ret, -1);
			assert_int_equal(errno, ESHUTDOWN);
		} else {
			assert_int_equal(ret, 0);
		}
	}
}

static void free_floors(struct tower *tower)
{
	for (unsigned i = 0; i < tower->level; i++) {
		struct floor *floor = &tower->floors[i];

		if (tower->target != PARENT)
			talloc_free(floor->parent);
	}
}

static void build_tower(enum target target, enum way way, bool first, unsigned at)
{
	struct tower tower = {
		.handler = handler, .target = target, .way = way, .first = first, .at = at};

	tower.ev = test_context(test_root());
	talev_loop_allow_nesting(tower.ev);
	run_level(&tower, 0);
	assert_int_equal(tower.level, tower.gone && first ? at : LEVELS);
	assert_int_equal(tower.ended, target == CONTEXT ? 1 : LEVELS);
	free_floors(&tower);
	if (!tower.gone) {
		assert_ok(test_run(tower.ev));
		talloc_free(tower.ev);
	}
	assert_int_equal(tower.trees, way == FREE ? 0 : tower.ended);
	for (unsigned i = 0; i < tower.level; i++) {
		assert_int_equal(tower.floors[i].self->calls, 1);
		assert_int_equal(tower.floors[i].self->finalized, 1);
		assert_int_equal(tower.floors[i].sibling->finalized, 1);
		assert_int_equal(tower.floors[i].sibling->calls, 0);
	}
}

static void build_towers(enum target target)
{
	for (int way = 0; way < WAYS; way++) {
		build_tower(target, (enum way)way, true, 0);
		build_tower(target, (enum way)way, false, 0);
	}
}

static void handlers_free_themselves_at_ten_levels(void **state)
{
	(void)state;
	build_towers(SELF);
}

static void handlers_free_their_siblings_at_ten_levels(void **state)
{
	(void)state;
	build_towers(SIBLING);
}

static void handlers_free_their_parents_at_ten_levels(void **state)
{
	(void)state;
	build_towers(PARENT);
}

static void handler_frees_the_context_at_any_level(void **state)
{
	static const unsigned levels[] = {1, 2, 6, LEVELS};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		for (int way = 0; way < WAYS; way++) {
			build_tower(CONTEXT, (enum way)way, true, levels[i]);
			build_tower(CONTEXT, (enum way)way, false, levels[i]);
		}
	}
}

/* The deepest handler ends everything above it. */
static void free_all_parents(struct thing *thing)
{
	struct floor *floor = thing->arg;
	struct tower *tower = floor->tower;
	unsigned level = ++tower->level;

	if (level < LEVELS) {
		run_level(tower, level);
	} else {
		for (unsigned i = 0; i < LEVELS; i++)
			assert_ok(talev_finalize(tower->ev, tower->floors[i].parent,
				TALEV_FINALIZE_NOW, tree_done, tower));
		/* Whatever the loop does now, the handlers above are still running. */
		while (talev_loop_nowait(tower->ev) == 0)
			;
	}
	assert_string_equal(floor->memory, "memory of the connection");
	assert_int_equal(thing->finalized, 0);
	assert_int_equal(tower->trees, LEVELS - level);
}

static void deepest_handler_finalizes_all_connections_above(void **state)
{
	struct tower tower = {.handler = free_all_parents};

	(void)state;
	tower.ev = test_context(test_root());
	talev_loop_allow_nesting(tower.ev);
	run_level(&tower, 0);
	assert_ok(test_run(tower.ev));
	assert_int_equal(tower.level, LEVELS);
	assert_int_equal(tower.trees, LEVELS);
	for (unsigned i = 0; i < LEVELS; i++) {
		assert_int_equal(tower.floors[i].self->finalized, 1);
		assert_int_equal(tower.floors[i].sibling->finalized, 1);
	}
	talloc_free(tower.ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KIND(handlers_free_themselves_at_ten_levels),
		EACH_KIND(handlers_free_their_siblings_at_ten_levels),
		EACH_KIND(handlers_free_their_parents_at_ten_levels),
		EACH_KIND(handler_frees_the_context_at_any_level),
		EACH_KIND(deepest_handler_finalizes_all_connections_above),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
