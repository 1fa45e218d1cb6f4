/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows of bench_thread.c with tevent. See thread_rows.h. */
#include <talloc.h>
#include <tevent.h>
#include "bench/thread_rows.h"

static struct tevent_context *ev;

struct load {
	struct sender *sender;
	char payload[PAYLOAD];
};

static struct tevent_context *context(void)
{
	struct tevent_context *made = tevent_context_init(NULL);

	need(made != NULL);
	return made;
}

static struct tevent_immediate *immediate(TALLOC_CTX *mem_ctx)
{
	struct tevent_immediate *im = tevent_create_immediate(mem_ctx);

	need(im != NULL);
	return im;
}

static void loop(void)
{
	while (all_received < total)
		need(tevent_loop_once(ev) == 0);
}

static void receive(struct tevent_context *dest, struct tevent_immediate *im, void *data)
{
	struct load *load = data;

	(void)dest;
	(void)im;
	count_received(load->sender);
}

static void *send_loads(void *arg)
{
	struct sender *sender = arg;
	TALLOC_CTX *mine = talloc_new(NULL);

	wait_for_start();
	for (unsigned long i = 0; i < sender->count; i++) {
		struct tevent_immediate *im = immediate(mine);
		struct load *load = talloc(mine, struct load);

		need(load != NULL);
		load->sender = sender;
		wait_for_room(sender, i);
		tevent_thread_proxy_schedule(sender->door, &im, receive, &load);
		need(im == NULL);
	}
	talloc_free(mine);
	return NULL;
}

static double send_by_proxies(unsigned n)
{
	struct tevent_thread_proxy *tp;

	ev = context();
	tp = tevent_thread_proxy_create(ev);
	need(tp != NULL);
	for (unsigned i = 0; i < n; i++)
		senders[i].door = tp;
	return run_threads(n, send_loads, loop);
}

static void report(struct tevent_context *dest, struct tevent_immediate *im, void *arg)
{
	(void)dest;
	(void)im;
	count_received(arg);
}

static void *send_reports(void *arg)
{
	struct sender *sender = arg;

	wait_for_start();
	for (unsigned long i = 0; i < sender->count; i++) {
		struct tevent_immediate *im = sender->immediates[i % IMMEDIATES];

		wait_for_room(sender, i);
		tevent_threaded_schedule_immediate(sender->door, im, report, sender);
	}
	return NULL;
}

static double send_by_immediates(unsigned n)
{
	ev = context();
	for (unsigned i = 0; i < n; i++) {
		senders[i].door = tevent_threaded_context_create(ev, ev);
		need(senders[i].door != NULL);
		senders[i].immediates = talloc_array(ev, void *, IMMEDIATES);
		for (unsigned k = 0; k < IMMEDIATES; k++)
			senders[i].immediates[k] = immediate(ev);
	}
	return run_threads(n, send_reports, loop);
}

/* Two loops, and one message that both send back from its handler. */
struct ball {
	struct tevent_thread_proxy *doors[2];
	unsigned at;
	unsigned long hops;
};

static atomic_bool over;

static void hit(struct tevent_context *dest, struct tevent_immediate *im, void *data)
{
	struct ball *ball = data;

	(void)dest;
	if (ball->hops-- == 0)
		atomic_store(&over, true);
	ball->at = !ball->at;
	tevent_thread_proxy_schedule(ball->doors[ball->at], &im, hit, &ball);
}

static void *play(void *arg)
{
	while (!atomic_load(&over))
		need(tevent_loop_once(arg) == 0);
	return NULL;
}

static double play_pingpong(unsigned long trips)
{
	struct tevent_context *other = context();
	struct tevent_immediate *im = immediate(NULL);
	struct ball *ball = talloc_zero(NULL, struct ball);
	pthread_t thread;
	double start;

	ev = context();
	ball->doors[0] = tevent_thread_proxy_create(ev);
	ball->doors[1] = tevent_thread_proxy_create(other);
	ball->hops = 2 * trips;
	need(pthread_create(&thread, NULL, play, other) == 0);
	start = seconds();
	tevent_thread_proxy_schedule(ball->doors[0], &im, hit, &ball);
	play(ev);
	start = seconds() - start;
	need(pthread_join(thread, NULL) == 0);
	return start;
}
