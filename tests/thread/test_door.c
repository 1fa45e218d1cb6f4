/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: what the closing of a proxy, by its loop's own thread, leaves behind. */
#include "support/support.h"
#include <talev/proxy.h>
#include "thread/mailbox.h"

struct number {
	int value;
};

static int forget(struct number *number)
{
	test_note("freed%d", number->value);
	return 0;
}

static int send_number(
	struct talev_thread_proxy *tp, talev_immediate_handler_t handler, int value, bool tell)
{
	struct talev_immediate *im = talev_create_immediate(test_root());
	struct number *number = talloc(test_root(), struct number);

	assert_non_null(im);
	assert_non_null(number);
	number->value = value;
	if (tell)
		talloc_set_destructor(number, forget);
	return talev_thread_proxy_schedule(tp, &im, handler, &number);
}

static void note(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	struct number *number = private_data;

	(void)ev;
	(void)im;
	test_note("ran%d", number->value);
}

static void note_lost(void *data, void *private_data)
{
	struct number *number = data;

	(void)private_data;
	test_note("lost%d", number->value);
}

static struct talev_thread_proxy *door(struct talev_context *ev, TALLOC_CTX *mem_ctx)
{
	struct talev_thread_proxy *tp = talev_thread_proxy_create(ev, mem_ctx);

	assert_non_null(tp);
	assert_ok(talev_thread_proxy_set_lost_fn(tp, note_lost, NULL));
	return tp;
}

/* Whose code their handlers, functions and destructors are may be unloaded next. */
static void freeing_it_leaves_no_message_behind(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = door(ev, *state);
	struct talev_thread_proxy *other = door(ev, *state);
	int i;

	for (i = 1; i <= 3; i++) {
		assert_ok(send_number(tp, note, i, true));
		assert_ok(send_number(other, note, 10 * i, false));
	}
	assert_ok(talloc_free(tp));
	assert_notes("lost1 freed1 lost2 freed2 lost3 freed3");
	test_forget_notes();
	talloc_free(talev_thread_proxy_attach(*state, other)); /* a handle is not the door */
	for (i = 0; i < 3; i++)
		test_once(ev);
	assert_notes("ran10 ran20 ran30");
	assert_ok(talloc_free(other));
}

static void close_after(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	struct number *number = private_data;
	struct talev_thread_proxy **tp = (void *)(uintptr_t)talev_source_get_tag(ev);

	(void)im;
	test_note("ran%d", number->value);
	TALLOC_FREE(*tp);
	test_note("returns");
}

/* They are out of the mailbox, in the queue of immediates: the same must be true of them. */
static void freeing_it_in_a_handler_loses_those_behind(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = door(ev, *state);
	int i;

	assert_ok(talev_source_set_tag(ev, (uintptr_t)&tp));
	assert_ok(send_number(tp, close_after, 1, false));
	for (i = 2; i <= 3; i++)
		assert_ok(send_number(tp, note, i, true));
	assert_ok(test_run(ev));
	assert_notes("ran1 lost2 freed2 lost3 freed3 returns");
}

static void note_finalized(struct talev_context *ev, void *arg)
{
	(void)ev;
	(void)arg;
	test_note("finalized");
}

struct plugin {
	struct talev_thread_proxy *tp;
	bool whole;
};

static void nest(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	struct plugin *plugin = (void *)(uintptr_t)talev_source_get_tag(ev);

	(void)im;
	(void)private_data;
	if (plugin->whole)
		assert_ok(talev_finalize(ev, plugin, 0, note_finalized, NULL));
	else
		talloc_free(plugin->tp);
	assert_int_equal(talev_loop_nowait(ev), -1);
	test_note("returns");
}

