/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: the daemon is a process of its own, tests/demo/demo.sh has it under valgrind
 */
#include "harness.h"

static int client(struct dut *d)
{
	int fd = connect_unix(d->control);

	if (fd == -1)
		give_up(d, "connect: %s", strerror(errno));
	return fd;
}

/* What is sent may be more than the daemon takes; it may also close in the middle of it. */
static void answers(struct dut *d, const char *request, size_t length, const char *answer)
{
	char got[256] = "";
	int fd = client(d);

	(void)!send(fd, request, length, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	got[read_all(fd, got, sizeof(got) - 1)] = '\0';
	if (strcmp(got, answer) != 0)
		give_up(d, "the answer is \"%s\", expected \"%s\"", got, answer);
	close(fd);
	ctl_ok(d, "ping");
}

static void what_is_no_request_gets_an_error(void **state)
{
	struct dut *d = *state;
	char big[9000];
	size_t i;

	conf_write(d, "%s", "");
	start(d);
	answers(d, "", 0, "");
	answers(d, "\n", 1, "ERR 14\nempty request\n");
	answers(d, "   \n", 4, "ERR 14\nempty request\n");
	answers(d, "dance\n", 6, "ERR 22\nunknown command dance\n");
	answers(d, "list all\n", 9, "ERR 13\nusage: list \n");
	answers(d, "load\n", 5, "ERR 26\nusage: load PLUGIN [FILE]\n");
	answers(d, "events --xml\n", 13, "ERR 31\nevents knows --json, not --xml\n");
	answers(d, "li", 2, "ERR 23\nthe request has no end\n");
	answers(d, "list\0\n", 6, "ERR 24\nthe request is not text\n");
	answers(d, "\x1b[2J\n", 5, "ERR 24\nthe request is not text\n");
	answers(d, "1 2 3 4 5 6 7 8 9 10 11\n", 24, "ERR 18\nunknown command 1\n");
	memset(big, 'a', sizeof(big));
	answers(d, big, sizeof(big), "ERR 24\nthe request is too long\n");
	answers(d, big, 4096, "ERR 24\nthe request is too long\n");
	for (i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7919 >> 3);
	big[0] = 1;
	big[60] = '\n';
	answers(d, big, sizeof(big), "ERR 24\nthe request is not text\n");
	stop(d);
}

static void a_request_may_come_in_pieces(void **state)
{
	struct dut *d = *state;
	static const char request[] = "load nothing\n";
	char got[8];
	size_t i;
	int fd;

	conf_write(d, "%s", "");
	start(d);
	fd = client(d);
	for (i = 0; i < strlen(request); i++) {
		assert_int_equal(send(fd, request + i, 1, 0), 1);
		ctl_ok(d, "ping");
	}
	assert_int_equal(read_all(fd, got, 4), 4);
	assert_memory_equal(got, "ERR ", 4);
	close(fd);
	stop(d);
}

static void the_longest_request_is_taken(void **state)
{
	struct dut *d = *state;
	char line[4096], got[64];
	int fd;

	conf_write(d, "%s", "");
	start(d);
	memset(line, ' ', sizeof(line));
	memcpy(line, "list", 4);
	line[sizeof(line) - 1] = '\n';
	fd = client(d);
	assert_int_equal(send(fd, line, sizeof(line), 0), sizeof(line));
	assert_int_equal(read_all(fd, got, 5), 5);
	assert_memory_equal(got, "OK 0\n", 5);
	close(fd);
	stop(d);
}

static void many_requests_are_answered_in_order(void **state)
{
	struct dut *d = *state;
	static const char requests[] = "ping\nlist\nnonsense\nlist\n";
	char got[256] = "";
	char *nonsense;
	int fd;

	conf_write(d, "%s", "");
	start(d);
	fd = client(d);
	assert_int_equal(send(fd, requests, strlen(requests), 0), strlen(requests));
	shutdown(fd, SHUT_WR);
	got[read_all(fd, got, sizeof(got) - 1)] = '\0';
	nonsense = strstr(got, "OK 0\nERR 25\nunknown command nonsense\nOK 0\n");
	assert_non_null(strstr(got, "OK "));
	assert_non_null(strstr(got, "\ntalevd "));
	assert_non_null(nonsense);
	assert_int_equal(
		strlen(nonsense), strlen("OK 0\nERR 25\nunknown command nonsense\nOK 0\n"));
	close(fd);
	stop(d);
}

/* Sends requests until nothing more fits; the daemon then holds one answer, and a second later
 * the connection is gone. */
static void a_client_that_does_not_read_is_left_behind(void **state)
{
	struct dut *d = *state;
	char request[700];
	size_t i, sent = 0;
	long before;
	ssize_t n;
	int fd;

	conf_write(d, "timeout = 1\n[ticker]\nperiod = 10m\n");
	start(d);
	for (i = 0; i < sizeof(request); i += 7)
		memcpy(request + i, "events\n", 7);
	before = memory_of(d->pid);
	fd = client(d);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while ((n = send(fd, request, sizeof(request), MSG_NOSIGNAL)) > 0 ||
		(n == -1 && errno == EAGAIN && wait_ready(fd, POLLOUT, 300) == 1)) {
		sent += n > 0 ? (size_t)n : 0;
		if (sent > (16u << 20))
			give_up(d, "the daemon took %zu bytes of requests", sent);
		if (n == -1 && memory_of(d->pid) > before + 20000)
			give_up(d, "the daemon grew by %ld KiB", memory_of(d->pid) - before);
	}
	ctl_ok(d, "list");
	expect(d, "a client does not take its answer");
	assert_int_equal(wait_ready(fd, POLLHUP, PATIENCE_MS), 1);
	close(fd);
	stop(d);
}

static void an_idle_client_is_disconnected(void **state)
{
	struct dut *d = *state;
	char byte;
	int fd;

	conf_write(d, "timeout = 1\n");
	start(d);
	fd = client(d);
	assert_int_equal(send(fd, "li", 2, 0), 2);
	assert_int_equal(read_all(fd, &byte, 1), 0);
	close(fd);
	stop(d);
}

static void there_are_no_more_clients_than_allowed(void **state)
{
	struct dut *d = *state;
	char got[64] = "", answer[256];
	int fds[3], i;

	conf_write(d, "clients = 3\n");
	start(d);
	for (i = 0; i < 3; i++) {
		fds[i] = client(d);
		assert_int_equal(send(fds[i], "list\n", 5, 0), 5);
		assert_int_equal(read_all(fds[i], got, 5), 5);
	}
	i = client(d);
	got[read_all(i, got, sizeof(got) - 1)] = '\0';
	assert_string_equal(got, "ERR 17\ntoo many clients\n");
	close(i);
	close(fds[0]);
	/* Sooner or later the daemon notices. */
	while (ctl(d, answer, sizeof(answer), "list") != 0)
		assert_string_equal(answer, "talevctl: too many clients\n");
	close(fds[1]);
	close(fds[2]);
	stop(d);
}

static void a_client_that_goes_while_it_waits_leaves_nothing(void **state)
{
	struct dut *d = *state;
	int i, fd;

	conf_write(d, "[ticker]\nperiod = 10m\n");
	start(d);
	for (i = 0; i < 50; i++) {
		fd = client(d);
		assert_int_equal(send(fd, "reload ticker\n", 14, 0), 14);
		close(fd);
	}
	ctl_ok(d, "list");
	stop(d);
}

static void only_root_and_the_own_user_get_in(void **state)
{
	struct dut *d = *state;
	struct stat st;
	char got[64];
	int status;
	pid_t pid;

	conf_write(d, "%s", "");
	start(d);
	assert_int_equal(stat(d->control, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	if (geteuid() != 0) {
		stop(d);
		skip();
	}
	chmod(d->dir, 0755);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0)
		_exit(setuid(65534) == -1 || connect_unix(d->control) != -1 || errno != EACCES);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	/* Even if somebody opened the path to all. */
	chmod(d->control, 0666);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		int fd = setuid(65534) == 0 ? connect_unix(d->control) : -1;

		memset(got, 0, sizeof(got));
		if (fd == -1 || send(fd, "stop\n", 5, MSG_NOSIGNAL) == 0 ||
			read_all(fd, got, sizeof(got) - 1) == 0)
			_exit(2);
		_exit(strcmp(got, "ERR 26\nthis is not for your user\n") != 0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	expect(d, "control: refused uid 65534");
	ctl_ok(d, "ping");
	stop(d);
}

static void talevctl_tells_by_its_exit_status(void **state)
{
	struct dut *d = *state;
	char answer[4096];

	conf_write(d, "%s", "");
	start(d);
	assert_int_equal(ctl(d, answer, sizeof(answer), "ping"), 0);
	assert_int_equal(ctl(d, answer, sizeof(answer), "tree nobody"), 1);
	assert_int_equal(ctl(d, answer, sizeof(answer), "dance"), 2);
	assert_string_equal(
		answer, "talevctl: there is no command dance, talevctl -h lists them\n");
	assert_int_equal(ctl(d, answer, sizeof(answer), "load"), 2);
	assert_string_equal(answer, "usage: talevctl [-s SOCKET] load PLUGIN [FILE]\n");
	assert_int_equal(ctl(d, answer, sizeof(answer), "load 'a b'"), 2);
	assert_int_equal(ctl(d, answer, sizeof(answer), "-x"), 2);
	assert_int_equal(ctl(d, answer, sizeof(answer), "stop"), 0);
	assert_int_equal(finish(d), 0);
	assert_int_equal(ctl(d, answer, sizeof(answer), "ping"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		daemon_test(what_is_no_request_gets_an_error),
		daemon_test(a_request_may_come_in_pieces),
		daemon_test(the_longest_request_is_taken),
		daemon_test(many_requests_are_answered_in_order),
		daemon_test(a_client_that_does_not_read_is_left_behind),
		daemon_test(an_idle_client_is_disconnected),
		daemon_test(there_are_no_more_clients_than_allowed),
		daemon_test(a_client_that_goes_while_it_waits_leaves_nothing),
		daemon_test(only_root_and_the_own_user_get_in),
		daemon_test(talevctl_tells_by_its_exit_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
