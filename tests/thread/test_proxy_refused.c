/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: what cannot be delivered stays with the sender, or is told lost and freed. */
#include "thread/parcel.h"

atomic_int parcels;

static void never(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	(void)ev;
	(void)im;
	(void)data;
	fail_msg("a message that was refused or lost was delivered");
}

/* Sends what must be refused, and looks that nothing has changed. */
static void refused(struct talev_thread_proxy *tp, TALLOC_CTX *mine, void *data, int error)
{
	struct talev_immediate *im = immediate(mine);
	struct talev_immediate *im_before = im;
	void *data_before = data;

	assert_errno(talev_thread_proxy_schedule(tp, &im, never, &data), error);
	assert_ptr_equal(im, im_before);
	assert_ptr_equal(data, data_before);
	assert_ptr_equal(talloc_parent(im), mine);
	if (data != NULL)
		assert_ptr_equal(talloc_parent(data), mine);
	/* It is as good as new. */
	talloc_free(im);
}

static void a_closed_door_leaves_everything_with_the_caller(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	struct talev_thread_proxy *other = proxy_to(ev);
	TALLOC_CTX *mine = talloc_new(*state);
	struct talev_thread_proxy *handle = handle_of(mine, tp);
	struct talev_thread_proxy *of_other = handle_of(mine, other);
	struct parcel *parcel = parcel_create(mine, 1);

	talloc_free(tp);
	refused(handle, mine, parcel, ESHUTDOWN);
	/* A door of its own. */
	send_number(of_other, *state, 2);
	run_what_is_there(ev);
	assert_notes("2 freed:2");
	talloc_free(ev);
	refused(of_other, mine, parcel, ESHUTDOWN);
	refused(handle, mine, parcel, ESHUTDOWN);
	assert_notes("2 freed:2");
	talloc_free(mine);
	assert_notes("2 freed:2 freed:1");
}

static void freeing_a_handle_closes_nothing(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	struct talev_thread_proxy *handle = handle_of(*state, tp);
	struct talev_thread_proxy *of_handle = handle_of(*state, handle);

	send_number(handle, *state, 1);
	talloc_free(handle);
	send_number(of_handle, *state, 2);
	run_what_is_there(ev);
	assert_notes("1 freed:1 2 freed:2");
}

static void note_lost(void *data, void *private_data)
{
	struct parcel *parcel = data;

	test_note("lost%s:%d", (const char *)private_data, parcel ? parcel->number : 0);
}

#define TEXT(text) ((void *)(uintptr_t)(text))

static void freeing_the_context_tells_of_lost_messages(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	struct talev_thread_proxy *handle = handle_of(*state, tp);

	send_number(tp, *state, 1);
	assert_ok(talev_thread_proxy_set_lost_fn(tp, note_lost, TEXT("A")));
	send_number(tp, *state, 2);
	assert_ok(talev_thread_proxy_set_lost_fn(handle, note_lost, TEXT("B")));
	send_number(handle, *state, 3);
	assert_ok(talev_thread_proxy_set_lost_fn(handle, NULL, NULL));
	send_number(handle, *state, 4);
	talloc_free(ev);
	assert_notes("freed:1 lostA:2 freed:2 lostB:3 freed:3 freed:4");
	assert_errno(talev_thread_proxy_set_lost_fn(NULL, note_lost, NULL), EINVAL);
}

static void free_the_context(
	struct talev_context *ev, struct talev_immediate *im, struct parcel *parcel)
{
	(void)im;
	(void)parcel;
	talloc_free(ev);
	test_note("returned");
}

/* The first is on the stack, the second in the loop's own queue, the third in the mailbox. */
static void freeing_the_context_in_a_message_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	struct parcel *parcel = parcel_create(*state, 1);

	assert_ok(talev_thread_proxy_set_lost_fn(tp, note_lost, TEXT("")));
	parcel->then = free_the_context;
	send_parcel(tp, *state, parcel);
	send_number(tp, *state, 2);
	assert_errno(talev_loop_once(ev), ESHUTDOWN);
	assert_notes("1 lost:2 freed:2 returned freed:1");
}

