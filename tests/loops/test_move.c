/* SPDX-License-Identifier: BSD-2-Clause */
/* Watchers that change their loop, and what stays: contract rows T4 and T5. */
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <talev/move.h>
#include <talev/pool.h>
#include "loops/kit.h"

struct conn {
	struct talev_fd *fde;
	struct talev_loop *owner;
	unsigned hops;
	unsigned wanted; /* how many hops */
	uint8_t next;    /* the byte that comes next */
	unsigned long bytes;
};

static atomic_uint closed;
static int writer_fd;
static atomic_bool stop_writing;
static unsigned long written;
static unsigned long seen;

static void arrived(struct talev_loop *loop, void *data)
{
	struct conn *conn = talloc_steal(talev_loop_context(loop), data);

	conn->owner = loop;
	demand(talev_loop_current() == loop);
	demand(talev_source_get_context(conn->fde) == talev_loop_context(loop));
}

static void hop(struct conn *conn)
{
	struct talev_loop *here = talev_loop_current();
	struct talev_pool *next = talev_pool_get(
		strcmp(talev_pool_name(talev_loop_pool(here)), "b") == 0 ? "a" : "b");

	conn->hops++;
	conn->owner = NULL;
	demand(talev_move(talev_pool_next(next), arrived, &conn) == 0);
	demand(conn == NULL);
}

/* Reads a little, so that more is ready when it hops. */
static void read_and_hop(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *data)
{
	struct conn *conn = data;
	uint8_t bytes[3];
	ssize_t n = read(talev_fd_get_fd(fde), bytes, sizeof(bytes));

	(void)flags;
	demand(talev_loop_current() == conn->owner);
	demand(ev == talev_loop_context(conn->owner));
	if (n < 0) {
		demand(errno == EAGAIN);
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		demand(bytes[i] == conn->next++);
	conn->bytes += (unsigned long)n;
	if (conn->hops < conn->wanted) {
		hop(conn);
		return;
	}
	atomic_store(&stop_writing, true);
	if (n > 0)
		return;
	/* The end: everything that was written has been seen, once. */
	seen = conn->bytes;
	talev_loops_shutdown(talev_loop_loops(conn->owner));
	talloc_free(conn);
}

static void *write_bytes(void *arg)
{
	uint8_t byte = 0;

	(void)arg;
	while (!atomic_load(&stop_writing)) {
		struct pollfd pfd = {.fd = writer_fd, .events = POLLOUT};

		demand(poll(&pfd, 1, 100) >= 0);
		if (write(writer_fd, &byte, 1) == 1) {
			byte++;
			written++;
		}
	}
	demand(shutdown(writer_fd, SHUT_WR) == 0);
	return NULL;
}

static int count_closed(int *object)
{
	(void)object;
	atomic_fetch_add(&closed, 1);
	return 0;
}

static struct conn *make_conn(struct talev_context *ev, int fd, talev_fd_handler_t handler)
{
	struct conn *conn = talloc_zero(ev, struct conn);
	int *object = talloc(conn, int);

	talloc_set_destructor(object, count_closed);
	conn->fde = talev_add_fd(ev, conn, fd, TALEV_FD_READ, handler, conn);
	demand(conn->fde != NULL && talev_fd_set_auto_close(conn->fde) == 0);
	return conn;
}

static void t4_a_watcher_hops_between_pools_under_traffic(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_loop *loop;
	struct conn *conn;
	pthread_t thread;
	int fds[2];

	(void)state;
	assert_non_null(talev_pool_create(loops, "a", 1, NULL, NULL));
	assert_non_null(talev_pool_create(loops, "b", 2, NULL, NULL));
	test_socketpair(fds);
	written = 0;
	atomic_store(&closed, 0);
	atomic_store(&stop_writing, false);
	loop = talev_pool_next(talev_pool_get("a"));
	/* Made in another loop than the one it is to begin in. */
	conn = make_conn(talev_loop_context(talev_loops_main(loops)), fds[0], read_and_hop);
	conn->wanted = scaled(10000, 500);
	assert_ok(talev_move(loop, arrived, &conn));
	writer_fd = fds[1];
	thread = thread_start(write_bytes, NULL);
	test_loops(loops);
	thread_join(thread);
	assert_int_equal(seen, written);
	assert_int_equal(atomic_load(&closed), 1);
	close(fds[1]);
}

static void one_byte(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *data)
{
	struct talev_loop *loop = talev_loop_current();

	(void)flags;
	(void)data;
	demand(talev_loop_index(loop) == 1);
	demand(talloc_parent(fde) == ev);
	talloc_free(fde);
	talev_loops_shutdown(talev_loop_loops(loop));
}

static void begin_here(struct talev_loop *loop, void *data)
{
	int *fds = data;
	struct talev_fd *fde =
		talev_add_fd(talev_loop_context(loop), NULL, fds[0], TALEV_FD_READ, one_byte, NULL);

	/* Ready before it goes. */
	demand(fde != NULL && talev_fd_set_auto_close(fde) == 0);
	test_poke(fds[1]);
	demand(talev_source_move(fde, talev_loops_get(talev_loop_loops(loop), 1)) == 0);
}

static void t4_what_is_ready_on_the_way_is_told_at_the_end(void **state)
{
	struct talev_loops *loops = make_loops(2);
	int fds[2];

	(void)state;
	test_socketpair(fds);
	assert_ok(talev_loop_setup(talev_loops_main(loops), begin_here, fds));
	test_loops(loops);
	close(fds[1]);
}

static void never(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)data;
	demand(false);
}

