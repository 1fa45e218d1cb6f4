/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: the mailbox: every post is delivered once, dropped once, or refused. */
#include "thread/mailbox.h"
#include "thread/threads.h"
#include "base/base.h"

struct letter {
	struct core_post post;
	int number;
	atomic_int delivered;
	atomic_int dropped;
	void (*then)(struct talev_context *ev, struct letter *letter);
	void *arg;
};

static struct letter *letter_of(struct core_post *post)
{
	return (struct letter *)((char *)post - offsetof(struct letter, post));
}

static void deliver(struct talev_context *ev, struct core_post *post)
{
	struct letter *letter = letter_of(post);

	letter->delivered++;
	if (letter->number > 0)
		test_note("%d", letter->number);
	if (letter->then)
		letter->then(ev, letter);
}

static void drop(struct talev_context *ev, struct core_post *post)
{
	struct letter *letter = letter_of(post);

	(void)ev;
	letter->dropped++;
	if (letter->number > 0)
		test_note("dropped:%d", letter->number);
}

static const struct core_post_ops letter_ops = {.deliver = deliver, .drop = drop};

static struct letter *letter_create(int number)
{
	struct letter *letter = talloc_zero(test_late(), struct letter);

	assert_non_null(letter);
	letter->post.ops = &letter_ops;
	letter->number = number;
	return letter;
}

static struct mailbox *mailbox_of_context(struct talev_context *ev)
{
	struct mailbox *mb = mailbox_get(ev);

	assert_non_null(mb);
	return mb;
}

/* Every write of the program comes here: how many, and what happens inside one. */
static atomic_uint writes;
static atomic_uint failed_writes;
static void (*inside_write)(void);

ssize_t __real_base_write(int fd, const void *buf, size_t n);
ssize_t __wrap_base_write(int fd, const void *buf, size_t n);
ssize_t __wrap_base_write(int fd, const void *buf, size_t n)
{
	void (*hook)(void) = inside_write;
	ssize_t result;

	writes++;
	if (hook) {
		inside_write = NULL;
		hook();
	}
	result = __real_base_write(fd, buf, n);
	failed_writes += result != (ssize_t)n;
	return result;
}

static void posts_are_delivered_in_the_order_sent(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct mailbox *mb = mailbox_of_context(ev);

	for (int i = 1; i <= 5; i++)
		assert_ok(mailbox_send(mb, &letter_create(i)->post));
	assert_notes("");
	assert_errno(talev_loop_nowait(ev), ENOENT);
	assert_notes("1 2 3 4 5");
	mailbox_unref(mb);
}

static void send_two_more(struct talev_context *ev, struct letter *letter)
{
	(void)ev;
	assert_ok(mailbox_send(letter->arg, &letter_create(2)->post));
	assert_ok(mailbox_send(letter->arg, &letter_create(3)->post));
}

static void posts_sent_in_a_delivery_are_delivered_too(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct mailbox *mb = mailbox_of_context(ev);
	struct letter *letter = letter_create(1);

	letter->then = send_two_more;
	letter->arg = mb;
	assert_ok(mailbox_send(mb, &letter->post));
	/* Not in the same turn, or one that answers itself would never end. */
	assert_errno(talev_loop_nowait(ev), EAGAIN);
	assert_errno(talev_loop_nowait(ev), ENOENT);
	assert_notes("1 2 3");
	mailbox_unref(mb);
}

static void a_closed_mailbox_refuses_and_has_dropped_what_was_there(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct mailbox *mb = mailbox_of_context(ev);
	struct letter *late = letter_create(4);

	for (int i = 1; i <= 3; i++)
		assert_ok(mailbox_send(mb, &letter_create(i)->post));
	talloc_free(ev);
	assert_notes("dropped:1 dropped:2 dropped:3");
	assert_null(mailbox_context(mb));
	assert_errno(mailbox_send(mb, &late->post), ESHUTDOWN);
	assert_int_equal(late->dropped, 0);
	mailbox_unref(mb);
}

