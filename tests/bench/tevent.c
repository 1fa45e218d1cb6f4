/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows with tevent. The variant is the backend. Its default flags are all that it has; timers
 * are kept in a list in the order of their deadlines, so rows with many in random order are small.
 */
#include <talloc.h>
#include <tevent.h>
#include "bench/echo.h"

static struct tevent_context *ev;
static bool over;
static int64_t *delays;
static struct timeval base;
static struct tevent_timer **timers;
static struct tevent_fd **watchers;

static struct timeval after(int64_t delay)
{
	return tevent_timeval_add(
		&base, (uint32_t)(delay / NS_PER_S), (uint32_t)(delay % NS_PER_S / 1000));
}

static struct tevent_context *context(void)
{
	struct tevent_context *made = tevent_context_init_byname(NULL, variant);

	need(made != NULL);
	return made;
}

static void start(void)
{
	ev = context();
	base = tevent_timeval_current();
}

static void run(void)
{
	while (!over)
		need(tevent_loop_once(ev) == 0);
	talloc_free(ev);
}

static void on_pipe(struct tevent_context *unused, struct tevent_fd *fde, uint16_t flags, void *p)
{
	(void)unused, (void)fde, (void)flags;
	if (pass_on((unsigned)(uintptr_t)p))
		over = true;
}

static void nothing(
	struct tevent_context *unused, struct tevent_timer *te, struct timeval now, void *p)
{
	(void)unused, (void)te, (void)now, (void)p;
}

static void pipes_row(void)
{
	start();
	make_pipes();
	for (unsigned i = 0; i < n_pipes; i++)
		need(tevent_add_fd(ev, ev, pipes[i][0], TEVENT_FD_READ, on_pipe,
			     (void *)(uintptr_t)i) != NULL);
	start_round();
	run();
}

/* The same while a timer waits for an hour to pass. */
static void pipes_timer_row(void)
{
	start();
	need(tevent_add_timer(ev, ev, after(3600 * (int64_t)NS_PER_S), nothing, NULL) != NULL);
	make_pipes();
	for (unsigned i = 0; i < n_pipes; i++)
		need(tevent_add_fd(ev, ev, pipes[i][0], TEVENT_FD_READ, on_pipe,
			     (void *)(uintptr_t)i) != NULL);
	start_round();
	run();
}

static void add_timer(uint64_t i)
{
	timers[i] = tevent_add_timer(ev, ev, after(delays[i]), nothing, NULL);
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

static void on_due(
	struct tevent_context *unused, struct tevent_timer *te, struct timeval now, void *p)
{
	(void)unused, (void)te, (void)now;
	if (timer_fired((uintptr_t)p))
		over = true;
}

static void due_row(void)
{
	int64_t start_ns;

	start();
	make_due();
	base = tevent_timeval_current();
	start_ns = nanoseconds();
	for (uint64_t i = 0; i < arg[0]; i++)
		need(tevent_add_timer(ev, ev, after(due[i]), on_due, (void *)(uintptr_t)i) != NULL);
	wait_until_due(start_ns);
	run();
}

static void rearm(uint64_t i, int64_t delay)
{
	tevent_update_timer(timers[i], after(delay));
}

static void rearm_row(void)
{
	make_timers();
	for (uint64_t i = 0; i < arg[0]; i++)
		add_timer(i);
	rearm_timers(rearm);
}

static void on_immediate(struct tevent_context *unused, struct tevent_immediate *im, void *p)
{
	(void)unused;
	over = immediate_ran();
	if (!over)
		tevent_schedule_immediate(im, ev, on_immediate, p);
}

static void immediate_row(void)
{
	start();
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, on_immediate, NULL);
	run();
}

static void toggle(bool on)
{
	tevent_fd_set_flags(watchers[0], on ? TEVENT_FD_READ | TEVENT_FD_WRITE : TEVENT_FD_READ);
}

static void unexpected(
	struct tevent_context *unused, struct tevent_fd *fde, uint16_t flags, void *p)
{
	(void)unused, (void)fde, (void)flags, (void)p;
	need(false);
}

static void toggle_row(void)
{
	start();
	make_watched(1);
	watchers = calloc(1, sizeof(void *));
	watchers[0] = tevent_add_fd(ev, ev, watched[0], TEVENT_FD_READ, unexpected, NULL);
	need(watchers[0] != NULL);
	toggle_interest(toggle);
}

static void add_watcher(unsigned i)
{
	watchers[i] = tevent_add_fd(ev, ev, watched[i], TEVENT_FD_READ, unexpected, NULL);
	need(watchers[i] != NULL);
}

static void drop_watcher(unsigned i)
{
	talloc_free(watchers[i]);
}

static void turn(void)
{
	/* Has told the kernel all of it already. */
}

static void watchers_row(void)
{
	start();
	watchers = calloc(arg[0] + 1, sizeof(void *));
	need(watchers != NULL);
	add_and_drop(add_watcher, drop_watcher, turn);
}

static void on_message(
	struct tevent_context *unused, struct tevent_fd *fde, uint16_t flags, void *p)
{
	int fd = (int)(intptr_t)p;

