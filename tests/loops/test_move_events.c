/* SPDX-License-Identifier: BSD-2-Clause */
/* T4 for timers and immediates: none is lost, told twice, or told by another loop than
 * the one that has it. */
#include "loops/hop.h"

/* Timers. */

#define RACERS 4

struct racer {
	struct talev_timer *te;
	struct talev_loop *owner;
	talev_time_t deadline;
	unsigned armed;
	unsigned fired;
	unsigned wanted;
};

static void racer_arrived(struct talev_loop *loop, void *data)
{
	struct racer *racer = talloc_steal(talev_loop_context(loop), data);

	racer->owner = loop;
	demand(talev_source_get_context(racer->te) == talev_loop_context(loop));
	demand(talev_timer_get_deadline(racer->te) == racer->deadline);
}

static void racer_go(struct racer *racer)
{
	racer->owner = NULL;
	demand(talev_move(next_loop(), racer_arrived, &racer) == 0);
	demand(racer == NULL);
}

/* Every third time it is due at once: before it goes, or while it is on its way. */
static void lap(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	struct racer *racer = data;

	demand(talev_loop_current() == racer->owner);
	demand(ev == talev_loop_context(racer->owner));
	demand(now >= racer->deadline && talev_now(ev) >= racer->deadline);
	demand(++racer->fired == racer->armed);
	if (racer->fired == racer->wanted) {
		one_less(racer);
		return;
	}
	racer->deadline = talev_now(ev) + TALEV_USEC(10) * (racer->fired % 3);
	racer->armed++;
	demand(talev_update_timer(te, racer->deadline) == 0);
	racer_go(racer);
}

static void t4_timers_hop_and_are_neither_early_nor_lost(void **state)
{
	struct talev_loops *loops = make_pools(RACERS);
	struct talev_context *ev = talev_loop_context(talev_loops_main(loops));

	(void)state;
	for (unsigned i = 0; i < RACERS; i++) {
		struct racer *racer = talloc_zero(ev, struct racer);

		racer->wanted = scaled(10000, 500);
		racer->armed = 1;
		racer->deadline = talev_now(ev);
		racer->te = talev_add_timer(ev, racer, racer->deadline, lap, racer);
		assert_non_null(racer->te);
		racer_go(racer);
	}
	test_loops(loops);
	assert_int_equal(atomic_load(&left), 0);
}

#define PERIOD TALEV_USEC(50)

struct metronome {
	struct talev_timer *te;
	struct talev_loop *owner;
	talev_time_t first;
	uint64_t ticks;
	unsigned hops;
	unsigned wanted;
};

static void metronome_arrived(struct talev_loop *loop, void *data)
{
	struct metronome *m = talloc_steal(talev_loop_context(loop), data);

	m->owner = loop;
}

static void metronome_go(struct metronome *m)
{
	m->owner = NULL;
	demand(talev_move(next_loop(), metronome_arrived, &m) == 0);
}

/* Told or missed, each multiple of the period counts, and none is made up. */
static void tick(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	struct metronome *m = data;

	(void)ev;
	demand(talev_loop_current() == m->owner);
	demand(now >= m->first + (talev_time_t)m->ticks * PERIOD);
	m->ticks += 1 + talev_timer_get_missed(te);
	demand(talev_timer_get_deadline(te) == m->first + (talev_time_t)m->ticks * PERIOD);
	if (++m->hops == m->wanted)
		one_less(m);
	else
		metronome_go(m);
}

static void t4_a_ticker_hops_and_keeps_time(void **state)
{
	struct talev_loops *loops = make_pools(1);
	struct talev_context *ev = talev_loop_context(talev_loops_main(loops));
	struct metronome *m = talloc_zero(ev, struct metronome);

	(void)state;
	m->wanted = scaled(10000, 500);
	m->te = talev_add_ticker(ev, m, PERIOD, tick, m);
	assert_non_null(m->te);
	m->first = talev_timer_get_deadline(m->te);
	metronome_go(m);
	test_loops(loops);
	assert_int_equal(atomic_load(&left), 0);
}

/* Timers that are due when they go. */

#define DUE 12

struct due {
	talev_time_t deadlines[DUE];
	unsigned told;
	struct talev_timer *disabled;
	struct talev_timer *stopped;
};

struct due_timer {
	struct due *due;
	unsigned number;
	bool may;
};

static void told_in_order(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	struct due_timer *one = data;

	(void)te;
	demand(talev_loop_index(talev_loop_current()) == 1);
	demand(one->may);
	demand(one->number == one->due->told);
	demand(now >= one->due->deadlines[one->number]);
	demand(talev_now(ev) >= one->due->deadlines[one->number]);
	one->due->told++;
}

