/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: the context is freed, or finalized, inside what it calls. */
#include "support/kinds.h"

struct scene {
	struct talev_context *ev;
	TALLOC_CTX *tree; /* holds the context, in the tests of talev_finalize() */
	unsigned flags;
	bool handler; /* has returned, or is about to */
	int contexts; /* finalizers of the context that ran */
	int trees;
	unsigned asked;
};

static void context_done(struct talev_context *ev, void *arg)
{
	struct scene *scene = arg;

	assert_null(ev);
	assert_true(scene->handler);
	scene->contexts++;
}

static void free_context(struct thing *thing)
{
	struct scene *scene = thing->arg;

	assert_int_equal(talloc_free(scene->ev), 0);
	assert_int_equal(scene->contexts, 0);
	assert_int_equal(thing->finalized, 0);
	/* Where the context was parent the object is gone, too. */
	scene->handler = true;
}

typedef int (*loop_fn)(struct scene *scene);

static int by_wait(struct scene *scene)
{
	return test_run(scene->ev);
}

static int by_once(struct scene *scene)
{
	return test_once(scene->ev);
}

static int by_nowait(struct scene *scene)
{
	return talev_loop_nowait(scene->ev);
}

static bool finished(void *arg)
{
	struct scene *scene = arg;

	assert_false(scene->handler);
	scene->asked++;
	return false;
}

static int by_until(struct scene *scene)
{
	return talev_loop_until(scene->ev, finished, scene);
}

static const loop_fn loops[] = {by_wait, by_once, by_nowait, by_until};
#define LOOPS (sizeof(loops) / sizeof(loops[0]))

static void set_up(struct scene *scene, TALLOC_CTX *mem_ctx)
{
	memset(scene, 0, sizeof(*scene));
	scene->ev = test_context(mem_ctx);
	assert_ok(talev_source_set_finalizer(scene->ev, 0, context_done, scene));
}

static struct thing *watched(struct scene *scene, TALLOC_CTX *mem_ctx, void (*fn)(struct thing *))
{
	struct thing *thing = kind_add(kind_of_test(), scene->ev, mem_ctx, fn, scene);

	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	return thing;
}

static void freed_in_the_handler_of_its_child(void **state)
{
	(void)kind_of_test(); /* skips before anything is there */
	for (size_t i = 0; i < LOOPS; i++) {
		struct scene scene;
		struct thing *thing;

		set_up(&scene, *state);
		thing = watched(&scene, NULL, free_context);
		kind_fire(thing);
		assert_errno(loops[i](&scene), ESHUTDOWN);
		assert_int_equal(scene.contexts, 1);
		assert_int_equal(thing->calls, 1);
		assert_int_equal(thing->finalized, 1);
	}
}

static void freed_in_the_handler_of_an_object_elsewhere(void **state)
{
	(void)kind_of_test(); /* skips before anything is there */
	for (size_t i = 0; i < LOOPS; i++) {
		struct scene scene;
		struct thing *thing, *other;

		set_up(&scene, *state);
		thing = watched(&scene, *state, free_context);
		other = watched(&scene, *state, NULL);
		kind_fire(thing);
		if (other->kind == KIND_IMMEDIATE) /* behind the one that frees */
			kind_fire(other);
		assert_errno(loops[i](&scene), ESHUTDOWN);
		assert_int_equal(scene.contexts, 1);
		assert_int_equal(thing->finalized, 1);
		assert_int_equal(other->finalized, 1);
		assert_int_equal(other->calls, 0);
		assert_int_equal(talev_source_get_state(thing->source), TALEV_FINALIZED);
		talloc_free(thing->source);
		talloc_free(other->source);
		assert_int_equal(thing->finalized, 1);
	}
}

static void tree_done(struct talev_context *ev, void *arg)
{
	struct scene *scene = arg;

	(void)ev;
	scene->trees++;
}

static void finalize_scene(struct thing *thing)
{
	struct scene *scene = thing->arg;
	char *memory = talloc_strdup(scene->tree, "still here");

	assert_ok(talev_finalize(scene->ev, scene->tree, scene->flags, tree_done, scene));
	assert_int_equal(scene->trees, 0);
	assert_int_equal(talev_source_get_state(scene->ev), TALEV_CLOSING);
	assert_int_equal(talev_source_get_state(thing->source), TALEV_CLOSING);
	assert_int_equal(kind_arm(thing), -1);
	assert_true(errno == ESTALE || errno == ESHUTDOWN);
	assert_string_equal(memory, "still here");
	scene->handler = true;
}

