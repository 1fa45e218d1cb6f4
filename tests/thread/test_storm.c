/* SPDX-License-Identifier: BSD-2-Clause */
/* NO_VALGRIND: it runs one thread at a time, so nothing here would happen */
/* Many messages, many loops that come and go, and many that cancel what is running. */
#include <sched.h>
#include "support/kinds.h"
#include "thread/threads.h"

#define THREADS 8

struct token {
	unsigned hops; /* still to go */
	unsigned sender;
	unsigned number;
};

static struct talev_immediate *immediate(TALLOC_CTX *mem_ctx)
{
	struct talev_immediate *im = talev_create_immediate(mem_ctx);

	demand(im != NULL);
	return im;
}

static struct talev_context *context(void)
{
	struct talev_context *ev = talev_context_init_byname(NULL, test_backend());

	demand(ev != NULL);
	return ev;
}

/* Eight to one. */
struct target {
	struct talev_thread_proxy *tp;
	unsigned next[THREADS];
	unsigned received;
	unsigned expected;
};

static struct target target;

static void receive(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct token *token = data;

	(void)ev;
	(void)im;
	demand(token->number == target.next[token->sender]);
	target.next[token->sender]++;
	if (++target.received == target.expected)
		TALLOC_FREE(target.tp);
}

struct source_of_tokens {
	struct talev_thread_proxy *handle;
	unsigned index;
	unsigned each;
};

static void *send_tokens(void *arg)
{
	struct source_of_tokens *from = arg;
	TALLOC_CTX *mine = talloc_parent(from->handle);

	for (unsigned i = 0; i < from->each; i++) {
		struct talev_immediate *im = immediate(mine);
		struct token *token = talloc_zero(mine, struct token);

		token->sender = from->index;
		token->number = i;
		demand(talev_thread_proxy_schedule(from->handle, &im, receive, &token) == 0);
	}
	talloc_free(mine);
	return NULL;
}

static void half_a_million_messages_to_one_loop(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct source_of_tokens from[THREADS];
	pthread_t threads[THREADS];

	target = (struct target){.tp = talev_thread_proxy_create(ev, NULL)};
	for (unsigned i = 0; i < THREADS; i++) {
		TALLOC_CTX *mine = talloc_new(NULL);

		from[i] = (struct source_of_tokens){
			talev_thread_proxy_attach(mine, target.tp), i, scaled(62500, 4000)};
		target.expected += from[i].each;
	}
	for (unsigned i = 0; i < THREADS; i++)
		threads[i] = thread_start(send_tokens, &from[i]);
	assert_ok(test_run(ev));
	assert_int_equal(target.received, target.expected);
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(threads[i]);
}

/* Eight loops in a ring: each passes on what it gets. */
struct member {
	struct talev_context *ev;
	struct talev_thread_proxy *door;
	struct talev_thread_proxy *next; /* of the neighbour's door */
	unsigned passed;
};

static struct member ring[THREADS];
static atomic_uint tokens_left;

static struct member *member_of(struct talev_context *ev)
{
	for (int i = 0; i < THREADS; i++)
		if (ring[i].ev == ev)
			return &ring[i];
	demand(!"a context of the ring");
	return NULL;
}

static void leave(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct member *member = member_of(ev);

	(void)data;
	/* The last one finds the door of the first closed. */
	if (talev_thread_proxy_schedule(member->next, &im, leave, NULL) != 0)
		demand(errno == ESHUTDOWN);
	TALLOC_FREE(member->door);
}

static void pass_on(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct member *member = member_of(ev);
	struct token *token = talloc_get_type_abort(data, struct token);

	member->passed++;
	if (token->hops-- > 0) {
		demand(talev_thread_proxy_schedule(member->next, &im, pass_on, &token) == 0);
		return;
	}
	if (atomic_fetch_sub(&tokens_left, 1) == 1)
		demand(talev_thread_proxy_schedule(member->next, &im, leave, NULL) == 0);
}

static void *run_member(void *arg)
{
	struct member *member = arg;

	demand(talev_loop_wait(member->ev) == 0);
	return NULL;
}

static void half_a_million_messages_in_a_ring(void **state)
{
	unsigned hops = scaled(500000, 32000) / (4 * THREADS);
	unsigned passed = 0;
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		ring[i].passed = 0;
		ring[i].ev = context();
		ring[i].door = talev_thread_proxy_create(ring[i].ev, NULL);
	}
	tokens_left = 4 * THREADS;
	for (int i = 0; i < THREADS; i++) {
		ring[i].next = talev_thread_proxy_attach(ring[i].ev, ring[(i + 1) % THREADS].door);
		for (int k = 0; k < 4; k++) {
			struct talev_immediate *im = immediate(NULL);
			struct token *token = talloc_zero(NULL, struct token);

			token->hops = hops - 1;
			assert_ok(talev_thread_proxy_schedule(ring[i].door, &im, pass_on, &token));
		}
	}
	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_start(run_member, &ring[i]);
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	for (int i = 0; i < THREADS; i++) {
		passed += ring[i].passed;
		talloc_free(ring[i].ev);
	}
	assert_int_equal(passed, hops * 4 * THREADS);
}

