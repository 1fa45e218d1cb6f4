/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * P11 and P12 with loop managers: calls from other threads to one loop. And what a loop manager
 * costs: the making, running and ending of loops, and what it adds to each handler of one (the
 * quiescent state, and its hearts if the variant is "heart").
 */
#include <talloc.h>
#include <talev.h>
#include "bench/bench.h"
#include "bench/threads.h"

static struct talev_loops *loops;

static void received_from(struct talev_loop *loop, struct sender *sender)
{
	if (count_received(sender))
		talev_loops_shutdown(talev_loop_loops(loop));
}

/* A bare call has nothing with it that could tell who has sent it: each sender has a function. */
#define CALL_FROM(n)                                                                               \
	static void on_call_##n(struct talev_loop *loop, void *data)                               \
	{                                                                                          \
		(void)data;                                                                        \
		received_from(loop, &senders[0##n]);                                               \
	}
#define CALLS_FROM(n, what)                                                                        \
	what(n##0) what(n##1) what(n##2) what(n##3) what(n##4) what(n##5) what(n##6) what(n##7)
#define ALL_CALLS(what)                                                                            \
	CALLS_FROM(0, what)                                                                        \
	CALLS_FROM(1, what)                                                                        \
	CALLS_FROM(2, what)                                                                        \
	CALLS_FROM(3, what)                                                                        \
	CALLS_FROM(4, what)                                                                        \
	CALLS_FROM(5, what)                                                                        \
	CALLS_FROM(6, what)                                                                        \
	CALLS_FROM(7, what)
ALL_CALLS(CALL_FROM)
#define NAME_OF_CALL(n) on_call_##n,
static const talev_loop_fn_t on_call[SENDERS] = {ALL_CALLS(NAME_OF_CALL)};

static void *send_calls(void *p)
{
	struct sender *sender = p;
	talev_loop_fn_t fn = on_call[sender - senders];

	wait_for_start();
	for (uint64_t i = 0; i < sender->count; i++) {
		wait_for_room(sender, i);
		need(talev_async_run(sender->door, fn, NULL) == 0);
	}
	return NULL;
}

struct load {
	struct sender *sender;
	char payload[PAYLOAD];
};

static void on_load(struct talev_loop *loop, void *data)
{
	struct load *load = data;

	if (count_received(load->sender))
		talev_loops_shutdown(talev_loop_loops(loop));
}

static void *send_loads(void *p)
{
	struct sender *sender = p;
	TALLOC_CTX *mine = talloc_new(NULL);

	wait_for_start();
	for (uint64_t i = 0; i < sender->count; i++) {
		struct load *load = talloc(mine, struct load);

		need(load != NULL);
		load->sender = sender;
		wait_for_room(sender, i);
		need(talev_async_run(sender->door, on_load, &load) == 0);
	}
	talloc_free(mine);
	return NULL;
}

static void receive(void *(*send)(void *sender))
{
	make_senders();
	loops = talev_loops_create(NULL, "bench", 1);
	need(loops != NULL);
	for (unsigned i = 0; i < arg[1]; i++)
		senders[i].door = talev_loops_main(loops);
	start_senders(send);
	need(talev_loops_run(loops) == 0);
	end_senders();
	talloc_free(loops);
}

static void messages_row(void)
{
	receive(arg[2] > 0 ? send_loads : send_calls);
}

static void loads_row(void)
{
	receive(send_loads);
}

static void on_start(struct talev_loop *loop, void *unused)
{
	(void)unused;
	talev_loops_shutdown(talev_loop_loops(loop));
}

static void start_row(void)
{
	begin();
	for (uint64_t i = 0; i < arg[1]; i++) {
		struct talev_loops *made = talev_loops_create(NULL, "bench", (unsigned)arg[0]);

		need(made != NULL);
		need(talev_loop_setup(talev_loops_main(made), on_start, NULL) == 0);
		need(talev_loops_run(made) == 0);
		talloc_free(made);
	}
	end();
	tell("us", (double)section.wall / (double)arg[1] / 1000);
	tell("count", (double)arg[1]);
}

/* One of a kind of event after the other, arg[0] of them: in a context of its own, in one that
 * other threads reach as they reach a loop, and in that of a loop. That by turns, since what is
 * looked for are differences of some nanoseconds. */
#define TURNS 7

struct course {
	void (*start)(struct course *course, struct talev_context *ev);
	struct talev_immediate *im;
	int fd;
	uint64_t left;
	int64_t began;
	int64_t took;
	struct talev_loop *loop; /* NULL: a context of its own */
	struct talev_context *ev;
};

static bool course_goes_on(struct course *course)
{
	if (--course->left > 0)
		return true;
	course->took = clock_ns(CLOCK_THREAD_CPUTIME_ID) - course->began;
	if (course->loop != NULL)
		talev_loops_shutdown(talev_loop_loops(course->loop));
	else
		talev_loop_break(course->ev);
	return false;
}

static void on_immediate(struct talev_context *ev, struct talev_immediate *im, void *p)
{
	if (course_goes_on(p))
		talev_schedule_immediate(im, ev, on_immediate, p);
}

static void start_immediates(struct course *course, struct talev_context *ev)
{
	course->im = talev_create_immediate(NULL);
	need(course->im != NULL);
	talev_schedule_immediate(course->im, ev, on_immediate, course);
}

/* It stays readable. */
static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *p)
{
	(void)ev, (void)flags;
	if (!course_goes_on(p))
		talloc_free(fde);
}

static void start_fds(struct course *course, struct talev_context *ev)
{
	need(talev_add_fd(ev, ev, course->fd, TALEV_FD_READ, on_fd, course) != NULL);
}

static void set_off(struct course *course, struct talev_context *ev)
{
	course->ev = ev;
	course->left = arg[0];
	course->began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	course->start(course, ev);
}

static void set_off_in_loop(struct talev_loop *loop, void *p)
{
	struct course *course = p;

	course->loop = loop;
	set_off(course, talev_loop_context(loop));
}

static int64_t alone(struct course *course, bool door)
{
	struct talev_context *ev = talev_context_init(NULL);

	need(ev != NULL);
	need(!door || talev_thread_proxy_create(ev, ev) != NULL);
	course->loop = NULL;
	set_off(course, ev);
	need(talev_loop_wait(ev) == 0);
	talloc_free(ev);
	return course->took;
}

/* Limits that are never reached. */
static void give_hearts(void)
{
#if __has_include(<talev/watchdog.h>)
	struct talev_watchdog *wd = talev_watchdog_create(loops);

	need(wd != NULL);
	need(talev_watchdog_add_loops(wd, loops, TALEV_SEC(1000), TALEV_SEC(2000)) == 0);
#else
	exit(NOT_THERE);
#endif
}

static int64_t managed(struct course *course)
{
	loops = talev_loops_create(NULL, "bench", 1);
	need(loops != NULL);
	if (strcmp(variant, "heart") == 0)
		give_hearts();
	need(talev_loop_setup(talev_loops_main(loops), set_off_in_loop, course) == 0);
	need(talev_loops_run(loops) == 0);
	talloc_free(loops);
	return course->took;
}

static void compare(void (*start)(struct course *course, struct talev_context *ev))
{
	struct course course = {.start = start, .fd = eventfd(1, EFD_NONBLOCK)};
	int64_t best[3] = {INT64_MAX, INT64_MAX, INT64_MAX};

	need(course.fd >= 0);
	for (int i = 0; i < 3 * TURNS; i++) {
		int way = i % 3;
		int64_t took = way == 2 ? managed(&course) : alone(&course, way == 1);

		best[way] = took < best[way] ? took : best[way];
	}
	tell("plain", (double)best[0] / (double)arg[0]);
	tell("door", (double)best[1] / (double)arg[0]);
	tell("loop", (double)best[2] / (double)arg[0]);
	tell("ns", (double)(best[2] - best[1]) / (double)arg[0]);
	tell("count", (double)arg[0]);
}

static void compare_immediates_row(void)
{
	compare(start_immediates);
}

static void compare_fds_row(void)
{
	compare(start_fds);
}

static const struct row rows[] = {
	{"messages", messages_row},
	{"loads", loads_row},
	{"start", start_row},
	{"compare_immediates", compare_immediates_row},
	{"compare_fds", compare_fds_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	talloc_disable_null_tracking();
	return bench_main(argc, argv, rows);
}
