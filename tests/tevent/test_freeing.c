/* SPDX-License-Identifier: BSD-2-Clause */
/* Points 10 to 16: freeing an event, its parent or its context, inside handlers and out. */
#include "points.h"

static bool twice;

static void free_fd(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *p)
{
	(void)ev, (void)flags, (void)p;
	note("free%d", talloc_free(fde));
	note("flags%d", tevent_fd_get_flags(fde));
	tevent_fd_set_flags(fde, TEVENT_FD_READ);
	note("flags%d", tevent_fd_get_flags(fde));
	if (twice)
		talloc_free(fde);
}

static void free_timer(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *p)
{
	(void)ev, (void)now, (void)p;
	note("free%d", talloc_free(te));
	if (twice)
		talloc_free(te);
}

static void free_immediate(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)ev, (void)p;
	note("free%d", talloc_free(im));
	if (twice)
		talloc_free(im);
}

static void free_signal(struct tevent_context *ev, struct tevent_signal *se, int signum, int count,
	void *siginfo, void *p)
{
	(void)ev, (void)signum, (void)count, (void)siginfo, (void)p;
	note("free%d", talloc_free(se));
	if (twice)
		talloc_free(se);
}

static struct tevent_fd *ready_fd(
	struct tevent_context *ev, TALLOC_CTX *mem, tevent_fd_handler_t handler, void *p)
{
	struct tevent_fd *fde;
	int fds[2];

	make_pipe(fds);
	poke(fds[1]);
	fde = tevent_add_fd(ev, mem, fds[0], TEVENT_FD_READ, handler, p);
	assert_non_null(fde);
	return fde;
}

static void p10_a_descriptor_freed_in_its_handler(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde = ready_fd(ev, ev, free_fd, NULL);

	(void)state;
	tevent_fd_set_close_fn(fde, note_close);
	tevent_fd_set_tag(fde, 5);
	note_when_freed(fde, "gone");
	once(ev);
	/* The private data of note_close() is that of the event: NULL. */
	assert_string_equal(notes(), "(null) free-1 flags0 flags0 gone");
}

static void p10_a_timer_freed_in_its_handler(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_timer *te = tevent_add_timer(ev, ev, ZERO_TIME, free_timer, NULL);

	(void)state;
	note_when_freed(te, "gone");
	once(ev);
	assert_notes("free-1 gone");
}

static void p10_an_immediate_freed_in_its_handler(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_immediate *im = tevent_create_immediate(ev);

	(void)state;
	note_when_freed(im, "gone");
	tevent_schedule_immediate(im, ev, free_immediate, NULL);
	once(ev);
	assert_notes("free-1 gone");
}

static void p10_a_signal_freed_in_its_handler(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_signal *se = tevent_add_signal(ev, ev, SIGUSR1, 0, free_signal, NULL);

	(void)state;
	tevent_add_signal(ev, ev, SIGUSR2, 0, note_signal, "other");
	note_when_freed(se, "gone");
	raise(SIGUSR1);
	once(ev);
	assert_notes("free-1 gone");
}

static void free_parent_fd(
	struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *parent)
{
	(void)ev, (void)flags;
	note("free%d", talloc_free(parent));
	note("flags%d", tevent_fd_get_flags(fde));
	assert_ptr_equal(talloc_parent(fde), root());
}

static void free_parent_timer(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *parent)
{
	(void)ev, (void)now;
	note("free%d", talloc_free(parent));
	assert_ptr_equal(talloc_parent(te), root());
}

static void free_parent_immediate(
	struct tevent_context *ev, struct tevent_immediate *im, void *parent)
{
	(void)ev;
	note("free%d", talloc_free(parent));
	assert_ptr_equal(talloc_parent(im), root());
}

static void free_parent_signal(struct tevent_context *ev, struct tevent_signal *se, int signum,
	int count, void *siginfo, void *parent)
{
	(void)ev, (void)signum, (void)count, (void)siginfo;
	note("free%d", talloc_free(parent));
	assert_ptr_equal(talloc_parent(se), root());
}