static void context_finalizer(struct talev_context *ev, void *arg)
{
	struct scene *scene = arg;

	(void)ev;
	assert_true(scene->handler);
	scene->contexts++;
}

static void finalized_in_a_handler_with_the_tree_it_is_in(void **state)
{
	static const unsigned flags[] = {0, TALEV_FINALIZE_NOW, TALEV_FINALIZE_AFTER_FREE};

	(void)kind_of_test(); /* skips before anything is there */
	for (size_t i = 0; i < LOOPS; i++) {
		for (size_t j = 0; j < 3; j++) {
			struct scene scene = {.flags = flags[j]};
			struct thing *thing;

			scene.tree = talloc_new(*state);
			scene.ev = test_context(talloc_new(scene.tree));
			assert_ok(
				talev_source_set_finalizer(scene.ev, 0, context_finalizer, &scene));
			thing = watched(&scene, talloc_new(scene.tree), finalize_scene);
			kind_fire(thing);
			assert_errno(loops[i](&scene), ESHUTDOWN);
			assert_int_equal(scene.trees, 1);
			assert_int_equal(scene.contexts, 1);
			assert_int_equal(thing->finalized, 1);
		}
	}
}

static void finalized_in_a_handler_by_itself(void **state)
{
	struct scene scene = {0};
	struct thing *thing;

	(void)kind_of_test(); /* skips before anything is there */
	scene.ev = test_context(*state);
	scene.tree = scene.ev;
	assert_ok(talev_source_set_finalizer(scene.ev, 0, context_finalizer, &scene));
	thing = watched(&scene, *state, finalize_scene);
	kind_fire(thing);
	assert_errno(test_run(scene.ev), ESHUTDOWN);
	assert_int_equal(scene.trees, 1);
	assert_int_equal(scene.contexts, 1);
	assert_int_equal(thing->finalized, 1);
	talloc_free(thing->source);
}

static void finalized_now_outside_of_handlers(void **state)
{
	struct scene scene = {.handler = true};
	struct thing *thing;

	(void)kind_of_test(); /* skips before anything is there */
	scene.tree = talloc_new(*state);
	scene.ev = test_context(scene.tree);
	assert_ok(talev_source_set_finalizer(scene.ev, 0, context_finalizer, &scene));
	thing = watched(&scene, scene.tree, NULL);
	assert_ok(talev_finalize(scene.ev, scene.tree, TALEV_FINALIZE_NOW, tree_done, &scene));
	assert_int_equal(scene.trees, 1);
	assert_int_equal(scene.contexts, 1);
	assert_int_equal(thing->finalized, 1);
}

/* Without NOW it never runs inside the caller; the loop of the closing context says that it ended.
 */
static void finalized_outside_of_handlers_ends_in_the_next_turn(void **state)
{
	struct scene scene = {.handler = true};
	struct thing *thing;

	(void)kind_of_test(); /* skips before anything is there */
	scene.tree = talloc_new(*state);
	scene.ev = test_context(scene.tree);
	assert_ok(talev_source_set_finalizer(scene.ev, 0, context_finalizer, &scene));
	thing = watched(&scene, scene.tree, NULL);
	assert_ok(talev_finalize(scene.ev, scene.tree, 0, tree_done, &scene));
	assert_int_equal(scene.trees, 0);
	assert_int_equal(thing->finalized, 0);
	assert_errno(talev_loop_once(scene.ev), ESHUTDOWN);
	assert_int_equal(scene.trees, 1);
	assert_int_equal(scene.contexts, 1);
	assert_int_equal(thing->finalized, 1);
}

static void free_context_beside(struct thing *thing)
{
	struct thing *other = thing->arg;

	talloc_free(thing->ev);
	assert_int_equal(other->finalized, 0);
	assert_int_equal(thing->finalized, 0);
}

/* The handler may still use what the finalizers of the others are going to free. */
static void finalizers_of_all_objects_wait_for_the_handler_that_freed_the_context(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *other = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	struct thing *thing = kind_add(KIND_TIMER, ev, *state, free_context_beside, other);

	(void)kind_of_test(); /* skips before anything is there */
	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	assert_ok(talev_source_set_finalizer(other->source, 0, count_finalizer, other));
	if (other->kind == KIND_IMMEDIATE)
		assert_ok(talev_cancel_immediate(other->source));
	kind_fire(thing);
	assert_errno(test_run(ev), ESHUTDOWN);
	assert_int_equal(other->finalized, 1);
	assert_int_equal(thing->finalized, 1);
}

