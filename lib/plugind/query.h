/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_QUERY_H
#define PLUGIND_QUERY_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "plugind/errand.h"
#include "plugind/waiter.h"

struct client;
struct query;
struct seat;

/* What one loop of another thread says of itself. */
struct query_part {
	struct errand errand;
	struct query *query;
	struct talev_loop *loop; /* which may be no more when the query is answered */
	char name[48];           /* of the loop */
	char pool[48];           /* of its pool */
	const struct seat *seat;
	bool json;
	bool asked;
	bool back; /* else it is silent, and the following is not there */
	/* Of its thread, which makes them. */
	char *text; /* without a parent; NULL also if there was no memory */
	const char *backend;
	uint64_t turns;
	uint64_t waits;
	uint64_t handlers;
	size_t events;
};

/* Asks loops for something that a client wants to know. Who does not answer within half a second is
 * left out: the client has its answer all the same. Lives until the last loop has answered. */
struct query {
	LIST_ENTRY(query) link;
	struct daemon *daemon;
	struct client *client;
	struct waiters waiters; /* the client, while it is there */
	void (*answer)(struct query *query);
	bool json;
	bool answered;
	unsigned away;
	unsigned count;
	struct query_part *parts;
};

/* answer(query) is to say to query->client what the parts have brought; it is not called if the
 * client has gone. Parts with a loop are to be added until query_go(). NULL: ENOMEM. */
struct query *query_new(struct client *c, unsigned most, void (*answer)(struct query *query));
struct query_part *query_add(struct query *query, struct talev_loop *loop);
/* there() fills the part that the errand begins with. */
void query_go(struct query *query, errand_there_fn_t there);

#endif