static void p11_the_parent_freed_in_the_handler_of_a_descriptor(void **state)
{
	struct tevent_context *ev = context();
	TALLOC_CTX *parent = talloc_new(root());
	struct tevent_fd *fde = ready_fd(ev, parent, free_parent_fd, parent);

	(void)state;
	note_when_freed(fde, "gone");
	once(ev);
	assert_notes("free0 flags0 gone");
}

static void p11_the_parent_freed_in_the_handler_of_the_others(void **state)
{
	struct tevent_context *ev = context();
	TALLOC_CTX *parent = talloc_new(root());
	struct tevent_immediate *im;

	(void)state;
	note_when_freed(tevent_add_timer(ev, parent, ZERO_TIME, free_parent_timer, parent), "gone");
	once(ev);
	assert_notes("free0 gone");

	forget_notes();
	parent = talloc_new(root());
	im = tevent_create_immediate(parent);
	note_when_freed(im, "gone");
	tevent_schedule_immediate(im, ev, free_parent_immediate, parent);
	once(ev);
	assert_notes("free0 gone");

	forget_notes();
	parent = talloc_new(root());
	note_when_freed(
		tevent_add_signal(ev, parent, SIGUSR1, 0, free_parent_signal, parent), "gone");
	tevent_add_signal(ev, ev, SIGUSR2, 0, note_signal, "other");
	raise(SIGUSR1);
	once(ev);
	assert_notes("free0 gone");
}

static void p12_an_event_freed_twice_in_its_handler_aborts(void **state)
{
	struct tevent_context *ev = context();
	int count = 0;

	(void)state;
	twice = true;
	capture_aborts();
	ready_fd(ev, root(), free_fd, NULL);
	once(ev);
	assert_int_equal(abort_count(), ++count);
	assert_non_null(strstr(abort_reason(), "tevent_fd double free"));

	tevent_add_timer(ev, root(), ZERO_TIME, free_timer, NULL);
	once(ev);
	assert_int_equal(abort_count(), ++count);
	assert_non_null(strstr(abort_reason(), "tevent_timer double free"));

	tevent_schedule_immediate(tevent_create_immediate(root()), ev, free_immediate, NULL);
	once(ev);
	assert_int_equal(abort_count(), ++count);
	assert_non_null(strstr(abort_reason(), "tevent_immediate double free"));

	tevent_add_signal(ev, root(), SIGUSR1, 0, free_signal, NULL);
	tevent_add_signal(ev, ev, SIGUSR2, 0, note_signal, "other");
	raise(SIGUSR1);
	once(ev);
	assert_int_equal(abort_count(), ++count);
	assert_non_null(strstr(abort_reason(), "tevent_signal double free"));
}

static void free_both(struct tevent_context *ev, struct tevent_immediate *im, void *parent)
{
	(void)ev;
	note("free%d", talloc_free(im));
	note("free%d", talloc_free(parent));
}

static void free_both_fd(
	struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *parent)
{
	(void)ev, (void)flags;
	note("free%d", talloc_free(fde));
	note("free%d", talloc_free(parent));
}

static void p12_freeing_the_parent_after_the_event_is_no_double_free(void **state)
{
	struct tevent_context *ev = context();
	TALLOC_CTX *parent = talloc_new(root());
	struct tevent_immediate *im = tevent_create_immediate(parent);

	(void)state;
	capture_aborts();
	note_when_freed(im, "gone");
	tevent_schedule_immediate(im, ev, free_both, parent);
	once(ev);
	assert_notes("free-1 free0 gone");
	forget_notes();
	parent = talloc_new(root());
	note_when_freed(ready_fd(ev, parent, free_both_fd, parent), "gone");
	once(ev);
	assert_notes("free-1 free0 gone");
	assert_int_equal(abort_count(), 0);
}

static void p13_a_timer_is_freed_after_its_handler(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_timer *te = tevent_add_timer(ev, root(), ZERO_TIME, note_timer, "timer");

	(void)state;
	note_when_freed(te, "gone");
	once(ev);
	assert_notes("timer gone");
}

