/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows with libuv. Descriptors that are not its own are polled (uv_poll_t); in the echo the
 * variant "stream" uses its streams, with one buffer for all and uv_try_write(), which writes at
 * once. What should run soon is an idle handle: cheaper than uv_async_send(), which is for threads.
 */
#include <signal.h>
#include <uv.h>
#include "bench/echo.h"
#include "bench/jobs.h"

static uv_loop_t *loop;
static uv_poll_t *watchers;
static uv_timer_t *timers, **made;
static int64_t *delays;

static void start(void)
{
	loop = uv_default_loop();
	need(loop != NULL);
}

static void run(void)
{
	uv_run(loop, UV_RUN_DEFAULT);
}

static void nothing(uv_timer_t *timer)
{
	(void)timer;
}

static void unexpected(uv_poll_t *handle, int status, int what)
{
	(void)handle, (void)status, (void)what;
	need(false);
}

static void on_pipe(uv_poll_t *handle, int status, int what)
{
	(void)status, (void)what;
	if (pass_on((unsigned)(uintptr_t)handle->data))
		uv_stop(loop);
}

static void watch(unsigned i, int fd, uv_poll_cb cb, void *data)
{
	need(uv_poll_init(loop, &watchers[i], fd) == 0);
	watchers[i].data = data;
	need(uv_poll_start(&watchers[i], UV_READABLE, cb) == 0);
}

static void pass_bytes(void)
{
	make_pipes();
	watchers = calloc(n_pipes, sizeof(*watchers));
	need(watchers != NULL);
	for (unsigned i = 0; i < n_pipes; i++)
		watch(i, pipes[i][0], on_pipe, (void *)(uintptr_t)i);
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
	static uv_timer_t hour;

	start();
	uv_timer_init(loop, &hour);
	uv_timer_start(&hour, nothing, 3600000, 0);
	pass_bytes();
}

static void add_timer(uint64_t i)
{
	uv_timer_start(&timers[i], nothing, (uint64_t)delays[i] / 1000000, 0);
}

static void cancel_timer(uint64_t i)
{
	uv_timer_stop(&timers[i]);
}

static void make_timers(void)
{
	start();
	delays = random_delays(arg[0]);
	timers = calloc(arg[0], sizeof(*timers));
	need(timers != NULL);
	for (uint64_t i = 0; i < arg[0]; i++)
		uv_timer_init(loop, &timers[i]);
}

static void embedded_timers_row(void)
{
	make_timers();
	add_and_cancel(add_timer, cancel_timer);
}

/* With their memory, as talloc's objects come and go. The loop gives it back later. */
static void make_timer(uint64_t i)
{
	made[i] = take(sizeof(*made[i]));
	uv_timer_init(loop, made[i]);
	uv_timer_start(made[i], nothing, (uint64_t)delays[i] / 1000000, 0);
}

static void give_back(uv_handle_t *handle)
{
	free(handle);
}

static void free_timer(uint64_t i)
{
	static uint64_t closed;

	uv_close((uv_handle_t *)made[i], give_back);
	if (++closed % arg[0] == 0)
		uv_run(loop, UV_RUN_NOWAIT);
}

static void timers_row(void)
{
	make_timers();
	made = take(arg[0] * sizeof(*made));
	add_and_cancel(make_timer, free_timer);
}

static void on_due(uv_timer_t *timer)
{
	if (timer_fired((uintptr_t)timer->data))
		uv_stop(loop);
}

static void due_row(void)
{
	int64_t from;

	start();
	make_due();
	timers = calloc(arg[0], sizeof(*timers));
	need(timers != NULL);
	uv_update_time(loop);
	from = nanoseconds();
	for (uint64_t i = 0; i < arg[0]; i++) {
		uv_timer_init(loop, &timers[i]);
		timers[i].data = (void *)(uintptr_t)i;
		uv_timer_start(&timers[i], on_due, (uint64_t)due[i] / 1000000, 0);
	}
	wait_until_due(from);
	run();
}

