/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floor of the rows that need no kernel: a bare data structure, with nothing around it. The
 * variant is heap (four-way, the deadline beside the pointer) or wheel (hierarchical, 64 slots in a
 * level, a tick of a microsecond).
 */
#include "bench/bench.h"

struct timer {
	struct timer *next, **link; /* wheel */
	int64_t deadline;           /* ticks */
	uint32_t place;             /* in the heap, or level and slot */
	uint32_t number;
	void (*handler)(struct timer *t);
};

struct entry {
	int64_t deadline;
	struct timer *timer;
};

#define LEVELS 8

static struct entry *heap;
static uint32_t heap_size;
static struct timer *slots[LEVELS][64];
static uint64_t used[LEVELS];
static int64_t wheel_now;
static bool wheel;
static struct timer *timers;
static int64_t *delays;

static void put(uint32_t at, struct entry e)
{
	heap[at] = e;
	e.timer->place = at;
}

static void sift_up(uint32_t at, struct entry e)
{
	while (at > 0 && heap[(at - 1) / 4].deadline > e.deadline) {
		put(at, heap[(at - 1) / 4]);
		at = (at - 1) / 4;
	}
	put(at, e);
}

static void sift_down(uint32_t at, struct entry e)
{
	for (;;) {
		uint32_t first = 4 * at + 1, least = first;

		if (first >= heap_size)
			break;
		for (uint32_t k = first + 1; k < first + 4 && k < heap_size; k++)
			if (heap[k].deadline < heap[least].deadline)
				least = k;
		if (heap[least].deadline >= e.deadline)
			break;
		put(at, heap[least]);
		at = least;
	}
	put(at, e);
}

static void heap_remove(struct timer *t)
{
	struct entry last = heap[--heap_size];
	uint32_t at = t->place;

	if (at == heap_size)
		return;
	if (at > 0 && heap[(at - 1) / 4].deadline > last.deadline)
		sift_up(at, last);
	else
		sift_down(at, last);
}

static void heap_move(struct timer *t)
{
	struct entry e = {t->deadline, t};

	if (t->place > 0 && heap[(t->place - 1) / 4].deadline > e.deadline)
		sift_up(t->place, e);
	else
		sift_down(t->place, e);
}

/* The level is where the deadline first differs from now. */
static void wheel_add(struct timer *t)
{
	uint64_t differs = (uint64_t)(t->deadline ^ wheel_now) | 1;
	unsigned level = (63 - (unsigned)__builtin_clzll(differs)) / 6;
	unsigned slot = (unsigned)(t->deadline >> (6 * level)) & 63;
	struct timer **head = &slots[level][slot];

	t->place = level << 6 | slot;
	t->next = *head;
	t->link = head;
	if (*head)
		(*head)->link = &t->next;
	*head = t;
	used[level] |= 1ull << slot;
}

static void wheel_remove(struct timer *t)
{
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	if (slots[0][t->place] == NULL)
		used[t->place >> 6] &= ~(1ull << (t->place & 63));
}

/* Runs what is due in the order of its deadlines: the lowest slot in use is the earliest, and one
 * of a higher level is spread over the levels below first. */
static void wheel_run(void)
{
	for (;;) {
		unsigned level = 0, slot;
		struct timer *t;

		while (level < LEVELS && used[level] == 0)
			level++;
		if (level == LEVELS)
			return;
		slot = (unsigned)__builtin_ctzll(used[level]);
		t = slots[level][slot];
		slots[level][slot] = NULL;
		used[level] &= ~(1ull << slot);
		if (level > 0)
			wheel_now = t->deadline >> (6 * level) << (6 * level);
		while (t) {
			struct timer *next = t->next;

			if (level == 0)
				t->handler(t);
			else
				wheel_add(t);
			t = next;
		}
	}
}

static void add(struct timer *t)
{
	if (wheel)
		wheel_add(t);
	else
		sift_up(heap_size++, (struct entry){t->deadline, t});
}

static void start(void)
{
	wheel = strcmp(variant, "wheel") == 0;
	timers = calloc(arg[0], sizeof(*timers));
	heap = calloc(arg[0], sizeof(*heap));
	need(timers && heap);
	for (uint64_t i = 0; i < arg[0]; i++)
		timers[i].number = (uint32_t)i;
}

static void add_timer(uint64_t i)
{
	timers[i].deadline = delays[i] / 1000;
	add(&timers[i]);
}

static void cancel_timer(uint64_t i)
{
	if (wheel)
		wheel_remove(&timers[i]);
	else
		heap_remove(&timers[i]);
}

static void embedded_timers_row(void)
{
	start();
	delays = random_delays(arg[0]);
	add_and_cancel(add_timer, cancel_timer);
}

static void on_due(struct timer *t)
{
	timer_fired(t->number);
}

static void due_row(void)
{
	start();
	make_due();
	for (uint64_t i = 0; i < arg[0]; i++) {
		timers[i].deadline = due[i] / 1000;
		timers[i].handler = on_due;
		add(&timers[i]);
	}
	begin();
	if (wheel)
		wheel_run();
	while (!wheel && heap_size > 0) {
		struct timer *t = heap[0].timer;

		heap_remove(t);
		t->handler(t);
	}
}

static void rearm(uint64_t i, int64_t delay)
{
	if (wheel)
		wheel_remove(&timers[i]);
	timers[i].deadline = delay / 1000;
	if (wheel)
		wheel_add(&timers[i]);
	else
		heap_move(&timers[i]);
}

static void rearm_row(void)
{
	start();
	delays = random_delays(arg[0]);
	for (uint64_t i = 0; i < arg[0]; i++)
		add_timer(i);
	rearm_timers(rearm);
}

/* A list of what is to run. */
static struct timer *first, **last = &first;

static void on_immediate(struct timer *t)
{
	if (immediate_ran())
		return;
	t->next = NULL;
	*last = t;
	last = &t->next;
}

static void immediate_row(void)
{
	static struct timer im = {.handler = on_immediate};

	*last = &im;
	last = &im.next;
	while (first) {
		struct timer *t = first;

		first = t->next;
		if (first == NULL)
			last = &first;
		t->handler(t);
	}
}

static const struct row rows[] = {
	{"timers", embedded_timers_row},
	{"embedded_timers", embedded_timers_row},
	{"due", due_row},
	{"rearm", rearm_row},
	{"immediate", immediate_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows);
}
