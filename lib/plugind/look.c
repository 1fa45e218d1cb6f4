/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <string.h>
#include <talev/context.h>
#include <talev/inspect.h>
#include <talev/pool.h>

#include "plugind/client.h"
#include "plugind/common.h"
#include "plugind/look.h"
#include "plugind/plugin.h"
#include "plugind/plugind.h"
#include "plugind/pool.h"
#include "plugind/query.h"
#include "plugind/tree.h"
#include "plugind/watch.h"

/* Grows *text, which is NULL once there was no memory. */
static void __attribute__((format(printf, 2, 3))) put(char **text, const char *format, ...)
{
	va_list arguments;
	char *more = NULL;

	va_start(arguments, format);
	if (*text)
		more = talloc_vasprintf_append(*text, format, arguments);
	va_end(arguments);
	if (!more)
		talloc_free(*text);
	*text = more;
}

static void answer_text(struct client *c, char *text)
{
	if (text)
		client_answer(c, true, text, strlen(text));
	else
		client_error(c, "out of memory");
	talloc_free(text);
}

static unsigned count_loops(const struct daemon *d)
{
	const struct pool *pool;
	unsigned count = 0;

	TAILQ_FOREACH (pool, &d->pools, link)
		count += talev_loops_count(pool->loops);
	return count;
}

/* Asks all loops of all pools. */
static struct query *query_all(
	struct daemon *d, struct client *c, bool json, void (*answer)(struct query *query))
{
	unsigned most = count_loops(d), i;
	struct query *query = query_new(c, most, answer);
	struct pool *pool;

	if (!query) {
		client_error(c, "out of memory");
		return NULL;
	}
	query->json = json;
	TAILQ_FOREACH (pool, &d->pools, link)
		for (i = 0; i < talev_loops_count(pool->loops) && query->count < most; i++)
			query_add(query, talev_loops_get(pool->loops, i));
	return query;
}

static void context_of(struct query_part *part, TALLOC_CTX *mem_ctx, struct talev_context *ev)
{
	struct talev_snapshot *snapshot = talev_snapshot(mem_ctx, ev);
	struct talev_context_info info = {0};

	part->backend = talev_context_get_backend(ev);
	if (snapshot) {
		talev_snapshot_get_context(snapshot, &info, sizeof(info));
		part->events = talev_snapshot_count(snapshot);
	}
	part->turns = info.turns;
	part->waits = info.waits;
	part->handlers = info.handlers;
	talloc_free(snapshot);
}

static void context_there(struct errand *e, struct talev_loop *loop)
{
	context_of((struct query_part *)e, NULL, talev_loop_context(loop));
	errand_return(e);
}

static bool lives_on(const struct plugin *p, const struct talev_loop *loop)
{
	unsigned i;

	for (i = 0; loop && i < p->place.count; i++)
		if (p->place.seats[i].loop == loop)
			return true;
	return !loop && !plugin_is_away(p);
}

/* loop NULL: the daemon's. */
static void put_plugins(
	char **text, const struct daemon *d, const struct talev_loop *loop, bool json)
{
	const struct plugin *p;
	bool first = true;

	TAILQ_FOREACH (p, &d->plugins, link) {
		if (!lives_on(p, loop))
			continue;
		if (json)
			put(text, "%s\"%s\"", first ? "" : ",", p->name);
		else
			put(text, "%s%s", first ? "" : ",", p->name);
		first = false;
	}
	if (first && !json)
		put(text, "-");
}

static void put_loop(char **text, const struct query_part *part, struct daemon *d, bool json)
{
	const char *pool = part->pool, *name = part->name;
	struct watch_stuck stuck;
	bool known = !part->back && watch_doing(d, name, &stuck);

	if (json && part->back)
		put(text,
			"{\"pool\":\"%s\",\"loop\":\"%s\",\"state\":\"ok\",\"backend\":\"%s\","
			"\"turns\":%" PRIu64 ",\"waits\":%" PRIu64 ",\"handlers\":%" PRIu64
			",\"events\":%zu,",
			pool, name, part->backend, part->turns, part->waits, part->handlers,
			part->events);
	else if (json)
		put(text, "{\"pool\":\"%s\",\"loop\":\"%s\",\"state\":\"busy\",", pool, name);
	else if (part->back)
		put(text, "%-16s %-16s %-5s %-7s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %6zu ",
			pool, name, "ok", part->backend, part->turns, part->waits, part->handlers,
			part->events);
	else
		put(text, "%-16s %-16s %-5s %-7s %10s %10s %10s %6s ", pool, name, "busy", "-", "-",
			"-", "-", "-");
	if (json && known)
		put(text, "\"handler\":\"%s\",\"location\":\"%s\",", stuck.handler, stuck.location);
	if (json)
		put(text, "\"plugins\":[");
	put_plugins(text, d, part->loop, json);
	if (!json && known)
		put(text, ": %s (%s)", stuck.handler, stuck.location);
	put(text, json ? "]}" : "\n");
}

