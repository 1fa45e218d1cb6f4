/* SPDX-License-Identifier: BSD-2-Clause */
/* Points 4 and 29 to 31: timers, and how long the loop waits for them. */
#include "points.h"

#include <dlfcn.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define DAY 86400.0

/* The waits of the whole process come here. Once tell is set nobody waits: the first wait is told
 * to the other end, in seconds, below zero for ever, and the process ends. A descriptor that the
 * kernel makes ready at a certain time counts as well. */
static int tell = -1;
static double armed = -1;

static void *real(const char *name)
{
	void *address = dlsym(RTLD_NEXT, name);

	if (!address)
		_exit(4);
	return address;
}

static void waits(double seconds)
{
	/* Not waiting is only asking. */
	if (tell < 0 || seconds == 0)
		return;
	if (armed > 0 && (seconds < 0 || armed < seconds))
		seconds = armed;
	_exit(write(tell, &seconds, sizeof(seconds)) == sizeof(seconds) ? 0 : 5);
}

static double seconds_of(const struct timespec *ts)
{
	return ts ? (double)ts->tv_sec + (double)ts->tv_nsec / 1e9 : -1;
}

int epoll_pwait2(int fd, struct epoll_event *events, int max, const struct timespec *timeout,
	const sigset_t *mask)
{
	int (*next)(int, struct epoll_event *, int, const struct timespec *, const sigset_t *);

	waits(seconds_of(timeout));
	*(void **)&next = real("epoll_pwait2");
	return next(fd, events, max, timeout, mask);
}

int epoll_pwait(int fd, struct epoll_event *events, int max, int timeout, const sigset_t *mask)
{
	int (*next)(int, struct epoll_event *, int, int, const sigset_t *);

	waits(timeout < 0 ? -1 : timeout / 1000.0);
	*(void **)&next = real("epoll_pwait");
	return next(fd, events, max, timeout, mask);
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	return epoll_pwait(fd, events, max, timeout, NULL);
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	int (*next)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);

	waits(seconds_of(timeout));
	*(void **)&next = real("ppoll");
	return next(fds, count, timeout, mask);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	int (*next)(struct pollfd *, nfds_t, int);

	waits(timeout < 0 ? -1 : timeout / 1000.0);
	*(void **)&next = real("poll");
	return next(fds, count, timeout);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	int (*next)(int, int, const struct itimerspec *, struct itimerspec *);
	struct timespec now;

	armed = seconds_of(&new->it_value);
	if (flags & TFD_TIMER_ABSTIME) {
		/* Which clock it is of the number tells. */
		clock_gettime(armed > 1e9 ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
		armed -= seconds_of(&now);
	}
	*(void **)&next = real("timerfd_settime");
	return next(fd, flags, new, old);
}

struct far {
	int tell;
	double seconds;
};

static void turn_with_a_timer(void *p)
{
	struct tevent_context *ev = context();
	struct far *away = p;

	if (away->seconds > 0)
		tevent_add_timer(ev, ev, tevent_timeval_current_ofs((uint32_t)away->seconds, 0),
			note_timer, "timer");
	else
		tevent_thread_proxy_create(ev);
	tell = away->tell;
	tevent_loop_once(ev);
	_exit(6);
}

/* What a turn with a timer that far away waits for. */
static double wait_for(double seconds)
{
	struct far away = {.seconds = seconds};
	double wait = 0;
	int fds[2];

	make_pipe(fds);
	away.tell = fds[1];
	assert_int_equal(ends_with(turn_with_a_timer, &away), 0);
	assert_int_equal(read(fds[0], &wait, sizeof(wait)), sizeof(wait));
	return wait;
}

static void p04_a_wait_for_a_timer_is_not_capped(void **state)
{
	double wait = wait_for(100);

	(void)state;
	assert_true(wait > 98 && wait < 101);
}

static void p04_without_a_timer_it_is_thirty_seconds(void **state)
{
	double wait = wait_for(0);

	(void)state;
	assert_true(wait > 29 && wait < 31);
}

static void p04_a_timer_in_thirty_days_is_waited_for(void **state)
{
	double days[] = {20, 24.8, 24.9, 30, 49, 60, 1000}, wait;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		wait = wait_for(days[i] * DAY);
		/* Not for ever, not a spin, and not longer than the timer says. */
		assert_true(wait > 3600 && wait < days[i] * DAY + 1);
	}
}

