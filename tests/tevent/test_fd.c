/* SPDX-License-Identifier: BSD-2-Clause */
/* Points 17 to 28: descriptors. */
#include "points.h"

#include <netinet/in.h>

static uint16_t told;
static int calls;

static void tell(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *p)
{
	(void)ev, (void)fde, (void)p;
	told = flags;
	calls++;
}

static void forget(void)
{
	told = 0;
	calls = 0;
}

static int inet_socket(int type, struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	if (!address)
		return fd;
	*address = (struct sockaddr_in){.sin_family = AF_INET};
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &length), 0);
	return fd;
}

static void p17_flags_of_nothing(void **state)
{
	(void)state;
	assert_int_equal(tevent_fd_get_flags(NULL), 0);
	tevent_fd_set_flags(NULL, TEVENT_FD_READ);
	assert_int_equal(tevent_fd_get_tag(NULL), 0);
	tevent_fd_set_tag(NULL, 1);
}

static void p17_a_detached_descriptor_is_never_told(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2];

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	fde = tevent_add_fd(ev, root(), fds[0], TEVENT_FD_READ, tell, NULL);
	assert_int_equal(tevent_re_initialise(ev), 0);
	assert_int_equal(tevent_fd_get_flags(fde), 0);
	TEVENT_FD_READABLE(fde);
	assert_int_equal(tevent_fd_get_flags(fde), 0);
	turns_for(ev, 3);
	assert_int_equal(calls, 0);
}

static void p17_no_descriptor_below_zero(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	assert_null(tevent_add_fd(ev, ev, -1, TEVENT_FD_READ, tell, NULL));
	assert_non_null(ev);
}

static void p17_without_a_parent_it_belongs_to_the_context(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2];

	(void)state;
	make_pipe(fds);
	fde = tevent_add_fd(ev, NULL, fds[0], TEVENT_FD_READ, tell, NULL);
	assert_non_null(fde);
	assert_ptr_equal(talloc_parent(fde), ev);
	fde = tevent_add_fd(ev, root(), fds[0], 0, tell, NULL);
	assert_non_null(fde);
	assert_ptr_equal(talloc_parent(fde), root());
}

static void p18_both_directions_in_one_call(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2];

	(void)state;
	make_socketpair(fds);
	poke(fds[1]);
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ | TEVENT_FD_WRITE, tell, NULL);
	once(ev);
	assert_int_equal(told, TEVENT_FD_READ | TEVENT_FD_WRITE);
	assert_int_equal(calls, 1);
	TEVENT_FD_NOT_WRITEABLE(fde);
	assert_int_equal(tevent_fd_get_flags(fde), TEVENT_FD_READ);
	forget();
	once(ev);
	assert_int_equal(told, TEVENT_FD_READ);
	tevent_fd_set_flags(fde, TEVENT_FD_WRITE);
	forget();
	once(ev);
	assert_int_equal(told, TEVENT_FD_WRITE);
	TEVENT_FD_READABLE(fde);
	drain(fds[0]);
	forget();
	once(ev);
	assert_int_equal(told, TEVENT_FD_WRITE);
	tevent_fd_set_flags(fde, 0);
	forget();
	turns_for(ev, 3);
	assert_int_equal(calls, 0);
}

static void p19_a_hang_up_is_told_to_the_reader(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2], pipe_fds[2];

	(void)state;
	make_socketpair(fds);
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, tell, NULL);
	close_now(&fds[1]);
	once(ev);
	assert_int_equal(told, TEVENT_FD_READ);
	talloc_free(fde);
	forget();
	/* Nothing but the hang-up. */
	make_pipe(pipe_fds);
	fde = tevent_add_fd(ev, ev, pipe_fds[0], TEVENT_FD_READ, tell, NULL);
	close_now(&pipe_fds[1]);
	once(ev);
	assert_int_equal(told, TEVENT_FD_READ);
	talloc_free(fde);
}

