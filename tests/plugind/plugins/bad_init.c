/* SPDX-License-Identifier: BSD-2-Clause */
/* Fails with what it made still there: all of it must go, or its code is called when it is gone.
 */
#include <errno.h>
#include <signal.h>
#include <talev/fd.h>
#include <talev/plugin.h>
#include <talev/signal.h>
#include <talev/timer.h>
#include <unistd.h>

static void tick(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	const struct talev_plugin_host *host = private_data;

	(void)ev;
	(void)te;
	(void)now;
	host->log(host, TALEV_LOG_ERROR, "ran after it failed");
}

static void ready(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *private_data)
{
	const struct talev_plugin_host *host = private_data;

	(void)ev;
	(void)fde;
	(void)flags;
	host->log(host, TALEV_LOG_ERROR, "ran after it failed");
}

static void usr1(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *private_data)
{
	const struct talev_plugin_host *host = private_data;

	(void)ev;
	(void)se;
	(void)signum;
	(void)count;
	(void)siginfo;
	host->log(host, TALEV_LOG_ERROR, "ran after it failed");
}

static int bad_init(const struct talev_plugin_host *host)
{
	struct talev_fd *fde;
	int fds[2];

	if (pipe(fds) == -1)
		return errno;
	close(fds[1]);
	fde = talev_add_fd(
		host->ev, host->mem_ctx, fds[0], TALEV_FD_READ, ready, (void *)(uintptr_t)host);
	if (!fde || talev_fd_set_auto_close(fde) == -1)
		return errno;
	if (!talev_add_timer(host->ev, host->mem_ctx, 0, tick, (void *)(uintptr_t)host))
		return errno;
	if (!talev_add_signal(host->ev, host->mem_ctx, SIGUSR1, 0, usr1, (void *)(uintptr_t)host))
		return errno;
	raise(SIGUSR1);
	return EIO;
}

TALEV_PLUGIN("bad_init", bad_init, NULL);