static void never_arrives(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	demand(false);
}

static void t5_a_loop_that_ends_closes_what_is_on_its_way(void **state)
{
	struct talev_loops *loops = make_loops(2);
	struct talev_context *ev = test_context(test_root());
	struct conn *conn;
	char byte;
	int fds[2];

	(void)state;
	test_socketpair(fds);
	atomic_store(&closed, 0);
	conn = make_conn(ev, fds[0], never);
	assert_ok(talev_move(talev_loops_get(loops, 1), never_arrives, &conn));
	assert_null(conn);
	talloc_free(loops);
	assert_int_equal(atomic_load(&closed), 1);
	/* Its close function has run: this side sees the end. */
	assert_int_equal(read(fds[1], &byte, 1), 0);
	close(fds[1]);
	talloc_free(ev);
}

static void stay(struct talev_loop *loop, void *data)
{
	talloc_steal(talev_loop_context(loop), data);
	stop_loops(loop, NULL);
}

static void count_handler(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)data;
	seen++;
	test_drain(talev_fd_get_fd(fde));
}

static void t5_a_loop_that_has_ended_refuses_and_nothing_has_moved(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_context *ev = test_context(test_root());
	struct conn *conn;
	struct conn *same;
	int fds[2];

	(void)state;
	talev_loops_shutdown(loops);
	test_loops(loops);
	test_socketpair(fds);
	conn = same = make_conn(ev, fds[0], count_handler);
	assert_errno(talev_move(talev_loops_main(loops), never_arrives, &conn), ESHUTDOWN);
	assert_ptr_equal(conn, same);
	assert_ptr_equal(talloc_parent(conn), ev);
	seen = 0;
	test_poke(fds[1]);
	assert_ok(test_once(ev));
	assert_int_equal(seen, 1);
	talloc_free(ev);
	close(fds[1]);
}

/* The program closes the descriptor while the watcher is on its way. */
static void t5_a_descriptor_that_is_closed_on_the_way_is_harmless(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_context *ev = test_context(test_root());
	struct conn *conn;
	int fds[2];

	(void)state;
	test_log_capture();
	test_socketpair(fds);
	conn = make_conn(ev, fds[0], never);
	assert_ok(talev_move(talev_loops_main(loops), stay, &conn));
	close(fds[0]);
	test_loops(loops);
	assert_int_equal(test_log_count("was lost on its way"), 1);
	close(fds[1]);
	talloc_free(ev);
}

