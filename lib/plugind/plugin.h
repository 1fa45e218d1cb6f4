/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_PLUGIN_H
#define PLUGIND_PLUGIN_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <talev/plugin.h>

#include "plugind/module.h"
#include "plugind/waiter.h"

struct daemon;

/*
 *            init, reload() fails: "failed" only if its tree cannot be taken down
 *   LOADING --> LOADED --> CLOSING --> gone, or LOADING again
 *
 * In LOADING and RELOADING a function of the plugin is on the stack, and may even run the loop:
 * then commands for it are refused.
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
	struct plugin_tree *tree; /* host.mem_ctx */
	struct talev_plugin_host host;
	void *private_data;     /* the plugin's */
	struct waiters closers; /* want to know when it is gone */
	struct waiters loaders; /* want to know how loading it again ends */
	bool complete;          /* its init succeeded */
	bool again;             /* load it when it is gone */
};

struct plugin *plugin_find(const struct daemon *d, const char *name);
/* Is a function of any plugin on the stack. */
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
/* Has the plugin look at its options again, or reloads it if it cannot do that. */
void plugin_reconfigure(struct plugin *p);

#endif
