/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows with talev. The variant is the backend, with +edge for watchers that say that their
 * handler empties the descriptor.
 */
#include <talloc.h>
#include <talev.h>
#include "bench/echo.h"

static struct talev_context *ev;
static uint16_t edge;
static int64_t *delays;
static talev_time_t base;
static struct talev_timer **timers;
static struct talev_fd **watchers;

static struct talev_context *context(void)
{
	char backend[16] = "";
	struct talev_context *made;

	sscanf(variant, "%15[^+]", backend);
	edge = strstr(variant, "+edge") ? TALEV_FD_EDGE : 0;
	made = talev_context_init_byname(NULL, backend);
	if (made == NULL && errno == EINVAL)
		exit(NOT_THERE);
	need(made != NULL);
	if (strstr(variant, "+spin"))
		need(talev_context_set_spin(made, TALEV_USEC(50)) == 0);
	return made;
}

static void start(void)
{
	ev = context();
	base = talev_turn_time(ev);
}

static void run(void)
{
	need(talev_loop_wait(ev) == 0);
	talloc_free(ev);
}

static void on_pipe(struct talev_context *unused, struct talev_fd *fde, uint16_t flags, void *p)
{
	(void)unused, (void)fde, (void)flags;
	if (pass_on((unsigned)(uintptr_t)p))
		talev_loop_break(ev);
}

static void nothing(struct talev_context *unused, struct talev_timer *te, talev_time_t now, void *p)
{
	(void)unused, (void)te, (void)now, (void)p;
}

static void pipes_row(void)
{
	start();
	make_pipes();
	for (unsigned i = 0; i < n_pipes; i++)
		need(talev_add_fd(ev, ev, pipes[i][0], TALEV_FD_READ | edge, on_pipe,
			     (void *)(uintptr_t)i) != NULL);
	start_round();
	run();
}

/* The same while a timer waits for an hour to pass. */
static void pipes_timer_row(void)
{
	start();
	need(talev_add_timer(ev, ev, base + TALEV_SEC(3600), nothing, NULL) != NULL);
	make_pipes();
	for (unsigned i = 0; i < n_pipes; i++)
		need(talev_add_fd(ev, ev, pipes[i][0], TALEV_FD_READ | edge, on_pipe,
			     (void *)(uintptr_t)i) != NULL);
	start_round();
	run();
}

static void add_timer(uint64_t i)
{
	timers[i] = talev_add_timer(ev, ev, base + delays[i], nothing, NULL);
	need(timers[i] != NULL);
}

static void cancel_timer(uint64_t i)
{
	talloc_free(timers[i]);
}

static void make_timers(void)
{
	start();
	delays = random_delays(arg[0]);
	timers = calloc(arg[0], sizeof(void *));
	need(timers != NULL);
}

static void timers_row(void)
{
	make_timers();
	add_and_cancel(add_timer, cancel_timer);
}

static void on_due(struct talev_context *unused, struct talev_timer *te, talev_time_t now, void *p)
{
	(void)unused, (void)te, (void)now;
	if (timer_fired((uintptr_t)p))
		talev_loop_break(ev);
}

static void due_row(void)
{
	start();
	make_due();
	base = talev_now(ev);
	for (uint64_t i = 0; i < arg[0]; i++)
		need(talev_add_timer(ev, ev, base + due[i], on_due, (void *)(uintptr_t)i) != NULL);
	wait_until_due(base);
	run();
}

static void rearm(uint64_t i, int64_t delay)
{
	talev_update_timer(timers[i], base + delay);
}

static void rearm_row(void)
{
	make_timers();
	for (uint64_t i = 0; i < arg[0]; i++)
		add_timer(i);
	rearm_timers(rearm);
}

static void on_immediate(struct talev_context *unused, struct talev_immediate *im, void *p)
{
	(void)unused;
	if (!immediate_ran())
		talev_schedule_immediate(im, ev, on_immediate, p);
}

static void immediate_row(void)
{
	start();
	talev_schedule_immediate(talev_create_immediate(ev), ev, on_immediate, NULL);
	run();
}

static void toggle(bool on)
{
	talev_fd_set_flags(watchers[0], on ? TALEV_FD_READ | TALEV_FD_WRITE : TALEV_FD_READ);
}

static void unexpected(struct talev_context *unused, struct talev_fd *fde, uint16_t flags, void *p)
{
	(void)unused, (void)fde, (void)flags, (void)p;
	need(false);
}

