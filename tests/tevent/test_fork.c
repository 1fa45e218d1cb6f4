/* SPDX-License-Identifier: BSD-2-Clause */
/* Points 45 to 47: fork, and starting a context over. */
#include "points.h"

#define assert_child(fn, arg)                                                                      \
	do {                                                                                       \
		int status_ = ends_with(fn, arg);                                                  \
		assert_true(WIFEXITED(status_));                                                   \
		assert_int_equal(WEXITSTATUS(status_), 0);                                         \
	} while (0)
/* Inside a child an assertion of cmocka would run the rest of the test there. */
#define need(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			_exit(__LINE__ % 200 + 1);                                                 \
	} while (0)

static void right_pid(void *unused)
{
	(void)unused;
	need(tevent_cached_getpid() == getpid());
}

static void p45_the_child_knows_its_own_number(void **state)
{
	(void)state;
	assert_int_equal(tevent_cached_getpid(), getpid());
	context();
	assert_int_equal(tevent_cached_getpid(), getpid());
	assert_child(right_pid, NULL);
	assert_int_equal(tevent_cached_getpid(), getpid());
}

struct threaded {
	struct tevent_context *ev;
	struct tevent_threaded_context *tctx;
};

static void schedule_in_child(void *p)
{
	struct threaded *t = p;

	tevent_threaded_schedule_immediate(
		t->tctx, tevent_create_immediate(t->ev), note_immediate, "never");
	need(tevent_loop_wait(t->ev) == 0);
	need(*notes() == '\0');
	/* A new one works. */
	need(tevent_re_initialise(t->ev) == 0);
	t->tctx = tevent_threaded_context_create(t->ev, t->ev);
	need(t->tctx);
	tevent_threaded_schedule_immediate(
		t->tctx, tevent_create_immediate(t->ev), note_immediate, "im");
	need(tevent_loop_once(t->ev) == 0);
	need(strcmp(notes(), "im") == 0);
}

static void p45_a_child_has_lost_its_threaded_contexts(void **state)
{
	struct threaded t = {.ev = context()};

	(void)state;
	t.tctx = tevent_threaded_context_create(t.ev, t.ev);
	assert_child(schedule_in_child, &t);
	tevent_threaded_schedule_immediate(
		t.tctx, tevent_create_immediate(t.ev), note_immediate, "im");
	once(t.ev);
	assert_notes("im");
}

struct watched {
	struct tevent_context *ev;
	struct tevent_fd *fde;
	int peer;
};

static void watch_in_child(void *p)
{
	struct watched *w = p;

	poke(w->peer);
	need(tevent_loop_once(w->ev) == 0);
	need(strcmp(notes(), "fd") == 0);
	/* What the child does to its watch is not the parent's business. */
	tevent_fd_set_flags(w->fde, TEVENT_FD_WRITE);
	need(tevent_loop_once(w->ev) == 0);
	need(talloc_free(w->fde) == 0);
	need(talloc_free(w->ev) == 0);
}

static void p46_parent_and_child_watch_apart(void **state)
{
	struct watched w = {.ev = context()};
	int fds[2];

	(void)state;
	make_socketpair(fds);
	w.peer = fds[1];
	w.fde = tevent_add_fd(w.ev, w.ev, fds[0], TEVENT_FD_READ, note_fd, "fd");
	tevent_fd_set_close_fn(w.fde, note_close);
	assert_child(watch_in_child, &w);
	assert_notes("");
	once(w.ev);
	assert_notes("fd");
	assert_int_equal(tevent_fd_get_flags(w.fde), TEVENT_FD_READ);
	tevent_fd_set_close_fn(w.fde, NULL);
}

static void timers_in_child(void *p)
{
	struct tevent_context *ev = p;

	need(tevent_loop_once(ev) == 0);
	need(strcmp(notes(), "im") == 0);
	need(tevent_loop_once(ev) == 0);
	need(strcmp(notes(), "im timer") == 0);
	raise(SIGUSR1);
	need(tevent_loop_once(ev) == 0);
	need(strcmp(notes(), "im timer signal") == 0);
}