static void p29_equal_times_first_set_first_run(void **state)
{
	struct tevent_context *ev = context();
	struct timeval now = tevent_timeval_current(), past = {5, 0};
	int i;

	(void)state;
	tevent_add_timer(ev, ev, now, note_timer, "now1");
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "zero1");
	tevent_add_timer(ev, ev, past, note_timer, "past1");
	tevent_add_timer(ev, ev, now, note_timer, "now2");
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "zero2");
	tevent_add_timer(ev, ev, past, note_timer, "past2");
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "zero3");
	for (i = 0; i < 7; i++)
		once(ev);
	assert_notes("zero1 zero2 zero3 past1 past2 now1 now2");
}

static void p29_many_equal_and_unequal_times_are_sorted(void **state)
{
	struct tevent_context *ev = context();
	struct timeval base = tevent_timeval_current();
	static char words[9][8];
	static const char expected[] = "a0 a3 a6 b1 b4 b7 c2 c5 c8";
	int i;

	(void)state;
	base.tv_sec -= 100;
	for (i = 0; i < 9; i++) {
		snprintf(words[i], sizeof(words[i]), "%c%d", "abc"[i % 3], i);
		tevent_add_timer(ev, ev, tevent_timeval_add(&base, (unsigned)(i % 3), 0),
			note_timer, words[i]);
	}
	turns(ev, 9);
	assert_notes(expected);
}

#define MANY 600

struct set {
	struct tevent_timer *te;
	uint32_t at; /* microseconds after some base */
	unsigned order;
};

static struct set sets[MANY];
static struct set last_run;
static int runs;

static void run_in_order(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *private_data)
{
	struct set *set = private_data;

	(void)ev, (void)now;
	assert_ptr_equal(set->te, te);
	assert_true(
		last_run.at < set->at || (last_run.at == set->at && last_run.order < set->order));
	last_run = *set;
	set->te = NULL;
	runs++;
}

/* Most ahead of all others, some somewhere, some moved and some freed, with equal ones among them.
 */
static void p29_set_moved_and_freed_in_any_order(void **state)
{
	struct tevent_context *ev = context();
	struct timeval base = tevent_timeval_current();
	unsigned order = 0, seed = 1, rest = MANY;

	(void)state;
	base.tv_sec -= 10;
	for (unsigned i = 0; i < MANY; i++) {
		struct set *set = &sets[i];

		seed = seed * 1103515245 + 12345;
		set->at = (seed >> 16) % 4 > 0 ? i / 3 : (seed >> 18) % 500;
		set->order = ++order;
		set->te = tevent_add_timer(
			ev, ev, tevent_timeval_add(&base, 0, set->at), run_in_order, set);
		assert_non_null(set->te);
		set = &sets[(seed >> 8) % (i + 1)];
		if (set->te == NULL)
			continue;
		if ((seed >> 20) % 8 == 0) {
			TALLOC_FREE(set->te);
			rest--;
		} else if ((seed >> 20) % 8 < 3) {
			set->at = (seed >> 5) % 700;
			set->order = ++order;
			tevent_update_timer(set->te, tevent_timeval_add(&base, 0, set->at));
		}
	}
	for (unsigned i = 0; i < rest; i++)
		once(ev);
	assert_int_equal(runs, rest);
}

static void p29_a_zero_timer_that_is_freed_leaves_the_order(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_timer *last;

	(void)state;
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "zero1");
	last = tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "zero2");
	tevent_add_timer(ev, ev, in_milliseconds(1), note_timer, "later");
	talloc_free(last);
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "zero3");
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("zero1 zero3 later");
}

static struct timeval given;

static void keep_time(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *word)
{
	(void)ev, (void)te;
	given = now;
	note("%s", (const char *)word);
}

static void p30_a_zero_timer_is_told_zero(void **state)
{
	struct tevent_context *ev = context();

	(void)state;
	given = tevent_timeval_set(1, 1);
	tevent_add_timer(ev, ev, ZERO_TIME, keep_time, "zero");
	once(ev);
	assert_notes("zero");
	assert_true(tevent_timeval_is_zero(&given));
}