static void t5_wrong_arguments_are_errors(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_loop *loop = talev_loops_main(loops);
	struct talev_context *ev = test_context(test_root());
	struct conn *conn;
	void *none = NULL;
	int fds[2];

	(void)state;
	test_socketpair(fds);
	conn = make_conn(ev, fds[0], never);
	assert_errno(talev_move(NULL, never_arrives, &conn), EINVAL);
	assert_errno(talev_move(loop, NULL, &conn), EINVAL);
	assert_errno(talev_move(loop, never_arrives, &none), EINVAL);
	assert_errno(talev_source_move((struct talev_fd *)conn, loop), EINVAL);
	assert_non_null(talev_ref_create(ev, ev, conn->fde));
	assert_errno(talev_move(loop, never_arrives, &conn), EINVAL);
	assert_errno(talev_async_run(loop, never_arrives, &conn), EINVAL);
	/* No flags are no error: it waits for nothing. */
	assert_ok(talev_fd_set_flags(conn->fde, 0));
	assert_errno(talev_fd_set_flags(conn->fde, 0x100), EINVAL);
	assert_int_equal(talev_fd_get_flags(conn->fde), 0);
	talloc_free(ev);
	close(fds[1]);
}

/* Whatever else a loop knows stays, and then nothing of the tree goes. */

static void never_timer(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	never(ev, NULL, 0, data);
	(void)te;
	(void)now;
}

static void never_immediate(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	never(ev, NULL, 0, data);
	(void)im;
}

static void never_signal(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *data)
{
	never(ev, NULL, 0, data);
	(void)se;
	(void)signum;
	(void)count;
	(void)siginfo;
}

static void no_finalizer(struct talev_context *ev, void *arg)
{
	(void)ev;
	(void)arg;
}

static void *a_signal(struct talev_context *ev, void *tree)
{
	return talev_add_signal(ev, tree, SIGUSR1, 0, never_signal, NULL);
}

static void *a_request(struct talev_context *ev, void *tree)
{
	int *state;

	return talev_req_create(ev, tree, &state, int);
}

static void *a_queue(struct talev_context *ev, void *tree)
{
	return talev_queue_create(ev, tree, "queue");
}

static void *a_proxy(struct talev_context *ev, void *tree)
{
	return talev_thread_proxy_create(ev, tree);
}

static void *a_threaded_context(struct talev_context *ev, void *tree)
{
	return talev_threaded_context_create(ev, tree);
}

static void *a_context(struct talev_context *ev, void *tree)
{
	(void)ev;
	return talev_context_init(tree);
}

static void *a_timer_in_virtual_time(struct talev_context *ev, void *tree)
{
	struct talev_context *sim = talev_sim_init(ev, 0);

	return talev_add_timer(sim, tree, TALEV_NEVER, never_timer, NULL);
}

static void *a_timer_with_a_finalizer(struct talev_context *ev, void *tree)
{
	struct talev_timer *te = talev_add_timer(ev, tree, TALEV_NEVER, never_timer, NULL);

	assert_ok(talev_source_set_finalizer(te, 0, no_finalizer, NULL));
	return te;
}

static void *a_timer_with_a_reference(struct talev_context *ev, void *tree)
{
	struct talev_timer *te = talev_add_timer(ev, tree, TALEV_NEVER, never_timer, NULL);

	assert_non_null(talev_ref_create(ev, ev, te));
	return te;
}

static void *an_immediate_that_a_thread_has_sent(struct talev_context *ev, void *tree)
{
	struct talev_immediate *im = talev_create_immediate(tree);

	assert_ok(talev_threaded_schedule_immediate(
		talev_threaded_context_create(ev, ev), im, never_immediate, NULL));
	return im;
}

static const struct {
	const char *name;
	void *(*make)(struct talev_context *ev, void *tree);
} stay_at_home[] = {
	{"signal", a_signal},
	{"request", a_request},
	{"queue", a_queue},
	{"proxy", a_proxy},
	{"threaded context", a_threaded_context},
	{"context", a_context},
	{"virtual time", a_timer_in_virtual_time},
	{"finalizer", a_timer_with_a_finalizer},
	{"reference", a_timer_with_a_reference},
	{"sent immediate", an_immediate_that_a_thread_has_sent},
};

static void note_immediate(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	(void)ev;
	(void)im;
	test_note("%s", (const char *)data);
}

