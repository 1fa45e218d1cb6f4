/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exit of one child, by pidfd. What is wrong with the alternatives: SIGCHLD is one for all
 * children and belongs to the program, and waitpid(-1) takes children away from whoever waits for
 * them by number.
 */
#include "event/event.h"
#include <errno.h>
#include <sys/wait.h>
#include "base/sys.h"
#include <talev/child.h>

struct talev_child {
	struct fd_source fs; /* on the pidfd */
	talev_child_handler_t handler;
	pid_t pid;
	bool reaped;
};

static struct talev_child *child_of(struct source *src)
{
	return (struct talev_child *)src;
}

static void child_disarm(struct source *src)
{
	struct talev_child *child = child_of(src);

	if (fd_source_attached(&child->fs))
		core_fd_detach(&child->fs);
	if (child->fs.fd >= 0)
		base_close(child->fs.fd);
	child->fs.fd = -1;
}

/* False: it has not exited after all. */
static bool reap(struct talev_child *child, int *status)
{
	pid_t pid;

	do {
		pid = base_waitpid(child->pid, status, WNOHANG);
	} while (pid == -1 && errno == EINTR);
	if (pid == -1)
		*status = -1;
	return pid != 0;
}

static void child_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	struct talev_child *child = child_of(src);
	int status;

	(void)flags;
	(void)now;
	if (!reap(child, &status))
		return;
	child->reaped = true;
	/* The pidfd stays readable: a loop nested in the handler must not come here again. */
	child->fs.flags = 0;
	core_fd_changed(&child->fs);
	child->handler(src->ev, child, child->pid, status, src->private_data);
}

static bool child_fired(struct source *src)
{
	if (!child_of(src)->reaped)
		return true;
	talloc_free(src);
	return false;
}

static void child_enable(struct source *src)
{
	core_fd_changed(&child_of(src)->fs);
}

static void child_describe(const struct source *src, struct talev_source_info *info)
{
	const struct talev_child *child = (const struct talev_child *)src;

	info->pid = child->pid;
	info->armed = src->enabled && child->fs.flags != 0;
}

/* In its handler it is about to be freed. */
static bool child_may(const struct source *src)
{
	return src->place == PLACE_SLOT && !((const struct talev_child *)src)->reaped;
}

static void child_leave(struct source *src)
{
	core_fd_detach(&child_of(src)->fs);
}

static int child_join(struct source *src)
{
	return core_fd_attach(&child_of(src)->fs);
}

static const struct source_travel child_travel = {
	.may = child_may,
	.leave = child_leave,
	.join = child_join,
};

static const struct source_kind child_kind = {
	.type = "struct talev_child",
	.label = "child",
	.disarm = child_disarm,
	.fire = child_fire,
	.fired = child_fired,
	.enable = child_enable,
	.describe = child_describe,
	.travel = &child_travel,
};

/* A pidfd can be had of any process, but only a child of this one can be reaped. */
static int open_child(pid_t pid)
{
	siginfo_t info;

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == -1)
		return -1;
	return base_pidfd_open(pid);
}

struct talev_child *_talev_add_child(struct talev_context *ev, TALLOC_CTX *mem_ctx, pid_t pid,
	talev_child_handler_t handler, void *private_data, const char *where)
{
	struct talev_child *child;
	int saved_errno;

	if (ev == NULL || handler == NULL || pid <= 0) {
		errno = EINVAL;
		return NULL;
	}

	child = source_create(ev, mem_ctx, sizeof(*child), &child_kind, private_data, where);
	if (child == NULL)
		return NULL;
	child->handler = handler;
	child->pid = pid;
	child->fs.flags = TALEV_FD_READ;
	child->fs.fd = open_child(pid);
	if (child->fs.fd >= 0 && core_fd_attach(&child->fs) == 0)
		return child;

	saved_errno = errno;
	talloc_free(child);
	errno = saved_errno;
	return NULL;
}

pid_t talev_child_get_pid(const struct talev_child *child)
{
	return child->pid;
}

int talev_child_kill(struct talev_child *child, int signum)
{
	if (source_check(&child->fs.src) != 0)
		return -1;
	return base_pidfd_send_signal(child->fs.fd, signum);
}
