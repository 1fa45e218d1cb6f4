/* SPDX-License-Identifier: BSD-2-Clause */
/* What is special to io_uring: requests that hold files, completions that are news and no state, a
 * ring that belongs to one thread, and a kernel that may not let us. */
#include "backend/kit.h"

#ifdef TALEV_URING

#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include "backend/uring.h"

#define R TALEV_FD_READ
#define W TALEV_FD_WRITE
#define H TALEV_FD_HUP

/* What the next rings are made with instead of what is asked for; 0: that. */
static unsigned few_entries;
static unsigned refused_flags;
static int setup_errno;
static int setups;

int __real_io_uring_queue_init_params(
	unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(
	unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(
	unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
	setups++;
	if (setup_errno != 0)
		return -setup_errno;
	if (params->flags & refused_flags)
		return -EINVAL;
	if (few_entries != 0)
		params->cq_entries = few_entries;
	return __real_io_uring_queue_init_params(
		few_entries != 0 ? few_entries : entries, ring, params);
}

static int enter_errno;
static int enters;
static unsigned submissions;
static int completion_errno;
static struct io_uring *completion_ring;

static bool enter_fails(int *result)
{
	enters++;
	if (enter_errno == 0)
		return false;
	*result = -enter_errno;
	enter_errno = 0;
	return true;
}

static void fail_next_completion(struct backend *be, int error)
{
	completion_ring = &((struct uring_backend *)be)->ring.io;
	completion_errno = error;
}

static void fail_completion(void)
{
	struct io_uring_cqe *cqe;

	if (completion_errno == 0 || io_uring_peek_cqe(completion_ring, &cqe) != 0)
		return;
	cqe->res = -completion_errno;
	cqe->flags = 0;
	completion_errno = 0;
}

int __real_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring)
{
	int result;

	if (enter_fails(&result))
		return result;
	submissions += io_uring_sq_ready(ring);
	result = __real_io_uring_submit_and_get_events(ring);
	fail_completion();
	return result;
}

int __real_io_uring_enter(
	unsigned fd, unsigned submit, unsigned complete, unsigned flags, sigset_t *sig);
int __wrap_io_uring_enter(
	unsigned fd, unsigned submit, unsigned complete, unsigned flags, sigset_t *sig);
int __wrap_io_uring_enter(
	unsigned fd, unsigned submit, unsigned complete, unsigned flags, sigset_t *sig)
{
	int result;

	if (enter_fails(&result))
		return result;
	result = __real_io_uring_enter(fd, submit, complete, flags, sig);
	fail_completion();
	return result;
}

static void shut(int fds[2])
{
	assert_ok(close(fds[0]));
	assert_ok(close(fds[1]));
}

/* No writer is left. */
static bool at_end(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 0;
}

/* Lets the kernel arm what is to be armed. */
static void arm(struct backend *be)
{
	struct backend_event event;

	assert_int_equal(look(be, &event, 1), 0);
}

static void closing_closes_the_file_once_nobody_is_interested(void **state)
{
	struct backend *be = new_backend();
	int p[2];

	(void)state;
	test_pipe(p);
	test_fill(p[1]);
	watch(be, p[1], W);
	arm(be);
	assert_ok(modify(be, p[1], W, 0));
	assert_ok(close(p[1]));
	test_drain(p[0]);
	assert_true(at_end(p[0]));
	assert_ok(close(p[0]));
}

static void a_file_with_news_is_let_go_all_the_same(void **state)
{
	enum { N = 100 };
	struct backend *be = new_backend();
	int p[N][2];

	(void)state;
	for (int i = 0; i < N; i++) {
		test_pipe(p[i]);
		test_fill(p[i][1]);
		watch(be, p[i][1], W);
	}
	arm(be);
	/* Each has a completion on its way. */
	for (int i = 0; i < N; i++)
		test_drain(p[i][0]);
	for (int i = 0; i < N; i++) {
		assert_ok(modify(be, p[i][1], W, 0));
		assert_ok(close(p[i][1]));
		assert_true(at_end(p[i][0]));
		assert_ok(close(p[i][0]));
	}
	arm(be);
}

static void freeing_the_backend_lets_all_files_go(void **state)
{
	struct backend *be = new_backend();
	int p[2];

	(void)state;
	test_pipe(p);
	test_fill(p[1]);
	watch(be, p[1], W);
	arm(be);
	talloc_free(be);
	assert_ok(close(p[1]));
	test_drain(p[0]);
	assert_true(at_end(p[0]));
	assert_ok(close(p[0]));
}

static void what_was_used_up_is_not_told(void **state)
{
	struct backend *be = new_backend();
	int p[2];

	(void)state;
	test_pipe(p);
	watch(be, p[0], R);
	arm(be);
	for (int i = 0; i < 3; i++) {
		test_poke(p[1]);
		assert_int_equal(test_drain(p[0]), 1);
		assert_int_equal(ready(be, p[0]), 0);
		test_poke(p[1]);
		assert_int_equal(ready(be, p[0]), R);
		assert_int_equal(ready(be, p[0]), R);
		test_drain(p[0]);
		assert_int_equal(ready(be, p[0]), 0);
	}
	shut(p);
}

static void news_of_an_interest_that_was_given_up_is_dropped(void **state)
{
	struct backend *be = new_backend();
	int p[2];

	(void)state;
	test_pipe(p);
	watch(be, p[0], R);
	arm(be);
	test_poke(p[1]);
	assert_ok(modify(be, p[0], R, 0));
	assert_int_equal(ready(be, p[0]), 0);
	watch(be, p[0], H);
	assert_int_equal(ready(be, p[0]), 0);
	shut(p);
}

static void a_narrower_interest_wakes_once_at_most(void **state)
{
	struct backend *be = new_backend();
	struct backend_deadlines deadlines;
	struct backend_event event;
	int s[2], early = 0;

	(void)state;
	test_socketpair(s);
	test_fill(s[0]);
	watch(be, s[0], R | W);
	arm(be);
	assert_ok(modify(be, s[0], R | W, R));
	for (int i = 0; i < 4; i++) {
		test_drain(s[1]);
		deadlines = deadline_on(TALEV_CLOCK_MONOTONIC,
			base_clock_now(TALEV_CLOCK_MONOTONIC) + TALEV_MSEC(1));
		while (base_clock_now(TALEV_CLOCK_MONOTONIC) <
			deadlines.at[TALEV_CLOCK_MONOTONIC]) {
			assert_int_equal(be->ops->wait(be, &deadlines, true, &event, 1), 0);
			early += base_clock_now(TALEV_CLOCK_MONOTONIC) <
				 deadlines.at[TALEV_CLOCK_MONOTONIC];
		}
		test_fill(s[0]);
	}
	assert_in_range(early, 0, 1);
	assert_ok(modify(be, s[0], R, R | W));
	assert_int_equal(ready(be, s[0]), 0);
	test_drain(s[1]);
	assert_int_equal(ready(be, s[0]), W);
	shut(s);
}

static void switching_interest_in_what_is_ready_costs_no_submission(void **state)
{
	struct backend *be = new_backend();
	int s[2];

	(void)state;
	test_socketpair(s);
	watch(be, s[0], R);
	arm(be);
	submissions = 0;
	for (int i = 0; i < 10; i++) {
		assert_ok(modify(be, s[0], R, R | W));
		assert_int_equal(ready(be, s[0]), W);
		assert_ok(modify(be, s[0], R | W, R));
		assert_int_equal(ready(be, s[0]), 0);
	}
	assert_int_equal(submissions, 0);
	shut(s);
}

/* More at once than the ring has room for, and no room to tell of them. */
static void a_small_ring_loses_nothing(void **state)
{
	enum { N = 100 };
	struct backend_event events[BACKEND_BATCH];
	struct backend *be;
	int p[N][2], told = 0;

	(void)state;
	few_entries = 4;
	be = new_backend();
	for (int i = 0; i < N; i++) {
		test_pipe(p[i]);
		watch(be, p[i][0], R);
	}
	arm(be);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++)
			test_poke(p[i][1]);
		for (told = 0; told < N;) {
			int n = be->ops->wait(be, &no_deadlines, true, events, BACKEND_BATCH);

			assert_in_range(n, 0, N);
			for (int i = 0; i < n; i++)
				told += (int)test_drain(events[i].fd);
		}
		assert_int_equal(told, N);
		arm(be);
	}
	few_entries = 0;
	for (int i = 0; i < N; i++)
		shut(p[i]);
}