static void p30_others_are_told_what_time_it_is(void **state)
{
	struct tevent_context *ev = context();
	struct timeval begin = tevent_timeval_current(), end, past = {1000, 0};

	(void)state;
	tevent_add_timer(ev, ev, past, keep_time, "past");
	once(ev);
	end = tevent_timeval_current();
	assert_true(tevent_timeval_compare(&given, &begin) >= 0);
	assert_true(tevent_timeval_compare(&given, &end) <= 0);
	begin = in_milliseconds(5);
	tevent_add_timer(ev, ev, begin, keep_time, "soon");
	once(ev);
	end = tevent_timeval_current();
	assert_notes("past soon");
	assert_true(tevent_timeval_compare(&given, &begin) >= 0);
	assert_true(tevent_timeval_compare(&given, &end) <= 0);
}

static void trace_timer(struct tevent_timer *te, enum tevent_event_trace_point point, void *p)
{
	(void)p;
	note("%s%d",
		point == TEVENT_EVENT_TRACE_ATTACH   ? "attach"
		: point == TEVENT_EVENT_TRACE_DETACH ? "detach"
						     : "before",
		(int)tevent_timer_get_tag(te));
}

static void p31_moving_is_detach_and_attach_and_keeps_the_tag(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_timer *te;

	(void)state;
	tevent_set_trace_timer_callback(ev, trace_timer, NULL);
	te = tevent_add_timer(ev, ev, in_milliseconds(8000), note_timer, "timer");
	tevent_timer_set_tag(te, 9);
	tevent_update_timer(te, in_milliseconds(1));
	assert_notes("attach0 detach9 attach9");
	forget_notes();
	once(ev);
	assert_notes("before9 timer detach9");
}

static void p31_a_timer_can_be_moved_either_way(void **state)
{
	struct tevent_context *ev = context();
	struct timeval base = tevent_timeval_current();
	struct tevent_timer *a, *b;

	(void)state;
	a = tevent_add_timer(ev, ev, in_milliseconds(8000), note_timer, "a");
	b = tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "b");
	tevent_add_timer(ev, ev, tevent_timeval_add(&base, 0, 3000), note_timer, "c");
	tevent_update_timer(b, tevent_timeval_add(&base, 0, 6000));
	tevent_update_timer(a, tevent_timeval_add(&base, 0, 1000));
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("a c b");
}

static void p31_a_timer_moved_to_zero(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_timer *te;

	(void)state;
	te = tevent_add_timer(ev, ev, in_milliseconds(8000), keep_time, "moved");
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "zero");
	tevent_update_timer(te, ZERO_TIME);
	given = tevent_timeval_set(1, 1);
	turns(ev, 2);
	assert_notes("zero moved");
	assert_true(tevent_timeval_is_zero(&given));
}

static void p31_the_one_moved_to_zero_lets_later_zeros_pass(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_timer *te;

	(void)state;
	te = tevent_add_timer(ev, ev, in_milliseconds(8000), note_timer, "moved");
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "zero1");
	tevent_update_timer(te, ZERO_TIME);
	tevent_add_timer(ev, ev, ZERO_TIME, note_timer, "zero2");
	turns(ev, 3);
	assert_notes("zero1 zero2 moved");
}

static const struct point_test tests[] = {
	BOTH(p04_a_wait_for_a_timer_is_not_capped),
	BOTH(p04_without_a_timer_it_is_thirty_seconds),
	MENDED(p04_a_timer_in_thirty_days_is_waited_for),
	BOTH(p29_equal_times_first_set_first_run),
	BOTH(p29_many_equal_and_unequal_times_are_sorted),
	BOTH(p29_set_moved_and_freed_in_any_order),
	BOTH(p29_a_zero_timer_that_is_freed_leaves_the_order),
	BOTH(p30_a_zero_timer_is_told_zero),
	BOTH(p30_others_are_told_what_time_it_is),
	BOTH(p31_moving_is_detach_and_attach_and_keeps_the_tag),
	BOTH(p31_a_timer_can_be_moved_either_way),
	BOTH(p31_a_timer_moved_to_zero),
	BOTH(p31_the_one_moved_to_zero_lets_later_zeros_pass),
};

POINTS_MAIN(tests)
