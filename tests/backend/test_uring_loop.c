/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring while a loop runs: its thread keeps it at hand, and puts it away before anybody else may
 * free the context, since the kernel lets no other thread take it back. */
#include "support/support.h"

#ifdef TALEV_URING

#include <poll.h>
#include <pthread.h>
#include "backend/uring.h"

/* More than a loop waits before it keeps the ring at hand. */
#define LONG  200
#define SHORT 10

static int refuse;
static int registered, unregistered;

int __real_io_uring_register(unsigned fd, unsigned opcode, const void *arg, unsigned nr_args);
int __wrap_io_uring_register(unsigned fd, unsigned opcode, const void *arg, unsigned nr_args);
int __wrap_io_uring_register(unsigned fd, unsigned opcode, const void *arg, unsigned nr_args)
{
	registered += opcode == IORING_REGISTER_RING_FDS;
	unregistered += opcode == IORING_UNREGISTER_RING_FDS;
	if (refuse != 0 && opcode == IORING_REGISTER_RING_FDS)
		return -refuse;
	return __real_io_uring_register(fd, opcode, arg, nr_args);
}

static int timed_waits;

int __real_io_uring_enter2(unsigned fd, unsigned submit, unsigned complete, unsigned flags,
	sigset_t *sig, size_t size);
int __wrap_io_uring_enter2(unsigned fd, unsigned submit, unsigned complete, unsigned flags,
	sigset_t *sig, size_t size);
int __wrap_io_uring_enter2(
	unsigned fd, unsigned submit, unsigned complete, unsigned flags, sigset_t *sig, size_t size)
{
	timed_waits++;
	return __real_io_uring_enter2(fd, submit, complete, flags, sig, size);
}

/* A loop that passes a byte to itself so many times, and then ends, or calls at_end. */
struct relay {
	struct talev_context *ev;
	int p[2];
	int left;
	void (*at_end)(struct relay *relay);
	bool was_at_hand;
	struct relay *next;
};

static struct talev_context *context_on_ring(void)
{
	struct talev_context *ev = talev_context_init_byname(test_root(), "uring");

	registered = 0;
	unregistered = 0;
	if (ev == NULL && errno == EOPNOTSUPP)
		skip();
	assert_non_null(ev);
	return ev;
}

static bool at_hand(struct talev_context *ev)
{
	return ring_at_hand(&((struct uring_backend *)core_get_backend(ev))->ring);
}

static void on_byte(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *p)
{
	struct relay *relay = p;

	(void)fde;
	(void)flags;
	test_drain(relay->p[0]);
	if (--relay->left > 0) {
		test_poke(relay->p[1]);
		return;
	}
	relay->was_at_hand = at_hand(ev);
	if (relay->at_end != NULL)
		relay->at_end(relay);
	else
		talev_loop_break(ev);
}

static void shut(const int fds[2])
{
	assert_ok(close(fds[0]));
	assert_ok(close(fds[1]));
}

static void begin(struct relay *relay, struct talev_context *ev, int turns)
{
	*relay = (struct relay){.ev = ev, .left = turns};
	test_pipe(relay->p);
	assert_non_null(
		talev_add_fd(ev, ev, relay->p[0], TALEV_FD_READ | TALEV_FD_EDGE, on_byte, relay));
	test_poke(relay->p[1]);
}

static void end(struct relay *relay)
{
	talloc_free(relay->ev);
	shut(relay->p);
}

static void again(struct relay *relay, int turns)
{
	relay->left = turns;
	test_poke(relay->p[1]);
	test_run(relay->ev);
}

static void a_long_loop_keeps_its_ring_at_hand_and_puts_it_away(void **state)
{
	struct relay relay;

	(void)state;
	begin(&relay, context_on_ring(), SHORT);
	test_run(relay.ev);
	assert_false(relay.was_at_hand);
	assert_int_equal(registered, 0);
	for (int i = 1; i <= 3; i++) {
		again(&relay, LONG);
		assert_true(relay.was_at_hand);
		assert_false(at_hand(relay.ev));
		assert_int_equal(registered, i);
		assert_int_equal(unregistered, i);
	}
	again(&relay, SHORT);
	assert_int_equal(registered, 3);
	end(&relay);
}