static void completions_that_were_lost_are_asked_for_anew(void **state)
{
	static const int errors[] = {EBADR, EBUSY};
	struct backend *be = new_backend();
	struct backend_event event;
	int p[2];

	(void)state;
	test_pipe(p);
	watch(be, p[0], R);
	for (int i = 0; i < 2; i++) {
		arm(be);
		test_poke(p[1]);
		enter_errno = errors[i];
		assert_int_equal(be->ops->wait(be, &no_deadlines, true, &event, 1), 1);
		assert_int_equal(event.fd, p[0]);
		test_drain(p[0]);
	}
	shut(p);
}

static void what_the_kernel_refuses_is_told_and_tried_again(void **state)
{
	static const int errors[] = {ENOMEM, EAGAIN, EINTR};
	struct backend *be = new_backend();
	struct backend_event event;
	int p[2];

	(void)state;
	test_pipe(p);
	for (int i = 0; i < 3; i++) {
		watch(be, p[0], R);
		enter_errno = errors[i];
		assert_errno(look(be, &event, 1), errors[i] == EAGAIN ? ENOMEM : errors[i]);
		arm(be);
		test_poke(p[1]);
		assert_int_equal(ready(be, p[0]), R);
		assert_int_equal(test_drain(p[0]), 1);
		assert_ok(modify(be, p[0], R, 0));
	}
	shut(p);
}

