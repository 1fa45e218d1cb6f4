/* SPDX-License-Identifier: BSD-2-Clause */
/* What a service manager is told. */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "loops/watchdog_kit.h"

static int manager;
static char path[64];

/* Takes the place of the service manager. first: '@' for a name that is no file. */
static void listen_at(char first)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n;

	if (first == '@')
		n = snprintf(path, sizeof(path), "@talev-test-%d", (int)getpid());
	else
		n = snprintf(path, sizeof(path), "/tmp/talev-test-%d", (int)getpid());
	memcpy(address.sun_path, path, (size_t)n);
	if (first == '@')
		address.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(manager >= 0);
	assert_ok(bind(manager, (struct sockaddr *)&address,
		(socklen_t)offsetof(struct sockaddr_un, sun_path) + (socklen_t)n));
	assert_ok(setenv("NOTIFY_SOCKET", path, 1));
}

static void stop_listening(void)
{
	close(manager);
	if (path[0] == '/')
		unlink(path);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static const char *hear(void)
{
	static char text[2048];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static bool hears_nothing(void)
{
	char text[64];

	return recv(manager, text, sizeof(text), MSG_DONTWAIT) == -1 && errno == EAGAIN;
}

static void tell_all(char first)
{
	struct talev_watchdog *wd;

	listen_at(first);
	wd = make_watchdog();
	assert_ok(talev_watchdog_notify_ready(wd));
	assert_string_equal(hear(), "READY=1");
	assert_ok(talev_watchdog_notify_status(wd, "reads"));
	assert_string_equal(hear(), "STATUS=reads");
	assert_errno(talev_watchdog_notify_status(wd, "two\nlines"), EINVAL);
	assert_errno(talev_watchdog_notify_status(wd, NULL), EINVAL);
	assert_ok(talev_watchdog_notify_stopping(wd));
	assert_string_equal(hear(), "STOPPING=1");
	assert_true(hears_nothing());
	close(manager);
	assert_errno(talev_watchdog_notify_stopping(wd), ECONNREFUSED);
	talloc_free(wd);
	manager = dup(0);
	stop_listening();
}

static void each_message_is_one_datagram(void **state)
{
	(void)state;
	tell_all('/');
	tell_all('@');
}

static void without_a_manager_there_is_nothing_to_tell(void **state)
{
	struct talev_watchdog *wd;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	wd = make_watchdog();
	assert_ok(talev_watchdog_notify_ready(wd));
	assert_ok(talev_watchdog_notify_status(wd, "alone"));
	assert_ok(talev_watchdog_notify_stopping(wd));
	talloc_free(wd);
	setenv("NOTIFY_SOCKET", "relative", 1);
	wd = make_watchdog();
	assert_ok(talev_watchdog_notify_ready(wd));
	talloc_free(wd);
	unsetenv("NOTIFY_SOCKET");
}

static void it_is_told_that_all_is_well(void **state)
{
	struct talev_watchdog *wd;
	char pid[16];

	(void)state;
	listen_at('@');
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_USEC", "200000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	wd = make_watchdog();
	assert_ok(talev_watchdog_notify_ready(wd));
	assert_string_equal(hear(), "READY=1");
	for (int i = 0; i < 3; i++)
		assert_string_equal(hear(), "WATCHDOG=1");
	talloc_free(wd);
	stop_listening();
}

/* Past its hard limit nothing is well any more; the one with the longer limit tells when to look.
 */
static void it_is_not_told_so_while_something_hangs(void **state)
{
	struct talev_watchdog *wd;
	struct talev_heart *heart;

	(void)state;
	listen_at('@');
	setenv("WATCHDOG_USEC", "20000", 1);
	wd = make_watchdog();
	heart = talev_heart_create(test_root(), wd, "stuck", LIMIT, LIMIT);
	assert_non_null(heart);
	assert_non_null(talev_heart_create(test_root(), wd, "other", 3 * LIMIT, TALEV_NEVER));
	assert_ok(talev_watchdog_notify_ready(wd));
	assert_string_equal(hear(), "READY=1");
	assert_string_equal(hear(), "WATCHDOG=1");
	hang_until_told();
	while (!hears_nothing())
		;
	hang_until(2);
	assert_true(hears_nothing());
	do
		talev_heart_beat(heart);
	while (hears_nothing());
	talloc_free(wd);
	stop_listening();
}

static void the_watchdog_of_another_process_is_not_ours(void **state)
{
	struct talev_watchdog *wd;

	(void)state;
	listen_at('@');
	setenv("WATCHDOG_USEC", "10000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	wd = make_watchdog();
	assert_non_null(talev_heart_create(test_root(), wd, "clock", LIMIT, TALEV_NEVER));
	assert_ok(talev_watchdog_notify_ready(wd));
	assert_string_equal(hear(), "READY=1");
	hang_until_told();
	assert_true(hears_nothing());
	talloc_free(wd);
	stop_listening();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_message_is_one_datagram),
		TEST(without_a_manager_there_is_nothing_to_tell),
		TEST(it_is_told_that_all_is_well),
		TEST(it_is_not_told_so_while_something_hangs),
		TEST(the_watchdog_of_another_process_is_not_ours),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