/* Loops that come and go, and senders that take whatever door is open. */
#define DOORS 4

struct door {
	pthread_mutex_t lock; /* of handle and its tree */
	struct talev_thread_proxy *handle;
	unsigned loops;
};

static struct door doors[DOORS];
static atomic_bool closing_time;
static atomic_uint sent, handled, lost, refused, freed;

static int count_freed(struct token *token)
{
	(void)token;
	freed++;
	return 0;
}

static void count_handled(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	(void)ev;
	(void)im;
	(void)data;
	handled++;
}

static void count_lost(void *data, void *private_data)
{
	(void)data;
	(void)private_data;
	lost++;
}

static void open_door(struct door *door, struct talev_thread_proxy *tp)
{
	pthread_mutex_lock(&door->lock);
	talloc_free(door->handle);
	door->handle = talev_thread_proxy_attach(NULL, tp);
	pthread_mutex_unlock(&door->lock);
}

static void *come_and_go(void *arg)
{
	struct door *door = arg;

	for (unsigned i = 0; i < door->loops; i++) {
		struct talev_context *ev = context();
		struct talev_thread_proxy *tp = talev_thread_proxy_create(ev, NULL);

		open_door(door, tp);
		for (int turn = 0; turn < 20; turn++)
			(void)talev_loop_nowait(ev);
		if (i % 2 == 0)
			talloc_free(tp);
		talloc_free(ev);
	}
	return NULL;
}

static struct talev_thread_proxy *knock(struct door *door, TALLOC_CTX *mine)
{
	struct talev_thread_proxy *handle = NULL;

	pthread_mutex_lock(&door->lock);
	if (door->handle != NULL)
		handle = talev_thread_proxy_attach(mine, door->handle);
	pthread_mutex_unlock(&door->lock);
	if (handle != NULL)
		demand(talev_thread_proxy_set_lost_fn(handle, count_lost, NULL) == 0);
	return handle;
}

static bool send_through(struct talev_thread_proxy *handle, TALLOC_CTX *mine)
{
	struct talev_immediate *im = immediate(mine);
	struct token *token = talloc_zero(mine, struct token);

	talloc_set_destructor(token, count_freed);
	if (talev_thread_proxy_schedule(handle, &im, count_handled, &token) == 0) {
		sent++;
		return true;
	}
	demand(errno == ESHUTDOWN);
	refused++;
	talloc_free(im);
	talloc_free(token);
	return false;
}

static void *send_wherever_it_goes(void *arg)
{
	TALLOC_CTX *mine = talloc_new(NULL);
	unsigned door = *(unsigned *)arg;

	while (!closing_time) {
		struct talev_thread_proxy *handle = knock(&doors[door++ % DOORS], mine);

		for (int i = 0; handle != NULL && i < 20 && send_through(handle, mine); i++)
			;
		talloc_free(handle);
		sched_yield();
	}
	talloc_free(mine);
	return NULL;
}

