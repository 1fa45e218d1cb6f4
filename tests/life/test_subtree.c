/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: talev_finalize() makes a whole tree inert now and frees it later. */
#include "support/kinds.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

struct conn {
	struct talev_context *ev;
	struct thing *thing;
	char buffer[4096];
};

static int gone(struct conn *conn)
{
	assert_false(conn->thing && conn->thing->running);
	memset(conn->buffer, 'g', sizeof(conn->buffer));
	test_note("memory");
	return 0;
}

static struct conn *connect_one(struct talev_context *ev, TALLOC_CTX *mem_ctx)
{
	struct conn *conn = talloc_zero(mem_ctx, struct conn);

	assert_non_null(conn);
	conn->ev = ev;
	talloc_set_destructor(conn, gone);
	return conn;
}

static void note(struct talev_context *ev, void *arg)
{
	(void)ev;
	test_note("%s", (const char *)arg);
}

static void everything_below_is_inert_at_once(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct conn *conn = connect_one(ev, *state);
	struct thing *things[KINDS];

	for (int i = 0; i < kinds_here(); i++) {
		TALLOC_CTX *where = i % 2 ? talloc_new(talloc_new(conn)) : (TALLOC_CTX *)conn;

		things[i] = kind_add((enum kind)i, ev, where, NULL, NULL);
		assert_ok(talev_source_set_finalizer(
			things[i]->source, 0, count_finalizer, things[i]));
		kind_fire(things[i]);
	}
	assert_ok(talev_finalize(ev, conn, 0, note, (void *)(uintptr_t) "fn"));
	assert_notes("");
	assert_true(talev_have_events(ev));
	assert_ok(test_run(ev));
	assert_notes("fn memory");
	for (int i = 0; i < kinds_here(); i++) {
		assert_int_equal(things[i]->calls, 0);
		assert_int_equal(things[i]->finalized, 1);
	}
	assert_false(talev_have_events(ev));
}

static void use_after_finalize(struct thing *thing)
{
	struct conn *conn = thing->arg;

	assert_ok(talev_finalize(thing->ev, conn, 0, note, (void *)(uintptr_t) "fn"));
	memset(conn->buffer, 'x', sizeof(conn->buffer));
	conn->buffer[sizeof(conn->buffer) - 1] = '\0';
	assert_int_equal(strlen(conn->buffer), sizeof(conn->buffer) - 1);
	test_note("handler");
}

static void handler_may_use_the_memory_until_it_returns(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct conn *conn = connect_one(ev, *state);

	conn->thing = kind_add(kind_of_test(), ev, talloc_new(conn), use_after_finalize, conn);
	kind_fire(conn->thing);
	assert_ok(test_run(ev));
	assert_notes("handler fn memory");
}

static void use_after_finalize_now(struct thing *thing)
{
	struct conn *conn = thing->arg;

	assert_ok(talev_finalize(
		thing->ev, conn, TALEV_FINALIZE_NOW, note, (void *)(uintptr_t) "fn"));
	memset(conn->buffer, 'x', sizeof(conn->buffer));
	test_note("handler");
}

static void now_waits_for_a_handler_on_the_stack(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct conn *conn = connect_one(ev, *state);

	conn->thing = kind_add(kind_of_test(), ev, conn, use_after_finalize_now, conn);
	kind_fire(conn->thing);
	assert_ok(test_run(ev));
	assert_notes("handler fn memory");
}

static void finalize_other_now(struct thing *thing)
{
	struct conn *conn = thing->arg;
	struct thing *other = conn->thing;

	assert_ok(talev_finalize(
		thing->ev, conn, TALEV_FINALIZE_NOW, note, (void *)(uintptr_t) "fn"));
	assert_notes("fn memory");
	assert_int_equal(other->finalized, 1);
	test_note("handler");
	talloc_free(thing->source);
}

static void now_is_inside_the_call(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct conn *conn = connect_one(ev, *state);
	struct thing *thing;

	conn->thing = kind_add(kind_of_test(), ev, conn, NULL, NULL);
	kind_fire(conn->thing);
	assert_ok(talev_finalize(ev, conn, TALEV_FINALIZE_NOW, note, (void *)(uintptr_t) "fn"));
	assert_notes("fn memory");
	test_forget_notes();

	conn = connect_one(ev, *state);
	conn->thing = kind_add(KIND_TIMER, ev, conn, NULL, NULL);
	assert_ok(talev_source_set_finalizer(conn->thing->source, 0, count_finalizer, conn->thing));
	thing = kind_add(kind_of_test(), ev, *state, finalize_other_now, conn);
	kind_fire(thing);
	assert_ok(test_run(ev));
	assert_notes("fn memory handler");
}

