/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows with libevent. Events are embedded (event_assign()) and persistent, the loop reads no
 * clock that it can do without, interest changes are gathered
 * (EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST: allowed, as no descriptor is duplicated), there is no lock
 * where there is no thread. Timers that all have the same length are common timeouts. Bufferevents
 * would cost it a third of the echo. The variant "edge": descriptors are watched edge-triggered
 * (EV_ET).
 */
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include "bench/echo.h"

static struct event_base *base;
static struct event *timers, *watchers, **made;
static int64_t *delays;
static short edge;

static void start(void)
{
	struct event_config *config = event_config_new();

	need(config != NULL && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0);
	edge = strcmp(variant, "edge") == 0 ? EV_ET : 0;
	if (!edge)
		need(event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0);
	base = event_base_new_with_config(config);
	need(base != NULL);
	event_config_free(config);
}

static void run(void)
{
	need(event_base_dispatch(base) >= 0);
}

static struct timeval in(int64_t delay)
{
	return (struct timeval){delay / NS_PER_S, delay % NS_PER_S / 1000};
}

static struct event *new_events(uint64_t n)
{
	struct event *events = calloc(n, sizeof(*events));

	need(events != NULL);
	return events;
}

static void nothing(evutil_socket_t fd, short what, void *p)
{
	(void)fd, (void)what, (void)p;
}

static void on_pipe(evutil_socket_t fd, short what, void *p)
{
	(void)fd, (void)what;
	if (pass_on((unsigned)(uintptr_t)p))
		event_base_loopbreak(base);
}

static void pass_bytes(void)
{
	make_pipes();
	watchers = new_events(n_pipes);
	for (unsigned i = 0; i < n_pipes; i++) {
		event_assign(&watchers[i], base, pipes[i][0], EV_READ | EV_PERSIST | edge, on_pipe,
			(void *)(uintptr_t)i);
		need(event_add(&watchers[i], NULL) == 0);
	}
	start_round();
	run();
}

static void pipes_row(void)
{
	start();
	pass_bytes();
}

/* The same while a timer waits for an hour to pass. */
static void pipes_timer_row(void)
{
	struct timeval hour = {3600, 0};

	start();
	timers = new_events(1);
	evtimer_assign(timers, base, nothing, NULL);
	need(event_add(timers, &hour) == 0);
	pass_bytes();
}

static void add_timer(uint64_t i)
{
	struct timeval tv = in(delays[i]);

	event_add(&timers[i], &tv);
}

static void cancel_timer(uint64_t i)
{
	event_del(&timers[i]);
}

static void make_timers(void)
{
	start();
	delays = random_delays(arg[0]);
	timers = new_events(arg[0]);
	for (uint64_t i = 0; i < arg[0]; i++)
		evtimer_assign(&timers[i], base, nothing, NULL);
}

/* From inside the loop, where the time is cached. */
static void add_and_cancel_timers(evutil_socket_t fd, short what, void *p)
{
	(void)fd, (void)what, (void)p;
	add_and_cancel(add_timer, cancel_timer);
}

static void embedded_timers_row(void)
{
	make_timers();
	event_base_once(base, -1, EV_TIMEOUT, add_and_cancel_timers, NULL, NULL);
	run();
}

/* With their memory, as talloc's objects come and go. */
static void make_timer(uint64_t i)
{
	struct timeval tv = in(delays[i]);

	made[i] = evtimer_new(base, nothing, NULL);
	need(made[i] != NULL);
	event_add(made[i], &tv);
}

static void free_timer(uint64_t i)
{
	event_free(made[i]);
}

static void make_and_free_timers(evutil_socket_t fd, short what, void *p)
{
	(void)fd, (void)what, (void)p;
	add_and_cancel(make_timer, free_timer);
}

static void timers_row(void)
{
	make_timers();
	made = take(arg[0] * sizeof(*made));
	event_base_once(base, -1, EV_TIMEOUT, make_and_free_timers, NULL, NULL);
	run();
}

static void on_due(evutil_socket_t fd, short what, void *p)
{
	(void)fd, (void)what;
	if (timer_fired((uintptr_t)p))
		event_base_loopbreak(base);
}

static void due_row(void)
{
	int64_t from;

	start();
	make_due();
	timers = new_events(arg[0]);
	from = nanoseconds();
	for (uint64_t i = 0; i < arg[0]; i++) {
		struct timeval tv = in(from + due[i] - nanoseconds());

		evtimer_assign(&timers[i], base, on_due, (void *)(uintptr_t)i);
		if (tv.tv_sec < 0 || tv.tv_usec < 0)
			tv = in(0);
		event_add(&timers[i], &tv);
	}
	wait_until_due(from);
	run();
}

static const struct timeval *minute;

static void rearm(uint64_t i, int64_t delay)
{
	(void)delay;
	event_add(&timers[i], minute);
}

static void rearm_all(evutil_socket_t fd, short what, void *p)
{
	(void)fd, (void)what, (void)p;
	rearm_timers(rearm);
	event_base_loopbreak(base);
}

static void rearm_row(void)
{
	struct timeval length = {60, 0};

	make_timers();
	minute = event_base_init_common_timeout(base, &length);
	event_base_once(base, -1, EV_TIMEOUT, rearm_all, NULL, NULL);
	run();
}

