/* SPDX-License-Identifier: BSD-2-Clause */
/* Points 72 to 75, and what the API does that has no number. */
#include "points.h"

#include <dlfcn.h>

static void double_free(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)ev, (void)p;
	talloc_free(im);
	talloc_free(im);
	note("goes_on");
}

static void p72_an_abort_is_told_and_may_return(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	capture_aborts();
	capture_debug(ev);
	tevent_schedule_immediate(tevent_create_immediate(root()), ev, double_free, NULL);
	once(ev);
	assert_notes("goes_on");
	assert_int_equal(abort_count(), 1);
	assert_non_null(strstr(abort_reason(), "double free"));
}

static void nest(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)im, (void)p;
	tevent_loop_once(ev);
}

static void p72_the_reason_goes_to_the_debug_function(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	capture_aborts();
	capture_debug(ev);
	tevent_schedule_immediate(tevent_create_immediate(root()), ev, nest, NULL);
	tevent_loop_once(ev);
	assert_int_equal(abort_count(), 1);
	assert_non_null(strstr(debug_text(), "nesting at "));
}

static void die(void *p)
{
	struct tevent_context *ev = p;

	tevent_schedule_immediate(tevent_create_immediate(root()), ev, double_free, NULL);
	tevent_loop_once(ev);
}

static void p72_without_a_function_it_aborts(void **state)
{
	(void)state;
	assert_aborts(die, context());
}

static void p73_events_that_come_and_go_leave_no_blocks(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_immediate *im;
	size_t blocks;
	int fds[2], i;

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	talloc_free(tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "signal"));
	turns_for(ev, 2);
	blocks = talloc_total_blocks(ev);
	for (i = 0; i < 20; i++) {
		talloc_free(tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "signal"));
		talloc_free(tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "fd"));
		talloc_free(tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "timer"));
		tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "timer");
		im = tevent_create_immediate(ev);
		tevent_schedule_immediate(im, ev, note_immediate, "im");
		turns(ev, 2);
		talloc_free(im);
		talloc_free(tevent_threaded_context_create(ev, ev));
		talloc_free(tevent_wakeup_send(ev, ev, ZERO_TIME));
		talloc_free(tevent_thread_proxy_create(ev));
		assert_int_equal(talloc_total_blocks(ev), blocks);
	}
}

static void p73_each_event_is_one_block(void **state)
{
	struct tevent_context *ev = context();
	size_t blocks;
	int fds[2];

	(void)state;
	make_pipe(fds);
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "signal");
	blocks = talloc_total_blocks(ev);
	tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "fd");
	assert_int_equal(talloc_total_blocks(ev), blocks + 1);
	tevent_add_timer(ev, ev, in_milliseconds(1000), note_timer, "timer");
	assert_int_equal(talloc_total_blocks(ev), blocks + 2);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	assert_int_equal(talloc_total_blocks(ev), blocks + 3);
}

static void p74_the_end_of_loop_wait_is_told(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	capture_debug(ev);
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_non_null(strstr(debug_text(), "tevent_common_loop_wait() out of events"));
}

/* Whether the next turn comes back although nothing is ready and no timer is due. */
static bool woken(struct tevent_context *ev)
{
	struct tevent_timer *te = tevent_add_timer(ev, ev, in_milliseconds(400), note_timer, "t");
	bool early;

	forget_notes();
	once(ev);
	early = !*notes();
	if (early)
		talloc_free(te);
	return early;
}

static void p75_poll_mt_is_woken_by_changes(void **state)
{
	struct tevent_context *ev = tevent_context_init_byname(root(), "poll_mt");
	struct tevent_fd *fde;
	int fds[2];

	(void)state;
	assert_non_null(ev);
	make_pipe(fds);
	while (woken(ev))
		;
	fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "fd");
	assert_true(woken(ev));
	assert_false(woken(ev));
	tevent_fd_set_flags(fde, 0);
	assert_true(woken(ev));
	assert_false(woken(ev));
	tevent_fd_set_flags(fde, TEVENT_FD_READ);
	assert_true(woken(ev));
	assert_false(woken(ev));
	talloc_free(fde);
	assert_true(woken(ev));
	assert_false(woken(ev));
}