static void p19_the_writer_alone_is_not_told_of_an_error(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2];

	(void)state;
	make_pipe(fds);
	close_now(&fds[0]);
	fde = tevent_add_fd(ev, ev, fds[1], TEVENT_FD_WRITE, tell, NULL);
	assert_int_equal(tevent_fd_get_flags(fde), TEVENT_FD_WRITE);
	turns_for(ev, 3);
	assert_int_equal(calls, 0);
	assert_int_equal(tevent_fd_get_flags(fde), 0);
	/* And it does not turn into a busy loop. */
	assert_in_range(count_turns(ev, 20), 1, 3);
}

static void p19_who_asks_for_both_is_told_what_can_be_read(void **state)
{
	struct tevent_context *ev = context();
	int fds[2];

	(void)state;
	make_socketpair(fds);
	tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ | TEVENT_FD_WRITE, tell, NULL);
	close_now(&fds[1]);
	once(ev);
	assert_true(told & TEVENT_FD_READ);
}

static void p19_the_error_flag(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2], more[2];

	(void)state;
	make_pipe(fds);
	close_now(&fds[0]);
	fde = tevent_add_fd(ev, ev, fds[1], TEVENT_FD_WRITE | TEVENT_FD_ERROR, tell, NULL);
	once(ev);
	assert_int_equal(told, TEVENT_FD_WRITE | TEVENT_FD_ERROR);
	assert_int_equal(tevent_fd_get_flags(fde), TEVENT_FD_WRITE | TEVENT_FD_ERROR);
	talloc_free(fde);
	forget();
	make_socketpair(more);
	tevent_add_fd(ev, ev, more[0], TEVENT_FD_READ | TEVENT_FD_ERROR, tell, NULL);
	close_now(&more[1]);
	once(ev);
	assert_int_equal(told, TEVENT_FD_READ | TEVENT_FD_ERROR);
}

static void p19_the_error_flag_alone(void **state)
{
	struct tevent_context *ev = context();
	int fds[2];

	(void)state;
	make_socketpair(fds);
	poke(fds[1]);
	tevent_add_fd(ev, ev, fds[0], TEVENT_FD_ERROR, tell, NULL);
	turns_for(ev, 3);
	assert_int_equal(calls, 0);
	close_now(&fds[1]);
	once(ev);
	assert_int_equal(told, TEVENT_FD_ERROR);
}

/* A socket that was never connected hangs up, and works once it is connected. */
static void an_error_that_went_away(const char *name)
{
	struct tevent_context *ev = tevent_context_init_byname(root(), name);
	struct sockaddr_in address;
	struct tevent_fd *fde;
	int server = inet_socket(SOCK_STREAM, &address), client = inet_socket(SOCK_STREAM, NULL);

	assert_non_null(ev);
	assert_int_equal(listen(server, 1), 0);
	fde = tevent_add_fd(ev, ev, client, TEVENT_FD_WRITE, tell, NULL);
	turns_for(ev, 3);
	assert_int_equal(calls, 0);
	assert_int_equal(tevent_fd_get_flags(fde), 0);
	connect(client, (struct sockaddr *)&address, sizeof(address));
	tevent_fd_set_flags(fde, TEVENT_FD_WRITE);
	turns_for(ev, 20);
	close(server);
	close(client);
	assert_true(calls > 0);
	assert_int_equal(told, TEVENT_FD_WRITE);
}

static void p20_epoll_forgets_an_error_that_went_away(void **state)
{
	(void)state;
	an_error_that_went_away("epoll");
}

static void p20_poll_forgets_an_error_that_went_away(void **state)
{
	(void)state;
	an_error_that_went_away("poll");
}

static void p20_an_error_that_stays_clears_the_flag_again(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2];

	(void)state;
	make_pipe(fds);
	close_now(&fds[0]);
	fde = tevent_add_fd(ev, ev, fds[1], TEVENT_FD_WRITE, tell, NULL);
	turns_for(ev, 3);
	assert_int_equal(tevent_fd_get_flags(fde), 0);
	tevent_fd_set_flags(fde, TEVENT_FD_WRITE);
	turns_for(ev, 3);
	assert_int_equal(tevent_fd_get_flags(fde), 0);
	assert_int_equal(calls, 0);
}