static void on_active(evutil_socket_t fd, short what, void *p)
{
	(void)fd, (void)what;
	if (!immediate_ran())
		event_active(p, EV_TIMEOUT, 0);
}

static void immediate_row(void)
{
	struct event *event = new_events(1);

	start();
	event_assign(event, base, -1, 0, on_active, event);
	event_active(event, EV_TIMEOUT, 0);
	run();
}

/* One event to read, one to write, as libevent wants it. */
static void toggle(bool on)
{
	if (on)
		event_add(&watchers[1], NULL);
	else
		event_del(&watchers[1]);
}

static void toggle_row(void)
{
	start();
	make_watched(1);
	watchers = new_events(2);
	event_assign(&watchers[0], base, watched[0], EV_READ | EV_PERSIST, nothing, NULL);
	event_assign(&watchers[1], base, watched[0], EV_WRITE | EV_PERSIST, nothing, NULL);
	event_add(&watchers[0], NULL);
	toggle_interest(toggle);
}

static void add_watcher(unsigned i)
{
	event_assign(&watchers[i], base, watched[i], EV_READ | EV_PERSIST, nothing, NULL);
	event_add(&watchers[i], NULL);
}

static void drop_watcher(unsigned i)
{
	event_del(&watchers[i]);
}

static void turn(void)
{
	need(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
}

static void watchers_row(void)
{
	start();
	watchers = new_events(arg[0] + 1);
	add_and_drop(add_watcher, drop_watcher, turn);
}

static void on_message(evutil_socket_t fd, short what, void *p)
{
	(void)what;
	if (echo(fd))
		return;
	event_del(p);
	if (connection_over(fd))
		event_base_loopbreak(base);
}

static void serve(bool tcp)
{
	start();
	start_client(tcp);
	watchers = new_events(connections);
	for (unsigned i = 0; i < connections; i++) {
		event_assign(&watchers[i], base, server_ends[i], EV_READ | EV_PERSIST | edge,
			on_message, &watchers[i]);
		event_add(&watchers[i], NULL);
	}
	run();
	end_echo();
}

static void echo_unix_row(void)
{
	serve(false);
}

static void echo_tcp_row(void)
{
	serve(true);
}

static void bytes_row(void)
{
	double before;

	start();
	make_watched((unsigned)arg[0]);
	delays = random_delays(arg[0]);
	before = bytes_in_use();
	watchers = new_events(arg[0]);
	for (unsigned i = 0; i < arg[0]; i++)
		add_watcher(i);
	turn();
	tell("fd", (bytes_in_use() - before) / (double)arg[0]);
	before = bytes_in_use();
	timers = new_events(arg[0]);
	for (unsigned i = 0; i < arg[0]; i++) {
		evtimer_assign(&timers[i], base, nothing, NULL);
		add_timer(i);
	}
	tell("timer", (bytes_in_use() - before) / (double)arg[0]);
	tell("count", (double)arg[0]);
}

static struct event waker;

/* With the locks that threads need. */
static struct event_base *shared_base(void)
{
	struct event_base *made;

	need(evthread_use_pthreads() == 0);
	made = event_base_new();
	need(made != NULL);
	return made;
}

static void on_messages(evutil_socket_t fd, short what, void *p)
{
	(void)fd, (void)what, (void)p;
	if (receive_queue())
		event_base_loopbreak(base);
}

static void wake(void)
{
	event_active(&waker, EV_TIMEOUT, 0);
}

static void messages_row(void)
{
	base = shared_base();
	make_senders();
	event_assign(&waker, base, -1, EV_PERSIST, on_messages, NULL);
	wake_receiver = wake;
	start_senders(send_by_queue);
	event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
	end_senders();
}

static struct side {
	struct event_base *base;
	struct event event;
	struct side *other;
} sides[2];

static void on_hop(evutil_socket_t fd, short what, void *p)
{
	struct side *side = p;
	bool more = hop();

	(void)fd, (void)what;
	event_active(&side->other->event, EV_TIMEOUT, 0);
	if (!more)
		event_base_loopbreak(side->base);
}

static void *play(void *side)
{
	event_base_loop(((struct side *)side)->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void pingpong_row(void)
{
	void *thread;

	for (int i = 0; i < 2; i++) {
		sides[i].base = shared_base();
		sides[i].other = &sides[!i];
		event_assign(&sides[i].event, sides[i].base, -1, EV_PERSIST, on_hop, &sides[i]);
	}
	thread = other_loop(play, &sides[1]);
	event_active(&sides[0].event, EV_TIMEOUT, 0);
	play(&sides[0]);
	end_hops(thread);
}

static const struct row rows[] = {
	{"pipes", pipes_row},
	{"pipes_timer", pipes_timer_row},
	{"timers", timers_row},
	{"embedded_timers", embedded_timers_row},
	{"due", due_row},
	{"rearm", rearm_row},
	{"immediate", immediate_row},
	{"toggle", toggle_row},
	{"watchers", watchers_row},
	{"echo_unix", echo_unix_row},
	{"echo_tcp", echo_tcp_row},
	{"bytes", bytes_row},
	{"messages", messages_row},
	{"pingpong", pingpong_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows);
}