static void loops_come_and_go_while_others_send(void **state)
{
	pthread_t owners[DOORS];
	pthread_t senders[THREADS];
	unsigned first[THREADS];

	(void)state;
	sent = handled = lost = refused = freed = 0;
	closing_time = false;
	test_watchdog(__func__, __location__);
	for (int i = 0; i < DOORS; i++) {
		doors[i] = (struct door){.loops = scaled(2000, 200)};
		pthread_mutex_init(&doors[i].lock, NULL);
		owners[i] = thread_start(come_and_go, &doors[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		first[i] = i;
		senders[i] = thread_start(send_wherever_it_goes, &first[i]);
	}
	for (int i = 0; i < DOORS; i++)
		thread_join(owners[i]);
	closing_time = true;
	for (int i = 0; i < THREADS; i++)
		thread_join(senders[i]);
	for (int i = 0; i < DOORS; i++)
		talloc_free(doors[i].handle);
	assert_int_equal(handled + lost, sent);
	assert_int_equal(freed, sent + refused);
}

/* Storms of cancel, wait and finalize against a source that runs again and again. */
#define ATTACKERS 4

struct storm {
	struct thing *thing;
	struct talev_ref *ref;
	unsigned round;
	atomic_bool running;
	atomic_bool waited; /* somebody has waited: the handler never starts again */
	atomic_uint finalized;
	atomic_uint accepted; /* calls of talev_ref_finalize() */
	bool memory;
	atomic_bool over;
	sem_t start[ATTACKERS];
	sem_t done;
};

struct attacker {
	struct storm *storm;
	unsigned index;
};

static void be_attacked(struct thing *thing)
{
	struct storm *storm = thing->arg;

	demand(!storm->waited);
	storm->running = true;
	if (storm->round % 3 == 0)
		sched_yield();
	if (thing->kind == KIND_TIMER) {
		/* Else it would be over after the first time. */
		talev_update_timer(thing->source, TALEV_NEVER - 1);
	}
	demand(!storm->waited);
	storm->running = false;
}

static void count_end(struct talev_context *ev, void *arg)
{
	struct storm *storm = arg;

	(void)ev;
	demand(!storm->running);
	storm->finalized++;
}

static int memory_goes(struct storm **where)
{
	demand(!(*where)->running);
	(*where)->memory = false;
	return 0;
}

static void attack(struct storm *storm, unsigned how)
{
	switch (how % 4) {
	case 0:
		demand(talev_ref_cancel_wait(storm->ref) == 0);
		demand(!storm->running);
		storm->waited = true;
		break;
	case 1:
		if (talev_ref_cancel(storm->ref) != TALEV_REF_RUNNING)
			demand(!storm->running);
		break;
	case 2:
		if (talev_ref_finalize(storm->ref, 0, count_end, storm) == 0)
			storm->accepted++;
		else
			demand(errno == EALREADY);
		break;
	default:
		while (talev_ref_get_status(storm->ref) == TALEV_REF_IDLE)
			sched_yield();
		break;
	}
}

static void *attack_each_round(void *arg)
{
	struct attacker *attacker = arg;
	struct storm *storm = attacker->storm;

	for (;;) {
		gate_wait(&storm->start[attacker->index]);
		if (storm->over)
			return NULL;
		for (unsigned i = 0; i < (attacker->index + storm->round) % 5; i++)
			sched_yield();
		attack(storm, attacker->index + storm->round);
		gate_open(&storm->done);
	}
}

static void watch_memory(struct storm *storm)
{
	struct storm **child = talloc_zero(storm->thing->source, struct storm *);

	*child = storm;
	storm->memory = true;
	talloc_set_destructor(child, memory_goes);
}

static void run_round(struct talev_context *ev, struct storm *storm)
{
	unsigned done = 0;
	bool fired = false;

	test_watchdog(__func__, __location__);
	for (int i = 0; i < ATTACKERS; i++)
		gate_open(&storm->start[i]);
	while (done < ATTACKERS || storm->memory) {
		while (sem_trywait(&storm->done) == 0)
			done++;
		if (storm->memory && talev_source_get_state(storm->thing->source) == TALEV_LIVE &&
			!(fired && storm->thing->kind == KIND_CHILD)) {
			kind_fire(storm->thing);
			fired = true;
		}
		(void)talev_loop_nowait(ev);
	}
}

static void cancel_and_finalize_while_it_runs(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct storm storm = {.round = 0};
	struct attacker attackers[ATTACKERS];
	pthread_t threads[ATTACKERS];
	unsigned rounds = scaled(500, 60);

	if (kind_of_test() == KIND_CHILD)
		rounds = scaled(60, 10);
	assert_ok(sem_init(&storm.done, 0, 0));
	for (unsigned i = 0; i < ATTACKERS; i++) {
		assert_ok(sem_init(&storm.start[i], 0, 0));
		attackers[i] = (struct attacker){&storm, i};
		threads[i] = thread_start(attack_each_round, &attackers[i]);
	}
	for (storm.round = 0; storm.round < rounds; storm.round++) {
		storm.thing = kind_add(kind_of_test(), ev, NULL, be_attacked, &storm);
		assert_ok(talev_source_set_finalizer(
			storm.thing->source, 0, count_finalizer, storm.thing));
		watch_memory(&storm);
		storm.ref = talev_ref_create(ev, *state, storm.thing->source);
		assert_non_null(storm.ref);
		run_round(ev, &storm);
		assert_int_equal(storm.accepted, 1);
		assert_int_equal(storm.finalized, 1);
		assert_int_equal(storm.thing->finalized, 1);
		assert_int_equal(talev_ref_get_status(storm.ref), TALEV_REF_GONE);
		talloc_free(storm.ref);
		talloc_free(storm.thing);
		storm.waited = false;
		storm.accepted = storm.finalized = 0;
	}
	storm.over = true;
	for (unsigned i = 0; i < ATTACKERS; i++) {
		gate_open(&storm.start[i]);
		thread_join(threads[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(half_a_million_messages_to_one_loop),
		TEST(half_a_million_messages_in_a_ring),
		TEST(loops_come_and_go_while_others_send),
		EACH_KIND(cancel_and_finalize_while_it_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
