/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: what crashed, hung or was forgotten in other event libraries. */
#include <signal.h>
#include <sys/socket.h>
#include "support/support.h"
#include "support/kinds.h"

static void note(struct talev_context *ev, void *arg)
{
	(void)ev;
	test_note("%s", (const char *)arg);
}

#define NOTE(text) ((void *)(uintptr_t)(text))

static void finalize_signal(struct talev_context *ev, struct talev_signal *se, int signum,
	int count, const void *siginfo, void *arg)
{
	(void)signum;
	(void)count;
	(void)siginfo;
	assert_ok(talev_finalize(ev, se, 0, note, arg));
	test_note("returned");
}

static void finalizing_a_running_signal_does_not_wait_for_it(void **state)
{
	struct talev_context *ev = test_context(*state);

	assert_non_null(
		talev_add_signal(ev, *state, SIGUSR1, 0, finalize_signal, NOTE("finalized")));
	raise(SIGUSR1);
	assert_ok(test_run(ev));
	assert_notes("returned finalized");
}

struct crowd {
	struct talev_signal *se[3];
	int victim;
	int calls;
};

static void free_victim(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *arg)
{
	struct crowd *crowd = arg;

	(void)ev;
	(void)signum;
	(void)count;
	(void)siginfo;
	crowd->calls++;
	for (int i = 0; i < 3; i++) {
		bool self = crowd->se[i] == se;

		/* The others and, if it is told to, itself. */
		if (crowd->se[i] && (self == (i == crowd->victim))) {
			talloc_free(crowd->se[i]);
			crowd->se[i] = NULL;
		}
	}
}

static void freeing_other_signal_watchers_of_the_number_in_a_handler(void **state)
{
	struct talev_context *ev = test_context(*state);

	for (int victim = -1; victim < 3; victim++) {
		for (int flags = 0; flags <= SA_SIGINFO; flags += SA_SIGINFO) {
			struct crowd crowd = {.victim = victim};

			for (int i = 0; i < 3; i++) {
				crowd.se[i] = talev_add_signal(
					ev, *state, SIGUSR1, flags, free_victim, &crowd);
				assert_non_null(crowd.se[i]);
			}
			raise(SIGUSR1);
			assert_ok(test_once(ev));
			assert_true(crowd.calls >= 1 && crowd.calls <= 3);
			for (int i = 0; i < 3; i++)
				talloc_free(crowd.se[i]);
			assert_ok(test_run(ev));
		}
	}
}

static void free_one(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *arg)
{
	struct crowd *crowd = arg;

	(void)ev;
	(void)signum;
	(void)count;
	(void)siginfo;
	crowd->calls++;
	if (crowd->se[crowd->victim] != se)
		TALLOC_FREE(crowd->se[crowd->victim]);
}

static void freed_signal_watcher_of_the_same_number_is_not_called(void **state)
{
	struct talev_context *ev = test_context(*state);

	/* Two watchers, each frees the other: whichever is first, the second is not called. */
	for (int flags = 0; flags <= SA_SIGINFO; flags += SA_SIGINFO) {
		struct crowd a = {.victim = 0}, b = {.victim = 0};

		a.se[0] = talev_add_signal(ev, *state, SIGUSR1, flags, free_one, &b);
		b.se[0] = talev_add_signal(ev, *state, SIGUSR1, flags, free_one, &a);
		raise(SIGUSR1);
		assert_ok(test_once(ev));
		assert_int_equal(a.calls + b.calls, 1);
		assert_true((a.se[0] == NULL) != (b.se[0] == NULL));
		talloc_free(a.se[0]);
		talloc_free(b.se[0]);
		assert_ok(test_run(ev));
	}
}

static void move_itself(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	int *calls = arg;

	if (++*calls < 3)
		assert_ok(talev_update_timer(te, now + TALEV_MSEC(1)));
	(void)ev;
}

static void moving_a_timer_inside_its_own_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	int calls = 0;

	assert_non_null(talev_add_timer(ev, *state, talev_now(ev), move_itself, &calls));
	assert_ok(test_run(ev));
	assert_int_equal(calls, 3);
}

static void free_context(struct thing *thing)
{
	talloc_free(thing->ev);
}

static void freeing_the_context_in_a_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, NULL, free_context, NULL);

	kind_fire(thing);
	assert_errno(test_run(ev), ESHUTDOWN);
	assert_int_equal(thing->calls, 1);
}

/* A D-Bus connection frees its watch inside the watch's own handler, a resolver its descriptor. */
struct library {
	struct talev_fd *fde;
	int fd;
	int calls;
};

static void drop_watch(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct library *library = arg;

	(void)ev;
	(void)flags;
	assert_ptr_equal(fde, library->fde);
	library->calls++;
	TALLOC_FREE(library->fde);
	close(library->fd);
}

