/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: an end inside another, and through another context. */
#include <signal.h>
#include "support/kinds.h"

struct scene {
	struct talev_context *ev;
	struct talev_context *other;
	TALLOC_CTX *conn; /* holds the thing */
	TALLOC_CTX *door; /* holds the descriptor with the close function */
	unsigned flags;
	bool returned; /* from the handler */
};

static void note_after_handler(struct talev_context *ev, void *arg)
{
	struct scene *scene = arg;

	(void)ev;
	assert_true(scene->returned);
	test_note("finalized");
}

static void unused_handler(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)arg;
	fail();
}

/* A watcher that is never ready, with a close function. */
static void add_door(struct scene *scene, TALLOC_CTX *mem_ctx, talev_fd_close_fn_t close_fn)
{
	struct talev_fd *fde;
	int fds[2];

	test_pipe(fds);
	close(fds[1]);
	fde = talev_add_fd(scene->ev, mem_ctx, fds[0], 0, unused_handler, scene);
	assert_non_null(fde);
	assert_ok(talev_fd_set_close_fn(fde, close_fn));
}

static void finalize_by_the_other(struct thing *thing)
{
	struct scene *scene = thing->arg;

	assert_ok(talev_finalize(scene->other, thing->source, 0, note_after_handler, scene));
	assert_ok(talloc_free(scene->other));
	assert_notes("");
	scene->returned = true;
}

/* No turn of the other loop comes: the memory of the source goes when its handler has returned. */
static void finalized_in_its_handler_by_a_context_that_goes(void **state)
{
	for (int observed = 0; observed < 2; observed++) {
		struct scene scene = {.ev = test_context(*state), .other = test_context(*state)};
		struct thing *thing;

		thing = kind_add(kind_of_test(), scene.ev, talloc_new(*state),
			finalize_by_the_other, &scene);
		assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
		talev_context_set_slow_handler(scene.ev, observed > 0 ? TALEV_SEC(1000) : 0);
		test_forget_notes();
		kind_fire(thing);
		assert_ok(test_once(scene.ev));
		assert_notes("finalized");
		assert_int_equal(thing->finalized, 1);
		talloc_free(scene.ev);
	}
}

static void finalize_conn(struct talev_context *ev, struct talev_fd *fde, int fd, void *arg)
{
	struct scene *scene = arg;

	(void)fde;
	close(fd);
	assert_ok(talev_finalize(ev, scene->conn, scene->flags, note_after_handler, scene));
}

static void finalize_context(struct thing *thing)
{
	struct scene *scene = thing->arg;

	assert_ok(talev_finalize(scene->ev, scene->ev, scene->flags, note_after_handler, scene));
	assert_notes("");
	scene->returned = true;
}

/* The context ends first, and closes what ends the object whose handler runs. */
static void close_function_finalizes_who_finalizes_the_context(void **state)
{
	static const unsigned flags[] = {0, TALEV_FINALIZE_NOW, TALEV_FINALIZE_AFTER_FREE};

	for (size_t i = 0; i < 3; i++) {
		struct scene scene = {.flags = flags[i]};
		struct thing *thing;

		scene.ev = test_context(*state);
		scene.conn = talloc_new(*state);
		thing = kind_add(kind_of_test(), scene.ev, scene.conn, finalize_context, &scene);
		assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
		add_door(&scene, *state, finalize_conn);
		test_forget_notes();
		kind_fire(thing);
		assert_errno(test_run(scene.ev), ESHUTDOWN);
		assert_notes("finalized finalized");
		assert_int_equal(thing->finalized, 1);
	}
}

static void finalize_context_on_close(
	struct talev_context *ev, struct talev_fd *fde, int fd, void *arg)
{
	struct scene *scene = arg;

	(void)fde;
	close(fd);
	assert_ok(talev_finalize(ev, ev, scene->flags, note_after_handler, scene));
}

static void finalize_itself(struct thing *thing)
{
	struct scene *scene = thing->arg;

	assert_ok(talev_finalize(scene->ev, scene->conn, scene->flags, note_after_handler, scene));
	assert_notes("");
	scene->returned = true;
}

/* The other way round. */
static void close_function_finalizes_the_context_of_who_finalizes_itself(void **state)
{
	static const unsigned flags[] = {0, TALEV_FINALIZE_NOW, TALEV_FINALIZE_AFTER_FREE};

	for (size_t i = 0; i < 3; i++) {
		struct scene scene = {.flags = flags[i]};
		struct thing *thing;

		scene.ev = test_context(*state);
		scene.conn = talloc_new(*state);
		thing = kind_add(kind_of_test(), scene.ev, scene.conn, finalize_itself, &scene);
		assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
		add_door(&scene, scene.conn, finalize_context_on_close);
		test_forget_notes();
		kind_fire(thing);
		assert_errno(test_run(scene.ev), ESHUTDOWN);
		assert_notes("finalized finalized");
		assert_int_equal(thing->finalized, 1);
	}
}

static void free_context_on_close(struct talev_context *ev, struct talev_fd *fde, int fd, void *arg)
{
	(void)fde;
	(void)arg;
	close(fd);
	assert_ok(talloc_free(ev));
}

