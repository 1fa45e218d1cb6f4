/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: the daemon is a process of its own, tests/demo/demo.sh has it under valgrind
 */
#include "harness.h"

#include <sys/resource.h>

#define ECHO "[echo]\nlisten = 127.0.0.1:0 unix:%s/echo\n"

static int port_of(struct dut *d)
{
	return atoi(expect(d, "echo: listening on 127.0.0.1:"));
}

static int client(struct dut *d, int port)
{
	int fd = connect_port(port);

	if (fd == -1)
		give_up(d, "connect: %s", strerror(errno));
	return fd;
}

static void echoes(int fd, const char *text)
{
	char got[64];

	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	assert_int_equal(read_all(fd, got, strlen(text)), strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

static void start_echo(struct dut *d, int *port)
{
	start(d);
	d->seen = 0;
	*port = port_of(d);
}

static void many_clients_get_their_own_back(void **state)
{
	struct dut *d = *state;
	int fds[200], port, i;
	char text[32], path[96];

	conf_write(d, ECHO, d->dir);
	start_echo(d, &port);
	for (i = 0; i < 200; i++)
		fds[i] = client(d, port);
	for (i = 199; i >= 0; i--) {
		snprintf(text, sizeof(text), "I am number %d", i);
		echoes(fds[i], text);
	}
	for (i = 0; i < 200; i++)
		close(fds[i]);
	snprintf(path, sizeof(path), "%s/echo", d->dir);
	i = connect_unix(path);
	assert_true(i != -1);
	echoes(i, "over there");
	close(i);
	stop(d);
	assert_int_equal(access(path, F_OK), -1);
}

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 31 + (i >> 12));
}

/* What was sent until nothing more went. */
static size_t send_until_full(struct dut *d, int fd)
{
	static char block[65536];
	size_t sent = 0, i;
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (;;) {
		for (i = 0; i < sizeof(block); i++)
			block[i] = (char)pattern(sent + i);
		n = send(fd, block, sizeof(block), MSG_NOSIGNAL);
		if (n > 0)
			sent += (size_t)n;
		else if (n == -1 && errno != EAGAIN)
			give_up(d, "send: %s", strerror(errno));
		else if (wait_ready(fd, POLLOUT, 500) == 0)
			return sent;
		if (sent > (64u << 20))
			give_up(d, "echo took %zu bytes that nobody read", sent);
	}
}

static void a_slow_reader_loses_nothing_and_takes_no_memory(void **state)
{
	struct dut *d = *state;
	static char got[65536];
	size_t sent, have = 0, i, n;
	int port, slow, quick;
	long before;

	conf_write(d, ECHO, d->dir);
	start_echo(d, &port);
	slow = client(d, port);
	quick = client(d, port);
	echoes(quick, "warm up");
	before = memory_of(d->pid);
	sent = send_until_full(d, slow);
	if (memory_of(d->pid) > before + 4096)
		give_up(d, "echo grew by %ld KiB", memory_of(d->pid) - before);
	echoes(quick, "meanwhile");
	shutdown(slow, SHUT_WR);
	while ((n = read_all(slow, got, sizeof(got))) > 0) {
		for (i = 0; i < n; i++)
			if ((unsigned char)got[i] != pattern(have + i))
				give_up(d, "byte %zu is wrong", have + i);
		have += n;
	}
	assert_int_equal(have, sent);
	close(slow);
	close(quick);
	stop(d);
}

static void unload_ends_fifty_busy_clients_at_once(void **state)
{
	struct dut *d = *state;
	int fds[50], port, i;
	char got[4096];

	conf_write(d, ECHO "[ticker]\nperiod = 10m\n", d->dir);
	start_echo(d, &port);
	for (i = 0; i < 50; i++) {
		fds[i] = client(d, port);
		echoes(fds[i], "hello");
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
	}
	for (i = 0; i < 50; i++)
		while (send(fds[i], got, sizeof(got), MSG_NOSIGNAL) > 0)
			;
	ctl_ok(d, "unload echo");
	assert_int_equal(connect_port(port), -1);
	for (i = 0; i < 50; i++) {
		while (read_all(fds[i], got, sizeof(got)) == sizeof(got))
			;
		close(fds[i]);
	}
	assert_int_equal(ctl(d, got, sizeof(got), "events"), 0);
	/* No source has it as its name; how long it took is still known, at the beginning of a
	 * line. */
	assert_null(strstr(got, " client_ready"));
	assert_int_equal(ctl(d, got, sizeof(got), "list"), 0);
	assert_null(strstr(got, "echo"));
	ctl_ok(d, "load echo");
	i = client(d, port_of(d));
	echoes(i, "again");
	close(i);
	stop(d);
}