static int moves;

static void move_itself(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *p)
{
	(void)ev, (void)now, (void)p;
	note("timer");
	if (moves-- > 0)
		tevent_update_timer(te, in_milliseconds(1));
}

static void p13_a_timer_moved_in_its_handler_lives_on(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_timer *te = tevent_add_timer(ev, root(), ZERO_TIME, move_itself, NULL);

	(void)state;
	moves = 2;
	note_when_freed(te, "gone");
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("timer timer timer gone");
}

static void move_and_free(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *p)
{
	(void)ev, (void)now, (void)p;
	tevent_update_timer(te, in_milliseconds(1));
	note("timer");
	talloc_free(te);
}

static void p13_a_timer_moved_and_freed_in_its_handler_is_gone(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_timer *te = tevent_add_timer(ev, root(), ZERO_TIME, move_and_free, NULL);

	(void)state;
	note_when_freed(te, "gone");
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("timer gone");
	turns_for(ev, 5);
	assert_notes("timer gone");
}

static void free_context_timer(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *p)
{
	(void)te, (void)now, (void)p;
	note("free%d", talloc_free(ev));
}

static void free_context_immediate(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)im, (void)p;
	note("free%d", talloc_free(ev));
}

static void free_context_fd(
	struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *p)
{
	(void)fde, (void)flags, (void)p;
	note("free%d", talloc_free(ev));
}

static void free_context_signal(struct tevent_context *ev, struct tevent_signal *se, int signum,
	int count, void *siginfo, void *p)
{
	(void)se, (void)signum, (void)count, (void)siginfo, (void)p;
	note("free%d", talloc_free(ev));
}

/* Whether the turn is told to have worked is left open. The memory of a context that went is
 * poisoned (MALLOC_PERTURB_ by points.sh), so a loop that touches it dies. */
static void p14_a_context_freed_in_a_handler(void **state)
{
	struct tevent_context *ev;

	(void)state;
	ev = context();
	tevent_add_timer(ev, ev, ZERO_TIME, free_context_timer, NULL);
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "never");
	tevent_loop_once(ev);
	assert_notes("free0");
	forget_notes();
	ev = context();
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, free_context_immediate, NULL);
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, note_immediate, "never");
	tevent_loop_once(ev);
	assert_notes("free0");
	forget_notes();
	ev = context();
	ready_fd(ev, ev, free_context_fd, NULL);
	tevent_loop_once(ev);
	assert_notes("free0");
	forget_notes();
	ev = context();
	tevent_add_signal(ev, ev, SIGUSR1, 0, note_signal, "never");
	tevent_add_signal(ev, ev, SIGUSR1, 0, free_context_signal, NULL);
	raise(SIGUSR1);
	tevent_loop_once(ev);
	assert_notes("free0");
}

static void p14_loop_wait_survives_its_context_too(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	tevent_add_timer(ev, ev, in_milliseconds(2), free_context_timer, NULL);
	tevent_add_timer(ev, ev, in_milliseconds(3), note_timer, "never");
	tevent_loop_wait(ev);
	assert_notes("free0");
}

static void close_without_context(struct tevent_context *ev, struct tevent_fd *fde, int fd, void *p)
{
	(void)fde, (void)p;
	note("close_%s_%d", ev ? "ev" : "null", fd >= 0);
}

