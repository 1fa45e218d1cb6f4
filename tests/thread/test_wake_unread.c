/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: each wake-up is seen, though epoll's are not read. */
#include <sched.h>
#include <talev/proxy.h>
#include "thread/threads.h"

#define WAKES 200

static atomic_uint handled;
static atomic_uint reads;

ssize_t __real_base_read(int fd, void *buffer, size_t size);
ssize_t __wrap_base_read(int fd, void *buffer, size_t size);

ssize_t __wrap_base_read(int fd, void *buffer, size_t size)
{
	atomic_fetch_add(&reads, 1);
	return __real_base_read(fd, buffer, size);
}

struct sender {
	struct talev_threaded_context *tctx;
	struct talev_immediate *immediates[2];
};

static void on_wake(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	(void)im;
	(void)private_data;
	if (atomic_fetch_add(&handled, 1) + 1 == WAKES)
		talev_loop_break(ev);
}

/* Sends when the one before has been handled, so that the loop has mostly gone to sleep. */
static void *wake(void *arg)
{
	struct sender *sender = arg;

	for (unsigned i = 0; i < WAKES; i++) {
		while (atomic_load(&handled) != i)
			sched_yield();
		demand(talev_threaded_schedule_immediate(
			       sender->tctx, sender->immediates[i % 2], on_wake, NULL) == 0);
	}
	return NULL;
}

static void a_wake_up_is_seen_read_or_not(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct sender sender = {.tctx = talev_threaded_context_create(ev, NULL)};
	pthread_t thread;

	assert_non_null(sender.tctx);
	for (int i = 0; i < 2; i++)
		sender.immediates[i] = talev_create_immediate(ev);
	thread = thread_start(wake, &sender);
	test_watchdog(__func__, __location__);
	assert_ok(talev_loop_wait(ev));
	thread_join(thread);
	assert_int_equal(atomic_load(&handled), WAKES);
	if (strcmp(test_backend(), "epoll") == 0)
		assert_int_equal(atomic_load(&reads), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_wake_up_is_seen_read_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
