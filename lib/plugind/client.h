/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_CLIENT_H
#define PLUGIND_CLIENT_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>

struct control;
struct daemon;

/* One connection to the control socket. Freed with talloc_free().
 *
 * It does one request at a time, and reads no further while one is being done or its answer is on
 * the way: what a client can make the daemon hold is one request and one answer. */
struct client {
	LIST_ENTRY(client) link;
	struct control *control;
	struct talev_fd *fde;
	struct talev_timer *idle;
	char *in; /* COMMON_REQUEST_MAX bytes */
	size_t in_length;
	char *out; /* NULL: nothing to send */
	size_t out_length;
	size_t out_sent;
	bool ended;   /* it sends no more */
	bool leaving; /* closed when out is sent */
	bool waiting; /* for client_answer() */
};

/* Takes a connection that was admitted; owns fd from here on, also if it fails. -1: errno. */
int client_open(struct control *control, int fd);

/* The answer to the request that is being done: sent while the loop runs. */
void client_answer(struct client *c, bool ok, const char *body, size_t length);
void client_ok(struct client *c, const char *body);
void client_error(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sends what can be sent without waiting: for when the loop will not run again. */
void client_push(struct client *c);

/* Does what the line asks for, in command.c; answers once, now or later. Changes line. */
void command_run(struct daemon *d, struct client *c, char *line);

#endif
