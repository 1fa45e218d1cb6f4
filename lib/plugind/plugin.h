/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_PLUGIN_H
#define PLUGIND_PLUGIN_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <talev/plugin.h>

#include "plugind/later.h"
#include "plugind/module.h"
#include "plugind/place.h"
#include "plugind/waiter.h"

struct config_section;
struct daemon;

/*
 *            init, reload() fails: "failed" only if its tree cannot be taken down
 *   LOADING --> LOADED --> CLOSING --> gone, or LOADING again
 *
 * In LOADING and RELOADING a function of the plugin is on the stack of its thread, and may even run
 * the loop: then commands for it are refused.
 */
enum plugin_state {
	PLUGIN_LOADING,
	PLUGIN_LOADED,
	PLUGIN_RELOADING,
	PLUGIN_FAILED,
	PLUGIN_CLOSING,
};

/* Owned by the daemon, and outlives the plugin's own tree and code. */
struct plugin {
	TAILQ_ENTRY(plugin) link;
	struct daemon *daemon;
	enum plugin_state state;
	char *name;
	char *file;
	char *given_file; /* by the load command, or NULL */
	struct module module;
	struct config_section *section; /* a copy of its own; NULL: it has none */
	struct place place;
	struct plugin_tree *tree; /* NULL: it lives on other threads, or there is none */
	struct talev_plugin_host host;
	void *private_data;     /* the plugin's */
	struct waiters closers; /* want to know when it is gone */
	struct waiters loaders; /* want to know how loading it again ends */
	bool complete;          /* its init succeeded */
	bool again;             /* load it when it is gone */
	bool outdated;          /* its section changed while it was busy */
	/* Job queues that it uses, and what it needs to wait for the ends of its jobs. */
	struct queue **queues;
	unsigned queue_count;
	unsigned drains;
	struct later later;
	/* For the watchdog: see watch.h. */
	TAILQ_ENTRY(plugin) named;
	bool is_named;
};

struct plugin *plugin_find(const struct daemon *d, const char *name);
/* Is a function of any plugin on the stack of this thread. */
bool plugin_any_busy(const struct daemon *d);
const char *plugin_state_name(const struct plugin *p);

/* What goes wrong is logged, and told to the waiter, which may be NULL. All of these may tell it
 * before they return. */

/* file NULL: what the configuration says. If one of that name is closing, waits for it. */
void plugin_load(struct daemon *d, const char *name, const char *file, struct waiter *w);
/* Everything of it goes inert at once; done when no code of it can be executing. */
void plugin_unload(struct plugin *p, struct waiter *w);
/* Unload, then load. */
void plugin_reload(struct plugin *p, struct waiter *w);
/* Its section is another one now: has the plugin look at its options again, or reloads it if it
 * cannot do that, or if what is the daemon's has changed. */
void plugin_reconfigure(struct plugin *p);
/* Is a function of it on a stack. */
bool plugin_is_busy(const struct plugin *p);
/* Does it live on a thread of its own. */
static inline bool plugin_is_away(const struct plugin *p)
{
	return p->place.count > 0;
}

/* For place.c, which tells how it went. */
void plugin_started(struct plugin *p, int error);
void plugin_reloaded(struct plugin *p, int error);
void plugin_emptied(struct plugin *p);
void plugin_left(struct plugin *p);
/* It cannot be taken away. */
void plugin_stays(struct plugin *p, int error);

/* In unload.c. Everything of it goes inert, then its memory goes, then its code: plugin_gone(p).
 * -1: errno, nothing changed. */
int unload_begin(struct plugin *p);
/* In plugin.c. */
void plugin_gone(struct plugin *p);

#endif
