/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups: how members end, and what that means for the group. Everything that is the user's may
 * free the group or any member, so each call of it stands between core_pin and core_unpin, and
 * lists are taken from their head again after it.
 */
#include "request/group.h"

#include <errno.h>

void group_decide(struct group *group, size_t which, uint64_t error)
{
	if (group->decided)
		return;
	group->decided = true;
	group->which = which;
	group->error = error;
}

/* error: 0, or how the member failed. */
static void judge(struct group *group, size_t index, uint64_t error)
{
	switch (group->mode) {
	case GROUP_ANY:
		group_decide(group, index, error);
		break;
	case GROUP_FIRST:
		if (error == 0) {
			group_decide(group, index, 0);
		} else if (!group->decided && group->error == 0) {
			group->error = error;
			group->which = index;
		}
		break;
	case GROUP_ALL:
	case GROUP_EACH:
		if (error != 0)
			group_decide(group, index, error);
		break;
	}
}

static void note_end(struct group_member *member)
{
	struct group *group = member->group;

	member->ended = true;
	group->running_count--;
	TAILQ_REMOVE(&group->running, member, link);
	TAILQ_INSERT_TAIL(&group->ended, member, link);
}

static void forget(struct group_member *member)
{
	struct group *group = member->group;

	member->group = NULL;
	if (!member->ended)
		group->running_count--;
	TAILQ_REMOVE(member->ended ? &group->ended : &group->running, member, link);
}

static void on_freed(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	struct group *group = private_data;

	(void)ev;
	(void)im;
	if (req_in_progress(group->req))
		group_go_on(group);
}

/* What follows from it cannot follow inside somebody's talloc_free(). */
static int member_destructor(struct group_member *member)
{
	struct group *group = member->group;
	bool ended = member->ended;

	if (group == NULL)
		return 0;
	forget(member);
	if (!ended && req_live(group->req) && req_in_progress(group->req)) {
		judge(group, member->index, ECANCELED);
		talev_schedule_immediate(group->freed, group->req->ts.src.ev, on_freed, group);
	}
	return 0;
}

/* The result of one of a list that start made. False: the group has gone. */
static bool hand_over(struct group *group, struct group_member *member, uint64_t error)
{
	struct talev_req *req = member->req;
	size_t index = member->index;
	struct core_pin pin;
	struct req_watch watch;
	bool there;
	int ret;

	if (group->ended_fn == NULL) {
		judge(group, index, error);
		talloc_free(req);
		return true;
	}
	if (!core_pin(&pin, &group->req->ts.src))
		return false;
	req_watch(&watch, req);
	ret = group->ended_fn(group->req, index, req, group->private_data);
	error = (uint64_t)errno;
	there = req_unwatch(&watch);
	if (!core_unpin(&pin) || !req_live(group->req))
		return false;
	if (ret != 0)
		group_decide(group, index, error != 0 ? error : EINVAL);
	if (there)
		talloc_free(req);
	return true;
}

static void on_ended(struct talev_req *req)
{
	struct group_member *member = talev_req_callback_data_void(req);
	struct group *group = member->group;
	uint64_t error = 0;

	if (req_in_progress(req) || group == NULL || member->ended)
		return;
	note_end(member);
	if (!req_in_progress(group->req))
		return;
	talev_req_is_error(req, NULL, &error);
	if (group->mode != GROUP_EACH)
		judge(group, member->index, error);
	else if (!hand_over(group, member, error))
		return;
	if (req_in_progress(group->req))
		group_go_on(group);
}

void group_adopt(
	struct group *group, struct group_member *member, struct talev_req *req, size_t index)
{
	*member = (struct group_member){.group = group, .req = req, .index = index};
	talloc_steal(group->req, req);
	talloc_steal(req, member);
	talloc_set_destructor(member, member_destructor);
	TAILQ_INSERT_TAIL(&group->running, member, link);
	group->running_count++;
	/* It may have told somebody else before. */
	req_clear(req, REQ_TOLD);
	talev_req_set_callback(req, on_ended, member);
}

