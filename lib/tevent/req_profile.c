/* SPDX-License-Identifier: BSD-2-Clause */
/* When requests started and stopped, as a tree. The profile of a request is its child until it
 * stops, then a child of the profile of the request above. */
#include <errno.h>
#include "tevent/req.h"

struct tevent_req_profile {
	TAILQ_ENTRY(tevent_req_profile) link;
	TAILQ_HEAD(, tevent_req_profile) subs;
	struct tevent_req_profile *parent;
	const char *name;
	pid_t pid;
	const char *start_location;
	struct timeval start_time;
	const char *stop_location;
	struct timeval stop_time;
	enum tevent_req_state state;
	uint64_t user_error;
};

static int profile_destructor(struct tevent_req_profile *profile)
{
	struct tevent_req_profile *sub;

	if (profile->parent != NULL)
		TAILQ_REMOVE(&profile->parent->subs, profile, link);
	profile->parent = NULL;
	while ((sub = TAILQ_FIRST(&profile->subs)) != NULL) {
		TAILQ_REMOVE(&profile->subs, sub, link);
		sub->parent = NULL;
	}
	return 0;
}

struct tevent_req_profile *tevent_req_profile_create(TALLOC_CTX *mem_ctx)
{
	struct tevent_req_profile *profile = talloc_zero(mem_ctx, struct tevent_req_profile);

	if (profile == NULL)
		return NULL;
	TAILQ_INIT(&profile->subs);
	talloc_set_destructor(profile, profile_destructor);
	return profile;
}

bool tevent_req_set_profile(struct tevent_req *req)
{
	struct tevent_req_profile *profile;

	if (req->profile != NULL) {
		tevent_req_error(req, EINVAL);
		return false;
	}
	profile = tevent_req_profile_create(req);
	if (tevent_req_nomem(profile, req))
		return false;
	profile->name = talloc_get_name(req->data);
	profile->start_location = req->create_location;
	profile->start_time = tevent_timeval_current();
	req->profile = profile;
	return true;
}

void profile_add(struct tevent_req_profile *parent, struct tevent_req_profile *profile)
{
	profile->parent = parent;
	TAILQ_INSERT_TAIL(&parent->subs, profile, link);
}

void profile_stop(struct tevent_req *req)
{
	struct tevent_req_profile *profile = req->profile;

	profile->stop_location = req->finish_location;
	profile->stop_time = tevent_timeval_current();
	profile->state = req->state;
	profile->user_error = req->error;
	if (profile->parent != NULL) {
		talloc_steal(profile->parent, profile);
		req->profile = NULL;
	}
}

const struct tevent_req_profile *tevent_req_get_profile(struct tevent_req *req)
{
	return req->profile;
}

struct tevent_req_profile *tevent_req_move_profile(struct tevent_req *req, TALLOC_CTX *mem_ctx)
{
	return talloc_move(mem_ctx, &req->profile);
}

void tevent_req_profile_get_name(const struct tevent_req_profile *profile, const char **req_name)
{
	if (req_name != NULL)
		*req_name = profile->name;
}

void tevent_req_profile_get_start(const struct tevent_req_profile *profile,
	const char **start_location, struct timeval *start_time)
{
	if (start_location != NULL)
		*start_location = profile->start_location;
	if (start_time != NULL)
		*start_time = profile->start_time;
}

void tevent_req_profile_get_stop(const struct tevent_req_profile *profile,
	const char **stop_location, struct timeval *stop_time)
{
	if (stop_location != NULL)
		*stop_location = profile->stop_location;
	if (stop_time != NULL)
		*stop_time = profile->stop_time;
}

void tevent_req_profile_get_status(const struct tevent_req_profile *profile, pid_t *pid,
	enum tevent_req_state *state, uint64_t *user_error)
{
	if (pid != NULL)
		*pid = profile->pid;
	if (state != NULL)
		*state = profile->state;
	if (user_error != NULL)
		*user_error = profile->user_error;
}

const struct tevent_req_profile *tevent_req_profile_get_subprofiles(
	const struct tevent_req_profile *profile)
{
	return TAILQ_FIRST(&profile->subs);
}

const struct tevent_req_profile *tevent_req_profile_next(const struct tevent_req_profile *profile)
{
	return profile->parent != NULL ? TAILQ_NEXT(profile, link) : NULL;
}

/* Copies, so that a profile can be made from what came over a wire. */
static bool set_string(struct tevent_req_profile *profile, const char **at, const char *string)
{
	*at = NULL;
	if (string == NULL)
		return true;
	*at = talloc_strdup(profile, string);
	return *at != NULL;
}

bool tevent_req_profile_set_name(struct tevent_req_profile *profile, const char *name)
{
	return set_string(profile, &profile->name, name);
}

bool tevent_req_profile_set_start(
	struct tevent_req_profile *profile, const char *start_location, struct timeval start_time)
{
	profile->start_time = start_time;
	return set_string(profile, &profile->start_location, start_location);
}

bool tevent_req_profile_set_stop(
	struct tevent_req_profile *profile, const char *stop_location, struct timeval stop_time)
{
	profile->stop_time = stop_time;
	return set_string(profile, &profile->stop_location, stop_location);
}

void tevent_req_profile_set_status(struct tevent_req_profile *profile, pid_t pid,
	enum tevent_req_state state, uint64_t user_error)
{
	profile->pid = pid;
	profile->state = state;
	profile->user_error = user_error;
}

void tevent_req_profile_append_sub(
	struct tevent_req_profile *parent_profile, struct tevent_req_profile **sub_profile)
{
	struct tevent_req_profile *sub = talloc_move(parent_profile, sub_profile);

	if (sub->parent != NULL)
		TAILQ_REMOVE(&sub->parent->subs, sub, link);
	profile_add(parent_profile, sub);
}
