/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: what a turn does, in which order, and how a loop ends. */
#include <limits.h>
#include "support/kinds.h"

static void note_kind(struct thing *thing)
{
	test_note("%s", kind_name(thing->kind));
	if (thing->kind == KIND_FD)
		talev_loop_break(thing->ev);
}

static void fire_one_of_each(struct talev_context *ev, TALLOC_CTX *mem_ctx)
{
	static const enum kind kinds[] = {KIND_FD, KIND_TIMER, KIND_IMMEDIATE, KIND_SIGNAL};

	for (int i = 0; i < 4; i++)
		kind_fire(kind_add(kinds[i], ev, mem_ctx, note_kind, NULL));
}

static void once_does_signals_then_an_immediate_then_a_timer_then_a_descriptor(void **state)
{
	struct talev_context *ev = test_context(*state);

	fire_one_of_each(ev, *state);
	assert_ok(test_once(ev));
	assert_notes("signal");
	assert_ok(test_once(ev));
	assert_notes("signal immediate");
	assert_ok(test_once(ev));
	assert_notes("signal immediate timer");
	assert_ok(test_once(ev));
	assert_notes("signal immediate timer fd");
}

static void wait_has_the_same_order(void **state)
{
	struct talev_context *ev = test_context(*state);

	fire_one_of_each(ev, *state);
	assert_ok(test_run(ev));
	assert_notes("signal immediate timer fd");
}

static void once_does_one_unit(void **state)
{
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *things = talloc_new(*state);

	for (int i = 0; i < 3; i++) {
		kind_fire(kind_add(KIND_IMMEDIATE, ev, things, note_kind, NULL));
		kind_fire(kind_add(KIND_TIMER, ev, things, note_kind, NULL));
	}
	for (int i = 0; i < 3; i++)
		kind_fire(kind_add(KIND_SIGNAL, ev, things, note_kind, NULL));
	assert_ok(test_once(ev));
	assert_notes("signal signal signal");
	test_forget_notes();
	for (int i = 0; i < 6; i++)
		assert_ok(test_once(ev));
	assert_notes("immediate immediate immediate timer timer timer");
}

struct urgent {
	struct thing *things[3];
	int fds;
};

static void note_fd(struct thing *thing)
{
	struct urgent *urgent = thing->arg;

	test_note("fd");
	talloc_free(thing->source);
	for (int i = 0; i < 3 && urgent->fds == 0; i++)
		kind_fire(urgent->things[i]);
	if (++urgent->fds == 3)
		talev_loop_break(thing->ev);
}

static void urgent_kinds_go_before_the_next_descriptor(void **state)
{
	static const enum kind kinds[] = {KIND_TIMER, KIND_IMMEDIATE, KIND_SIGNAL};
	struct talev_context *ev = test_context(*state);
	TALLOC_CTX *things = talloc_new(*state);
	struct urgent urgent = {.fds = 0};

	for (int i = 0; i < 3; i++) {
		kind_fire(kind_add(KIND_FD, ev, things, note_fd, &urgent));
		urgent.things[i] = kind_add(kinds[i], ev, things, note_kind, NULL);
	}
	assert_ok(talev_cancel_immediate(urgent.things[1]->source));
	assert_ok(test_run(ev));
	assert_notes("fd signal immediate timer fd fd");
}

struct hot {
	struct talev_context *ev;
	unsigned long immediates;
	unsigned long timers;
	unsigned long most; /* calls of each, then it stops */
	bool fd;
	bool later;
};

static void hot_immediate(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	struct hot *hot = arg;

	if (++hot->immediates < hot->most)
		assert_ok(talev_schedule_immediate(im, ev, hot_immediate, hot));
}

static void zero_timer(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	struct hot *hot = arg;

	(void)ev;
	(void)now;
	if (++hot->timers < hot->most)
		assert_ok(talev_update_timer(te, 0));
}

static void hot_fd(struct thing *thing)
{
	struct hot *hot = thing->arg;

	hot->fd = true;
	talloc_free(thing->source);
	if (hot->later)
		hot->most = 0;
}

static void later_timer(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	struct hot *hot = arg;

	(void)ev;
	(void)te;
	(void)now;
	hot->later = true;
	if (hot->fd)
		hot->most = 0;
}

static void start_hot(struct hot *hot, TALLOC_CTX *mem_ctx)
{
	struct talev_immediate *im = talev_create_immediate(mem_ctx);
	struct thing *thing = kind_add(KIND_FD, hot->ev, mem_ctx, hot_fd, hot);

	kind_fire(thing);
	assert_ok(talev_schedule_immediate(im, hot->ev, hot_immediate, hot));
	assert_non_null(talev_add_timer(hot->ev, mem_ctx, 0, zero_timer, hot));
}

