/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a plugin goes. What may be executing its code, and what of it may still come, is brought to
 * an end in this order:
 *
 *   handlers    on the daemon's loop, or on all of its own: see place.c
 *   memory      with finalizers and destructors, which end threads that the plugin made
 *   jobs        those that its queues hold, with what they bring back
 *   loops       if they are its own: their threads
 *   code        dlclose(3)
 */
#include <errno.h>
#include <string.h>
#include <talev/finalize.h>
#include <talev/job.h>
#include <talev/request.h>

#include "plugind/host.h"
#include "plugind/log.h"
#include "plugind/plugin.h"
#include "plugind/plugind.h"
#include "plugind/pool.h"
#include "plugind/queue.h"
#include "plugind/watch.h"

static void finish(void *arg)
{
	struct plugin *p = arg;

	talloc_free(p->place.seats);
	p->place = (struct place){0};
	while (p->queue_count > 0)
		queue_leave(p->daemon, p->queues[--p->queue_count]);
	module_close(&p->module);
	plugin_gone(p);
}

void plugin_left(struct plugin *p)
{
	struct pool *pool = p->place.pool;

	watch_forget(p);
	if (!pool) {
		finish(p);
		return;
	}
	p->place.pool = NULL;
	if (pool->own) {
		pool_end(pool, finish, p);
		return;
	}
	pool_leave(pool);
	finish(p);
}

/* What jobs have sent back may be on its way to the loops of the plugin. */
static void drained(struct plugin *p)
{
	if (plugin_is_away(p))
		place_leave(p);
	else
		plugin_left(p);
}

static void on_drained(struct talev_req *req)
{
	struct plugin *p = talev_req_callback_data_void(req);

	(void)talev_jobq_drain_recv(req);
	talloc_free(req);
	if (--p->drains == 0)
		drained(p);
}

/* drains counts one more until all of them have begun. */
static void drain(void *arg)
{
	struct plugin *p = arg;
	struct daemon *d = p->daemon;
	unsigned i;

	for (i = 0; i < p->queue_count; i++) {
		struct talev_req *req = talev_jobq_drain_send(p, d->ev, p->queues[i]->jobq);

		if (!req) {
			/* It must be known that its jobs have ended. */
			log_message(TALEV_LOG_WARNING, "%s: jobs %s: %s", p->name,
				p->queues[i]->name, strerror(errno));
			later_add(d, &p->later, drain, p);
			return;
		}
		talev_req_set_callback(req, on_drained, p);
		p->drains++;
	}
	if (--p->drains == 0)
		drained(p);
}

void plugin_emptied(struct plugin *p)
{
	p->drains = 1;
	drain(p);
}

/* The finalizer of the tree: neither its memory nor a handler of it is left. */
static void emptied(struct talev_context *ev, void *arg)
{
	(void)ev;
	plugin_emptied(arg);
}

int unload_begin(struct plugin *p)
{
	if (plugin_is_away(p)) {
		place_clear(p);
		return 0;
	}
	if (!p->tree) {
		plugin_left(p);
		return 0;
	}
	host_tree_release(p->tree, true);
	if (talev_finalize(p->daemon->ev, p->tree, TALEV_FINALIZE_AFTER_FREE, emptied, p) == 0) {
		p->tree = NULL;
		return 0;
	}
	host_tree_release(p->tree, false);
	return -1;
}
