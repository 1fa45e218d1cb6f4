/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that watches another one, its child, which does the work. The two share a page: there
 * the watchdogs of the child say that all is well, and who is not, and a thread that crashes leaves
 * its name. The parent waits for signals, all of which it has blocked.
 *
 * Its clock is like that of a watchdog: it goes on by one period at most for each look, and not at
 * all while the child is stopped.
 */
#include "loops/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bsd/string.h>
#include "base/base.h"

#define RESTARTS_MOST 1024

struct page {
	atomic_ulong beats;
	atomic_bool crashed;
	char crasher[16];
	char troubled[32]; /* the last one that was told of */
};

struct parent {
	struct talev_watchdog_parent options;
	struct page *page;
	sigset_t signals;
	sigset_t mask; /* as it was */
	struct sigaction on_child;
	pid_t child;
	bool ending; /* somebody wants that: no further child */
	talev_time_t started[RESTARTS_MOST];
	unsigned starts;
};

static const int forwarded[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
#define CRASHES (sizeof(crashes) / sizeof(crashes[0]))

/* In the child. */
static struct page *page;
static pid_t page_owner;
static pid_t parent_pid;
static talev_time_t page_silence;
static struct sigaction crash_before[CRASHES];

static bool is_child(void)
{
	return page != NULL && page_owner == getpid();
}

void parent_alive(void)
{
	if (is_child())
		atomic_fetch_add(&page->beats, 1);
}

void parent_alert(const char *thread)
{
	if (is_child())
		strlcpy(page->troubled, thread, sizeof(page->troubled));
}

bool parent_is(pid_t pid)
{
	return is_child() && pid == parent_pid;
}

talev_time_t parent_interval(void)
{
	return is_child() ? page_silence : TALEV_NEVER;
}

static void on_crash(int signum, siginfo_t *info, void *context)
{
	(void)context;
	if (is_child() && !atomic_exchange(&page->crashed, true))
		(void)prctl(PR_GET_NAME, page->crasher, 0, 0, 0);
	for (unsigned i = 0; i < CRASHES; i++)
		if (crashes[i] == signum)
			(void)sigaction(signum, &crash_before[i], NULL);
	/* What the thread did it does again, and what was sent to it is sent again. */
	if (info->si_code <= 0)
		(void)syscall(SYS_tgkill, getpid(), gettid(), signum);
}

static void watch_crashes(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigemptyset(&action.sa_mask);
	action.sa_sigaction = on_crash;
	for (unsigned i = 0; i < CRASHES; i++)
		(void)sigaction(crashes[i], &action, &crash_before[i]);
}

static int become_child(struct parent *parent)
{
	page = parent->page;
	page_owner = getpid();
	parent_pid = getppid();
	page_silence = parent->options.silence;
	watch_crashes();
	(void)sigaction(SIGCHLD, &parent->on_child, NULL);
	pthread_sigmask(SIG_SETMASK, &parent->mask, NULL);
	return 0;
}

/* A terminal interrupts all of its foreground. Twice would be once too often: to a loop manager the
 * second one says that it hangs. */
static bool has_got_it(const struct parent *parent, const siginfo_t *info)
{
	return info->si_code == SI_KERNEL &&
	       (info->si_signo == SIGINT || info->si_signo == SIGQUIT) &&
	       getpgid(parent->child) == getpgrp();
}

/* One signal, or none in so long a time. */
static void take_signal(struct parent *parent, talev_time_t longest)
{
	struct timespec wait = base_timespec(longest);
	siginfo_t info;
	int signum = sigtimedwait(&parent->signals, &info, &wait);

	if (signum <= 0 || signum == SIGCHLD)
		return;
	if (signum == SIGTERM || signum == SIGINT || signum == SIGQUIT)
		parent->ending = true;
	if (!has_got_it(parent, &info))
		(void)kill(parent->child, signum);
}

/* Has it ended? It is not reaped. */
static bool ended(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
	       info.si_pid == pid;
}

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {
	}
	return status;
}

static void read_about(pid_t pid, const char *name, char *text, size_t room)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, room - 1);
		(void)base_close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
}