static void hot_immediate_and_zero_timer_starve_nothing(void **state)
{
	struct hot hot = {.ev = test_context(*state), .most = ULONG_MAX};
	talev_time_t at = talev_time_add(talev_now(hot.ev), TALEV_MSEC(10));

	start_hot(&hot, *state);
	/* In virtual time nothing but the hot ones would ever happen: it stands still. */
	if (test_is_sim())
		hot.later = true;
	else
		assert_non_null(talev_add_timer(hot.ev, *state, at, later_timer, &hot));
	assert_ok(test_run(hot.ev));
	assert_true(hot.fd);
	assert_true(hot.later);
	assert_true(hot.immediates > 1);
	assert_true(hot.timers > 1);
}

static void hot_immediate_leaves_a_share_to_each_class(void **state)
{
	struct hot hot = {.ev = test_context(*state), .most = ULONG_MAX, .later = true};

	start_hot(&hot, *state);
	assert_ok(test_run(hot.ev));
	assert_true(hot.fd);
	assert_true(hot.immediates < 10000);
	assert_true(hot.timers > 0 && hot.timers < 10000);
}

static void strict_mode_starves(void **state)
{
	struct hot hot = {.ev = test_context(*state), .most = 20000};

	talev_context_set_strict(hot.ev, true);
	start_hot(&hot, *state);
	while (hot.immediates < hot.most) {
		assert_int_equal(hot.timers, 0);
		assert_false(hot.fd);
		assert_ok(test_once(hot.ev));
	}
	assert_ok(test_run(hot.ev));
	assert_int_equal(hot.immediates, hot.most);
	assert_int_equal(hot.timers, hot.most);
	assert_true(hot.fd);
}

static void strict_fd(struct thing *thing)
{
	struct hot *hot = thing->arg;

	assert_int_equal(hot->immediates, hot->most);
	assert_int_equal(hot->timers, hot->most);
	talloc_free(thing->source);
	hot->fd = true;
}

static void strict_wait_starves_too(void **state)
{
	struct hot hot = {.ev = test_context(*state), .most = 20000};
	struct thing *thing;

	talev_context_set_strict(hot.ev, true);
	start_hot(&hot, *state);
	thing = kind_add(KIND_FD, hot.ev, *state, strict_fd, &hot);
	kind_fire(thing);
	assert_ok(test_run(hot.ev));
	assert_int_equal(thing->calls, 1);
}

static void break_loop(struct thing *thing)
{
	talev_loop_break(thing->ev);
	assert_true(talev_loop_broken(thing->ev));
	note_kind(thing);
}

static void break_ends_the_loop_after_the_handler(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *first = kind_add(KIND_IMMEDIATE, ev, *state, break_loop, NULL);
	struct thing *second = kind_add(KIND_IMMEDIATE, ev, *state, note_kind, NULL);

	assert_ok(test_run(ev));
	assert_int_equal(first->calls, 1);
	assert_int_equal(second->calls, 0);
	assert_true(talev_loop_broken(ev));
	assert_ok(test_run(ev));
	assert_int_equal(second->calls, 1);
	assert_false(talev_loop_broken(ev));
}

static bool never_finished(void *arg)
{
	(void)arg;
	return false;
}

static void break_before_a_loop_is_kept_for_it(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(KIND_IMMEDIATE, ev, *state, note_kind, NULL);

	talev_loop_break(ev);
	assert_true(talev_loop_broken(ev));
	assert_ok(talev_loop_wait(ev));
	talev_loop_break(ev);
	assert_ok(talev_loop_once(ev));
	talev_loop_break(ev);
	assert_ok(talev_loop_nowait(ev));
	talev_loop_break(ev);
	assert_ok(talev_loop_until(ev, never_finished, NULL));
	assert_int_equal(thing->calls, 0);
	assert_ok(test_run(ev));
	assert_int_equal(thing->calls, 1);
	assert_false(talev_loop_broken(ev));
}

static void nest_and_break(struct thing *thing)
{
	struct thing *inner;

	test_note("in");
	if (talev_loop_level(thing->ev) == 4) {
		talev_loop_break(thing->ev);
	} else {
		inner = kind_add(KIND_IMMEDIATE, thing->ev, test_root(), nest_and_break, NULL);
		if (talev_loop_level(thing->ev) == 3)
			kind_add(KIND_IMMEDIATE, thing->ev, test_root(), note_kind, NULL);
		assert_ok(talev_loop_wait(thing->ev));
		assert_int_equal(inner->calls, 1);
	}
	assert_true(talev_loop_broken(thing->ev));
	test_note("out");
}

