/* SPDX-License-Identifier: BSD-2-Clause */
/* A snapshot as JSON. */
#include "inspect/inspect.h"
#include <string.h>
#include "base/json.h"
#include <talev/fd.h>

static void put_flags_at(struct out *out, const char *key, uint16_t flags)
{
	static const struct {
		uint16_t flag;
		const char *name;
	} names[] = {
		{TALEV_FD_READ, "\"read\""},
		{TALEV_FD_WRITE, "\"write\""},
		{TALEV_FD_ERROR, "\"error\""},
		{TALEV_FD_HUP, "\"hup\""},
		{TALEV_FD_EDGE, "\"edge\""},
	};
	const char *comma = "";

	json_key(out, key);
	out_string(out, "[");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((flags & names[i].flag) == 0)
			continue;
		out_string(out, comma);
		out_string(out, names[i].name);
		comma = ",";
	}
	out_string(out, "]");
}

static const char *clock_name(enum talev_clock clock)
{
	switch (clock) {
	case TALEV_CLOCK_REALTIME:
		return "realtime";
	case TALEV_CLOCK_BOOTTIME:
		return "boottime";
	case TALEV_CLOCK_MONOTONIC:
		break;
	}
	return "monotonic";
}

static void put_special(struct out *out, const struct talev_source_info *info)
{
	if (strcmp(info->kind, "fd") == 0) {
		json_int_at(out, "fd", info->fd);
		put_flags_at(out, "flags", info->flags);
	} else if (strcmp(info->kind, "timer") == 0) {
		json_string_at(out, "clock", clock_name(info->clock));
		json_moment_at(out, "deadline", info->deadline);
		json_int_at(out, "period", info->period);
	} else if (strcmp(info->kind, "signal") == 0) {
		json_int_at(out, "signum", info->signum);
	} else if (strcmp(info->kind, "child") == 0) {
		json_int_at(out, "pid", info->pid);
	}
}

static void put_source(struct out *out, const struct talev_source_info *info)
{
	out_string(out, "{");
	json_string_at(out, "kind", info->kind);
	json_string_at(out, "name", info->name);
	json_string_at(out, "location", info->location);
	json_string_at(out, "state", inspect_state_name(info->state));
	json_bool_at(out, "enabled", info->enabled);
	json_bool_at(out, "armed", info->armed);
	json_bool_at(out, "running", info->running);
	put_special(out, info);
	json_uint_at(out, "tag", info->tag);
	json_uint_at(out, "calls", info->stats.calls);
	json_int_at(out, "time_total", info->stats.time_total);
	json_int_at(out, "time_longest", info->stats.time_longest);
	out_string(out, "}");
}

static void put_context(struct out *out, const struct talev_context_info *info)
{
	out_string(out, "{");
	json_string_at(out, "name", info->name);
	json_string_at(out, "location", info->location);
	json_string_at(out, "backend", info->backend);
	json_string_at(out, "state", inspect_state_name(info->state));
	json_int_at(out, "now", info->now);
	json_uint_at(out, "level", info->level);
	json_uint_at(out, "turns", info->turns);
	json_uint_at(out, "waits", info->waits);
	json_uint_at(out, "handlers", info->handlers);
	json_uint_at(out, "finalizers_ready", info->finalizers_ready);
	json_uint_at(out, "finalizers_pinned", info->finalizers_pinned);
	json_uint_at(out, "immediates", info->immediates);
	json_uint_at(out, "timers_due", info->timers_due);
	json_uint_at(out, "timers", info->timers);
	json_uint_at(out, "watchers", info->watchers);
	json_uint_at(out, "messages", info->messages);
	json_int_at(out, "longest_turn", info->longest_turn);
	json_bool_at(out, "timing", info->timing);
	out_string(out, "}");
}

char *talev_snapshot_json(TALLOC_CTX *mem_ctx, const struct talev_snapshot *snap)
{
	struct out out;

	out_init(&out, mem_ctx);
	out_string(&out, "{\"context\":");
	put_context(&out, &snap->context);
	out_string(&out, ",\"sources\":[");
	for (size_t i = 0; i < snap->count; i++) {
		if (i > 0)
			out_string(&out, ",");
		put_source(&out, &snap->sources[i]);
	}
	out_string(&out, "],\"latency\":");
	inspect_latency_json(&out, snap->latency);
	out_string(&out, "}");
	return out_finish(&out);
}
