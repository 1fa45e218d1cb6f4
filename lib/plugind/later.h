/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_LATER_H
#define PLUGIND_LATER_H

#include <bsd/sys/queue.h>

struct daemon;

/* Something for which there was no memory, and that cannot be left undone: fn(arg) will try it
 * again in a while. Part of what it is for. */
struct later {
	TAILQ_ENTRY(later) link;
	void (*fn)(void *arg);
	void *arg;
};
TAILQ_HEAD(later_list, later);

/* -1: errno. */
int later_open(struct daemon *d);

void later_add(struct daemon *d, struct later *later, void (*fn)(void *arg), void *arg);

#endif