static void free_the_context(struct talev_context *ev, struct letter *letter)
{
	(void)letter;
	talloc_free(ev);
}

static void freeing_the_context_in_a_delivery_drops_the_rest(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct mailbox *mb = mailbox_of_context(ev);

	for (int i = 1; i <= 4; i++) {
		struct letter *letter = letter_create(i);

		letter->then = i == 2 ? free_the_context : NULL;
		assert_ok(mailbox_send(mb, &letter->post));
	}
	mailbox_unref(mb);
	assert_errno(talev_loop_nowait(ev), ESHUTDOWN);
	assert_notes("1 2 dropped:3 dropped:4");
}

static void withdraw_from_the_middle(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct mailbox *mb = mailbox_of_context(ev);

	for (int gone = 1; gone <= 3; gone++) {
		struct letter *letters[3];

		for (int i = 0; i < 3; i++) {
			letters[i] = letter_create(i + 1);
			assert_ok(mailbox_send(mb, &letters[i]->post));
		}
		mailbox_withdraw(mb, &letters[gone - 1]->post);
		/* What comes after that still goes behind what is left. */
		assert_ok(mailbox_send(mb, &letter_create(4)->post));
		(void)talev_loop_nowait(ev);
		assert_int_equal(letters[gone - 1]->delivered, 0);
		test_note("|");
	}
	assert_notes("2 3 4 | 1 3 4 | 1 2 4 |");
	mailbox_unref(mb);
}

static void withdrawing_what_was_delivered_changes_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct mailbox *mb = mailbox_of_context(ev);
	struct letter *letter = letter_create(1);

	assert_ok(mailbox_send(mb, &letter->post));
	(void)talev_loop_nowait(ev);
	mailbox_withdraw(mb, &letter->post);
	assert_ok(mailbox_send(mb, &letter_create(2)->post));
	(void)talev_loop_nowait(ev);
	assert_notes("1 2");
	mailbox_unref(mb);
}

static void one_context_has_one_mailbox(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *other = test_context(*state);
	struct mailbox *mb = mailbox_of_context(ev);
	struct mailbox *again = mailbox_of_context(ev);
	struct mailbox *others = mailbox_of_context(other);

	assert_ptr_equal(mb, again);
	assert_ptr_not_equal(mb, others);
	assert_ptr_equal(mailbox_context(mb), ev);
	mailbox_unref(mb);
	mailbox_unref(again);
	mailbox_unref(others);
}

static void ask_for_mailbox(struct talev_context *ev, void *arg)
{
	(void)arg;
	assert_null_errno(mailbox_get(ev), ESHUTDOWN);
	test_note("refused");
}

static void mailbox_of_a_closing_context_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);

	assert_null_errno(mailbox_get(NULL), EINVAL);
	assert_ok(talev_source_set_finalizer(ev, 0, ask_for_mailbox, NULL));
	talloc_free(ev);
	assert_notes("refused");
}

static void mailbox_without_memory_is_no_mailbox(void **state)
{
	if (!test_alloc_works())
		skip();
	for (unsigned long n = 1;; n++) {
		struct talev_context *ev = test_context(*state);
		struct mailbox *mb;

		test_alloc_fail_at(n);
		mb = mailbox_get(ev);
		if (!test_alloc_failed()) {
			test_alloc_fail_at(0);
			assert_non_null(mb);
			mailbox_unref(mb);
			talloc_free(ev);
			return;
		}
		assert_int_equal(errno, ENOMEM);
		test_alloc_fail_at(0);
		assert_null(mb);
		/* It can be had later. */
		mb = mailbox_of_context(ev);
		assert_ok(mailbox_send(mb, &letter_create((int)n)->post));
		(void)talev_loop_nowait(ev);
		mailbox_unref(mb);
		talloc_free(ev);
		assert_true(strlen(test_notes()) > 0);
		test_forget_notes();
	}
}

/* Sends so many posts in a row while the loop runs, and none wakes it. */
#define BUSY 1000