static void p21_writing_goes_on_after_the_peer_has_said_its_last_word(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2];

	(void)state;
	make_socketpair(fds);
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, tell, NULL);
	assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
	once(ev);
	assert_int_equal(told, TEVENT_FD_READ);
	tevent_fd_set_flags(fde, TEVENT_FD_WRITE);
	forget();
	turns_for(ev, 3);
	assert_true(calls > 0);
	assert_int_equal(told, TEVENT_FD_WRITE);
}

static void p22_an_icmp_error_reads_as_no_data(void **state)
{
	struct tevent_context *ev = context();
	struct sockaddr_in address;
	int nobody = inet_socket(SOCK_DGRAM, &address), fd = inet_socket(SOCK_DGRAM, NULL);
	char byte;
	ssize_t got;
	int err;

	(void)state;
	close(nobody);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	tevent_add_fd(ev, ev, fd, TEVENT_FD_READ, tell, NULL);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	turns_for(ev, 20);
	got = recv(fd, &byte, 1, 0);
	err = errno;
	close(fd);
	assert_true(calls > 0);
	assert_int_equal(told, TEVENT_FD_READ);
	assert_int_equal(got, -1);
	assert_int_equal(err, ECONNREFUSED);
}

static int tally[8];

static void count_it(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *p)
{
	int *count = p;

	(void)ev, (void)fde, (void)flags;
	(*count)++;
	note("%d", (int)(count - tally));
}

static void p23_ready_descriptors_take_turns(void **state)
{
	struct tevent_context *ev = context();
	int fds[2], i;

	(void)state;
	for (i = 0; i < 4; i++) {
		make_pipe(fds);
		poke(fds[1]);
		tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, count_it, &tally[i]);
	}
	turns(ev, 40);
	for (i = 0; i < 4; i++)
		assert_int_equal(tally[i], 10);
	/* Strictly one after the other, whoever began. */
	assert_memory_equal(notes(), notes() + strlen("0 1 2 3 "), strlen(notes()) / 2);
}

static void fill(int fd)
{
	static const char block[4096];

	while (write(fd, block, sizeof(block)) > 0)
		;
}

static void p24_one_reads_and_another_writes(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *reader, *writer;
	int fds[2];

	(void)state;
	make_socketpair(fds);
	fill(fds[0]);
	poke(fds[1]);
	reader = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "read");
	writer = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_WRITE, note_fd, "write");
	once(ev);
	assert_notes("read");
	drain(fds[0]);
	drain(fds[1]);
	once(ev);
	assert_notes("read write");
	talloc_free(writer);
	poke(fds[1]);
	once(ev);
	assert_notes("read write read");
	tevent_fd_set_flags(reader, TEVENT_FD_WRITE);
	once(ev);
	assert_notes("read write read read");
}

static void p24_any_number_on_one_descriptor_in_turn(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde[3];
	int fds[2], i;

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	for (i = 0; i < 3; i++)
		fde[i] = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, count_it, &tally[i]);
	turns(ev, 12);
	for (i = 0; i < 3; i++)
		assert_int_equal(tally[i], 4);
	assert_memory_equal(notes(), notes() + strlen("0 1 2 "), strlen(notes()) / 2);
	talloc_free(fde[0]);
	turns(ev, 4);
	assert_int_equal(tally[0], 4);
	assert_int_equal(tally[1], 6);
	assert_int_equal(tally[2], 6);
	tevent_fd_set_flags(fde[1], 0);
	turns(ev, 4);
	assert_int_equal(tally[1], 6);
	assert_int_equal(tally[2], 10);
}

static void p24_plain_epoll_takes_three_on_one_descriptor(void **state)
{
	struct tevent_context *ev = tevent_context_init_byname(root(), "epoll");
	int fds[2], i;

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	for (i = 0; i < 3; i++)
		tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, count_it, &tally[i]);
	turns(ev, 6);
	for (i = 0; i < 3; i++)
		assert_int_equal(tally[i], 2);
}

