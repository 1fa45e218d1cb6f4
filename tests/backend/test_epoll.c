/* SPDX-License-Identifier: BSD-2-Clause */
/* What is special to epoll: files that outlive descriptors, and a descriptor to watch it all by. */
#include "backend/kit.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

#define R TALEV_FD_READ
#define W TALEV_FD_WRITE

static int ctl_errno;
static int ctl_calls;

int __real_base_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_base_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_base_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	ctl_calls++;
	if (ctl_errno == 0)
		return __real_base_epoll_ctl(epfd, op, fd, event);
	errno = ctl_errno;
	return -1;
}

static int create_errno;

int __real_base_epoll_create(void);
int __wrap_base_epoll_create(void);
int __wrap_base_epoll_create(void)
{
	if (create_errno == 0)
		return __real_base_epoll_create();
	errno = create_errno;
	return -1;
}

static bool readable(int fd)
{
	struct pollfd poll = {.fd = fd, .events = POLLIN};

	assert_in_range(base_poll(&poll, 1, 0), 0, 1);
	return poll.revents & POLLIN;
}

static void shut(int fds[2])
{
	assert_ok(close(fds[0]));
	assert_ok(close(fds[1]));
}

/* As when a program closes a descriptor that is watched, and opens another file. */
static void replace(int fd, int by)
{
	assert_int_equal(dup2(by, fd), fd);
}

static void a_regular_file_cannot_be_watched(void **state)
{
	struct backend *be = new_backend();
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_errno(modify(be, file, 0, R), EPERM);
	assert_ok(close(file));
}

static void another_file_behind_the_number_is_noticed(void **state)
{
	struct backend *be = new_backend();
	int p[2], other = base_eventfd();

	(void)state;
	test_pipe(p);
	watch(be, p[0], R);
	replace(p[0], other);
	assert_errno(modify(be, p[0], R, R | W), ESTALE);
	watch(be, p[0], W);
	assert_int_equal(ready(be, p[0]), W);
	replace(p[0], p[1]);
	assert_errno(modify(be, p[0], W, 0), ESTALE);
	shut(p);
	assert_ok(close(other));
}

static void a_regular_file_behind_the_number_is_another_file(void **state)
{
	struct backend *be = new_backend();
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int p[2];

	(void)state;
	test_pipe(p);
	watch(be, p[0], R);
	replace(p[0], file);
	assert_errno(modify(be, p[0], R, W), ESTALE);
	assert_errno(modify(be, p[0], 0, W), EPERM);
	shut(p);
	assert_ok(close(file));
}

static void only_verifying_asks_about_an_interest_that_stays(void **state)
{
	struct backend *be = new_backend();
	int p[2];

	(void)state;
	test_pipe(p);
	watch(be, p[0], R);
	ctl_calls = 0;
	assert_ok(modify(be, p[0], R, R));
	assert_int_equal(ctl_calls, 0);
	assert_ok(be->ops->modify(be, p[0], 1, R, R, BACKEND_VERIFY));
	assert_int_equal(ctl_calls, 1);
	replace(p[0], p[1]);
	assert_errno(be->ops->modify(be, p[0], 1, R, R, BACKEND_VERIFY), ESTALE);
	shut(p);
}

/* The registration stays, although its descriptor is closed: nobody can name it any more. */
static int leave_behind(struct backend *be, int p[2])
{
	int duplicate;

	test_pipe(p);
	test_poke(p[1]);
	assert_ok(be->ops->modify(be, p[0], 1, 0, R, 0));
	duplicate = dup(p[0]);
	assert_ok(close(p[0]));
	assert_errno(be->ops->modify(be, p[0], 1, R, 0, 0), EBADF);
	return duplicate;
}

static void a_duplicate_left_behind_reports_the_old_generation(void **state)
{
	struct backend *be = new_backend();
	struct backend_event event;
	int p[2], duplicate = leave_behind(be, p);

	(void)state;
	assert_int_equal(look(be, &event, 1), 1);
	assert_int_equal(event.fd, p[0]);
	assert_int_equal(event.generation, 1);
	assert_ok(close(p[1]));
	assert_ok(close(duplicate));
}

static void rebuilding_cures_a_duplicate_left_behind(void **state)
{
	struct backend *be = new_backend();
	int p[2], q[2], duplicate = leave_behind(be, p);

	(void)state;
	test_pipe(q);
	test_poke(q[1]);
	assert_ok(be->ops->rebuild(be));
	watch(be, q[0], R);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ready(be, q[0]), R);
	shut(q);
	assert_ok(close(p[1]));
	assert_ok(close(duplicate));
}

