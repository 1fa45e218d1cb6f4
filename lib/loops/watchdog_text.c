/* SPDX-License-Identifier: BSD-2-Clause */
/* All hearts of a watchdog, as text and JSON. */
#include "loops/manager.h"

#include "base/base.h"
#include "base/json.h"
#include "base/out.h"

static const char *kind_name(enum heart_kind kind)
{
	switch (kind) {
	case HEART_LOOP:
		return "loop";
	case HEART_CONTEXT:
		return "context";
	case HEART_JOB:
		return "job";
	case HEART_BEATEN:
		break;
	}
	return "heart";
}

static const char *state_name(const struct heart *heart)
{
	if (heart->hard_told)
		return "hard";
	if (heart->soft_told)
		return "soft";
	switch (heart->state) {
	case HEART_IDLE:
		return "idle";
	case HEART_BUSY:
		return "busy";
	case HEART_SUSPENDED:
		return "suspended";
	case HEART_OFF:
		break;
	}
	return "off";
}

static void put_time(struct out *out, const char *words, talev_time_t t)
{
	if (t == TALEV_NEVER)
		out_printf(out, "%snever", words);
	else
		out_printf(out, "%s%.3f s", words, (double)t / 1e9);
}

static void put_text(struct heart *heart, talev_time_t now, struct out *out)
{
	struct suspended suspended;

	out_printf(out, "%s %s: %s, thread %d", kind_name(heart->kind), heart->name,
		state_name(heart), (int)heart->tid);
	if (heart->kind == HEART_JOB)
		out_printf(out, ", %s (%s)", heart->job, heart->location);
	put_time(out, ", beat ", heart_stalled(heart, now));
	put_time(out, " ago, soft ", heart->soft);
	put_time(out, ", hard ", heart->hard);
	put_time(out, ", remaining ", heart_remaining(heart, now));
	out_printf(out, ", fired %llu soft %llu hard", (unsigned long long)heart->soft_count,
		(unsigned long long)heart->hard_count);
	suspended_get(heart->tid, now, &suspended);
	if (suspended.reason != NULL) {
		put_time(out, ", suspended for ", suspended.left);
		out_printf(out, ": %s (%s)", suspended.reason, suspended.location);
	}
	out_string(out, "\n");
}

static void put_json(struct heart *heart, talev_time_t now, struct out *out)
{
	struct suspended suspended;

	out_string(out, "{");
	json_string_at(out, "name", heart->name);
	json_string_at(out, "kind", kind_name(heart->kind));
	json_string_at(out, "state", state_name(heart));
	json_int_at(out, "tid", heart->tid);
	if (heart->kind == HEART_JOB) {
		json_string_at(out, "job", heart->job);
		json_string_at(out, "location", heart->location);
	}
	json_int_at(out, "beat_ago", heart_stalled(heart, now));
	json_moment_at(out, "soft", heart->soft);
	json_moment_at(out, "hard", heart->hard);
	json_moment_at(out, "remaining", heart_remaining(heart, now));
	json_uint_at(out, "soft_fired", heart->soft_count);
	json_uint_at(out, "hard_fired", heart->hard_count);
	suspended_get(heart->tid, now, &suspended);
	if (suspended.reason != NULL) {
		json_key(out, "suspended");
		out_string(out, "{");
		json_string_at(out, "reason", suspended.reason);
		json_string_at(out, "location", suspended.location);
		json_moment_at(out, "left", suspended.left);
		out_string(out, "}");
	}
	out_string(out, "}");
}

char *talev_watchdog_text(TALLOC_CTX *mem_ctx, struct talev_watchdog *wd)
{
	struct heart *heart;
	struct out out;
	talev_time_t now;

	out_init(&out, mem_ctx);
	out_string(&out, "");
	pthread_mutex_lock(&watch_lock);
	now = base_clock_now(TALEV_CLOCK_MONOTONIC);
	TAILQ_FOREACH (heart, &wd->hearts, link)
		put_text(heart, now, &out);
	pthread_mutex_unlock(&watch_lock);
	return out_finish(&out);
}

char *talev_watchdog_json(TALLOC_CTX *mem_ctx, struct talev_watchdog *wd)
{
	struct heart *heart;
	struct out out;
	talev_time_t now;

	out_init(&out, mem_ctx);
	out_string(&out, "{");
	json_bool_at(&out, "running", watchdog_runs(wd));
	json_key(&out, "hearts");
	out_string(&out, "[");
	pthread_mutex_lock(&watch_lock);
	now = base_clock_now(TALEV_CLOCK_MONOTONIC);
	TAILQ_FOREACH (heart, &wd->hearts, link) {
		if (heart != TAILQ_FIRST(&wd->hearts))
			out_string(&out, ",");
		put_json(heart, now, &out);
	}
	pthread_mutex_unlock(&watch_lock);
	out_string(&out, "]}");
	return out_finish(&out);
}