struct busy {
	struct mailbox *mb;
	struct letter *letters[BUSY];
	unsigned received;
	sem_t arrived;
};

static bool has_all(void *arg)
{
	struct busy *busy = arg;

	return busy->received >= BUSY;
}

static void receive(struct talev_context *ev, struct letter *letter)
{
	struct busy *busy = letter->arg;

	(void)ev;
	busy->received++;
}

static void *send_all(void *arg)
{
	struct busy *busy = arg;

	for (unsigned i = 0; i < BUSY; i++)
		demand(mailbox_send(busy->mb, &busy->letters[i]->post) == 0);
	gate_open(&busy->arrived);
	return NULL;
}

/* While this delivery lasts the loop is busy. */
static void let_others_send(struct talev_context *ev, struct letter *letter)
{
	struct busy *busy = letter->arg;
	pthread_t thread = thread_start(send_all, busy);

	(void)ev;
	gate_wait(&busy->arrived);
	thread_join(thread);
}

static struct busy *busy_create(struct talev_context *ev)
{
	struct busy *busy = talloc_zero(test_late(), struct busy);

	busy->mb = mailbox_of_context(ev);
	assert_ok(sem_init(&busy->arrived, 0, 0));
	for (unsigned i = 0; i < BUSY; i++) {
		busy->letters[i] = letter_create(0);
		busy->letters[i]->then = receive;
		busy->letters[i]->arg = busy;
	}
	return busy;
}

static void no_system_call_for_messages_to_a_busy_loop(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct busy *busy = busy_create(ev);
	struct letter *first = letter_create(0);

	first->then = let_others_send;
	first->arg = busy;
	writes = 0;
	assert_ok(mailbox_send(busy->mb, &first->post));
	(void)talev_loop_nowait(ev);
	(void)talev_loop_nowait(ev);
	assert_int_equal(busy->received, BUSY);
	assert_int_equal(writes, 0);
	mailbox_unref(busy->mb);
}

static struct talev_thread_proxy *keep_running(struct talev_context *ev)
{
	struct talev_thread_proxy *tp = talev_thread_proxy_create(ev, NULL);

	assert_non_null(tp);
	return tp;
}

static void send_all_now(
	struct talev_context *ev, enum talev_trace_point point, void *source, void *arg)
{
	struct busy *busy = arg;

	(void)ev;
	(void)source;
	/* The loop has said that it sleeps. */
	if (point == TALEV_TRACE_BEFORE_WAIT && writes == 0)
		send_all(busy);
}

static void a_burst_to_a_sleeping_loop_wakes_it_once(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct busy *busy = busy_create(ev);

	keep_running(ev);
	talev_context_set_trace(ev, send_all_now, busy);
	writes = 0;
	assert_ok(talev_loop_until(ev, has_all, busy));
	assert_int_equal(writes, 1);
	mailbox_unref(busy->mb);
}

/* What a sender does after its post is in can happen after the owner has freed everything: it was
 * woken by something else, and the post was all that it waited for. */
struct late {
	struct talev_context *ev;
	struct mailbox *mb;
	struct letter *letter;
	int poke;
	sem_t in_write;
	sem_t freed;
};

static struct late *late;

static void stay_in_the_write(void)
{
	gate_open(&late->in_write);
	test_poke(late->poke);
	gate_wait(&late->freed);
}

static void *send_one(void *arg)
{
	(void)arg;
	inside_write = stay_in_the_write;
	demand(mailbox_send(late->mb, &late->letter->post) == 0);
	return NULL;
}

static void drain(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)fde;
	(void)flags;
	test_drain(*(int *)arg);
}

static bool is_there(void *arg)
{
	struct letter *letter = arg;

	return letter->delivered > 0;
}

static void start_sender(
	struct talev_context *ev, enum talev_trace_point point, void *source, void *arg)
{
	pthread_t *thread = arg;

