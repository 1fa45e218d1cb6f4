/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floor: the same work on bare system calls, with nothing that a library would add. The variant
 * is epoll, edge (epoll, edge-triggered) or poll.
 */
#include <poll.h>
#include <sys/epoll.h>
#include "bench/echo.h"

static int epfd;
static uint32_t in_events;
static struct epoll_event ready[1024];

static void start(void)
{
	epfd = epoll_create1(EPOLL_CLOEXEC);
	need(epfd >= 0);
	in_events = EPOLLIN | (strcmp(variant, "edge") == 0 ? EPOLLET : 0u);
}

static void watch(int fd, uint64_t data)
{
	struct epoll_event event = {.events = in_events, .data.u64 = data};

	need(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void poll_pipes(void)
{
	struct pollfd *fds = calloc(n_pipes, sizeof(*fds));

	need(fds != NULL);
	for (unsigned i = 0; i < n_pipes; i++)
		fds[i] = (struct pollfd){.fd = pipes[i][0], .events = POLLIN};
	start_round();
	for (;;) {
		int n = poll(fds, n_pipes, -1);

		need(n > 0);
		for (unsigned i = 0; n > 0; i++) {
			if (fds[i].revents == 0)
				continue;
			if (pass_on(i))
				return;
			n--;
		}
	}
}

static void pipes_row(void)
{
	start();
	make_pipes();
	if (strcmp(variant, "poll") == 0) {
		poll_pipes();
		return;
	}
	for (unsigned i = 0; i < n_pipes; i++)
		watch(pipes[i][0], i);
	start_round();
	for (;;) {
		int n = epoll_wait(epfd, ready, 1024, -1);

		for (int k = 0; k < n; k++)
			if (pass_on(ready[k].data.u32))
				return;
	}
}

/* Two system calls for each pair. */
static void toggle(bool on)
{
	struct epoll_event event = {.events = EPOLLIN | (on ? EPOLLOUT : 0u)};

	need(epoll_ctl(epfd, EPOLL_CTL_MOD, watched[0], &event) == 0);
}

static void toggle_row(void)
{
	start();
	make_watched(1);
	watch(watched[0], 0);
	toggle_interest(toggle);
}

static void add_watcher(unsigned i)
{
	watch(watched[i], i);
}

static void drop_watcher(unsigned i)
{
	need(epoll_ctl(epfd, EPOLL_CTL_DEL, watched[i], NULL) == 0);
}

static void turn(void)
{
	epoll_wait(epfd, ready, 1024, 0);
}

static void watchers_row(void)
{
	start();
	add_and_drop(add_watcher, drop_watcher, turn);
}

static void serve(bool tcp)
{
	start();
	start_client(tcp);
	for (unsigned i = 0; i < connections; i++)
		watch(server_ends[i], (uint64_t)server_ends[i]);
	for (bool over = false; !over;) {
		int n = epoll_wait(epfd, ready, 1024, -1);

		for (int k = 0; k < n; k++)
			if (!echo(ready[k].data.fd))
				over = connection_over(ready[k].data.fd);
	}
	end_echo();
}

static void echo_unix_row(void)
{
	serve(false);
}

static void echo_tcp_row(void)
{
	serve(true);
}

/* The queue, and an eventfd that is written when the receiver may be asleep. */
static int wake_fd;

static void wake(void)
{
	need(eventfd_write(wake_fd, 1) == 0);
}

static void messages_row(void)
{
	make_senders();
	start();
	wake_fd = silent_fd();
	in_events |= EPOLLET; /* and never read */
	watch(wake_fd, 0);
	wake_receiver = wake;
	start_senders(send_by_queue);
	do
		epoll_wait(epfd, ready, 1024, -1);
	while (!receive_queue());
	end_senders();
}

static struct side {
	int epfd, fd;
	struct side *other;
} sides[2];

static void *play(void *p)
{
	struct side *side = p;
	struct epoll_event event;

	for (bool more = true; more;) {
		need(epoll_wait(side->epfd, &event, 1, -1) == 1);
		more = hop();
		need(eventfd_write(side->other->fd, 1) == 0);
	}
	return NULL;
}

static void pingpong_row(void)
{
	void *thread;

	for (int i = 0; i < 2; i++) {
		struct epoll_event event = {.events = EPOLLIN | EPOLLET};

		sides[i] = (struct side){epoll_create1(0), silent_fd(), &sides[!i]};
		need(epoll_ctl(sides[i].epfd, EPOLL_CTL_ADD, sides[i].fd, &event) == 0);
	}
	thread = other_loop(play, &sides[1]);
	wake_fd = sides[0].fd;
	wake();
	play(&sides[0]);
	end_hops(thread);
}

static const struct row rows[] = {
	{"pipes", pipes_row},
	{"toggle", toggle_row},
	{"watchers", watchers_row},
	{"echo_unix", echo_unix_row},
	{"echo_tcp", echo_tcp_row},
	{"messages", messages_row},
	{"pingpong", pingpong_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows);
}