static void finalizer_after_free_sees_the_destructors_done(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct conn *conn = connect_one(ev, *state);

	conn->thing = kind_add(kind_of_test(), ev, conn, NULL, NULL);
	assert_ok(talev_finalize(
		ev, conn, TALEV_FINALIZE_AFTER_FREE, note, (void *)(uintptr_t) "fn"));
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("memory fn");

	test_forget_notes();
	conn = connect_one(ev, *state);
	assert_ok(talev_finalize(ev, conn, TALEV_FINALIZE_AFTER_FREE | TALEV_FINALIZE_NOW, note,
		(void *)(uintptr_t) "fn"));
	assert_notes("memory fn");
}

static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)flags;
	(void)arg;
	test_note("fd");
	talloc_free(fde);
}

static void descriptor_is_closed_and_reusable_at_once(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct conn *conn = connect_one(ev, *state);
	struct talev_fd *fde;
	int sock[2], fds[2];
	char byte;

	test_socketpair(sock);
	test_pipe(fds);
	fde = talev_add_fd(ev, conn, sock[0], TALEV_FD_READ | TALEV_FD_WRITE, on_fd, NULL);
	assert_non_null(fde);
	assert_ok(talev_fd_set_auto_close(fde));
	assert_ok(talev_finalize(ev, conn, 0, NULL, NULL));
	/* The peer sees the end before any loop runs, and the number is free. */
	assert_int_equal(read(sock[1], &byte, 1), 0);
	assert_errno(fcntl(sock[0], F_GETFD), EBADF);
	assert_int_equal(dup2(fds[0], sock[0]), sock[0]);
	fde = talev_add_fd(ev, *state, sock[0], TALEV_FD_READ, on_fd, NULL);
	assert_non_null(fde);
	assert_ok(test_once(ev));
	assert_notes("memory");
	test_poke(fds[1]);
	assert_ok(test_once(ev));
	assert_notes("memory fd");
	assert_ok(test_run(ev));
	close(sock[0]);
	close(sock[1]);
	close(fds[0]);
	close(fds[1]);
}

static void note_close(struct talev_context *ev, struct talev_fd *fde, int fd, void *arg)
{
	struct thing *thing = arg;

	assert_ptr_equal(ev, thing->ev);
	assert_ptr_equal(fde, thing->source);
	assert_int_equal(fd, thing->fds[0]);
	test_note("close");
}

static void close_function_runs_inside_the_call(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct conn *conn = connect_one(ev, *state);
	struct thing *thing = kind_add(KIND_FD, ev, conn, NULL, NULL);
	struct talev_fd *fde;

	talloc_free(thing->source);
	fde = talev_add_fd(ev, conn, thing->fds[0], TALEV_FD_READ, on_fd, thing);
	thing->source = fde;
	assert_ok(talev_fd_set_close_fn(fde, note_close));
	assert_ok(talev_finalize(ev, conn, 0, note, (void *)(uintptr_t) "fn"));
	assert_notes("close");
	assert_ok(test_run(ev));
	assert_notes("close fn memory");
}

static void tree_with_references_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *elsewhere = talloc_new(*state);
	struct conn *conn = connect_one(ev, *state);
	struct thing *thing = kind_add(kind_of_test(), ev, conn, NULL, NULL);

	assert_non_null(talloc_reference(elsewhere, conn));
	assert_errno(talev_finalize(ev, conn, 0, note, NULL), EBUSY);
	assert_int_equal(talev_source_get_state(thing->source), TALEV_LIVE);
	kind_fire(thing);
	assert_ok(test_once(ev));
	assert_int_equal(thing->calls, 1);
	assert_int_equal(talloc_unlink(elsewhere, conn), 0);
	assert_ok(talev_finalize(ev, conn, 0, NULL, NULL));
	assert_ok(test_run(ev));
	assert_notes("memory");
}

static void second_finalize_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct conn *conn = connect_one(ev, *state);
	TALLOC_CTX *below = talloc_new(conn);
	struct thing *thing = kind_add(kind_of_test(), ev, below, NULL, NULL);

	assert_ok(talev_finalize(ev, conn, 0, note, (void *)(uintptr_t) "fn"));
	assert_errno(talev_finalize(ev, conn, 0, note, (void *)(uintptr_t) "second"), ESTALE);
	assert_errno(talev_finalize(ev, conn, TALEV_FINALIZE_NOW, note, NULL), ESTALE);
	assert_errno(talev_finalize(ev, below, 0, note, NULL), ESTALE);
	assert_errno(talev_finalize(ev, thing->source, 0, note, NULL), ESTALE);
	assert_ok(test_run(ev));
	assert_notes("fn memory");
}

static void on_timer(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)ev;
	(void)te;
	(void)now;
	(void)arg;
}

static void on_signal(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *arg)
{
	(void)ev;
	(void)se;
	(void)signum;
	(void)count;
	(void)siginfo;
	(void)arg;
}

static void on_child(
	struct talev_context *ev, struct talev_child *child, pid_t pid, int status, void *arg)
{
	(void)ev;
	(void)child;
	(void)pid;
	(void)status;
	(void)arg;
}

