/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: a mailbox in full flow: it is looked at less often, and a sender guesses what
 * is in it. Nobody is to wait for that. */
#include "thread/mailbox.h"
#include "support/support.h"
#include <talev/fd.h>
#include <talev/immediate.h>

struct flow {
	struct core_post post;
	struct mailbox *mb;
	unsigned left;     /* times that it has yet to come */
	unsigned handlers; /* others, that have run */
	unsigned since;    /* it came last */
	unsigned longest;
};

/* It is there again at once. */
static void come_again(struct talev_context *ev, struct core_post *post)
{
	struct flow *flow = (struct flow *)post;

	(void)ev;
	if (flow->since > flow->longest)
		flow->longest = flow->since;
	flow->since = 0;
	if (--flow->left > 0)
		assert_ok(mailbox_send(flow->mb, post));
}

static void drop(struct talev_context *ev, struct core_post *post)
{
	(void)ev;
	((struct flow *)post)->left = 0;
}

static const struct core_post_ops flow_ops = {.deliver = come_again, .drop = drop};

static struct flow *flow_create(struct talev_context *ev, unsigned times)
{
	struct flow *flow = talloc_zero(test_late(), struct flow);

	assert_non_null(flow);
	flow->post.ops = &flow_ops;
	flow->mb = mailbox_get(ev);
	assert_non_null(flow->mb);
	flow->left = times;
	assert_ok(mailbox_send(flow->mb, &flow->post));
	return flow;
}

static void run_on(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	struct flow *flow = private_data;

	flow->since++;
	if (flow->left > 0)
		assert_ok(talev_schedule_immediate(im, ev, run_on, flow));
}

static void posts_come_between_immediates_that_never_end(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct flow *flow = flow_create(ev, 500);

	assert_ok(talev_schedule_immediate(talev_create_immediate(ev), ev, run_on, flow));
	while (flow->left > 0)
		assert_ok(talev_loop_once(ev));
	assert_in_range(flow->longest, 1, 64);
	mailbox_unref(flow->mb);
}

static void count(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *private_data)
{
	struct flow *flow = private_data;

	(void)ev;
	(void)fde;
	(void)flags;
	flow->handlers++;
}

static void a_descriptor_has_its_turn_while_posts_follow_each_other(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct flow *flow = flow_create(ev, 1000);
	struct talev_fd *fde;
	int fds[2];

	test_pipe(fds);
	test_poke(fds[1]);
	fde = talev_add_fd(ev, ev, fds[0], TALEV_FD_READ, count, flow);
	assert_non_null(fde);
	for (unsigned turn = 1; turn <= 20; turn++) {
		assert_ok(talev_loop_once(ev));
		assert_int_equal(flow->handlers, turn);
	}
	assert_in_range(1000 - flow->left, 10, 100);
	talloc_free(fde);
	close(fds[0]);
	close(fds[1]);
	talloc_free(ev);
	assert_int_equal(flow->left, 0);
	mailbox_unref(flow->mb);
}

struct letter {
	struct core_post post;
	int number;
};

static void note_it(struct talev_context *ev, struct core_post *post)
{
	(void)ev;
	test_note("%d", ((struct letter *)post)->number);
}

static const struct core_post_ops letter_ops = {.deliver = note_it, .drop = note_it};

static struct core_post *letter_create(int number)
{
	struct letter *letter = talloc_zero(test_late(), struct letter);

	assert_non_null(letter);
	letter->post.ops = &letter_ops;
	letter->number = number;
	return &letter->post;
}

/* The last one that it sent is then somewhere else, or has come, or goes the same way again. */
static void a_thread_sends_to_two_in_turn(void **state)
{
	struct talev_context *ev[2] = {test_context(*state), test_context(*state)};
	struct mailbox *mb[2] = {mailbox_get(ev[0]), mailbox_get(ev[1])};
	struct core_post *again = letter_create(9);

	for (int i = 1; i <= 4; i++)
		assert_ok(mailbox_send(mb[i % 2], letter_create(i)));
	assert_ok(mailbox_send(mb[0], again));
	assert_errno(talev_loop_nowait(ev[0]), ENOENT);
	assert_notes("2 4 9");
	assert_ok(mailbox_send(mb[1], again));
	assert_errno(talev_loop_nowait(ev[1]), ENOENT);
	assert_notes("2 4 9 1 3 9");
	assert_ok(mailbox_send(mb[1], again));
	assert_ok(mailbox_send(mb[1], letter_create(5)));
	assert_errno(talev_loop_nowait(ev[1]), ENOENT);
	assert_notes("2 4 9 1 3 9 9 5");
	mailbox_unref(mb[0]);
	mailbox_unref(mb[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(posts_come_between_immediates_that_never_end),
		TEST(a_descriptor_has_its_turn_while_posts_follow_each_other),
		TEST(a_thread_sends_to_two_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
