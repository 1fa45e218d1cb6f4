/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/kinds.h"
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FAR TALEV_SEC(3600)

int kinds_here(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0 && errno == ENOSYS)
		return KIND_CHILD;
	close(fd);
	return KINDS;
}

enum kind kind_of_test(void)
{
	enum kind kind = (enum kind)(intptr_t)test_argument();

	if (kind == KIND_CHILD && kinds_here() <= KIND_CHILD)
		skip();
	return kind;
}

const char *kind_name(enum kind kind)
{
	static const char *const names[KINDS] = {"fd", "timer", "signal", "immediate", "child"};

	return names[kind];
}

static void run(struct talev_context *ev, void *source, struct thing *thing)
{
	assert_ptr_equal(ev, thing->ev);
	assert_ptr_equal(source, thing->source);
	assert_false(thing->finalized);
	thing->calls++;
	thing->running = true;
	if (thing->fn)
		thing->fn(thing);
	thing->running = false;
}

static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct thing *thing = arg;

	assert_int_equal(flags, TALEV_FD_READ);
	test_drain(thing->fds[0]);
	run(ev, fde, thing);
}

static void on_timer(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	assert_true(now >= 0);
	run(ev, te, arg);
}

static void on_signal(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *arg)
{
	struct thing *thing = arg;

	assert_int_equal(signum, thing->signum);
	assert_true(count > 0);
	assert_null(siginfo);
	run(ev, se, arg);
}

static void on_immediate(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	run(ev, im, arg);
}

static void on_child(
	struct talev_context *ev, struct talev_child *child, pid_t pid, int status, void *arg)
{
	struct thing *thing = arg;

	assert_int_equal(pid, thing->pid);
	assert_int_equal(status, 0);
	thing->pid = 0;
	run(ev, child, arg);
}

static int put_away(struct thing *thing)
{
	for (int i = 0; i < 2; i++)
		if (thing->fds[i] >= 0)
			close(thing->fds[i]);
	if (thing->release >= 0)
		close(thing->release);
	if (thing->pid > 0)
		waitpid(thing->pid, NULL, 0);
	return 0;
}

/* A number of its own for each signal thing of a test. */
static int next_signal(void)
{
	static int next;

	return SIGRTMIN + 1 + next++ % 20;
}

static void *make(struct thing *thing, TALLOC_CTX *mem_ctx)
{
	struct talev_context *ev = thing->ev;
	struct talev_immediate *im;

	switch (thing->kind) {
	case KIND_FD:
		test_pipe(thing->fds);
		return talev_add_fd(ev, mem_ctx, thing->fds[0], TALEV_FD_READ, on_fd, thing);
	case KIND_TIMER:
		return talev_add_timer(
			ev, mem_ctx, talev_time_add(talev_now(ev), FAR), on_timer, thing);
	case KIND_SIGNAL:
		thing->signum = next_signal();
		return talev_add_signal(ev, mem_ctx, thing->signum, 0, on_signal, thing);
	case KIND_IMMEDIATE:
		im = talev_create_immediate(mem_ctx ? mem_ctx : ev);
		assert_non_null(im);
		thing->source = im;
		assert_ok(talev_schedule_immediate(im, ev, on_immediate, thing));
		return im;
	case KIND_CHILD:
		thing->pid = test_spawn(0, &thing->release);
		return talev_add_child(ev, mem_ctx, thing->pid, on_child, thing);
	default:
		return NULL;
	}
}

struct thing *kind_add(enum kind kind, struct talev_context *ev, TALLOC_CTX *mem_ctx,
	void (*fn)(struct thing *thing), void *arg)
{
	struct thing *thing = talloc_zero(test_late(), struct thing);

	assert_non_null(thing);
	thing->kind = kind;
	thing->ev = ev;
	thing->fn = fn;
	thing->arg = arg;
	thing->fds[0] = thing->fds[1] = thing->release = -1;
	talloc_set_destructor(thing, put_away);
	thing->source = make(thing, mem_ctx);
	if (!thing->source)
		fail_msg("no %s: %s", kind_name(kind), strerror(errno));
	return thing;
}

void kind_fire(struct thing *thing)
{
	siginfo_t info;

	switch (thing->kind) {
	case KIND_FD:
		test_poke(thing->fds[1]);
		break;
	case KIND_TIMER:
		assert_ok(talev_update_timer(thing->source, 0));
		break;
	case KIND_SIGNAL:
		assert_ok(raise(thing->signum));
		break;
	case KIND_IMMEDIATE:
		assert_ok(kind_arm(thing));
		break;
	case KIND_CHILD:
		close(thing->release);
		thing->release = -1;
		/* From here on it has exited, and is not reaped. */
		assert_ok(waitid(P_PID, (id_t)thing->pid, &info, WEXITED | WNOWAIT));
		break;
	default:
		break;
	}
}

int kind_arm(struct thing *thing)
{
	switch (thing->kind) {
	case KIND_FD:
		return talev_fd_set_flags(thing->source, TALEV_FD_READ);
	case KIND_TIMER:
		return talev_timer_start(thing->source, 0);
	case KIND_IMMEDIATE:
		return talev_schedule_immediate(thing->source, thing->ev, on_immediate, thing);
	default:
		return talev_source_set_enabled(thing->source, true);
	}
}

void count_finalizer(struct talev_context *ev, void *arg)
{
	struct thing *thing = arg;

	if (ev)
		assert_ptr_equal(ev, thing->ev);
	assert_false(thing->running);
	thing->finalized++;
}
