/* SPDX-License-Identifier: BSD-2-Clause */
/* The group, inside the room. */
#ifndef REQUEST_GROUP_H
#define REQUEST_GROUP_H

#include <talev/group.h>
#include <talev/immediate.h>
#include "request/req.h"

enum group_mode { GROUP_ALL, GROUP_ANY, GROUP_FIRST, GROUP_EACH };

/* What ties a request to its group: a talloc child of the request, so that it tells when that is
 * freed. */
struct group_member {
	struct group *group; /* NULL: the group is not interested any more */
	struct talev_req *req;
	size_t index;
	TAILQ_ENTRY(group_member) link; /* in running or ended */
	bool ended;
	bool asked; /* to cancel */
};

TAILQ_HEAD(group_list, group_member);

/* The state of the group's request. */
struct group {
	struct talev_req *req;
	enum group_mode mode;
	struct group_list running; /* those that were asked to cancel behind the others */
	struct group_list ended;
	size_t running_count;
	size_t next;  /* how many members there are or were */
	size_t which; /* the one that decided; SIZE_MAX: none */
	uint64_t error;
	bool decided; /* nothing more is started, and the rest is cancelled */
	bool exhausted;
	bool starting;
	size_t limit;
	talev_group_start_t start;
	talev_group_ended_t ended_fn;
	void *private_data;
	struct talev_immediate *freed; /* scheduled when a member was freed */
};

/* A request with the group in it, or NULL. */
struct group *group_create(
	TALLOC_CTX *mem_ctx, struct talev_context *ev, enum group_mode mode, const char *where);

/* Takes the request in, with a member that was allocated before. */
void group_adopt(
	struct group *group, struct group_member *member, struct talev_req *req, size_t index);

/* That member decides; error 0: the group is done. which SIZE_MAX: it was none of them. */
void group_decide(struct group *group, size_t which, uint64_t error);

/* Starts what may start, cancels what is to be cancelled, ends if nothing is left. The group may
 * have gone when it returns. */
void group_go_on(struct group *group);

#endif