static void a_request_that_fails_is_made_again(void **state)
{
	struct backend *be = new_backend();
	struct backend_event event;
	int p[2];

	(void)state;
	test_pipe(p);
	watch(be, p[0], R);
	arm(be);
	test_poke(p[1]);
	fail_next_completion(be, ENOMEM);
	/* It is ready all the same. */
	assert_int_equal(look(be, &event, 1), 1);
	test_drain(p[0]);
	talloc_free(be);
	be = new_backend();
	watch(be, p[0], R);
	arm(be);
	test_poke(p[1]);
	test_drain(p[0]);
	fail_next_completion(be, ENOMEM);
	assert_errno(look(be, &event, 1), ENOMEM);
	arm(be);
	test_poke(p[1]);
	assert_int_equal(ready(be, p[0]), R);
	shut(p);
}

static void what_the_ring_cannot_watch_epoll_does(void **state)
{
	struct backend *be = new_backend();
	struct backend_event events[4];
	int p[2], q[2];

	(void)state;
	test_pipe(p);
	test_pipe(q);
	watch(be, p[0], R);
	arm(be);
	watch(be, q[1], W);
	test_poke(p[1]);
	/* As of a file with more wait queues than io_uring knows how to wait for. */
	fail_next_completion(be, EINVAL);
	assert_int_equal(look(be, events, 4), 0);
	enters = 0;
	assert_int_equal(look(be, events, 4), 2);
	assert_ok(modify(be, q[1], W, 0));
	assert_int_equal(ready(be, p[0]), R);
	test_drain(p[0]);
	assert_int_equal(ready(be, p[0]), 0);
	assert_int_equal(enters, 0);
	shut(p);
	shut(q);
}

static void files_without_wait_queues_are_refused_as_by_epoll(void **state)
{
	static const char *const names[] = {"/proc/self/exe", "/", "/dev/null", "/dev/zero"};
	struct backend *be = new_backend();

	(void)state;
	for (int i = 0; i < 4; i++) {
		int file = open(names[i], O_RDONLY | O_CLOEXEC);

		assert_errno(modify(be, file, 0, R), EPERM);
		assert_errno(modify(be, file, 0, H), EPERM);
		assert_ok(close(file));
	}
}

