/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows with tevent. The variant is the backend. Its default flags are all that it has; timers
 * are kept in a list in the order of their deadlines, so rows with many in random order are small.
 */
#include <talloc.h>
#include <tevent.h>
#include "echo.h"

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

static void start(void)
{
	ev = tevent_context_init_byname(NULL, variant);
	need(ev != NULL);
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

static const struct row rows[] = {
	{"pipes", pipes_row},
	{"pipes_timer", pipes_timer_row},
	{"timers", timers_row},
	{"due", due_row},
	{"rearm", rearm_row},
	{"immediate", immediate_row},
	{"toggle", toggle_row},
	{"watchers", watchers_row},
	{"echo_unix", echo_unix_row},
	{"echo_tcp", echo_tcp_row},
	{"bytes", bytes_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows);
}
