/* SPDX-License-Identifier: BSD-2-Clause */
/* What loops have said about themselves, for people and programs. */
#include "loops/snapshot.h"

#include <talev/job.h>
#include "base/json.h"

static double msec(talev_time_t t)
{
	return (double)t / 1e6;
}

/* What another function has made, below out. */
static void put_made(struct out *out, char *made)
{
	if (made == NULL)
		out->failed = true;
	else
		out_string(out, made);
	talloc_free(made);
}

static void put_loop(struct out *out, const struct talev_loop_info *info)
{
	switch (info->answer) {
	case TALEV_LOOP_ANSWERED:
		out_printf(out, "loop %s: answered after %.3f ms, %zu calls are waiting\n",
			info->name, msec(info->waited), info->calls);
		put_made(out, talev_snapshot_text(out->text, info->snapshot));
		break;
	case TALEV_LOOP_BUSY:
		out_printf(out, "loop %s: busy, has not answered for %.3f ms\n", info->name,
			msec(info->waited));
		break;
	case TALEV_LOOP_ENDED:
		out_printf(out, "loop %s: has ended\n", info->name);
		break;
	}
	out_string(out, "\n");
}

char *talev_loops_snapshot_text(TALLOC_CTX *mem_ctx, const struct talev_loops_snapshot *snap)
{
	struct out out;

	out_init(&out, mem_ctx);
	for (unsigned i = 0; i < snap->count && !out.failed; i++)
		put_loop(&out, &snap->loops[i]);
	if (!out.failed && talev_histogram_count(talev_latency_handlers(snap->latency)) > 0) {
		out_printf(&out, "all loops of %s\n", snap->name);
		put_made(&out, talev_latency_text(out.text, snap->latency));
		out_string(&out, "\n");
	}
	if (!out.failed)
		put_made(&out, talev_jobq_text(out.text, NULL));
	return out_finish(&out);
}

static const char *answer_name(enum talev_loop_answer answer)
{
	switch (answer) {
	case TALEV_LOOP_ANSWERED:
		return "answered";
	case TALEV_LOOP_BUSY:
		return "busy";
	case TALEV_LOOP_ENDED:
		break;
	}
	return "ended";
}

static void put_member(struct out *out, const struct talev_loop_info *info)
{
	out_string(out, "{");
	json_string_at(out, "name", info->name);
	json_string_at(out, "pool", info->pool);
	json_uint_at(out, "index", info->index);
	json_string_at(out, "answer", answer_name(info->answer));
	json_int_at(out, "waited", info->waited);
	json_uint_at(out, "calls", info->calls);
	json_key(out, "snapshot");
	if (info->snapshot == NULL)
		out_string(out, "null");
	else if (!out->failed)
		put_made(out, talev_snapshot_json(out->text, info->snapshot));
	out_string(out, "}");
}

char *talev_loops_snapshot_json(TALLOC_CTX *mem_ctx, const struct talev_loops_snapshot *snap)
{
	struct out out;

	out_init(&out, mem_ctx);
	out_string(&out, "{");
	json_string_at(&out, "name", snap->name);
	json_key(&out, "loops");
	out_string(&out, "[");
	for (unsigned i = 0; i < snap->count; i++) {
		if (i > 0)
			out_string(&out, ",");
		put_member(&out, &snap->loops[i]);
	}
	out_string(&out, "]");
	json_key(&out, "latency");
	if (!out.failed)
		put_made(&out, talev_latency_json(out.text, snap->latency));
	json_key(&out, "jobs");
	if (!out.failed)
		put_made(&out, talev_jobq_json(out.text, NULL));
	out_string(&out, "}");
	return out_finish(&out);
}
