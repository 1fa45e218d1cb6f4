/* SPDX-License-Identifier: BSD-2-Clause */
/* Safe memory: contract rows S1 to S6, without coroutines. */
#include <poll.h>
#include <sched.h>
#include <talev/retire.h>
#include "loops/kit.h"

#define MAGIC 0x7a1e7u

struct shared {
	unsigned magic;
	struct talev_loop *home;
};

static struct shared *_Atomic shared;
static atomic_uint destroyed;
static atomic_uint made;
static atomic_bool stop_reading;
static unsigned rounds;

static int destroy_shared(struct shared *old)
{
	/* S6: on the loop that retired it. */
	demand(old->magic == MAGIC);
	demand(old->home == NULL || talev_loop_current() == old->home);
	old->magic = 0;
	atomic_fetch_add(&destroyed, 1);
	return 0;
}

static struct shared *make_shared(struct talev_loop *home)
{
	struct shared *one = talloc(NULL, struct shared);

	demand(one != NULL);
	*one = (struct shared){.magic = MAGIC, .home = home};
	talloc_set_destructor(one, destroy_shared);
	atomic_fetch_add(&made, 1);
	return one;
}

static void forget(void)
{
	atomic_store(&shared, NULL);
	atomic_store(&destroyed, 0);
	atomic_store(&made, 0);
	atomic_store(&stop_reading, false);
}

static void take_out_and_retire(void)
{
	struct shared *old = atomic_exchange(&shared, NULL);

	if (old != NULL) {
		old->home = talev_loop_current();
		demand(talev_retire(old) == 0);
	}
}

/* S4: one loop is in a handler that has found the object, while another one retires it. */
static sem_t found;
static sem_t go_on;

static void find_and_stay(struct talev_loop *loop, void *data)
{
	struct shared *mine = atomic_load(&shared);

	(void)loop;
	(void)data;
	gate_open(&found);
	gate_wait(&go_on);
	demand(mine->magic == MAGIC);
	demand(atomic_load(&destroyed) == 0);
}

static void expect_it_to_be_freed(struct talev_loop *loop, void *data)
{
	(void)data;
	if (atomic_load(&destroyed) == 0)
		demand(talev_async_run(loop, expect_it_to_be_freed, NULL) == 0);
	else
		talev_loops_shutdown(talev_loop_loops(loop));
}

static void expect_it_to_be_there(struct talev_loop *loop, void *data)
{
	(void)data;
	demand(atomic_load(&destroyed) == 0);
	if (++rounds < 100) {
		demand(talev_async_run(loop, expect_it_to_be_there, NULL) == 0);
		return;
	}
	gate_open(&go_on);
	expect_it_to_be_freed(loop, NULL);
}

static void retire_what_was_found(struct talev_loop *loop, void *data)
{
	(void)data;
	gate_wait(&found);
	rounds = 0;
	take_out_and_retire();
	expect_it_to_be_there(loop, NULL);
}

static void s04_what_a_handler_has_found_is_not_freed_before_it_returns(void **state)
{
	struct talev_loops *loops = make_loops(4);

	(void)state;
	forget();
	sem_init(&found, 0, 0);
	sem_init(&go_on, 0, 0);
	atomic_store(&shared, make_shared(talev_loops_get(loops, 1)));
	assert_ok(talev_async_run(talev_loops_get(loops, 2), find_and_stay, NULL));
	assert_ok(talev_async_run(talev_loops_get(loops, 1), retire_what_was_found, NULL));
	test_loops(loops);
	assert_int_equal(atomic_load(&destroyed), 1);
	sem_destroy(&found);
	sem_destroy(&go_on);
}

/* The loop that retires goes to sleep, and is woken when the other handler has returned. */
static void open_and_return(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	gate_open(&go_on);
}

static int destroy_and_stop(struct shared *old)
{
	talev_loops_shutdown(talev_loop_loops(talev_loop_current()));
	return destroy_shared(old);
}

static void retire_and_sleep(struct talev_loop *loop, void *data)
{
	struct talev_loops *loops = talev_loop_loops(loop);

	(void)data;
	gate_wait(&found);
	talloc_set_destructor(atomic_load(&shared), destroy_and_stop);
	take_out_and_retire();
	/* A third one lets the reader go when this one has nothing more to do. */
	demand(talev_async_run(talev_loops_get(loops, 3), open_and_return, NULL) == 0);
}

