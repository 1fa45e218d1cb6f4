/* SPDX-License-Identifier: BSD-2-Clause */
/* Points 35 to 44: signals. */
#include "points.h"

static void original(int signum)
{
	(void)signum;
}

static void p35_the_first_one_installs_the_last_one_restores(void **state)
{
	struct tevent_context *ev = context();
	struct sigaction action = {.sa_handler = original};
	struct tevent_signal *first, *second;

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	first = tevent_add_signal(ev, ev, SIGUSR1, SA_RESTART, note_signal, "first");
	assert_int_equal(sigaction(SIGUSR1, NULL, &action), 0);
	assert_ptr_not_equal(action.sa_handler, original);
	assert_true(action.sa_flags & SA_RESTART);
	/* What later ones wish of the kernel is not looked at. */
	second = tevent_add_signal(ev, ev, SIGUSR1, SA_NOCLDSTOP, note_signal, "second");
	assert_int_equal(sigaction(SIGUSR1, NULL, &action), 0);
	assert_true(action.sa_flags & SA_RESTART);
	assert_false(action.sa_flags & SA_NOCLDSTOP);
	talloc_free(first);
	raise(SIGUSR1);
	once(ev);
	assert_notes("second");
	assert_int_equal(sigaction(SIGUSR1, NULL, &action), 0);
	assert_ptr_not_equal(action.sa_handler, original);
	talloc_free(second);
	assert_int_equal(sigaction(SIGUSR1, NULL, &action), 0);
	assert_ptr_equal(action.sa_handler, original);
}

static void note_mask(struct tevent_context *ev, struct tevent_signal *se, int signum, int count,
	void *siginfo, void *private_data)
{
	sigset_t mask;

	(void)ev, (void)se, (void)count, (void)siginfo, (void)private_data;
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
	note("%d%d%d", sigismember(&mask, signum), sigismember(&mask, SIGUSR2),
		sigismember(&mask, SIGHUP));
}

/* What the C handler blocks while it runs is nobody's business; ours has an sa_mask. */
static void p35_a_handler_runs_with_the_mask_of_its_thread(void **state)
{
	struct tevent_context *ev = context();
	sigset_t hup, before;

	(void)state;
	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &hup, &before), 0);
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_mask, NULL);
	raise(SIGUSR1);
	once(ev);
	assert_notes("001");
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

static void p35_a_number_too_large(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	assert_int_equal(tevent_num_signals(), 68);
	errno = 0;
	assert_null(tevent_add_signal(ev, ev, 68, 0, note_signal, "never"));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(tevent_add_signal(ev, ev, 100000, 0, note_signal, "never"));
	assert_int_equal(errno, EINVAL);
	assert_true(tevent_signal_support(ev));
}

static void p35_a_context_restores_what_it_watched(void **state)
{
	struct tevent_context *ev = context();
	struct sigaction action;

	(void)state;
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "signal");
	talloc_free(ev);
	assert_int_equal(sigaction(SIGUSR1, NULL, &action), 0);
	assert_ptr_equal(action.sa_handler, SIG_DFL);
}

static void p36_the_newest_runs_first(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "1");
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "2");
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "3");
	raise(SIGUSR1);
	once(ev);
	assert_notes("3 2 1");
}

static void note_context(struct tevent_context *ev, struct tevent_signal *se, int signum, int count,
	void *siginfo, void *expected)
{
	(void)se, (void)signum, (void)count, (void)siginfo;
	note("%s", ev == expected ? "own" : "other");
}

static void p37_any_context_with_signals_serves_all_of_them(void **state)
{
	struct tevent_context *a = context(), *b = context();

	(void)state;
	tevent_add_signal(a, a, SIGUSR1, 0, note_context, a);
	tevent_add_signal(b, b, SIGUSR1, 0, note_context, b);
	raise(SIGUSR1);
	once(a);
	assert_notes("own own");
	forget_notes();
	/* Also those it has none of itself. */
	tevent_add_signal(b, b, SIGUSR2, 0, note_context, b);
	raise(SIGUSR2);
	/* The first turns may find only that it was woken. */
	turns_for(a, 3);
	assert_notes("own");
}

static int sum;
static int delivered;
static void *last_info;
static siginfo_t infos[1024];

static void count_signal(struct tevent_context *ev, struct tevent_signal *se, int signum, int count,
	void *siginfo, void *p)
{
	(void)ev, (void)se, (void)signum, (void)p;
	sum += count;
	last_info = siginfo;
	if (siginfo && delivered < 1024)
		infos[delivered] = *(siginfo_t *)siginfo;
	delivered++;
}

static void p38_without_siginfo_one_call_with_the_count(void **state)
{
	struct tevent_context *ev = context();
	int i;

	(void)state;
	tevent_add_signal(ev, ev, SIGUSR1, 0, count_signal, NULL);
	for (i = 0; i < 3; i++)
		raise(SIGUSR1);
	once(ev);
	assert_int_equal(sum, 3);
	assert_int_equal(delivered, 1);
	assert_null(last_info);
	raise(SIGUSR1);
	turns_for(ev, 3);
	assert_int_equal(sum, 4);
	assert_int_equal(delivered, 2);
}