static void note_timer(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)te;
	(void)now;
	test_note("%s", (const char *)data);
}

static char first[] = "first";
static char second[] = "second";
static char due[] = "due";

/* A tree with a watcher, two immediates and a due timer, which all belong to ev. */
static struct conn *make_busy_conn(struct talev_context *ev, int fd)
{
	struct conn *conn = make_conn(ev, fd, count_handler);
	struct talev_immediate *ims[2] = {
		talev_create_immediate(conn), talev_create_immediate(conn)};

	assert_ok(talev_schedule_immediate(ims[1], ev, note_immediate, first));
	assert_ok(talev_schedule_immediate(ims[0], ev, note_immediate, second));
	assert_non_null(talev_add_timer(ev, conn, talev_now(ev), note_timer, due));
	return conn;
}

static void it_works_where_it_is(struct talev_context *ev, int peer)
{
	seen = 0;
	test_forget_notes();
	test_poke(peer);
	while (seen == 0)
		assert_ok(test_once(ev));
	assert_notes("first second due");
}

static void t5_what_stays_keeps_the_tree_where_it_is(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_loop *loop = talev_loops_main(loops);

	(void)state;
	for (size_t i = 0; i < sizeof(stay_at_home) / sizeof(stay_at_home[0]); i++) {
		struct talev_context *ev = talev_context_init(test_root());
		struct conn *conn;
		struct conn *same;
		int fds[2];
		void *it;

		test_socketpair(fds);
		conn = same = make_busy_conn(ev, fds[0]);
		it = stay_at_home[i].make(ev, conn);
		if (it == NULL)
			fail_msg("no %s", stay_at_home[i].name);
		errno = 0;
		if (talev_move(loop, never_arrives, &conn) != -1 || errno != EINVAL)
			fail_msg("a %s was moved", stay_at_home[i].name);
		assert_ptr_equal(conn, same);
		assert_ptr_equal(talloc_parent(conn), ev);
		assert_errno(talev_source_move(it, loop), EINVAL);
		talloc_free(it);
		it_works_where_it_is(ev, fds[1]);
		talloc_free(ev);
		close(fds[1]);
	}
}

static void t5_a_loop_that_has_ended_refuses_all_kinds(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct talev_context *ev = talev_context_init(test_root());
	struct conn *conn;
	int fds[2];

	(void)state;
	talev_loops_shutdown(loops);
	test_loops(loops);
	test_socketpair(fds);
	conn = make_busy_conn(ev, fds[0]);
	assert_errno(talev_move(talev_loops_main(loops), never_arrives, &conn), ESHUTDOWN);
	assert_ptr_equal(talloc_parent(conn), ev);
	it_works_where_it_is(ev, fds[1]);
	talloc_free(ev);
	close(fds[1]);
}

static void t5_a_loop_that_ends_frees_all_kinds_on_their_way(void **state)
{
	struct talev_loops *loops = make_loops(2);
	struct talev_context *ev = talev_context_init(test_root());
	struct conn *conn;
	int fds[2];

	(void)state;
	test_socketpair(fds);
	atomic_store(&closed, 0);
	conn = make_busy_conn(ev, fds[0]);
	assert_ok(talev_move(talev_loops_get(loops, 1), never_arrives, &conn));
	talloc_free(loops);
	assert_int_equal(atomic_load(&closed), 1);
	assert_notes("");
	talloc_free(ev);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t4_a_watcher_hops_between_pools_under_traffic),
		TEST(t4_what_is_ready_on_the_way_is_told_at_the_end),
		TEST(t5_a_loop_that_ends_closes_what_is_on_its_way),
		TEST(t5_a_loop_that_has_ended_refuses_and_nothing_has_moved),
		TEST(t5_a_descriptor_that_is_closed_on_the_way_is_harmless),
		TEST(t5_wrong_arguments_are_errors),
		TEST(t5_what_stays_keeps_the_tree_where_it_is),
		TEST(t5_a_loop_that_has_ended_refuses_all_kinds),
		TEST(t5_a_loop_that_ends_frees_all_kinds_on_their_way),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
