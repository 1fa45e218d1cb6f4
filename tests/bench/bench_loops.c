/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * P11 and P12 with loop managers: calls from other threads to one loop. And `start LOOPS ROUNDS`:
 * microseconds for making, running and ending so many loops.
 */
#include <talloc.h>
#include <talev.h>
#include "bench/bench.h"
#include "bench/threads.h"

static struct talev_loops *loops;

/* A bare call does not tell who has sent it: each sender is told the mean. */
static void on_call(struct talev_loop *loop, void *data)
{
	(void)data;
	if (++all_received % (WINDOW / 16) == 0)
		for (unsigned i = 0; i < arg[1]; i++)
			atomic_store_explicit(
				&senders[i].received, all_received / arg[1], memory_order_release);
	if (all_received == to_receive)
		talev_loops_shutdown(talev_loop_loops(loop));
}

static void *send_calls(void *p)
{
	struct sender *sender = p;

	wait_for_start();
	for (uint64_t i = 0; i < sender->count; i++) {
		wait_for_room(sender, i);
		need(talev_async_run(sender->door, on_call, NULL) == 0);
	}
	return NULL;
}

struct load {
	struct sender *sender;
	char payload[PAYLOAD];
};

static void on_load(struct talev_loop *loop, void *data)
{
	struct load *load = data;

	if (count_received(load->sender))
		talev_loops_shutdown(talev_loop_loops(loop));
}

static void *send_loads(void *p)
{
	struct sender *sender = p;
	TALLOC_CTX *mine = talloc_new(NULL);

	wait_for_start();
	for (uint64_t i = 0; i < sender->count; i++) {
		struct load *load = talloc(mine, struct load);

		need(load != NULL);
		load->sender = sender;
		wait_for_room(sender, i);
		need(talev_async_run(sender->door, on_load, &load) == 0);
	}
	talloc_free(mine);
	return NULL;
}

static void receive(void *(*send)(void *sender))
{
	make_senders();
	loops = talev_loops_create(NULL, "bench", 1);
	need(loops != NULL);
	for (unsigned i = 0; i < arg[1]; i++)
		senders[i].door = talev_loops_main(loops);
	start_senders(send);
	need(talev_loops_run(loops) == 0);
	end_senders();
	talloc_free(loops);
}

static void messages_row(void)
{
	receive(send_calls);
}

static void loads_row(void)
{
	receive(send_loads);
}

static void on_start(struct talev_loop *loop, void *unused)
{
	(void)unused;
	talev_loops_shutdown(talev_loop_loops(loop));
}

static void start_row(void)
{
	begin();
	for (uint64_t i = 0; i < arg[1]; i++) {
		struct talev_loops *made = talev_loops_create(NULL, "bench", (unsigned)arg[0]);

		need(made != NULL);
		need(talev_loop_setup(talev_loops_main(made), on_start, NULL) == 0);
		need(talev_loops_run(made) == 0);
		talloc_free(made);
	}
	end();
	tell("us", (double)section.wall / (double)arg[1] / 1000);
	tell("count", (double)arg[1]);
}

static const struct row rows[] = {
	{"messages", messages_row},
	{"loads", loads_row},
	{"start", start_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	talloc_disable_null_tracking();
	return bench_main(argc, argv, rows);
}
