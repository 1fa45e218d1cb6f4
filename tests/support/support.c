/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/support.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#define HUNG_AFTER 60 /* seconds */

static TALLOC_CTX *root;
static TALLOC_CTX *late;
static void *argument;
static int fds_before;
static char hung[256];
static char notes[64 * 1024];
static size_t notes_used;

static void on_alarm(int signum)
{
	(void)signum;
	if (write(STDERR_FILENO, hung, strlen(hung)) >= 0)
		(void)!write(STDERR_FILENO, "\n", 1);
	signal(SIGABRT, SIG_DFL);
	abort();
}

void test_watchdog(const char *function, const char *location)
{
	struct itimerval after = {.it_value = {.tv_sec = HUNG_AFTER}};

	snprintf(hung, sizeof(hung), "test hung in %s (%s)", function, location);
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &after, NULL);
}

static void watchdog_off(void)
{
	struct itimerval never = {.it_value = {0}};

	setitimer(ITIMER_REAL, &never, NULL);
}

/* Must go before the test's context is made, or its signals would find another handler. */
int test_setup(void **state)
{
	argument = *state;
	late = talloc_named_const(NULL, 0, "late");
	root = talloc_named_const(NULL, 0, "test");
	*state = root;
	test_forget_notes();
	fds_before = test_count_fds();
	test_watchdog("a test without test_run", __location__);
	return root && late ? 0 : -1;
}

static void free_all(void)
{
	talloc_free(root);
	talloc_free(late);
	root = late = NULL;
}

int test_teardown(void **state)
{
	int left;

	(void)state;
	test_alloc_fail_at(0);
	free_all();
	watchdog_off();
	talev_set_log_fn(NULL, NULL);
	talev_set_abort_fn(NULL);
	left = test_count_fds() - fds_before;
	if (left != 0) {
		print_error("descriptors left open by the test: %d\n", left);
		return -1;
	}
	return 0;
}

TALLOC_CTX *test_root(void)
{
	return root;
}

TALLOC_CTX *test_late(void)
{
	return late;
}

void *test_argument(void)
{
	return argument;
}

const char *test_backend(void)
{
	const char *name = getenv("TALEV_TEST_BACKEND");

	return name && *name ? name : "epoll";
}

bool test_is_sim(void)
{
	return strcmp(test_backend(), "sim") == 0;
}

bool test_is_slow(void)
{
	const char *preload = getenv("LD_PRELOAD");

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#endif
	return preload && strstr(preload, "vgpreload");
}

struct talev_context *test_context(TALLOC_CTX *mem_ctx)
{
	struct talev_context *ev = talev_context_init_byname(mem_ctx, test_backend());

	if (!ev)
		fail_msg("no context on backend %s: %s", test_backend(), strerror(errno));
	return ev;
}

int test_run_at(struct talev_context *ev, const char *function, const char *location)
{
	test_watchdog(function, location);
	return _talev_loop_wait(ev, location);
}

int test_once_at(struct talev_context *ev, const char *function, const char *location)
{
	test_watchdog(function, location);
	return _talev_loop_once(ev, location);
}

void test_note(const char *format, ...)
{
	va_list ap;
	int n;

	if (notes_used > 0 && notes_used + 1 < sizeof(notes))
		notes[notes_used++] = ' ';
	va_start(ap, format);
	n = vsnprintf(notes + notes_used, sizeof(notes) - notes_used, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(notes) - notes_used)
		fail_msg("too many notes");
	notes_used += (size_t)n;
}

const char *test_notes(void)
{
	return notes;
}

void test_forget_notes(void)
{
	notes_used = 0;
	notes[0] = '\0';
}

static void close_on_exec(int fd)
{
	int fl = fcntl(fd, F_GETFD);

	if (fl < 0 || fcntl(fd, F_SETFD, fl | FD_CLOEXEC) != 0)
		fail_msg("fcntl: %s", strerror(errno));
}

void test_pipe(int fds[2])
{
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0)
		fail_msg("pipe2: %s", strerror(errno));
}

void test_socketpair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
		fail_msg("socketpair: %s", strerror(errno));
}

void test_poke(int fd)
{
	if (write(fd, "x", 1) != 1)
		fail_msg("write: %s", strerror(errno));
}

size_t test_drain(int fd)
{
	char buf[4096];
	size_t total = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		total += (size_t)n;
	if (n < 0 && errno != EAGAIN)
		fail_msg("read: %s", strerror(errno));
	return total;
}

void test_fill(int fd)
{
	static const char buf[4096];

	while (write(fd, buf, sizeof(buf)) > 0)
		;
	while (write(fd, buf, 1) > 0)
		;
	if (errno != EAGAIN)
		fail_msg("write: %s", strerror(errno));
}

/* Not by /proc: reading that needs a descriptor, and memory that a test may be failing. */
int test_count_fds(void)
{
	int max = (int)sysconf(_SC_OPEN_MAX);
	int n = 0;

	if (max > 32768)
		max = 32768;
	for (int fd = 0; fd < max; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

void test_child_begins(const char *location)
{
	/* A failed assertion must not return into the test runner of the child. */
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	test_watchdog("a child process", location);
}

void test_child_ends(int status)
{
	extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

	free_all();
	if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check())
		_exit(98);
	_exit(status);
}

int test_in_child(void (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		fail_msg("fork: %s", strerror(errno));
	if (pid == 0) {
		test_child_begins(__location__);
		fn(arg);
		test_child_ends(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail_msg("waitpid: %s", strerror(errno));
	return status;
}

pid_t test_spawn(int exit_status, int *release_fd)
{
	int fds[2];
	char byte;
	pid_t pid;

	if (pipe(fds) != 0)
		fail_msg("pipe: %s", strerror(errno));
	close_on_exec(fds[0]);
	close_on_exec(fds[1]);
	pid = fork();
	if (pid < 0)
		fail_msg("fork: %s", strerror(errno));
	if (pid == 0) {
		char text[8];

		/* Also those that release other children, or these would wait for this one. */
		dup2(fds[0], STDIN_FILENO);
		closefrom(STDERR_FILENO + 1);
		while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
			;
		/* A new program: the memory of this one is nothing that it could leak. */
		snprintf(text, sizeof(text), "%d", exit_status);
		execl("/bin/sh", "sh", "-c", "exit $0", text, (char *)NULL);
		_exit(127);
	}
	close(fds[0]);
	*release_fd = fds[1];
	return pid;
}
