/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: proxies with many threads at work. */
#include <fcntl.h>
#include "thread/parcel.h"

atomic_int parcels;

static void stop(struct talev_context *ev, struct talev_immediate *im, struct parcel *parcel)
{
	(void)ev;
	(void)im;
	talloc_free(parcel->arg);
	test_note("stop");
}

static void *send_stop(void *arg)
{
	struct talev_thread_proxy *handle = arg;
	struct talev_immediate *im = immediate(NULL);
	struct parcel *parcel = parcel_create(NULL, 0);

	parcel->then = stop;
	/* The handler frees the door, not this handle. */
	parcel->arg = *(void **)talloc_parent(handle);
	demand(talev_thread_proxy_schedule(handle, &im, receive, &parcel) == 0);
	talloc_free(talloc_parent(handle));
	return NULL;
}

static void the_loop_goes_on_while_a_proxy_lives(void **state)
{
	struct talev_context *ev = test_context(*state);
	void **holder = talloc_zero(NULL, void *);
	pthread_t thread;

	assert_false(talev_have_events(ev));
	*holder = proxy_to(ev);
	assert_true(talev_have_events(ev));
	thread = thread_start(send_stop, handle_of(holder, *holder));
	assert_ok(test_run(ev));
	assert_notes("stop");
	assert_false(talev_have_events(ev));
	thread_join(thread);
}

static void a_handle_keeps_no_loop_running(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);

	handle_of(*state, tp);
	talloc_free(tp);
	assert_false(talev_have_events(ev));
	assert_ok(test_run(ev));
}

static void run_nested(struct talev_context *ev, struct talev_immediate *im, struct parcel *parcel)
{
	(void)im;
	(void)parcel;
	test_note("(");
	run_what_is_there(ev);
	test_note(")");
}

static void messages_go_on_in_a_nested_loop(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	struct parcel *parcel = parcel_create(*state, 1);

	talev_loop_allow_nesting(ev);
	parcel->then = run_nested;
	send_parcel(tp, *state, parcel);
	send_number(tp, *state, 2);
	assert_ok(talev_loop_once(ev));
	assert_notes("1 ( 2 freed:2 ) freed:1");
}

static void the_wake_up_descriptor_is_not_inherited(void **state)
{
	int before = test_count_fds();
	struct talev_context *ev = test_context(*state);
	int seen = 0;

	proxy_to(ev);
	assert_true(test_count_fds() > before);
	for (int fd = 3; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFD);
		char path[64];
		char target[64];
		ssize_t n;

		if (flags < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		assert_true(n > 0);
		target[n] = '\0';
		if (strstr(target, "eventfd") == NULL)
			continue;
		seen++;
		assert_true((flags & FD_CLOEXEC) != 0);
	}
	assert_int_equal(seen, 1);
}

/* Eight senders, and what each has sent arrives in its order. */
#define SENDERS 8

struct load {
	unsigned sender;
	unsigned number;
	struct sorting *sorting;
};

struct sorting {
	struct talev_thread_proxy *tp;
	unsigned next[SENDERS];
	unsigned received;
	unsigned expected;
	pthread_t owner;
};

static void sort(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct load *load = talloc_get_type_abort(data, struct load);
	struct sorting *sorting = load->sorting;

	(void)ev;
	(void)im;
	assert_true(pthread_equal(pthread_self(), sorting->owner));
	assert_int_equal(load->number, sorting->next[load->sender]);
	sorting->next[load->sender]++;
	if (++sorting->received == sorting->expected)
		TALLOC_FREE(sorting->tp);
}

struct sender_task {
	struct sorting *sorting;
	unsigned index;
	unsigned each;
	sem_t *attached;
};

static void *send_each(void *arg)
{
	struct sender_task *task = arg;
	TALLOC_CTX *mine = talloc_new(NULL);
	struct talev_thread_proxy *handle = handle_of(mine, task->sorting->tp);

	gate_open(task->attached);
	for (unsigned i = 0; i < task->each; i++) {
		struct talev_immediate *im = immediate(mine);
		struct load *load = talloc(mine, struct load);

		*load = (struct load){task->index, i, task->sorting};
		demand(talev_thread_proxy_schedule(handle, &im, sort, &load) == 0);
		demand(im == NULL && load == NULL);
	}
	demand(talloc_total_blocks(mine) == 2);
	talloc_free(mine);
	return NULL;
}