static struct due_timer *due_timer(struct due *due, unsigned number, bool may)
{
	struct due_timer *one = talloc(due, struct due_timer);

	*one = (struct due_timer){.due = due, .number = number, .may = may};
	return one;
}

/* Behind all of them. */
static void all_told(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	struct due *due = data;
	struct due_timer *one;

	(void)te;
	(void)now;
	if (due->told == DUE - 1) {
		one = due_timer(due, DUE - 1, true);
		demand(talev_source_get_enabled(due->disabled) == false);
		demand(talev_timer_get_deadline(due->stopped) == TALEV_NEVER);
		talloc_free(due->stopped);
		talloc_free(due->disabled);
		due->deadlines[DUE - 1] = talev_now(ev);
		demand(talev_add_timer(ev, due, talev_now(ev), told_in_order, one) != NULL);
		demand(talev_timer_start(te, 0) == 0);
		return;
	}
	demand(due->told == DUE);
	talev_loops_shutdown(talev_loop_loops(talev_loop_current()));
	talloc_free(due);
}

static void due_arrived(struct talev_loop *loop, void *data)
{
	talloc_steal(talev_loop_context(loop), data);
}

/* The first one that runs: the others are due as well. */
static void send_the_others(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	struct due *due = data;

	(void)ev;
	(void)te;
	(void)now;
	demand(talev_move(talev_loops_get(talev_loop_loops(talev_loop_current()), 1), due_arrived,
		       &due) == 0);
}

/* Two by two of the same deadline, and the later ones were made first. */
static void make_due(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	talev_time_t now = talev_now(ev) - TALEV_MSEC(1);
	struct due *due = talloc_zero(ev, struct due);

	(void)data;
	for (unsigned pair = DUE / 2; pair-- > 0;) {
		for (unsigned i = 2 * pair; i < 2 * pair + 2 && i < DUE - 1; i++) {
			due->deadlines[i] = now + pair;
			demand(talev_add_timer(ev, due, now + pair, told_in_order,
				       due_timer(due, i, true)) != NULL);
		}
	}
	due->disabled = talev_add_timer(ev, due, now, told_in_order, due_timer(due, 0, false));
	demand(talev_source_set_enabled(due->disabled, false) == 0);
	due->stopped = talev_add_timer(ev, due, now, told_in_order, due_timer(due, 0, false));
	demand(talev_timer_stop(due->stopped) == 0);
	demand(talev_add_timer(ev, due, now + DUE, all_told, due) != NULL);
	demand(talev_add_timer(ev, NULL, now - 1, send_the_others, due) != NULL);
}

static void t4_timers_that_are_due_are_told_where_they_arrive(void **state)
{
	struct talev_loops *loops = make_loops(2);

	(void)state;
	assert_ok(talev_loop_setup(talev_loops_main(loops), make_due, NULL));
	test_loops(loops);
}

/* A one-shot timer that goes in its own handler is not freed behind it: it arrives stopped. */
static void armed_at_last(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	(void)ev;
	(void)te;
	(void)now;
	(void)data;
	demand(talev_loop_index(talev_loop_current()) == 1);
	talev_loops_shutdown(talev_loop_loops(talev_loop_current()));
}

static void go_itself(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	struct talev_loop *loop = talev_loop_current();

	if (talev_loop_index(loop) == 0)
		demand(talev_source_move(te, talev_loops_get(talev_loop_loops(loop), 1)) == 0);
	else
		armed_at_last(ev, te, now, data);
}

static struct talev_timer *traveller;

static void arm_it(struct talev_loop *loop, void *data)
{
	(void)data;
	demand(talloc_parent(traveller) == talev_loop_context(loop));
	demand(talev_timer_get_deadline(traveller) == TALEV_NEVER);
	demand(talev_timer_start(traveller, 0) == 0);
}

static void arm_it_there(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct talev_loops *loops = talev_loop_loops(talev_loop_current());

	(void)ev;
	(void)im;
	(void)data;
	demand(talev_async_run(talev_loops_get(loops, 1), arm_it, NULL) == 0);
}

static void go_and_arm(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *data)
{
	bool first = talev_loop_index(talev_loop_current()) == 0;

	go_itself(ev, te, now, data);
	if (first)
		demand(talev_schedule_immediate(
			       talev_create_immediate(ev), ev, arm_it_there, NULL) == 0);
}

static void t4_a_timer_that_goes_in_its_own_handler_arrives_stopped(void **state)
{
	struct talev_loops *loops = make_loops(2);
	struct talev_context *ev = talev_loop_context(talev_loops_main(loops));

	(void)state;
	traveller = talev_add_timer(ev, NULL, talev_now(ev), go_and_arm, NULL);
	test_loops(loops);
}

