/* SPDX-License-Identifier: BSD-2-Clause */
/* A snapshot as a table for people. */
#include "inspect/inspect.h"
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include "base/out.h"
#include <talev/fd.h>

enum column { KIND, NAME, WHAT, STATE, CALLS, TOTAL, LONGEST, LOCATION, COLUMNS };

struct row {
	const char *cells[COLUMNS];
};

struct table {
	struct row *rows; /* the first is the heading */
	size_t count;
	size_t width[COLUMNS];
	bool timing; /* some source was measured */
	bool failed;
};

static const struct row heading = {
	{"KIND", "NAME", "WHAT", "STATE", "CALLS", "TOTAL", "LONGEST", "LOCATION"}};

static const char *keep(struct table *table, const char *string)
{
	if (string == NULL)
		table->failed = true;
	return string != NULL ? string : "";
}

static char *whole(TALLOC_CTX *mem_ctx, talev_time_t t, talev_time_t unit, const char *name)
{
	talev_time_t tenths = t % unit * 10 / unit;

	if (t / unit < 100 && tenths != 0)
		return talloc_asprintf(
			mem_ctx, "%" PRId64 ".%" PRId64 " %s", t / unit, tenths, name);
	return talloc_asprintf(mem_ctx, "%" PRId64 " %s", t / unit, name);
}

static char *two_units(TALLOC_CTX *mem_ctx, talev_time_t t, talev_time_t large,
	const char *large_name, talev_time_t small, const char *small_name)
{
	if (t % large < small)
		return talloc_asprintf(mem_ctx, "%" PRId64 " %s", t / large, large_name);
	return talloc_asprintf(mem_ctx, "%" PRId64 " %s %" PRId64 " %s", t / large, large_name,
		t % large / small, small_name);
}

/* t >= 0, cut to what a reader takes in at a glance. */
static char *duration(TALLOC_CTX *mem_ctx, talev_time_t t)
{
	const talev_time_t minute = TALEV_SEC(60);
	const talev_time_t hour = 60 * minute;

	if (t < TALEV_USEC(1))
		return talloc_asprintf(mem_ctx, "%" PRId64 " ns", t);
	if (t < TALEV_MSEC(1))
		return whole(mem_ctx, t, TALEV_USEC(1), "us");
	if (t < TALEV_SEC(1))
		return whole(mem_ctx, t, TALEV_MSEC(1), "ms");
	if (t < minute)
		return whole(mem_ctx, t, TALEV_SEC(1), "s");
	if (t < hour)
		return two_units(mem_ctx, t, minute, "min", TALEV_SEC(1), "s");
	if (t < 24 * hour)
		return two_units(mem_ctx, t, hour, "h", minute, "min");
	return two_units(mem_ctx, t, 24 * hour, "d", hour, "h");
}

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
	if (when < now && when < -TALEV_NEVER + now)
		return talloc_strdup(mem_ctx, "ages ago");
	distance = duration(mem_ctx, when > now ? when - now : now - when);
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
	period = duration(text, info->period);
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

static size_t width(const char *string)
{
	size_t n = 0;

	for (; *string != '\0'; string++)
		n += ((unsigned char)*string & 0xc0) != 0x80;
	return n;
}

/* Names come from anywhere; a terminal must not take them for commands. */
static char *printable(TALLOC_CTX *mem_ctx, const char *string)
{
	char *copy = talloc_strdup(mem_ctx, string);

	for (char *c = copy; c != NULL && *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return copy;
}

static void fill_row(struct table *table, struct row *row, const struct talev_snapshot *snap,
	const struct talev_source_info *info)
{
	void *mem_ctx = table->rows;

	row->cells[KIND] = info->kind;
	row->cells[NAME] = keep(table, printable(mem_ctx, info->name));
	row->cells[WHAT] = keep(table, what(mem_ctx, snap, info));
	row->cells[STATE] = state(info);
	row->cells[CALLS] = keep(table, talloc_asprintf(mem_ctx, "%" PRIu64, info->stats.calls));
	row->cells[TOTAL] = keep(table, duration(mem_ctx, info->stats.time_total));
	row->cells[LONGEST] = keep(table, duration(mem_ctx, info->stats.time_longest));
	row->cells[LOCATION] = keep(table, printable(mem_ctx, info->location));
	table->timing |= info->stats.time_total > 0;
}

static void measure(struct table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		for (int c = 0; c < COLUMNS; c++) {
			size_t w = width(table->rows[i].cells[c]);

			if (w > table->width[c])
				table->width[c] = w;
		}
	}
}

static void put_row(struct out *out, const struct table *table, const struct row *row)
{
	for (int c = 0; c < COLUMNS; c++) {
		int pad = (int)(table->width[c] - width(row->cells[c]));

		if (!table->timing && (c == TOTAL || c == LONGEST))
			continue;
		if (c == LOCATION)
			out_printf(out, "%s\n", row->cells[c]);
		else if (c == CALLS || c == TOTAL || c == LONGEST)
			out_printf(out, "%*s%s  ", pad, "", row->cells[c]);
		else
			out_printf(out, "%s%*s  ", row->cells[c], pad, "");
	}
}

static void put_table(struct out *out, const struct talev_snapshot *snap)
{
	struct table table = {.count = snap->count + 1};

	table.rows = talloc_array(out->text, struct row, (unsigned)table.count);
	if (table.rows == NULL) {
		out->failed = true;
		return;
	}
	table.rows[0] = heading;
	for (size_t i = 0; i < snap->count; i++)
		fill_row(&table, &table.rows[i + 1], snap, &snap->sources[i]);
	measure(&table);
	for (size_t i = 0; i < table.count; i++)
		put_row(out, &table, &table.rows[i]);
	out->failed |= table.failed;
	talloc_free(table.rows);
}

static void put_head(struct out *out, const struct talev_context_info *info)
{
	char *name;

	if (out->failed)
		return;
	name = printable(out->text, info->name);
	out->failed |= name == NULL;
	out_printf(out,
		"%s (%s) on %s, %s, level %u: %" PRIu64 " turns, %" PRIu64 " waits, %" PRIu64
		" handlers\n",
		name, info->location, info->backend, inspect_state_name(info->state), info->level,
		info->turns, info->waits, info->handlers);
	out_printf(out, "finalizers: %zu ready, %zu waiting for a handler to return\n",
		info->finalizers_ready, info->finalizers_pinned);
	talloc_free(name);
}

char *talev_snapshot_text(TALLOC_CTX *mem_ctx, const struct talev_snapshot *snap)
{
	struct out out;

	out_init(&out, mem_ctx);
	put_head(&out, &snap->context);
	if (!out.failed)
		put_table(&out, snap);
	return out_finish(&out);
}