static void send_and_free_the_context(
	struct talev_context *ev, struct talev_immediate *im, struct parcel *parcel)
{
	send_number(parcel->arg, ev, 3);
	free_the_context(ev, im, parcel);
}

static void freeing_the_context_with_mail_that_nobody_has_seen(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	struct parcel *parcel = parcel_create(*state, 1);

	assert_ok(talev_thread_proxy_set_lost_fn(tp, note_lost, TEXT("")));
	parcel->then = send_and_free_the_context;
	parcel->arg = tp;
	send_parcel(tp, *state, parcel);
	send_number(tp, *state, 2);
	assert_errno(talev_loop_once(ev), ESHUTDOWN);
	assert_notes("1 lost:2 freed:2 lost:3 freed:3 returned freed:1");
}

static void freeing_the_proxy_loses_what_is_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);

	assert_ok(talev_thread_proxy_set_lost_fn(tp, note_lost, TEXT("")));
	send_number(tp, *state, 1);
	send_number(tp, *state, 2);
	talloc_free(tp);
	assert_notes("lost:1 freed:1 lost:2 freed:2");
	assert_false(talev_have_events(ev));
}

static void close_the_door(
	struct talev_context *ev, struct talev_immediate *im, struct parcel *parcel)
{
	(void)ev;
	(void)im;
	talloc_free(parcel->arg);
}

static void freeing_the_proxy_in_a_message_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	struct parcel *parcel = parcel_create(*state, 1);

	assert_ok(talev_thread_proxy_set_lost_fn(tp, note_lost, TEXT("")));
	parcel->then = close_the_door;
	parcel->arg = tp;
	send_parcel(tp, *state, parcel);
	send_number(tp, *state, 2);
	assert_ok(test_run(ev));
	assert_notes("1 lost:2 freed:2 freed:1");
}

static void loses_the_context_too(void *data, void *private_data)
{
	note_lost(data, TEXT(""));
	talloc_free(private_data);
}

/* The first that is lost frees the context; the second is lost all the same. */
static void freeing_the_context_where_a_loss_is_told(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);

	assert_ok(talev_thread_proxy_set_lost_fn(tp, loses_the_context_too, ev));
	send_number(tp, *state, 1);
	assert_ok(talev_thread_proxy_set_lost_fn(tp, note_lost, TEXT("")));
	send_number(tp, *state, 2);
	talloc_free(tp);
	assert_notes("lost:1 freed:1 lost:2 freed:2");
}

static void a_tree_with_references_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	TALLOC_CTX *mine = talloc_new(*state);
	TALLOC_CTX *shared = talloc_new(mine);
	TALLOC_CTX *tree = talloc_new(mine);
	TALLOC_CTX *inner = talloc_new(tree);

	assert_non_null(talloc_reference(*state, inner));
	refused(tp, mine, tree, EINVAL);
	assert_int_equal(talloc_unlink(*state, inner), 0);
	assert_non_null(talloc_reference(inner, shared));
	refused(tp, mine, tree, EINVAL);
	assert_int_equal(talloc_unlink(inner, shared), 0);
	assert_non_null(talloc_reference(*state, tree));
	refused(tp, mine, tree, EINVAL);
	assert_int_equal(talloc_unlink(*state, tree), 0);
}

static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)arg;
}

static void a_tree_with_events_of_a_loop_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *mine_ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	TALLOC_CTX *mine = talloc_new(*state);
	TALLOC_CTX *tree = talloc_new(mine);
	TALLOC_CTX *inner = talloc_new(tree);
	void *event;
	int fds[2];

	test_pipe(fds);
	event = talev_add_fd(mine_ev, inner, fds[0], TALEV_FD_READ, on_fd, NULL);
	assert_non_null(event);
	refused(tp, mine, tree, EINVAL);
	talloc_free(event);
	close(fds[0]);
	close(fds[1]);

	event = immediate(inner);
	assert_ok(talev_schedule_immediate(event, mine_ev, never, NULL));
	refused(tp, mine, tree, EINVAL);
	talloc_free(event);

	event = talev_thread_proxy_create(mine_ev, inner);
	assert_non_null(event);
	refused(tp, mine, tree, EINVAL);
	talloc_free(event);

	event = talev_threaded_context_create(mine_ev, inner);
	assert_non_null(event);
	refused(tp, mine, tree, EINVAL);
	talloc_free(event);

	event = test_context(inner);
	refused(tp, mine, tree, EINVAL);
	talloc_free(event);
}