static void p38_with_siginfo_one_call_each(void **state)
{
	struct tevent_context *ev = context();
	int i;

	(void)state;
	tevent_add_signal(ev, ev, SIGRTMIN, SA_SIGINFO, count_signal, NULL);
	for (i = 0; i < 3; i++)
		assert_int_equal(
			sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 100 + i}), 0);
	once(ev);
	assert_int_equal(sum, 3);
	assert_int_equal(delivered, 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(infos[i].si_signo, SIGRTMIN);
		assert_int_equal(infos[i].si_value.sival_int, 100 + i);
		assert_int_equal(infos[i].si_pid, getpid());
	}
}

static void p38_two_with_siginfo_are_both_told_all(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_add_signal(ev, ev, SIGUSR1, SA_SIGINFO, count_signal, NULL);
	tevent_add_signal(ev, ev, SIGUSR1, SA_SIGINFO, count_signal, NULL);
	raise(SIGUSR1);
	raise(SIGUSR1);
	once(ev);
	assert_int_equal(delivered, 4);
}

static void p39_a_storm_is_kept_or_held_back(void **state)
{
	struct tevent_context *ev = context();
	int i;

	(void)state;
	assert_int_equal(tevent_sa_info_queue_count(), 256);
	tevent_add_signal(ev, ev, SIGUSR1, SA_SIGINFO, count_signal, NULL);
	for (i = 0; i < 600; i++)
		raise(SIGUSR1);
	/* tevent keeps 256, and the kernel one more. To keep all is better. */
	once(ev);
	assert_in_range(delivered, 256, 600);
	turns_for(ev, 5);
	if (delivered != 257)
		assert_int_equal(delivered, 600);
	delivered = 0;
	raise(SIGUSR1);
	turns_for(ev, 5);
	assert_int_equal(delivered, 1);
}

static void p39_what_the_kernel_queues_is_not_lost(void **state)
{
	struct tevent_context *ev = context();
	int i;

	(void)state;
	tevent_add_signal(ev, ev, SIGRTMIN, SA_SIGINFO, count_signal, NULL);
	for (i = 0; i < 600; i++)
		assert_int_equal(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}), 0);
	turns_for(ev, 20);
	assert_int_equal(delivered, 600);
	for (i = 0; i < 600; i++)
		assert_int_equal(infos[i].si_value.sival_int, i);
}

static void check_info(struct tevent_context *ev, struct tevent_signal *se, int signum, int count,
	void *siginfo, void *p)
{
	siginfo_t *info = siginfo;

	(void)ev, (void)se, (void)signum, (void)count, (void)p;
	note("%s", !info ? "none" : info->si_signo == SIGUSR1 ? "info" : "bogus");
}

static void p40_siginfo_asked_for_by_the_second(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "plain");
	tevent_add_signal(ev, ev, SIGUSR1, SA_SIGINFO, check_info, NULL);
	raise(SIGUSR1);
	once(ev);
	if (strcmp(notes(), "none plain") != 0)
		assert_notes("info plain");
}

static void p40_siginfo_asked_for_by_the_first(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_add_signal(ev, ev, SIGUSR1, SA_SIGINFO, check_info, NULL);
	tevent_add_signal(ev, ev, SIGUSR1, 0, count_signal, NULL);
	raise(SIGUSR1);
	raise(SIGUSR1);
	once(ev);
	assert_notes("info info");
	assert_int_equal(sum, 2);
	assert_int_equal(delivered, 1);
	assert_null(last_info);
}

static void p41_resethand_is_for_once(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_signal *se;
	struct sigaction action;

	(void)state;
	se = tevent_add_signal(ev, ev, SIGUSR1, (int)SA_RESETHAND, note_signal, "signal");
	tevent_add_signal(ev, ev, SIGUSR2, 0, note_signal, "other");
	note_when_freed(se, "gone");
	raise(SIGUSR1);
	once(ev);
	assert_notes("signal gone");
	assert_int_equal(sigaction(SIGUSR1, NULL, &action), 0);
	assert_ptr_equal(action.sa_handler, SIG_DFL);
}

static void p41_resethand_with_siginfo(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	note_when_freed(tevent_add_signal(ev, ev, SIGUSR1, (int)(SA_RESETHAND | SA_SIGINFO),
				check_info, NULL),
		"gone");
	tevent_add_signal(ev, ev, SIGUSR2, 0, note_signal, "other");
	raise(SIGUSR1);
	once(ev);
	assert_notes("info gone");
}

static struct tevent_signal *victim;

static void free_victim(struct tevent_context *ev, struct tevent_signal *se, int signum, int count,
	void *siginfo, void *p)
{
	(void)ev, (void)se, (void)signum, (void)count, (void)siginfo, (void)p;
	note("free%d", talloc_free(victim));
}

static void free_self(struct tevent_context *ev, struct tevent_signal *se, int signum, int count,
	void *siginfo, void *p)
{
	(void)ev, (void)signum, (void)count, (void)siginfo, (void)p;
	note("self");
	talloc_free(se);
}

