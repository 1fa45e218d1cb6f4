/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks a thread what it is doing: a Unix signal to that thread, whose handler writes it down. What
 * it looks at cannot go meanwhile, since it is the thread itself that would have to let it go.
 *
 * One thread is asked at a time. wanted is who: the thread takes its number away to answer, and the
 * asker does when it has waited for long enough; whoever comes first has it. So an answer that
 * comes late is none.
 */
#include "loops/manager.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <bsd/string.h>
#include "base/base.h"
#include "work/work.h"

#define NOBODY    0
#define ANSWERING (-1)
#define ANSWERED  (-2)

static int chosen = SIGURG;
static atomic_int opened; /* the signal, once it is handled */
static struct sigaction before;
static pthread_mutex_t asking = PTHREAD_MUTEX_INITIALIZER;
static atomic_int wanted;
static sem_t answered;
/* The answer: of who is ANSWERING; when ANSWERED, of who asked. */
static struct core_doing doing;
static bool doing_known;
static void *stack[PROBE_FRAMES];
static int depth;
static void *interrupted;

static void *interrupted_at(const void *context)
{
#if defined(__x86_64__)
	return (void *)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return (void *)((const ucontext_t *)context)->uc_mcontext.pc;
#else
	(void)context;
	return NULL;
#endif
}

static void chain(int signum, siginfo_t *info, void *context)
{
	if ((before.sa_flags & SA_SIGINFO) != 0)
		before.sa_sigaction(signum, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(signum);
}

static void on_signal(int signum, siginfo_t *info, void *context)
{
	int error = errno;
	int me = gettid();

	if (atomic_compare_exchange_strong(&wanted, &me, ANSWERING)) {
		doing_known = core_doing(&doing);
		depth = backtrace(stack, PROBE_FRAMES);
		interrupted = interrupted_at(context);
		atomic_store(&wanted, ANSWERED);
		sem_post(&answered);
	} else {
		chain(signum, info, context);
	}
	errno = error;
}

int probe_choose(int signum)
{
	if (signum < 0 || signum > SIGRTMAX || signum == SIGKILL || signum == SIGSTOP) {
		errno = EINVAL;
		return -1;
	}
	chosen = signum;
	return 0;
}

int probe_open(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};

	if (chosen == 0)
		return 0;
	sem_init(&answered, 0, 0);
	/* The first calls load what they need, which no signal handler could do. */
	(void)backtrace(stack, 1);
	(void)core_doing(&doing);
	sem_post(&answered);
	sem_wait(&answered);
	sigemptyset(&action.sa_mask);
	action.sa_sigaction = on_signal;
	if (base_sigaction(chosen, &action, &before) != 0)
		return -1;
	atomic_store(&opened, chosen);
	work_let_through(chosen);
	return 0;
}

void probe_after_fork(void)
{
	pthread_mutex_init(&asking, NULL);
	sem_init(&answered, 0, 0);
	atomic_store(&wanted, NOBODY);
}

int probe_signal(void)
{
	return atomic_load(&opened);
}

static bool set_blocked(int how)
{
	sigset_t set;
	sigset_t old;

	sigemptyset(&set);
	sigaddset(&set, probe_signal());
	pthread_sigmask(how, &set, &old);
	return sigismember(&old, probe_signal()) == 1;
}

bool probe_let_through(void)
{
	return set_blocked(SIG_UNBLOCK);
}

void probe_block(void)
{
	(void)set_blocked(SIG_BLOCK);
}

/* A file of /proc about a thread, or the process: 0. Empty if it cannot be read. */
static void read_proc(pid_t tid, const char *name, char *text, size_t room)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	if (tid != 0)
		(void)snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)tid, name);
	else
		(void)snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, room - 1);
		(void)close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
}

static void read_line(pid_t tid, const char *name, char *text, size_t room)
{
	read_proc(tid, name, text, room);
	text[strcspn(text, "\n")] = '\0';
}

static const char *field(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at != NULL ? at + strlen(key) : NULL;
}

static bool lets_through(pid_t tid)
{
	char text[4096];
	const char *mask;

	read_proc(tid, "status", text, sizeof(text));
	mask = field(text, "SigBlk:\t");
	return mask == NULL || (strtoull(mask, NULL, 16) >> (probe_signal() - 1) & 1) == 0;
}

