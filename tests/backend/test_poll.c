/* SPDX-License-Identifier: BSD-2-Clause */
/* What is special to poll: nothing is remembered by the kernel, so a lot has to be here. */
#include "backend/kit.h"
#include <fcntl.h>
#include <sys/resource.h>

#define R TALEV_FD_READ
#define W TALEV_FD_WRITE

static void shut(int fds[2])
{
	assert_ok(close(fds[0]));
	assert_ok(close(fds[1]));
}

static void it_has_no_descriptor_of_its_own(void **state)
{
	(void)state;
	assert_null(backend_poll.get_fd);
	assert_null(backend_poll.set_alarm);
}

static void a_regular_file_is_always_ready(void **state)
{
	struct backend *be = new_backend();
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	watch(be, file, R | W);
	assert_int_equal(ready(be, file), R | W);
	assert_ok(close(file));
}

static void a_descriptor_that_only_names_a_file_is_not_open(void **state)
{
	struct backend *be = new_backend();
	int file = open("/", O_PATH | O_CLOEXEC);

	(void)state;
	assert_errno(modify(be, file, 0, R), EBADF);
	assert_ok(close(file));
}

static void a_closed_descriptor_is_told_once_and_does_not_spin(void **state)
{
	struct backend *be = new_backend();
	struct backend_deadlines deadlines = deadline_on(
		TALEV_CLOCK_MONOTONIC, base_clock_now(TALEV_CLOCK_MONOTONIC) + TALEV_MSEC(2));
	struct backend_event event;
	int p[2];

	(void)state;
	test_pipe(p);
	watch(be, p[0], R);
	watch(be, p[1], W);
	assert_ok(close(p[0]));
	assert_ok(modify(be, p[1], W, 0));
	assert_int_equal(ready(be, p[0]), BACKEND_CLOSED);
	assert_int_equal(be->ops->wait(be, &deadlines, true, &event, 1), 0);
	assert_true(base_clock_now(TALEV_CLOCK_MONOTONIC) >= deadlines.at[TALEV_CLOCK_MONOTONIC]);
	assert_errno(modify(be, p[0], R, W), EBADF);
	assert_errno(modify(be, p[0], R, 0), EBADF);
	assert_ok(close(p[1]));
}

static void a_number_that_comes_back_after_that_is_another_file(void **state)
{
	struct backend *be = new_backend();
	int p[2];

	(void)state;
	test_pipe(p);
	watch(be, p[0], R);
	assert_ok(close(p[0]));
	assert_int_equal(ready(be, p[0]), BACKEND_CLOSED);
	assert_int_equal(dup2(p[1], p[0]), p[0]);
	assert_errno(modify(be, p[0], R, W), ESTALE);
	watch(be, p[0], W);
	assert_true(ready(be, p[0]) & W);
	shut(p);
}

/* The alarm may get the number of a descriptor that was closed while it was watched. */
static void an_alarm_does_not_take_the_place_of_a_closed_descriptor(void **state)
{
	struct backend *be = new_backend();
	struct backend_deadlines deadlines = deadline_on(TALEV_CLOCK_BOOTTIME, 1);
	struct backend_event event;
	int p[2], q[2];

	(void)state;
	test_pipe(p);
	test_pipe(q);
	watch(be, p[0], R);
	watch(be, q[0], R);
	assert_ok(close(p[0]));
	/* The alarm is p[0] now, and readable, so both of them are told. */
	assert_int_equal(be->ops->wait(be, &deadlines, true, &event, 1), 1);
	assert_int_equal(event.fd, p[0]);
	assert_ok(modify(be, p[0], R, 0));
	for (int i = 0; i < 3; i++)
		assert_int_equal(be->ops->wait(be, &deadlines, true, &event, 1), 0);
	test_poke(q[1]);
	assert_int_equal(ready(be, q[0]), R);
	assert_ok(close(p[1]));
	shut(q);
}

/* poll(2) refuses a list that is longer than there may be descriptors. */
static void every_descriptor_there_can_be_is_not_too_many(void **state)
{
	struct backend *be = new_backend();
	struct backend_deadlines deadlines = {.at = {TALEV_NEVER, 1, 1}};
	struct rlimit limit, few;
	struct backend_event event;
	int fds[40], n = 0;

	(void)state;
	assert_int_equal(be->ops->wait(be, &deadlines, true, &event, 1), 0);
	assert_ok(getrlimit(RLIMIT_NOFILE, &limit));
	few = limit;
	few.rlim_cur = 40;
	assert_ok(setrlimit(RLIMIT_NOFILE, &few));
	while ((fds[n] = base_eventfd()) >= 0)
		watch(be, fds[n++], W);
	for (int fd = 0; fd < 3; fd++)
		modify(be, fd, 0, R);
	assert_int_equal(be->ops->wait(be, &deadlines, true, &event, 1), 1);
	while (n > 0)
		assert_ok(close(fds[--n]));
	assert_ok(setrlimit(RLIMIT_NOFILE, &limit));
}

/* The n-th allocation fails, for every n, while descriptors are added. */
static void without_memory_nothing_changes(void **state)
{
	enum { N = 40 };
	int fds[N], failures = 0;

	(void)state;
	if (!test_alloc_works())
		skip();
	for (int i = 0; i < N; i++)
		fds[i] = base_eventfd();
	for (unsigned long n = 1; n < 20; n++) {
		struct backend *be = new_backend();
		struct backend_event events[BACKEND_BATCH];

		test_alloc_fail_at(n);
		for (int i = 0; i < N; i++) {
			if (modify(be, fds[i], 0, W) == 0)
				continue;
			assert_int_equal(errno, ENOMEM);
			failures++;
			assert_int_equal(look(be, events, BACKEND_BATCH), i);
			watch(be, fds[i], W);
		}
		test_alloc_fail_at(0);
		assert_int_equal(look(be, events, BACKEND_BATCH), N);
		talloc_free(be);
	}
	assert_true(failures > 0);
	for (int i = 0; i < N; i++)
		assert_ok(close(fds[i]));
}

#define HERE(fn) ON(fn, backend_poll)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HERE(it_has_no_descriptor_of_its_own),
		HERE(a_regular_file_is_always_ready),
		HERE(a_descriptor_that_only_names_a_file_is_not_open),
		HERE(a_closed_descriptor_is_told_once_and_does_not_spin),
		HERE(a_number_that_comes_back_after_that_is_another_file),
		HERE(an_alarm_does_not_take_the_place_of_a_closed_descriptor),
		HERE(every_descriptor_there_can_be_is_not_too_many),
		HERE(without_memory_nothing_changes),
	};

	return cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
