/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows with ivykis: embedded objects, its own choice of poll method, cached time (iv_now),
 * tasks for what should run soon. A timer is moved by taking it out and putting it in again.
 */
#include <iv.h>
#include <iv_event.h>
#include <iv_work.h>
#include "bench/echo.h"
#include "bench/jobs.h"

static struct iv_fd *watchers;
static struct iv_timer *timers, **made;
static int64_t *delays;

static void start(void)
{
	iv_init();
}

static void run(void)
{
	iv_main();
}

static struct timespec after(const struct timespec *from, int64_t delay)
{
	struct timespec at = {from->tv_sec + delay / NS_PER_S, from->tv_nsec + delay % NS_PER_S};

	if (at.tv_nsec >= NS_PER_S) {
		at.tv_nsec -= NS_PER_S;
		at.tv_sec++;
	}
	return at;
}

static void nothing(void *p)
{
	(void)p;
}

static void on_pipe(void *p)
{
	if (pass_on((unsigned)(uintptr_t)p))
		iv_quit();
}

static void watch(unsigned i, int fd, void (*handler)(void *), void *cookie)
{
	IV_FD_INIT(&watchers[i]);
	watchers[i].fd = fd;
	watchers[i].cookie = cookie;
	watchers[i].handler_in = handler;
	iv_fd_register(&watchers[i]);
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
	static struct iv_timer hour;

	start();
	iv_validate_now();
	IV_TIMER_INIT(&hour);
	hour.handler = nothing;
	hour.expires = after(&iv_now, 3600 * (int64_t)NS_PER_S);
	iv_timer_register(&hour);
	pass_bytes();
}

static void add_timer(uint64_t i)
{
	timers[i].expires = after(&iv_now, delays[i]);
	iv_timer_register(&timers[i]);
}

static void cancel_timer(uint64_t i)
{
	iv_timer_unregister(&timers[i]);
}

static void make_timers(void)
{
	start();
	delays = random_delays(arg[0]);
	timers = calloc(arg[0], sizeof(*timers));
	need(timers != NULL);
	for (uint64_t i = 0; i < arg[0]; i++) {
		IV_TIMER_INIT(&timers[i]);
		timers[i].handler = nothing;
	}
	iv_validate_now();
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
	IV_TIMER_INIT(made[i]);
	made[i]->handler = nothing;
	made[i]->expires = after(&iv_now, delays[i]);
	iv_timer_register(made[i]);
}

static void free_timer(uint64_t i)
{
	iv_timer_unregister(made[i]);
	free(made[i]);
}

static void timers_row(void)
{
	make_timers();
	made = take(arg[0] * sizeof(*made));
	add_and_cancel(make_timer, free_timer);
}

static void on_due(void *p)
{
	if (timer_fired((uintptr_t)p))
		iv_quit();
}

static void due_row(void)
{
	struct timespec now;

	start();
	make_due();
	timers = calloc(arg[0], sizeof(*timers));
	need(timers != NULL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	for (uint64_t i = 0; i < arg[0]; i++) {
		IV_TIMER_INIT(&timers[i]);
		timers[i].handler = on_due;
		timers[i].cookie = (void *)(uintptr_t)i;
		timers[i].expires = after(&now, due[i]);
		iv_timer_register(&timers[i]);
	}
	wait_until_due((int64_t)now.tv_sec * NS_PER_S + now.tv_nsec);
	iv_invalidate_now();
	run();
}

static void rearm(uint64_t i, int64_t delay)
{
	iv_timer_unregister(&timers[i]);
	timers[i].expires = after(&iv_now, delay);
	iv_timer_register(&timers[i]);
}

static void rearm_row(void)
{
	make_timers();
	for (uint64_t i = 0; i < arg[0]; i++)
		add_timer(i);
	rearm_timers(rearm);
}

static struct iv_task task;

static void on_task(void *p)
{
	(void)p;
	if (immediate_ran())
		iv_quit();
	else
		iv_task_register(&task);
}

static void immediate_row(void)
{
	start();
	IV_TASK_INIT(&task);
	task.handler = on_task;
	iv_task_register(&task);
	run();
}

static void toggle(bool on)
{
	iv_fd_set_handler_out(watchers, on ? nothing : NULL);
}

static void toggle_row(void)
{
	start();
	make_watched(1);
	watchers = calloc(1, sizeof(*watchers));
	watch(0, watched[0], nothing, NULL);
	toggle_interest(toggle);
}

static void add_watcher(unsigned i)
{
	watch(i, watched[i], nothing, NULL);
}

static void drop_watcher(unsigned i)
{
	iv_fd_unregister(&watchers[i]);
}

/* There is no loop that does not wait: a timer that is due ends it after it has polled. */
static struct iv_timer now_timer;

static void quit(void *p)
{
	(void)p;
	iv_quit();
}

static void in_second_turn(void *p)
{
	(void)p;
	now_timer.handler = quit;
	now_timer.expires = iv_now;
	iv_timer_register(&now_timer);
}

static void turn(void)
{
	iv_validate_now();
	IV_TIMER_INIT(&now_timer);
	now_timer.handler = in_second_turn;
	now_timer.expires = iv_now;
	iv_timer_register(&now_timer);
	iv_main();
}

static void watchers_row(void)
{
	start();
	watchers = calloc(arg[0] + 1, sizeof(*watchers));
	need(watchers != NULL);
	add_and_drop(add_watcher, drop_watcher, turn);
}

static void on_message(void *p)
{
	struct iv_fd *w = p;
	int fd = w->fd;

	if (echo(fd))
		return;
	iv_fd_unregister(w);
	if (connection_over(fd))
		iv_quit();
}

static void serve(bool tcp)
{
	start();
	start_client(tcp);
	watchers = calloc(connections, sizeof(*watchers));
	need(watchers != NULL);
	for (unsigned i = 0; i < connections; i++)
		watch(i, server_ends[i], on_message, &watchers[i]);
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
	iv_validate_now();
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
		IV_TIMER_INIT(&timers[i]);
		timers[i].handler = nothing;
		add_timer(i);
	}
	tell("timer", (bytes_in_use() - before) / (double)arg[0]);
	tell("count", (double)arg[0]);
}

