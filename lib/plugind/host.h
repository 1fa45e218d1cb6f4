/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_HOST_H
#define PLUGIND_HOST_H

struct plugin;

/* What the daemon does for its plugins: struct talev_plugin_host. */

/* Fills p->host and makes p->tree. -1: ENOMEM. */
int host_open(struct plugin *p);

/* Names the options that the plugin never asked for: most likely they are misspelt. */
void host_name_unused(struct plugin *p);

void host_forget_asked(struct plugin *p);

#endif
