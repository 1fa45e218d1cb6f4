/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <talev/signal.h>

#include "plugind/daemon.h"
#include "plugind/log.h"

/* The second one finds the default disposition and ends the process at once, even when a plugin
 * keeps the loop from running. */
static void stop_signal(struct talev_context *ev, struct talev_signal *se, int signum, int count,
        const void *siginfo, void *private_data)
{
	struct daemon *d = private_data;
	const char *name = sigabbrev_np(signum);

	(void)ev;
	(void)se;
	(void)count;
	(void)siginfo;
	log_message(TALEV_LOG_INFO, "got SIG%s", name ? name : "?");
	TALLOC_FREE(d->terminate);
	TALLOC_FREE(d->interrupt);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	stop_begin(d);
}

static void hangup_signal(struct talev_context *ev, struct talev_signal *se, int signum, int count,
        const void *siginfo, void *private_data)
{
	struct daemon *d = private_data;

	(void)ev;
	(void)se;
	(void)signum;
	(void)count;
	(void)siginfo;
	if (!d->stopping)
		apply_again(d);
}

int signals_watch(struct daemon *d)
{
	signal(SIGPIPE, SIG_IGN);
	d->terminate = talev_add_signal(d->ev, d, SIGTERM, 0, stop_signal, d);
	d->interrupt = talev_add_signal(d->ev, d, SIGINT, 0, stop_signal, d);
	d->hangup = talev_add_signal(d->ev, d, SIGHUP, 0, hangup_signal, d);
	if (d->terminate && d->interrupt && d->hangup)
		return 0;
	log_message(TALEV_LOG_ERROR, "signals: %s", strerror(errno));
	return -1;
}