static void p25_closing_first_disarms_and_the_loop_goes_on(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2], good[2];

	(void)state;
	make_pipe(fds);
	make_pipe(good);
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, tell, NULL);
	tevent_add_fd(ev, ev, good[0], TEVENT_FD_READ, note_fd, "good");
	close_now(&fds[0]);
	/* Some change that the kernel has to be told. */
	tevent_fd_set_flags(fde, TEVENT_FD_READ | TEVENT_FD_WRITE);
	turns_for(ev, 3);
	assert_int_equal(tevent_fd_get_flags(fde), 0);
	assert_int_equal(calls, 0);
	poke(good[1]);
	once(ev);
	assert_notes("good");
	assert_in_range((drain(good[0]), count_turns(ev, 20)), 1, 3);
	assert_int_equal(talloc_free(fde), 0);
}

/* Whoever set no debug function hears nothing. */
static void p25_nothing_is_written_to_stderr(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int error = dup(2), fds[2], text[2];
	char c;

	(void)state;
	make_pipe(fds);
	make_pipe(text);
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, tell, NULL);
	assert_int_equal(dup2(text[1], 2), 2);
	close_now(&fds[0]);
	tevent_fd_set_flags(fde, TEVENT_FD_READ | TEVENT_FD_WRITE);
	turns_for(ev, 3);
	talloc_free(fde);
	assert_int_equal(dup2(error, 2), 2);
	close(error);
	errno = 0;
	assert_int_equal(read(text[0], &c, 1), -1);
	assert_int_equal(errno, EAGAIN);
}

static void p25_freeing_after_closing_harms_nobody(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2], good[2];

	(void)state;
	make_pipe(fds);
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, tell, NULL);
	close_now(&fds[0]);
	assert_int_equal(talloc_free(fde), 0);
	make_pipe(good);
	poke(good[1]);
	tevent_add_fd(ev, ev, good[0], TEVENT_FD_READ, note_fd, "good");
	once(ev);
	assert_notes("good");
}

static void p26_what_epoll_refuses_is_ready(void **state)
{
	struct tevent_context *ev = tevent_context_init_byname(root(), "standard");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC), fds[2];
	struct tevent_fd *fde;

	(void)state;
	assert_true(null >= 0 && file >= 0);
	make_pipe(fds);
	tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "pipe");
	fde = tevent_add_fd(ev, ev, null, TEVENT_FD_WRITE, tell, NULL);
	assert_non_null(fde);
	once(ev);
	assert_int_equal(told, TEVENT_FD_WRITE);
	talloc_free(fde);
	forget();
	fde = tevent_add_fd(ev, ev, file, TEVENT_FD_READ, tell, NULL);
	assert_non_null(fde);
	once(ev);
	assert_int_equal(told, TEVENT_FD_READ);
	assert_notes("");
	/* The others are still watched. */
	talloc_free(fde);
	poke(fds[1]);
	once(ev);
	assert_notes("pipe");
	close(null);
	close(file);
}

static void trace_fd(struct tevent_fd *fde, enum tevent_event_trace_point point, void *p)
{
	(void)fde, (void)p;
	note(point == TEVENT_EVENT_TRACE_ATTACH      ? "attach"
		: point == TEVENT_EVENT_TRACE_DETACH ? "detach"
						     : "before");
}

static void close_and_look(struct tevent_context *ev, struct tevent_fd *fde, int fd, void *p)
{
	struct tevent_context **expected = p;

	assert_ptr_equal(ev, *expected);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	note("close");
	(void)fde;
	close(fd);
}

static void p27_the_close_function_comes_last(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	tevent_set_trace_fd_callback(ev, trace_fd, NULL);
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, &ev);
	tevent_fd_set_close_fn(fde, close_and_look);
	assert_notes("attach");
	talloc_free(fde);
	assert_notes("attach detach close");
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	close(fds[1]);
}

static void p27_auto_close(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, tell, NULL);
	tevent_fd_set_auto_close(fde);
	tevent_fd_set_auto_close(tevent_add_fd(ev, ev, fds[1], 0, tell, NULL));
	talloc_free(fde);
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	/* The other goes with the context. */
	talloc_free(ev);
	assert_int_equal(fcntl(fds[1], F_GETFD), -1);
}

