/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_CONTROL_H
#define PLUGIND_CONTROL_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <sys/types.h>

struct daemon;
struct client;

/* The control socket: listens, admits, and knows its clients. Freed with talloc_free(): closes
 * every connection and takes the path away, if it is still this daemon's. */

struct control {
	struct daemon *daemon;
	struct talev_fd *listener;
	char *path;
	dev_t device; /* of what was bound to the path */
	ino_t inode;
	bool resting;
	LIST_HEAD(, client) clients; /* each a child of this */
	unsigned count;
};

/* Under d; a path where somebody listens is refused, one that is left over is replaced.
 * NULL: logged. */
struct control *control_open(struct daemon *d, const char *path);

/* Sends every client what can be sent without waiting: for when the loop will not run again. */
void control_push(struct control *control);

#endif
