/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_DAEMON_H
#define PLUGIND_DAEMON_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "plugind/waiter.h"

/* The one daemon of this process: what its parts must know of each other. All of it is used on
 * the thread of ev only, and everything is below the daemon in the talloc tree. */
struct daemon {
	struct talev_context *ev;
	struct config *config;
	TAILQ_HEAD(plugin_list, plugin) plugins; /* in the order of loading */
	struct control *control;
	struct talev_signal *terminate;
	struct talev_signal *interrupt;
	struct talev_signal *hangup;
	struct waiters stoppers; /* who asked it to stop */
	bool stopping;           /* nothing is loaded any more */
	bool stopped;            /* and no plugin is left: the loop ends */
};

/* Watches SIGTERM, SIGINT, SIGHUP; ignores SIGPIPE. -1: logged. */
int signals_watch(struct daemon *d);

/* Begins to unload all plugins, last loaded first. Calling it again does nothing. */
void stop_begin(struct daemon *d);
/* A plugin has gone, or finished loading: on to the next, if the daemon is stopping. */
void stop_next(struct daemon *d);

/* Loads the plugins of the configuration. */
void apply_first(struct daemon *d);
/* Reads the file again and does what changed; a file with mistakes changes nothing. */
void apply_again(struct daemon *d);
/* The settings of [talevd] that count at once. */
void apply_settings(struct daemon *d);

#endif