/* By SIGSTOP, or by a debugger. */
static bool is_stopped(pid_t pid)
{
	char text[512];
	const char *state;

	read_about(pid, "stat", text, sizeof(text));
	state = strrchr(text, ')');
	return state != NULL && strlen(state) > 2 && (state[2] == 'T' || state[2] == 't');
}

/* Until it has ended, true, or hangs. */
static bool supervise(struct parent *parent)
{
	talev_time_t period = MIN(parent->options.silence / 4, TALEV_SEC(1));
	talev_time_t looked = base_clock_now(TALEV_CLOCK_MONOTONIC);
	talev_time_t silent = 0;
	unsigned long beats = 0;

	while (!ended(parent->child)) {
		talev_time_t now;

		take_signal(parent, period);
		now = base_clock_now(TALEV_CLOCK_MONOTONIC);
		silent += MIN(now - looked, period);
		looked = now;
		if (beats == atomic_load(&parent->page->beats) && beats > 0 &&
			silent >= parent->options.silence && !ended(parent->child))
			return false;
		if (beats != atomic_load(&parent->page->beats) || beats == 0 ||
			is_stopped(parent->child))
			silent = 0;
		beats = atomic_load(&parent->page->beats);
	}
	return true;
}

static void find_thread(const struct parent *parent, char *name, size_t room)
{
	const struct page *shared = parent->page;

	if (atomic_load(&shared->crashed))
		(void)snprintf(name, room, "%.15s", shared->crasher);
	else if (shared->troubled[0] != '\0')
		(void)snprintf(name, room, "%.31s", shared->troubled);
	else
		read_about(parent->child, "comm", name, room);
	name[strcspn(name, "\n")] = '\0';
}

static void exec_command(const struct parent *parent, const char *what, const char *thread)
{
	char pid[16];

	(void)snprintf(pid, sizeof(pid), "%d", (int)parent->child);
	(void)setpgid(0, 0);
	(void)sigaction(SIGCHLD, &parent->on_child, NULL);
	pthread_sigmask(SIG_SETMASK, &parent->mask, NULL);
	(void)execlp(
		parent->options.command, parent->options.command, pid, what, thread, (char *)NULL);
	_exit(127);
}

/* The child is there meanwhile, hung or as a zombie, so that its number is nobody else's. */
static void run_command(struct parent *parent, const char *what)
{
	talev_time_t end = talev_time_add(
		base_clock_now(TALEV_CLOCK_MONOTONIC), parent->options.command_limit);
	char thread[32];
	pid_t pid;

	find_thread(parent, thread, sizeof(thread));
	base_log(TALEV_LOG_ERROR, "watchdog: child %d: %s in thread %s", (int)parent->child, what,
		thread);
	if (parent->options.command == NULL)
		return;
	pid = fork();
	if (pid == 0)
		exec_command(parent, what, thread);
	if (pid == -1) {
		base_log(TALEV_LOG_ERROR, "watchdog: %s cannot be run: error %d",
			parent->options.command, errno);
		return;
	}
	(void)setpgid(pid, pid);
	while (!ended(pid)) {
		talev_time_t left = end - base_clock_now(TALEV_CLOCK_MONOTONIC);

		if (left <= 0) {
			base_log(TALEV_LOG_ERROR, "watchdog: %s has taken too long",
				parent->options.command);
			break;
		}
		take_signal(parent, MIN(left, TALEV_SEC(1)));
	}
	(void)kill(-pid, SIGKILL);
	(void)reap(pid);
}

static bool is_crash(const struct parent *parent, int status)
{
	if (WIFEXITED(status))
		return parent->options.restart_failed && WEXITSTATUS(status) != 0;
	switch (WTERMSIG(status)) {
	case SIGTERM:
	case SIGINT:
	case SIGHUP:
	case SIGPIPE:
		return false;
	default:
		return true;
	}
}

/* What it will tell waitpid(2), while it is still there. */
static int look_at_status(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) != 0)
		return 0;
	return info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0)
					  : W_EXITCODE(0, info.si_status);
}