static void p46_timers_immediates_and_signals_are_inherited(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_add_timer(ev, ev, in_milliseconds(5), note_timer, "timer");
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "signal");
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	assert_child(timers_in_child, ev);
	turns_for(ev, 10);
	assert_notes("im timer");
}

static void start_over(void *p)
{
	struct watched *w = p;

	need(tevent_re_initialise(w->ev) == 0);
	need(tevent_fd_get_flags(w->fde) == 0);
	need(tevent_loop_wait(w->ev) == 0);
	need(*notes() == '\0');
	tevent_add_timer(w->ev, w->ev, ZERO_TIME, note_timer, "timer");
	need(tevent_loop_wait(w->ev) == 0);
	need(strcmp(notes(), "timer") == 0);
}

static void p46_a_child_that_starts_over_leaves_the_parent_alone(void **state)
{
	struct watched w = {.ev = context()};
	int fds[2];

	(void)state;
	make_socketpair(fds);
	w.fde = tevent_add_fd(w.ev, w.ev, fds[0], TEVENT_FD_READ, note_fd, "fd");
	assert_child(start_over, &w);
	poke(fds[1]);
	once(w.ev);
	assert_notes("fd");
}

static void trace_fd(struct tevent_fd *fde, enum tevent_event_trace_point point, void *p)
{
	(void)fde, (void)p;
	note("fd%d", point);
}

static void trace_timer(struct tevent_timer *te, enum tevent_event_trace_point point, void *p)
{
	(void)te, (void)p;
	note("timer%d", point);
}

static void p47_re_initialise_makes_everything_inert(void **state)
{
	struct tevent_context *ev = context();
	tevent_trace_fd_callback_t fd_callback;
	struct tevent_immediate *im = tevent_create_immediate(root());
	struct tevent_timer *te;
	struct tevent_signal *se;
	struct tevent_fd *fde;
	struct sigaction action;
	void *data;
	int fds[2];

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	fde = tevent_add_fd(ev, root(), fds[0], TEVENT_FD_READ, note_fd, "fd");
	tevent_fd_set_tag(fde, 3);
	tevent_fd_set_close_fn(fde, note_close);
	te = tevent_add_timer(ev, root(), ZERO_TIME, note_timer, "timer");
	tevent_timer_set_tag(te, 4);
	se = tevent_add_signal(ev, root(), SIGUSR1, 0, note_signal, "signal");
	tevent_signal_set_tag(se, 5);
	tevent_schedule_immediate(im, ev, note_immediate, "im");
	tevent_immediate_set_tag(im, 6);
	tevent_set_trace_fd_callback(ev, trace_fd, &data);
	tevent_set_trace_timer_callback(ev, trace_timer, &data);

	assert_int_equal(tevent_re_initialise(ev), 0);
	assert_non_null(strstr(notes(), "fd1"));
	assert_non_null(strstr(notes(), "timer1"));
	forget_notes();
	assert_int_equal(tevent_fd_get_tag(fde), 3);
	assert_int_equal(tevent_timer_get_tag(te), 4);
	assert_int_equal(tevent_signal_get_tag(se), 5);
	assert_int_equal(tevent_immediate_get_tag(im), 6);
	assert_int_equal(tevent_fd_get_flags(fde), 0);
	assert_int_equal(sigaction(SIGUSR1, NULL, &action), 0);
	assert_ptr_equal(action.sa_handler, SIG_DFL);
	tevent_get_trace_fd_callback(ev, &fd_callback, &data);
	assert_ptr_equal(fd_callback, trace_fd);
	assert_ptr_equal(data, &data);
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("");
	/* And works like new. */
	tevent_schedule_immediate(im, ev, note_immediate, "im");
	assert_non_null(tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "signal"));
	forget_notes();
	raise(SIGUSR1);
	turns(ev, 2);
	assert_notes("signal im");
	/* Only being freed runs the close function. */
	tevent_fd_set_close_fn(fde, NULL);
}

static void p47_re_initialise_keeps_the_wait_timeout(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	wait_timeout(ev, 3);
	assert_int_equal(tevent_re_initialise(ev), 0);
	assert_int_equal(wait_timeout(ev, 3), 3);
}

