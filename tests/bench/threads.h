/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * P11 to P13: messages from arg[1] threads to a loop, arg[0] in all, and one message that goes to
 * and fro between two loops. A bound on what may be on its way keeps the memory of a library from
 * deciding. Libraries that wake a loop, and leave it to their user what to say, are given a queue
 * without locks, and are woken only when it was empty.
 *
 * arg[2]: each sender rests between its messages, for so many ns on average, and what is measured
 * is how long each message is on its way.
 */
#ifndef BENCH_THREADS_H
#define BENCH_THREADS_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include "bench/bench.h"

#define SENDERS 64
#define WINDOW  4096 /* messages of one sender that may be on their way */
#define PAYLOAD 64
/* More than a window, since the last one received is still in its handler. */
#define MESSAGES (WINDOW + 1)

struct sender;

struct message {
	struct message *next;
	struct sender *sender;
};

struct sender {
	pthread_t thread;
	uint64_t count;
	uint64_t seen;                      /* of received */
	_Alignas(64) atomic_ulong received; /* told by the receiver, now and then */
	uint64_t counted;                   /* by the receiver */
	_Alignas(64) void *door;
	void **immediates; /* MESSAGES of them, used in turn */
	struct message messages[MESSAGES];
	unsigned seed;
	int64_t sent[MESSAGES]; /* at that moment */
};

static struct sender *senders;
static uint64_t all_received, to_receive;
/* How long each message took, if that is measured. Senders look whether it is: not on a line with
 * what the receiver counts. */
static struct {
	_Alignas(64) int64_t *of;
} ways;
static atomic_bool go;

static inline void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static inline void make_senders(void)
{
	need(arg[1] >= 1 && arg[1] <= SENDERS && arg[0] >= arg[1]);
	senders = aligned_alloc(64, arg[1] * sizeof(*senders));
	need(senders != NULL);
	memset(senders, 0, arg[1] * sizeof(*senders));
	to_receive = arg[0] / arg[1] * arg[1];
	for (unsigned i = 0; i < arg[1]; i++)
		senders[i].seed = i + 1;
	if (arg[2] > 0)
		ways.of = take(to_receive * sizeof(*ways.of));
}

/* The receiver has one core, they have the other. */
static inline void start_senders(void *(*send)(void *sender))
{
	if (arg[1] == 1)
		on_cpu(1);
	for (unsigned i = 0; i < arg[1]; i++) {
		senders[i].count = arg[0] / arg[1];
		need(pthread_create(&senders[i].thread, NULL, send, &senders[i]) == 0);
	}
	if (arg[1] == 1)
		on_cpu(0);
	begin();
	atomic_store(&go, true);
}

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
	__asm__ volatile("yield");
#endif
}

static inline void wait_for_start(void)
{
	while (!atomic_load(&go))
		sched_yield();
}

/* Some 20 us. Then others may have the core; before that, it would go to the driver's spinner, for
 * as long as a time slice is. */
#define LOOKS  16
#define PAUSES 16

/* So that senders do not keep step with each other. */
static inline void rest(struct sender *sender)
{
	struct timespec pause = {0, (long)((uint64_t)rand_r(&sender->seed) % (2 * arg[2]))};

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* Not more than a window behind; to be called just before a message is sent. */
static inline void wait_for_room(struct sender *sender, uint64_t sent)
{
	if (ways.of != NULL) {
		rest(sender);
		sender->sent[sent % MESSAGES] = nanoseconds();
		return;
	}
	for (unsigned looks = 1; sent >= sender->seen + WINDOW; looks++) {
		sender->seen = atomic_load_explicit(&sender->received, memory_order_acquire);
		if (sent < sender->seen + WINDOW)
			return;
		for (int i = 0; i < PAUSES; i++)
			pause_cpu();
		if (looks % LOOKS == 0)
			sched_yield();
	}
}

/* True: it was the last of all. Messages of one sender come in their order. */
static inline bool count_received(struct sender *sender)
{
	if (ways.of != NULL) {
		need(sender->counted < sender->count);
		ways.of[all_received] = nanoseconds() - sender->sent[sender->counted % MESSAGES];
	}
	if (++sender->counted % (WINDOW / 16) == 0)
		atomic_store_explicit(&sender->received, sender->counted, memory_order_release);
	return ++all_received == to_receive;
}

static inline void end_senders(void)
{
	end();
	for (unsigned i = 0; i < arg[1]; i++)
		need(pthread_join(senders[i].thread, NULL) == 0);
	tell("rate", (double)to_receive / (double)section.wall * 1e9);
	tell("count", (double)all_received);
	if (ways.of != NULL)
		tell_quantiles(ways.of, all_received);
}

static _Alignas(64) struct message *_Atomic queue;
static void (*wake_receiver)(void);

static inline void *send_by_queue(void *arg_)
{
	struct sender *sender = arg_;

	wait_for_start();
	for (uint64_t i = 0; i < sender->count; i++) {
		struct message *m = &sender->messages[i % MESSAGES];
		struct message *head;

		wait_for_room(sender, i);
		m->sender = sender;
		head = atomic_load_explicit(&queue, memory_order_relaxed);
		do
			m->next = head;
		while (!atomic_compare_exchange_weak_explicit(
			&queue, &head, m, memory_order_release, memory_order_relaxed));
		if (head == NULL)
			wake_receiver();
	}
	return NULL;
}

/* Takes what is there in the order in which it was sent. True: that was all. */
static inline bool receive_queue(void)
{
	struct message *m = atomic_exchange_explicit(&queue, NULL, memory_order_acquire);
	struct message *first = NULL;
	bool over = false;

	while (m) {
		struct message *next = m->next;

		m->next = first;
		first = m;
		m = next;
	}
	while (first) {
		struct message *next = first->next;

		over = count_received(first->sender);
		first = next;
	}
	return over;
}

/* ---- the message to and fro; arg[0] round trips */

static uint64_t hops;
static atomic_bool hops_over;

static inline void *other_loop(void *(*loop)(void *arg), void *arg_)
{
	static pthread_t thread;

	hops = 2 * arg[0];
	on_cpu(1);
	need(pthread_create(&thread, NULL, loop, arg_) == 0);
	on_cpu(0);
	begin();
	return &thread;
}

/* The message has come. False: it was the last time; it goes on once more, to end the other loop.
 */
static inline bool hop(void)
{
	if (hops == 0 || --hops == 0)
		atomic_store(&hops_over, true);
	return !atomic_load(&hops_over);
}

static inline void end_hops(void *thread)
{
	end();
	need(pthread_join(*(pthread_t *)thread, NULL) == 0);
	tell("ns", (double)section.wall / (double)arg[0]);
	tell("count", (double)arg[0]);
}

#endif
