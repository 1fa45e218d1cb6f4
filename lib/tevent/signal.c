/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unix signals.
 *
 * tevent keeps one table for the process: any context that owns a signal event tells the watchers
 * of all contexts, the youngest first. Here the table is a thread's, because a context belongs to
 * one. Each context that owns a signal event has sensors, talev watchers of every number in the
 * table. Several sensors of one number see the same arrival: each keeps what it has seen, the table
 * what anybody has, and only what is new to the table is noted at the watchers. They are told after
 * talev's loop has returned.
 */
#define TEVENT_DEPRECATED 1
#include "tevent/wrapper.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <talev/signal.h>
#include "tevent/trace.h"

#define NUMBERS      68
#define KERNEL_FLAGS (SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT | SA_ONSTACK)

/* Two kinds of sensors: bare counts, and siginfo. */
enum kind { KIND_COUNT, KIND_INFO, KINDS };

struct signal_arrival {
	STAILQ_ENTRY(signal_arrival) link;
	siginfo_t info;
};

struct number {
	size_t watchers[KINDS];
	uint64_t seen[KINDS]; /* arrivals that any sensor has reported */
};

struct sensor {
	LIST_ENTRY(sensor) link;
	struct tevent_context *ev;
	struct signal_table *table;
	struct talev_signal *watcher;
	uint64_t seen;
	int signum;
	enum kind kind;
};

struct signal_table {
	TAILQ_HEAD(, tevent_signal) watchers;
	LIST_HEAD(, sensor) sensors;
	struct number numbers[NUMBERS];
	unsigned walks; /* calls of signal_run() that are on the stack */
	bool pending;   /* some watcher is to be told something */
};

static _Thread_local struct signal_table *thread_table;

static struct signal_table *get_table(void)
{
	struct signal_table *table = thread_table;

	if (table != NULL)
		return table;
	table = calloc(1, sizeof(*table));
	if (table == NULL)
		return NULL;
	TAILQ_INIT(&table->watchers);
	LIST_INIT(&table->sensors);
	thread_table = table;
	return table;
}

static void free_table_if_unused(struct signal_table *table)
{
	/* One of another thread stays, for that thread refers to it. */
	if (table->walks > 0 || !TAILQ_EMPTY(&table->watchers) || table != thread_table)
		return;
	thread_table = NULL;
	free(table);
}

static enum kind kind_of(const struct tevent_signal *se)
{
	return (se->sa_flags & SA_SIGINFO) != 0 ? KIND_INFO : KIND_COUNT;
}

static void note(struct tevent_signal *se, unsigned count, const siginfo_t *info)
{
	struct signal_arrival *arrival;

	if (info == NULL) {
		se->count += count;
		return;
	}
	arrival = malloc(sizeof(*arrival));
	if (arrival == NULL)
		return;
	arrival->info = *info;
	STAILQ_INSERT_TAIL(&se->infos, arrival, link);
}

/* Runs in talev's loop: only notes. */
static void sense(struct talev_context *loop, struct talev_signal *watcher, int signum, int count,
	const void *siginfo, void *ptr)
{
	struct sensor *sensor = ptr;
	uint64_t *seen = &sensor->table->numbers[signum].seen[sensor->kind];
	struct tevent_signal *se;
	uint64_t news;

	(void)loop;
	(void)watcher;
	sensor->ev->found = FOUND_SIGNAL;
	sensor->seen += (unsigned)count;
	if (sensor->seen <= *seen)
		return;
	news = sensor->seen - *seen;
	*seen = sensor->seen;
	sensor->table->pending = true;
	TAILQ_FOREACH (se, &sensor->table->watchers, link)
		if (se->signum == signum && kind_of(se) == sensor->kind)
			note(se, (unsigned)news, siginfo);
}

static struct sensor *find_sensor(struct tevent_context *ev, int signum, enum kind kind)
{
	struct sensor *sensor;

	LIST_FOREACH (sensor, &ev->signals->sensors, link)
		if (sensor->ev == ev && sensor->signum == signum && sensor->kind == kind)
			return sensor;
	return NULL;
}

static int add_sensor(struct tevent_context *ev, int signum, int sa_flags)
{
	struct signal_table *table = ev->signals;
	enum kind kind = (sa_flags & SA_SIGINFO) != 0 ? KIND_INFO : KIND_COUNT;
	struct sensor *sensor;

	if (find_sensor(ev, signum, kind) != NULL)
		return 0;
	sensor = calloc(1, sizeof(*sensor));
	if (sensor == NULL)
		return -1;
	sensor->ev = ev;
	sensor->table = table;
	sensor->signum = signum;
	sensor->kind = kind;
	sensor->seen = table->numbers[signum].seen[kind];
	sensor->watcher = _talev_add_signal(ev->loop, NULL, signum,
		sa_flags & (KERNEL_FLAGS | SA_SIGINFO), sense, sensor, "tevent_signal\0libtevent");
	if (sensor->watcher == NULL) {
		int error = errno;

		free(sensor);
		errno = error;
		return -1;
	}
	LIST_INSERT_HEAD(&table->sensors, sensor, link);
	return 0;
}