static void p47_close_functions_run_once_when_freed_later(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde;
	int fds[2];

	(void)state;
	make_pipe(fds);
	fde = tevent_add_fd(ev, root(), fds[0], TEVENT_FD_READ, note_fd, "close");
	tevent_fd_set_close_fn(fde, note_close);
	assert_int_equal(tevent_re_initialise(ev), 0);
	assert_notes("");
	talloc_free(fde);
	assert_notes("close");
}

struct server {
	struct tevent_context *ev;
	int status;
	int served[2];
};

static void serve(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *p)
{
	(void)ev, (void)flags, (void)p;
	note("serve");
	talloc_free(fde);
}

/* What smbd does: the child is born in a handler of the parent's loop, starts the context over and
 * loops inside that handler for the rest of its life. */
static void be_a_child(struct server *server)
{
	need(tevent_re_initialise(server->ev) == 0);
	need(tevent_add_fd(server->ev, server->ev, server->served[0], TEVENT_FD_READ, serve, NULL));
	tevent_add_timer(server->ev, server->ev, ZERO_TIME, note_timer, "timer");
	tevent_schedule_immediate(
		tevent_create_immediate(server->ev), server->ev, note_immediate, "im");
	poke(server->served[1]);
	forget_notes();
	need(tevent_loop_wait(server->ev) == 0);
	need(strcmp(notes(), "im timer serve") == 0);
	need(talloc_free(server->ev) == 0);
	_exit(0);
}

static void fork_in_handler(struct server *server)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		be_a_child(server);
	assert_int_equal(waitpid(pid, &server->status, 0), pid);
	note("forked");
}

static void fork_in_fd(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *p)
{
	(void)ev, (void)fde, (void)flags;
	fork_in_handler(p);
}

static void fork_in_timer(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *p)
{
	(void)ev, (void)te, (void)now;
	fork_in_handler(p);
}

static void fork_in_immediate(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)ev, (void)im;
	fork_in_handler(p);
}

static void fork_in_signal(struct tevent_context *ev, struct tevent_signal *se, int signum,
	int count, void *siginfo, void *p)
{
	(void)ev, (void)se, (void)signum, (void)count, (void)siginfo;
	fork_in_handler(p);
}

static void p47_a_child_born_in_a_handler_starts_over_and_loops_there(void **state)
{
	struct server server = {.ev = context()};
	struct tevent_signal *se;
	struct tevent_fd *fde;
	int fds[2];

	(void)state;
	make_pipe(fds);
	make_pipe(server.served);
	poke(fds[1]);
	fde = tevent_add_fd(server.ev, server.ev, fds[0], TEVENT_FD_READ, fork_in_fd, &server);
	once(server.ev);
	assert_notes("forked");
	assert_int_equal(server.status, 0);
	talloc_free(fde);
	drain(server.served[0]);
	tevent_add_timer(server.ev, server.ev, ZERO_TIME, fork_in_timer, &server);
	once(server.ev);
	assert_notes("forked forked");
	assert_int_equal(server.status, 0);
	drain(server.served[0]);
	tevent_schedule_immediate(
		tevent_create_immediate(server.ev), server.ev, fork_in_immediate, &server);
	once(server.ev);
	assert_notes("forked forked forked");
	assert_int_equal(server.status, 0);
	drain(server.served[0]);
	se = tevent_add_signal(server.ev, server.ev, SIGUSR1, 0, fork_in_signal, &server);
	raise(SIGUSR1);
	once(server.ev);
	assert_notes("forked forked forked forked");
	assert_int_equal(server.status, 0);
	talloc_free(se);
}

static const struct point_test tests[] = {
	BOTH(p45_the_child_knows_its_own_number),
	BOTH(p45_a_child_has_lost_its_threaded_contexts),
	BOTH(p46_parent_and_child_watch_apart),
	BOTH(p46_timers_immediates_and_signals_are_inherited),
	BOTH(p46_a_child_that_starts_over_leaves_the_parent_alone),
	BOTH(p47_re_initialise_makes_everything_inert),
	BOTH(p47_a_child_born_in_a_handler_starts_over_and_loops_there),
	NEWER(p47_re_initialise_keeps_the_wait_timeout),
	BOTH(p47_close_functions_run_once_when_freed_later),
};

POINTS_MAIN(tests)