static void s04_a_sleeping_loop_is_woken_to_free(void **state)
{
	(void)state;
	for (unsigned i = 0; i < scaled(200, 10); i++) {
		struct talev_loops *loops = make_loops(4);

		forget();
		sem_init(&found, 0, 0);
		sem_init(&go_on, 0, 0);
		atomic_store(&shared, make_shared(NULL));
		assert_ok(talev_async_run(talev_loops_get(loops, 2), find_and_stay, NULL));
		assert_ok(talev_async_run(talev_loops_get(loops, 1), retire_and_sleep, NULL));
		test_loops(loops);
		assert_int_equal(atomic_load(&destroyed), 1);
		talloc_free(loops);
		sem_destroy(&found);
		sem_destroy(&go_on);
	}
}

/* S1: everybody reads all the time, in handlers and in sections, and one writes. */

static void look(void)
{
	struct shared *one = atomic_load_explicit(&shared, memory_order_acquire);

	demand(one == NULL || one->magic == MAGIC);
	sched_yield();
	demand(one == NULL || one->magic == MAGIC);
}

static void read_again(struct talev_loop *loop, void *data)
{
	(void)data;
	look();
	if (!atomic_load(&stop_reading))
		demand(talev_async_run(loop, read_again, NULL) == 0);
}

static void *read_in_sections(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop_reading)) {
		struct talev_section *section = talev_section_enter(NULL, "reading");

		demand(section != NULL);
		look();
		talloc_free(section);
	}
	return NULL;
}

static void write_again(struct talev_loop *loop, void *data)
{
	struct shared *old;

	(void)data;
	old = atomic_exchange_explicit(&shared, make_shared(loop), memory_order_acq_rel);
	if (old != NULL)
		demand(talev_retire(old) == 0);
	if (atomic_load(&made) < scaled(20000, 1000)) {
		demand(talev_async_run(loop, write_again, NULL) == 0);
		return;
	}
	atomic_store(&stop_reading, true);
	take_out_and_retire();
	talev_loops_shutdown(talev_loop_loops(loop));
}

static void s01_readers_in_handlers_and_sections_and_one_writer(void **state)
{
	struct talev_loops *loops = make_loops(5);
	pthread_t threads[4];

	(void)state;
	forget();
	for (unsigned i = 1; i < 5; i++)
		assert_ok(talev_async_run(talev_loops_get(loops, i), read_again, NULL));
	assert_ok(talev_async_run(talev_loops_main(loops), write_again, NULL));
	for (int i = 0; i < 4; i++)
		threads[i] = thread_start(read_in_sections, NULL);
	test_loops(loops);
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	/* S5: the loop has ended, and left nothing behind. */
	assert_int_equal(atomic_load(&destroyed), atomic_load(&made));
}

/* S2: there is always a section, but never the same one for long. */
static atomic_uint freed_meanwhile;

static void *overlap(void *arg)
{
	struct talev_section *older = talev_section_enter(NULL, "older");

	(void)arg;
	while (!atomic_load(&stop_reading)) {
		struct talev_section *newer = talev_section_enter(NULL, "newer");

		demand(newer != NULL && older != NULL);
		talloc_free(older);
		older = newer;
		sched_yield();
	}
	talloc_free(older);
	return NULL;
}

static void retire_one(struct talev_loop *loop, void *data)
{
	(void)data;
	if (atomic_load(&made) < 1000) {
		demand(talev_retire(make_shared(loop)) == 0);
		demand(talev_async_run(loop, retire_one, NULL) == 0);
	} else if (atomic_load(&destroyed) <= 950) {
		demand(talev_async_run(loop, retire_one, NULL) == 0);
	} else {
		atomic_store(&freed_meanwhile, atomic_load(&destroyed));
		atomic_store(&stop_reading, true);
		talev_loops_shutdown(talev_loop_loops(loop));
	}
}

static void s02_overlapping_sections_do_not_keep_everything(void **state)
{
	struct talev_loops *loops = make_loops(1);
	pthread_t thread;

	(void)state;
	forget();
	thread = thread_start(overlap, NULL);
	assert_ok(talev_async_run(talev_loops_main(loops), retire_one, NULL));
	test_loops(loops);
	thread_join(thread);
	assert_true(atomic_load(&freed_meanwhile) > 950);
	assert_int_equal(atomic_load(&destroyed), 1000);
}

/* S3 */
static struct talev_section *forgotten;
static int told[2];

static void to_pipe(enum talev_log_level level, const char *message, void *private_data)
{
	(void)level;
	(void)private_data;
	if (strstr(message, "what loop test-0 has retired waits for section lookup (") != NULL)
		test_poke(told[1]);
}

