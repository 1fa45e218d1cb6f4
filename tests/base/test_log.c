/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/support.h"
#include <signal.h>
#include <sys/wait.h>
#include "base/log.h"

struct heard {
	int count;
	enum talev_log_level level;
	char message[2000];
};

static char abort_reason[2000];

static void hear(enum talev_log_level level, const char *message, void *private_data)
{
	struct heard *heard = private_data;

	heard->count++;
	heard->level = level;
	snprintf(heard->message, sizeof(heard->message), "%s", message);
	errno = EXDEV;
}

static void note_abort(const char *reason)
{
	snprintf(abort_reason, sizeof(abort_reason), "%s", reason);
	errno = EXDEV;
}

static int restore_hooks(void **state)
{
	talev_set_log_fn(NULL, NULL);
	talev_set_abort_fn(NULL);
	return test_teardown(state);
}

static void the_hook_gets_the_line_and_errno_stays(void **state)
{
	struct heard heard = {0};

	(void)state;
	talev_set_log_fn(hear, &heard);
	errno = ENODATA;
	base_log(TALEV_LOG_INFO, "%d and %s", 7, "eight");
	assert_int_equal(errno, ENODATA);
	assert_int_equal(heard.count, 1);
	assert_int_equal(heard.level, TALEV_LOG_INFO);
	assert_string_equal(heard.message, "7 and eight");
}

static void a_long_line_is_cut_at_a_thousand_bytes(void **state)
{
	struct heard heard = {0};
	char text[1500];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	talev_set_log_fn(hear, &heard);
	base_log(TALEV_LOG_ERROR, "%s", text);
	assert_int_equal(strlen(heard.message), 1000);
}

static void misuse_is_logged_and_told_to_the_abort_hook(void **state)
{
	struct heard heard = {0};

	(void)state;
	talev_set_log_fn(hear, &heard);
	talev_set_abort_fn(note_abort);
	errno = ENODATA;
	base_misuse("%s twice", "freed");
	assert_int_equal(errno, ENODATA);
	assert_int_equal(heard.level, TALEV_LOG_FATAL);
	assert_string_equal(heard.message, "freed twice");
	assert_string_equal(abort_reason, "freed twice");
}

struct writer {
	void (*fn)(void);
	int fd;
};

static void write_to_the_pipe(void *arg)
{
	const struct writer *writer = arg;

	signal(SIGABRT, SIG_DFL);
	dup2(writer->fd, STDERR_FILENO);
	writer->fn();
}

/* What fn writes to stderr (less than a pipe holds), and how the process ends that runs it. */
static size_t stderr_of(void (*fn)(void), char *text, size_t size, int *status)
{
	struct writer writer = {.fn = fn};
	size_t used = 0;
	ssize_t n;
	int fds[2];

	assert_ok(pipe(fds));
	writer.fd = fds[1];
	*status = test_in_child(write_to_the_pipe, &writer);
	close(fds[1]);
	while ((n = read(fds[0], text + used, size - used - 1)) > 0)
		used += (size_t)n;
	text[used] = '\0';
	close(fds[0]);
	return used;
}

static void log_every_level(void)
{
	base_log(TALEV_LOG_FATAL, "a");
	base_log(TALEV_LOG_ERROR, "b");
	base_log(TALEV_LOG_WARNING, "c %d", 3);
	base_log(TALEV_LOG_INFO, "d");
}

static void without_a_hook_it_goes_to_stderr_up_to_warning(void **state)
{
	char text[200];
	int status;

	(void)state;
	talev_set_log_fn(NULL, NULL);
	stderr_of(log_every_level, text, sizeof(text), &status);
	assert_int_equal(status, 0);
	assert_string_equal(text, "talev: fatal: a\ntalev: error: b\ntalev: warning: c 3\n");
}

static void log_a_long_line(void)
{
	char text[1500];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	base_log(TALEV_LOG_WARNING, "%s", text);
}

static void a_long_line_ends_with_a_newline(void **state)
{
	char text[2000];
	size_t length;
	int status;

	(void)state;
	talev_set_log_fn(NULL, NULL);
	length = stderr_of(log_a_long_line, text, sizeof(text), &status);
	assert_int_equal(length, strlen("talev: warning: ") + 1000 + 1);
	assert_int_equal(text[length - 1], '\n');
}

static void misuse_something(void)
{
	base_misuse("wrong");
}

static void without_a_hook_misuse_aborts(void **state)
{
	char text[200];
	int status;

	(void)state;
	talev_set_log_fn(NULL, NULL);
	talev_set_abort_fn(NULL);
	stderr_of(misuse_something, text, sizeof(text), &status);
	assert_string_equal(text, "talev: fatal: wrong\n");
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

#define LOG_TEST(fn) cmocka_unit_test_setup_teardown(fn, test_setup, restore_hooks)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(the_hook_gets_the_line_and_errno_stays),
		LOG_TEST(a_long_line_is_cut_at_a_thousand_bytes),
		LOG_TEST(misuse_is_logged_and_told_to_the_abort_hook),
		LOG_TEST(without_a_hook_it_goes_to_stderr_up_to_warning),
		LOG_TEST(a_long_line_ends_with_a_newline),
		LOG_TEST(without_a_hook_misuse_aborts),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