static void handler_frees_its_own_watch_and_closes_the_descriptor(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct library library = {0};
	int fds[2];

	test_log_capture();
	test_pipe(fds);
	library.fd = fds[0];
	library.fde = talev_add_fd(ev, *state, fds[0], TALEV_FD_READ, drop_watch, &library);
	assert_non_null(library.fde);
	test_poke(fds[1]);
	assert_ok(test_run(ev));
	assert_int_equal(library.calls, 1);
	assert_string_equal(test_log_text(), "");
	close(fds[1]);
}

/* A TLS session: its handshake fails under the handler of its socket, which frees the session. */
struct session {
	struct talev_fd *fde;
	char secret[64];
};

static int wipe(struct session *session)
{
	memset(session->secret, 0, sizeof(session->secret));
	test_note("wiped");
	return 0;
}

static void fail_handshake(struct session *session)
{
	talloc_free(session);
}

static void on_socket(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)fde;
	(void)flags;
	fail_handshake(arg);
	test_note("returned");
}

static void session_is_freed_under_the_handler_of_its_socket(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct session *session = talloc_zero(*state, struct session);
	int sock[2];

	test_socketpair(sock);
	talloc_set_destructor(session, wipe);
	session->fde = talev_add_fd(ev, session, sock[0], TALEV_FD_READ, on_socket, session);
	assert_ok(talev_fd_set_auto_close(session->fde));
	assert_ok(talev_source_set_finalizer(session->fde, 0, note, NOTE("finalized")));
	test_poke(sock[1]);
	assert_ok(test_run(ev));
	assert_non_null(strstr(test_notes(), "wiped"));
	assert_non_null(strstr(test_notes(), "returned finalized"));
	close(sock[1]);
}

static void never(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)arg;
	fail_msg("a freed watcher was called");
}

/* The peer need not wait for our loop, and the argument of the handler has a finalizer. */
static void peer_sees_the_end_when_the_connection_is_freed(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_fd *fde;
	int sock[2];
	char byte;

	test_socketpair(sock);
	fde = talev_add_fd(ev, *state, sock[0], TALEV_FD_READ, never, NULL);
	assert_ok(talev_fd_set_auto_close(fde));
	assert_ok(talev_source_set_finalizer(fde, 0, note, NOTE("argument")));
	talloc_free(fde);
	assert_int_equal(read(sock[1], &byte, 1), 0);
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("argument");
	close(sock[1]);
}

/* A process that had a pending finalizer forked: one goodbye is said, not two. */
static void say_goodbye(struct talev_context *ev, void *arg)
{
	(void)ev;
	test_poke(*(int *)arg);
}

static void child_runs_it_too(void *arg)
{
	struct talev_context *ev = arg;

	assert_ok(test_run(ev));
}

static void goodbye_is_said_once_after_fork(void **state)
{
	struct talev_context *ev = test_context(*state);
	int fds[2];

	test_pipe(fds);
	assert_ok(talev_finalize(
		ev, talloc_new(*state), TALEV_FINALIZE_NOT_IN_CHILD, say_goodbye, &fds[1]));
	assert_int_equal(test_in_child(child_runs_it_too, ev), 0);
	assert_int_equal(test_drain(fds[0]), 0);
	assert_ok(test_run(ev));
	assert_int_equal(test_drain(fds[0]), 1);
	close(fds[0]);
	close(fds[1]);
}

static void break_after_free(struct thing *thing)
{
	struct thing *other = thing->arg;

	talloc_free(other->source);
	talev_loop_break(thing->ev);
}

static void breaking_the_loop_leaves_no_finalizer_behind(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *other = kind_add(KIND_TIMER, ev, *state, NULL, NULL);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, break_after_free, other);

	assert_ok(talev_source_set_finalizer(other->source, 0, count_finalizer, other));
	kind_fire(thing);
	assert_ok(test_run(ev));
	assert_int_equal(other->finalized, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finalizing_a_running_signal_does_not_wait_for_it),
		TEST(freeing_other_signal_watchers_of_the_number_in_a_handler),
		TEST(freed_signal_watcher_of_the_same_number_is_not_called),
		TEST(moving_a_timer_inside_its_own_handler),
		EACH_KIND(freeing_the_context_in_a_handler),
		TEST(handler_frees_its_own_watch_and_closes_the_descriptor),
		TEST(session_is_freed_under_the_handler_of_its_socket),
		TEST(peer_sees_the_end_when_the_connection_is_freed),
		TEST(goodbye_is_said_once_after_fork),
		EACH_KIND(breaking_the_loop_leaves_no_finalizer_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
