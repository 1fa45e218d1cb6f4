/* SPDX-License-Identifier: BSD-2-Clause */
/* A wall clock that jumps: contract row T8. */
#include <sys/syscall.h>
#include "loops/watchdog_kit.h"

static _Atomic int64_t offset; /* seconds that the wall clock is ahead */

/* Takes the place of libc's, for the library too. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	int ret = (int)syscall(SYS_clock_gettime, id, ts);

	if (ret == 0 && id == CLOCK_REALTIME)
		ts->tv_sec += atomic_load(&offset);
	return ret;
}

static unsigned ticks;

static void jump(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	const int64_t steps[] = {3600, -3600, 0};

	(void)ev;
	(void)now;
	(void)data;
	atomic_store(&offset, steps[ticks++ % 3]);
	if (ticks < 30)
		return;
	/* None of that made it early. Now it is to be in time, by a clock that jumps on. */
	demand(count_told() == 0);
	while (count_told() == 0) {
		atomic_store(&offset, steps[ticks++ % 3]);
		usleep(1000);
	}
	talloc_free(te);
}

static void t8_the_watchdog_does_not_follow_the_wall_clock(void **state)
{
	struct talev_context *ev = talev_context_init(test_root());
	struct talev_watchdog *wd = make_watchdog();

	(void)state;
	assert_non_null(talev_watchdog_add_context(ev, wd, ev, "jumps", LIMIT, TALEV_NEVER));
	assert_non_null(talev_add_ticker(ev, NULL, LIMIT / 20, jump, NULL));
	assert_ok(test_run(ev));
	talloc_free(ev);
	talloc_free(wd);
	assert_string_equal(told.handler, "jump");
	assert_true(told.stalled >= LIMIT && told.stalled < TALEV_SEC(60));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t8_the_watchdog_does_not_follow_the_wall_clock),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