static void nothing_can_be_added_below_a_finalized_tree(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct conn *conn = connect_one(ev, *state);
	TALLOC_CTX *below = talloc_new(conn);
	int fds[2], release;
	pid_t pid;

	test_pipe(fds);
	pid = test_spawn(0, &release);
	assert_ok(talev_finalize(ev, conn, 0, NULL, NULL));
	assert_null_errno(talev_add_fd(ev, below, fds[0], TALEV_FD_READ, on_fd, NULL), ESTALE);
	assert_null_errno(talev_add_timer(ev, conn, 0, on_timer, NULL), ESTALE);
	assert_null_errno(talev_add_ticker(ev, conn, 1, on_timer, NULL), ESTALE);
	assert_null_errno(talev_add_signal(ev, below, SIGUSR1, 0, on_signal, NULL), ESTALE);
	assert_null_errno(talev_add_child(ev, conn, pid, on_child, NULL), ESTALE);
	assert_null_errno(talev_create_immediate(conn), ESTALE);
	assert_ok(test_run(ev));
	assert_notes("memory");
	close(release);
	talloc_free(ev);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(fds[0]);
	close(fds[1]);
}

static void wrong_arguments_are_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct conn *conn = connect_one(ev, *state);

	assert_errno(talev_finalize(ev, NULL, 0, note, NULL), EINVAL);
	assert_errno(talev_finalize(NULL, conn, 0, note, NULL), EINVAL);
	assert_errno(
		talev_finalize((struct talev_context *)(void *)conn, conn, 0, note, NULL), EINVAL);
	assert_errno(talev_finalize(ev, conn, 0x80000000u, note, NULL), EINVAL);
	assert_notes("");
}

static void finalized_tree_leaves_its_parent(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *parent = talloc_new(*state);
	struct conn *conn = connect_one(ev, parent);

	conn->thing = kind_add(kind_of_test(), ev, conn, NULL, NULL);
	assert_ok(talev_finalize(ev, conn, 0, note, (void *)(uintptr_t) "fn"));
	assert_ptr_not_equal(talloc_parent(conn), parent);
	talloc_free(parent);
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("fn memory");
}

static void source_itself_may_be_the_tree(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	assert_ok(talev_source_set_finalizer(thing->source, 0, count_finalizer, thing));
	connect_one(ev, thing->source);
	kind_fire(thing);
	assert_ok(talev_finalize(ev, thing->source, 0, note, (void *)(uintptr_t) "fn"));
	assert_ok(test_run(ev));
	assert_notes("fn memory");
	assert_int_equal(thing->finalized, 1);
	assert_int_equal(thing->calls, 0);
}

static void tree_without_sources_is_one_too(void **state)
{
	struct talev_context *ev = test_context(*state);

	assert_ok(talev_finalize(ev, connect_one(ev, *state), 0, note, (void *)(uintptr_t) "fn"));
	assert_ok(talev_finalize(ev, connect_one(ev, *state), 0, NULL, NULL));
	assert_ok(test_once(ev));
	assert_notes("fn memory memory");
	assert_errno(talev_loop_once(ev), ENOENT);
}

static void sources_of_another_context_below_are_inert_too(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *other = test_context(*state);
	struct conn *conn = connect_one(ev, *state);
	struct thing *thing = kind_add(kind_of_test(), other, conn, NULL, NULL);

	kind_fire(thing);
	assert_ok(talev_finalize(ev, conn, 0, note, (void *)(uintptr_t) "fn"));
	assert_ok(test_run(other));
	assert_ok(test_run(ev));
	assert_int_equal(thing->calls, 0);
	assert_notes("fn memory");
}

static void freed_context_finalizes_its_trees(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct conn *conn = connect_one(ev, *state);

	conn->thing = kind_add(kind_of_test(), ev, conn, NULL, NULL);
	assert_ok(talev_finalize(ev, conn, 0, note, (void *)(uintptr_t) "fn"));
	talloc_free(ev);
	assert_notes("fn memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_below_is_inert_at_once),
		EACH_KIND(handler_may_use_the_memory_until_it_returns),
		EACH_KIND(now_waits_for_a_handler_on_the_stack),
		EACH_KIND(now_is_inside_the_call),
		EACH_KIND(finalizer_after_free_sees_the_destructors_done),
		TEST(descriptor_is_closed_and_reusable_at_once),
		TEST(close_function_runs_inside_the_call),
		EACH_KIND(tree_with_references_is_refused),
		EACH_KIND(second_finalize_is_refused),
		TEST(nothing_can_be_added_below_a_finalized_tree),
		TEST(wrong_arguments_are_refused),
		EACH_KIND(finalized_tree_leaves_its_parent),
		EACH_KIND(source_itself_may_be_the_tree),
		TEST(tree_without_sources_is_one_too),
		EACH_KIND(sources_of_another_context_below_are_inert_too),
		EACH_KIND(freed_context_finalizes_its_trees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