static void p28_the_kernel_knows_at_once_what_is_free(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2], copy, number;

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, tell, NULL);
	once(ev);
	copy = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
	number = fds[0];
	talloc_free(fde);
	close_now(&fds[0]);
	forget();
	/* The open file lives on in the copy: had it stayed in the kernel's set, this would spin.
	 */
	assert_in_range(count_turns(ev, 20), 1, 2);
	/* The number comes back as another file, and that one is watched. */
	make_pipe(fds);
	assert_int_equal(fds[0], number);
	tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "new");
	turns_for(ev, 3);
	assert_notes("");
	poke(fds[1]);
	once(ev);
	assert_notes("new");
	assert_int_equal(calls, 0);
	close(copy);
}

static void p28_freed_and_closed_between_two_turns(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2], copy;

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	/* Never looped in between. */
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, tell, NULL);
	copy = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
	talloc_free(fde);
	close_now(&fds[0]);
	assert_in_range(count_turns(ev, 20), 1, 2);
	assert_int_equal(calls, 0);
	close(copy);
}

static void p28_disabled_and_closed_between_two_turns(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2], copy;

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, tell, NULL);
	once(ev);
	forget();
	tevent_fd_set_flags(fde, 0);
	copy = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
	close_now(&fds[0]);
	assert_in_range(count_turns(ev, 20), 1, 2);
	assert_int_equal(calls, 0);
	talloc_free(fde);
	close(copy);
}

static struct tevent_fd *other;

static void disable_other(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *p)
{
	(void)ev, (void)flags;
	note("%s", (const char *)p);
	tevent_fd_set_flags(other, 0);
	tevent_fd_set_flags(fde, 0);
}

static void p28_a_change_in_one_handler_counts_for_the_next(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *first;
	int a[2], b[2];

	(void)state;
	make_pipe(a);
	make_pipe(b);
	poke(a[1]);
	poke(b[1]);
	first = tevent_add_fd(ev, ev, a[0], TEVENT_FD_READ, disable_other, "x");
	other = tevent_add_fd(ev, ev, b[0], TEVENT_FD_READ, disable_other, "x");
	once(ev);
	tevent_fd_set_flags(first, 0);
	turns_for(ev, 5);
	assert_notes("x");
}

static const struct point_test tests[] = {
	BOTH(p17_flags_of_nothing),
	BOTH(p17_a_detached_descriptor_is_never_told),
	BOTH(p17_no_descriptor_below_zero),
	BOTH(p17_without_a_parent_it_belongs_to_the_context),
	BOTH(p18_both_directions_in_one_call),
	BOTH(p19_a_hang_up_is_told_to_the_reader),
	BOTH(p19_the_writer_alone_is_not_told_of_an_error),
	BOTH(p19_who_asks_for_both_is_told_what_can_be_read),
	NEWER(p19_the_error_flag),
	NEWER(p19_the_error_flag_alone),
	MENDED(p20_epoll_forgets_an_error_that_went_away),
	BOTH(p20_poll_forgets_an_error_that_went_away),
	MENDED(p20_an_error_that_stays_clears_the_flag_again),
	BOTH(p21_writing_goes_on_after_the_peer_has_said_its_last_word),
	BOTH(p22_an_icmp_error_reads_as_no_data),
	BOTH(p23_ready_descriptors_take_turns),
	BOTH(p24_one_reads_and_another_writes),
	NEWER(p24_any_number_on_one_descriptor_in_turn),
	MENDED(p24_plain_epoll_takes_three_on_one_descriptor),
	BOTH(p25_closing_first_disarms_and_the_loop_goes_on),
	BOTH(p25_nothing_is_written_to_stderr),
	BOTH(p25_freeing_after_closing_harms_nobody),
	BOTH(p26_what_epoll_refuses_is_ready),
	BOTH(p27_the_close_function_comes_last),
	BOTH(p27_auto_close),
	BOTH(p28_the_kernel_knows_at_once_what_is_free),
	BOTH(p28_freed_and_closed_between_two_turns),
	BOTH(p28_disabled_and_closed_between_two_turns),
	BOTH(p28_a_change_in_one_handler_counts_for_the_next),
};

POINTS_MAIN(tests)
