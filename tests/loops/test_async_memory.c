/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of the memory of calls and of what they carry: the sanitizers see what goes twice,
 * or never. */
#include "loops/kit.h"

/* As many as lie in some slabs. */
#define CALLS 1000

struct load {
	unsigned number;
	char rest[60];
};

static TALLOC_CTX *kept;
static unsigned received;

static void count(struct talev_loop *loop)
{
	if (++received == CALLS)
		stop_loops(loop, NULL);
}

static void on_bare(struct talev_loop *loop, void *data)
{
	assert_null(data);
	count(loop);
}

/* Some are freed, some are kept, some are left; some have a child. */
static void on_load(struct talev_loop *loop, void *data)
{
	struct load *load = data;

	assert_int_equal(load->number, received);
	if (load->number % 5 == 1)
		talloc_free(load);
	else if (load->number % 5 == 2)
		talloc_steal(kept, load);
	count(loop);
}

static void *send(void *arg)
{
	struct talev_loop *loop = arg;

	for (unsigned i = 0; i < CALLS; i++) {
		size_t size = i % 97 == 0 ? 3000 : sizeof(struct load);
		struct load *load = talloc_size(NULL, size);

		demand(load != NULL);
		load->number = i;
		if (i % 7 == 0)
			demand(talloc_size(load, 10) != NULL);
		if (i % 11 == 0) {
			TALLOC_FREE(load);
			demand(talev_async_run(loop, on_bare, NULL) == 0);
		} else {
			demand(talev_async_run(loop, on_load, &load) == 0);
		}
	}
	return NULL;
}

static void what_calls_carry_goes_once(void **state)
{
	for (int round = 0; round < 3; round++) {
		struct talev_loops *loops = make_loops(1);
		pthread_t thread = thread_start(send, talev_loops_main(loops));

		(void)state;
		received = 0;
		kept = talloc_new(NULL);
		test_loops(loops);
		thread_join(thread);
		assert_int_equal(received, CALLS);
		TALLOC_FREE(kept);
	}
}

/* It sends round after round: its nodes come back with memory. */
static void *send_to_each(void *arg)
{
	struct talev_loops **loops = arg;

	for (int round = 0; round < 3; round++)
		send(talev_loops_main(loops[round]));
	return NULL;
}

static void a_sender_uses_again_what_came_back(void **state)
{
	struct talev_loops *loops[3];
	pthread_t thread;

	(void)state;
	for (int round = 0; round < 3; round++)
		loops[round] = make_loops(1);
	thread = thread_start(send_to_each, loops);
	kept = talloc_new(NULL);
	for (int round = 0; round < 3; round++) {
		received = 0;
		test_loops(loops[round]);
		assert_int_equal(received, CALLS);
	}
	thread_join(thread);
	TALLOC_FREE(kept);
}

static void *send_in_vain(void *arg)
{
	struct talev_loops *open = make_loops(1);
	struct load *load = talloc_zero(NULL, struct load);
	struct load *same = load;

	demand(load != NULL);
	demand(talev_async_run(arg, on_load, &load) == -1 && errno == ESHUTDOWN);
	demand(load == same);
	/* The same node, and the same tree once more. */
	demand(talev_async_run(talev_loops_main(open), on_bare, NULL) == 0);
	demand(talev_async_run(arg, on_load, &load) == -1 && errno == ESHUTDOWN);
	talloc_free(load);
	talloc_free(open);
	return NULL;
}

static void a_refused_call_keeps_nothing(void **state)
{
	struct talev_loops *loops = make_loops(1);

	(void)state;
	assert_ok(talev_async_run(talev_loops_main(loops), stop_loops, NULL));
	test_loops(loops);
	thread_join(thread_start(send_in_vain, talev_loops_main(loops)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_calls_carry_goes_once),
		TEST(a_sender_uses_again_what_came_back),
		TEST(a_refused_call_keeps_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
