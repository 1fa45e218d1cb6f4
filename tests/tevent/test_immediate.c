/* SPDX-License-Identifier: BSD-2-Clause */
/* Points 32 to 34: immediates. */
#include "points.h"

static int left;

static void come_again(struct tevent_context *ev, struct tevent_immediate *im, void *word)
{
	note("%s", (const char *)word);
	if (left-- > 0)
		tevent_schedule_immediate(im, ev, come_again, word);
}

static void p32_scheduled_again_it_goes_to_the_tail(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_immediate *a = tevent_create_immediate(ev), *b = tevent_create_immediate(ev);

	(void)state;
	left = 1;
	tevent_schedule_immediate(a, ev, come_again, "a");
	tevent_schedule_immediate(b, ev, note_immediate, "b");
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("a b a");
	forget_notes();
	/* The same while it waits: the new handler counts, once. */
	tevent_schedule_immediate(a, ev, note_immediate, "never");
	tevent_schedule_immediate(b, ev, note_immediate, "b");
	tevent_schedule_immediate(a, ev, note_immediate, "a");
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("b a");
}

static void p32_without_a_handler_it_is_cancelled(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_immediate *im = tevent_create_immediate(ev);

	(void)state;
	tevent_schedule_immediate(im, ev, note_immediate, "never");
	tevent_schedule_immediate(im, ev, NULL, NULL);
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("");
	tevent_schedule_immediate(im, ev, note_immediate, "im");
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("im");
}

static void p32_freed_it_does_not_run(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_immediate *a = tevent_create_immediate(ev), *b = tevent_create_immediate(ev);

	(void)state;
	tevent_schedule_immediate(a, ev, note_immediate, "never");
	tevent_schedule_immediate(b, ev, note_immediate, "b");
	assert_int_equal(talloc_free(a), 0);
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("b");
}

static void p32_the_tag_survives(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_immediate *im = tevent_create_immediate(ev);

	(void)state;
	tevent_immediate_set_tag(im, 11);
	left = 1;
	tevent_schedule_immediate(im, ev, come_again, "x");
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_int_equal(tevent_immediate_get_tag(im), 11);
	assert_int_equal(tevent_immediate_get_tag(NULL), 0);
	tevent_immediate_set_tag(NULL, 1);
}

static void reset_itself(struct tevent_context *ev, struct tevent_immediate *im, void *word)
{
	void (*reset)(struct tevent_immediate *);

	*(void **)&reset = newer_function("tevent_reset_immediate");
	tevent_schedule_immediate(im, ev, note_immediate, "never");
	reset(im);
	note("%s", (const char *)word);
}

static void p32_reset_cancels_and_keeps_the_object(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_immediate *im = tevent_create_immediate(ev);
	void (*reset)(struct tevent_immediate *);

	(void)state;
	*(void **)&reset = newer_function("tevent_reset_immediate");
	reset(im);
	tevent_schedule_immediate(im, ev, note_immediate, "never");
	reset(im);
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("");
	tevent_schedule_immediate(im, ev, reset_itself, "im");
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("im");
}

static void trace_immediate(
	struct tevent_immediate *im, enum tevent_event_trace_point point, void *p)
{
	(void)p;
	note("%s%d",
		point == TEVENT_EVENT_TRACE_ATTACH   ? "attach"
		: point == TEVENT_EVENT_TRACE_DETACH ? "detach"
						     : "before",
		(int)tevent_immediate_get_tag(im));
}

static void p33_traces(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_immediate *im = tevent_create_immediate(ev);

	(void)state;
	tevent_set_trace_immediate_callback(ev, trace_immediate, NULL);
	tevent_immediate_set_tag(im, 1);
	tevent_schedule_immediate(im, ev, note_immediate, "im");
	assert_notes("attach1");
	once(ev);
	assert_notes("attach1 before1 im detach1");
	forget_notes();
	tevent_schedule_immediate(im, ev, note_immediate, "im");
	tevent_schedule_immediate(im, ev, note_immediate, "im");
	assert_notes("attach1 detach1 attach1");
	tevent_schedule_immediate(im, ev, NULL, NULL);
	assert_notes("attach1 detach1 attach1 detach1");
	forget_notes();
	tevent_schedule_immediate(im, ev, note_immediate, "im");
	talloc_free(im);
	assert_notes("attach1 detach1");
}

static void p33_scheduled_again_in_its_handler_detach_comes_before_attach(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_immediate *im = tevent_create_immediate(ev);

	(void)state;
	left = 1;
	tevent_set_trace_immediate_callback(ev, trace_immediate, NULL);
	tevent_schedule_immediate(im, ev, come_again, "im");
	forget_notes();
	once(ev);
	assert_notes("before0 im detach0 attach0");
	once(ev);
	assert_notes("before0 im detach0 attach0 before0 im detach0");
}

static void free_itself(struct tevent_context *ev, struct tevent_immediate *im, void *word)
{
	(void)ev;
	note("%s", (const char *)word);
	talloc_free(im);
	note("end");
}

static void p33_freed_in_its_handler(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_immediate *im = tevent_create_immediate(ev);

	(void)state;
	tevent_set_trace_immediate_callback(ev, trace_immediate, NULL);
	tevent_schedule_immediate(im, ev, free_itself, "im");
	once(ev);
	assert_notes("attach0 before0 im detach0 end");
}

static void p34_an_immediate_can_change_its_context(void **state)
{
	struct tevent_context *a = context(), *b = context();
	struct tevent_immediate *im = tevent_create_immediate(root());

	(void)state;
	tevent_schedule_immediate(im, a, note_immediate, "a");
	tevent_schedule_immediate(im, b, note_immediate, "b");
	assert_int_equal(tevent_loop_wait(a), 0);
	assert_notes("");
	assert_int_equal(tevent_loop_wait(b), 0);
	assert_notes("b");
	tevent_schedule_immediate(im, a, note_immediate, "a");
	assert_int_equal(tevent_loop_wait(a), 0);
	assert_notes("b a");
	talloc_free(a);
	tevent_schedule_immediate(im, b, note_immediate, "b");
	assert_int_equal(tevent_loop_wait(b), 0);
	assert_notes("b a b");
}

static void p34_one_never_scheduled_is_simply_freed(void **state)
{
	struct tevent_immediate *im = tevent_create_immediate(root());

	(void)state;
	assert_string_equal(talloc_get_name(im), "struct tevent_immediate");
	assert_int_equal(talloc_free(im), 0);
}

static const struct point_test tests[] = {
	BOTH(p32_scheduled_again_it_goes_to_the_tail),
	BOTH(p32_without_a_handler_it_is_cancelled),
	BOTH(p32_freed_it_does_not_run),
	BOTH(p32_the_tag_survives),
	NEWER(p32_reset_cancels_and_keeps_the_object),
	BOTH(p33_traces),
	BOTH(p33_scheduled_again_in_its_handler_detach_comes_before_attach),
	BOTH(p33_freed_in_its_handler),
	BOTH(p34_an_immediate_can_change_its_context),
	BOTH(p34_one_never_scheduled_is_simply_freed),
};

POINTS_MAIN(tests)