static void answer_loops(struct query *query)
{
	struct query_part own = {.back = true, .name = "talevd", .pool = "-"};
	struct daemon *d = query->daemon;
	bool json = query->json;
	char *text = talloc_strdup(query, json ? "[" : "");
	unsigned i;

	if (!json)
		put(&text, "%-16s %-16s %-5s %-7s %10s %10s %10s %6s %s\n", "POOL", "LOOP", "STATE",
			"BACKEND", "TURNS", "WAITS", "HANDLERS", "EVENTS", "PLUGINS");
	context_of(&own, query, d->ev);
	put_loop(&text, &own, d, json);
	for (i = 0; i < query->count; i++) {
		if (json)
			put(&text, ",");
		put_loop(&text, &query->parts[i], d, json);
	}
	if (json)
		put(&text, "]\n");
	answer_text(query->client, text);
}

void look_loops(struct daemon *d, struct client *c, bool json)
{
	struct query *query = query_all(d, c, json, answer_loops);

	if (query)
		query_go(query, context_there);
}

/* NULL: ENOMEM. */
static char *events_text(TALLOC_CTX *mem_ctx, struct talev_context *ev, bool json)
{
	struct talev_snapshot *snapshot = talev_snapshot(mem_ctx, ev);
	char *text = NULL;

	if (snapshot)
		text = json ? talev_snapshot_json(mem_ctx, snapshot)
			    : talev_snapshot_text(mem_ctx, snapshot);
	talloc_free(snapshot);
	return text;
}

static void events_there(struct errand *e, struct talev_loop *loop)
{
	struct query_part *part = (struct query_part *)e;

	part->text = events_text(NULL, talev_loop_context(loop), part->json);
	errand_return(e);
}

static void put_busy(char **text, const struct query_part *part)
{
	const char *why = part->back ? "out of memory" : "busy";

	if (part->json)
		put(text, "{\"name\":\"%s\",\"state\":\"%s\"}", part->name, why);
	else
		put(text, "%s: %s\n", part->name, why);
}

static void put_parts(char **text, const struct query *query)
{
	unsigned i;

	for (i = 0; i < query->count; i++) {
		const struct query_part *part = &query->parts[i];

		put(text, "\n");
		if (part->back && part->text)
			put(text, "%s", part->text);
		else
			put_busy(text, part);
	}
}

static void answer_events(struct query *query)
{
	char *text = events_text(query, query->daemon->ev, query->json);

	put_parts(&text, query);
	answer_text(query->client, text);
}

void look_events(struct daemon *d, struct client *c, bool json)
{
	struct query *query = query_all(d, c, json, answer_events);

	if (query)
		query_go(query, events_there);
}

static void tree_there(struct errand *e, struct talev_loop *loop)
{
	struct query_part *part = (struct query_part *)e;
	const struct seat *seat = part->seat;

	if (seat->tree)
		part->text = tree_text(NULL, seat->tree, COMMON_ANSWER_MAX);
	else
		part->text = talloc_asprintf(NULL, "nothing on %s\n", talev_loop_name(loop));
	errand_return(e);
}

static void answer_tree(struct query *query)
{
	char *text = talloc_strdup(query, "");
	unsigned i;

	for (i = 0; i < query->count; i++) {
		const struct query_part *part = &query->parts[i];

		if (part->back && part->text)
			put(&text, "%s", part->text);
		else
			put_busy(&text, part);
	}
	answer_text(query->client, text);
}

void look_tree(struct daemon *d, struct client *c, const struct plugin *p)
{
	struct query *query;
	unsigned i;

	(void)d;
	if (p->state == PLUGIN_CLOSING) {
		client_error(c, "%s is closing", p->name);
		return;
	}
	if (!plugin_is_away(p)) {
		answer_text(c, p->tree ? tree_text(c, p->tree, COMMON_ANSWER_MAX) : NULL);
		return;
	}
	query = query_new(c, p->place.count, answer_tree);
	if (!query) {
		client_error(c, "out of memory");
		return;
	}
	for (i = 0; i < p->place.count; i++)
		query_add(query, p->place.seats[i].loop)->seat = &p->place.seats[i];
	query_go(query, tree_there);
}
