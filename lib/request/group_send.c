/* SPDX-License-Identifier: BSD-2-Clause */
/* How groups are made. */
#include "request/group.h"

#include <errno.h>

static bool is_below_marked(const void *ptr)
{
	while (ptr != NULL && !(is_req(ptr) && req_has(ptr, REQ_MARKED)))
		ptr = talloc_parent(ptr);
	return ptr != NULL;
}

/* Each is there once, and not above what is to hold the group. */
static bool may_join(const void *holder, struct talev_req **members, size_t n)
{
	size_t i;
	bool may;

	for (i = 0; i < n; i++) {
		struct talev_req *req = members[i];

		if (req == NULL || !req_live(req) || req_state(req) == TALEV_REQ_RECEIVED ||
			req_has(req, REQ_MARKED))
			break;
		req_set(req, REQ_MARKED);
	}
	may = i == n && !is_below_marked(holder);
	while (i-- > 0)
		req_clear(members[i], REQ_MARKED);
	if (!may)
		errno = EINVAL;
	return may;
}

/* All memory first, so that nothing has moved if there is not enough. */
static struct talev_req *send_list(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	enum group_mode mode, struct talev_req **members, size_t n, const char *where)
{
	struct group_member **made;
	struct group *group;

	if (!may_join(mem_ctx != NULL ? mem_ctx : ev, members, n))
		return NULL;
	group = group_create(mem_ctx, ev, mode, where);
	if (group == NULL)
		return NULL;
	made = talloc_array(group->req, struct group_member *, n);
	for (size_t i = 0; made != NULL && i < n; i++) {
		made[i] = talloc(made, struct group_member);
		if (made[i] == NULL)
			TALLOC_FREE(made);
	}
	if (made == NULL) {
		talloc_free(group->req);
		errno = ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		group_adopt(group, made[i], members[i], i);
	talloc_free(made);
	group->next = n;
	group_go_on(group);
	return group->req;
}

struct talev_req *_talev_group_all_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	struct talev_req **members, size_t n, const char *where)
{
	return send_list(mem_ctx, ev, GROUP_ALL, members, n, where);
}

struct talev_req *_talev_group_any_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	struct talev_req **members, size_t n, const char *where)
{
	if (n == 0) {
		errno = EINVAL;
		return NULL;
	}
	return send_list(mem_ctx, ev, GROUP_ANY, members, n, where);
}

struct talev_req *_talev_group_first_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	struct talev_req **members, size_t n, const char *where)
{
	if (n == 0) {
		errno = EINVAL;
		return NULL;
	}
	return send_list(mem_ctx, ev, GROUP_FIRST, members, n, where);
}

struct talev_req *_talev_group_each_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	size_t limit, talev_group_start_t start, talev_group_ended_t ended, void *private_data,
	const char *where)
{
	struct group *group;
	struct talev_req *req;
	struct req_watch watch;

	if (limit == 0 || start == NULL) {
		errno = EINVAL;
		return NULL;
	}
	group = group_create(mem_ctx, ev, GROUP_EACH, where);
	if (group == NULL)
		return NULL;
	req = group->req;
	group->limit = limit;
	group->start = start;
	group->ended_fn = ended;
	group->private_data = private_data;
	req_watch(&watch, req);
	group_go_on(group);
	if (!req_unwatch(&watch)) {
		errno = ESTALE;
		return NULL;
	}
	return req;
}