static void rearm(uint64_t i, int64_t delay)
{
	uv_timer_start(&timers[i], nothing, (uint64_t)delay / 1000000, 0);
}

static void rearm_row(void)
{
	make_timers();
	for (uint64_t i = 0; i < arg[0]; i++)
		add_timer(i);
	rearm_timers(rearm);
}

static void on_idle(uv_idle_t *idle)
{
	if (immediate_ran())
		uv_stop(loop);
	uv_idle_stop(idle);
	uv_idle_start(idle, on_idle);
}

static void immediate_row(void)
{
	static uv_idle_t idle;

	start();
	uv_idle_init(loop, &idle);
	uv_idle_start(&idle, on_idle);
	run();
}

static void toggle(bool on)
{
	uv_poll_start(watchers, on ? UV_READABLE | UV_WRITABLE : UV_READABLE, unexpected);
}

static void toggle_row(void)
{
	start();
	make_watched(1);
	watchers = calloc(1, sizeof(*watchers));
	watch(0, watched[0], unexpected, NULL);
	toggle_interest(toggle);
}

static void add_watcher(unsigned i)
{
	watch(i, watched[i], unexpected, NULL);
}

static void drop_watcher(unsigned i)
{
	uv_close((uv_handle_t *)&watchers[i], NULL);
}

static void turn(void)
{
	uv_run(loop, UV_RUN_NOWAIT);
}

static void watchers_row(void)
{
	start();
	watchers = calloc(arg[0] + 1, sizeof(*watchers));
	need(watchers != NULL);
	add_and_drop(add_watcher, drop_watcher, turn);
}

static void over(int fd)
{
	if (connection_over(fd))
		uv_stop(loop);
}

static void on_message(uv_poll_t *handle, int status, int what)
{
	int fd = (int)(intptr_t)handle->data;

	(void)status, (void)what;
	if (echo(fd))
		return;
	uv_poll_stop(handle);
	over(fd);
}

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	static char bytes[65536];

	(void)handle, (void)size;
	*buf = uv_buf_init(bytes, sizeof(bytes));
}

static void on_data(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	uv_buf_t out;

	if (n < 0) {
		uv_close((uv_handle_t *)stream, NULL);
		over(-1);
		return;
	}
	out = uv_buf_init(buf->base, (unsigned)n);
	if (n > 0)
		uv_try_write(
			stream, &out, 1); /* fails when the client has gone: its end comes next */
}

static void read_stream(bool tcp, int fd)
{
	uv_stream_t *stream;

	if (tcp) {
		uv_tcp_t *handle = malloc(sizeof(*handle));

		need(uv_tcp_init(loop, handle) == 0 && uv_tcp_open(handle, fd) == 0);
		stream = (uv_stream_t *)handle;
	} else {
		uv_pipe_t *handle = malloc(sizeof(*handle));

		need(uv_pipe_init(loop, handle, 0) == 0 && uv_pipe_open(handle, fd) == 0);
		stream = (uv_stream_t *)handle;
	}
	need(uv_read_start(stream, give_buffer, on_data) == 0);
}

static void serve(bool tcp)
{
	bool streams = strcmp(variant, "stream") == 0;

	signal(SIGPIPE, SIG_IGN);
	start();
	start_client(tcp);
	watchers = calloc(connections, sizeof(*watchers));
	need(watchers != NULL);
	for (unsigned i = 0; i < connections; i++)
		if (streams)
			read_stream(tcp, server_ends[i]);
		else
			watch(i, server_ends[i], on_message, (void *)(intptr_t)server_ends[i]);
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
		uv_timer_init(loop, &timers[i]);
		add_timer(i);
	}
	tell("timer", (bytes_in_use() - before) / (double)arg[0]);
	tell("count", (double)arg[0]);
}

static uv_async_t waker;

static void on_messages(uv_async_t *handle)
{
	(void)handle;
	if (receive_queue())
		uv_stop(loop);
}

