/* SPDX-License-Identifier: BSD-2-Clause */
/* A profile as text and as JSON. */
#include "request/profile.h"

#include <inttypes.h>
#include "base/json.h"

static void put_line(struct out *out, const struct talev_req_profile *profile, int depth)
{
	const struct talev_req_profile_info *info = &profile->info;

	out_printf(out, "%*s%s (%s): %s", 2 * depth, "", info->name, info->location,
		req_state_name(info->state));
	if (info->error != 0)
		out_printf(out, " %" PRIu64, info->error);
	if (info->stop != TALEV_NEVER) {
		talev_time_t spent = info->stop - info->start;

		out_printf(out, ", %" PRId64 ".%03" PRId64 " ms", spent / 1000000,
			spent / 1000 % 1000);
	}
	if (info->ended_at != NULL)
		out_printf(out, ", at %s", info->ended_at);
	out_string(out, "\n");
}

static void put_text(struct out *out, const struct talev_req_profile *profile, int depth)
{
	const struct talev_req_profile *below;

	put_line(out, profile, depth);
	TAILQ_FOREACH (below, &profile->below, link)
		put_text(out, below, depth + 1);
}

char *talev_req_profile_text(TALLOC_CTX *mem_ctx, const struct talev_req_profile *profile)
{
	struct out out;

	out_init(&out, mem_ctx);
	put_text(&out, profile, 0);
	return out_finish(&out);
}

static void put_json(struct out *out, const struct talev_req_profile *profile)
{
	const struct talev_req_profile_info *info = &profile->info;
	const struct talev_req_profile *below;

	out_string(out, "{");
	json_string_at(out, "name", info->name);
	json_string_at(out, "location", info->location);
	json_string_at(out, "state", req_state_name(info->state));
	json_uint_at(out, "error", info->error);
	json_int_at(out, "start", info->start);
	json_moment_at(out, "stop", info->stop);
	if (info->ended_at != NULL)
		json_string_at(out, "ended_at", info->ended_at);
	json_key(out, "requests");
	out_string(out, "[");
	TAILQ_FOREACH (below, &profile->below, link) {
		if (below != TAILQ_FIRST(&profile->below))
			out_string(out, ",");
		put_json(out, below);
	}
	out_string(out, "]}");
}

char *talev_req_profile_json(TALLOC_CTX *mem_ctx, const struct talev_req_profile *profile)
{
	struct out out;

	out_init(&out, mem_ctx);
	put_json(&out, profile);
	return out_finish(&out);
}
