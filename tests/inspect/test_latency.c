/* SPDX-License-Identifier: BSD-2-Clause */
/* How long handlers take; in virtual time, so that it is exact. */
#include <stdio.h>
#include <talev/sim.h>
#include "support/support.h"

/* Takes as many microseconds as arg says. */
static void busy(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)te;
	(void)now;
	assert_ok(talev_sim_advance(ev, TALEV_USEC((intptr_t)arg)));
}

static void also_busy(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	busy(ev, te, now, arg);
}

static struct talev_context *timed_context(void)
{
	struct talev_context *ev = talev_sim_init(test_root(), 1);

	assert_non_null(ev);
	talev_context_set_timing(ev, true);
	return ev;
}

static struct talev_latency *latency_of(struct talev_context *ev)
{
	struct talev_latency *latency = talev_latency_create(test_root());

	assert_non_null(latency);
	assert_ok(talev_latency_add(latency, ev));
	return latency;
}

static struct talev_handler_info get(const struct talev_latency *latency, size_t i)
{
	struct talev_handler_info info;

	assert_ok(talev_latency_get(latency, i, &info, sizeof(info)));
	return info;
}

static void run_timer(struct talev_context *ev, intptr_t usec, const char *where)
{
	assert_non_null(_talev_add_timer(ev, NULL, 0, busy, (void *)usec, where));
	assert_ok(test_once(ev));
}

static void handlers_have_times_by_name_and_place(void **state)
{
	struct talev_context *ev = timed_context();
	struct talev_latency *latency;
	struct talev_timer *te;

	(void)state;
	for (intptr_t i = 1; i <= 100; i++) {
		te = talev_add_timer(ev, NULL, 0, busy, (void *)i);
		assert_ok(test_once(ev));
	}
	te = talev_add_timer(ev, NULL, 0, also_busy, (void *)500);
	/* Names of single sources may be as many as there are connections. */
	assert_ok(talev_source_set_name(te, "a name"));
	assert_ok(test_once(ev));
	latency = latency_of(ev);
	assert_int_equal(talev_latency_count(latency), 2);
	assert_string_equal(get(latency, 0).name, "busy");
	assert_non_null(strstr(get(latency, 0).location, "test_latency.c:"));
	assert_int_equal(get(latency, 0).calls, 100);
	assert_int_equal(get(latency, 0).time_total, TALEV_USEC(5050));
	assert_int_equal(get(latency, 0).time_longest, TALEV_USEC(100));
	assert_in_range(talev_histogram_quantile(get(latency, 0).times, 0.5), TALEV_USEC(50),
		TALEV_USEC(54));
	assert_string_equal(get(latency, 1).name, "also_busy");
	assert_int_equal(get(latency, 1).time_total, TALEV_USEC(500));
	assert_int_equal(talev_histogram_count(talev_latency_handlers(latency)), 101);
	assert_errno(talev_latency_get(latency, 2, NULL, 0), EINVAL);
}

static void other_text_in_the_same_place_is_another_handler(void **state)
{
	struct talev_context *ev = timed_context();
	struct talev_latency *latency;
	char where[] = "one\0file:1";

	(void)state;
	run_timer(ev, 3, where);
	memcpy(where, "two", 3);
	run_timer(ev, 2, where);
	where[sizeof(where) - 2] = '2';
	run_timer(ev, 1, where);
	memset(where, '#', sizeof(where));
	latency = latency_of(ev);
	assert_int_equal(talev_latency_count(latency), 3);
	assert_string_equal(get(latency, 0).name, "one");
	assert_string_equal(get(latency, 1).name, "two");
	assert_string_equal(get(latency, 1).location, "file:1");
	assert_string_equal(get(latency, 2).location, "file:2");
}

static void the_same_text_in_another_place_is_the_same_handler(void **state)
{
	static const char one[] = "one\0file:1";
	struct talev_context *ev = timed_context();
	char copy[sizeof(one)];

	(void)state;
	memcpy(copy, one, sizeof(one));
	run_timer(ev, 1, one);
	run_timer(ev, 1, copy);
	assert_int_equal(talev_latency_count(latency_of(ev)), 1);
}

