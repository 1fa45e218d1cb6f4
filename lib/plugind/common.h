/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_COMMON_H
#define PLUGIND_COMMON_H

#include <stddef.h>
#include <sys/un.h>

/* What talevd and talevctl agree about.
 *
 * A request is one line of words, at most COMMON_REQUEST_MAX bytes with its newline. The answer is
 * one line, OK or ERR and a number of bytes, and then that many bytes. A connection takes any
 * number of requests, one after the other. */

#define TALEVD_CONFIG "/etc/talevd.conf"
#define TALEVD_SOCKET "/run/talevd.sock"

#define COMMON_REQUEST_MAX 4096
#define COMMON_ANSWER_MAX  (16u << 20)
#define COMMON_WORDS_MAX   16

#ifndef TALEV_VERSION
#define TALEV_VERSION "unreleased"
#endif

struct common_command {
	const char *name;
	const char *arguments; /* for people */
	int least;             /* how many there are */
	int most;
};

/* Ends with a NULL name. */
extern const struct common_command common_commands[];

const struct common_command *common_command_find(const char *name);

/* -1: ENAMETOOLONG. */
int common_address(struct sockaddr_un *address, const char *path);

#endif