static void a_reload_keeps_the_connections_of_others(void **state)
{
	struct dut *d = *state;
	int port, other_port, i, fd, other;
	char byte;

	conf_write(d, "[echo]\nlisten = 127.0.0.1:0\n[other]\nfile = echo.so\n"
		      "listen = 127.0.0.1:0\n");
	start_echo(d, &port);
	other_port = atoi(expect(d, "other: listening on 127.0.0.1:"));
	other = client(d, other_port);
	echoes(other, "before");
	for (i = 0; i < 5; i++) {
		fd = client(d, port);
		echoes(fd, "short lived");
		ctl_ok(d, "reload echo");
		assert_int_equal(read_all(fd, &byte, 1), 0);
		close(fd);
		port = port_of(d);
		echoes(other, "still there");
	}
	close(other);
	stop(d);
}

static void at_the_limit_of_clients_the_next_one_waits(void **state)
{
	struct dut *d = *state;
	int fds[3], port, i;

	conf_write(d, "[echo]\nlisten = 127.0.0.1:0\nclients = 2\n");
	start_echo(d, &port);
	for (i = 0; i < 3; i++)
		fds[i] = client(d, port);
	echoes(fds[0], "one");
	echoes(fds[1], "two");
	expect(d, "no more clients for a while: there are as many as allowed");
	assert_int_equal(send(fds[2], "three", 5, 0), 5);
	close(fds[0]);
	assert_int_equal(read_all(fds[2], (char[5]){0}, 5), 5);
	close(fds[1]);
	close(fds[2]);
	stop(d);
}

static void without_descriptors_it_says_so_once_and_goes_on(void **state)
{
	struct dut *d = *state;
	struct rlimit few, before;
	int fds[40], port, i;
	char *again;

	conf_write(d, "[echo]\nlisten = 127.0.0.1:0\n");
	start_echo(d, &port);
	assert_int_equal(prlimit(d->pid, RLIMIT_NOFILE, NULL, &before), 0);
	few = before;
	few.rlim_cur = 32;
	assert_int_equal(prlimit(d->pid, RLIMIT_NOFILE, &few, NULL), 0);
	for (i = 0; i < 40; i++)
		fds[i] = client(d, port);
	expect(d, "no more clients for a while: Too many open files");
	echoes(fds[0], "still served");
	assert_int_equal(prlimit(d->pid, RLIMIT_NOFILE, &before, NULL), 0);
	for (i = 0; i < 40; i++)
		echoes(fds[i], "now served");
	again = strstr(d->log, "no more clients");
	assert_null(strstr(again + 1, "no more clients"));
	for (i = 0; i < 40; i++)
		close(fds[i]);
	stop(d);
}

static void a_bad_address_fails_the_load(void **state)
{
	struct dut *d = *state;
	char answer[1024];

	conf_write(d, "[echo]\nlisten = localhost:7\n");
	start(d);
	assert_true(said(d, "echo: error: localhost:7: Invalid argument"));
	assert_int_equal(ctl(d, answer, sizeof(answer), "load echo"), 1);
	assert_string_equal(answer, "talevctl: echo: init: Invalid argument\n");
	stop(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		daemon_test(many_clients_get_their_own_back),
		daemon_test(a_slow_reader_loses_nothing_and_takes_no_memory),
		daemon_test(unload_ends_fifty_busy_clients_at_once),
		daemon_test(a_reload_keeps_the_connections_of_others),
		daemon_test(at_the_limit_of_clients_the_next_one_waits),
		daemon_test(without_descriptors_it_says_so_once_and_goes_on),
		daemon_test(a_bad_address_fails_the_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