static void p75_poll_mt_works(void **state)
{
	struct tevent_context *ev = tevent_context_init_byname(root(), "poll_mt");
	int fds[2];

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "fd");
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "timer");
	turns(ev, 2);
	assert_notes("im timer");
	while (!strstr(notes(), "fd"))
		once(ev);
	assert_notes("im timer fd");
}

static void p00_backends(void **state)
{
	static const char *const expected[] = {"standard", "epoll", "poll_mt", "poll"};
	const char **list = tevent_backend_list(root());
	size_t i, j;

	(void)state;
	assert_non_null(list);
	assert_string_equal(list[0], "standard");
	for (i = 0; i < 4; i++) {
		for (j = 0; list[j] && strcmp(list[j], expected[i]) != 0; j++)
			;
		assert_non_null(list[j]);
		assert_non_null(tevent_find_ops_byname(expected[i]));
	}
	assert_null(tevent_context_init_byname(root(), "no such backend"));
	assert_non_null(tevent_context_init_byname(root(), NULL));
	assert_null(tevent_find_ops_byname("no such backend"));
	tevent_set_default_backend("poll");
	assert_non_null(tevent_context_init(root()));
	tevent_set_default_backend("no such backend");
	assert_null(tevent_context_init(root()));
	tevent_set_default_backend(NULL);
	assert_non_null(tevent_context_init(root()));
}

static void p00_a_context_is_a_talloc_object(void **state)
{
	struct tevent_context *ev = tevent_context_init(NULL);

	(void)state;
	assert_string_equal(talloc_get_name(ev), "struct tevent_context");
	assert_null(talloc_parent(ev));
	assert_int_equal(talloc_free(ev), 0);
}

static int own_init(struct tevent_context *ev)
{
	(void)ev;
	note("init");
	return 0;
}

static struct tevent_timer *own_add_timer(struct tevent_context *ev, TALLOC_CTX *mem,
	struct timeval when, tevent_timer_handler_t handler, void *p, const char *handler_name,
	const char *location)
{
	(void)ev, (void)mem, (void)when, (void)handler, (void)p;
	note("timer");
	assert_string_equal(handler_name, "note_timer");
	assert_non_null(strstr(location, "test_misc.c:"));
	return NULL;
}

static int own_loop_once(struct tevent_context *ev, const char *location)
{
	(void)ev, (void)location;
	note("once");
	return 5;
}

static int own_loop_wait(struct tevent_context *ev, const char *location)
{
	(void)ev, (void)location;
	note("wait");
	return 6;
}

static struct tevent_fd *own_add_fd(struct tevent_context *ev, TALLOC_CTX *mem, int fd,
	uint16_t flags, tevent_fd_handler_t handler, void *p, const char *handler_name,
	const char *location)
{
	(void)ev, (void)mem, (void)fd, (void)flags, (void)handler, (void)p, (void)handler_name,
		(void)location;
	note("fd");
	return NULL;
}

static struct tevent_signal *own_add_signal(struct tevent_context *ev, TALLOC_CTX *mem, int signum,
	int sa_flags, tevent_signal_handler_t handler, void *p, const char *handler_name,
	const char *location)
{
	(void)ev, (void)mem, (void)signum, (void)sa_flags, (void)handler, (void)p,
		(void)handler_name, (void)location;
	note("signal");
	return NULL;
}

static const struct tevent_ops own_ops = {
	.context_init = own_init,
	.add_timer = own_add_timer,
	.add_fd = own_add_fd,
	.add_signal = own_add_signal,
	.loop_once = own_loop_once,
	.loop_wait = own_loop_wait,
};