/* With more of each kind to be closed after it. */
static void close_function_frees_the_context_that_is_being_finalized(void **state)
{
	struct scene scene = {.ev = test_context(*state)};
	struct thing *rest[KINDS];
	struct thing *thing;

	thing = kind_add(kind_of_test(), scene.ev, *state, finalize_context, &scene);
	add_door(&scene, *state, free_context_on_close);
	for (int kind = 0; kind < kinds_here(); kind++) {
		rest[kind] = kind_add((enum kind)kind, scene.ev, *state, NULL, NULL);
		assert_ok(talev_source_set_finalizer(
			rest[kind]->source, 0, count_finalizer, rest[kind]));
	}
	kind_fire(thing);
	assert_errno(test_run(scene.ev), ESHUTDOWN);
	assert_notes("finalized");
	for (int kind = 0; kind < kinds_here(); kind++)
		assert_int_equal(rest[kind]->finalized, 1);
}

static void use_freed_context_on_close(
	struct talev_context *ev, struct talev_fd *fde, int fd, void *arg)
{
	struct scene *scene = arg;

	(void)ev;
	(void)fde;
	close(fd);
	assert_errno(talev_loop_once(scene->other), ESHUTDOWN);
	assert_false(talev_have_events(scene->other));
	assert_errno(talev_finalize(scene->other, scene->conn, 0, NULL, NULL), ESHUTDOWN);
	talloc_free(talev_snapshot(NULL, scene->other));
	assert_null(talev_add_timer(scene->other, NULL, 0, NULL, NULL));
	assert_errno(talev_re_initialise(scene->other), ESHUTDOWN);
	assert_errno(talev_context_get_fd(scene->other), ESHUTDOWN);
	talev_loop_break(scene->other);
	assert_false(talev_loop_broken(scene->other));
	talev_context_set_timing(scene->other, true);
	talev_context_set_trace(scene->other, NULL, NULL);
	test_note("closed");
}

/* It is at its end when it comes to what hangs below it and belongs to another one. */
static void close_function_uses_the_context_that_is_being_freed(void **state)
{
	struct scene scene = {.ev = test_context(*state), .other = test_context(*state)};

	scene.conn = talloc_new(*state);
	add_door(&scene, scene.other, use_freed_context_on_close);
	assert_ok(talloc_free(scene.other));
	assert_notes("closed");
}

static void finalize_conn_again(struct talev_context *ev, struct talev_fd *fde, int fd, void *arg)
{
	struct scene *scene = arg;

	(void)fde;
	close(fd);
	assert_errno(talev_finalize(ev, scene->conn, 0, note_after_handler, scene), ESTALE);
	test_note("closed");
}

/* Whoever closes ends the connection, and here it is the end of the connection that closes. */
static void close_function_finalizes_what_is_being_freed(void **state)
{
	struct scene scene = {.ev = test_context(*state)};

	scene.conn = talloc_new(*state);
	add_door(&scene, talloc_new(scene.conn), finalize_conn_again);
	assert_ok(talloc_free(scene.conn));
	assert_notes("closed");
	test_forget_notes();
	scene.conn = talloc_new(*state);
	add_door(&scene, talloc_new(scene.conn), finalize_conn_again);
	assert_ok(talev_finalize(scene.ev, scene.conn, TALEV_FINALIZE_NOW, NULL, NULL));
	assert_notes("closed");
	assert_errno(talev_loop_nowait(scene.ev), ENOENT);
}

static void free_context_on_cleanup(struct talev_req *req, enum talev_req_state req_state)
{
	assert_int_equal(req_state, TALEV_REQ_RECEIVED);
	assert_ok(talloc_free(talev_req_callback_data_void(req)));
}

static void cleanup_function_frees_the_context_that_is_re_initialised(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *timer = kind_add(KIND_TIMER, ev, *state, NULL, NULL);
	struct talev_req *req;
	char *data;

	assert_ok(talev_source_set_finalizer(timer->source, 0, count_finalizer, timer));
	req = talev_req_create(ev, *state, &data, char);
	assert_non_null(req);
	talev_req_set_callback(req, NULL, ev);
	talev_req_set_cleanup_fn(req, free_context_on_cleanup);
	assert_errno(talev_re_initialise(ev), ESHUTDOWN);
	assert_int_equal(timer->finalized, 1);
}

static void expect_own_context(struct talev_context *ev, void *arg)
{
	assert_ptr_equal(ev, arg);
	test_note("own");
}

/* Whatever loop it is that a tree ends by. */
static void finalizers_are_told_the_context_of_their_object(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *other = test_context(*state);
	TALLOC_CTX *tree = talloc_new(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, tree, NULL, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, expect_own_context, ev));
	if (thing->kind == KIND_IMMEDIATE)
		kind_fire(thing);
	assert_ok(talev_finalize(other, tree, 0, expect_own_context, other));
	assert_ok(talev_loop_once(other));
	assert_notes("own own");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_KIND(finalized_in_its_handler_by_a_context_that_goes),
		EACH_KIND(close_function_finalizes_who_finalizes_the_context),
		EACH_KIND(close_function_finalizes_the_context_of_who_finalizes_itself),
		EACH_KIND(close_function_frees_the_context_that_is_being_finalized),
		TEST(close_function_uses_the_context_that_is_being_freed),
		TEST(close_function_finalizes_what_is_being_freed),
		TEST(cleanup_function_frees_the_context_that_is_re_initialised),
		EACH_KIND(finalizers_are_told_the_context_of_their_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
