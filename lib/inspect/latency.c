/* SPDX-License-Identifier: BSD-2-Clause */
/* What contexts have measured, as data; see base/latency.h. */
#include "inspect/inspect.h"
#include <errno.h>
#include "core/core.h"
#include "base/latency.h"

struct talev_latency *talev_latency_create(TALLOC_CTX *mem_ctx)
{
	struct talev_latency *latency = talloc_zero(mem_ctx, struct talev_latency);

	if (latency == NULL)
		errno = ENOMEM;
	return latency;
}

int talev_latency_merge(struct talev_latency *latency, const struct talev_latency *from)
{
	int ret = latency_merge(latency, from);

	latency_sort(latency);
	return ret;
}

int talev_latency_add(struct talev_latency *latency, struct talev_context *ev)
{
	const struct talev_latency *from = core_latency(ev);

	return from != NULL ? talev_latency_merge(latency, from) : 0;
}

void talev_latency_forget(struct talev_context *ev)
{
	struct talev_latency *latency = core_latency(ev);

	if (latency != NULL)
		latency_clear(latency);
}

size_t talev_latency_count(const struct talev_latency *latency)
{
	size_t count = latency->count;

	/* A merge that failed may have left some that have not run. */
	while (count > 0 && talev_histogram_count(&latency->list[count - 1]->times) == 0)
		count--;
	return count;
}

int talev_latency_get(
	const struct talev_latency *latency, size_t i, struct talev_handler_info *info, size_t size)
{
	const struct latency_handler *handler;
	struct talev_handler_info all;

	if (i >= talev_latency_count(latency)) {
		errno = EINVAL;
		return -1;
	}
	handler = latency->list[i];
	all = (struct talev_handler_info){
		.name = handler->name,
		.location = handler->location,
		.calls = talev_histogram_count(&handler->times),
		.time_total = talev_histogram_total(&handler->times),
		.time_longest = talev_histogram_longest(&handler->times),
		.times = &handler->times,
	};
	inspect_copy(info, size, &all, sizeof(all));
	return 0;
}

const struct talev_histogram *talev_latency_handlers(const struct talev_latency *latency)
{
	return &latency->handlers;
}

const struct talev_histogram *talev_latency_turns(const struct talev_latency *latency)
{
	return &latency->turns;
}

const struct talev_histogram *talev_latency_delays(const struct talev_latency *latency)
{
	return &latency->delays;
}
