/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_HOST_H
#define PLUGIND_HOST_H

#include <stdbool.h>
#include <talloc.h>

struct plugin;
struct plugin_tree;

/* What the daemon does for its plugins: struct talev_plugin_host. */

/* Fills p->host, but for the context and the tree. */
void host_fill(struct plugin *p);

/* A tree of the plugin, on the thread that it will be used on. NULL: ENOMEM. */
struct plugin_tree *host_tree(TALLOC_CTX *mem_ctx, struct plugin *p);
/* May it be freed from now on? Not by the plugin. */
void host_tree_release(struct plugin_tree *tree, bool released);

/* Names the options that the plugin never asked for: most likely they are misspelt. */
void host_name_unused(struct plugin *p);

void host_forget_asked(struct plugin *p);

#endif