	(void)unused, (void)flags;
	if (echo(fd))
		return;
	talloc_free(fde);
	if (connection_over(fd))
		over = true;
}

static void serve(bool tcp)
{
	start();
	start_client(tcp);
	for (unsigned i = 0; i < connections; i++)
		need(tevent_add_fd(ev, ev, server_ends[i], TEVENT_FD_READ, on_message,
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

static void on_report(struct tevent_context *unused, struct tevent_immediate *im, void *sender)
{
	(void)unused, (void)im;
	if (count_received(sender))
		over = true;
}

static void *send_reports(void *p)
{
	struct sender *sender = p;

	wait_for_start();
	for (uint64_t i = 0; i < sender->count; i++) {
		wait_for_room(sender, i);
		tevent_threaded_schedule_immediate(
			sender->door, sender->immediates[i % MESSAGES], on_report, sender);
	}
	return NULL;
}

static void messages_row(void)
{
	start();
	make_senders();
	for (unsigned i = 0; i < arg[1]; i++) {
		senders[i].door = tevent_threaded_context_create(ev, ev);
		senders[i].immediates = talloc_array(ev, void *, MESSAGES);
		need(senders[i].door && senders[i].immediates);
		for (unsigned k = 0; k < MESSAGES; k++)
			senders[i].immediates[k] = tevent_create_immediate(ev);
	}
	start_senders(send_reports);
	run();
	end_senders();
}

struct load {
	struct sender *sender;
	char payload[PAYLOAD];
};

static void on_load(struct tevent_context *unused, struct tevent_immediate *im, void *p)
{
	struct load *load = p;

	(void)unused, (void)im;
	if (count_received(load->sender))
		over = true;
}

static void *send_loads(void *p)
{
	struct sender *sender = p;
	TALLOC_CTX *mine = talloc_new(NULL);

	wait_for_start();
	for (uint64_t i = 0; i < sender->count; i++) {
		struct tevent_immediate *im = tevent_create_immediate(mine);
		struct load *load = talloc(mine, struct load);

		need(im && load);
		load->sender = sender;
		wait_for_room(sender, i);
		tevent_thread_proxy_schedule(sender->door, &im, on_load, &load);
		need(im == NULL);
	}
	talloc_free(mine);
	return NULL;
}

static void loads_row(void)
{
	struct tevent_thread_proxy *proxy;

	start();
	make_senders();
	proxy = tevent_thread_proxy_create(ev);
	need(proxy != NULL);
	for (unsigned i = 0; i < arg[1]; i++)
		senders[i].door = proxy;
	start_senders(send_loads);
	run();
	end_senders();
}

/* The message goes to and fro as data of the proxies. */
struct ball {
	struct tevent_thread_proxy *doors[2];
	unsigned at;
};

static atomic_bool play_over[2];
static struct tevent_context *second;

static void on_hop(struct tevent_context *here, struct tevent_immediate *im, void *p)
{
	struct ball *ball = p;
	bool more = hop();

	ball->at = !ball->at;
	tevent_thread_proxy_schedule(ball->doors[ball->at], &im, on_hop, &ball);
	if (!more)
		atomic_store(&play_over[here == second], true);
}

static void *play(void *here)
{
	while (!atomic_load(&play_over[here == second]))
		need(tevent_loop_once(here) == 0);
	return NULL;
}

static void pingpong_row(void)
{
	struct tevent_context *here = context(), *there = context();
	struct tevent_immediate *im = tevent_create_immediate(NULL);
	struct ball *ball = talloc_zero(NULL, struct ball);
	void *thread;

	need(im && ball);
	ball->doors[0] = tevent_thread_proxy_create(here);
	ball->doors[1] = tevent_thread_proxy_create(there);
	second = there;
	thread = other_loop(play, there);
	tevent_thread_proxy_schedule(ball->doors[0], &im, on_hop, &ball);
	play(here);
	end_hops(thread);
}

struct state {
	void *some;
};

static struct tevent_req *request(void)
{
	struct state *state;
	struct tevent_req *req = tevent_req_create(ev, &state, struct state);

	need(req != NULL);
	return req;
}

static uint64_t ended;

static void on_end(struct tevent_req *req)
{
	talloc_free(req);
	ended++;
}

static void request_row(void)
{
	start();
	begin();
	for (uint64_t i = 0; i < arg[0]; i++) {
		struct tevent_req *req = request();

		tevent_req_set_callback(req, on_end, NULL);
		tevent_req_done(req);
	}
	tell("ns", end() / (double)arg[0]);
	tell("count", (double)ended);
}

static void request_post_row(void)
{
	start();
	begin();
	for (uint64_t i = 0; i < arg[0]; i++) {
		struct tevent_req *req = request();

		tevent_req_done(req);
		tevent_req_set_callback(tevent_req_post(req, ev), on_end, NULL);
		need(tevent_loop_once(ev) == 0);
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
	{"pingpong", pingpong_row}, /* no door of it goes without data */
	{"pingpong_data", pingpong_row},
	{"request", request_row},
	{"request_post", request_post_row},
	{"request_bytes", request_bytes_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows);
}
