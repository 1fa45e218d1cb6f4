/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_CTL_CONNECT_H
#define PLUGIND_CTL_CONNECT_H

#include <stdbool.h>
#include <stdio.h>

/* What talevctl says to the daemon. */

enum ctl_result {
	CTL_OK = 0,
	CTL_REFUSED = 1, /* the daemon answered ERR */
	CTL_USAGE = 2,
	CTL_NO_DAEMON = 3, /* no connection, or it broke */
};

/* A connection, or -1 with a message on stderr. */
int ctl_connect(const char *path);

/* Sends one request, without its newline, and copies the answer's body to stdout, or to stderr if
 * it is an error. Says on stderr what goes wrong. */
enum ctl_result ctl_request(int fd, const char *request);

/* Waits until the daemon closes the connection. */
void ctl_wait_end(int fd);

#endif