static void toggle_row(void)
{
	start();
	make_watched(1);
	watchers = calloc(1, sizeof(void *));
	watchers[0] = talev_add_fd(ev, ev, watched[0], TALEV_FD_READ, unexpected, NULL);
	need(watchers[0] != NULL);
	toggle_interest(toggle);
}

static void add_watcher(unsigned i)
{
	watchers[i] = talev_add_fd(ev, ev, watched[i], TALEV_FD_READ, unexpected, NULL);
	need(watchers[i] != NULL);
}

static void drop_watcher(unsigned i)
{
	talloc_free(watchers[i]);
}

static void turn(void)
{
	need(talev_loop_nowait(ev) == 0 || errno == EAGAIN || errno == ENOENT);
}

static void watchers_row(void)
{
	start();
	watchers = calloc(arg[0] + 1, sizeof(void *));
	need(watchers != NULL);
	add_and_drop(add_watcher, drop_watcher, turn);
}

static void on_message(struct talev_context *unused, struct talev_fd *fde, uint16_t flags, void *p)
{
	int fd = (int)(intptr_t)p;

	(void)unused, (void)flags;
	if (echo(fd))
		return;
	talloc_free(fde);
	if (connection_over(fd))
		talev_loop_break(ev);
}

static void serve(bool tcp)
{
	start();
	start_client(tcp);
	for (unsigned i = 0; i < connections; i++)
		need(talev_add_fd(ev, ev, server_ends[i], TALEV_FD_READ | edge, on_message,
			     (void *)(intptr_t)server_ends[i]) != NULL);
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

	make_timers();
	make_watched((unsigned)arg[0]);
	watchers = calloc(arg[0], sizeof(void *));
	before = bytes_in_use();
	for (unsigned i = 0; i < arg[0]; i++)
		add_watcher(i);
	tell("fd", (bytes_in_use() - before) / (double)arg[0]);
	before = bytes_in_use();
	for (unsigned i = 0; i < arg[0]; i++)
		add_timer(i);
	tell("timer", (bytes_in_use() - before) / (double)arg[0]);
	tell("count", (double)arg[0]);
}

static void on_report(struct talev_context *unused, struct talev_immediate *im, void *sender)
{
	(void)unused, (void)im;
	if (count_received(sender))
		talev_loop_break(ev);
}

static void *send_reports(void *p)
{
	struct sender *sender = p;

	wait_for_start();
	for (uint64_t i = 0; i < sender->count; i++) {
		wait_for_room(sender, i);
		talev_threaded_schedule_immediate(
			sender->door, sender->immediates[i % MESSAGES], on_report, sender);
	}
	return NULL;
}

static void messages_row(void)
{
	start();
	make_senders();
	for (unsigned i = 0; i < arg[1]; i++) {
		senders[i].door = talev_threaded_context_create(ev, NULL);
		senders[i].immediates = talloc_array(ev, void *, MESSAGES);
		need(senders[i].door && senders[i].immediates);
		for (unsigned k = 0; k < MESSAGES; k++)
			senders[i].immediates[k] = talev_create_immediate(ev);
	}
	start_senders(send_reports);
	run();
	end_senders();
}

struct load {
	struct sender *sender;
	char payload[PAYLOAD];
};

static void on_load(struct talev_context *unused, struct talev_immediate *im, void *p)
{
	struct load *load = p;

	(void)unused, (void)im;
	if (count_received(load->sender))
		talev_loop_break(ev);
}

static void *send_loads(void *p)
{
	struct sender *sender = p;
	TALLOC_CTX *mine = talloc_new(NULL);
	/* talev_thread_proxy(3) recommends one for each thread that sends. */
	struct talev_thread_proxy *handle = talev_thread_proxy_attach(mine, sender->door);

	need(handle != NULL);
	wait_for_start();
	for (uint64_t i = 0; i < sender->count; i++) {
		struct talev_immediate *im = talev_create_immediate(mine);
		struct load *load = talloc(mine, struct load);

		need(im && load);
		load->sender = sender;
		wait_for_room(sender, i);
		talev_thread_proxy_schedule(handle, &im, on_load, &load);
		need(im == NULL);
	}
	talloc_free(mine);
	return NULL;
}

static void loads_row(void)
{
	struct talev_thread_proxy *proxy;

	start();
	make_senders();
	proxy = talev_thread_proxy_create(ev, NULL);
	need(proxy != NULL);
	for (unsigned i = 0; i < arg[1]; i++)
		senders[i].door = proxy;
	start_senders(send_loads);
	run();
	end_senders();
}