static void unexpected(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *p)
{
	(void)ev;
	(void)te;
	(void)now;
	(void)p;
	fail_msg("an hour has not passed");
}

static void on_time(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *p)
{
	(void)te;
	*(talev_time_t *)p = now;
	assert_true(at_hand(ev));
	talev_loop_break(ev);
}

static talev_time_t deadline, came;

/* A busy loop has found something whenever it looked, and never waited with a timeout. */
static void wait_a_little(struct relay *relay)
{
	assert_int_equal(timed_waits, 0);
	deadline = talev_now(relay->ev) + TALEV_MSEC(2);
	assert_non_null(talev_add_timer(relay->ev, relay->ev, deadline, on_time, &came));
}

static void waits_that_have_an_end_use_it_too(void **state)
{
	struct relay relay;

	(void)state;
	begin(&relay, context_on_ring(), LONG);
	assert_non_null(talev_add_timer(
		relay.ev, relay.ev, talev_now(relay.ev) + TALEV_SEC(3600), unexpected, NULL));
	relay.at_end = wait_a_little;
	came = 0;
	timed_waits = 0;
	test_run(relay.ev);
	assert_true(relay.was_at_hand);
	assert_true(came >= deadline);
	assert_false(at_hand(relay.ev));
	end(&relay);
}

static void a_kernel_that_refuses_is_asked_once_a_loop(void **state)
{
	struct relay relay;

	(void)state;
	begin(&relay, context_on_ring(), LONG);
	refuse = EBUSY;
	test_run(relay.ev);
	assert_false(relay.was_at_hand);
	assert_int_equal(registered, 1);
	again(&relay, LONG);
	assert_int_equal(registered, 2);
	assert_int_equal(unregistered, 0);
	refuse = 0;
	again(&relay, LONG);
	assert_true(relay.was_at_hand);
	end(&relay);
}

/* The program has closed the other end. */
static void assert_let_go(int reader)
{
	struct pollfd pfd = {.fd = reader, .events = POLLIN};

	/* The kernel does it some milliseconds later if it was another thread that closed. */
	if (poll(&pfd, 1, 20000) != 1 || (pfd.revents & POLLHUP) == 0)
		fail_msg("the file is still held");
}

static void never(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *p)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)p;
	fail_msg("a full pipe was told to have room");
}

struct stay {
	struct relay relay;
	int done[2];
	int go[2];
};

static void *run_and_stay(void *arg)
{
	struct stay *stay = arg;
	char byte;

	if (talev_loop_wait(stay->relay.ev) == 0)
		test_poke(stay->done[1]);
	/* Alive, and far from talev, until it is told to end. */
	while (read(stay->go[0], &byte, 1) < 0 && (errno == EAGAIN || errno == EINTR))
		poll(&(struct pollfd){.fd = stay->go[0], .events = POLLIN}, 1, -1);
	return NULL;
}

static void a_free_in_another_thread_lets_the_files_go(void **state)
{
	struct stay stay;
	pthread_t thread;
	int full[2];

	(void)state;
	begin(&stay.relay, context_on_ring(), LONG);
	test_pipe(stay.done);
	test_pipe(stay.go);
	test_pipe(full);
	test_fill(full[1]);
	assert_non_null(talev_add_fd(stay.relay.ev, stay.relay.ev, full[1],
		TALEV_FD_WRITE | TALEV_FD_EDGE, never, NULL));
	assert_ok(pthread_create(&thread, NULL, run_and_stay, &stay));
	assert_int_equal(poll(&(struct pollfd){.fd = stay.done[0], .events = POLLIN}, 1, -1), 1);
	assert_int_equal(test_drain(stay.done[0]), 1);
	assert_true(stay.relay.was_at_hand);
	talloc_free(stay.relay.ev);
	assert_ok(close(full[1]));
	test_drain(full[0]);
	assert_let_go(full[0]);
	test_poke(stay.go[1]);
	assert_ok(pthread_join(thread, NULL));
	assert_ok(close(full[0]));
	shut(stay.relay.p);
	shut(stay.done);
	shut(stay.go);
}