static void there_is_a_limit_and_what_is_beyond_it_is_others(void **state)
{
	struct talev_context *ev = timed_context();
	struct talev_latency *latency;
	char where[32] = "";

	(void)state;
	for (int i = 0; i < 2000; i++) {
		snprintf(where, sizeof(where), "h%d", i);
		run_timer(ev, i < 1000 ? 10 : 1, where);
	}
	latency = latency_of(ev);
	assert_ok(talev_latency_add(latency, ev));
	assert_int_equal(talev_latency_count(latency), 1025);
	assert_string_equal(get(latency, 0).name, "others");
	assert_int_equal(get(latency, 0).calls, 2 * 976);
	assert_int_equal(talev_histogram_count(talev_latency_handlers(latency)), 4000);
}

static void turns_last_from_wait_to_wait(void **state)
{
	struct talev_context *ev = timed_context();
	struct talev_latency *latency;
	const struct talev_histogram *turns;
	struct talev_context_info info;
	struct talev_snapshot *snap;

	assert_non_null(talev_add_timer(ev, NULL, talev_now(ev) + TALEV_SEC(1), busy, (void *)100));
	assert_non_null(talev_add_timer(ev, NULL, talev_now(ev) + TALEV_SEC(1), busy, (void *)100));
	assert_non_null(talev_add_timer(ev, NULL, talev_now(ev) + TALEV_SEC(3), busy, (void *)50));
	assert_ok(test_run(ev));
	/* What the program does outside of its loop is not a part of any. */
	assert_ok(talev_sim_advance(ev, TALEV_SEC(10)));
	assert_non_null(talev_add_timer(ev, NULL, talev_now(ev) + TALEV_SEC(1), busy, (void *)10));
	assert_ok(test_run(ev));
	latency = latency_of(ev);
	turns = talev_latency_turns(latency);
	assert_int_equal(talev_histogram_count(turns), 3);
	assert_int_equal(talev_histogram_longest(turns), TALEV_USEC(200));
	assert_int_equal(talev_histogram_total(turns), TALEV_USEC(260));
	snap = talev_snapshot(*state, ev);
	assert_ok(talev_snapshot_get_context(snap, &info, sizeof(info)));
	assert_int_equal(info.longest_turn, TALEV_USEC(200));
	assert_true(info.timing);
	assert_int_equal(talev_latency_count(talev_snapshot_latency(snap)), 4);
}

static void timers_are_late_behind_others(void **state)
{
	struct talev_context *ev = timed_context();
	talev_time_t when = talev_now(ev) + TALEV_SEC(1);
	talev_time_t realtime = talev_clock_now(ev, TALEV_CLOCK_REALTIME) + TALEV_SEC(2);
	const struct talev_histogram *delays;

	(void)state;
	assert_non_null(talev_add_timer(ev, NULL, when, busy, (void *)100));
	assert_non_null(talev_add_timer(ev, NULL, when, busy, (void *)1));
	assert_non_null(
		talev_add_timer_on(ev, NULL, TALEV_CLOCK_REALTIME, realtime, busy, (void *)1));
	assert_ok(test_run(ev));
	delays = talev_latency_delays(latency_of(ev));
	assert_int_equal(talev_histogram_count(delays), 3);
	assert_int_equal(talev_histogram_total(delays), TALEV_USEC(100));
	/* One that was set for the beginning of time. */
	assert_non_null(talev_add_timer(ev, NULL, INT64_MIN, busy, (void *)1));
	assert_ok(test_run(ev));
	assert_int_equal(
		talev_histogram_longest(talev_latency_delays(latency_of(ev))), TALEV_NEVER);
}