static void a_descriptor_that_comes_back_takes_its_registration_over(void **state)
{
	struct backend *be = new_backend();
	int p[2], duplicate = leave_behind(be, p);

	(void)state;
	replace(p[0], duplicate);
	watch(be, p[0], R);
	assert_int_equal(ready(be, p[0]), R);
	assert_ok(modify(be, p[0], R, 0));
	assert_int_equal(ready(be, p[0]), 0);
	shut(p);
	assert_ok(close(duplicate));
}

static void what_the_kernel_refuses_changes_nothing(void **state)
{
	static const int errors[] = {ENOMEM, ENOSPC};
	struct backend *be = new_backend();
	int p[2];

	(void)state;
	test_pipe(p);
	for (int i = 0; i < 2; i++) {
		ctl_errno = errors[i];
		assert_errno(modify(be, p[1], 0, W), errors[i]);
		ctl_errno = 0;
		assert_int_equal(ready(be, p[1]), 0);
		watch(be, p[1], W);
		ctl_errno = errors[i];
		assert_errno(modify(be, p[1], W, R), errors[i]);
		ctl_errno = 0;
		assert_int_equal(ready(be, p[1]), W);
		assert_ok(modify(be, p[1], W, 0));
	}
	shut(p);
}

static void an_alarm_that_cannot_be_watched_is_tried_again(void **state)
{
	struct backend *be = new_backend();
	struct backend_deadlines deadlines = deadline_on(TALEV_CLOCK_BOOTTIME, 1);
	struct backend_event event;

	(void)state;
	ctl_errno = ENOSPC;
	assert_errno(be->ops->wait(be, &deadlines, true, &event, 1), ENOSPC);
	ctl_errno = 0;
	assert_int_equal(be->ops->wait(be, &deadlines, true, &event, 1), 0);
}

static void without_an_instance_there_is_no_backend(void **state)
{
	(void)state;
	create_errno = EMFILE;
	assert_null_errno(backend_epoll.create(test_root()), EMFILE);
	create_errno = 0;
}

static void talevs_own_descriptors_are_told_once_per_event(void **state)
{
	struct backend *be = new_backend();
	int fd = base_eventfd();
	uint64_t one = 1;

	(void)state;
	assert_ok(be->ops->modify(be, fd, (uint32_t)fd + 1000, 0, R, BACKEND_INTERNAL));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(base_write(fd, &one, sizeof(one)), sizeof(one));
		assert_int_equal(ready(be, fd), R);
		assert_int_equal(ready(be, fd), 0);
	}
	assert_ok(close(fd));
}

static void the_outer_descriptor_is_readable_while_something_is_ready(void **state)
{
	struct backend *be = new_backend();
	int fd = be->ops->get_fd(be);
	int p[2];

	(void)state;
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(be->ops->get_fd(be), fd);
	test_pipe(p);
	watch(be, p[0], R);
	assert_false(readable(fd));
	test_poke(p[1]);
	assert_true(readable(fd));
	assert_int_equal(ready(be, p[0]), R);
	test_drain(p[0]);
	assert_int_equal(ready(be, p[0]), 0);
	assert_false(readable(fd));
	shut(p);
}

static void the_outer_descriptor_is_readable_at_each_clocks_deadline(void **state)
{
	struct backend *be = new_backend();
	int fd = be->ops->get_fd(be);
	struct pollfd poll = {.fd = fd, .events = POLLIN};
	struct backend_event event;

	(void)state;
	for (int c = 0; c < BASE_CLOCKS; c++) {
		enum talev_clock clock = (enum talev_clock)c;
		talev_time_t deadline = base_clock_now(clock) + TALEV_MSEC(2);
		struct backend_deadlines deadlines = deadline_on(clock, deadline);

		assert_ok(be->ops->set_alarm(be, &deadlines));
		assert_int_equal(base_poll(&poll, 1, TALEV_NEVER), 1);
		assert_true(base_clock_now(clock) >= deadline);
		assert_int_equal(look(be, &event, 1), 0);
		assert_false(readable(fd));
		/* The same moment once more: it is past, so at once. */
		assert_ok(be->ops->set_alarm(be, &deadlines));
		assert_true(readable(fd));
		assert_ok(be->ops->set_alarm(be, &no_deadlines));
		assert_false(readable(fd));
	}
}

