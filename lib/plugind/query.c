/* SPDX-License-Identifier: BSD-2-Clause */
#include <bsd/string.h>
#include <talev/context.h>
#include <talev/pool.h>
#include <talev/timer.h>

#include "plugind/client.h"
#include "plugind/control.h"
#include "plugind/plugind.h"
#include "plugind/query.h"

#define PATIENCE TALEV_MSEC(500)

static void settle(struct query *query)
{
	if (query->answered && query->away == 0)
		talloc_free(query);
}

static void answer(struct query *query)
{
	query->answered = true;
	waiters_tell(&query->waiters, NULL);
	settle(query);
}

static void tell(void *arg, const char *error)
{
	struct query *query = arg;

	(void)error;
	query->answer(query);
}

static void silent(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct query *query = private_data;

	(void)ev;
	(void)te;
	(void)now;
	if (!query->answered)
		answer(query);
}

static void came_back(struct errand *e)
{
	struct query_part *part = (struct query_part *)e;
	struct query *query = part->query;

	part->back = !e->lost;
	if (part->text)
		talloc_steal(query, part->text);
	query->away--;
	if (query->away == 0 && !query->answered)
		answer(query);
	else
		settle(query);
}

/* It owes an answer to somebody who waits no longer: it would not answer this one either. */
static bool is_silent(const struct daemon *d, const struct talev_loop *loop)
{
	const struct query *query;
	unsigned i;

	LIST_FOREACH (query, &d->queries, link)
		for (i = 0; query->answered && i < query->count; i++)
			if (query->parts[i].loop == loop && query->parts[i].asked &&
				!query->parts[i].back)
				return true;
	return false;
}

static int query_gone(struct query *query)
{
	LIST_REMOVE(query, link);
	return 0;
}

struct query *query_new(struct client *c, unsigned most, void (*answer_fn)(struct query *query))
{
	struct daemon *d = c->control->daemon;
	struct query *query = talloc_zero(d, struct query);
	struct waiter *w = query ? waiter_new(c, tell, query) : NULL;
	talev_time_t until = talev_time_add(talev_now(d->ev), PATIENCE);

	if (!w)
		goto fail;
	waiter_add(&query->waiters, w);
	query->daemon = d;
	query->client = c;
	query->answer = answer_fn;
	query->parts = talloc_zero_array(query, struct query_part, most ? most : 1);
	if (!query->parts || !talev_add_timer(d->ev, query, until, silent, query))
		goto fail;
	LIST_INSERT_HEAD(&d->queries, query, link);
	talloc_set_destructor(query, query_gone);
	return query;
fail:
	talloc_free(w);
	talloc_free(query);
	return NULL;
}

struct query_part *query_add(struct query *query, struct talev_loop *loop)
{
	struct query_part *part = &query->parts[query->count++];

	part->query = query;
	part->loop = loop;
	strlcpy(part->name, talev_loop_name(loop), sizeof(part->name));
	strlcpy(part->pool, talev_pool_name(talev_loop_pool(loop)), sizeof(part->pool));
	part->json = query->json;
	return part;
}

void query_go(struct query *query, errand_there_fn_t there)
{
	struct query_part *part;
	unsigned i;

	for (i = 0; i < query->count; i++) {
		part = &query->parts[i];
		if (is_silent(query->daemon, part->loop) ||
			errand_init(&part->errand, query->daemon, query) == -1 ||
			errand_try(&part->errand, part->loop, there, came_back) == -1)
			continue;
		part->asked = true;
		query->away++;
	}
	if (query->away == 0)
		answer(query);
}
