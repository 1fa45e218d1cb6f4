/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: what a proxy moves arrives once, in order, and belongs to who took it. */
#include "thread/parcel.h"

atomic_int parcels;

static void receive_nothing(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	(void)ev;
	assert_non_null(im);
	assert_null(data);
	test_note("nothing");
}

static void never(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	(void)ev;
	(void)im;
	(void)data;
	fail_msg("a message that was refused or lost was delivered");
}

static void both_pointers_are_null_and_both_trees_moved(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	TALLOC_CTX *mine = talloc_new(*state);
	struct talev_immediate *im = immediate(mine);
	struct parcel *parcel = parcel_create(mine, 1);

	assert_ok(talev_thread_proxy_schedule(tp, &im, receive, &parcel));
	assert_null(im);
	assert_null(parcel);
	assert_int_equal(talloc_total_blocks(mine), 1);
	assert_notes("");
	run_what_is_there(ev);
	assert_notes("1 freed:1");
}

static void data_is_optional(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	struct talev_immediate *im = immediate(*state);
	void *none = NULL;

	assert_ok(talev_thread_proxy_schedule(tp, &im, receive_nothing, NULL));
	assert_null(im);
	im = immediate(*state);
	assert_ok(talev_thread_proxy_schedule(tp, &im, receive_nothing, &none));
	assert_null(im);
	run_what_is_there(ev);
	assert_notes("nothing nothing");
}

static void messages_of_one_sender_arrive_in_order(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	struct talev_thread_proxy *handle = handle_of(*state, tp);

	for (int i = 1; i <= 4; i++)
		send_number(i % 2 ? tp : handle, *state, i);
	run_what_is_there(ev);
	assert_notes("1 freed:1 2 freed:2 3 freed:3 4 freed:4");
}

static void messages_and_immediates_run_in_the_order_they_came(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	struct talev_immediate *im = immediate(*state);
	struct parcel *parcel = parcel_create(*state, 1);

	assert_ok(talev_schedule_immediate(im, ev, receive, parcel));
	send_number(tp, *state, 2);
	run_what_is_there(ev);
	assert_notes("1 2 freed:2");
	talloc_free(parcel);
}

static void stolen_data_stays(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	TALLOC_CTX *keep = talloc_new(*state);
	struct parcel *parcel = parcel_create(*state, 1);

	parcel->keep = keep;
	send_parcel(tp, *state, parcel);
	run_what_is_there(ev);
	assert_notes("1");
	talloc_free(keep);
	assert_notes("1 freed:1");
}

static void free_parts(struct talev_context *ev, struct talev_immediate *im, struct parcel *parcel)
{
	(void)ev;
	talloc_free(im);
	talloc_free(parcel);
	test_note("returned");
}

static void handler_may_free_what_it_got(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct parcel *parcel = parcel_create(*state, 1);

	parcel->then = free_parts;
	send_parcel(proxy_to(ev), *state, parcel);
	run_what_is_there(ev);
	assert_notes("1 freed:1 returned");
}

static void steal_and_reuse(
	struct talev_context *ev, struct talev_immediate *im, struct parcel *parcel)
{
	parcel->then = NULL;
	parcel->number++;
	talloc_steal(test_root(), im);
	assert_ok(talev_schedule_immediate(im, ev, receive, parcel));
}

static void handler_may_keep_the_immediate(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct parcel *parcel = parcel_create(*state, 1);

	parcel->then = steal_and_reuse;
	parcel->keep = test_late();
	send_parcel(proxy_to(ev), *state, parcel);
	run_what_is_there(ev);
	assert_notes("1 2");
}

static void schedule_without_stealing(
	struct talev_context *ev, struct talev_immediate *im, struct parcel *parcel)
{
	(void)parcel;
	assert_ok(talev_schedule_immediate(im, ev, never, NULL));
}

static void an_immediate_that_was_not_stolen_does_not_run_again(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct parcel *parcel = parcel_create(*state, 1);

	parcel->then = schedule_without_stealing;
	send_parcel(proxy_to(ev), *state, parcel);
	run_what_is_there(ev);
	assert_notes("1 freed:1");
}

/* A ball between two loops. */
struct ball {
	struct talev_thread_proxy *doors[2];
	int at;
	int hops;
};

static void hit(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct ball *ball = talloc_get_type_abort(data, struct ball);

	(void)ev;
	if (++ball->hops == 5)
		return;
	ball->at = !ball->at;
	assert_ok(talev_thread_proxy_schedule(ball->doors[ball->at], &im, hit, &ball));
	assert_null(im);
	assert_null(ball);
	test_note("hop");
}

static void the_immediate_is_sent_back_from_its_own_handler(void **state)
{
	struct talev_context *ev[2] = {test_context(*state), test_context(*state)};
	struct ball *ball = talloc_zero(*state, struct ball);
	struct talev_immediate *im = immediate(*state);

	for (int i = 0; i < 2; i++)
		ball->doors[i] = proxy_to(ev[i]);
	assert_ok(talev_thread_proxy_schedule(ball->doors[0], &im, hit, &ball));
	for (int i = 0; i < 5; i++)
		run_what_is_there(ev[i % 2]);
	assert_notes("hop hop hop hop");
}

static void to_itself(struct talev_context *ev, struct talev_immediate *im, struct parcel *parcel)
{
	(void)ev;
	if (parcel->number++ < 3)
		assert_ok(talev_thread_proxy_schedule(parcel->arg, &im, receive, &parcel));
}

static void a_handler_may_send_to_its_own_loop(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct parcel *parcel = parcel_create(*state, 1);

	parcel->then = to_itself;
	parcel->arg = proxy_to(ev);
	send_parcel(parcel->arg, *state, parcel);
	run_what_is_there(ev);
	assert_notes("1 2 3 freed:4");
}