static void break_ends_all_nested_loops(void **state)
{
	struct talev_context *ev = test_context(*state);

	talev_loop_allow_nesting(ev);
	kind_add(KIND_IMMEDIATE, ev, *state, nest_and_break, NULL);
	assert_ok(test_run(ev));
	assert_notes("in in in in out out out out");
	assert_int_equal(talev_loop_level(ev), 0);
	test_forget_notes();
	assert_ok(test_run(ev));
	assert_notes("immediate");
}

static void nest_refused(struct thing *thing)
{
	assert_errno(talev_loop_once(thing->ev), ELOOP);
	assert_errno(talev_loop_nowait(thing->ev), ELOOP);
	assert_errno(talev_loop_wait(thing->ev), ELOOP);
	assert_errno(talev_loop_until(thing->ev, never_finished, NULL), ELOOP);
	assert_int_equal(talev_loop_level(thing->ev), 1);
	test_note("refused");
	if (thing->kind != KIND_TIMER && thing->kind != KIND_CHILD)
		talloc_free(thing->source);
}

static void nesting_is_refused_and_the_loop_goes_on(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, nest_refused, NULL);
	struct thing *later = kind_add(KIND_TIMER, ev, *state, note_kind, NULL);

	test_log_capture();
	kind_fire(thing);
	assert_ok(test_once(ev));
	assert_notes("refused");
	assert_int_equal(talev_loop_level(ev), 0);
	kind_fire(later);
	assert_ok(test_run(ev));
	assert_notes("refused timer");
}

static void finalizer_nests(struct talev_context *ev, void *arg)
{
	(void)arg;
	assert_errno(talev_loop_once(ev), ELOOP);
	test_note("finalizer");
}

static void nesting_in_a_finalizer_is_refused_too(void **state)
{
	struct talev_context *ev = test_context(*state);

	test_log_capture();
	kind_add(KIND_IMMEDIATE, ev, *state, note_kind, NULL);
	assert_ok(talev_finalize(ev, talloc_new(*state), 0, finalizer_nests, NULL));
	assert_ok(test_run(ev));
	assert_notes("finalizer immediate");
}

static void nest(struct thing *thing)
{
	struct thing *inner = thing->arg;

	test_note("outer");
	kind_fire(inner);
	while (inner->calls == 0)
		assert_ok(test_once(thing->ev));
	assert_int_equal(talev_loop_level(thing->ev), 1);
	test_note("back");
	if (thing->kind != KIND_TIMER && thing->kind != KIND_CHILD)
		talloc_free(thing->source);
}

static void allowed_nesting_runs_other_handlers(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *inner = kind_add(KIND_TIMER, ev, *state, note_kind, NULL);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, nest, inner);

	talev_loop_allow_nesting(ev);
	kind_fire(thing);
	assert_ok(test_run(ev));
	assert_notes("outer timer back");
}

static uint64_t waits_of(struct talev_context *ev)
{
	struct talev_snapshot *snap = talev_snapshot(test_root(), ev);
	struct talev_context_info info;

	assert_ok(talev_snapshot_get_context(snap, &info, sizeof(info)));
	talloc_free(snap);
	return info.waits;
}

static void nest_for_a_moment(struct thing *thing)
{
	talev_loop_allow_nesting(thing->ev);
	assert_errno(talev_loop_timed(thing->ev, 1), EAGAIN);
	*(uint64_t *)thing->arg = waits_of(thing->ev);
}

static void end_of_wait(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)te;
	(void)now;
	*(uint64_t *)arg = waits_of(ev) - *(uint64_t *)arg;
	talev_loop_break(ev);
}

/* What a nested call may wait at most is nothing to the one around it. */
static void wait_around_a_timed_loop_sleeps_as_before(void **state)
{
	struct talev_context *ev = test_context(*state);
	uint64_t waits = 0;

	kind_fire(kind_add(KIND_FD, ev, *state, nest_for_a_moment, &waits));
	assert_non_null(talev_add_timer(
		ev, *state, talev_time_add(talev_now(ev), TALEV_MSEC(50)), end_of_wait, &waits));
	assert_ok(test_run(ev));
	assert_in_range(waits, 1, 10);
}

static void run_other(struct thing *thing)
{
	struct thing *inner = thing->arg;

	assert_int_equal(talev_loop_level(inner->ev), 0);
	kind_fire(inner);
	assert_ok(test_once(inner->ev));
	assert_int_equal(inner->calls, 1);
	assert_ptr_equal(talev_running(), thing->source);
	if (thing->kind != KIND_TIMER && thing->kind != KIND_CHILD)
		talloc_free(thing->source);
}

static void loop_of_another_context_is_no_nesting(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_context *other = test_context(*state);
	struct thing *inner = kind_add(kind_of_test(), other, *state, NULL, NULL);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, run_other, inner);

	kind_fire(thing);
	assert_ok(test_run(ev));
	assert_int_equal(inner->calls, 1);
}