static void handlers_of_several_contexts_merge(void **state)
{
	struct talev_context *a = timed_context();
	struct talev_context *b = timed_context();
	struct talev_latency *both = talev_latency_create(*state);

	run_timer(a, 5, "shared\0x");
	run_timer(b, 7, "shared\0x");
	run_timer(b, 100, "single\0x");
	run_timer(b, 0, "quick\0x");
	assert_ok(talev_latency_add(both, a));
	assert_ok(talev_latency_merge(both, latency_of(b)));
	talloc_free(a);
	talloc_free(b);
	assert_int_equal(talev_latency_count(both), 3);
	assert_string_equal(get(both, 0).name, "single");
	assert_string_equal(get(both, 1).name, "shared");
	assert_int_equal(get(both, 1).calls, 2);
	assert_int_equal(get(both, 1).time_total, TALEV_USEC(12));
	assert_string_equal(get(both, 2).name, "quick");
	assert_int_equal(talev_histogram_count(talev_latency_turns(both)), 4);
}

static void forget(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	busy(ev, te, now, arg);
	talev_latency_forget(ev);
}

static void forgetting_begins_anew(void **state)
{
	struct talev_context *ev = timed_context();
	struct talev_latency *latency;

	(void)state;
	run_timer(ev, 5, "before\0x");
	assert_non_null(talev_add_timer(ev, NULL, 0, forget, (void *)9));
	assert_ok(test_once(ev));
	latency = latency_of(ev);
	assert_int_equal(talev_latency_count(latency), 1);
	assert_string_equal(get(latency, 0).name, "forget");
	assert_int_equal(get(latency, 0).calls, 1);
}

static void free_context(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)te;
	(void)now;
	(void)arg;
	talloc_free(ev);
}

static void a_handler_may_free_the_context(void **state)
{
	struct talev_context *ev = timed_context();

	(void)state;
	assert_non_null(talev_add_timer(ev, NULL, 0, free_context, NULL));
	assert_errno(test_once(ev), ESHUTDOWN);
}

static void nothing_is_kept_unless_asked_for(void **state)
{
	struct talev_context *ev = timed_context();

	(void)state;
	talev_context_set_timing(ev, false);
	run_timer(ev, 5, "off\0x");
	assert_int_equal(talev_latency_count(latency_of(ev)), 0);
	assert_int_equal(talev_histogram_count(talev_latency_turns(latency_of(ev))), 0);
	talev_context_set_timing(ev, true);
	run_timer(ev, 5, "on\0x");
	talev_context_set_timing(ev, false);
	run_timer(ev, 5, "off\0x");
	assert_int_equal(talev_latency_count(latency_of(ev)), 1);
}

static void on_req(struct talev_req *req)
{
	test_note("%s", talev_req_is_in_progress(req) ? "early" : "done");
}

static void callbacks_of_requests_are_handlers(void **state)
{
	struct talev_context *ev = timed_context();
	struct talev_req *req;
	int *data;

	req = talev_req_create(ev, *state, &data, int);
	talev_req_set_callback(req, on_req, NULL);
	talev_req_done(req);
	assert_notes("done");
	assert_string_equal(get(latency_of(ev), 0).name, "int");
}

static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)arg;
}

static void on_immediate(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	(void)ev;
	(void)im;
	(void)arg;
}

static void queues_are_told(void **state)
{
	struct talev_context *ev = timed_context();
	struct talev_immediate *im = talev_create_immediate(*state);
	struct talev_context_info info;
	struct talev_fd *fde;
	int fds[2];

	test_pipe(fds);
	fde = talev_add_fd(ev, NULL, fds[0], TALEV_FD_READ, on_fd, NULL);
	assert_non_null(fde);
	assert_ok(talev_schedule_immediate(im, ev, on_immediate, NULL));
	assert_non_null(talev_add_timer(ev, NULL, TALEV_NEVER - 1, busy, NULL));
	assert_ok(talev_snapshot_get_context(talev_snapshot(*state, ev), &info, sizeof(info)));
	assert_int_equal(info.watchers, 1);
	assert_int_equal(info.immediates, 1);
	assert_int_equal(info.timers, 1);
	assert_int_equal(info.timers_due, 0);
	assert_int_equal(info.messages, 0);
	talloc_free(fde);
	close(fds[0]);
	close(fds[1]);
}