/* Immediates. */

#define WALKERS 5

struct party {
	struct talev_immediate *ims[WALKERS];
	unsigned order[WALKERS];
	unsigned ran;
	struct talev_loop *owner;
	unsigned hops;
	unsigned wanted;
};

static void party_arrived(struct talev_loop *loop, void *data)
{
	struct party *party = talloc_steal(talev_loop_context(loop), data);

	party->owner = loop;
	demand(party->ran == 0);
	for (unsigned i = 0; i < WALKERS; i++)
		demand(talev_immediate_is_scheduled(party->ims[i]));
}

static void step(struct talev_context *ev, struct talev_immediate *im, void *data);

static void nothing(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	(void)ev;
	(void)data;
	talloc_free(im);
}

/* In another order each time, and with something in between that stays. */
static void party_go(struct party *party, struct talev_context *ev)
{
	for (unsigned i = 0; i < WALKERS; i++)
		party->order[i] = (i * 2 + party->hops) % WALKERS;
	for (unsigned i = 0; i < WALKERS; i++) {
		demand(talev_schedule_immediate(party->ims[party->order[i]], ev, step, party) == 0);
		demand(talev_schedule_immediate(talev_create_immediate(ev), ev, nothing, NULL) ==
			0);
	}
	party->ran = 0;
	party->owner = NULL;
	demand(talev_move(next_loop(), party_arrived, &party) == 0);
}

static void step(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct party *party = data;

	demand(talev_loop_current() == party->owner);
	demand(im == party->ims[party->order[party->ran]]);
	if (++party->ran < WALKERS)
		return;
	if (++party->hops == party->wanted)
		one_less(party);
	else
		party_go(party, ev);
}

static void t4_immediates_hop_and_keep_their_order(void **state)
{
	struct talev_loops *loops = make_pools(2);
	struct talev_context *ev = talev_loop_context(talev_loops_main(loops));

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		struct party *party = talloc_zero(ev, struct party);

		for (unsigned i = 0; i < WALKERS; i++)
			party->ims[i] = talev_create_immediate(party);
		party->wanted = scaled(10000, 500);
		party_go(party, ev);
	}
	test_loops(loops);
	assert_int_equal(atomic_load(&left), 0);
}

/* Behind what is queued there; a disabled one is scheduled still, and runs when it may. */
struct guests {
	struct talev_immediate *im;
	struct talev_immediate *disabled;
	bool host_ran;
};

static void guest(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct guests *guests = data;

	(void)ev;
	demand(guests->host_ran);
	if (im == guests->im) {
		demand(talev_immediate_is_scheduled(guests->disabled));
		demand(talev_source_set_enabled(guests->disabled, true) == 0);
		return;
	}
	talev_loops_shutdown(talev_loop_loops(talev_loop_current()));
	talloc_free(guests);
}

static void host(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct guests *guests = data;

	(void)ev;
	(void)im;
	guests->host_ran = true;
}

static void guests_arrived(struct talev_loop *loop, void *data)
{
	talloc_steal(talev_loop_context(loop), data);
}

static void schedule_host(struct talev_loop *loop, void *data)
{
	struct talev_context *ev = talev_loop_context(loop);
	struct guests *guests = data;

	/* Setup jobs come before the parcel is opened. */
	demand(talev_schedule_immediate(talev_create_immediate(ev), ev, host, guests) == 0);
}

static void t4_immediates_queue_behind_those_that_are_there(void **state)
{
	struct talev_loops *loops = make_loops(2);
	struct talev_context *ev = talev_loop_context(talev_loops_main(loops));
	struct guests *guests = talloc_zero(ev, struct guests);

	(void)state;
	assert_ok(talev_loop_setup(talev_loops_get(loops, 1), schedule_host, guests));
	guests->im = talev_create_immediate(guests);
	guests->disabled = talev_create_immediate(guests);
	assert_ok(talev_schedule_immediate(guests->disabled, ev, guest, guests));
	assert_ok(talev_source_set_enabled(guests->disabled, false));
	assert_ok(talev_schedule_immediate(guests->im, ev, guest, guests));
	assert_ok(talev_move(talev_loops_get(loops, 1), guests_arrived, &guests));
	test_loops(loops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t4_timers_hop_and_are_neither_early_nor_lost),
		TEST(t4_a_ticker_hops_and_keeps_time),
		TEST(t4_timers_that_are_due_are_told_where_they_arrive),
		TEST(t4_a_timer_that_goes_in_its_own_handler_arrives_stopped),
		TEST(t4_immediates_hop_and_keep_their_order),
		TEST(t4_immediates_queue_behind_those_that_are_there),
	};

	talloc_disable_null_tracking();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