static struct iv_event waker;

static void on_messages(void *p)
{
	(void)p;
	if (!receive_queue())
		return;
	iv_event_unregister(&waker);
	iv_quit();
}

static void wake(void)
{
	iv_event_post(&waker);
}

static void messages_row(void)
{
	start();
	make_senders();
	IV_EVENT_INIT(&waker);
	waker.handler = on_messages;
	need(iv_event_register(&waker) == 0);
	wake_receiver = wake;
	start_senders(send_by_queue);
	run();
	end_senders();
}

static struct iv_event sides[2];
static pthread_barrier_t both_ready;

static void on_hop(void *p)
{
	bool more = hop();

	iv_event_post(&sides[p == &sides[0]]);
	if (!more)
		iv_quit();
}

static void *play(void *side)
{
	struct iv_event *event = side;

	/* The first of a process must not meet another one, so the row has called it for side 0. */
	if (side == &sides[1])
		iv_init();
	IV_EVENT_INIT(event);
	event->cookie = side;
	event->handler = on_hop;
	need(iv_event_register(event) == 0);
	pthread_barrier_wait(&both_ready);
	if (side == &sides[0])
		iv_event_post(event);
	iv_main();
	pthread_barrier_wait(&both_ready);
	iv_event_unregister(event);
	iv_deinit();
	return NULL;
}

static void pingpong_row(void)
{
	void *thread;

	pthread_barrier_init(&both_ready, NULL, 2);
	iv_init();
	thread = other_loop(play, &sides[1]);
	play(&sides[0]);
	end_hops(thread);
}

struct iv_job {
	struct iv_work_item item;
	struct work work;
};

static struct iv_work_pool pool;

static void send_job(struct iv_job *job)
{
	describe_job(&job->work);
	iv_work_pool_submit_work(&pool, &job->item);
}

static void on_other_thread(void *p)
{
	do_job(&((struct iv_job *)p)->work);
}

static void on_job_back(void *p)
{
	struct iv_job *job = p;

	if (job_is_back(&job->work))
		send_job(job);
	else if (all_jobs_back())
		iv_work_pool_put(&pool);
}

static void jobs_row(void)
{
	uint64_t n = first_jobs();
	struct iv_job *jobs = calloc(n, sizeof(*jobs));

	need(jobs != NULL);
	start();
	IV_WORK_POOL_INIT(&pool);
	pool.max_threads = (int)job_threads();
	need(iv_work_pool_create(&pool) == 0);
	for (uint64_t i = 0; i < n; i++) {
		IV_WORK_ITEM_INIT(&jobs[i].item);
		jobs[i].item.cookie = &jobs[i];
		jobs[i].item.work = on_other_thread;
		jobs[i].item.completion = on_job_back;
		send_job(&jobs[i]);
	}
	run();
	end_jobs();
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
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows);
}