static void a_scheduled_immediate_is_taken_along(void **state)
{
	struct talev_context *here = test_context(*state);
	struct talev_context *there = test_context(*state);
	struct talev_immediate *im = immediate(*state);
	struct parcel *parcel = parcel_create(*state, 1);

	assert_ok(talev_schedule_immediate(im, here, never, NULL));
	assert_ok(talev_thread_proxy_schedule(proxy_to(there), &im, receive, &parcel));
	assert_false(talev_have_events(here));
	run_what_is_there(there);
	assert_notes("1 freed:1");
}

static void without_memory_there_is_no_proxy(void **state)
{
	if (!test_alloc_works())
		skip();
	for (unsigned long n = 1;; n++) {
		struct talev_context *ev = test_context(*state);
		struct talev_thread_proxy *tp;

		test_alloc_fail_at(n);
		tp = talev_thread_proxy_create(ev, NULL);
		if (!test_alloc_failed()) {
			test_alloc_fail_at(0);
			assert_non_null(tp);
			assert_true(n > 3);
			return;
		}
		assert_int_equal(errno, ENOMEM);
		test_alloc_fail_at(0);
		assert_null(tp);
		assert_false(talev_have_events(ev));
		talloc_free(ev);
	}
}

static void sending_and_receiving_take_no_memory(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	struct talev_immediate *im = immediate(*state);
	struct parcel *parcel = parcel_create(*state, 1);
	int result;

	if (!test_alloc_works())
		skip();
	test_alloc_fail_from(1);
	result = talev_thread_proxy_schedule(tp, &im, receive, &parcel);
	run_what_is_there(ev);
	assert_int_equal(test_alloc_count(), 0);
	test_alloc_fail_at(0);
	assert_ok(result);
	assert_notes("1 freed:1");
}

static void without_memory_there_is_no_handle(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);

	if (!test_alloc_works())
		skip();
	for (unsigned long n = 1; n <= 2; n++) {
		test_alloc_fail_at(n);
		assert_null_errno(talev_thread_proxy_attach(*state, tp), ENOMEM);
		test_alloc_fail_at(0);
	}
}

static void note_lost(void *data, void *private_data)
{
	struct parcel *parcel = data;

	test_note("%s:%d", (const char *)private_data, parcel->number);
}

static char before[] = "before";
static char after[] = "after";

/* Messages that are on their way keep the function that they were sent with. */
static void without_memory_there_is_no_other_lost_function(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);

	assert_ok(talev_thread_proxy_set_lost_fn(tp, note_lost, before));
	send_number(tp, *state, 1);
	if (!test_alloc_works())
		skip();
	test_alloc_fail_at(1);
	assert_errno(talev_thread_proxy_set_lost_fn(tp, note_lost, after), ENOMEM);
	test_alloc_fail_at(0);
	send_number(tp, *state, 2);
	assert_ok(talev_thread_proxy_set_lost_fn(tp, note_lost, after));
	send_number(tp, *state, 3);
	talloc_free(tp);
	assert_notes("before:1 freed:1 before:2 freed:2 after:3 freed:3");
}

static int free_the_immediate(struct talev_immediate **im)
{
	return talloc_free(*im);
}

/* Each of the two may go with the other. */
static void free_each_other(
	struct talev_context *ev, struct talev_immediate *im, struct parcel *parcel)
{
	struct talev_immediate **holder = talloc(parcel, struct talev_immediate *);

	(void)ev;
	*holder = im;
	talloc_set_destructor(holder, free_the_immediate);
}

static void nest(struct talev_context *ev, struct talev_immediate *im, struct parcel *parcel)
{
	free_each_other(ev, im, parcel);
	parcel->then = NULL;
	talev_loop_allow_nesting(ev);
	assert_int_equal(talev_loop_nowait(ev), 0);
	test_note("returned");
}

static void data_may_free_the_immediate_with_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);

	for (int i = 1; i <= 3; i++) {
		struct parcel *parcel = parcel_create(*state, i);

		parcel->then = i == 2 ? nest : free_each_other;
		send_parcel(tp, *state, parcel);
	}
	run_what_is_there(ev);
	assert_notes("1 freed:1 2 3 freed:3 returned freed:2");
}

static void receive_disabled(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	(void)ev;
	(void)data;
	assert_false(talev_source_get_enabled(im));
	test_note("received");
}

static void a_disabled_immediate_is_sent_all_the_same(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_immediate *im = immediate(*state);

	assert_ok(talev_source_set_enabled(im, false));
	assert_ok(talev_thread_proxy_schedule(proxy_to(ev), &im, receive_disabled, NULL));
	run_what_is_there(ev);
	assert_notes("received");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_pointers_are_null_and_both_trees_moved),
		TEST(data_is_optional),
		TEST(messages_of_one_sender_arrive_in_order),
		TEST(messages_and_immediates_run_in_the_order_they_came),
		TEST(stolen_data_stays),
		TEST(handler_may_free_what_it_got),
		TEST(handler_may_keep_the_immediate),
		TEST(an_immediate_that_was_not_stolen_does_not_run_again),
		TEST(the_immediate_is_sent_back_from_its_own_handler),
		TEST(a_handler_may_send_to_its_own_loop),
		TEST(a_scheduled_immediate_is_taken_along),
		TEST(without_memory_there_is_no_proxy),
		TEST(sending_and_receiving_take_no_memory),
		TEST(without_memory_there_is_no_handle),
		TEST(without_memory_there_is_no_other_lost_function),
		TEST(data_may_free_the_immediate_with_it),
		TEST(a_disabled_immediate_is_sent_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
