/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking a snapshot, and the snapshot as data. */
#include "inspect/inspect.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/core.h"

/* In this order; then all others, as they come. */
static const char *const kinds[] = {"fd", "timer", "signal", "immediate", "child"};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct taking {
	struct talev_snapshot *snap;
	size_t room;
	size_t round; /* which of the kinds; KINDS: the others */
	bool failed;
};

static void count(struct source *src, void *private_data)
{
	(void)src;
	(*(size_t *)private_data)++;
}

/* False: out of memory. */
static bool copy_string(struct talev_snapshot *snap, const char **string)
{
	*string = talloc_strdup(snap, *string != NULL ? *string : "");
	return *string != NULL;
}

static bool take_source(struct talev_snapshot *snap, struct source *src)
{
	struct talev_source_info *info = &snap->sources[snap->count];

	*info = (struct talev_source_info){
		.kind = kind_of(src)->label,
		.name = source_where(src),
		.location = source_location(src),
		.state = (enum talev_state)src->life.state,
		.enabled = src->enabled,
		.running = life_running(&src->life),
		.fd = -1,
		.deadline = TALEV_NEVER,
		.tag = source_tag(src),
		.stats = source_stats(src),
	};
	if (kind_of(src)->describe != NULL)
		kind_of(src)->describe(src, info);
	if (!copy_string(snap, &info->name) || !copy_string(snap, &info->location))
		return false;
	snap->count++;
	return true;
}

static size_t round_of(const struct source *src)
{
	size_t i = 0;

	while (i < KINDS && strcmp(kind_of(src)->label, kinds[i]) != 0)
		i++;
	return i;
}

static void take(struct source *src, void *private_data)
{
	struct taking *taking = private_data;

	if (taking->failed || taking->snap->count == taking->room)
		return;
	if (round_of(src) != taking->round)
		return;
	taking->failed = !take_source(taking->snap, src);
}

/* Core keeps deadlines in a wheel, which is an order for nobody. */
static int compare_deadlines(const void *a, const void *b)
{
	talev_time_t x = ((const struct talev_source_info *)a)->deadline;
	talev_time_t y = ((const struct talev_source_info *)b)->deadline;

	return (x > y) - (x < y);
}

static void sort_timers(struct talev_snapshot *snap)
{
	struct talev_source_info *first = snap->sources;
	size_t n = 0;

	while (n < snap->count && strcmp(first->kind, "timer") != 0) {
		first++;
		n++;
	}
	while (n < snap->count && strcmp(snap->sources[n].kind, "timer") == 0)
		n++;
	qsort(first, (size_t)(&snap->sources[n] - first), sizeof(*first), compare_deadlines);
}

static bool take_sources(struct talev_snapshot *snap, struct talev_context *ev)
{
	struct taking taking = {.snap = snap};

	core_each(ev, count, &taking.room);
	snap->sources = talloc_array(snap, struct talev_source_info, (unsigned)taking.room);
	if (snap->sources == NULL)
		return false;
	for (; taking.round <= KINDS && !taking.failed; taking.round++)
		core_each(ev, take, &taking);
	sort_timers(snap);
	return !taking.failed;
}

static bool take_context(struct talev_snapshot *snap, struct talev_context *ev)
{
	core_describe(ev, &snap->context);
	for (int clock = 0; clock < 3; clock++)
		snap->now[clock] = core_now(ev, (enum talev_clock)clock);
	return copy_string(snap, &snap->context.name) &&
	       copy_string(snap, &snap->context.location) &&
	       copy_string(snap, &snap->context.backend);
}

static bool take_latency(struct talev_snapshot *snap, struct talev_context *ev)
{
	snap->latency = talev_latency_create(snap);
	return snap->latency != NULL && talev_latency_add(snap->latency, ev) == 0;
}

struct talev_snapshot *talev_snapshot(TALLOC_CTX *mem_ctx, struct talev_context *ev)
{
	struct talev_snapshot *snap = talloc_zero(mem_ctx, struct talev_snapshot);

	if (snap != NULL && take_context(snap, ev) && take_sources(snap, ev) &&
		take_latency(snap, ev))
		return snap;
	talloc_free(snap);
	errno = ENOMEM;
	return NULL;
}

size_t talev_snapshot_count(const struct talev_snapshot *snap)
{
	return snap->count;
}

void inspect_copy(void *to, size_t to_size, const void *from, size_t from_size)
{
	if (to_size > from_size)
		memset((char *)to + from_size, 0, to_size - from_size);
	memcpy(to, from, to_size < from_size ? to_size : from_size);
}

int talev_snapshot_get(
	const struct talev_snapshot *snap, size_t i, struct talev_source_info *info, size_t size)
{
	if (i >= snap->count) {
		errno = EINVAL;
		return -1;
	}
	inspect_copy(info, size, &snap->sources[i], sizeof(snap->sources[i]));
	return 0;
}

int talev_snapshot_get_context(
	const struct talev_snapshot *snap, struct talev_context_info *info, size_t size)
{
	inspect_copy(info, size, &snap->context, sizeof(snap->context));
	return 0;
}

const struct talev_latency *talev_snapshot_latency(const struct talev_snapshot *snap)
{
	return snap->latency;
}

const char *inspect_state_name(enum talev_state state)
{
	switch (state) {
	case TALEV_LIVE:
		return "live";
	case TALEV_CLOSING:
		return "closing";
	case TALEV_FINALIZED:
		break;
	}
	return "finalized";
}
