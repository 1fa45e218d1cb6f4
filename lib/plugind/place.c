/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <talev/context.h>
#include <talev/finalize.h>
#include <talev/pool.h>

#include "plugind/config.h"
#include "plugind/host.h"
#include "plugind/plugin.h"
#include "plugind/plugind.h"
#include "plugind/pool.h"

/* place.error is the first one that a seat brings; ENOMEM is none where it may be tried again. */
static void came_back(struct errand *e)
{
	struct seat *seat = (struct seat *)e;
	struct plugin *p = seat->plugin;

	if (e->lost)
		seat->error = ESHUTDOWN;
	if (!p->place.error)
		p->place.error = seat->error;
	if (--p->place.away == 0)
		p->place.then(p);
}

static void came_back_or_repeats(struct errand *e)
{
	struct seat *seat = (struct seat *)e;

	if (!e->lost && seat->error == ENOMEM)
		errand_repeat(e);
	else
		came_back(e);
}

/* On the seats from number first on, up to the one before last, all at once. */
static void send(struct plugin *p, unsigned first, unsigned last, errand_there_fn_t there,
	errand_back_fn_t back, void (*then)(struct plugin *p))
{
	struct place *place = &p->place;
	unsigned i;

	place->then = then;
	place->error = 0;
	place->away = last - first;
	if (place->away == 0)
		then(p);
	else
		for (i = first; i < last; i++)
			errand_send(&place->seats[i].errand, place->seats[i].loop, there, back);
}

static void init_there(struct errand *e, struct talev_loop *loop)
{
	struct seat *seat = (struct seat *)e;
	struct plugin *p = seat->plugin;

	seat->tree = host_tree(NULL, p);
	if (seat->tree) {
		p->host.ev = talev_loop_context(loop);
		p->host.mem_ctx = seat->tree;
		seat->error = p->module.descriptor->init(&p->host);
	} else {
		seat->error = ENOMEM;
	}
	errand_return(e);
}

static void init_loop_there(struct errand *e, struct talev_loop *loop)
{
	struct seat *seat = (struct seat *)e;
	struct plugin *p = seat->plugin;

	seat->tree = host_tree(NULL, p);
	if (seat->tree)
		seat->error = p->module.init_loop(&p->host, loop, seat->tree);
	else
		seat->error = ENOMEM;
	errand_return(e);
}

static void init_next_loop(struct plugin *p)
{
	struct place *place = &p->place;

	if (place->error || place->next == place->count || !p->module.init_loop) {
		plugin_started(p, place->error);
		return;
	}
	place->next++;
	send(p, place->next - 1, place->next, init_loop_there, came_back, init_next_loop);
}

void place_init(struct plugin *p)
{
	p->place.next = 1;
	send(p, 0, 1, init_there, came_back, init_next_loop);
}

static void reload_there(struct errand *e, struct talev_loop *loop)
{
	struct seat *seat = (struct seat *)e;
	struct plugin *p = seat->plugin;

	(void)loop;
	seat->error = p->module.descriptor->reload(&p->host);
	errand_return(e);
}

static void reloaded(struct plugin *p)
{
	plugin_reloaded(p, p->place.error);
}

void place_reload(struct plugin *p)
{
	send(p, 0, 1, reload_there, came_back, reloaded);
}

static void freed(struct talev_context *ev, void *arg)
{
	struct seat *seat = arg;

	(void)ev;
	seat->tree = NULL;
	errand_return(&seat->errand);
}

static void free_there(struct errand *e, struct talev_loop *loop)
{
	struct seat *seat = (struct seat *)e;

	seat->error = 0;
	if (seat->tree) {
		host_tree_release(seat->tree, true);
		if (talev_finalize(talev_loop_context(loop), seat->tree, TALEV_FINALIZE_AFTER_FREE,
			    freed, seat) == 0)
			return;
		seat->error = errno;
		host_tree_release(seat->tree, false);
	}
	errand_return(e);
}

static void all_freed(struct plugin *p)
{
	if (p->place.error)
		plugin_stays(p, p->place.error);
	else
		plugin_emptied(p);
}

static void free_first(struct plugin *p)
{
	if (p->place.error)
		plugin_stays(p, p->place.error);
	else
		send(p, 0, 1, free_there, came_back_or_repeats, all_freed);
}

/* What handlers of the plugin have sent to its loops before they all were quiet has run. */
static void free_others(struct plugin *p)
{
	send(p, 1, p->place.count, free_there, came_back_or_repeats, free_first);
}

static void arrive_there(struct errand *e, struct talev_loop *loop)
{
	(void)loop;
	((struct seat *)e)->error = 0;
	errand_return(e);
}

static void all_quiet(struct plugin *p)
{
	if (p->place.error)
		plugin_stays(p, p->place.error);
	else
		send(p, 0, p->place.count, arrive_there, came_back, free_others);
}

/* No handler of this tree is executing, and none will. Its memory stays for a while: on the other
 * loops there may be some that look at it. */
static void quiet(struct talev_context *ev, void *arg)
{
	struct seat *seat = arg;

	(void)ev;
	talloc_steal(NULL, seat->tree);
	errand_return(&seat->errand);
}

static void quiet_there(struct errand *e, struct talev_loop *loop)
{
	struct seat *seat = (struct seat *)e;

	seat->error = 0;
	if (seat->tree) {
		if (talev_finalize(talev_loop_context(loop), seat->tree, 0, quiet, seat) == 0)
			return;
		seat->error = errno;
	}
	errand_return(e);
}

void place_clear(struct plugin *p)
{
	send(p, 0, p->place.count, quiet_there, came_back_or_repeats, all_quiet);
}

void place_leave(struct plugin *p)
{
	send(p, 0, p->place.count, arrive_there, came_back, plugin_left);
}

static int make_seats(struct plugin *p, unsigned count)
{
	struct place *place = &p->place;
	unsigned i;

	place->seats = talloc_zero_array(p, struct seat, count);
	if (!place->seats)
		return -1;
	place->count = count;
	for (i = 0; i < count; i++) {
		place->seats[i].plugin = p;
		if (errand_init(&place->seats[i].errand, p->daemon, place->seats) == -1)
			return -1;
	}
	return 0;
}

static int take_seats(struct plugin *p, const char *shared, unsigned threads)
{
	struct place *place = &p->place;
	unsigned i;

	place->pool =
		shared ? pool_get(p->daemon, shared) : pool_open(p->daemon, p->name, threads, true);
	if (!place->pool)
		return -1;
	place->pool->users++;
	for (i = 0; !shared && i < place->count; i++)
		place->seats[i].loop = talev_loops_get(place->pool->loops, i);
	if (shared)
		place->seats[0].loop =
			talev_pool_next(talev_loop_pool(talev_loops_main(place->pool->loops)));
	return 0;
}

const char *place_open(struct plugin *p)
{
	const char *shared = config_value(p->section, "pool");
	unsigned threads = config_number(p->section, "threads", shared ? 1 : 0);
	const char *error;

	p->place = (struct place){0};
	if (threads == 0)
		return NULL;
	if (make_seats(p, threads) == 0 && take_seats(p, shared, threads) == 0)
		return NULL;
	error = talloc_asprintf(
		p, "%s%s: %s", shared ? "pool " : "threads", shared ? shared : "", strerror(errno));
	talloc_free(p->place.seats);
	p->place = (struct place){0};
	return error ? error : strerror(ENOMEM);
}
