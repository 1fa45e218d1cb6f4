/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the thread rows of two libraries have in common: arguments, the clock, and a bound on what
 * may be on its way, so that the memory of neither decides.
 *
 * PROGRAM proxy|threaded SENDERS MESSAGES: prints messages per second.
 * PROGRAM pingpong 1 TRIPS: prints nanoseconds for one round trip.
 */
#ifndef BENCH_THREAD_ROWS_H
#define BENCH_THREAD_ROWS_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SENDERS 64
#define WINDOW  4096 /* messages of one sender that may be on their way */
#define PAYLOAD 64
/* More than a window, since the last one received is still in its handler. */
#define IMMEDIATES (WINDOW + 1)

/* What the one side writes is not beside what the other reads: the rows measure the libraries. */
struct sender {
	_Alignas(128) pthread_t thread;
	unsigned long count;
	unsigned long room; /* up to here it may send without looking */
	void *door;
	void **immediates;                   /* threaded: IMMEDIATES of them, used in turn */
	_Alignas(128) atomic_ulong received; /* counted by the receiver */
};

static struct sender senders[SENDERS];
static unsigned long total;
static unsigned long all_received;
static atomic_bool go;

static inline double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static inline void need(bool condition)
{
	if (!condition)
		abort();
}

static inline void wait_for_start(void)
{
	while (!atomic_load(&go))
		sched_yield();
}

/* Not more than a window behind. Sleeps: the receiver needs the processor that a sender would spin
 * on, and has more to do than this lasts. */
static inline void wait_for_room(struct sender *sender, unsigned long sent)
{
	static const struct timespec pause = {.tv_nsec = 50000};

	while (sent >= sender->room) {
		sender->room =
			WINDOW + atomic_load_explicit(&sender->received, memory_order_acquire);
		if (sent >= sender->room)
			nanosleep(&pause, NULL);
	}
}

static inline void count_received(struct sender *sender)
{
	unsigned long n = atomic_load_explicit(&sender->received, memory_order_relaxed);

	atomic_store_explicit(&sender->received, n + 1, memory_order_release);
	all_received++;
}

static double send_by_proxies(unsigned n);
static double send_by_immediates(unsigned n);
static double play_pingpong(unsigned long trips);

static double run_threads(unsigned n, void *(*fn)(void *arg), void (*loop)(void))
{
	double start;

	for (unsigned i = 0; i < n; i++) {
		senders[i].count = total / n;
		need(pthread_create(&senders[i].thread, NULL, fn, &senders[i]) == 0);
	}
	total = total / n * n;
	start = seconds();
	atomic_store(&go, true);
	loop();
	start = seconds() - start;
	for (unsigned i = 0; i < n; i++)
		need(pthread_join(senders[i].thread, NULL) == 0);
	return start;
}

int main(int argc, char **argv)
{
	const char *row = argc > 1 ? argv[1] : "proxy";
	unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;

	total = argc > 3 ? strtoul(argv[3], NULL, 10) : 1000000;
	need(n >= 1 && n <= SENDERS && total >= n);
	if (strcmp(row, "proxy") == 0)
		printf("%.0f\n", (double)total / send_by_proxies(n));
	else if (strcmp(row, "threaded") == 0)
		printf("%.0f\n", (double)total / send_by_immediates(n));
	else if (strcmp(row, "pingpong") == 0)
		printf("%.0f\n", play_pingpong(total) / (double)total * 1e9);
	else
		return 2;
	return 0;
}

#endif