static void sockets_that_can_all_at_once_are_not_mistaken_for_files(void **state)
{
	struct backend *be = new_backend();
	int s[2], fd = base_eventfd();
	uint64_t one = 1;

	(void)state;
	test_socketpair(s);
	test_poke(s[1]);
	watch(be, s[0], R | W);
	assert_int_equal(ready(be, s[0]), R | W);
	assert_ok(modify(be, s[0], R | W, 0));
	assert_int_equal(base_write(fd, &one, sizeof(one)), sizeof(one));
	watch(be, fd, R | W);
	assert_int_equal(ready(be, fd), R | W);
	assert_ok(close(fd));
	shut(s);
}

static void talevs_own_descriptors_are_told_once_per_event(void **state)
{
	struct backend *be = new_backend();
	int fd = base_eventfd();
	uint64_t one = 1;

	(void)state;
	assert_ok(be->ops->modify(be, fd, (uint32_t)fd + 1000, 0, R, BACKEND_INTERNAL));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(base_write(fd, &one, sizeof(one)), sizeof(one));
		assert_int_equal(ready(be, fd), R);
		assert_int_equal(ready(be, fd), 0);
	}
	assert_ok(close(fd));
}

static void edges_are_told_by_the_ring_alone(void **state)
{
	struct backend *be = new_backend();
	int p[2];

	(void)state;
	test_pipe(p);
	watch(be, p[0], R | TALEV_FD_EDGE);
	arm(be);
	for (int i = 0; i < 3; i++) {
		test_poke(p[1]);
		assert_int_equal(ready(be, p[0]), R);
		assert_int_equal(ready(be, p[0]), 0);
	}
	/* As core does when nobody took the report. */
	assert_ok(be->ops->modify(be, p[0], (uint32_t)p[0] + 1000, R | TALEV_FD_EDGE,
		R | TALEV_FD_EDGE, BACKEND_VERIFY));
	assert_int_equal(ready(be, p[0]), R);
	test_drain(p[0]);
	ready(be, p[0]);
	assert_int_equal(ready(be, p[0]), 0);
	assert_ok(close(p[1]));
	assert_int_equal(ready(be, p[0]), H | BACKEND_HANGUP);
	assert_ok(close(p[0]));
}

static void edges_that_find_no_room_are_told_next(void **state)
{
	enum { N = 40 };
	struct backend *be = new_backend();
	struct backend_event events[3];
	int p[N][2], told[N] = {0};

	(void)state;
	for (int i = 0; i < N; i++) {
		test_pipe(p[i]);
		watch(be, p[i][0], i % 8 == 7 ? R : R | TALEV_FD_EDGE);
	}
	arm(be);
	for (int i = 0; i < N; i++)
		test_poke(p[i][1]);
	for (int all = 0; all < N;) {
		int n = be->ops->wait(be, &backend_no_deadlines, true, events, 3);

		assert_in_range(n, 1, 3);
		all += n;
		for (int k = 0; k < n; k++) {
			int i = 0;

			while (p[i][0] != events[k].fd)
				i++;
			assert_int_equal(told[i]++, 0);
			assert_int_equal(events[k].events, R);
			assert_int_equal(test_drain(p[i][0]), 1);
		}
	}
	assert_int_equal(look(be, events, 3), 0);
	for (int i = 0; i < N; i++)
		shut(p[i]);
}