static void p42_freeing_itself_harms_nobody(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "old");
	tevent_add_signal(ev, ev, SIGUSR1, 0, free_self, NULL);
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "new");
	raise(SIGUSR1);
	once(ev);
	assert_notes("new self old");
	forget_notes();
	raise(SIGUSR1);
	turns_for(ev, 3);
	assert_notes("new old");
}

static void p42_freeing_the_next_in_the_walk(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "last");
	victim = tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "never");
	note_when_freed(victim, "gone");
	tevent_add_signal(ev, ev, SIGUSR1, 0, free_victim, NULL);
	raise(SIGUSR1);
	once(ev);
	assert_notes("gone free0 last");
}

static void p42_freeing_one_that_has_run(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "last");
	tevent_add_signal(ev, ev, SIGUSR1, 0, free_victim, NULL);
	victim = tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "first");
	raise(SIGUSR1);
	once(ev);
	assert_notes("first free0 last");
}

static int without_cloexec(void)
{
	int fd, flags, n = 0;

	for (fd = 3; fd < 256; fd++) {
		flags = fcntl(fd, F_GETFD);
		n += flags >= 0 && !(flags & FD_CLOEXEC);
	}
	return n;
}

static void p43_no_descriptor_is_inherited_by_a_program(void **state)
{
	struct tevent_context *ev;
	int before = without_cloexec();

	(void)state;
	ev = context();
	assert_non_null(tevent_thread_proxy_create(ev));
	assert_int_equal(without_cloexec(), before);
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "signal");
	assert_non_null(tevent_threaded_context_create(ev, ev));
	ev = tevent_context_init_byname(root(), "poll_mt");
	assert_int_equal(without_cloexec(), before);
}

static void p43_the_first_signal_makes_what_later_ones_share(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_signal *se = tevent_add_signal(ev, root(), SIGUSR1, 0, note_signal, "signal");
	size_t blocks = talloc_total_blocks(ev);
	int fds = count_fds();

	(void)state;
	assert_non_null(tevent_add_signal(ev, root(), SIGUSR2, 0, note_signal, "signal"));
	assert_non_null(tevent_add_signal(ev, root(), SIGHUP, SA_SIGINFO, note_signal, "signal"));
	assert_non_null(tevent_threaded_context_create(root(), ev));
	assert_int_equal(count_fds(), fds);
	assert_int_equal(talloc_total_blocks(ev), blocks);
	talloc_free(se);
	assert_int_equal(talloc_total_blocks(ev), blocks);
}

static void p44_a_signal_costs_at_most_one_idle_turn(void **state)
{
	struct tevent_context *ev = context();
	int i, idle = 0;

	(void)state;
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "signal");
	for (i = 0; i < 10; i++) {
		forget_notes();
		raise(SIGUSR1);
		once(ev);
		if (!*notes()) {
			idle++;
			once(ev);
		}
		assert_notes("signal");
		idle += count_turns(ev, 2) - 1;
	}
	assert_in_range(idle, 0, 10);
}

static void trace_signal(struct tevent_signal *se, enum tevent_event_trace_point point, void *p)
{
	(void)p;
	note("%s%d",
		point == TEVENT_EVENT_TRACE_ATTACH   ? "attach"
		: point == TEVENT_EVENT_TRACE_DETACH ? "detach"
						     : "before",
		(int)tevent_signal_get_tag(se));
}

static void p00_signals_are_traced(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_signal *se;

	(void)state;
	tevent_set_trace_signal_callback(ev, trace_signal, NULL);
	se = tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "signal");
	tevent_signal_set_tag(se, 4);
	raise(SIGUSR1);
	once(ev);
	talloc_free(se);
	assert_notes("attach0 before4 signal detach4");
}

static const struct point_test tests[] = {
	BOTH(p35_the_first_one_installs_the_last_one_restores),
	BOTH(p35_a_handler_runs_with_the_mask_of_its_thread),
	BOTH(p35_a_number_too_large),
	BOTH(p35_a_context_restores_what_it_watched),
	BOTH(p36_the_newest_runs_first),
	BOTH(p37_any_context_with_signals_serves_all_of_them),
	BOTH(p38_without_siginfo_one_call_with_the_count),
	BOTH(p38_with_siginfo_one_call_each),
	BOTH(p38_two_with_siginfo_are_both_told_all),
	BOTH(p39_a_storm_is_kept_or_held_back),
	BOTH(p39_what_the_kernel_queues_is_not_lost),
	MENDED(p40_siginfo_asked_for_by_the_second),
	BOTH(p40_siginfo_asked_for_by_the_first),
	BOTH(p41_resethand_is_for_once),
	BOTH(p41_resethand_with_siginfo),
	BOTH(p42_freeing_itself_harms_nobody),
	MENDED(p42_freeing_the_next_in_the_walk),
	BOTH(p42_freeing_one_that_has_run),
	MENDED(p43_no_descriptor_is_inherited_by_a_program),
	BOTH(p43_the_first_signal_makes_what_later_ones_share),
	BOTH(p44_a_signal_costs_at_most_one_idle_turn),
	BOTH(p00_signals_are_traced),
};

POINTS_MAIN(tests)
