/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: what other threads had in their hands is lost in the child */
/* TEST_ALL_BACKENDS: fork(2) while other threads are at work: the child has a loop of its own. */
#include <sys/wait.h>
#include "thread/threads.h"

#define SENDERS 4

static unsigned received;

static void receive(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	(void)ev;
	(void)im;
	talloc_free(data);
	received++;
}

static struct talev_thread_proxy *proxy_to(struct talev_context *ev)
{
	struct talev_thread_proxy *tp = talev_thread_proxy_create(ev, NULL);

	demand(tp != NULL);
	return tp;
}

static void send_one(struct talev_thread_proxy *tp, TALLOC_CTX *mine)
{
	struct talev_immediate *im = talev_create_immediate(mine);
	int *data = talloc_zero(mine, int);

	demand(im != NULL && data != NULL);
	if (talev_thread_proxy_schedule(tp, &im, receive, &data) != 0) {
		demand(errno == ESHUTDOWN);
		talloc_free(im);
		talloc_free(data);
	}
}

struct sender {
	struct talev_thread_proxy *handle;
	atomic_bool *stop;
};

static void *send_until_stopped(void *arg)
{
	struct sender *sender = arg;
	TALLOC_CTX *mine = talloc_parent(sender->handle);

	/* Not so many that the parent is kept busy with them. */
	for (unsigned i = 0; !*sender->stop; i++) {
		if (i % 64 == 0)
			sched_yield();
		if (i < 5000)
			send_one(sender->handle, mine);
	}
	talloc_free(mine);
	return NULL;
}

static void *send_from_here(void *arg)
{
	TALLOC_CTX *mine = talloc_new(NULL);
	struct talev_thread_proxy *handle = talev_thread_proxy_attach(mine, arg);

	for (int i = 0; i < 10; i++)
		send_one(handle, mine);
	talloc_free(mine);
	return NULL;
}

static bool has_ten(void *arg)
{
	(void)arg;
	return received >= 10;
}

/* Ten messages from a thread of this process, and the loop ends. */
static void exchange(struct talev_context *ev)
{
	struct talev_thread_proxy *tp = proxy_to(ev);
	pthread_t thread;

	received = 0;
	thread = thread_start(send_from_here, tp);
	demand(talev_loop_until(ev, has_ten, NULL) == 0);
	thread_join(thread);
	talloc_free(tp);
}

static void re_initialise_and_exchange(struct talev_context *ev)
{
	demand(talev_re_initialise(ev) == 0);
	exchange(ev);
}

static void go_on_and_exchange(struct talev_context *ev)
{
	/* With all sources of the parent, on kernel objects of its own. */
	exchange(ev);
}

static void free_and_exchange(struct talev_context *ev)
{
	struct talev_context *own = talev_context_init_byname(NULL, test_backend());

	talloc_free(ev);
	exchange(own);
	talloc_free(own);
}

/* What the other threads were doing when fork(2) came is in the child's memory for ever, so that
 * nothing can be said about leaks. */
static void in_child(void (*fn)(struct talev_context *ev), struct talev_context *ev)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		test_watchdog("a child process", __location__);
			fn(ev);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	assert_int_equal(status, 0);
}

/* The allocator of a sanitizer is found locked in the child. */
static bool allocator_can_fork(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return false;
#else
	return true;
#endif
}

static void fork_while_others_send(void (*fn)(struct talev_context *ev))
{
	unsigned rounds = scaled(40, 8);
	struct talev_context *ev;
	struct talev_thread_proxy *tp;
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];
	atomic_bool stop = false;

	if (!allocator_can_fork())
		skip();
	ev = test_context(test_root());
	tp = proxy_to(ev);

	for (int i = 0; i < SENDERS; i++) {
		senders[i] =
			(struct sender){talev_thread_proxy_attach(talloc_new(NULL), tp), &stop};
		assert_non_null(senders[i].handle);
		threads[i] = thread_start(send_until_stopped, &senders[i]);
	}
	for (unsigned i = 0; i < rounds; i++) {
		for (int turn = 0; turn < 50; turn++)
			(void)talev_loop_nowait(ev);
		in_child(fn, ev);
	}
	/* The parent's loop was not disturbed. */
	exchange(ev);
	stop = true;
	for (int i = 0; i < SENDERS; i++)
		thread_join(threads[i]);
	talloc_free(ev);
}

