/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Profiles. That of a request is a talloc child of that of the request above it, from its creation
 * on; so the tree of profiles is the tree of requests as they were made, finished ones and running
 * ones. Strings are copied: a profile may outlive the program text that made the request.
 */
#include "request/profile.h"

#include <errno.h>
#include <string.h>

static const char no_memory[] = "(no memory)";

static const char *copy(struct talev_req_profile *profile, const char *text)
{
	const char *made = talloc_strdup(profile, text);

	return made != NULL ? made : no_memory;
}

static int profile_destructor(struct talev_req_profile *profile)
{
	if (profile->above != NULL)
		TAILQ_REMOVE(&profile->above->below, profile, link);
	if (profile->req != NULL) {
		profile->req->extra->profile = NULL;
		atomic_fetch_sub_explicit(&req_profiles, 1, memory_order_relaxed);
	}
	/* talloc takes the children after this: they have nobody above them any more. */
	while (!TAILQ_EMPTY(&profile->below)) {
		struct talev_req_profile *below = TAILQ_FIRST(&profile->below);

		TAILQ_REMOVE(&profile->below, below, link);
		below->above = NULL;
	}
	return 0;
}

static int profile_create(struct talev_req *req, struct talev_req_profile *above)
{
	struct talev_req_profile *profile;

	if (req_need_extra(req) != 0)
		return -1;
	profile = talloc_zero(above, struct talev_req_profile);
	if (profile == NULL) {
		errno = ENOMEM;
		return -1;
	}
	profile->req = req;
	profile->above = above;
	TAILQ_INIT(&profile->below);
	profile->info.name = copy(profile, source_where(&req->ts.src));
	profile->info.location = copy(profile, source_location(&req->ts.src));
	profile->info.start = core_now(req->ts.src.ev, TALEV_CLOCK_MONOTONIC);
	profile->info.stop = TALEV_NEVER;
	if (above != NULL)
		TAILQ_INSERT_TAIL(&above->below, profile, link);
	req->extra->profile = profile;
	atomic_fetch_add_explicit(&req_profiles, 1, memory_order_relaxed);
	talloc_set_destructor(profile, profile_destructor);
	return 0;
}

/* Without memory the request goes on and is missing in the profile: nobody asked it to be there. */
void profile_inherit(struct talev_req *req)
{
	const struct talev_req *above = req;

	while ((above = req_above(above)) != NULL) {
		if (above->extra != NULL && above->extra->profile != NULL) {
			(void)profile_create(req, above->extra->profile);
			return;
		}
	}
}

void profile_end(struct talev_req *req)
{
	struct talev_req_profile *profile = req->extra->profile;

	if (profile == NULL || profile->info.stop != TALEV_NEVER)
		return;
	profile->info.stop = core_now(req->ts.src.ev, TALEV_CLOCK_MONOTONIC);
	profile->info.state = req_state(req);
	if (req_in_progress(req)) {
		/* It is being freed. */
		profile->info.state = TALEV_REQ_RECEIVED;
		return;
	}
	profile->info.error = req_state(req) == TALEV_REQ_DONE ? 0 : req->error;
	profile->info.ended_at = copy(profile, req->ended_at);
}

void profile_drop(struct talev_req *req)
{
	struct talev_req_profile *profile = req->extra->profile;

	if (profile == NULL)
		return;
	profile_end(req);
	req->extra->profile = NULL;
	profile->req = NULL;
	atomic_fetch_sub_explicit(&req_profiles, 1, memory_order_relaxed);
	if (profile->above == NULL)
		talloc_free(profile);
}

int talev_req_set_profile(struct talev_req *req)
{
	if (!req_in_progress(req) || !req_live(req)) {
		errno = ESTALE;
		return -1;
	}
	if (req->extra != NULL && req->extra->profile != NULL) {
		errno = EALREADY;
		return -1;
	}
	return profile_create(req, NULL);
}

const struct talev_req_profile *talev_req_get_profile(const struct talev_req *req)
{
	return req->extra != NULL ? req->extra->profile : NULL;
}

struct talev_req_profile *talev_req_move_profile(struct talev_req *req, TALLOC_CTX *mem_ctx)
{
	struct talev_req_profile *profile = req->extra != NULL ? req->extra->profile : NULL;

	if (profile == NULL || req_in_progress(req)) {
		errno = profile == NULL ? EINVAL : EINPROGRESS;
		return NULL;
	}
	if (profile->above != NULL) {
		TAILQ_REMOVE(&profile->above->below, profile, link);
		profile->above = NULL;
	}
	req->extra->profile = NULL;
	profile->req = NULL;
	atomic_fetch_sub_explicit(&req_profiles, 1, memory_order_relaxed);
	return talloc_steal(mem_ctx, profile);
}

void talev_req_profile_get(
	const struct talev_req_profile *profile, struct talev_req_profile_info *info, size_t size)
{
	memset(info, 0, size);
	memcpy(info, &profile->info, size < sizeof(*info) ? size : sizeof(*info));
}

const struct talev_req_profile *talev_req_profile_first(const struct talev_req_profile *profile)
{
	return TAILQ_FIRST(&profile->below);
}

const struct talev_req_profile *talev_req_profile_next(const struct talev_req_profile *profile)
{
	return profile->above != NULL ? TAILQ_NEXT(profile, link) : NULL;
}
