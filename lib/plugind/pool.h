/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_POOL_H
#define PLUGIND_POOL_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <talloc.h>

struct daemon;
struct talev_immediate;
struct talev_loops;

#define POOL_THREADS_MAX 256

/* Loops with threads for plugins: those of one plugin, or those of a section [pool NAME]. */
struct pool {
	TAILQ_ENTRY(pool) link;
	struct daemon *daemon;
	char *name;
	struct talev_loops *loops;
	bool own;      /* one plugin's */
	bool unwanted; /* ends with its last user */
	bool ending;
	bool over;                /* its loops have ended, and its thread */
	unsigned users;           /* plugins that live here, or are being loaded */
	void (*ended)(void *arg); /* or NULL */
	void *arg;
	/* What the thread that runs the loops tells. */
	struct talev_immediate *im;
	pthread_t thread;
	sem_t begun;
	int error;
};

/* Loops that run. NULL: errno. */
struct pool *pool_open(struct daemon *d, const char *name, unsigned threads, bool own);

/* The loops of [pool NAME], which are made if they are not there. NULL: errno. */
struct pool *pool_get(struct daemon *d, const char *name);

/* One user less. */
void pool_leave(struct pool *pool);

/* Has its loops end, when nothing is left in them, and then the pool: ended(arg) is called after
 * that. */
void pool_end(struct pool *pool, void (*ended)(void *arg), void *arg);

/* Makes, grows and ends those of the file; and all of them have the settings of [talevd]. */
void pools_apply(struct daemon *d);

/* Those that the file does not name any more, and that nobody uses, end. */
void pools_sweep(struct daemon *d);

/* The daemon stops, and no plugin is left: false, they go, and stop_next() is called again. */
bool pools_gone(struct daemon *d);

#endif
