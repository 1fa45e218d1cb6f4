/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_LOOK_H
#define PLUGIND_LOOK_H

#include <stdbool.h>

struct client;
struct daemon;
struct plugin;

/* What talevctl shows of the loops. These see to it that the client gets its answer. */

void look_loops(struct daemon *d, struct client *c, bool json);
void look_events(struct daemon *d, struct client *c, bool json);
void look_tree(struct daemon *d, struct client *c, const struct plugin *p);

#endif