	(void)ev;
	(void)source;
	if (point != TALEV_TRACE_BEFORE_WAIT || *thread != 0)
		return;
	*thread = thread_start(send_one, NULL);
	/* It has found the loop asleep. */
	gate_wait(&late->in_write);
}

static void freeing_the_loop_while_a_sender_is_about_to_wake_it(void **state)
{
	struct late l = {.ev = test_context(*state)};
	pthread_t thread = 0;
	struct talev_fd *fde;
	int fds[2];

	late = &l;
	failed_writes = 0;
	test_pipe(fds);
	l.poke = fds[1];
	assert_ok(sem_init(&l.in_write, 0, 0));
	assert_ok(sem_init(&l.freed, 0, 0));
	l.letter = letter_create(1);
	l.mb = mailbox_of_context(l.ev);
	fde = talev_add_fd(l.ev, *state, fds[0], TALEV_FD_READ, drain, &fds[0]);
	assert_non_null(fde);
	talev_context_set_trace(l.ev, start_sender, &thread);
	assert_ok(talev_loop_until(l.ev, is_there, l.letter));
	/* The last reference that anybody knows of. */
	mailbox_unref(l.mb);
	talloc_free(fde);
	talloc_free(l.ev);
	gate_open(&l.freed);
	thread_join(thread);
	close(fds[0]);
	close(fds[1]);
	assert_notes("1");
	/* It would have gone to whatever file has that number next. */
	assert_int_equal(failed_writes, 0);
}

/* Everybody sends while the owner closes: no post is lost, none is told of twice. */
#define SENDERS 8
#define EACH    200

struct sender {
	struct mailbox *mb;
	struct letter letters[EACH];
	unsigned sent;
};

static void *send_until_closed(void *arg)
{
	struct sender *sender = arg;

	for (; sender->sent < EACH; sender->sent++) {
		if (mailbox_send(sender->mb, &sender->letters[sender->sent].post) != 0) {
			demand(errno == ESHUTDOWN);
			break;
		}
	}
	mailbox_unref(sender->mb);
	return NULL;
}

static void close_while_everybody_sends(void **state)
{
	unsigned rounds = scaled(200, 20);

	for (unsigned round = 0; round < rounds; round++) {
		struct talev_context *ev = test_context(*state);
		struct sender *senders = talloc_zero_array(*state, struct sender, SENDERS);
		pthread_t threads[SENDERS];

		keep_running(ev);
		for (int i = 0; i < SENDERS; i++) {
			senders[i].mb = mailbox_of_context(ev);
			for (int k = 0; k < EACH; k++)
				senders[i].letters[k].post.ops = &letter_ops;
			threads[i] = thread_start(send_until_closed, &senders[i]);
		}
		for (unsigned turn = 0; turn < round % 8; turn++)
			(void)talev_loop_nowait(ev);
		talloc_free(ev);
		for (int i = 0; i < SENDERS; i++) {
			thread_join(threads[i]);
			for (unsigned k = 0; k < EACH; k++) {
				struct letter *letter = &senders[i].letters[k];

				assert_int_equal(letter->delivered + letter->dropped,
					k < senders[i].sent ? 1 : 0);
			}
		}
		talloc_free(senders);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(posts_are_delivered_in_the_order_sent),
		TEST(posts_sent_in_a_delivery_are_delivered_too),
		TEST(a_closed_mailbox_refuses_and_has_dropped_what_was_there),
		TEST(freeing_the_context_in_a_delivery_drops_the_rest),
		TEST(withdraw_from_the_middle),
		TEST(withdrawing_what_was_delivered_changes_nothing),
		TEST(one_context_has_one_mailbox),
		TEST(mailbox_of_a_closing_context_is_refused),
		TEST(mailbox_without_memory_is_no_mailbox),
		TEST(no_system_call_for_messages_to_a_busy_loop),
		TEST(a_burst_to_a_sleeping_loop_wakes_it_once),
		TEST(freeing_the_loop_while_a_sender_is_about_to_wake_it),
		TEST(close_while_everybody_sends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