/* Its file is open as long as nothing happens to it. */
static void a_closed_descriptor_is_told_with_its_next_news(void **state)
{
	struct backend *be = new_backend();
	struct backend_event events[4];
	int p[2], q[2];

	(void)state;
	test_pipe(p);
	test_pipe(q);
	test_fill(p[1]);
	watch(be, p[1], W);
	watch(be, q[0], R);
	arm(be);
	assert_ok(close(p[1]));
	test_drain(p[0]);
	test_poke(q[1]);
	assert_int_equal(look(be, events, 4), 2);
	assert_int_equal(events[0].fd, p[1]);
	assert_int_equal(events[0].events, BACKEND_CLOSED);
	assert_int_equal(events[1].fd, q[0]);
	assert_true(at_end(p[0]));
	assert_errno(modify(be, p[1], W, R), EBADF);
	assert_errno(modify(be, p[1], W, 0), EBADF);
	assert_int_equal(ready(be, q[0]), R);
	assert_ok(close(p[0]));
	shut(q);
}

static void one_that_is_always_ready_does_not_hide_the_others(void **state)
{
	struct backend *be = new_backend();
	struct backend_event event;
	int p[2], q[2], turns = 0;

	(void)state;
	test_pipe(p);
	test_pipe(q);
	watch(be, q[0], R);
	arm(be);
	test_poke(p[1]);
	watch(be, p[0], R);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ready(be, p[0]), R);
	test_poke(q[1]);
	do {
		assert_int_equal(look(be, &event, 1), 1);
	} while (event.fd != q[0] && ++turns < 20);
	assert_int_equal(event.fd, q[0]);
	shut(p);
	shut(q);
}

struct visit {
	struct backend *be;
	int fd;
	int told;
	bool take_out;
};

static void *use_in_thread(void *arg)
{
	struct visit *visit = arg;
	struct backend_event event;

	visit->told = visit->be->ops->wait(visit->be, &no_deadlines, true, &event, 1);
	if (visit->take_out)
		visit->be->ops->modify(visit->be, visit->fd, 1, R, 0, 0);
	return NULL;
}

static void a_ring_goes_to_whichever_thread_uses_the_context(void **state)
{
	struct backend *be = new_backend();
	struct visit visit = {.be = be};
	pthread_t thread;
	int p[2];

	(void)state;
	test_pipe(p);
	visit.fd = p[0];
	watch(be, p[0], R);
	for (int i = 0; i < 4; i++) {
		arm(be);
		test_poke(p[1]);
		visit.take_out = i == 3;
		assert_ok(pthread_create(&thread, NULL, use_in_thread, &visit));
		assert_ok(pthread_join(thread, NULL));
		assert_int_equal(visit.told, 1);
		if (i < 3)
			assert_int_equal(ready(be, p[0]), R);
		test_drain(p[0]);
	}
	assert_int_equal(ready(be, p[0]), 0);
	shut(p);
}

static void without_a_ring_there_is_no_backend(void **state)
{
	static const int errors[] = {EMFILE, ENFILE, ENOMEM};

	(void)state;
	for (int i = 0; i < 3; i++) {
		setup_errno = errors[i];
		assert_null_errno(backend_uring.create(test_root()), errors[i]);
	}
	setup_errno = 0;
	new_backend();
}

static void a_rebuild_that_fails_changes_nothing(void **state)
{
	struct backend *be = new_backend();
	int p[2];

	(void)state;
	test_pipe(p);
	watch(be, p[0], R);
	arm(be);
	setup_errno = ENFILE;
	assert_errno(be->ops->rebuild(be), ENFILE);
	setup_errno = 0;
	test_poke(p[1]);
	assert_int_equal(ready(be, p[0]), R);
	shut(p);
}

/* What the kernel refused stays refused, so each of these has a process of its own. */
static void be_refused(void *arg)
{
	struct talev_context *ev;
	const char **names;

	setup_errno = *(int *)arg;
	assert_null_errno(talev_context_init_byname(test_root(), "uring"), EOPNOTSUPP);
	setups = 0;
	setup_errno = 0;
	assert_null_errno(talev_context_init_byname(test_root(), "uring"), EOPNOTSUPP);
	assert_int_equal(setups, 0);
	names = talev_backend_list(test_root());
	for (int i = 0; names[i] != NULL; i++)
		assert_string_not_equal(names[i], "uring");
	ev = talev_context_init(test_root());
	assert_string_equal(talev_context_get_backend(ev), "epoll");
}

