/* SPDX-License-Identifier: BSD-2-Clause */
/* A wall clock that jumps: contract row T8. */
#include <sys/syscall.h>
#include <time.h>
#include "loops/kit.h"

static _Atomic int64_t offset; /* seconds that the wall clock is ahead */

/* Takes the place of libc's, for the library too. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	int ret = (int)syscall(SYS_clock_gettime, id, ts);

	if (ret == 0 && id == CLOCK_REALTIME)
		ts->tv_sec += atomic_load(&offset);
	return ret;
}

static talev_time_t begun;
static unsigned ticks;

static void expect(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	const int64_t steps[] = {3600, -3600, 0};

	(void)data;
	(void)now;
	ticks += 1 + (unsigned)talev_timer_get_missed(te);
	assert_true(talev_now(ev) - begun >= ticks * TALEV_MSEC(10));
	/* An hour late would have told its missed ticks. */
	assert_true(talev_now(ev) - begun < TALEV_SEC(60));
	atomic_store(&offset, steps[ticks % 3]);
	if (ticks < 6)
		return;
	talloc_free(te);
	stop_loops(talev_loop_current(), NULL);
}

static void begin(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);

	(void)data;
	ticks = 0;
	begun = talev_now(ev);
	assert_non_null(talev_add_ticker(ev, NULL, TALEV_MSEC(10), expect, NULL));
}

static void t8_timers_do_not_follow_the_wall_clock(void **state)
{
	struct talev_loops *loops = make_loops(2);
	time_t real = time(NULL);
	struct timespec stepped;

	(void)state;
	atomic_store(&offset, 3600);
	clock_gettime(CLOCK_REALTIME, &stepped);
	assert_true(stepped.tv_sec >= real + 3600);
	assert_true(talev_clock_now(talev_loop_context(talev_loops_main(loops)),
			    TALEV_CLOCK_REALTIME) >= TALEV_SEC(real + 3600));
	test_log_capture();
	assert_ok(talev_loops_set_grace(loops, TALEV_SEC(1800)));
	assert_ok(talev_loop_setup(talev_loops_main(loops), begin, NULL));
	test_loops(loops);
	assert_true(ticks >= 6);
	/* The grace time is half an hour by the clock that jumped by two. */
	assert_int_equal(test_log_count("is held"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t8_timers_do_not_follow_the_wall_clock),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
