/* SPDX-License-Identifier: BSD-2-Clause */
/* Setup, teardown, shutdown, signals: contract rows L1, L2, L3, L12. */
#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include "loops/kit.h"

#define LOOPS 4

static unsigned scores[LOOPS];
static atomic_uint threads_there;
static atomic_uint arrived_late;

static struct talev_loops *loops_of(struct talev_loop *loop)
{
	return talev_loop_loops(loop);
}

static struct talev_loops *create(unsigned n)
{
	memset(scores, 0, sizeof(scores));
	return make_loops(n);
}

/* Each loop counts its own jobs, and knows which comes when. */
static void expect(struct talev_loop *loop, void *private_data)
{
	unsigned number = (unsigned)(uintptr_t)private_data;

	demand(talev_loop_current() == loop);
	demand(scores[talev_loop_index(loop)] == number);
	scores[talev_loop_index(loop)]++;
}

static unsigned count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned count = 0;

	demand(tasks != NULL);
	while ((entry = readdir(tasks)) != NULL)
		if (entry->d_name[0] != '.')
			count++;
	closedir(tasks);
	return count;
}

static void expect_setup_0(struct talev_loop *loop, void *private_data)
{
	char name[16];

	atomic_fetch_add(&threads_there, 1);
	demand(count_threads() >= LOOPS);
	expect(loop, private_data);
	demand(pthread_getname_np(pthread_self(), name, sizeof(name)) == 0);
	if (talev_loop_index(loop) > 0)
		demand(strcmp(name, talev_loop_name(loop)) == 0);
}

static void foreign(struct talev_loop *loop, void *data)
{
	(void)data;
	expect(loop, (void *)(uintptr_t)3);
	if (atomic_fetch_sub(&threads_there, 1) == 1)
		talev_loops_shutdown(loops_of(loop));
}

static void l01_setup_jobs_run_in_order_before_anything_foreign(void **state)
{
	struct talev_loops *loops = create(LOOPS);

	(void)state;
	atomic_store(&threads_there, 0);
	for (unsigned i = 0; i < LOOPS; i++)
		assert_ok(talev_async_run(talev_loops_get(loops, i), foreign, NULL));
	assert_ok(talev_loops_setup(loops, expect_setup_0, (void *)(uintptr_t)0));
	for (unsigned i = 0; i < LOOPS; i++)
		assert_ok(
			talev_loop_setup(talev_loops_get(loops, i), expect, (void *)(uintptr_t)1));
	assert_ok(talev_loops_setup(loops, expect, (void *)(uintptr_t)2));
	test_loops(loops);
	for (unsigned i = 0; i < LOOPS; i++)
		assert_int_equal(scores[i], 4);
	assert_errno(talev_loops_setup(loops, expect, NULL), EALREADY);
	assert_errno(talev_loops_run(loops), ESHUTDOWN);
}

static void late(struct talev_loop *loop, void *data)
{
	(void)data;
	demand(talev_loop_shutting_down(loop));
	atomic_fetch_add(&arrived_late, 1);
}

static void send_late(struct talev_loop *loop, void *private_data)
{
	unsigned next = (talev_loop_index(loop) + 1) % LOOPS;
	char *data = talloc_strdup(NULL, "late");

	demand(talev_loop_shutting_down(loop));
	expect(loop, private_data);
	demand(talev_async_run(talev_loops_get(loops_of(loop), next), late, &data) == 0);
	errno = 0;
	demand(talev_loop_teardown(loop, expect, NULL) == -1 && errno == ESHUTDOWN);
}

static void add_teardown(struct talev_loop *loop, void *private_data)
{
	demand(!talev_loop_shutting_down(loop));
	demand(talev_loop_teardown(loop, expect, private_data) == 0);
	if (atomic_fetch_add(&threads_there, 1) == LOOPS - 1)
		talev_loops_shutdown(loops_of(loop));
}