static void p15_events_outlive_their_context_inert(void **state)
{
	struct tevent_context *ev = context();
	TALLOC_CTX *elsewhere = talloc_new(root());
	struct tevent_fd *fde = ready_fd(ev, elsewhere, note_fd, "fd");
	struct tevent_timer *te;
	struct tevent_signal *se;
	struct tevent_immediate *im = tevent_create_immediate(elsewhere);
	struct sigaction action;

	(void)state;
	tevent_fd_set_close_fn(fde, close_without_context);
	tevent_fd_set_tag(fde, 77);
	te = tevent_add_timer(ev, elsewhere, ZERO_TIME, note_timer, "timer");
	se = tevent_add_signal(ev, elsewhere, SIGUSR1, 0, note_signal, "signal");
	tevent_schedule_immediate(im, ev, note_immediate, "im");
	note_when_freed(fde, "fde");
	assert_int_equal(talloc_free(ev), 0);
	assert_notes("");
	assert_int_equal(tevent_fd_get_flags(fde), 0);
	tevent_fd_set_flags(fde, TEVENT_FD_READ);
	assert_int_equal(tevent_fd_get_flags(fde), 0);
	assert_int_equal(tevent_fd_get_tag(fde), 77);
	assert_int_equal(sigaction(SIGUSR1, NULL, &action), 0);
	/* An immediate belongs to no context until it is scheduled: it goes on in another. */
	ev = context();
	tevent_schedule_immediate(im, ev, note_immediate, "im");
	once(ev);
	assert_notes("im");
	forget_notes();
	assert_int_equal(talloc_free(se), 0);
	assert_int_equal(talloc_free(te), 0);
	assert_int_equal(talloc_free(fde), 0);
	assert_notes("close_null_1 fde");
}

static void p15_moving_an_inert_timer_does_nothing(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_timer *te = tevent_add_timer(ev, root(), ZERO_TIME, note_timer, "timer");

	(void)state;
	talloc_free(ev);
	tevent_update_timer(te, ZERO_TIME);
	turns_for(context(), 3);
	assert_int_equal(talloc_free(te), 0);
	assert_notes("");
}

static void p15_children_of_a_context_die_with_it(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_fd *fde = ready_fd(ev, ev, note_fd, "fd");

	(void)state;
	tevent_fd_set_close_fn(fde, close_without_context);
	note_when_freed(tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "timer"), "te");
	talloc_free(ev);
	assert_non_null(strstr(notes(), "close_null_1"));
	assert_non_null(strstr(notes(), "te"));
}

static void schedule_freed(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)p;
	talloc_free(im);
	tevent_schedule_immediate(im, ev, note_immediate, "never");
}

static void p16_using_a_freed_immediate_aborts(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	capture_aborts();
	tevent_schedule_immediate(tevent_create_immediate(root()), ev, schedule_freed, NULL);
	once(ev);
	assert_int_equal(abort_count(), 1);
	assert_non_null(strstr(abort_reason(), "tevent_immediate use after free"));
	assert_notes("");
}

static void move_freed(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *p)
{
	(void)ev, (void)now, (void)p;
	talloc_free(te);
	tevent_update_timer(te, ZERO_TIME);
	assert_int_equal(moves++, 0);
}

static void p16_using_a_freed_timer_does_not_bring_it_back(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	capture_aborts();
	tevent_add_timer(ev, root(), ZERO_TIME, move_freed, NULL);
	turns_for(ev, 5);
	assert_notes("");
}

static const struct point_test tests[] = {
	BOTH(p10_a_descriptor_freed_in_its_handler),
	BOTH(p10_a_timer_freed_in_its_handler),
	BOTH(p10_an_immediate_freed_in_its_handler),
	BOTH(p10_a_signal_freed_in_its_handler),
	BOTH(p11_the_parent_freed_in_the_handler_of_a_descriptor),
	BOTH(p11_the_parent_freed_in_the_handler_of_the_others),
	BOTH(p12_an_event_freed_twice_in_its_handler_aborts),
	BOTH(p12_freeing_the_parent_after_the_event_is_no_double_free),
	BOTH(p13_a_timer_is_freed_after_its_handler),
	MENDED(p13_a_timer_moved_in_its_handler_lives_on),
	MENDED(p13_a_timer_moved_and_freed_in_its_handler_is_gone),
	MENDED(p14_a_context_freed_in_a_handler),
	MENDED(p14_loop_wait_survives_its_context_too),
	BOTH(p15_events_outlive_their_context_inert),
	MENDED(p15_moving_an_inert_timer_does_nothing),
	BOTH(p15_children_of_a_context_die_with_it),
	BOTH(p16_using_a_freed_immediate_aborts),
	MENDED(p16_using_a_freed_timer_does_not_bring_it_back),
};

POINTS_MAIN(tests)