static int to_close = -1;

static void free_context(struct relay *relay)
{
	talloc_free(relay->ev);
	relay->ev = NULL;
	assert_ok(close(to_close));
}

static void a_free_in_a_handler_lets_them_go_at_once(void **state)
{
	struct relay relay;
	int full[2];
	char byte;

	(void)state;
	begin(&relay, context_on_ring(), LONG);
	test_pipe(full);
	test_fill(full[1]);
	to_close = full[1];
	assert_non_null(talev_add_fd(
		relay.ev, relay.ev, full[1], TALEV_FD_WRITE | TALEV_FD_EDGE, never, NULL));
	relay.at_end = free_context;
	assert_errno(talev_loop_wait(relay.ev), ESHUTDOWN);
	assert_true(relay.was_at_hand);
	assert_int_equal(unregistered, 1);
	test_drain(full[0]);
	assert_int_equal(read(full[0], &byte, 1), 0);
	assert_ok(close(full[0]));
	shut(relay.p);
}

static int child_status;

static void go_on(void *arg)
{
	struct relay *relay = arg;

	again(relay, LONG);
	assert_true(relay->was_at_hand);
}

/* The pipe is empty: the child has it for itself until it ends. */
static void fork_in_handler(struct relay *relay)
{
	relay->at_end = NULL;
	relay->was_at_hand = false;
	child_status = test_in_child(go_on, relay);
	relay->left = LONG;
	test_poke(relay->p[1]);
}

static void a_child_of_a_handler_gets_a_ring_of_its_own(void **state)
{
	struct relay relay;

	(void)state;
	begin(&relay, context_on_ring(), LONG);
	talev_loop_allow_nesting(relay.ev);
	relay.at_end = fork_in_handler;
	test_run(relay.ev);
	assert_int_equal(child_status, 0);
	assert_true(relay.was_at_hand);
	assert_false(at_hand(relay.ev));
	assert_int_equal(registered, 1);
	assert_int_equal(unregistered, 1);
	end(&relay);
}

static void run_next(struct relay *relay)
{
	if (relay->next != NULL)
		test_run(relay->next->ev);
	talev_loop_break(relay->ev);
}

/* The kernel allows a thread 16. */
static void more_rings_than_a_thread_may_keep_go_on_without(void **state)
{
	enum { N = 20 };
	struct relay relays[N];
	int kept = 0;

	(void)state;
	for (int i = 0; i < N; i++) {
		begin(&relays[i], context_on_ring(), LONG);
		relays[i].at_end = run_next;
		if (i > 0)
			relays[i - 1].next = &relays[i];
	}
	test_run(relays[0].ev);
	for (int i = 0; i < N; i++) {
		assert_int_equal(relays[i].left, 0);
		assert_false(at_hand(relays[i].ev));
		kept += relays[i].was_at_hand;
		end(&relays[i]);
	}
	assert_true(relays[0].was_at_hand);
	assert_in_range(kept, 1, N - 1);
	assert_int_equal(registered, N);
	assert_int_equal(unregistered, kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_long_loop_keeps_its_ring_at_hand_and_puts_it_away),
		TEST(waits_that_have_an_end_use_it_too),
		TEST(a_kernel_that_refuses_is_asked_once_a_loop),
		TEST(a_free_in_another_thread_lets_the_files_go),
		TEST(a_free_in_a_handler_lets_them_go_at_once),
		TEST(a_child_of_a_handler_gets_a_ring_of_its_own),
		TEST(more_rings_than_a_thread_may_keep_go_on_without),
	};

	return cmocka_run_group_tests_name("uring in a loop", tests, NULL, NULL);
}

#else

#include <stdio.h>

int main(void)
{
	puts("this build has no backend uring");
	return 77;
}

#endif