static void who_watches_the_outer_descriptor_need_not_know_of_a_rebuild(void **state)
{
	struct backend *be = new_backend();
	int fd = be->ops->get_fd(be), theirs = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN};
	int p[2];

	(void)state;
	assert_ok(epoll_ctl(theirs, EPOLL_CTL_ADD, fd, &event));
	test_pipe(p);
	test_poke(p[1]);
	watch(be, p[0], R);
	assert_int_equal(epoll_wait(theirs, &event, 1, 0), 1);
	assert_ok(be->ops->rebuild(be));
	assert_int_equal(be->ops->get_fd(be), fd);
	assert_int_equal(epoll_wait(theirs, &event, 1, 0), 0);
	watch(be, p[0], R);
	assert_int_equal(epoll_wait(theirs, &event, 1, 0), 1);
	shut(p);
	assert_ok(close(theirs));
}

static void a_rebuild_that_fails_changes_nothing(void **state)
{
	struct backend *be = new_backend();
	int fd = be->ops->get_fd(be);
	int p[2];

	(void)state;
	test_pipe(p);
	test_poke(p[1]);
	watch(be, p[0], R);
	create_errno = ENFILE;
	assert_errno(be->ops->rebuild(be), ENFILE);
	create_errno = 0;
	ctl_errno = ENOSPC;
	assert_errno(be->ops->rebuild(be), ENOSPC);
	ctl_errno = 0;
	assert_true(readable(fd));
	assert_int_equal(ready(be, p[0]), R);
	shut(p);
}

struct shared {
	struct backend *be;
	int fd;
	int p[2];
};

static void rebuild_in_child(void *arg)
{
	struct shared *shared = arg;
	struct backend *be = shared->be;
	int p[2];

	assert_errno(be->ops->get_fd(be), EINVAL);
	assert_errno(be->ops->set_alarm(be, &no_deadlines), EINVAL);
	assert_ok(be->ops->rebuild(be));
	assert_int_equal(be->ops->get_fd(be), shared->fd);
	assert_false(readable(shared->fd));
	assert_ok(be->ops->set_alarm(be, &no_deadlines));
	test_pipe(p);
	test_poke(p[1]);
	watch(be, p[0], R);
	assert_true(readable(shared->fd));
	shut(p);
}

static void a_child_rebuilds_without_its_parents_noticing(void **state)
{
	struct shared shared = {.be = new_backend()};
	struct backend_deadlines deadlines =
		deadline_on(TALEV_CLOCK_REALTIME, base_clock_now(TALEV_CLOCK_REALTIME));

	(void)state;
	shared.fd = shared.be->ops->get_fd(shared.be);
	assert_ok(shared.be->ops->set_alarm(shared.be, &deadlines));
	assert_true(readable(shared.fd));
	assert_int_equal(test_in_child(rebuild_in_child, &shared), 0);
	assert_true(readable(shared.fd));
}

#define HERE(fn) ON(fn, backend_epoll)

/* Also of those that go on with an epoll backend for it. */
#define OUTER(backend)                                                                             \
	ON(the_outer_descriptor_is_readable_while_something_is_ready, backend),                    \
		ON(the_outer_descriptor_is_readable_at_each_clocks_deadline, backend),             \
		ON(who_watches_the_outer_descriptor_need_not_know_of_a_rebuild, backend),          \
		ON(a_child_rebuilds_without_its_parents_noticing, backend)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HERE(a_regular_file_cannot_be_watched),
		HERE(another_file_behind_the_number_is_noticed),
		HERE(a_regular_file_behind_the_number_is_another_file),
		HERE(only_verifying_asks_about_an_interest_that_stays),
		HERE(a_duplicate_left_behind_reports_the_old_generation),
		HERE(rebuilding_cures_a_duplicate_left_behind),
		HERE(a_descriptor_that_comes_back_takes_its_registration_over),
		HERE(what_the_kernel_refuses_changes_nothing),
		HERE(an_alarm_that_cannot_be_watched_is_tried_again),
		HERE(without_an_instance_there_is_no_backend),
		HERE(talevs_own_descriptors_are_told_once_per_event),
		HERE(a_rebuild_that_fails_changes_nothing),
		OUTER(backend_epoll),
#ifdef TALEV_URING
		OUTER(backend_uring),
#endif
	};

	return cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
}
