/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_PLUGIND_H
#define PLUGIND_PLUGIND_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "plugind/later.h"
#include "plugind/waiter.h"

struct pool;
struct queue;
struct watch;

/* talevd(8), on public headers only. This room owns the process: its loop, signals, configuration,
 * control socket, the loops and job queues of plugins, and the plugins with their shared objects.
 * No other room calls it. All of it runs on one thread, the one of ev, but for what errand.h sends
 * to the loops of plugins, what a plugin asks its host for, and the log.
 *
 * Between calls: everything is below the daemon in the talloc tree, but for the trees of plugins on
 * other threads, which have no parent; a plugin's shared object is open as long as a chunk of a
 * tree, a handler or a job of it is left; a client has one request or one answer here, never
 * more. */

/* What the parts must know of each other. */
struct daemon {
	struct talev_context *ev;
	struct config *config;
	TAILQ_HEAD(plugin_list, plugin) plugins; /* in the order of loading */
	TAILQ_HEAD(, pool) pools;
	TAILQ_HEAD(, queue) queues;
	LIST_HEAD(, query) queries; /* that some loop has not answered */
	struct control *control;
	struct watch *watch;
	struct talev_threaded_context *door; /* for what comes from other threads */
	struct talev_timer *again;
	struct later_list laters;
	struct talev_signal *terminate;
	struct talev_signal *interrupt;
	struct talev_signal *hangup;
	struct talev_immediate *hangup_later;
	bool hangup_waits;       /* for a plugin that is being loaded */
	struct waiters stoppers; /* who asked it to stop */
	bool background;
	bool applied;  /* all plugins of the file have been begun */
	bool ready;    /* and started, or refused */
	bool stopping; /* nothing is loaded any more */
	bool stopped;  /* and no plugin is left: the loop ends */
};

/* Watches SIGTERM, SIGINT, SIGHUP; ignores SIGPIPE. -1: logged. */
int signals_watch(struct daemon *d);

/* The plugin that was being loaded is: does what waited for that. */
void signals_settled(struct daemon *d);

/* Begins to unload all plugins, last loaded first. Calling it again does nothing. */
void stop_begin(struct daemon *d);
/* A plugin has gone, or finished loading: on to the next, if the daemon is stopping. */
void stop_next(struct daemon *d);

/* Says so when all plugins of the configuration have been started, or refused. */
void ready_check(struct daemon *d);

/* Loads the plugins of the configuration. */
void apply_first(struct daemon *d);
/* Reads the file again and does what changed; a file with mistakes changes nothing. */
void apply_again(struct daemon *d);
struct plugin;
/* Does what changed while a function of it ran. */
void apply_to(struct plugin *p);
/* The settings of [talevd] that count at once. */
void apply_settings(struct daemon *d);

#endif
