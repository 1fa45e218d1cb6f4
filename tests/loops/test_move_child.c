/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * T4 and T5 for children.
 *
 * NO_VALGRIND: it knows no pidfd_open
 */
#include <sys/wait.h>
#include <talev/child.h>
#include "loops/hop.h"

#define NOMADS 4

struct nomad {
	struct talev_child *child;
	struct talev_immediate *im;
	struct talev_loop *owner;
	int status;
	int release;
	unsigned hops;
	unsigned wanted;
};

static void wander(struct talev_context *ev, struct talev_immediate *im, void *data);

static void nomad_arrived(struct talev_loop *loop, void *data)
{
	struct nomad *nomad = talloc_steal(talev_loop_context(loop), data);

	nomad->owner = loop;
	demand(talev_source_get_context(nomad->child) == talev_loop_context(loop));
}

/* The process ends at some moment in the middle of it. */
static void wander(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct nomad *nomad = data;

	demand(talev_loop_current() == nomad->owner);
	if (++nomad->hops == nomad->wanted / 2)
		close(nomad->release);
	if (nomad->hops == nomad->wanted)
		return;
	demand(talev_schedule_immediate(im, ev, wander, nomad) == 0);
	nomad->owner = NULL;
	demand(talev_move(next_loop(), nomad_arrived, &nomad) == 0);
}

static void settled(
	struct talev_context *ev, struct talev_child *child, pid_t pid, int status, void *data)
{
	struct nomad *nomad = data;

	(void)pid;
	demand(ev == talev_loop_context(nomad->owner) && talev_loop_current() == nomad->owner);
	demand(WIFEXITED(status) && WEXITSTATUS(status) == nomad->status);
	/* It has been reaped, and goes nowhere any more. */
	errno = 0;
	demand(talev_source_move(child, next_loop()) == -1 && errno == EINVAL);
	one_less(nomad);
}

static void t4_children_hop_and_end_where_they_are(void **state)
{
	struct talev_loops *loops = make_pools(NOMADS);
	struct talev_context *ev = talev_loop_context(talev_loops_main(loops));

	(void)state;
	for (int i = 0; i < NOMADS; i++) {
		struct nomad *nomad = talloc_zero(ev, struct nomad);

		nomad->status = 40 + i;
		nomad->wanted = scaled(10000, 500);
		nomad->child = talev_add_child(
			ev, nomad, test_spawn(nomad->status, &nomad->release), settled, nomad);
		assert_non_null(nomad->child);
		nomad->im = talev_create_immediate(nomad);
		assert_ok(talev_schedule_immediate(nomad->im, ev, wander, nomad));
		assert_ok(talev_move(next_loop(), nomad_arrived, &nomad));
	}
	test_loops(loops);
	assert_int_equal(atomic_load(&left), 0);
}

static void never(
	struct talev_context *ev, struct talev_child *child, pid_t pid, int status, void *data)
{
	(void)ev;
	(void)child;
	(void)pid;
	(void)status;
	(void)data;
	demand(false);
}

static void never_arrives(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	demand(false);
}

/* It is the program's then, also to reap. */
static void t5_a_loop_that_ends_lets_go_of_a_child_on_its_way(void **state)
{
	struct talev_loops *loops = make_loops(2);
	struct talev_context *ev = talev_context_init(test_root());
	struct talev_child *child;
	int status;
	int release;
	pid_t pid = test_spawn(7, &release);

	(void)state;
	child = talev_add_child(ev, NULL, pid, never, NULL);
	assert_non_null(child);
	assert_ok(talev_move(talev_loops_get(loops, 1), never_arrives, &child));
	close(release);
	talloc_free(loops);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
	talloc_free(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t4_children_hop_and_end_where_they_are),
		TEST(t5_a_loop_that_ends_lets_go_of_a_child_on_its_way),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