/* Asks each once. False: the group has gone. */
static bool cancel_rest(struct group *group)
{
	struct group_member *member;
	struct core_pin pin;
	bool there = true;

	while (there && (member = TAILQ_FIRST(&group->running)) != NULL && !member->asked) {
		member->asked = true;
		TAILQ_REMOVE(&group->running, member, link);
		TAILQ_INSERT_TAIL(&group->running, member, link);
		there = core_pin(&pin, &group->req->ts.src);
		if (there) {
			talev_req_cancel(member->req);
			there = core_unpin(&pin) && req_live(group->req);
		}
	}
	return there;
}

/* False: the group has gone. */
static bool start_more(struct group *group)
{
	if (group->starting)
		return true;
	group->starting = true;
	while (!group->decided && !group->exhausted && group->running_count < group->limit) {
		struct group_member *member = talloc(group->req, struct group_member);
		struct talev_req *req = NULL;
		size_t i = group->next;
		struct core_pin pin;
		uint64_t error;
		int ret;

		if (member == NULL) {
			group_decide(group, SIZE_MAX, ENOMEM);
			break;
		}
		if (!core_pin(&pin, &group->req->ts.src))
			return false;
		ret = group->start(group->req, i, &req, group->private_data);
		error = (uint64_t)errno;
		if (!core_unpin(&pin) || !req_live(group->req))
			return false;
		if (ret != 0)
			group_decide(group, SIZE_MAX, error != 0 ? error : EINVAL);
		group->exhausted = req == NULL;
		if (req == NULL || ret != 0) {
			talloc_free(member);
			talloc_free(req);
			continue;
		}
		group->next++;
		group_adopt(group, member, req, i);
	}
	group->starting = false;
	return true;
}

void group_go_on(struct group *group)
{
	if (group->mode == GROUP_EACH && !start_more(group))
		return;
	if (group->decided && !cancel_rest(group))
		return;
	if (group->running_count > 0 || group->starting || !req_in_progress(group->req))
		return;
	if (group->mode == GROUP_EACH && !group->decided && !group->exhausted)
		return;
	if (group->error != 0)
		talev_req_error(group->req, group->error);
	else
		talev_req_done(group->req);
}

static bool on_cancel(struct talev_req *req)
{
	struct group *group = (struct group *)req->data;

	group_decide(group, SIZE_MAX, ECANCELED);
	group_go_on(group);
	return true;
}

static void on_cleanup(struct talev_req *req, enum talev_req_state state)
{
	struct group *group = (struct group *)req->data;
	struct group_member *member;
	struct req_watch watch;

	if (state == TALEV_REQ_RECEIVED) {
		/* Those that somebody took away from below the group go on without it. */
		while ((member = TAILQ_FIRST(&group->running)) != NULL ||
			(member = TAILQ_FIRST(&group->ended)) != NULL)
			forget(member);
		return;
	}
	/* A deadline does not wait for anybody. */
	req_watch(&watch, req);
	while (watch.object != NULL && (member = TAILQ_FIRST(&group->running)) != NULL) {
		forget(member);
		if (req_in_progress(member->req))
			talloc_free(member->req);
	}
	req_unwatch(&watch);
}

struct group *group_create(
	TALLOC_CTX *mem_ctx, struct talev_context *ev, enum group_mode mode, const char *where)
{
	struct group *group;
	struct talev_req *req;

	req = _talev_req_create(ev, mem_ctx, &group, sizeof(*group), where);
	if (req == NULL)
		return NULL;
	group->freed = talev_create_immediate(req);
	if (group->freed == NULL) {
		talloc_free(req);
		errno = ENOMEM;
		return NULL;
	}
	group->req = req;
	group->mode = mode;
	group->which = SIZE_MAX;
	TAILQ_INIT(&group->running);
	TAILQ_INIT(&group->ended);
	talev_req_set_cancel_fn(req, on_cancel);
	talev_req_set_cleanup_fn(req, on_cleanup);
	return group;
}

int talev_group_recv(struct talev_req *req, size_t *which)
{
	const struct group *group = (const struct group *)req->data;
	uint64_t error;

	if (req->cleanup != on_cleanup) {
		errno = EINVAL;
		return -1;
	}
	if (which != NULL)
		*which = group->which != SIZE_MAX ? group->which : group->next;
	if (!talev_req_is_error(req, NULL, &error))
		return 0;
	errno = error <= INT32_MAX ? (int)error : EIO;
	return -1;
}
