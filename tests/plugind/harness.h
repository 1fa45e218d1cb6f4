/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_PLUGIND_HARNESS_H
#define TESTS_PLUGIND_HARNESS_H

/* A talevd in a directory of its own. What it logs comes through a pipe, so that a test waits for
 * a message and not for time. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define PATIENCE_MS 60000

struct dut {
	char dir[64];
	char conf[96];
	char control[96];
	char pidfile[96];
	pid_t pid;
	int log_fd;
	char log[1 << 20];
	size_t length;
	size_t seen; /* what was waited for lies before */
};

static inline const char *build_dir(void)
{
	const char *dir = getenv("TALEV_BUILD");

	return dir ? dir : "build";
}

static inline void __attribute__((format(printf, 2, 3)))
conf_write(struct dut *d, const char *format, ...)
{
	FILE *file = fopen(d->conf, "w");
	va_list arguments;

	assert_non_null(file);
	fprintf(file, "[talevd]\ncontrol = %s\npidfile = %s\nplugins = %s/plugins\n", d->control,
		d->pidfile, build_dir());
	va_start(arguments, format);
	vfprintf(file, format, arguments);
	va_end(arguments);
	assert_int_equal(fclose(file), 0);
}

static inline const char *test_plugin(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/tests/plugins/%s.so", build_dir(), name);
	return path;
}

static inline void __attribute__((noreturn, format(printf, 2, 3)))
give_up(struct dut *d, const char *format, ...)
{
	va_list arguments;
	char text[1024];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	print_error("the daemon's messages:\n%.*s\n", (int)d->length, d->log);
	fail_msg("%s", text);
	abort();
}

/* False: the daemon closed its end. */
static inline bool log_read(struct dut *d)
{
	struct pollfd pfd = {.fd = d->log_fd, .events = POLLIN};
	ssize_t n;

	if (poll(&pfd, 1, PATIENCE_MS) != 1)
		give_up(d, "no message for %d ms", PATIENCE_MS);
	if (d->length + 1 >= sizeof(d->log))
		give_up(d, "the daemon says too much");
	n = read(d->log_fd, d->log + d->length, sizeof(d->log) - 1 - d->length);
	if (n <= 0)
		return false;
	d->length += (size_t)n;
	d->log[d->length] = '\0';
	return true;
}

/* Waits for a message, among those after the last one that was waited for; gives what follows. */
static inline const char *expect(struct dut *d, const char *text)
{
	const char *found;

	while (!(found = strstr(d->log + d->seen, text)) || !strchr(found, '\n'))
		if (!log_read(d))
			give_up(d, "the daemon ended without saying \"%s\"", text);
	d->seen = (size_t)(found - d->log) + strlen(text);
	return found + strlen(text);
}

static inline bool said(const struct dut *d, const char *text)
{
	return strstr(d->log, text) != NULL;
}

/* Starts a program of the build with its stderr, or all it writes, in the log. */
static inline void run(struct dut *d, bool output, char *const argv[])
{
	char path[512];
	int fds[2];

	snprintf(path, sizeof(path), "%s/%s", build_dir(), argv[0]);
	if (access(path, X_OK) == -1)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	if (d->log_fd != -1)
		close(d->log_fd);
	d->log_fd = fds[0];
	d->length = d->seen = 0;
	d->log[0] = '\0';
	d->pid = fork();
	assert_true(d->pid != -1);
	if (d->pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		if (output)
			dup2(fds[1], STDOUT_FILENO);
		execv(path, argv);
		_exit(127);
	}
	close(fds[1]);
}

static inline int finish(struct dut *d)
{
	int status;

	while (log_read(d))
		;
	assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
	d->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int run_daemon(struct dut *d, const char *option)
{
	char *argv[] = {
		(char[]){"talevd"}, (char[]){"-c"}, d->conf, (char *)(uintptr_t)option, NULL};

	run(d, true, argv);
	return finish(d);
}

static inline void start(struct dut *d)
{
	char *argv[] = {(char[]){"talevd"}, (char[]){"-c"}, d->conf, NULL};

	run(d, false, argv);
	expect(d, "ready: ");
}

/* With a sanitizer in it, its verdict is the exit status. */
static inline void stop(struct dut *d)
{
	int status;

	kill(d->pid, SIGTERM);
	status = finish(d);
	if (status != 0)
		give_up(d, "the daemon ended with %d", status);
}

/* Runs talevctl; what it writes is left in answer. */
static inline int __attribute__((format(printf, 4, 5)))
ctl(struct dut *d, char *answer, size_t size, const char *format, ...)
{
	char command[2048], arguments_text[1024];
	va_list arguments;
	size_t length;
	FILE *pipe;
	int status;

	va_start(arguments, format);
	vsnprintf(arguments_text, sizeof(arguments_text), format, arguments);
	va_end(arguments);
	snprintf(command, sizeof(command), "%s/talevctl -s %s %s 2>&1", build_dir(), d->control,
		arguments_text);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	length = fread(answer, 1, size - 1, pipe);
	answer[length] = '\0';
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void __attribute__((format(printf, 2, 3)))
ctl_ok(struct dut *d, const char *format, ...)
{
	char answer[4096], arguments_text[1024];
	va_list arguments;
	int status;

	va_start(arguments, format);
	vsnprintf(arguments_text, sizeof(arguments_text), format, arguments);
	va_end(arguments);
	status = ctl(d, answer, sizeof(answer), "%s", arguments_text);
	if (status != 0)
		give_up(d, "talevctl %s: %d: %s", arguments_text, status, answer);
}

static inline int connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd != -1);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline int connect_port(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd != -1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline int wait_ready(int fd, short events, int ms)
{
	struct pollfd pfd = {.fd = fd, .events = events};

	return poll(&pfd, 1, ms);
}

/* Reads until there are length bytes or the end; how many there were. */
static inline size_t read_all(int fd, char *buffer, size_t length)
{
	size_t have = 0;
	ssize_t n;

	while (have < length) {
		if (wait_ready(fd, POLLIN, PATIENCE_MS) != 1)
			fail_msg("nothing to read for %d ms, %zu of %zu bytes", PATIENCE_MS, have,
				length);
		n = recv(fd, buffer + have, length - have, 0);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	return have;
}

/* KiB of resident memory. */
static inline long memory_of(pid_t pid)
{
	char path[64];
	long pages = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static inline int setup(void **state)
{
	struct dut *d = calloc(1, sizeof(*d));

	if (!d)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	d->log_fd = -1;
	strcpy(d->dir, "/tmp/talevd-test-XXXXXX");
	if (!mkdtemp(d->dir))
		return -1;
	snprintf(d->conf, sizeof(d->conf), "%s/talevd.conf", d->dir);
	snprintf(d->control, sizeof(d->control), "%s/control", d->dir);
	snprintf(d->pidfile, sizeof(d->pidfile), "%s/pid", d->dir);
	*state = d;
	return 0;
}

static inline int teardown(void **state)
{
	struct dut *d = *state;
	char command[128];

	if (d->pid > 0) {
		kill(d->pid, SIGKILL);
		waitpid(d->pid, NULL, 0);
		print_error("the daemon's messages:\n%.*s\n", (int)d->length, d->log);
	}
	if (d->log_fd != -1)
		close(d->log_fd);
	snprintf(command, sizeof(command), "rm -rf %s", d->dir);
	if (system(command) != 0)
		print_error("%s failed\n", command);
	free(d);
	return 0;
}

#define daemon_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
