/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_GROUP_H
#define TALEV_GROUP_H

#include <stddef.h>
#include <talloc.h>
#include <talev/request.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A group is a request made of others, its members. When it has ended, none of them is in progress
 * any more. A group that is cancelled cancels its members; one that ends by its deadline frees
 * those that are still in progress; a member that is freed counts as cancelled. All of these are
 * for the thread of the context. */

/* Of n requests, which move below the group and get their callback from it; their results are
 * fetched from the group's callback on, before the group is freed. NULL, and nothing was moved:
 * EINVAL, also if one is twice among them or above mem_ctx; ENOMEM, ESHUTDOWN, ESTALE mem_ctx is
 * being finalized. */

/* Done when all are done. When one fails, the others are cancelled, and the group fails like it. */
struct talev_req *_talev_group_all_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	struct talev_req **members, size_t n, const char *where);
#define talev_group_all_send(mem_ctx, ev, members, n)                                              \
	_talev_group_all_send(mem_ctx, ev, members, n, TALEV_WHERE(group of all))

/* Ends like the first member to end; the others are cancelled. n 0: EINVAL. */
struct talev_req *_talev_group_any_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	struct talev_req **members, size_t n, const char *where);
#define talev_group_any_send(mem_ctx, ev, members, n)                                              \
	_talev_group_any_send(mem_ctx, ev, members, n, TALEV_WHERE(group of any))

/* Done when one is done; the others are cancelled. If all fail, it fails like the first to fail.
 * n 0: EINVAL. */
struct talev_req *_talev_group_first_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	struct talev_req **members, size_t n, const char *where);
#define talev_group_first_send(mem_ctx, ev, members, n)                                            \
	_talev_group_first_send(mem_ctx, ev, members, n, TALEV_WHERE(group of the first))

/* 0, or -1 with the error. *which, unless which is NULL: the member that decided it, by its place
 * in the list; n if none did. Members stay until the group is freed. */
int talev_group_recv(struct talev_req *req, size_t *which);

/* Starts number i, as a request below group in *member. Leaving that NULL ends the list.
 * -1: the group fails with errno. */
typedef int (*talev_group_start_t)(
	struct talev_req *group, size_t i, struct talev_req **member, void *private_data);

/* Number i has ended; it is freed afterwards. -1: the group fails with errno. */
typedef int (*talev_group_ended_t)(
	struct talev_req *group, size_t i, struct talev_req *member, void *private_data);

/* Calls start for 0, 1, 2 and so on, the first limit times before this returns, then each time a
 * member has ended, so that never more than limit are in progress. Done when start has ended the
 * list and all that it started have ended. ended may be NULL: then the group fails like the first
 * member that fails. When it fails, nothing more is started and the others are cancelled. NULL:
 * EINVAL limit is 0 or start is NULL; ESTALE also when start has freed the group; else as above. */
struct talev_req *_talev_group_each_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	size_t limit, talev_group_start_t start, talev_group_ended_t ended, void *private_data,
	const char *where);
#define talev_group_each_send(mem_ctx, ev, limit, start, ended, private_data)                      \
	_talev_group_each_send(                                                                    \
		mem_ctx, ev, limit, start, ended, private_data, TALEV_WHERE(group of each))

#ifdef __cplusplus
}
#endif

#endif
