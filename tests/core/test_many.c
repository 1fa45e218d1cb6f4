/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: a hundred thousand timers, and as many descriptors as one may have. */
#include <sys/resource.h>
#include "support/support.h"

struct many {
	unsigned timers;
	unsigned ran;
	talev_time_t last;
	unsigned long last_set; /* of equal deadlines, the first set is the first run */
	unsigned fds;
	unsigned told;
};

struct one {
	struct many *many;
	talev_time_t deadline;
	unsigned long set;
};

static void in_order(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	struct one *one = arg;
	struct many *many = one->many;

	(void)ev;
	(void)te;
	assert_true(now >= one->deadline);
	assert_true(one->deadline >= many->last);
	if (one->deadline == many->last)
		assert_true(one->set > many->last_set);
	many->last = one->deadline;
	many->last_set = one->set;
	many->ran++;
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Set at random, a third of them moved, a third of those stopped and freed. */
static void timers_run_in_order(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct many many = {.timers = test_is_slow() ? 10000 : 100000};
	struct one *ones = talloc_zero_array(*state, struct one, many.timers);
	struct talev_timer **timers = talloc_array(*state, struct talev_timer *, many.timers);
	talev_time_t start = talev_now(ev);
	unsigned long set = 0;
	unsigned freed = 0;
	uint32_t seed = 1;

	for (unsigned i = 0; i < many.timers; i++) {
		ones[i].many = &many;
		ones[i].deadline = start + (talev_time_t)(next_random(&seed) % 10000) * 1000;
		ones[i].set = ++set;
		timers[i] = talev_add_timer(ev, *state, ones[i].deadline, in_order, &ones[i]);
		assert_non_null(timers[i]);
	}
	for (unsigned i = 0; i < many.timers; i += 3) {
		ones[i].deadline = start + (talev_time_t)(next_random(&seed) % 10000) * 1000;
		ones[i].set = ++set;
		assert_ok(talev_update_timer(timers[i], ones[i].deadline));
	}
	for (unsigned i = 0; i < many.timers; i += 9) {
		talloc_free(timers[i]);
		freed++;
	}
	assert_ok(test_run(ev));
	assert_int_equal(many.ran, many.timers - freed);
}

static void tell(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct many *many = arg;

	(void)flags;
	assert_int_equal(test_drain(talev_fd_get_fd(fde)), 1);
	if (++many->told == many->fds)
		talev_loop_break(ev);
}

static unsigned descriptors_at_most(void)
{
	struct rlimit limit;
	/* The sim backend looks at all of them for each one that it tells. */
	unsigned want = test_is_slow() || test_is_sim() ? 1000 : 10000;

	assert_ok(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max;
	assert_ok(setrlimit(RLIMIT_NOFILE, &limit));
	if (limit.rlim_cur < want + 100)
		want = (unsigned)limit.rlim_cur - 100;
	return want & ~1u;
}

static void descriptors_are_all_told(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct many many = {.fds = descriptors_at_most()};
	int *fds = talloc_array(*state, int, many.fds);

	for (unsigned i = 0; i < many.fds; i += 2) {
		test_socketpair(&fds[i]);
		for (unsigned j = i; j < i + 2; j++)
			assert_non_null(talev_add_fd(ev, NULL, fds[j], TALEV_FD_READ, tell, &many));
	}
	for (int round = 0; round < 3; round++) {
		many.told = 0;
		for (unsigned i = 0; i < many.fds; i++)
			test_poke(fds[i]);
		assert_ok(test_run(ev));
		assert_int_equal(many.told, many.fds);
	}
	talloc_free(ev);
	for (unsigned i = 0; i < many.fds; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(timers_run_in_order),
		TEST(descriptors_are_all_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