static void p00_calls_go_through_the_operations_of_the_context(void **state)
{
	struct tevent_context *ev;

	(void)state;
	assert_true(tevent_register_backend("own", &own_ops));
	assert_true(tevent_register_backend("own", &own_ops));
	assert_ptr_equal(tevent_find_ops_byname("own"), &own_ops);
	ev = tevent_context_init_byname(root(), "own");
	assert_non_null(ev);
	assert_null(tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "never"));
	assert_null(tevent_add_fd(ev, ev, 0, TEVENT_FD_READ, note_fd, "never"));
	assert_null(tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "never"));
	assert_int_equal(tevent_loop_once(ev), 5);
	assert_int_equal(tevent_loop_wait(ev), 6);
	assert_notes("init timer fd signal once wait");
	assert_true(tevent_signal_support(ev));
	forget_notes();
	ev = tevent_context_init_ops(root(), &own_ops, &ev);
	assert_non_null(ev);
	assert_notes("init");
}

static void p00_a_backend_may_come_before_the_built_in_one(void **state)
{
	struct tevent_context *ev;

	(void)state;
	assert_true(tevent_register_backend("standard", &own_ops));
	ev = tevent_context_init_byname(root(), "standard");
	assert_non_null(ev);
	assert_notes("init");
	assert_non_null(tevent_context_init_byname(root(), "poll"));
	assert_notes("init");
}

static int stacked_init(struct tevent_context *ev)
{
	note("stacked");
	return tevent_find_ops_byname("standard")->context_init(ev);
}

static void p00_a_backend_on_top_of_another(void **state)
{
	static struct tevent_ops stacked;
	struct tevent_context *ev;
	int fds[2];

	(void)state;
	make_pipe(fds);
	poke(fds[1]);
	stacked = *tevent_find_ops_byname("standard");
	stacked.context_init = stacked_init;
	assert_true(tevent_register_backend("stacked", &stacked));
	ev = tevent_context_init_byname(root(), "stacked");
	assert_non_null(ev);
	tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, note_fd, "fd");
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "timer");
	turns(ev, 2);
	assert_notes("stacked timer fd");
}

static void p00_times(void **state)
{
	struct timeval a = {1, 999999}, b = {2, 0}, t;

	(void)state;
	assert_true(tevent_timeval_compare(&a, &b) < 0);
	assert_true(tevent_timeval_compare(&b, &a) > 0);
	assert_int_equal(tevent_timeval_compare(&a, &a), 0);
	t = tevent_timeval_zero();
	assert_true(tevent_timeval_is_zero(&t));
	assert_false(tevent_timeval_is_zero(&a));
	t = tevent_timeval_set(7, 8);
	assert_int_equal(t.tv_sec, 7);
	assert_int_equal(t.tv_usec, 8);
	t = tevent_timeval_until(&a, &b);
	assert_int_equal(t.tv_sec, 0);
	assert_int_equal(t.tv_usec, 1);
	t = tevent_timeval_until(&b, &a);
	assert_true(tevent_timeval_is_zero(&t));
	t = tevent_timeval_add(&a, 1, 2);
	assert_int_equal(t.tv_sec, 3);
	assert_int_equal(t.tv_usec, 1);
	t = tevent_timeval_add(&b, 0, 3500000);
	assert_int_equal(t.tv_sec, 5);
	assert_int_equal(t.tv_usec, 500000);
}

static void p00_tags(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_timer *te = tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "timer");

	(void)state;
	assert_int_equal(tevent_timer_get_tag(te), 0);
	tevent_timer_set_tag(te, UINT64_MAX);
	assert_true(tevent_timer_get_tag(te) == UINT64_MAX);
	assert_int_equal(tevent_timer_get_tag(NULL), 0);
	assert_int_equal(tevent_signal_get_tag(NULL), 0);
	tevent_timer_set_tag(NULL, 1);
	tevent_signal_set_tag(NULL, 1);
}