static void remove_sensor(struct sensor *sensor)
{
	LIST_REMOVE(sensor, link);
	talloc_free(sensor->watcher);
	free(sensor);
}

/* Gives ev a sensor for each number and kind that somebody watches. */
static int add_sensors(struct tevent_context *ev)
{
	struct tevent_signal *se;

	TAILQ_FOREACH (se, &ev->signals->watchers, link)
		if (add_sensor(ev, se->signum, se->sa_flags) != 0)
			return -1;
	return 0;
}

static bool wanted(const struct sensor *sensor)
{
	return sensor->ev->signal_count > 0 &&
	       sensor->table->numbers[sensor->signum].watchers[sensor->kind] > 0;
}

static void remove_unwanted(struct signal_table *table)
{
	struct sensor *sensor;
	struct sensor *next;

	LIST_FOREACH_SAFE (sensor, &table->sensors, link, next)
		if (!wanted(sensor))
			remove_sensor(sensor);
}

void signal_detach(struct tevent_signal *se)
{
	struct tevent_context *ev = se->e.ev;
	struct signal_table *table = se->table;
	struct signal_arrival *arrival;

	if (ev == NULL)
		return;
	TAILQ_REMOVE(&table->watchers, se, link);
	se->e.ev = NULL;
	se->e.wrapper = NULL;
	se->count = 0;
	while ((arrival = STAILQ_FIRST(&se->infos)) != NULL) {
		STAILQ_REMOVE_HEAD(&se->infos, link);
		free(arrival);
	}
	ev->signal_count--;
	table->numbers[se->signum].watchers[kind_of(se)]--;
	remove_unwanted(table);
	free_table_if_unused(table);
}

void signal_detach_all(struct tevent_context *ev)
{
	struct tevent_signal *se;
	struct tevent_signal *next;

	if (ev->signal_count == 0)
		return;
	TAILQ_FOREACH_SAFE (se, &ev->signals->watchers, link, next) {
		if (se->e.ev != ev)
			continue;
		trace_signal(ev, se, TEVENT_EVENT_TRACE_DETACH);
		signal_detach(se);
		/* With the last one the table may have gone. */
		if (ev->signal_count == 0)
			return;
	}
}

void signal_detach_wrapper(struct tevent_context *ev, const struct wrapper *wrapper)
{
	struct tevent_signal *se;
	struct tevent_signal *next;

	if (ev->signal_count == 0)
		return;
	TAILQ_FOREACH_SAFE (se, &ev->signals->watchers, link, next) {
		if (se->e.wrapper == wrapper)
			signal_detach(se);
		if (ev->signal_count == 0)
			return;
	}
}

static int signal_destructor(struct tevent_signal *se)
{
	if (se->e.destroyed) {
		event_check_double_free(se, "tevent_signal double free");
		return se->e.busy > 0 ? -1 : 0;
	}
	se->e.destroyed = true;
	if (se->e.ev != NULL) {
		trace_signal(se->e.ev, se, TEVENT_EVENT_TRACE_DETACH);
		signal_detach(se);
	}
	return se->e.busy > 0 ? -1 : 0;
}

static int attach(struct tevent_signal *se)
{
	struct tevent_context *ev = se->e.ev;
	struct signal_table *table = se->table;
	struct sensor *sensor;
	struct sensor *next;

	ev->signals = table;
	/* This one first: it is its flags that count if it is the first of its number. */
	if (add_sensor(ev, se->signum, se->sa_flags) != 0)
		return -1;
	TAILQ_INSERT_HEAD(&table->watchers, se, link);
	table->numbers[se->signum].watchers[kind_of(se)]++;
	ev->signal_count++;
	if (add_sensors(ev) != 0)
		return -1;
	LIST_FOREACH_SAFE (sensor, &table->sensors, link, next)
		if (add_sensor(sensor->ev, se->signum, se->sa_flags) != 0)
			return -1;
	return 0;
}

struct tevent_signal *signal_add(struct tevent_context *ev, TALLOC_CTX *mem_ctx, int signum,
	int sa_flags, tevent_signal_handler_t handler, void *private_data, const char *handler_name,
	const char *location)
{
	struct signal_table *table;
	struct tevent_signal *se;
	int error;

	if (signum < 1 || signum >= NUMBERS || ev->loop == NULL) {
		errno = EINVAL;
		return NULL;
	}
	table = get_table();
	if (table == NULL)
		return NULL;
	se = talloc_zero(mem_ctx != NULL ? mem_ctx : ev, struct tevent_signal);
	if (se == NULL)
		return NULL;
	se->e = (struct event){
		.ev = ev,
		.private_data = private_data,
		.handler_name = handler_name,
		.location = location,
	};
	se->handler = handler;
	se->signum = signum;
	se->sa_flags = sa_flags;
	STAILQ_INIT(&se->infos);
	/* One that has signals already stays with its table. */
	se->table = ev->signal_count > 0 ? ev->signals : table;
	if (attach(se) != 0) {
		error = errno;
		if (TAILQ_FIRST(&se->table->watchers) == se)
			signal_detach(se);
		else
			free_table_if_unused(se->table);
		talloc_free(se);
		errno = error;
		return NULL;
	}
	trace_signal(ev, se, TEVENT_EVENT_TRACE_ATTACH);
	talloc_set_destructor(se, signal_destructor);
	return se;
}