static void eight_senders_each_in_order(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct sorting sorting = {.tp = proxy_to(ev), .owner = pthread_self()};
	struct sender_task tasks[SENDERS];
	pthread_t threads[SENDERS];
	sem_t attached;

	assert_ok(sem_init(&attached, 0, 0));
	for (unsigned i = 0; i < SENDERS; i++) {
		tasks[i] = (struct sender_task){&sorting, i, scaled(5000, 500), &attached};
		sorting.expected += tasks[i].each;
		threads[i] = thread_start(send_each, &tasks[i]);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		gate_wait(&attached);
	assert_ok(test_run(ev));
	assert_int_equal(sorting.received, sorting.expected);
	for (unsigned i = 0; i < SENDERS; i++)
		thread_join(threads[i]);
}

/* A hundred threads, each with a loop of its own, ask a master; the parameter block and the
 * immediate go there and come back. */
#define THREADS 100

struct question {
	struct talev_thread_proxy *reply_to;
	pthread_t asker;
	pthread_t answerer;
	bool *answered;
};

struct master {
	struct talev_thread_proxy *tp;
	unsigned answers;
	unsigned expected;
};

static struct master master;

static void take_answer(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct question *question = talloc_get_type_abort(data, struct question);

	(void)im;
	demand(pthread_equal(pthread_self(), question->asker));
	demand(!pthread_equal(pthread_self(), question->answerer));
	talloc_steal(ev, question);
	*question->answered = true;
}

static void answer(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct question *question = talloc_get_type_abort(data, struct question);

	talloc_steal(ev, question);
	question->answerer = pthread_self();
	if (++master.answers == master.expected)
		TALLOC_FREE(master.tp);
	demand(talev_thread_proxy_schedule(question->reply_to, &im, take_answer, &question) == 0);
	demand(im == NULL && question == NULL);
}

static void ask(
	struct talev_context *ev, struct talev_thread_proxy *to, struct talev_thread_proxy *me)
{
	bool answered = false;
	struct question *question = talloc_zero(ev, struct question);
	struct talev_immediate *im = immediate(ev);

	question->reply_to = me;
	question->asker = pthread_self();
	question->answered = &answered;
	demand(talev_thread_proxy_schedule(to, &im, answer, &question) == 0);
	while (!answered)
		demand(talev_loop_once(ev) == 0);
}

static void *ask_the_master(void *arg)
{
	sem_t *attached = arg;
	struct talev_context *ev = talev_context_init_byname(NULL, test_backend());
	struct talev_thread_proxy *to = handle_of(ev, master.tp);
	struct talev_thread_proxy *me = talev_thread_proxy_create(ev, NULL);

	gate_open(attached);
	for (unsigned i = 0; i < 10; i++)
		ask(ev, to, me);
	talloc_free(ev);
	return NULL;
}

static void request_and_reply_with_a_hundred_threads(void **state)
{
	struct talev_context *ev = test_context(*state);
	pthread_t threads[THREADS];
	sem_t attached;

	master = (struct master){.tp = proxy_to(ev), .expected = 10 * THREADS};
	assert_ok(sem_init(&attached, 0, 0));
	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_start(ask_the_master, &attached);
	for (int i = 0; i < THREADS; i++)
		gate_wait(&attached);
	assert_ok(test_run(ev));
	assert_int_equal(master.answers, master.expected);
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
}

/* Everybody sends while the context is freed: each message is handled, told lost, or refused. */
struct tally {
	atomic_uint handled;
	atomic_uint lost;
	pthread_t owner;
};

#define FLOOD 2000

struct flood {
	struct talev_thread_proxy *handle; /* in a tree of the sender's */
	struct tally *tally;
	unsigned sent;
};

static void count_handled(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct parcel *parcel = data;
	struct tally *tally = parcel->arg;

	(void)ev;
	(void)im;
	tally->handled++;
}

static void count_lost(void *data, void *private_data)
{
	struct parcel *parcel = data;
	struct tally *tally = private_data;

	demand(parcel->arg == tally);
	demand(pthread_equal(pthread_self(), tally->owner));
	tally->lost++;
}

static void *send_until_closed(void *arg)
{
	struct flood *flood = arg;
	TALLOC_CTX *mine = talloc_parent(flood->handle);

	for (; flood->sent < FLOOD; flood->sent++) {
		struct talev_immediate *im = immediate(mine);
		struct parcel *parcel = parcel_create(mine, 0);

		parcel->arg = flood->tally;
		if (talev_thread_proxy_schedule(flood->handle, &im, count_handled, &parcel) != 0) {
			demand(errno == ESHUTDOWN);
			demand(talloc_parent(im) == mine && talloc_parent(parcel) == mine);
			break;
		}
	}
	talloc_free(mine);
	return NULL;
}

static void freeing_the_context_while_eight_threads_send(void **state)
{
	unsigned rounds = scaled(100, 20);

	for (unsigned round = 0; round < rounds; round++) {
		struct talev_context *ev = test_context(*state);
		struct talev_thread_proxy *tp = proxy_to(ev);
		struct tally tally = {.owner = pthread_self()};
		struct flood floods[SENDERS];
		pthread_t threads[SENDERS];
		unsigned sent = 0;

		parcels = 0;
		for (int i = 0; i < SENDERS; i++) {
			floods[i] = (struct flood){handle_of(talloc_new(NULL), tp), &tally, 0};
			assert_ok(talev_thread_proxy_set_lost_fn(
				floods[i].handle, count_lost, &tally));
			threads[i] = thread_start(send_until_closed, &floods[i]);
		}
		test_watchdog(__func__, __location__);
		for (unsigned turn = 0; turn < 100 * (round % 4); turn++)
			assert_ok(talev_loop_once(ev));
		/* Every other time only the door is closed first. */
		if (round % 2 == 0) {
			talloc_free(tp);
			run_what_is_there(ev);
		}
		talloc_free(ev);
		for (int i = 0; i < SENDERS; i++) {
			thread_join(threads[i]);
			sent += floods[i].sent;
		}
		assert_int_equal(tally.handled + tally.lost, sent);
		assert_int_equal(parcels, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_loop_goes_on_while_a_proxy_lives),
		TEST(a_handle_keeps_no_loop_running),
		TEST(messages_go_on_in_a_nested_loop),
		TEST(the_wake_up_descriptor_is_not_inherited),
		TEST(eight_senders_each_in_order),
		TEST(request_and_reply_with_a_hundred_threads),
		TEST(freeing_the_context_while_eight_threads_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