/* True: another child is wanted. */
static bool live_and_die(struct parent *parent, int *status)
{
	char what[32];
	bool crash = true;

	if (!supervise(parent)) {
		run_command(parent, "HUNG");
		(void)kill(parent->child, SIGKILL);
		*status = reap(parent->child);
		return !parent->ending;
	}
	crash = is_crash(parent, look_at_status(parent->child));
	if (crash) {
		int signum = WTERMSIG(look_at_status(parent->child));

		if (signum != 0 && sigabbrev_np(signum) != NULL)
			(void)snprintf(what, sizeof(what), "%s", sigabbrev_np(signum));
		else
			(void)snprintf(what, sizeof(what), "EXIT");
		run_command(parent, what);
	}
	*status = reap(parent->child);
	return crash && !parent->ending;
}

/* The last so many starts were not all of late. */
static bool may_start(struct parent *parent)
{
	unsigned most = parent->options.restarts + 1;
	talev_time_t now = base_clock_now(TALEV_CLOCK_MONOTONIC);
	talev_time_t *slot = &parent->started[parent->starts % most];

	if (parent->starts >= most && now - *slot < parent->options.within) {
		base_log(TALEV_LOG_ERROR, "watchdog: %u restarts in %.3f s are enough", most - 1,
			(double)(now - *slot) / 1e9);
		return false;
	}
	*slot = now;
	parent->starts++;
	return true;
}

static int start(struct parent *parent)
{
	atomic_store(&parent->page->beats, 0);
	atomic_store(&parent->page->crashed, false);
	parent->page->crasher[0] = parent->page->troubled[0] = '\0';
	parent->child = fork();
	return parent->child == -1 ? -1 : 0;
}

/* 0 in a child; 1; -1. */
static int watch_children(struct parent *parent, int *status)
{
	while (may_start(parent)) {
		if (start(parent) != 0)
			return -1;
		if (parent->child == 0)
			return become_child(parent);
		if (!live_and_die(parent, status))
			break;
	}
	return 1;
}

static void take_signals(struct parent *parent)
{
	struct sigaction by_default = {.sa_handler = SIG_DFL};

	sigemptyset(&parent->signals);
	sigaddset(&parent->signals, SIGCHLD);
	for (unsigned i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		sigaddset(&parent->signals, forwarded[i]);
	/* Where it is ignored, children go without a trace. */
	(void)sigaction(SIGCHLD, &by_default, &parent->on_child);
	pthread_sigmask(SIG_BLOCK, &parent->signals, &parent->mask);
}

static int take_options(struct parent *parent, const struct talev_watchdog_parent *options)
{
	struct talev_watchdog_parent *mine = &parent->options;

	if (options != NULL)
		memcpy(mine, options, MIN(options->size, sizeof(*mine)));
	mine->restarts = mine->restarts != 0 ? mine->restarts : 5;
	mine->within = mine->within != 0 ? mine->within : TALEV_SEC(60);
	mine->silence = mine->silence != 0 ? mine->silence : TALEV_SEC(10);
	mine->command_limit = mine->command_limit != 0 ? mine->command_limit : TALEV_SEC(30);
	if (mine->restarts < RESTARTS_MOST && mine->within > 0 && mine->silence > 0 &&
		mine->command_limit > 0)
		return 0;
	errno = EINVAL;
	return -1;
}

int talev_watchdog_parent(const struct talev_watchdog_parent *options, int *status)
{
	struct parent parent = {.child = -1};
	int last = 0;
	int ret;
	int error;

	if (take_options(&parent, options) != 0)
		return -1;
	parent.page = mmap(NULL, sizeof(*parent.page), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (parent.page == MAP_FAILED)
		return -1;
	take_signals(&parent);
	ret = watch_children(&parent, &last);
	if (ret == 0)
		return 0;
	error = errno;
	(void)munmap(parent.page, sizeof(*parent.page));
	(void)sigaction(SIGCHLD, &parent.on_child, NULL);
	pthread_sigmask(SIG_SETMASK, &parent.mask, NULL);
	if (status != NULL)
		*status = last;
	errno = error;
	return ret;
}
