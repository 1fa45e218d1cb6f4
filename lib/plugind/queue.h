/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_QUEUE_H
#define PLUGIND_QUEUE_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>
#include <talev/time.h>

struct config;
struct daemon;
struct talev_jobq;

/* The most jobs at a time, unless told otherwise. */
#define QUEUE_MOST 1024

/* The job queues of the sections [jobs NAME]. */
struct queue {
	TAILQ_ENTRY(queue) link;
	char *name;
	struct talev_jobq *jobq;
	unsigned processors; /* the concurrency that it began with */
	bool unwanted;       /* goes with its last user */
	unsigned users;      /* plugins that have named it */
};

/* Settings, of a section or of a command: those that were given. */
struct queue_change {
	bool has_concurrency, has_min, has_max, has_floor, has_idle, has_backlog, has_lifo;
	unsigned concurrency;
	unsigned min;
	unsigned max;
	unsigned floor;
	talev_time_t idle;
	size_t backlog;
	bool lifo;
	const char *classes; /* lies in the value; NULL: not given */
};

/* One more of them. 1: no such key; -1: error says what it would have taken. */
int queue_change_add(
	struct queue_change *change, const char *key, const char *value, char *error, size_t size);

/* -1: EINVAL the minimum would be above the maximum, ENOMEM. */
int queue_set(struct queue *queue, const struct queue_change *change);

struct queue *queue_find(const struct daemon *d, const char *name);

/* Makes those of the file, and sets what is written there where that has changed since before,
 * which may be NULL. */
void queues_apply(struct daemon *d, const struct config *before);

/* One user less. */
void queue_leave(struct daemon *d, struct queue *queue);

/* Those that the file does not name any more, and that nobody uses, go. */
void queues_sweep(struct daemon *d);

#endif
