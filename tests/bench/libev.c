/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows with libev: embedded watchers, the default epoll backend, cached time (ev_now()), and
 * ev_feed_event(), the cheapest of its ways to have something run.
 */
#include <ev.h>
#include "bench/echo.h"

struct pipe_watcher {
	ev_io io;
	unsigned i;
};

struct timer {
	ev_timer timer;
	uint64_t i;
};

static struct ev_loop *loop;
static struct timer *timers;
static ev_timer **made;
static ev_io *watchers;
static int64_t *delays;

static void start(void)
{
	loop = ev_loop_new(EVBACKEND_EPOLL);
	need(loop != NULL);
}

static void run(void)
{
	ev_run(loop, 0);
}

static void on_pipe(EV_P_ ev_io *w, int revents)
{
	(void)revents;
	if (pass_on(((struct pipe_watcher *)w)->i))
		ev_break(EV_A_ EVBREAK_ALL);
}

static void nothing(EV_P_ ev_timer *w, int revents)
{
	(void)EV_A, (void)w, (void)revents;
}

static void nothing_io(EV_P_ ev_io *w, int revents)
{
	(void)EV_A, (void)w, (void)revents;
}

static void pass_bytes(void)
{
	struct pipe_watcher *w;

	make_pipes();
	w = calloc(n_pipes, sizeof(*w));
	need(w != NULL);
	for (unsigned i = 0; i < n_pipes; i++) {
		w[i].i = i;
		ev_io_init(&w[i].io, on_pipe, pipes[i][0], EV_READ);
		ev_io_start(loop, &w[i].io);
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
	static ev_timer hour;

	start();
	ev_timer_init(&hour, nothing, 3600., 0.);
	ev_timer_start(loop, &hour);
	pass_bytes();
}

static void add_timer(uint64_t i)
{
	ev_timer_set(&timers[i].timer, (double)delays[i] * 1e-9, 0.);
	ev_timer_start(loop, &timers[i].timer);
}

static void cancel_timer(uint64_t i)
{
	ev_timer_stop(loop, &timers[i].timer);
}

static void make_timers(void)
{
	start();
	delays = random_delays(arg[0]);
	timers = calloc(arg[0], sizeof(*timers));
	need(timers != NULL);
	for (uint64_t i = 0; i < arg[0]; i++)
		ev_init(&timers[i].timer, nothing);
}

static void embedded_timers_row(void)
{
	make_timers();
	add_and_cancel(add_timer, cancel_timer);
}

/* With their memory, as talloc's objects come and go. */
static void make_timer(uint64_t i)
{
	made[i] = take(sizeof(*made[i]));
	ev_timer_init(made[i], nothing, (double)delays[i] * 1e-9, 0.);
	ev_timer_start(loop, made[i]);
}

static void free_timer(uint64_t i)
{
	ev_timer_stop(loop, made[i]);
	free(made[i]);
}

static void timers_row(void)
{
	make_timers();
	made = take(arg[0] * sizeof(*made));
	add_and_cancel(make_timer, free_timer);
}

static void on_due(EV_P_ ev_timer *w, int revents)
{
	(void)revents;
	if (timer_fired(((struct timer *)w)->i))
		ev_break(EV_A_ EVBREAK_ALL);
}

static void due_row(void)
{
	int64_t from;

	start();
	make_due();
	timers = calloc(arg[0], sizeof(*timers));
	need(timers != NULL);
	ev_now_update(loop);
	from = nanoseconds();
	for (uint64_t i = 0; i < arg[0]; i++) {
		timers[i].i = i;
		ev_timer_init(&timers[i].timer, on_due, (double)due[i] * 1e-9, 0.);
		ev_timer_start(loop, &timers[i].timer);
	}
	wait_until_due(from);
	run();
}

static void rearm(uint64_t i, int64_t delay)
{
	timers[i].timer.repeat = (double)delay * 1e-9;
	ev_timer_again(loop, &timers[i].timer);
}

static void rearm_row(void)
{
	make_timers();
	for (uint64_t i = 0; i < arg[0]; i++)
		add_timer(i);
	rearm_timers(rearm);
}

static void on_fed(EV_P_ ev_async *w, int revents)
{
	(void)revents;
	if (immediate_ran())
		ev_break(EV_A_ EVBREAK_ALL);
	else
		ev_feed_event(EV_A_ w, EV_CUSTOM);
}

static void immediate_row(void)
{
	static ev_async w;

	start();
	ev_async_init(&w, on_fed);
	ev_async_start(loop, &w);
	ev_feed_event(loop, &w, EV_CUSTOM);
	run();
}

static void toggle(bool on)
{
	ev_io_stop(loop, watchers);
	ev_io_modify(watchers, on ? EV_READ | EV_WRITE : EV_READ);
	ev_io_start(loop, watchers);
}

static void toggle_row(void)
{
	start();
	make_watched(1);
	watchers = calloc(1, sizeof(*watchers));
	ev_io_init(watchers, nothing_io, watched[0], EV_READ);
	ev_io_start(loop, watchers);
	toggle_interest(toggle);
}

static void add_watcher(unsigned i)
{
	ev_io_init(&watchers[i], nothing_io, watched[i], EV_READ);
	ev_io_start(loop, &watchers[i]);
}

static void drop_watcher(unsigned i)
{
	ev_io_stop(loop, &watchers[i]);
}

static void turn(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

static void watchers_row(void)
{
	start();
	watchers = calloc(arg[0] + 1, sizeof(*watchers));
	need(watchers != NULL);
	add_and_drop(add_watcher, drop_watcher, turn);
}

static void on_message(EV_P_ ev_io *w, int revents)
{
	(void)revents;
	if (echo(w->fd))
		return;
	ev_io_stop(EV_A_ w);
	if (connection_over(w->fd))
		ev_break(EV_A_ EVBREAK_ALL);
}

static void serve(bool tcp)
{
	start();
	start_client(tcp);
	watchers = calloc(connections, sizeof(*watchers));
	need(watchers != NULL);
	for (unsigned i = 0; i < connections; i++) {
		ev_io_init(&watchers[i], on_message, server_ends[i], EV_READ);
		ev_io_start(loop, &watchers[i]);
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
	watchers = calloc(arg[0], sizeof(*watchers));
	for (unsigned i = 0; i < arg[0]; i++)
		add_watcher(i);
	turn();
	tell("fd", (bytes_in_use() - before) / (double)arg[0]);
	before = bytes_in_use();
	timers = calloc(arg[0], sizeof(*timers));
	for (unsigned i = 0; i < arg[0]; i++) {
		ev_init(&timers[i].timer, nothing);
		add_timer(i);
	}
	tell("timer", (bytes_in_use() - before) / (double)arg[0] - sizeof(timers[0].i));
	tell("count", (double)arg[0]);
}

static ev_async waker;

static void on_messages(EV_P_ ev_async *w, int revents)
{
	(void)w, (void)revents;
	if (receive_queue())
		ev_break(EV_A_ EVBREAK_ALL);
}

static void wake(void)
{
	ev_async_send(loop, &waker);
}

static void messages_row(void)
{
	start();
	make_senders();
	ev_async_init(&waker, on_messages);
	ev_async_start(loop, &waker);
	wake_receiver = wake;
	start_senders(send_by_queue);
	run();
	end_senders();
}

static struct side {
	ev_async async; /* first */
	struct ev_loop *loop;
	struct side *other;
} sides[2];

static void on_hop(EV_P_ ev_async *w, int revents)
{
	struct side *side = (struct side *)w;
	bool more = hop();

	(void)revents;
	ev_async_send(side->other->loop, &side->other->async);
	if (!more)
		ev_break(EV_A_ EVBREAK_ALL);
}

static void *play(void *side)
{
	ev_run(((struct side *)side)->loop, 0);
	return NULL;
}

static void pingpong_row(void)
{
	void *thread;

	for (int i = 0; i < 2; i++) {
		sides[i].loop = ev_loop_new(EVBACKEND_EPOLL);
		sides[i].other = &sides[!i];
		ev_async_init(&sides[i].async, on_hop);
		ev_async_start(sides[i].loop, &sides[i].async);
	}
	thread = other_loop(play, &sides[1]);
	ev_async_send(sides[0].loop, &sides[0].async);
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
