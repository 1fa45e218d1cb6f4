/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/latency.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char others[] = "others\0";

static const char *location_of(const char *where)
{
	return where + strlen(where) + 1;
}

static uint32_t hash_more(uint32_t hash, const char *text)
{
	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619;
	return hash * 16777619;
}

static bool is(const struct latency_handler *handler, const char *where)
{
	return strcmp(where, handler->name) == 0 &&
	       strcmp(where + (handler->location - handler->name), handler->location) == 0;
}

static struct latency_handler *handler_create(struct talev_latency *latency, const char *where)
{
	size_t name = strlen(where) + 1;
	size_t location = strlen(where + name) + 1;
	struct latency_handler *handler;

	handler = talloc_zero_size(latency, sizeof(*handler) + name + location);
	if (handler == NULL)
		return NULL;
	talloc_set_name_const(handler, "struct latency_handler");
	memcpy(handler->name, where, name + location);
	handler->location = handler->name + name;
	return handler;
}

/* A place in the list for one more. */
static bool reserve(struct talev_latency *latency)
{
	struct latency_handler **more;

	/* Every power of two is the end of the room. */
	if (latency->list != NULL && (latency->count & (latency->count - 1)) != 0)
		return true;
	more = talloc_realloc(
		latency, latency->list, struct latency_handler *, 2 * latency->count + 1);
	if (more == NULL)
		return false;
	latency->list = more;
	return true;
}

static struct latency_handler *add(struct talev_latency *latency, const char *where)
{
	struct latency_handler *handler;

	if (!reserve(latency))
		return NULL;
	handler = handler_create(latency, where);
	if (handler != NULL)
		latency->list[latency->count++] = handler;
	return handler;
}

static struct latency_handler *find(struct talev_latency *latency, const char *where)
{
	uint32_t hash = hash_more(hash_more(2166136261, where), location_of(where));
	struct latency_handler **chain = &latency->chains[hash % LATENCY_CHAINS];
	struct latency_handler *handler;

	for (handler = *chain; handler != NULL; handler = handler->next)
		if (handler->hash == hash && is(handler, where))
			return handler;
	if (latency->count >= LATENCY_MOST) {
		if (latency->others == NULL)
			latency->others = add(latency, others);
		return latency->others;
	}
	handler = add(latency, where);
	if (handler == NULL)
		return NULL;
	handler->hash = hash;
	handler->next = *chain;
	*chain = handler;
	return handler;
}

struct latency *latency_create(void)
{
	struct latency *latency = talloc_zero(NULL, struct latency);

	if (latency == NULL)
		return NULL;
	latency->kept = talloc_zero(latency, struct talev_latency);
	if (latency->kept == NULL)
		TALLOC_FREE(latency);
	return latency;
}

struct latency_handler *latency_find(struct latency *latency, const char *where)
{
	size_t i = ((uintptr_t)where ^ (uintptr_t)where >> 7) % LATENCY_SEEN;
	struct latency_handler *handler = latency->seen[i].handler;

	if (latency->seen[i].where == where && is(handler, where))
		return handler;
	handler = find(latency->kept, where);
	if (handler != NULL && handler != latency->kept->others) {
		latency->seen[i].where = where;
		latency->seen[i].handler = handler;
	}
	return handler;
}

static bool has_run(const struct latency_handler *handler)
{
	return talev_histogram_count(&handler->times) > 0;
}

/* The one of to that is the same as this of from. */
static struct latency_handler *counterpart(struct talev_latency *to,
	const struct talev_latency *from, const struct latency_handler *handler)
{
	if (handler != from->others)
		return find(to, handler->name);
	if (to->others == NULL)
		to->others = add(to, others);
	return to->others;
}

int latency_merge(struct talev_latency *to, const struct talev_latency *from)
{
	unsigned count = from->count;

	/* What is found once is found again. */
	for (unsigned i = 0; i < count; i++) {
		if (has_run(from->list[i]) && counterpart(to, from, from->list[i]) == NULL) {
			errno = ENOMEM;
			return -1;
		}
	}
	for (unsigned i = 0; i < count; i++)
		if (has_run(from->list[i]))
			talev_histogram_merge(&counterpart(to, from, from->list[i])->times,
				&from->list[i]->times);
	talev_histogram_merge(&to->unnamed, &from->unnamed);
	talev_histogram_merge(&to->turns, &from->turns);
	talev_histogram_merge(&to->delays, &from->delays);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct latency_handler *x = *(struct latency_handler *const *)a;
	const struct latency_handler *y = *(struct latency_handler *const *)b;
	uint64_t more = histogram_load(&x->times.total);
	uint64_t less = histogram_load(&y->times.total);

	if (more == less) {
		more = histogram_load(&x->times.count);
		less = histogram_load(&y->times.count);
	}
	if (more == less)
		return strcmp(x->name, y->name);
	return more < less ? 1 : -1;
}

void latency_sort(struct talev_latency *latency)
{
	if (latency->count > 0)
		qsort(latency->list, latency->count, sizeof(*latency->list), compare);
	talev_histogram_clear(&latency->handlers);
	talev_histogram_merge(&latency->handlers, &latency->unnamed);
	for (unsigned i = 0; i < latency->count; i++)
		talev_histogram_merge(&latency->handlers, &latency->list[i]->times);
}

void latency_clear(struct talev_latency *latency)
{
	for (unsigned i = 0; i < latency->count; i++)
		talev_histogram_clear(&latency->list[i]->times);
	talev_histogram_clear(&latency->unnamed);
	talev_histogram_clear(&latency->turns);
	talev_histogram_clear(&latency->delays);
}
