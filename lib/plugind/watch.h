/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_WATCH_H
#define PLUGIND_WATCH_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>
#include <talev/time.h>

struct daemon;
struct plugin;
struct pool;
struct queue;
struct talev_watchdog_report;

#define WATCH_TEXT 128
#define WATCH_MOST 32

/* A loop that was reported, and has not gone on. */
struct watch_stuck {
	char loop[64]; /* empty: none */
	char handler[WATCH_TEXT];
	char location[WATCH_TEXT];
};

/* The watchdog of the daemon's loop, of those of plugins, and of jobs. */
struct watch {
	struct talev_watchdog *wd; /* NULL: it is off */
	struct talev_heart *heart; /* of the daemon's loop */
	talev_time_t limit;        /* that this has */
	atomic_bool aborts;
	/* What its thread looks at when it reports. */
	pthread_mutex_t lock;
	TAILQ_HEAD(, plugin) named;
	struct watch_stuck stuck[WATCH_MOST];
};

/* As the configuration wants it, for what there is by now. -1: logged. */
int watch_open(struct daemon *d);
void watch_apply(struct daemon *d);
/* Before anything that it looks at goes. */
void watch_close(struct daemon *d);

/* A new one; the limits are those of its section, or the daemon's. */
void watch_pool(struct pool *pool);
void watch_queue(struct daemon *d, struct queue *queue);

/* Who started the daemon is told, if he wants to know. */
void watch_ready(struct daemon *d);
void watch_stopping(struct daemon *d);

/* NULL: ENOMEM. */
char *watch_text(TALLOC_CTX *mem_ctx, struct daemon *d, bool json);

/* In watch_report.c. */

/* Its name, file, place and queues stay as they are until it is forgotten. */
void watch_name(struct plugin *p);
void watch_forget(struct plugin *p);
void watch_forget_pool(const struct pool *pool);

/* What was reported to run on the loop of that name, in words that need no escape in JSON. False:
 * nothing. */
bool watch_doing(struct daemon *d, const char *loop, struct watch_stuck *stuck);

/* For talev_watchdog_set_handler(). */
bool watch_report(const struct talev_watchdog_report *report, void *private_data);

#endif