static void l02_teardown_jobs_run_backwards_and_what_they_send_runs(void **state)
{
	struct talev_loops *loops = create(LOOPS);

	(void)state;
	atomic_store(&threads_there, 0);
	assert_ok(talev_loops_teardown(loops, send_late, (void *)(uintptr_t)2));
	for (unsigned i = 0; i < LOOPS; i++)
		assert_ok(talev_loop_teardown(
			talev_loops_get(loops, i), expect, (void *)(uintptr_t)1));
	assert_ok(talev_loops_setup(loops, add_teardown, (void *)(uintptr_t)0));
	test_loops(loops);
	for (unsigned i = 0; i < LOOPS; i++)
		assert_int_equal(scores[i], 3);
	assert_int_equal(atomic_load(&arrived_late), LOOPS);
}

/* What the loop has for as long as it lives, and what would keep it alive. */
static struct {
	struct talev_fd *fde;
	struct talev_timer *te;
	int peer;
} held;

static void unused(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)data;
	demand(false);
}

static void unused_timer(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)te;
	(void)now;
	unused(ev, NULL, 0, data);
}

static void acquire(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	int fds[2];

	(void)data;
	test_socketpair(fds);
	held.peer = fds[1];
	held.fde = talev_add_fd(ev, NULL, fds[0], TALEV_FD_READ, unused, NULL);
	held.te = talev_add_ticker(ev, NULL, TALEV_SEC(3600), unused_timer, NULL);
	assert_non_null(held.fde);
	assert_non_null(held.te);
	assert_ok(talev_fd_set_auto_close(held.fde));
	stop_loops(loop, NULL);
}

static void let_go(struct talev_loop *loop, void *data)
{
	char byte;

	(void)data;
	assert_true(talev_loop_shutting_down(loop));
	talloc_free(held.fde);
	talloc_free(held.te);
	assert_int_equal(read(held.peer, &byte, 1), 0);
	close(held.peer);
}

static void l02_a_teardown_job_closes_and_frees_what_held_the_loop(void **state)
{
	struct talev_loops *loops = create(2);

	(void)state;
	assert_ok(talev_loop_setup(talev_loops_main(loops), acquire, NULL));
	assert_ok(talev_loop_teardown(talev_loops_main(loops), let_go, NULL));
	test_loops(loops);
}

static void *shut_it_down(void *arg)
{
	talev_loops_shutdown(arg);
	talev_loops_shutdown(arg);
	return NULL;
}

static void l03_shutdown_comes_from_any_thread_and_once(void **state)
{
	struct talev_loops *loops = create(2);
	pthread_t thread;

	(void)state;
	assert_ok(talev_loops_teardown(loops, expect, (void *)(uintptr_t)0));
	thread = thread_start(shut_it_down, loops);
	test_loops(loops);
	thread_join(thread);
	talev_loops_shutdown(loops);
	assert_int_equal(scores[0], scores[1]);
}

static void never(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	demand(false);
}

static void l03_after_a_shutdown_run_returns_at_once(void **state)
{
	struct talev_loops *loops = create(2);

	(void)state;
	assert_ok(talev_loops_setup(loops, never, NULL));
	assert_ok(talev_loops_teardown(loops, never, NULL));
	assert_ok(talev_async_run(talev_loops_main(loops), never, NULL));
	talev_loops_shutdown(loops);
	test_loops(loops);
	assert_null(talev_loop_context(talev_loops_main(loops)));
	assert_errno(talev_async_run(talev_loops_main(loops), never, NULL), ESHUTDOWN);
}

static void free_loops(struct talev_loop *loop, void *data)
{
	struct talev_loops *loops = loops_of(loop);

	(void)data;
	demand(talloc_free(loops) == 0);
	demand(loops_of(loop) == NULL);
	demand(talev_loop_shutting_down(loop));
}

static void l03_freeing_the_manager_in_the_main_loop_shuts_it_down(void **state)
{
	struct talev_loops *loops = create(2);

	(void)state;
	assert_ok(talev_loops_teardown(loops, expect, (void *)(uintptr_t)0));
	assert_ok(talev_async_run(talev_loops_main(loops), free_loops, NULL));
	test_loops(loops);
	assert_int_equal(scores[0] + scores[1], 2);
}