/* A handler of one context runs the loop of another, whose handler frees the first. */
static void run_other(struct thing *thing)
{
	struct scene *scene = thing->arg;
	struct talev_context *other = test_context(test_root());
	struct thing *inner = kind_add(kind_of_test(), other, test_root(), free_context, scene);

	assert_ok(talev_source_set_finalizer(inner->source, 0, count_finalizer, inner));
	kind_fire(inner);
	assert_ok(talev_loop_once(other));
	assert_int_equal(inner->calls, 1);
	assert_int_equal(scene->contexts, 0);
	assert_int_equal(thing->finalized, 0);
	if (inner->kind == KIND_FD || inner->kind == KIND_SIGNAL || inner->kind == KIND_IMMEDIATE)
		talloc_free(inner->source);
	assert_ok(test_run(other));
	assert_int_equal(inner->finalized, 1);
	assert_int_equal(scene->contexts, 0);
	talloc_free(other);
}

static void freed_in_the_loop_of_another_context(void **state)
{
	struct scene scene;
	struct thing *thing;

	(void)kind_of_test(); /* skips before anything is there */
	set_up(&scene, *state);
	thing = watched(&scene, *state, run_other);
	kind_fire(thing);
	assert_errno(test_run(scene.ev), ESHUTDOWN);
	assert_int_equal(scene.contexts, 1);
	assert_int_equal(thing->finalized, 1);
	talloc_free(thing->source);
}

static bool finished_by_free(void *arg)
{
	struct scene *scene = arg;

	scene->handler = true;
	talloc_free(scene->ev);
	return false;
}

static void context_finalizer_anywhere(struct talev_context *ev, void *arg)
{
	(void)ev;
	++*(int *)arg;
}

static void freed_by_the_question_of_loop_until(void **state)
{
	struct scene scene = {0};
	struct thing *thing;
	int contexts = 0;

	(void)kind_of_test(); /* skips before anything is there */
	scene.ev = test_context(*state);
	assert_ok(talev_source_set_finalizer(scene.ev, 0, context_finalizer_anywhere, &contexts));
	thing = watched(&scene, *state, NULL);
	assert_errno(talev_loop_until(scene.ev, finished_by_free, &scene), ESHUTDOWN);
	assert_int_equal(contexts, 1);
	assert_int_equal(thing->finalized, 1);
	talloc_free(thing->source);
}

static void close_and_free(struct talev_context *ev, struct talev_fd *fde, int fd, void *arg)
{
	(void)fde;
	close(fd);
	talloc_free(ev);
	++*(int *)arg;
}

static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)flags;
	(void)arg;
	talloc_free(fde);
}

static void freed_by_a_close_function_in_a_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_fd *fde;
	int fds[2], closed = 0, contexts = 0;

	test_pipe(fds);
	fde = talev_add_fd(ev, *state, fds[0], TALEV_FD_READ, on_fd, &closed);
	assert_non_null(fde);
	assert_ok(talev_fd_set_close_fn(fde, close_and_free));
	assert_ok(talev_source_set_finalizer(ev, 0, context_finalizer_anywhere, &contexts));
	test_poke(fds[1]);
	assert_errno(test_run(ev), ESHUTDOWN);
	assert_int_equal(closed, 1);
	assert_int_equal(contexts, 1);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KIND(freed_in_the_handler_of_its_child),
		EACH_KIND(freed_in_the_handler_of_an_object_elsewhere),
		EACH_KIND(finalized_in_a_handler_with_the_tree_it_is_in),
		EACH_KIND(finalized_in_a_handler_by_itself),
		EACH_KIND(finalized_now_outside_of_handlers),
		EACH_KIND(finalized_outside_of_handlers_ends_in_the_next_turn),
		EACH_KIND(finalizers_of_all_objects_wait_for_the_handler_that_freed_the_context),
		EACH_KIND(freed_in_the_loop_of_another_context),
		EACH_KIND(freed_by_the_question_of_loop_until),
		TEST(freed_by_a_close_function_in_a_handler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
