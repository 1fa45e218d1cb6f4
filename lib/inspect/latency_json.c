/* SPDX-License-Identifier: BSD-2-Clause */
/* How long handlers took, as JSON. */
#include "inspect/inspect.h"
#include "base/json.h"
#include "base/latency.h"

static void put_times_at(struct out *out, const char *key, const struct talev_histogram *h)
{
	json_key(out, key);
	out_string(out, "{");
	histogram_json_members(out, h);
	out_string(out, "}");
}

static void put_handler(struct out *out, const struct latency_handler *handler)
{
	out_string(out, "{");
	json_string_at(out, "name", handler->name);
	json_string_at(out, "location", handler->location);
	histogram_json_members(out, &handler->times);
	out_string(out, "}");
}

void inspect_latency_json(struct out *out, const struct talev_latency *latency)
{
	size_t count = talev_latency_count(latency);

	out_string(out, "{");
	put_times_at(out, "all", &latency->handlers);
	put_times_at(out, "turns", &latency->turns);
	put_times_at(out, "delays", &latency->delays);
	json_key(out, "handlers");
	out_string(out, "[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			out_string(out, ",");
		put_handler(out, latency->list[i]);
	}
	out_string(out, "]}");
}

char *talev_latency_json(TALLOC_CTX *mem_ctx, const struct talev_latency *latency)
{
	struct out out;

	out_init(&out, mem_ctx);
	inspect_latency_json(&out, latency);
	return out_finish(&out);
}
