/* SPDX-License-Identifier: BSD-2-Clause */
/* A process that watches another one: contract row W7. */
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "loops/watchdog_kit.h"

/* What the processes of a test share: there is nothing else that all of them see. */
static struct {
	atomic_uint children;
	atomic_uint interrupts;
	atomic_int pid;
} * shared;

static char command[96];
static char output[64];

/* The command of a test, a script; it appends its arguments to a file. */
static void make_command(const char *more)
{
	int fd;

	snprintf(output, sizeof(output), "/tmp/talev-test-parent-%d", (int)getpid());
	snprintf(command, sizeof(command), "%s.sh", output);
	unlink(output);
	fd = open(command, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	assert_true(fd >= 0);
	assert_true(dprintf(fd, "#!/bin/sh\necho \"$@\" >> %s\n%s\n", output, more) > 0);
	close(fd);
}

static const char *read_output(void)
{
	static char text[4096];
	int fd = open(output, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	unlink(output);
	unlink(command);
	return text;
}

/* The tests' own leaves behind what a child does not free, so it leaves as another program. */
static void leave(const char *status)
{
	execl("/bin/sh", "sh", "-c", "exit $0", status, (char *)NULL);
	_exit(127);
}

static int parent(const struct talev_watchdog_parent *options, void (*child)(unsigned number))
{
	int status = -1;
	int ret;

	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	test_log_capture();
	/* cmocka's handlers would go on with the tests in the child. */
	signal(SIGSEGV, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	ret = talev_watchdog_parent(options, &status);
	if (ret == 0) {
		signal(SIGALRM, SIG_DFL);
		child(atomic_fetch_add(&shared->children, 1));
		leave("0");
	}
	assert_int_equal(ret, 1);
	return status;
}

static void crash_once(unsigned number)
{
	if (number > 0)
		leave("3");
	atomic_store(&shared->pid, getpid());
	prctl(PR_SET_NAME, "the-culprit", 0, 0, 0);
	raise(SIGSEGV);
}

static void w7_a_crashed_child_gets_a_successor_and_the_command_is_told(void **state)
{
	struct talev_watchdog_parent options = {.size = sizeof(options), .command = command};
	char expected[64];
	int status;

	(void)state;
	make_command("");
	status = parent(&options, crash_once);
	snprintf(expected, sizeof(expected), "%d SEGV the-culprit\n", atomic_load(&shared->pid));
	assert_string_equal(read_output(), expected);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	assert_int_equal(atomic_load(&shared->children), 2);
}

static void crash_always(unsigned number)
{
	(void)number;
	abort();
}

static void w7_there_are_not_more_restarts_than_allowed(void **state)
{
	struct talev_watchdog_parent options = {.size = sizeof(options)};
	int status;

	(void)state;
	status = parent(&options, crash_always);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_int_equal(atomic_load(&shared->children), 6);
	assert_true(test_log_contains("5 restarts"));
	options.restarts = 2;
	status = parent(&options, crash_always);
	assert_int_equal(atomic_load(&shared->children), 3);
}

static bool ignore(const struct talev_watchdog_report *report, void *private_data)
{
	(void)report;
	(void)private_data;
	return true;
}

/* Its watchdog sees that, and nobody does anything about it: the parent does. */
static void hang_once(unsigned number)
{
	struct talev_watchdog *wd;

	if (number > 0)
		leave("0");
	atomic_store(&shared->pid, getpid());
	wd = talev_watchdog_create(NULL);
	demand(wd != NULL);
	talev_watchdog_set_handler(wd, ignore, NULL);
	prctl(PR_SET_NAME, "the-hung", 0, 0, 0);
	demand(talev_heart_create(NULL, wd, "hangs", LIMIT, LIMIT) != NULL);
	for (;;)
		pause();
}

static void w7_a_hung_child_is_killed_and_the_command_sees_it_alive(void **state)
{
	struct talev_watchdog_parent options = {
		.size = sizeof(options),
		.command = command,
		.silence = 2 * LIMIT,
	};
	char expected[64];
	int status;

	(void)state;
	make_command("kill -0 $1 && echo alive >> $0.out");
	status = parent(&options, hang_once);
	snprintf(expected, sizeof(expected), "%d HUNG the-hung\n", atomic_load(&shared->pid));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(atomic_load(&shared->children), 2);
	strlcat(command, ".out", sizeof(command));
	assert_int_equal(access(command, F_OK), 0);
	unlink(command);
	command[strlen(command) - 4] = '\0';
	assert_string_equal(read_output(), expected);
}

static void w7_a_hung_command_is_killed(void **state)
{
	struct talev_watchdog_parent options = {
		.size = sizeof(options),
		.command = command,
		.command_limit = LIMIT,
	};
	int status;

	(void)state;
	make_command("sleep 1000");
	status = parent(&options, crash_once);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	assert_true(test_log_contains("has taken too long"));
	(void)read_output();
}

static void fail_always(unsigned number)
{
	(void)number;
	leave("4");
}

static void other_ends_are_no_crash_unless_it_is_said(void **state)
{
	struct talev_watchdog_parent options = {.size = sizeof(options), .restarts = 1};
	int status;

	(void)state;
	status = parent(&options, fail_always);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 4);
	assert_int_equal(atomic_load(&shared->children), 1);
	options.restart_failed = true;
	status = parent(&options, fail_always);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 4);
	assert_int_equal(atomic_load(&shared->children), 2);
}

/* The child sends it to its parent, which sends it back. */
static void send_to_parent(unsigned number)
{
	(void)number;
	signal(SIGTERM, SIG_DFL);
	kill(getppid(), SIGTERM);
	for (;;)
		pause();
}

static void signals_of_the_parent_are_the_childs(void **state)
{
	int status = parent(NULL, send_to_parent);

	(void)state;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_int_equal(atomic_load(&shared->children), 1);
}

static void count_interrupt(int signum)
{
	(void)signum;
	atomic_fetch_add(&shared->interrupts, 1);
}

static void tell_interrupts(int signum)
{
	const char text[2] = {(char)('0' + atomic_load(&shared->interrupts)), '\0'};

	(void)signum;
	leave(text);
}

/* In the foreground of a terminal of its own. */
static void watch_in_terminal(void)
{
	int status = -1;
	int ret;

	signal(SIGALRM, SIG_DFL);
	ret = talev_watchdog_parent(NULL, &status);
	if (ret == 0) {
		signal(SIGINT, count_interrupt);
		signal(SIGUSR1, tell_interrupts);
		atomic_store(&shared->pid, getpid());
		for (;;)
			pause();
	}
	leave(ret == 1 && WIFEXITED(status) && WEXITSTATUS(status) == 1 ? "0" : "1");
}

static void what_the_terminal_sends_to_both_is_not_sent_on(void **state)
{
	int terminal;
	int status;
	pid_t pid;

	(void)state;
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	pid = forkpty(&terminal, NULL, NULL, NULL);
	assert_true(pid >= 0);
	if (pid == 0)
		watch_in_terminal();
	test_watchdog(__func__, "waiting for the child");
	while (atomic_load(&shared->pid) == 0)
		usleep(1000);
	assert_int_equal(write(terminal, "\003", 1), 1);
	while (atomic_load(&shared->interrupts) == 0)
		usleep(1000);
	/* Behind the other one, if that is sent on: the lower number is taken first. */
	assert_ok(kill(pid, SIGUSR1));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(terminal);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void wrong_options_are_refused(void **state)
{
	struct talev_watchdog_parent options = {.size = sizeof(options), .within = -1};

	(void)state;
	assert_errno(talev_watchdog_parent(&options, NULL), EINVAL);
	options.within = 0;
	options.restarts = 1000000;
	assert_errno(talev_watchdog_parent(&options, NULL), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(w7_a_crashed_child_gets_a_successor_and_the_command_is_told),
		TEST(w7_there_are_not_more_restarts_than_allowed),
		TEST(w7_a_hung_child_is_killed_and_the_command_sees_it_alive),
		TEST(w7_a_hung_command_is_killed),
		TEST(other_ends_are_no_crash_unless_it_is_said),
		TEST(signals_of_the_parent_are_the_childs),
		TEST(what_the_terminal_sends_to_both_is_not_sent_on),
		TEST(wrong_options_are_refused),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
