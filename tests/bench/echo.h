/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * P17 and P18: a server on the library that is measured, on arg[0] connections, and in a process of
 * its own a client that has one message of 64 bytes in flight on each, until arg[1] have come back.
 * The client looks at one connection after the other and never sleeps, so that no answer has to
 * wake it and the server is what limits; it compares every byte.
 */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "bench/threads.h"

#define MESSAGE 64

struct parcel {
	uint64_t words[MESSAGE / 8];
};

static unsigned connections;
static int *server_ends; /* nonblocking */
static int client_says;
static pid_t client;

static inline void fill_message(struct parcel *m, unsigned connection, uint64_t number)
{
	for (unsigned k = 0; k < MESSAGE / 8; k++)
		m->words[k] = number * 0x9e3779b97f4a7c15u + connection + k;
}

static inline void send_message(int fd, unsigned connection, uint64_t number)
{
	struct parcel m;

	fill_message(&m, connection, number);
	need(send(fd, &m, MESSAGE, MSG_NOSIGNAL) == MESSAGE);
}

static inline void run_client(const int *ends, int out)
{
	uint64_t *numbers = calloc(connections, sizeof(*numbers));
	uint64_t all = arg[1], back = 0, counted_from = all / 10;
	int64_t start = 0;

	need(numbers != NULL);
	for (unsigned i = 0; i < connections; i++)
		send_message(ends[i], i, 0);
	while (back < all) {
		for (unsigned i = 0; i < connections && back < all; i++) {
			struct parcel got, wanted;
			ssize_t n = recv(ends[i], &got, MESSAGE, MSG_DONTWAIT);

			if (n < 0 && errno == EAGAIN)
				continue;
			need(n == MESSAGE);
			fill_message(&wanted, i, numbers[i]);
			need(memcmp(&got, &wanted, MESSAGE) == 0);
			if (++back == counted_from)
				start = nanoseconds();
			send_message(ends[i], i, ++numbers[i]);
		}
	}
	double result[2] = {(double)(nanoseconds() - start), (double)(all - counted_from)};
	need(write(out, result, sizeof(result)) == sizeof(result));
	_exit(0);
}

static inline void connect_tcp(int listener, int ends[2])
{
	struct sockaddr_in to;
	socklen_t size = sizeof(to);
	int one = 1;

	need(getsockname(listener, (struct sockaddr *)&to, &size) == 0);
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(ends[0] >= 0 && connect(ends[0], (struct sockaddr *)&to, size) == 0);
	ends[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	need(ends[1] >= 0);
	for (int i = 0; i < 2; i++)
		need(setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
}

/* Makes the connections and starts the client. */
static inline void start_client(bool tcp)
{
	int listener = -1, out[2], *ends;

	connections = (unsigned)arg[0];
	server_ends = calloc(connections, sizeof(int));
	ends = calloc(connections, sizeof(int));
	need(server_ends && ends && pipe(out) == 0);
	if (tcp) {
		struct sockaddr_in any = {
			.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

		listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		need(listener >= 0 && bind(listener, (struct sockaddr *)&any, sizeof(any)) == 0);
		need(listen(listener, 16) == 0);
	}
	for (unsigned i = 0; i < connections; i++) {
		int pair[2];

		if (tcp)
			connect_tcp(listener, pair);
		else
			need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
		ends[i] = pair[0];
		server_ends[i] = pair[1];
		need(fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0);
	}
	on_cpu(0);
	client = fork();
	need(client >= 0);
	if (client == 0) {
		on_cpu(1);
		for (unsigned i = 0; i < connections; i++)
			close(server_ends[i]);
		run_client(ends, out[1]);
	}
	close(out[1]);
	for (unsigned i = 0; i < connections; i++)
		close(ends[i]);
	client_says = out[0];
	begin();
}

/* The connection is readable: sends back what there is. False: it is over, take it away. */
static inline bool echo(int fd)
{
	char bytes[4096];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	return send(fd, bytes, (size_t)n, MSG_NOSIGNAL) == n;
}

/* A connection is over. True: it was the last. */
static inline bool connection_over(int fd)
{
	static unsigned over;

	if (fd >= 0)
		close(fd);
	return ++over == connections;
}

static inline void end_echo(void)
{
	double result[2];
	int status;

	end();
	need(read(client_says, result, sizeof(result)) == sizeof(result));
	need(waitpid(client, &status, 0) == client && status == 0);
	tell("rate", result[1] / result[0] * 1e9);
	tell("ns", result[0] / result[1]);
	tell("server_ns", (double)section.cpu / (double)arg[1]);
	tell("count", result[1]);
}

#endif