static void leave_it(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *data)
{
	(void)ev;
	(void)flags;
	(void)data;
	assert_int_equal(atomic_load(&destroyed), 0);
	talloc_free(fde);
	TALLOC_FREE(forgotten);
}

static void retire_behind_a_section(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);

	(void)data;
	assert_non_null(talev_add_fd(ev, NULL, told[0], TALEV_FD_READ, leave_it, NULL));
	assert_ok(talev_retire(make_shared(loop)));
	stop_loops(loop, NULL);
}

static void s03_a_forgotten_section_is_named(void **state)
{
	struct talev_loops *loops = make_loops(1);

	(void)state;
	forget();
	test_pipe(told);
	talev_set_log_fn(to_pipe, NULL);
	assert_errno(talev_retire_set_patience(0), EINVAL);
	assert_ok(talev_retire_set_patience(TALEV_MSEC(1)));
	forgotten = talev_section_enter(NULL, "lookup");
	assert_ok(talev_async_run(talev_loops_main(loops), retire_behind_a_section, NULL));
	test_loops(loops);
	assert_int_equal(atomic_load(&destroyed), 1);
	assert_ok(talev_retire_set_patience(TALEV_SEC(10)));
	talev_set_log_fn(NULL, NULL);
	close(told[0]);
	close(told[1]);
}

/* S5 */
static void retire_and_stop(struct talev_loop *loop, void *data)
{
	(void)data;
	for (int i = 0; i < 10; i++)
		demand(talev_retire(make_shared(loop)) == 0);
	talev_loops_shutdown(talev_loop_loops(loop));
}

static void s05_a_loop_that_ends_frees_what_is_pending(void **state)
{
	struct talev_loops *loops = make_loops(3);

	(void)state;
	forget();
	for (unsigned i = 0; i < 3; i++)
		assert_ok(talev_async_run(talev_loops_get(loops, i), retire_and_stop, NULL));
	test_loops(loops);
	assert_int_equal(atomic_load(&destroyed), atomic_load(&made));
}

/* S6: each loop retires a hundred, and their destructors run on that loop, also when it was another
 * one that kept them waiting. */
static atomic_uint loops_done;

static void retire_a_hundred(struct talev_loop *loop, void *data)
{
	(void)data;
	for (int i = 0; i < 100; i++)
		demand(talev_retire(make_shared(loop)) == 0);
	if (atomic_fetch_add(&loops_done, 1) == 3)
		talev_loops_shutdown(talev_loop_loops(loop));
}

static void s06_destructors_run_on_the_loop_that_retired(void **state)
{
	struct talev_loops *loops = make_loops(4);

	(void)state;
	forget();
	atomic_store(&loops_done, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_ok(talev_async_run(talev_loops_get(loops, i), retire_a_hundred, NULL));
	test_loops(loops);
	assert_int_equal(atomic_load(&destroyed), 400);
}

static void what_cannot_be_retired(void **state)
{
	struct talev_loops *loops = make_loops(1);
	struct shared *one = talloc_zero(test_root(), struct shared);

	(void)state;
	(void)loops;
	assert_errno(talev_retire(NULL), EINVAL);
	assert_errno(talev_retire(one), EINVAL);
}

static void in_a_loop(struct talev_loop *loop, void *data)
{
	struct shared *one = talloc_zero(test_root(), struct shared);
	void *reference = talloc_reference(talev_loop_context(loop), one);

	(void)data;
	assert_errno(talev_retire(NULL), EINVAL);
	assert_errno(talev_retire(one), EBUSY);
	talloc_unlink(talev_loop_context(loop), reference);
	assert_ok(talev_retire(one));
	stop_loops(loop, NULL);
}

static void what_is_referred_to_cannot_be_retired(void **state)
{
	struct talev_loops *loops = make_loops(1);

	(void)state;
	assert_ok(talev_loop_setup(talev_loops_main(loops), in_a_loop, NULL));
	test_loops(loops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(s01_readers_in_handlers_and_sections_and_one_writer),
		TEST(s02_overlapping_sections_do_not_keep_everything),
		TEST(s03_a_forgotten_section_is_named),
		TEST(s04_what_a_handler_has_found_is_not_freed_before_it_returns),
		TEST(s04_a_sleeping_loop_is_woken_to_free),
		TEST(s05_a_loop_that_ends_frees_what_is_pending),
		TEST(s06_destructors_run_on_the_loop_that_retired),
		TEST(what_cannot_be_retired),
		TEST(what_is_referred_to_cannot_be_retired),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