bool probe_traced(void)
{
	char text[4096];
	const char *tracer;

	read_proc(0, "status", text, sizeof(text));
	tracer = field(text, "TracerPid:\t");
	return tracer != NULL && strtol(tracer, NULL, 10) != 0;
}

static void ask_kernel(pid_t tid, char *text, size_t room)
{
	char stat[512];
	char wchan[64];
	char call[128];
	const char *state;

	read_line(tid, "stat", stat, sizeof(stat));
	read_line(tid, "wchan", wchan, sizeof(wchan));
	read_line(tid, "syscall", call, sizeof(call));
	call[strcspn(call, " ")] = '\0';
	state = strrchr(stat, ')');
	if (state == NULL || strlen(state) < 3) {
		strlcpy(text, "there is no such thread any more", room);
		return;
	}
	(void)snprintf(text, room, "state %c, system call %s, waits in %s", state[2],
		call[0] != '\0' ? call : "unknown", wchan[0] != '\0' ? wchan : "unknown");
}

/* The frames below the signal handler's own. */
static void take_stack(struct probe *probe)
{
	int first = 0;

	while (first < depth && stack[first] != interrupted)
		first++;
	if (first == depth)
		first = depth > 2 ? 2 : 0;
	probe->depth = depth - first;
	memcpy(probe->stack, stack + first, (size_t)probe->depth * sizeof(stack[0]));
}

static bool wait_for_answer(talev_time_t longest)
{
	struct timespec until =
		base_timespec(talev_time_add(base_clock_now(TALEV_CLOCK_MONOTONIC), longest));

	while (sem_clockwait(&answered, CLOCK_MONOTONIC, &until) != 0)
		if (errno != EINTR)
			return false;
	/* This is what makes the answer seen: a semaphore need not. */
	return atomic_load(&wanted) == ANSWERED;
}

static void ask(pid_t tid, talev_time_t longest, struct probe *probe)
{
	int tid_wanted = tid;

	atomic_store(&wanted, tid);
	if (syscall(SYS_tgkill, getpid(), tid, probe_signal()) != 0 || !wait_for_answer(longest)) {
		if (atomic_compare_exchange_strong(&wanted, &tid_wanted, NOBODY))
			return;
		/* It is at it just now. If it gets stuck there, nobody is asked any more: the place
		 * for the answer is never free again. */
		if (!wait_for_answer(TALEV_SEC(10))) {
			atomic_store(&opened, 0);
			return;
		}
	}
	probe->answered = true;
	probe->doing_known = doing_known;
	probe->doing = doing;
	take_stack(probe);
	atomic_store(&wanted, NOBODY);
}

void probe_thread(pid_t tid, talev_time_t longest, struct probe *probe)
{
	probe->answered = probe->doing_known = false;
	probe->doing = (struct core_doing){.ev = NULL};
	probe->depth = 0;
	probe->kernel[0] = '\0';
	read_line(tid, "comm", probe->thread, sizeof(probe->thread));
	if (probe_signal() != 0 && lets_through(tid)) {
		pthread_mutex_lock(&asking);
		ask(tid, longest, probe);
		pthread_mutex_unlock(&asking);
	}
	if (!probe->answered)
		ask_kernel(tid, probe->kernel, sizeof(probe->kernel));
}

void probe_name(const void *pc, bool innermost, char *text, size_t room)
{
	/* A return address may lie behind the end of the function that called. */
	const char *at = (const char *)pc - (innermost ? 0 : 1);
	const char *file;
	Dl_info info;

	if (dladdr(at, &info) == 0 || info.dli_fname == NULL) {
		(void)snprintf(text, room, "%p", pc);
		return;
	}
	file = strrchr(info.dli_fname, '/');
	file = file != NULL ? file + 1 : info.dli_fname;
	if (info.dli_sname != NULL)
		(void)snprintf(text, room, "%s+0x%zx (%s)", info.dli_sname,
			(size_t)((const char *)pc - (const char *)info.dli_saddr), file);
	else
		(void)snprintf(text, room, "%s+0x%zx", file,
			(size_t)((const char *)pc - (const char *)info.dli_fbase));
}