static bool two_calls(void *arg)
{
	struct hot *hot = arg;

	hot->timers++;
	return hot->immediates >= 2;
}

static void until_asks_before_each_turn(void **state)
{
	struct hot hot = {.ev = test_context(*state), .most = 10};
	struct talev_immediate *im = talev_create_immediate(*state);

	assert_ok(talev_schedule_immediate(im, hot.ev, hot_immediate, &hot));
	assert_ok(talev_loop_until(hot.ev, two_calls, &hot));
	assert_true(hot.immediates >= 2 && hot.immediates <= 10);
	assert_true(hot.timers >= 2);
	hot.timers = 0;
	assert_ok(talev_loop_until(hot.ev, two_calls, &hot));
	assert_int_equal(hot.timers, 1);
}

static void until_says_when_nothing_is_left(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(KIND_TIMER, ev, *state, note_kind, NULL);

	assert_ok(talev_update_timer(thing->source, 0));
	assert_errno(talev_loop_until(ev, never_finished, NULL), ENOENT);
	assert_int_equal(thing->calls, 1);
}

static void once_and_nowait_say_that_nothing_is_left(void **state)
{
	struct talev_context *ev = test_context(*state);

	assert_errno(talev_loop_once(ev), ENOENT);
	assert_errno(talev_loop_nowait(ev), ENOENT);
	assert_ok(talev_loop_wait(ev));
	assert_int_equal(talev_loop_level(ev), 0);
}

static void nowait_says_that_nothing_is_ready(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);

	/* In virtual time an hour is nothing: there a timer is ready by looking. */
	if (thing->kind != KIND_IMMEDIATE && !(test_is_sim() && thing->kind == KIND_TIMER))
		assert_errno(talev_loop_nowait(ev), EAGAIN);
	kind_fire(thing);
	while (thing->calls == 0)
		assert_ok(talev_loop_nowait(ev));
}

static void have_events_counts_what_could_happen(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *thing;

	assert_false(talev_have_events(ev));
	thing = kind_add(kind_of_test(), ev, *state, NULL, NULL);
	assert_true(talev_have_events(ev));
	assert_ok(talev_source_set_enabled(thing->source, false));
	assert_false(talev_have_events(ev));
	assert_ok(talev_loop_wait(ev));
	assert_errno(talev_loop_once(ev), ENOENT);
	assert_ok(talev_source_set_enabled(thing->source, true));
	assert_true(talev_have_events(ev));
	talloc_free(thing->source);
	assert_false(talev_have_events(ev));
}

static void sources_that_are_not_armed_do_not_count(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct thing *fd = kind_add(KIND_FD, ev, *state, NULL, NULL);
	struct thing *timer = kind_add(KIND_TIMER, ev, *state, NULL, NULL);
	struct thing *im = kind_add(KIND_IMMEDIATE, ev, *state, NULL, NULL);

	assert_ok(talev_fd_set_flags(fd->source, 0));
	assert_ok(talev_timer_stop(timer->source));
	assert_ok(talev_cancel_immediate(im->source));
	assert_false(talev_have_events(ev));
	assert_ok(talev_loop_wait(ev));
	assert_ok(talev_finalize(ev, talloc_new(*state), 0, NULL, NULL));
	assert_true(talev_have_events(ev));
	assert_ok(test_run(ev));
	assert_false(talev_have_events(ev));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(once_does_signals_then_an_immediate_then_a_timer_then_a_descriptor),
		TEST(wait_has_the_same_order),
		TEST(once_does_one_unit),
		TEST(urgent_kinds_go_before_the_next_descriptor),
		TEST(hot_immediate_and_zero_timer_starve_nothing),
		TEST(hot_immediate_leaves_a_share_to_each_class),
		TEST(strict_mode_starves),
		TEST(strict_wait_starves_too),
		TEST(break_ends_the_loop_after_the_handler),
		TEST(break_before_a_loop_is_kept_for_it),
		TEST(break_ends_all_nested_loops),
		EACH_KIND(nesting_is_refused_and_the_loop_goes_on),
		TEST(nesting_in_a_finalizer_is_refused_too),
		EACH_KIND(allowed_nesting_runs_other_handlers),
		TEST(wait_around_a_timed_loop_sleeps_as_before),
		EACH_KIND(loop_of_another_context_is_no_nesting),
		TEST(until_asks_before_each_turn),
		TEST(until_says_when_nothing_is_left),
		TEST(once_and_nowait_say_that_nothing_is_left),
		EACH_KIND(nowait_says_that_nothing_is_ready),
		EACH_KIND(have_events_counts_what_could_happen),
		TEST(sources_that_are_not_armed_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
