/* SPDX-License-Identifier: BSD-2-Clause */
/* P11 to P13: messages between threads. See thread_rows.h. */
#include <talloc.h>
#include <talev.h>
#include "bench/thread_rows.h"

static struct talev_context *ev;

struct load {
	struct sender *sender;
	char payload[PAYLOAD];
};

static struct talev_context *context(void)
{
	struct talev_context *made = talev_context_init(NULL);

	need(made != NULL);
	return made;
}

static struct talev_immediate *immediate(TALLOC_CTX *mem_ctx)
{
	struct talev_immediate *im = talev_create_immediate(mem_ctx);

	need(im != NULL);
	return im;
}

static void loop(void)
{
	while (all_received < total)
		need(talev_loop_once(ev) == 0);
}

static void receive(struct talev_context *dest, struct talev_immediate *im, void *data)
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
	/* Each thread has a handle of its own; tevent has no such thing. */
	struct talev_thread_proxy *handle = talev_thread_proxy_attach(mine, sender->door);

	need(handle != NULL);
	wait_for_start();
	for (unsigned long i = 0; i < sender->count; i++) {
		struct talev_immediate *im = immediate(mine);
		struct load *load = talloc(mine, struct load);

		need(load != NULL);
		load->sender = sender;
		wait_for_room(sender, i);
		talev_thread_proxy_schedule(handle, &im, receive, &load);
		need(im == NULL);
	}
	talloc_free(mine);
	return NULL;
}

static double send_by_proxies(unsigned n)
{
	struct talev_thread_proxy *tp;

	ev = context();
	tp = talev_thread_proxy_create(ev, NULL);
	need(tp != NULL);
	for (unsigned i = 0; i < n; i++)
		senders[i].door = tp;
	return run_threads(n, send_loads, loop);
}

static void report(struct talev_context *dest, struct talev_immediate *im, void *arg)
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
		struct talev_immediate *im = sender->immediates[i % IMMEDIATES];

		wait_for_room(sender, i);
		talev_threaded_schedule_immediate(sender->door, im, report, sender);
	}
	return NULL;
}

static double send_by_immediates(unsigned n)
{
	ev = context();
	for (unsigned i = 0; i < n; i++) {
		senders[i].door = talev_threaded_context_create(ev, NULL);
		need(senders[i].door != NULL);
		senders[i].immediates = talloc_array(ev, void *, IMMEDIATES);
		for (unsigned k = 0; k < IMMEDIATES; k++)
			senders[i].immediates[k] = immediate(ev);
	}
	return run_threads(n, send_reports, loop);
}

/* Two loops, and one message that both send back from its handler. */
struct ball {
	struct talev_thread_proxy *doors[2];
	unsigned at;
	unsigned long hops;
};

static atomic_bool over;

static void hit(struct talev_context *dest, struct talev_immediate *im, void *data)
{
	struct ball *ball = data;

	(void)dest;
	if (ball->hops-- == 0)
		atomic_store(&over, true);
	ball->at = !ball->at;
	talev_thread_proxy_schedule(ball->doors[ball->at], &im, hit, &ball);
}

static void *play(void *arg)
{
	while (!atomic_load(&over))
		need(talev_loop_once(arg) == 0);
	return NULL;
}

static double play_pingpong(unsigned long trips)
{
	struct talev_context *other = context();
	struct talev_immediate *im = immediate(NULL);
	struct ball *ball = talloc_zero(NULL, struct ball);
	pthread_t thread;
	double start;

	ev = context();
	ball->doors[0] = talev_thread_proxy_create(ev, NULL);
	ball->doors[1] = talev_thread_proxy_create(other, NULL);
	ball->hops = 2 * trips;
	need(pthread_create(&thread, NULL, play, other) == 0);
	start = seconds();
	talev_thread_proxy_schedule(ball->doors[0], &im, hit, &ball);
	play(ev);
	start = seconds() - start;
	need(pthread_join(thread, NULL) == 0);
	return start;
}
