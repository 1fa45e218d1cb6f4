/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <talev/immediate.h>
#include <talev/signal.h>

#include "plugind/plugind.h"
#include "plugind/log.h"
#include "plugind/plugin.h"

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

/* A plugin that runs the loop in its init has pointers into the configuration. */
static void hangup(struct daemon *d)
{
	d->hangup_waits = !d->stopping && plugin_any_busy(d);
	if (d->hangup_waits)
		log_message(TALEV_LOG_INFO, "SIGHUP waits: a plugin is being loaded");
	else if (!d->stopping)
		apply_again(d);
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
	hangup(d);
}

static void hangup_settled(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	(void)ev;
	(void)im;
	hangup(private_data);
}

void signals_settled(struct daemon *d)
{
	if (!d->hangup_waits || plugin_any_busy(d))
		return;
	/* Not from here: the caller may be in the middle of doing what the file said before. */
	d->hangup_waits = false;
	if (talev_schedule_immediate(d->hangup_later, d->ev, hangup_settled, d) == -1)
		log_message(TALEV_LOG_ERROR, "SIGHUP: %s", strerror(errno));
}

int signals_watch(struct daemon *d)
{
	signal(SIGPIPE, SIG_IGN);
	d->terminate = talev_add_signal(d->ev, d, SIGTERM, 0, stop_signal, d);
	d->interrupt = talev_add_signal(d->ev, d, SIGINT, 0, stop_signal, d);
	d->hangup = talev_add_signal(d->ev, d, SIGHUP, 0, hangup_signal, d);
	d->hangup_later = talev_create_immediate(d);
	if (d->terminate && d->interrupt && d->hangup && d->hangup_later)
		return 0;
	log_message(TALEV_LOG_ERROR, "signals: %s", strerror(errno));
	return -1;
}
