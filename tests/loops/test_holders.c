/* SPDX-License-Identifier: BSD-2-Clause */
/* What keeps a loop from ending is named: contract row L4. */
#include <poll.h>
#include <sched.h>
#include <talev/pool.h>
#include "loops/kit.h"
#include "work/jobs.h"

/* What is written to standard error while the test runs goes into a pipe. */
static int told = -1;
static int kept = -1;

static void redirect_stderr(void)
{
	int fds[2];

	test_pipe(fds);
	told = fds[0];
	kept = dup(STDERR_FILENO);
	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	close(fds[1]);
}

static void restore_stderr(void)
{
	assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
	close(kept);
	close(told);
}

static void tick(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)te;
	(void)now;
	(void)data;
}

static void *let_go;
static struct talev_loop *held;

static void free_it(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	talloc_free(let_go);
}

/* A loop whose handler does not return cannot tell anything itself. */
static sem_t gate;

static void free_holder(void)
{
	demand(talev_async_run(held, free_it, NULL) == 0);
}

static void open_gate(void)
{
	gate_open(&gate);
}

struct watch {
	const char *wanted;
	void (*told)(void);
};

/* Lets go what holds the loop when it has been told, and not before. */
static void *watch_stderr(void *arg)
{
	const struct watch *watch = arg;
	struct pollfd pfd = {.fd = told, .events = POLLIN};
	char text[4096] = "";
	size_t used = 0;

	while (strstr(text, watch->wanted) == NULL) {
		ssize_t n;

		demand(poll(&pfd, 1, -1) == 1);
		n = read(told, text + used, sizeof(text) - 1 - used);
		demand(n > 0);
		used += (size_t)n;
		text[used] = '\0';
	}
	watch->told();
	return NULL;
}

static void leak_timer(struct talev_loop *loop, void *data)
{
	(void)data;
	let_go = talev_add_timer(talev_loop_context(loop), NULL,
		talev_now(talev_loop_context(loop)) + TALEV_SEC(3600), tick, NULL);
	demand(let_go != NULL);
	held = loop;
}

static void readable(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)data;
}

static int quiet_fd;

static void leak_fd(struct talev_loop *loop, void *data)
{
	(void)data;
	let_go = talev_add_fd(
		talev_loop_context(loop), NULL, quiet_fd, TALEV_FD_READ, readable, NULL);
	demand(let_go != NULL);
	held = loop;
}

static void leak_door(struct talev_loop *loop, void *data)
{
	(void)data;
	let_go = talev_thread_proxy_create(talev_loop_context(loop), NULL);
	demand(let_go != NULL);
	held = loop;
}

static void be_told(talev_loop_fn_t fn, const char *wanted, void (*then)(void))
{
	struct talev_loops *loops = make_loops(3);
	struct watch watch = {wanted, then};
	pthread_t thread;

	redirect_stderr();
	assert_ok(talev_loops_set_grace(loops, TALEV_MSEC(1)));
	assert_ok(talev_loop_setup(talev_loops_get(loops, 1), fn, NULL));
	assert_ok(talev_async_run(talev_loops_get(loops, 1), stop_loops, NULL));
	thread = thread_start(watch_stderr, &watch);
	test_loops(loops);
	thread_join(thread);
	restore_stderr();
}

static void l04_a_leaked_timer_is_named_and_waited_for(void **state)
{
	(void)state;
	be_told(leak_timer, "loop test-1 is held by timer tick (", free_holder);
}

static void l04_a_leaked_descriptor_is_named(void **state)
{
	int fds[2];

	(void)state;
	test_pipe(fds);
	quiet_fd = fds[0];
	be_told(leak_fd, "loop test-1 is held by fd readable (", free_holder);
	close(fds[0]);
	close(fds[1]);
}

static void l04_a_leaked_door_is_named(void **state)
{
	(void)state;
	be_told(leak_door, "loop test-1 is held by proxy proxy (", free_holder);
}

/* A job that does not end. */
static struct talev_jobq *jobq;
static struct gates gates;

static void open_gate_of_job(void)
{
	gate_open(&gates.go);
}

static void send_a_job(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	struct gates **job_data = talloc(ev, struct gates *);

	(void)data;
	*job_data = &gates;
	demand(talev_job_send(ev, ev, jobq, job_gated, &job_data) != NULL);
}

static void l04_a_job_that_does_not_end_is_named(void **state)
{
	(void)state;
	gates_init(&gates);
	jobq = jobs_queue("long", 1);
	be_told(send_a_job, "loop test-1 is held by request job (", open_gate_of_job);
}

/* All at once: each of them is named, and the loop waits for all. */
static void *several;

static void free_several(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	talloc_free(several);
}

static void let_go_of_several(void)
{
	demand(talev_async_run(held, free_several, NULL) == 0);
}

static void leak_several(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	struct talev_timer *te;

	(void)data;
	several = talloc_new(NULL);
	for (int i = 0; i < 3; i++) {
		te = talev_add_ticker(ev, several, TALEV_SEC(3600), tick, NULL);
		demand(te != NULL && talev_source_set_name(te, i == 2 ? "third" : "other") == 0);
	}
	held = loop;
}

static void l04_each_holder_is_named(void **state)
{
	(void)state;
	be_told(leak_several, "loop test-1 is held by timer third (", let_go_of_several);
}

static void block(struct talev_loop *loop, void *data)
{
	(void)data;
	stop_loops(loop, NULL);
	gate_wait(&gate);
}

static void l04_a_handler_that_does_not_return_is_told(void **state)
{
	(void)state;
	sem_init(&gate, 0, 0);
	be_told(block, "loop test-1 is held by a handler that has not returned", open_gate);
	sem_destroy(&gate);
}

/* What is told goes to the program, which may ask the loops for something meanwhile. */
static void grow_when_told(enum talev_log_level level, const char *message, void *data)
{
	(void)level;
	if (strstr(message, "has not returned") == NULL)
		return;
	demand(talev_pool_grow(data, 1) == -1 && errno == ESHUTDOWN);
	gate_open(&gate);
}

static void l04_who_is_told_may_use_the_loops(void **state)
{
	struct talev_loops *loops = make_loops(2);

	(void)state;
	sem_init(&gate, 0, 0);
	talev_set_log_fn(grow_when_told, talev_loop_pool(talev_loops_main(loops)));
	assert_ok(talev_loops_set_grace(loops, TALEV_MSEC(1)));
	assert_ok(talev_async_run(talev_loops_get(loops, 1), block, NULL));
	test_loops(loops);
	talev_set_log_fn(NULL, NULL);
	talloc_free(loops);
	sem_destroy(&gate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(l04_a_leaked_timer_is_named_and_waited_for),
		TEST(l04_a_leaked_descriptor_is_named),
		TEST(l04_a_leaked_door_is_named),
		JOB_TEST(l04_a_job_that_does_not_end_is_named),
		TEST(l04_each_holder_is_named),
		TEST(l04_a_handler_that_does_not_return_is_told),
		TEST(l04_who_is_told_may_use_the_loops),
	};

	talloc_disable_null_tracking();
	jobs_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