static void the_child_re_initialises_its_context(void **state)
{
	(void)state;
	fork_while_others_send(re_initialise_and_exchange);
}

static void the_child_goes_on_with_its_context(void **state)
{
	(void)state;
	fork_while_others_send(go_on_and_exchange);
}

static void the_child_frees_its_context(void **state)
{
	(void)state;
	fork_while_others_send(free_and_exchange);
}

static void re_initialise(void *arg)
{
	re_initialise_and_exchange(arg);
	exchange(arg);
}

static void go_on(void *arg)
{
	exchange(arg);
	exchange(arg);
}

/* Without other threads nothing may leak either. */
static void a_child_of_one_thread_exchanges_messages(void **state)
{
	struct talev_context *ev = test_context(*state);

	proxy_to(ev);
	exchange(ev);
	assert_int_equal(test_in_child(re_initialise, ev), 0);
	assert_int_equal(test_in_child(go_on, ev), 0);
	exchange(ev);
}

static void note_lost(void *data, void *private_data)
{
	(void)data;
	(void)private_data;
	test_note("lost");
}

static void lose_and_exchange(void *arg)
{
	struct talev_context *ev = arg;

	assert_ok(talev_re_initialise(ev));
	assert_notes("lost lost");
	exchange(ev);
}

/* The child has a copy of what was on its way, and so has the parent. */
static void messages_on_their_way_are_lost_in_the_child_only(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);

	assert_ok(talev_thread_proxy_set_lost_fn(tp, note_lost, NULL));
	send_one(tp, *state);
	send_one(tp, *state);
	assert_int_equal(test_in_child(lose_and_exchange, ev), 0);
	received = 0;
	while (talev_loop_nowait(ev) == 0) {
	}
	assert_notes("");
	assert_int_equal(received, 2);
}

/* The word that the loop sleeps was the parent's, and so is the descriptor that would wake it. */
static atomic_uint writes;

ssize_t __real_base_write(int fd, const void *buf, size_t n);
ssize_t __wrap_base_write(int fd, const void *buf, size_t n);
ssize_t __wrap_base_write(int fd, const void *buf, size_t n)
{
	writes++;
	return __real_base_write(fd, buf, n);
}

static void send_in_child(void *arg)
{
	writes = 0;
	send_one(arg, NULL);
	assert_int_equal(writes, 0);
}

static void fork_while_asleep(
	struct talev_context *ev, enum talev_trace_point point, void *source, void *arg)
{
	(void)source;
	if (point != TALEV_TRACE_BEFORE_WAIT)
		return;
	talev_context_set_trace(ev, NULL, NULL);
	assert_int_equal(test_in_child(send_in_child, arg), 0);
	writes = 0;
	send_one(arg, NULL);
	assert_int_equal(writes, 1);
}

static void the_child_does_not_wake_the_parent(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);

	talev_context_set_trace(ev, fork_while_asleep, tp);
	received = 0;
	test_watchdog(__func__, __location__);
	while (received == 0)
		assert_ok(talev_loop_once(ev));
	assert_int_equal(received, 1);
}

static void on_timer(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)te;
	(void)now;
	(void)arg;
	(void)ev;
}

static void cancel_in_child(void *arg)
{
	struct talev_ref *ref = arg;

	assert_int_equal(talev_ref_cancel(ref), TALEV_REF_IDLE);
	assert_ok(talev_ref_cancel_wait(ref));
	assert_int_equal(talev_ref_get_status(ref), TALEV_REF_GONE);
}

static void what_the_child_cancels_lives_in_the_parent(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_timer *te = talev_add_timer(
		ev, *state, talev_time_add(talev_now(ev), TALEV_SEC(3600)), on_timer, NULL);
	struct talev_ref *ref = talev_ref_create(ev, *state, te);

	assert_non_null(ref);
	assert_int_equal(test_in_child(cancel_in_child, ref), 0);
	assert_int_equal(talev_ref_get_status(ref), TALEV_REF_IDLE);
	assert_int_equal(talev_source_get_state(te), TALEV_LIVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_child_re_initialises_its_context),
		TEST(the_child_goes_on_with_its_context),
		TEST(the_child_frees_its_context),
		TEST(a_child_of_one_thread_exchanges_messages),
		TEST(messages_on_their_way_are_lost_in_the_child_only),
		TEST(the_child_does_not_wake_the_parent),
		TEST(what_the_child_cancels_lives_in_the_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