/* The finalizer of a plugin's tree unloads the handler's code. */
static void its_finalizer_waits_for_a_handler_of_a_message(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct plugin *plugin = talloc_zero(*state, struct plugin);

	talev_loop_allow_nesting(ev);
	plugin->tp = talev_thread_proxy_create(ev, plugin);
	assert_non_null(plugin->tp);
	plugin->whole = (uintptr_t)test_argument() != 0;
	if (!plugin->whole)
		assert_ok(talev_source_set_finalizer(plugin->tp, 0, note_finalized, NULL));
	assert_ok(talev_source_set_tag(ev, (uintptr_t)plugin));
	assert_ok(send_number(plugin->tp, nest, 1, false));
	assert_ok(test_run(ev));
	assert_notes("returns finalized");
}

struct late {
	struct talev_thread_proxy *tp;
	struct talev_context *ev;
};

static struct late *late;

int __real_mailbox_send(struct mailbox *mb, struct core_post *post);
int __wrap_mailbox_send(struct mailbox *mb, struct core_post *post);

/* Whoever sends has looked whether the door is open; in between, its thread closes it. */
int __wrap_mailbox_send(struct mailbox *mb, struct core_post *post)
{
	if (late != NULL) {
		assert_ok(talev_finalize(
			late->ev, late, TALEV_FINALIZE_AFTER_FREE, note_finalized, NULL));
		late = NULL;
	}
	return __real_mailbox_send(mb, post);
}

/* What joins the thread that sent is above the door in the tree, and so freed first. */
static int join(struct late *self)
{
	(void)self;
	test_note("joined");
	return 0;
}

static void who_is_joined_above_it_leaves_nothing_behind(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *handle;

	late = talloc_zero(*state, struct late);
	late->ev = ev;
	late->tp = door(ev, late);
	talloc_set_destructor(late, join);
	handle = talev_thread_proxy_attach(*state, late->tp);
	assert_non_null(handle);
	assert_ok(talev_thread_proxy_set_lost_fn(handle, note_lost, NULL));
	assert_ok(send_number(handle, note, 1, true));
	assert_notes("");
	assert_ok(test_run(ev));
	assert_notes("joined lost1 freed1 finalized");
	assert_errno(send_number(handle, note, 2, false), ESHUTDOWN);
}

static void close_context(void *data, void *private_data)
{
	struct number *number = data;

	test_note("lost%d", number->value);
	if (number->value == 1)
		talloc_free(private_data);
}

static void a_lost_function_may_free_the_context(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = talev_thread_proxy_create(ev, *state);
	int i;

	assert_non_null(tp);
	assert_ok(talev_thread_proxy_set_lost_fn(tp, close_context, ev));
	for (i = 1; i <= 3; i++)
		assert_ok(send_number(tp, note, i, true));
	assert_ok(talloc_free(tp));
	assert_notes("lost1 freed1 lost2 freed2 lost3 freed3");
}

static void re_initialise(void *arg)
{
	assert_ok(talev_re_initialise(arg));
	assert_notes("lost1 freed1");
}

/* The message is the parent's to run; the child frees its copy. */
static void a_child_loses_what_was_on_its_way(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_thread_proxy *tp = door(ev, *state);

	assert_ok(send_number(tp, note, 1, true));
	assert_int_equal(test_in_child(re_initialise, ev), 0);
	test_once(ev);
	assert_notes("ran1 freed1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(freeing_it_leaves_no_message_behind),
		TEST(freeing_it_in_a_handler_loses_those_behind),
		{"its_finalizer_waits_for_a_handler_of_a_message (freed)",
			its_finalizer_waits_for_a_handler_of_a_message, test_setup, test_teardown,
			NULL},
		{"its_finalizer_waits_for_a_handler_of_a_message (tree)",
			its_finalizer_waits_for_a_handler_of_a_message, test_setup, test_teardown,
			(void *)1},
		TEST(who_is_joined_above_it_leaves_nothing_behind),
		TEST(a_lost_function_may_free_the_context),
		TEST(a_child_loses_what_was_on_its_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
