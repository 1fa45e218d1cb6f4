/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs of the benchmark have in common: PROGRAM VARIANT ROW [NUMBER...] runs one row
 * with one library and prints a line "name value" for each thing that it found. The work itself
 * (the read, the write, the random delay, the checks) is here, so that all do the same; what a
 * program adds is its library's way to wait for it.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION (void)0
#define CALLGRIND_STOP_INSTRUMENTATION  (void)0
#endif

#define NS_PER_S  1000000000
#define NOT_THERE 77 /* exit status: this library has no such row or variant */

struct row {
	const char *name;
	void (*run)(void);
};

static const char *variant;
static uint64_t arg[4]; /* the numbers of the command line */

static inline void need_at(bool condition, const char *what, int line)
{
	if (!condition) {
		fprintf(stderr, "line %d: %s: %s\n", line, what, strerror(errno));
		_exit(1);
	}
}
#define need(condition) need_at(condition, #condition, __LINE__)

static inline int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static inline int64_t nanoseconds(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static inline void tell(const char *name, double value)
{
	printf("%s %.3f\n", name, value);
}

/* What is between begin() and end() is measured: the clock, this thread's share of its CPU, and
 * under callgrind the instructions. Sections add up, which tells how disturbed they were. */
static struct section {
	int64_t wall, cpu;
} section, sections;
static bool rehearsal; /* the first time round, which does not count */

static inline void begin(void)
{
	section.cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	section.wall = nanoseconds();
	if (!rehearsal)
		CALLGRIND_START_INSTRUMENTATION;
}

static inline double end(void)
{
	CALLGRIND_STOP_INSTRUMENTATION;
	section.wall = nanoseconds() - section.wall;
	section.cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - section.cpu;
	if (rehearsal)
		return 0;
	sections.wall += section.wall;
	sections.cpu += section.cpu;
	return (double)section.cpu;
}

static inline void *take(size_t size)
{
	void *p = malloc(size);

	need(p != NULL);
	return p;
}

static inline int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Sorts them. */
static inline void tell_quantiles(int64_t *times, uint64_t n)
{
	qsort(times, n, sizeof(*times), by_value);
	tell("p50", (double)times[n / 2]);
	tell("p99", (double)times[n - 1 - n / 100]);
	tell("p999", (double)times[n - 1 - n / 1000]);
}

/* ---- P1 to P4: bytes that are passed on through pipes */

static int (*pipes)[2];
static unsigned n_pipes, active, writes;
static uint64_t rounds, events, writes_left, round_events;

/* The descriptors of n pipes, nonblocking. Numbers: pipes, active ones, writes, rounds. */
static inline void make_pipes(void)
{
	n_pipes = (unsigned)arg[0];
	active = (unsigned)arg[1];
	writes = (unsigned)arg[2];
	rounds = arg[3];
	pipes = calloc(n_pipes, sizeof(*pipes));
	need(pipes != NULL);
	for (unsigned i = 0; i < n_pipes; i++)
		need(pipe2(pipes[i], O_NONBLOCK | O_CLOEXEC) == 0);
}

static inline void send_byte(unsigned i)
{
	need(write(pipes[i][1], "x", 1) == 1);
}

static inline void start_round(void)
{
	writes_left = writes;
	round_events = 0;
	for (unsigned i = 0; i < active; i++)
		send_byte(i * (n_pipes / active));
}

/* Pipe i is readable: empties it and passes on what it had while there are writes left. True when
 * all rounds are over. The first round is a rehearsal. */
static inline bool pass_on(unsigned i)
{
	char bytes[16];
	ssize_t n = read(pipes[i][0], bytes, sizeof(bytes));

	need(n > 0);
	for (ssize_t k = 0; k < n; k++) {
		need(bytes[k] == 'x');
		round_events++;
		if (writes_left > 0) {
			writes_left--;
			send_byte(i + 1 == n_pipes ? 0 : i + 1);
		}
	}
	if (round_events < active + writes)
		return false;
	need(round_events == active + writes);
	if (section.wall == 0)
		begin();
	else
		events += round_events;
	if (rounds-- == 0) {
		tell("ns", end() / (double)events);
		tell("count", (double)events);
		return true;
	}
	start_round();
	return false;
}

/* ---- P5 to P7: timers */

static uint64_t seed = 88172645463325252u;

static inline uint64_t random_number(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* The delays of n timers, in ns: anything from ten seconds to an hour. */
static inline int64_t *random_delays(uint64_t n)
{
	int64_t *delays = take(n * sizeof(*delays));

	for (uint64_t i = 0; i < n; i++)
		delays[i] =
			10 * (int64_t)NS_PER_S + (int64_t)(random_number() % (3600ull * NS_PER_S));
	return delays;
}

static inline void shuffle(int64_t *numbers, uint64_t n)
{
	for (uint64_t i = n - 1; i > 0; i--) {
		uint64_t k = random_number() % (i + 1);
		int64_t swap = numbers[i];

		numbers[i] = numbers[k];
		numbers[k] = swap;
	}
}

/* add() and cancel() are given the number of the timer, 0 to arg[0] - 1; arg[1] times all of them,
 * and once before as a rehearsal. They end as connections do: in another order. */
static inline __attribute__((always_inline)) void add_and_cancel(
	void (*add)(uint64_t i), void (*cancel)(uint64_t i))
{
	double added = 0, cancelled = 0;
	int64_t *order = take(arg[0] * sizeof(*order));

	for (uint64_t i = 0; i < arg[0]; i++)
		order[i] = (int64_t)i;
	shuffle(order, arg[0]);
	for (uint64_t round = 0; round <= arg[1]; round++) {
		rehearsal = round == 0;
		begin();
		for (uint64_t i = 0; i < arg[0]; i++)
			add(i);
		added += end();
		begin();
		for (uint64_t i = 0; i < arg[0]; i++)
			cancel((uint64_t)order[i]);
		cancelled += end();
	}
	tell("add", added / (double)(arg[0] * arg[1]));
	tell("cancel", cancelled / (double)(arg[0] * arg[1]));
	tell("ns", (added + cancelled) / (double)(arg[0] * arg[1]));
	tell("count", (double)(arg[0] * arg[1]));
}

/* Timers that will all be due: arg[0] of them, a microsecond apart; arg[1]: in random order. */
static int64_t *due;
static uint64_t fired_timers, disorder;
static int64_t last_due;

static inline void make_due(void)
{
	due = take(arg[0] * sizeof(*due));
	for (uint64_t i = 0; i < arg[0]; i++)
		due[i] = (int64_t)(i + 1) * 1000;
	if (arg[1])
		shuffle(due, arg[0]);
}

/* Called when the last is set, start: the moment that their delays count from. */
static inline void wait_until_due(int64_t start)
{
	int64_t until = start + (int64_t)(arg[0] + 5000) * 1000;

	while (nanoseconds() < until)
		continue;
	begin();
}

/* Timer i has run. True: it was the last. */
static inline bool timer_fired(uint64_t i)
{
	disorder += due[i] < last_due;
	last_due = due[i];
	if (++fired_timers < arg[0])
		return false;
	tell("ns", end() / (double)arg[0]);
	tell("count", (double)fired_timers);
	tell("disorder", (double)disorder);
	return true;
}

/* The next of arg[0] timers to be touched, far from the last one. */
static inline uint64_t next_timer(uint64_t i)
{
	i += 7919;
	while (i >= arg[0])
		i -= arg[0];
	return i;
}

/* rearm() is given a timer and a delay of a minute and more; each is later than all before. */
static inline __attribute__((always_inline)) void rearm_timers(
	void (*rearm)(uint64_t i, int64_t delay))
{
	int64_t delay = 3700 * (int64_t)NS_PER_S;
	uint64_t i = 0;

	for (uint64_t k = 0; k < arg[0]; k++)
		rearm(i = next_timer(i), delay += 1000);
	begin();
	for (uint64_t k = 0; k < arg[1]; k++)
		rearm(i = next_timer(i), delay += 1000);
	tell("ns", end() / (double)arg[1]);
	tell("count", (double)arg[1]);
}

/* ---- P8 to P10 */

static int *watched; /* n descriptors that never become readable */

static inline int silent_fd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	need(fd >= 0);
	return fd;
}

static inline void make_watched(unsigned n)
{
	watched = calloc(n, sizeof(int));
	need(watched != NULL);
	for (unsigned i = 0; i < n; i++)
		watched[i] = silent_fd();
}

static uint64_t immediates;

/* An immediate has run. True: it was the last of arg[0]. */
static inline bool immediate_ran(void)
{
	if (immediates++ == 0)
		begin();
	if (immediates <= arg[0])
		return false;
	tell("ns", end() / (double)arg[0]);
	tell("count", (double)arg[0]);
	return true;
}

/* toggle() is told whether to want to write; arg[0] times on and off. */
static inline __attribute__((always_inline)) void toggle_interest(void (*toggle)(bool on))
{
	toggle(true);
	toggle(false);
	begin();
	for (uint64_t i = 0; i < arg[0]; i++) {
		toggle(true);
		toggle(false);
	}
	tell("ns", end() / (double)arg[0]);
	tell("count", (double)arg[0]);
}

/* add(), turn(), drop(), turn(): arg[0] watchers, arg[1] times, beside one that stays. The turn is
 * where the kernel is told, in those libraries that gather what they tell it. A descriptor that is
 * not watched any more is closed, which counts too: some leave it to that to tell the kernel. */
static inline void add_and_drop(
	void (*add)(unsigned i), void (*drop)(unsigned i), void (*turn)(void))
{
	double added = 0, dropped = 0, n = (double)(arg[0] * arg[1]);

	watched = calloc(arg[0] + 1, sizeof(int));
	need(watched != NULL);
	watched[arg[0]] = silent_fd();
	add((unsigned)arg[0]);
	for (uint64_t round = 0; round <= arg[1]; round++) {
		rehearsal = round == 0;
		for (unsigned i = 0; i < arg[0]; i++)
			watched[i] = silent_fd();
		begin();
		for (unsigned i = 0; i < arg[0]; i++)
			add(i);
		turn();
		added += end();
		begin();
		for (unsigned i = 0; i < arg[0]; i++) {
			drop(i);
			close(watched[i]);
		}
		turn();
		dropped += end();
	}
	tell("add", added / n);
	tell("drop", dropped / n);
	tell("ns", (added + dropped) / n);
	tell("count", n);
}

/* ---- P16 */

/* What malloc() has given out. */
static inline double bytes_in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return (double)(info.uordblks + info.hblkhd);
}

static inline int bench_main(int argc, char **argv, const struct row *rows)
{
	need(argc >= 3);
	/* As in a process that has run for a while: its memory stays with it when it is freed. */
	need(mallopt(M_TRIM_THRESHOLD, 1 << 30) && mallopt(M_MMAP_THRESHOLD, 32 << 20));
	variant = argv[1];
	for (int i = 3; i < argc && i < 7; i++)
		arg[i - 3] = strtoull(argv[i], NULL, 10);
	for (; rows->name; rows++) {
		if (strcmp(rows->name, argv[2]) != 0)
			continue;
		rows->run();
		tell("wall", (double)sections.wall);
		tell("cpu", (double)sections.cpu);
		return 0;
	}
	return NOT_THERE;
}

#endif
