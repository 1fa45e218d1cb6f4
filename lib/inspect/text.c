/* SPDX-License-Identifier: BSD-2-Clause */
/* A snapshot as a table for people. */
#include "inspect/inspect.h"
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include "inspect/table.h"
#include <talev/fd.h>

enum column { KIND, NAME, WHAT, STATE, CALLS, TOTAL, LONGEST, LOCATION, COLUMNS };

static const char *const heading[] = {
	"KIND", "NAME", "WHAT", "STATE", "CALLS", "TOTAL", "LONGEST", "LOCATION"};

#define TIMES (1u << TOTAL | 1u << LONGEST)

/* As seen from now: "in 1.5 s", "3 ms ago". */
static char *moment(TALLOC_CTX *mem_ctx, talev_time_t when, talev_time_t now)
{
	char *distance;
	char *text;

	if (when == now)
		return talloc_strdup(mem_ctx, "now");
	/* The difference of far moments does not fit; nobody reads it either. */
	if (when > now && now < 0 && when > TALEV_NEVER + now)
		return talloc_strdup(mem_ctx, "in ages");
	if (when < now && now >= 0 && when < now - TALEV_NEVER)
		return talloc_strdup(mem_ctx, "ages ago");
	distance = inspect_duration(mem_ctx, when > now ? when - now : now - when);
	if (distance == NULL)
		return NULL;
	text = when > now ? talloc_asprintf(mem_ctx, "in %s", distance)
			  : talloc_asprintf(mem_ctx, "%s ago", distance);
	talloc_free(distance);
	return text;
}

static char *what_timer(TALLOC_CTX *mem_ctx, const struct talev_snapshot *snap,
	const struct talev_source_info *info)
{
	char *text;
	char *period;

	if (info->deadline == TALEV_NEVER)
		text = talloc_strdup(mem_ctx, "stopped");
	else
		text = moment(mem_ctx, info->deadline, snap->now[info->clock]);
	if (text != NULL && info->clock == TALEV_CLOCK_REALTIME)
		text = talloc_strdup_append(text, " (realtime)");
	if (text != NULL && info->clock == TALEV_CLOCK_BOOTTIME)
		text = talloc_strdup_append(text, " (boottime)");
	if (text == NULL || info->period == 0)
		return text;
	period = inspect_duration(text, info->period);
	return period != NULL ? talloc_asprintf_append(text, ", every %s", period) : NULL;
}

static char *what_signal(TALLOC_CTX *mem_ctx, int signum)
{
#ifdef __GLIBC__
	const char *name = sigabbrev_np(signum);

	if (name != NULL)
		return talloc_asprintf(mem_ctx, "SIG%s", name);
#endif
	if (signum >= SIGRTMIN && signum <= SIGRTMAX)
		return talloc_asprintf(mem_ctx, "SIGRTMIN+%d", signum - SIGRTMIN);
	return talloc_asprintf(mem_ctx, "%d", signum);
}

static char *what(TALLOC_CTX *mem_ctx, const struct talev_snapshot *snap,
	const struct talev_source_info *info)
{
	if (strcmp(info->kind, "fd") == 0)
		return talloc_asprintf(mem_ctx, "%d %s%s%s%s", info->fd,
			info->flags & TALEV_FD_READ ? "r" : "-",
			info->flags & TALEV_FD_WRITE ? "w" : "-",
			info->flags & TALEV_FD_ERROR ? "e" : "-",
			info->flags & TALEV_FD_HUP ? "h" : "-");
	if (strcmp(info->kind, "timer") == 0)
		return what_timer(mem_ctx, snap, info);
	if (strcmp(info->kind, "signal") == 0)
		return what_signal(mem_ctx, info->signum);
	if (strcmp(info->kind, "child") == 0)
		return talloc_asprintf(mem_ctx, "pid %ld", (long)info->pid);
	return talloc_strdup(mem_ctx, "");
}

static const char *state(const struct talev_source_info *info)
{
	if (info->state != TALEV_LIVE)
		return inspect_state_name(info->state);
	if (info->running)
		return "running";
	if (!info->enabled)
		return "disabled";
	return info->armed ? "armed" : "idle";
}

static void fill_row(struct table *table, const char **row, const struct talev_snapshot *snap,
	const struct talev_source_info *info)
{
	row[KIND] = info->kind;
	row[NAME] = table_name(table, info->name);
	row[WHAT] = table_text(table, what(table->cells, snap, info));
	row[STATE] = state(info);
	row[CALLS] = table_number(table, info->stats.calls);
	row[TOTAL] = table_duration(table, info->stats.time_total);
	row[LONGEST] = table_duration(table, info->stats.time_longest);
	row[LOCATION] = table_name(table, info->location);
	if (info->stats.time_total > 0)
		table->hidden = 0;
}

static void put_table(struct out *out, const struct talev_snapshot *snap)
{
	struct table table;

	table_init(&table, out->text, heading, COLUMNS, 1u << CALLS | TIMES, snap->count);
	/* Unless some source was measured. */
	table.hidden = TIMES;
	for (size_t i = 0; i < snap->count; i++) {
		const char **row = table_row(&table);

		if (row != NULL)
			fill_row(&table, row, snap, &snap->sources[i]);
	}
	table_put(out, &table);
}

static void put_head(struct out *out, const struct talev_context_info *info)
{
	char *name;

	if (out->failed)
		return;
	name = inspect_printable(out->text, info->name);
	out->failed |= name == NULL;
	out_printf(out,
		"%s (%s) on %s, %s, level %u: %" PRIu64 " turns, %" PRIu64 " waits, %" PRIu64
		" handlers\n",
		name, info->location, info->backend, inspect_state_name(info->state), info->level,
		info->turns, info->waits, info->handlers);
	out_printf(out, "finalizers: %zu ready, %zu waiting for a handler to return\n",
		info->finalizers_ready, info->finalizers_pinned);
	out_printf(out,
		"queues: %zu immediates, %zu of %zu timers due, %zu watchers, %zu messages\n",
		info->immediates, info->timers_due, info->timers, info->watchers, info->messages);
	talloc_free(name);
}

char *talev_snapshot_text(TALLOC_CTX *mem_ctx, const struct talev_snapshot *snap)
{
	struct out out;

	out_init(&out, mem_ctx);
	put_head(&out, &snap->context);
	if (!out.failed)
		put_table(&out, snap);
	if (talev_histogram_count(talev_latency_handlers(snap->latency)) > 0) {
		out_string(&out, "\n");
		inspect_latency_text(&out, snap->latency);
	}
	return out_finish(&out);
}
