/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: a sender has put its message where the loop finds it, and is about to wake the
 * loop: meanwhile the loop wakes for another reason, and everything goes. */
#include <fcntl.h>
#include "support/support.h"
#include <talev/proxy.h>
#include "core/core.h"

static struct talev_context *loop;

void __real_wake_post(struct core_wake *wake);
void __wrap_wake_post(struct core_wake *wake);

void __wrap_wake_post(struct core_wake *wake)
{
	if (loop != NULL) {
		struct talev_context *ev = loop;

		loop = NULL;
		test_once(ev);
		assert_notes("all gone");
	}
	/* Else it would be written to whatever has that number now. */
	assert_true(fcntl(wake->fd, F_GETFD) != -1);
	__real_wake_post(wake);
}

static void drain(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *private_data)
{
	(void)ev;
	(void)flags;
	(void)private_data;
	test_drain(talev_fd_get_fd(fde));
	talloc_free(fde);
}

/* It waits, and has no message when it wakes: so who sends next has to wake it. */
static void let_it_wait(struct talev_context *ev)
{
	int fds[2];
	struct talev_fd *fde;

	/* Who has waited in vain does not look first the next time. */
	assert_int_equal(talev_loop_timed(ev, TALEV_USEC(1)), -1);
	assert_int_equal(errno, EAGAIN);
	test_pipe(fds);
	test_poke(fds[1]);
	fde = talev_add_fd(ev, NULL, fds[0], TALEV_FD_READ, drain, NULL);
	assert_non_null(fde);
	assert_ok(talev_fd_set_auto_close(fde));
	assert_ok(test_once(ev));
	close(fds[1]);
	loop = ev;
}

static void end(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	(void)im;
	(void)private_data;
	talloc_free(ev);
	test_note("all gone");
}

static void the_handle_may_lie_in_what_is_sent_through_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = talev_thread_proxy_create(ev, NULL);
	TALLOC_CTX *data = talloc_new(*state);
	struct talev_thread_proxy *handle = talev_thread_proxy_attach(data, tp);
	struct talev_immediate *im = talev_create_immediate(*state);

	assert_non_null(handle);
	let_it_wait(ev);
	assert_ok(talev_thread_proxy_schedule(handle, &im, end, &data));
	assert_notes("all gone");
	assert_null(data);
	assert_null(im);
}

static void the_handler_may_free_the_threaded_context(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_threaded_context *tctx = talev_threaded_context_create(ev, NULL);
	struct talev_immediate *im = talev_create_immediate(*state);

	assert_non_null(tctx);
	let_it_wait(ev);
	assert_ok(talev_threaded_schedule_immediate(tctx, im, end, NULL));
	assert_notes("all gone");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_handle_may_lie_in_what_is_sent_through_it),
		TEST(the_handler_may_free_the_threaded_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
