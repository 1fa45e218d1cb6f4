/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * P11 and P12 with loop managers: calls from other threads to one loop.
 *
 * bench_loops bare|data SENDERS CALLS: prints calls per second.
 * bench_loops start LOOPS ROUNDS: prints microseconds for making, running, ending so many loops.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <talloc.h>
#include <talev.h>

#define MOST    64
#define WINDOW  65536 /* calls of one sender that may be on their way */
#define PAYLOAD 64

static struct talev_loops *loops;
static unsigned senders;
static unsigned long each;
static unsigned long received;
static atomic_ulong seen; /* received, as the senders see it */
static atomic_bool go;

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void need(bool condition)
{
	if (!condition)
		abort();
}

static void receive(struct talev_loop *loop, void *data)
{
	(void)loop;
	(void)data;
	received++;
	if (received % 1024 != 0 && received != senders * each)
		return;
	atomic_store_explicit(&seen, received, memory_order_relaxed);
	if (received == senders * each)
		talev_loops_shutdown(loops);
}

static void wait_for_room(unsigned long sent)
{
	while (sent > WINDOW + atomic_load_explicit(&seen, memory_order_relaxed) / senders)
		sched_yield();
}

static void *send_bare(void *arg)
{
	struct talev_loop *loop = arg;

	while (!atomic_load(&go))
		sched_yield();
	for (unsigned long i = 0; i < each; i++) {
		if (i % 1024 == 0)
			wait_for_room(i);
		need(talev_async_run(loop, receive, NULL) == 0);
	}
	return NULL;
}

static void *send_data(void *arg)
{
	struct talev_loop *loop = arg;

	while (!atomic_load(&go))
		sched_yield();
	for (unsigned long i = 0; i < each; i++) {
		void *data = talloc_size(NULL, PAYLOAD);

		if (i % 1024 == 0)
			wait_for_room(i);
		need(data != NULL && talev_async_run(loop, receive, &data) == 0);
	}
	return NULL;
}

static void begin(struct talev_loop *loop, void *private_data)
{
	(void)loop;
	*(double *)private_data = seconds();
	atomic_store(&go, true);
}

static double send_calls(void *(*fn)(void *arg))
{
	pthread_t threads[MOST];
	double started = 0;
	double spent;

	loops = talev_loops_create(NULL, "bench", 1);
	need(loops != NULL);
	need(talev_loops_setup(loops, begin, &started) == 0);
	for (unsigned i = 0; i < senders; i++)
		need(pthread_create(&threads[i], NULL, fn, talev_loops_main(loops)) == 0);
	need(talev_loops_run(loops) == 0);
	spent = seconds() - started;
	for (unsigned i = 0; i < senders; i++)
		pthread_join(threads[i], NULL);
	need(received == senders * each);
	talloc_free(loops);
	return (double)(senders * each) / spent;
}

static void end(struct talev_loop *loop, void *data)
{
	(void)data;
	talev_loops_shutdown(talev_loop_loops(loop));
}

static double start_and_stop(unsigned n, unsigned long rounds)
{
	double started = seconds();

	for (unsigned long i = 0; i < rounds; i++) {
		struct talev_loops *made = talev_loops_create(NULL, "bench", n);

		need(made != NULL);
		need(talev_loop_setup(talev_loops_main(made), end, NULL) == 0);
		need(talev_loops_run(made) == 0);
		talloc_free(made);
	}
	return (seconds() - started) / (double)rounds * 1e6;
}

int main(int argc, char **argv)
{
	unsigned long n = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;

	senders = argc == 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	if (senders < 1 || senders > MOST || n == 0) {
		fprintf(stderr, "usage: %s bare|data SENDERS CALLS\n       %s start LOOPS ROUNDS\n",
			argv[0], argv[0]);
		return 2;
	}
	each = n / senders;
	talloc_disable_null_tracking();
	if (strcmp(argv[1], "start") == 0)
		printf("%.1f\n", start_and_stop(senders, n));
	else
		printf("%.0f\n", send_calls(strcmp(argv[1], "data") == 0 ? send_data : send_bare));
	return 0;
}