static void p00_the_debug_level_has_a_cap(void **state)
{
	struct tevent_context *ev = context();
	void (*cap)(struct tevent_context *, enum tevent_debug_level);

	(void)state;
	*(void **)&cap = newer_function("tevent_set_max_debug_level");
	capture_debug(ev);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	once(ev);
	assert_string_equal(debug_text(), "");
	cap(ev, TEVENT_DEBUG_TRACE);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "im");
	once(ev);
	assert_non_null(strstr(debug_text(), "note_immediate"));
}

static void p00_what_is_scheduled_is_told_at_level_trace(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_immediate *im = tevent_create_immediate(ev);
	void (*cap)(struct tevent_context *, enum tevent_debug_level);

	(void)state;
	capture_debug(ev);
	/* Where there is no cap all is told. */
	*(void **)&cap = dlsym(RTLD_DEFAULT, "tevent_set_max_debug_level");
	if (cap)
		cap(ev, TEVENT_DEBUG_TRACE);
	tevent_schedule_immediate(im, ev, note_immediate, "im");
	assert_non_null(strstr(debug_text(), "Schedule immediate event \"note_immediate\""));
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "timer");
	assert_non_null(strstr(debug_text(), "Added timed event \"note_timer\""));
	turns(ev, 2);
	assert_non_null(strstr(debug_text(), "Run immediate event \"note_immediate\""));
	assert_non_null(strstr(debug_text(), "Running timer event"));
}

static void note_depth(int type, struct tevent_req *req, size_t depth, const char *name)
{
	(void)req, (void)name;
	note("%d:%d", type, (int)depth);
}

static void depth_callback(
	void *p, int type, struct tevent_req *req, size_t depth, const char *name)
{
	(void)p;
	note_depth(type, req, depth, name);
}

/* Types: 0 create, 1 trigger, 2 cancel, 3 cleanup, 4 notify callback, 5 reset. */
static void p00_call_depth(void **state)
{
	void (*set)(void (*)(void *, int, struct tevent_req *, size_t, const char *), void *);
	struct tevent_req *outer, *inner;
	int *data, *more;

	(void)state;
	*(void **)&set = newer_function("tevent_thread_call_depth_set_callback");
	set(depth_callback, NULL);
	outer = tevent_req_create(root(), &data, int);
	inner = tevent_req_create(data, &more, int);
	assert_non_null(inner);
	tevent_req_done(outer);
	set(NULL, NULL);
	assert_non_null(strstr(notes(), ":"));
}

static void count_depth(struct tevent_req *req)
{
	(void)req;
}

static void p00_the_old_call_depth_functions_do_no_harm(void **state)
{
	struct tevent_req *req;
	size_t depth = 0;
	int *data;

	(void)state;
	tevent_thread_call_depth_activate(&depth);
	req = tevent_req_create(root(), &data, int);
	tevent_req_set_callback(req, count_depth, NULL);
	tevent_thread_call_depth_start(req);
	tevent_thread_call_depth_reset_from_req(req);
	tevent_req_done(req);
	tevent_thread_call_depth_deactivate();
}

static const struct point_test tests[] = {
	BOTH(p72_an_abort_is_told_and_may_return),
	BOTH(p72_the_reason_goes_to_the_debug_function),
	BOTH(p72_without_a_function_it_aborts),
	BOTH(p73_events_that_come_and_go_leave_no_blocks),
	BOTH(p73_each_event_is_one_block),
	BOTH(p74_the_end_of_loop_wait_is_told),
	BOTH(p75_poll_mt_is_woken_by_changes),
	BOTH(p75_poll_mt_works),
	BOTH(p00_backends),
	BOTH(p00_a_context_is_a_talloc_object),
	BOTH(p00_calls_go_through_the_operations_of_the_context),
	BOTH(p00_a_backend_may_come_before_the_built_in_one),
	BOTH(p00_a_backend_on_top_of_another),
	BOTH(p00_times),
	BOTH(p00_tags),
	NEWER(p00_the_debug_level_has_a_cap),
	BOTH(p00_what_is_scheduled_is_told_at_level_trace),
	NEWER(p00_call_depth),
	BOTH(p00_the_old_call_depth_functions_do_no_harm),
};

POINTS_MAIN(tests)