/* A message without data goes to and fro. */
static struct side {
	struct talev_context *ev;
	struct talev_thread_proxy *door;
} sides[2];

static void on_hop(struct talev_context *here, struct talev_immediate *im, void *unused)
{
	bool more = hop();

	(void)unused;
	talev_thread_proxy_schedule(sides[here == sides[0].ev].door, &im, on_hop, NULL);
	if (!more)
		talev_loop_break(here);
}

static void *play(void *here)
{
	need(talev_loop_wait(here) == 0);
	return NULL;
}

static void pingpong_row(void)
{
	struct talev_immediate *im = talev_create_immediate(NULL);
	void *thread;

	need(im != NULL);
	for (unsigned i = 0; i < 2; i++) {
		sides[i].ev = context();
		sides[i].door = talev_thread_proxy_create(sides[i].ev, NULL);
		need(sides[i].door != NULL);
	}
	thread = other_loop(play, sides[1].ev);
	talev_thread_proxy_schedule(sides[0].door, &im, on_hop, NULL);
	play(sides[0].ev);
	end_hops(thread);
}

/* The message goes to and fro as data of the proxies. */
struct ball {
	struct talev_thread_proxy *doors[2];
	unsigned at;
};

static void on_ball(struct talev_context *here, struct talev_immediate *im, void *p)
{
	struct ball *ball = p;
	bool more = hop();

	ball->at = !ball->at;
	talev_thread_proxy_schedule(ball->doors[ball->at], &im, on_ball, &ball);
	if (!more)
		talev_loop_break(here);
}

static void pingpong_data_row(void)
{
	struct talev_context *here = context(), *there = context();
	struct talev_immediate *im = talev_create_immediate(NULL);
	struct ball *ball = talloc_zero(NULL, struct ball);
	void *thread;

	need(im && ball);
	ball->doors[0] = talev_thread_proxy_create(here, NULL);
	ball->doors[1] = talev_thread_proxy_create(there, NULL);
	thread = other_loop(play, there);
	talev_thread_proxy_schedule(ball->doors[0], &im, on_ball, &ball);
	play(here);
	end_hops(thread);
}

struct state {
	void *some;
};

static struct talev_req *request(void)
{
	struct state *state;
	struct talev_req *req = talev_req_create(ev, ev, &state, struct state);

	need(req != NULL);
	return req;
}

static uint64_t ended;

static void on_end(struct talev_req *req)
{
	talloc_free(req);
	ended++;
}

static void request_row(void)
{
	start();
	begin();
	for (uint64_t i = 0; i < arg[0]; i++) {
		struct talev_req *req = request();

		talev_req_set_callback(req, on_end, NULL);
		talev_req_done(req);
	}
	tell("ns", end() / (double)arg[0]);
	tell("count", (double)ended);
}

static void request_post_row(void)
{
	start();
	begin();
	for (uint64_t i = 0; i < arg[0]; i++) {
		struct talev_req *req = request();

		talev_req_done(req);
		talev_req_set_callback(talev_req_post(req), on_end, NULL);
		need(talev_loop_once(ev) == 0);
	}
	tell("ns", end() / (double)arg[0]);
	tell("count", (double)ended);
}

static void request_bytes_row(void)
{
	double before;

	start();
	before = bytes_in_use();
	for (uint64_t i = 0; i < arg[0]; i++)
		request();
	tell("bytes", (bytes_in_use() - before) / (double)arg[0]);
	tell("count", (double)arg[0]);
}

static const struct row rows[] = {
	{"pipes", pipes_row},
	{"pipes_timer", pipes_timer_row},
	{"timers", timers_row},
	{"embedded_timers", timers_row}, /* always a chunk of its own */
	{"due", due_row},
	{"rearm", rearm_row},
	{"immediate", immediate_row},
	{"toggle", toggle_row},
	{"watchers", watchers_row},
	{"echo_unix", echo_unix_row},
	{"echo_tcp", echo_tcp_row},
	{"bytes", bytes_row},
	{"messages", messages_row},
	{"loads", loads_row},
	{"pingpong", pingpong_row},
	{"pingpong_data", pingpong_data_row},
	{"request", request_row},
	{"request_post", request_post_row},
	{"request_bytes", request_bytes_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows);
}