static void report_back(struct talev_context *ev, struct talev_immediate *im, struct parcel *parcel)
{
	struct parcel *answer = parcel_create(parcel, 2);

	(void)ev;
	(void)im;
	send_parcel(parcel->arg, parcel, answer);
}

static void handles_and_idle_immediates_may_travel(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *home = test_context(*state);
	struct parcel *parcel = parcel_create(*state, 1);

	immediate(parcel);
	parcel->then = report_back;
	parcel->arg = handle_of(parcel, proxy_to(home));
	send_parcel(proxy_to(ev), *state, parcel);
	run_what_is_there(ev);
	run_what_is_there(home);
	assert_notes("1 freed:1 2 freed:2");
}

static void an_immediate_that_somebody_else_knows_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *mine_ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	struct talev_immediate *im = immediate(*state);
	struct talev_immediate *before = im;
	struct talev_ref *ref = talev_ref_create(mine_ev, *state, im);

	assert_non_null(ref);
	assert_errno(talev_thread_proxy_schedule(tp, &im, never, NULL), EINVAL);
	assert_ptr_equal(im, before);
	/* That it was known once is enough: a cancel may be on its way. */
	talloc_free(ref);
	assert_errno(talev_thread_proxy_schedule(tp, &im, never, NULL), EINVAL);
	talloc_free(im);

	im = immediate(*state);
	assert_non_null(talloc_reference(mine_ev, im));
	assert_errno(talev_thread_proxy_schedule(tp, &im, never, NULL), EINVAL);
	assert_non_null(im);
}

static void arguments_are_checked(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	struct talev_immediate *im = NULL;

	assert_errno(talev_thread_proxy_schedule(tp, &im, receive, NULL), EINVAL);
	assert_errno(talev_thread_proxy_schedule(tp, NULL, receive, NULL), EINVAL);
	im = immediate(*state);
	assert_errno(talev_thread_proxy_schedule(NULL, &im, receive, NULL), EINVAL);
	assert_errno(talev_thread_proxy_schedule(tp, &im, NULL, NULL), EINVAL);
	assert_null_errno(talev_thread_proxy_create(NULL, *state), EINVAL);
	assert_null_errno(talev_thread_proxy_create((void *)im, *state), EINVAL);
}

static void count(struct talev_context *ev, void *arg)
{
	(void)ev;
	++*(int *)arg;
}

static void an_immediate_that_is_closing_is_refused(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = proxy_to(ev);
	TALLOC_CTX *mine = talloc_new(*state);
	struct talev_immediate *im = immediate(mine);
	int finalized = 0;

	assert_ok(talev_finalize(ev, im, 0, count, &finalized));
	assert_errno(talev_thread_proxy_schedule(tp, &im, never, NULL), ESTALE);
	assert_null_errno(talev_thread_proxy_attach(im, tp), ESTALE);
	run_what_is_there(ev);
	assert_int_equal(finalized, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_closed_door_leaves_everything_with_the_caller),
		TEST(freeing_a_handle_closes_nothing),
		TEST(freeing_the_context_tells_of_lost_messages),
		TEST(freeing_the_context_in_a_message_handler),
		TEST(freeing_the_context_with_mail_that_nobody_has_seen),
		TEST(freeing_the_proxy_loses_what_is_on_its_way),
		TEST(freeing_the_proxy_in_a_message_handler),
		TEST(freeing_the_context_where_a_loss_is_told),
		TEST(a_tree_with_references_is_refused),
		TEST(a_tree_with_events_of_a_loop_is_refused),
		TEST(handles_and_idle_immediates_may_travel),
		TEST(an_immediate_that_somebody_else_knows_is_refused),
		TEST(arguments_are_checked),
		TEST(an_immediate_that_is_closing_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