static void wake(void)
{
	uv_async_send(&waker);
}

static void messages_row(void)
{
	start();
	make_senders();
	uv_async_init(loop, &waker, on_messages);
	wake_receiver = wake;
	start_senders(send_by_queue);
	run();
	end_senders();
}

static struct side {
	uv_loop_t loop;
	uv_async_t async;
	struct side *other;
} sides[2];

static void on_hop(uv_async_t *handle)
{
	struct side *side = handle->data;
	bool more = hop();

	uv_async_send(&side->other->async);
	if (!more)
		uv_stop(&side->loop);
}

static void *play(void *side)
{
	uv_run(&((struct side *)side)->loop, UV_RUN_DEFAULT);
	return NULL;
}

static void pingpong_row(void)
{
	void *thread;

	for (int i = 0; i < 2; i++) {
		need(uv_loop_init(&sides[i].loop) == 0);
		need(uv_async_init(&sides[i].loop, &sides[i].async, on_hop) == 0);
		sides[i].async.data = &sides[i];
		sides[i].other = &sides[!i];
	}
	thread = other_loop(play, &sides[1]);
	uv_async_send(&sides[0].async);
	play(&sides[0]);
	end_hops(thread);
}

struct uv_job {
	uv_work_t req;
	struct work work;
};

static void send_job(struct uv_job *job);

static void on_other_thread(uv_work_t *req)
{
	do_job(&((struct uv_job *)req)->work);
}

static void on_job_back(uv_work_t *req, int status)
{
	struct uv_job *job = (struct uv_job *)req;

	need(status == 0);
	if (job_is_back(&job->work))
		send_job(job);
}

static void send_job(struct uv_job *job)
{
	describe_job(&job->work);
	need(uv_queue_work(loop, &job->req, on_other_thread, on_job_back) == 0);
}

/* Its pool is one for the process, of four threads unless the environment says otherwise. */
static void jobs_row(void)
{
	uint64_t n = first_jobs();
	struct uv_job *jobs = calloc(n, sizeof(*jobs));

	need(jobs != NULL);
	if (strcmp(variant, "poll") != 0)
		setenv("UV_THREADPOOL_SIZE", job_threads() == 2 ? "2" : "1", 1);
	start();
	for (uint64_t i = 0; i < n; i++)
		send_job(&jobs[i]);
	run();
	end_jobs();
}

/* Threads with a loop each; they end when they are told to, all having begun. */
struct uv_member {
	uv_thread_t thread;
	uv_loop_t loop;
	uv_async_t stop;
};

static uv_barrier_t all_begun;

static void on_stop(uv_async_t *async)
{
	uv_close((uv_handle_t *)async, NULL);
}

static void member(void *p)
{
	struct uv_member *one = p;

	need(uv_loop_init(&one->loop) == 0 && uv_async_init(&one->loop, &one->stop, on_stop) == 0);
	uv_barrier_wait(&all_begun);
	uv_run(&one->loop, UV_RUN_DEFAULT);
	need(uv_loop_close(&one->loop) == 0);
}

static void start_row(void)
{
	unsigned n = (unsigned)arg[0];
	struct uv_member *members = calloc(n, sizeof(*members));

	need(members != NULL);
	begin();
	for (uint64_t round = 0; round < arg[1]; round++) {
		uv_barrier_init(&all_begun, n + 1);
		for (unsigned i = 0; i < n; i++)
			need(uv_thread_create(&members[i].thread, member, &members[i]) == 0);
		if (uv_barrier_wait(&all_begun) > 0)
			uv_barrier_destroy(&all_begun);
		for (unsigned i = 0; i < n; i++)
			uv_async_send(&members[i].stop);
		for (unsigned i = 0; i < n; i++)
			uv_thread_join(&members[i].thread);
	}
	end();
	tell("us", (double)section.wall / (double)arg[1] / 1000);
	tell("count", (double)arg[1]);
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
	{"jobs", jobs_row},
	{"start", start_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows);
}