static void on_ready(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)flags;
	(void)arg;
	test_drain(talev_fd_get_fd(fde));
	talloc_free(fde);
}

/* Many of them at a time go another way than one alone. */
static void all_kinds_of_handlers_are_measured(void **state)
{
	struct talev_context *ev = talev_context_init(*state);
	struct talev_latency *latency;
	int fds[3][2];

	talev_context_set_timing(ev, true);
	for (int i = 0; i < 3; i++) {
		test_pipe(fds[i]);
		assert_non_null(talev_add_fd(ev, NULL, fds[i][0], TALEV_FD_READ, on_ready, NULL));
		test_poke(fds[i][1]);
		assert_ok(talev_schedule_immediate(
			talev_create_immediate(ev), ev, on_immediate, NULL));
	}
	assert_ok(test_run(ev));
	latency = latency_of(ev);
	assert_int_equal(talev_latency_count(latency), 2);
	assert_int_equal(get(latency, 0).calls, 3);
	assert_int_equal(get(latency, 1).calls, 3);
	assert_true(talev_histogram_count(talev_latency_turns(latency)) > 0);
	assert_true(talev_histogram_longest(talev_latency_turns(latency)) >=
		    get(latency, 0).time_longest);
	for (int i = 0; i < 3; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
}

/* Each allocation fails in turn. False: none was left to fail. */
static bool without_memory(unsigned long n)
{
	struct talev_context *ev = talev_sim_init(test_root(), 1);
	struct talev_latency *latency = talev_latency_create(test_root());
	struct talev_latency *other;
	char *text;
	char *json;
	size_t known;
	bool failed;
	int ret;

	assert_non_null(talev_add_ticker(ev, NULL, TALEV_SEC(1), busy, (void *)1));
	test_alloc_fail_at(n);
	talev_context_set_timing(ev, true);
	assert_ok(test_once(ev));
	failed = test_alloc_failed();
	test_alloc_fail_at(0);
	/* Without memory for a handler it is not kept, until there is. */
	assert_ok(test_once(ev));
	known = talev_latency_count(latency_of(ev));
	assert_true(known == 1 || failed);
	test_alloc_fail_at(n);
	ret = talev_latency_add(latency, ev);
	assert_true(ret == 0 || errno == ENOMEM);
	assert_int_equal(talev_latency_count(latency), ret == 0 ? known : 0);
	text = talev_latency_text(test_root(), latency);
	json = talev_latency_json(test_root(), latency);
	other = talev_latency_create(test_root());
	failed |= test_alloc_failed();
	test_alloc_fail_at(0);
	assert_true(failed || (text != NULL && json != NULL && other != NULL));
	talloc_free(ev);
	return failed;
}

static void want_of_memory_is_no_error_in_the_loop(void **state)
{
	(void)state;
	if (!test_alloc_works())
		skip();
	for (unsigned long n = 1; without_memory(n); n++)
		assert_in_range(n, 1, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(handlers_have_times_by_name_and_place),
		TEST(other_text_in_the_same_place_is_another_handler),
		TEST(the_same_text_in_another_place_is_the_same_handler),
		TEST(there_is_a_limit_and_what_is_beyond_it_is_others),
		TEST(turns_last_from_wait_to_wait),
		TEST(timers_are_late_behind_others),
		TEST(handlers_of_several_contexts_merge),
		TEST(forgetting_begins_anew),
		TEST(a_handler_may_free_the_context),
		TEST(nothing_is_kept_unless_asked_for),
		TEST(callbacks_of_requests_are_handlers),
		TEST(queues_are_told),
		TEST(all_kinds_of_handlers_are_measured),
		TEST(want_of_memory_is_no_error_in_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