static void a_manager_that_never_ran_is_freed(void **state)
{
	struct talev_loops *loops = create(2);
	TALLOC_CTX *holder = talloc_new(test_root());
	struct talev_loop *loop = talev_loops_get(loops, 1);
	char *data = talloc_strdup(NULL, "dropped");

	(void)state;
	assert_ok(talev_loop_keep(holder, loop));
	assert_ok(talev_loops_setup(loops, never, NULL));
	assert_ok(talev_async_run(loop, never, &data));
	assert_null(data);
	talloc_free(loops);
	data = talloc_strdup(holder, "stays");
	assert_errno(talev_async_run(loop, never, &data), ESHUTDOWN);
	assert_string_equal(data, "stays");
	assert_ptr_equal(talloc_parent(data), holder);
	talloc_free(holder);
}

static void a_loop_of_one_manager_runs_another(struct talev_loop *loop, void *data)
{
	struct talev_loops *inner = talev_loops_create(NULL, "inner", 2);

	(void)data;
	demand(inner != NULL);
	demand(talev_async_run(talev_loops_get(inner, 1), stop_loops, NULL) == 0);
	demand(talev_loops_run(inner) == 0);
	demand(talev_loop_current() == loop);
	talloc_free(inner);
	talev_loops_shutdown(loops_of(loop));
}

static void several_managers_live_in_one_process(void **state)
{
	struct talev_loops *loops = create(2);

	(void)state;
	assert_null(talev_loop_current());
	assert_ok(talev_async_run(
		talev_loops_get(loops, 1), a_loop_of_one_manager_runs_another, NULL));
	test_loops(loops);
	assert_null(talev_loop_current());
}

static void wrong_arguments(void **state)
{
	struct talev_loops *loops = create(1);
	struct talev_loop *loop = talev_loops_main(loops);

	(void)state;
	assert_null_errno(talev_loops_create(NULL, "none", 0), EINVAL);
	assert_null_errno(talev_loops_create(NULL, NULL, 1), EINVAL);
	assert_errno(talev_loops_setup(loops, NULL, NULL), EINVAL);
	assert_errno(talev_loop_teardown(loop, NULL, NULL), EINVAL);
	assert_errno(talev_async_run(loop, NULL, NULL), EINVAL);
	assert_errno(talev_loops_set_grace(loops, -1), EINVAL);
	assert_errno(talev_loops_pause(loops), EINVAL);
	assert_errno(talev_loops_resume(loops), EINVAL);
	assert_null(talev_loops_get(loops, 1));
	assert_int_equal(talev_loops_count(loops), 1);
	assert_string_equal(talev_loop_name(loop), "test-0");
	assert_non_null(talev_loop_context(loop));
}

/* Signals. */

static void send_term(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	demand(kill(getpid(), SIGTERM) == 0);
}

static void send_int(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	demand(kill(getpid(), SIGINT) == 0);
}

static unsigned hups;

static void on_hup(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *private_data)
{
	struct talev_loop *loop = private_data;

	(void)siginfo;
	assert_int_equal(signum, SIGHUP);
	assert_ptr_equal(talev_loop_current(), loop);
	assert_ptr_equal(talev_loop_context(loop), ev);
	assert_int_equal(talev_loop_index(loop), 0);
	hups += (unsigned)count;
	talloc_free(se);
	assert_ok(kill(getpid(), SIGTERM));
}

static void watch_hup(struct talev_loop *loop, void *data)
{
	(void)data;
	assert_non_null(talev_add_signal(talev_loop_context(loop), NULL, SIGHUP, 0, on_hup, loop));
	assert_ok(kill(getpid(), SIGHUP));
}

/* L3: a shutdown by a signal. L12: and start, stop, start. */
static void l12_term_int_and_hup_arrive_on_the_main_loop(void **state)
{
	struct sigaction before;
	struct sigaction after;

	(void)state;
	assert_ok(sigaction(SIGTERM, NULL, &before));
	for (int round = 0; round < 3; round++) {
		struct talev_loops *loops = create(2);
		struct talev_loop *main_loop = talev_loops_main(loops);
		talev_loop_fn_t fns[3] = {watch_hup, send_term, send_int};

		hups = 0;
		assert_ok(talev_loop_setup(main_loop, fns[round], NULL));
		assert_ok(talev_loops_teardown(loops, expect, (void *)(uintptr_t)0));
		test_loops(loops);
		assert_int_equal(scores[0] + scores[1], 2);
		assert_int_equal(hups, round == 0 ? 1 : 0);
		talloc_free(loops);
		assert_ok(sigaction(SIGTERM, NULL, &after));
		assert_ptr_equal(before.sa_handler, after.sa_handler);
	}
}