static void call_handler(
	struct tevent_context *ev, struct tevent_signal *se, int count, void *siginfo)
{
	struct wrapper *wrapper = se->e.wrapper;

	if (wrapper == NULL) {
		trace_signal(ev, se, TEVENT_EVENT_TRACE_BEFORE_HANDLER);
		se->handler(ev, se, se->signum, count, siginfo, se->e.private_data);
		return;
	}
	wrapper_enter(wrapper, se->e.location);
	wrapper->ops->before_signal_handler(wrapper->wrap_ev, wrapper->state, ev, se, se->signum,
		count, siginfo, se->e.handler_name, se->e.location);
	trace_signal(ev, se, TEVENT_EVENT_TRACE_BEFORE_HANDLER);
	se->handler(wrapper->wrap_ev, se, se->signum, count, siginfo, se->e.private_data);
	wrapper->ops->after_signal_handler(wrapper->wrap_ev, wrapper->state, wrapper->main_ev, se,
		se->signum, count, siginfo, se->e.handler_name, se->e.location);
	wrapper_leave(wrapper);
}

void signal_invoke(struct tevent_signal *se, int count, void *siginfo, bool *removed)
{
	if (removed != NULL)
		*removed = false;
	if (se->e.ev == NULL)
		return;
	se->e.busy++;
	call_handler(se->e.ev, se, count, siginfo);
	if (--se->e.busy > 0 || !se->e.destroyed)
		return;
	talloc_set_destructor(se, NULL);
	talloc_free(se);
	if (removed != NULL)
		*removed = true;
}

static bool has_news(const struct tevent_signal *se)
{
	return se->count > 0 || !STAILQ_EMPTY(&se->infos);
}

/* Lowest number first, of one number the youngest watcher. Handlers may add and free any of them,
 * so each step looks anew. */
static struct tevent_signal *next_with_news(struct signal_table *table)
{
	struct tevent_signal *best = NULL;
	struct tevent_signal *se;

	TAILQ_FOREACH (se, &table->watchers, link)
		if (has_news(se) && (best == NULL || se->signum < best->signum))
			best = se;
	return best;
}

static void tell_infos(struct tevent_signal *se)
{
	struct signal_arrival *arrival;

	while ((arrival = STAILQ_FIRST(&se->infos)) != NULL) {
		siginfo_t info = arrival->info;

		STAILQ_REMOVE_HEAD(&se->infos, link);
		free(arrival);
		signal_invoke(se, 1, &info, NULL);
	}
}

static void tell(struct tevent_signal *se)
{
	unsigned count = se->count;

	/* Keeps it from going between two calls. */
	se->e.busy++;
	se->count = 0;
	if (kind_of(se) == KIND_INFO)
		tell_infos(se);
	else
		signal_invoke(se, (int)count, NULL, NULL);
	if (--se->e.busy > 0)
		return;
	if (se->e.destroyed)
		talloc_set_destructor(se, NULL);
	if (se->e.destroyed || (se->sa_flags & SA_RESETHAND) != 0)
		talloc_free(se);
}

bool signal_run(struct tevent_context *ev)
{
	struct signal_table *table = ev->signal_count > 0 ? ev->signals : NULL;
	struct tevent_signal *se;
	bool told = false;

	if (table == NULL || !table->pending)
		return false;
	table->pending = false;
	table->walks++;
	while ((se = next_with_news(table)) != NULL) {
		told = true;
		tell(se);
	}
	table->walks--;
	free_table_if_unused(table);
	return told;
}

struct tevent_signal *_tevent_add_signal(struct tevent_context *ev, TALLOC_CTX *mem_ctx, int signum,
	int sa_flags, tevent_signal_handler_t handler, void *private_data, const char *handler_name,
	const char *location)
{
	return ev->ops->add_signal(
		ev, mem_ctx, signum, sa_flags, handler, private_data, handler_name, location);
}

void tevent_signal_set_tag(struct tevent_signal *se, uint64_t tag)
{
	if (se != NULL)
		se->e.tag = tag;
}

uint64_t tevent_signal_get_tag(const struct tevent_signal *se)
{
	return se != NULL ? se->e.tag : 0;
}

size_t tevent_num_signals(void)
{
	return NUMBERS;
}

size_t tevent_sa_info_queue_count(void)
{
	return 256;
}