static void a_kernel_that_says_no_is_asked_once(void **state)
{
	static int errors[] = {ENOSYS, EPERM, EACCES};

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(test_in_child(be_refused, &errors[i]), 0);
}

static void be_older(void *arg)
{
	struct backend *be;
	int p[2];

	(void)arg;
	refused_flags = IORING_SETUP_DEFER_TASKRUN;
	be = backend_uring.create(test_root());
	assert_non_null(be);
	test_pipe(p);
	watch(be, p[0], R);
	arm(be);
	for (int i = 0; i < 3; i++) {
		test_poke(p[1]);
		assert_int_equal(ready(be, p[0]), R);
		assert_int_equal(ready(be, p[0]), R);
		test_drain(p[0]);
		assert_int_equal(ready(be, p[0]), 0);
	}
	assert_ok(modify(be, p[0], R, 0));
	test_fill(p[1]);
	watch(be, p[1], W);
	arm(be);
	assert_ok(modify(be, p[1], W, 0));
	assert_ok(close(p[1]));
	test_drain(p[0]);
	assert_true(at_end(p[0]));
	assert_ok(close(p[0]));
}

static void a_kernel_without_deferred_completions_does(void **state)
{
	(void)state;
	assert_int_equal(test_in_child(be_older, NULL), 0);
}

static void be_forbidden(void *arg)
{
	struct talev_context *ev;
	const char **names;

	(void)arg;
	setenv("TALEV_NO_URING", "1", 1);
	setups = 0;
	ev = talev_context_init_byname(test_root(), "uring");
	assert_non_null(ev);
	assert_string_equal(talev_context_get_backend(ev), "epoll");
	names = talev_backend_list(test_root());
	for (int i = 0; names[i] != NULL; i++)
		assert_string_not_equal(names[i], "uring");
	assert_int_equal(setups, 0);
}

static void the_environment_can_forbid_it_without_harm(void **state)
{
	(void)state;
	assert_int_equal(test_in_child(be_forbidden, NULL), 0);
}

#define HERE(fn) ON(fn, backend_uring)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HERE(closing_closes_the_file_once_nobody_is_interested),
		HERE(a_file_with_news_is_let_go_all_the_same),
		HERE(freeing_the_backend_lets_all_files_go),
		HERE(what_was_used_up_is_not_told),
		HERE(news_of_an_interest_that_was_given_up_is_dropped),
		HERE(a_narrower_interest_wakes_once_at_most),
		HERE(switching_interest_in_what_is_ready_costs_no_submission),
		HERE(a_small_ring_loses_nothing),
		HERE(completions_that_were_lost_are_asked_for_anew),
		HERE(what_the_kernel_refuses_is_told_and_tried_again),
		HERE(a_request_that_fails_is_made_again),
		HERE(what_the_ring_cannot_watch_epoll_does),
		HERE(files_without_wait_queues_are_refused_as_by_epoll),
		HERE(sockets_that_can_all_at_once_are_not_mistaken_for_files),
		HERE(talevs_own_descriptors_are_told_once_per_event),
		HERE(edges_are_told_by_the_ring_alone),
		HERE(edges_that_find_no_room_are_told_next),
		HERE(a_closed_descriptor_is_told_with_its_next_news),
		HERE(one_that_is_always_ready_does_not_hide_the_others),
		HERE(a_ring_goes_to_whichever_thread_uses_the_context),
		HERE(without_a_ring_there_is_no_backend),
		HERE(a_rebuild_that_fails_changes_nothing),
		HERE(a_kernel_that_says_no_is_asked_once),
		HERE(a_kernel_without_deferred_completions_does),
		HERE(the_environment_can_forbid_it_without_harm),
	};

	return cmocka_run_group_tests_name("uring", tests, NULL, NULL);
}

#else

#include <stdio.h>

int main(void)
{
	puts("this build has no backend uring");
	return 77;
}

#endif