/* Those that come while one is pending are one for the kernel already: told are so many calls as
 * were delivered, and at least one for any number that was sent. */
static unsigned told;

static void count_hups(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *private_data)
{
	(void)ev;
	(void)se;
	(void)signum;
	(void)siginfo;
	(void)private_data;
	hups += (unsigned)count;
	told++;
	stop_loops(talev_loop_current(), NULL);
	talloc_free(se);
}

static void send_many_hups(struct talev_loop *loop, void *data)
{
	sigset_t set;

	(void)data;
	assert_non_null(
		talev_add_signal(talev_loop_context(loop), NULL, SIGHUP, 0, count_hups, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	/* The first five are one for the kernel, the others one for the loop. */
	assert_ok(pthread_sigmask(SIG_BLOCK, &set, NULL));
	for (int i = 0; i < 5; i++)
		assert_ok(pthread_kill(pthread_self(), SIGHUP));
	assert_ok(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	for (int i = 0; i < 5; i++)
		assert_ok(pthread_kill(pthread_self(), SIGHUP));
	assert_int_equal(told, 0);
}

static void l12_many_signals_are_told_in_one_call_that_counts(void **state)
{
	struct talev_loops *loops = create(1);

	(void)state;
	hups = told = 0;
	assert_ok(talev_loop_setup(talev_loops_main(loops), send_many_hups, NULL));
	test_loops(loops);
	assert_int_equal(told, 1);
	assert_int_equal(hups, 6);
}

/* The second signal comes while a teardown job never returns. */
static void hang(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	kill(getpid(), SIGINT);
	for (;;)
		pause();
}

static void run_and_hang(void *arg)
{
	struct talev_loops *loops = talev_loops_create(NULL, "test", 2);

	(void)arg;
	demand(loops != NULL);
	demand(talev_loop_teardown(talev_loops_main(loops), hang, NULL) == 0);
	demand(talev_loop_setup(talev_loops_main(loops), send_int, NULL) == 0);
	talev_loops_run(loops);
}

static void l03_a_second_signal_ends_a_process_that_hangs(void **state)
{
	int status;

	(void)state;
	status = test_in_child(run_and_hang, NULL);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGINT);
}

static void a_manager_without_signals_leaves_them_alone(void **state)
{
	struct talev_loops *loops = create(1);
	struct sigaction during;

	(void)state;
	assert_ok(talev_loops_set_signals(loops, false));
	assert_ok(talev_async_run(talev_loops_main(loops), stop_loops, NULL));
	test_loops(loops);
	assert_ok(sigaction(SIGINT, NULL, &during));
	assert_true(during.sa_handler == SIG_DFL);
	assert_errno(talev_loops_set_signals(loops, true), EALREADY);
}

static void free_context_of(struct talev_loop *loop, void *data)
{
	(void)data;
	demand(talloc_free(talev_loop_context(loop)) == -1);
	stop_loops(loop, NULL);
}

static void the_context_of_a_loop_is_not_to_be_freed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct talev_loops *loops = make_loops(2);

		test_abort_capture();
		assert_ok(talev_async_run(talev_loops_get(loops, i), free_context_of, NULL));
		test_loops(loops);
		assert_int_equal(test_abort_count(), 1);
		talloc_free(loops);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(l01_setup_jobs_run_in_order_before_anything_foreign),
		TEST(l02_teardown_jobs_run_backwards_and_what_they_send_runs),
		TEST(l02_a_teardown_job_closes_and_frees_what_held_the_loop),
		TEST(l03_shutdown_comes_from_any_thread_and_once),
		TEST(l03_after_a_shutdown_run_returns_at_once),
		TEST(l03_freeing_the_manager_in_the_main_loop_shuts_it_down),
		TEST(l03_a_second_signal_ends_a_process_that_hangs),
		TEST(l12_term_int_and_hup_arrive_on_the_main_loop),
		TEST(l12_many_signals_are_told_in_one_call_that_counts),
		TEST(a_manager_that_never_ran_is_freed),
		TEST(several_managers_live_in_one_process),
		TEST(the_context_of_a_loop_is_not_to_be_freed),
		TEST(wrong_arguments),
		TEST(a_manager_without_signals_leaves_them_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
