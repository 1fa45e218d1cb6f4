/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with the kernel as a partner for tests: its time passes whether one is ready or
 * not, it answers in an order that nobody chose and nobody can repeat, and it cannot be told what
 * to answer. Here time stands still while there is work and jumps when there is none, and what is
 * ready together is told in an order that comes from a seed.
 *
 * Real descriptors are asked by a poll backend inside, without waiting. Only when neither a
 * deadline nor the script has anything to come is there a real wait: somebody outside, a child or
 * another thread, may still do something, and nothing in here can know when.
 */
#include <talev/sim.h>
#include "backend/backend.h"
#include <errno.h>
#include <stdlib.h>
#include <bsd/sys/queue.h>
#include "base/base.h"

#define START          TALEV_SEC(1000)
#define START_REALTIME TALEV_SEC(1000000000) /* 2001-09-09 01:46:40 UTC */

#define FLAGS_ALL BACKEND_EVENTS

struct sim_entry {
	TAILQ_ENTRY(sim_entry) link;
	talev_time_t when;
	int fd;
	uint16_t flags;
};
TAILQ_HEAD(sim_script, sim_entry);

struct sim_fd {
	uint32_t generation;
	uint32_t events;  /* the interest; 0: not registered */
	uint32_t pending; /* what the kernel said and nobody was told yet */
	uint16_t ready;   /* what the script says */
	bool real;        /* registered with the poll backend */
	bool named;       /* the script has, or had, an entry for it */
	bool scripted;    /* such an entry has come: the kernel has no say any more */
	bool internal;    /* except about talev's own, whatever number they were given */
};

struct sim_backend {
	struct backend be;
	struct backend *kernel;
	talev_time_t now;
	talev_time_t realtime_offset;
	unsigned short random[3];
	struct sim_script script;         /* by moment, then in the order of the calls */
	struct sim_fd *fds;               /* by descriptor */
	struct backend_event *candidates; /* as many as fds */
	uint32_t size;
	uint32_t real; /* how many are */
};

static struct sim_backend *self(struct backend *be)
{
	return (struct sim_backend *)be;
}

void sim_set_seed(struct backend *be, uint64_t seed)
{
	struct sim_backend *sim = self(be);

	for (int i = 0; i < 3; i++)
		sim->random[i] = (unsigned short)(seed >> 16 * i);
	sim->random[2] ^= (unsigned short)(seed >> 48);
	/* The first numbers of neighbouring seeds are neighbours. */
	for (int i = 0; i < 10; i++)
		nrand48(sim->random);
}

static struct backend *sim_create(TALLOC_CTX *mem_ctx)
{
	struct sim_backend *sim = talloc_zero(mem_ctx, struct sim_backend);

	if (sim == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	sim->be.ops = &backend_sim;
	sim->now = START;
	sim->realtime_offset = START_REALTIME - START;
	TAILQ_INIT(&sim->script);
	sim_set_seed(&sim->be, 0);
	sim->kernel = backend_poll.create(sim);
	if (sim->kernel == NULL) {
		talloc_free(sim);
		errno = ENOMEM;
		return NULL;
	}
	return &sim->be;
}

static talev_time_t sim_now(struct backend *be, enum talev_clock clock)
{
	struct sim_backend *sim = self(be);

	if (clock == TALEV_CLOCK_REALTIME)
		return talev_time_add(sim->now, sim->realtime_offset);
	return sim->now;
}

static struct sim_fd *find(struct sim_backend *sim, int fd)
{
	return fd >= 0 && (uint32_t)fd < sim->size ? &sim->fds[fd] : NULL;
}

/* With room for it to be reported, so that wait() cannot lack memory. NULL: ENOMEM. */
static struct sim_fd *find_or_make(struct sim_backend *sim, int fd)
{
	struct sim_fd *f = find(sim, fd);
	uint32_t size = sim->size > 0 ? sim->size : 16;
	struct backend_event *candidates;

	if (f != NULL)
		return f;
	while (size <= (uint32_t)fd)
		size *= 2;
	candidates = talloc_realloc(sim, sim->candidates, struct backend_event, size);
	if (candidates != NULL) {
		sim->candidates = candidates;
		f = talloc_realloc(sim, sim->fds, struct sim_fd, size);
	}
	if (f == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	for (uint32_t i = sim->size; i < size; i++)
		f[i] = (struct sim_fd){0};
	sim->fds = f;
	sim->size = size;
	return &f[fd];
}

static void set_real(struct sim_backend *sim, struct sim_fd *f, bool real)
{
	sim->real += (uint32_t)real - (uint32_t)f->real;
	f->real = real;
}

/* Tells the kernel, unless the script speaks in its place. */
static int modify_real(struct sim_backend *sim, struct sim_fd *f, int fd, uint32_t generation,
	uint32_t old_events, uint32_t new_events, unsigned hints)
{
	int result;

	if (f->scripted && !f->internal)
		return 0;
	/* One that the script has named need not be open, so it may not be registered. */
	if (f->named && !f->real)
		old_events = 0;
	result = backend_poll.modify(sim->kernel, fd, generation, old_events, new_events, hints);
	if (result == 0)
		set_real(sim, f, new_events != 0);
	else if (errno == EBADF || errno == ESTALE)
		set_real(sim, f, false);
	return result == 0 || (f->named && errno == EBADF) ? 0 : -1;
}

static int sim_modify(struct backend *be, int fd, uint32_t generation, uint32_t old_events,
	uint32_t new_events, unsigned hints)
{
	struct sim_backend *sim = self(be);
	struct sim_fd *f;
	int result;

	if (fd < 0) {
		errno = EBADF;
		return -1;
	}
	f = find_or_make(sim, fd);
	if (f == NULL)
		return -1;
	if (old_events == 0)
		f->internal = (hints & BACKEND_INTERNAL) != 0;
	result = modify_real(sim, f, fd, generation, old_events, new_events, hints);
	if (result != 0 && errno != EBADF && errno != ESTALE)
		return -1;
	f->pending = 0;
	f->generation = generation;
	f->events = result == 0 ? new_events : 0;
	return result;
}

/* What has come by now, in its order. */
static void run_script(struct sim_backend *sim)
{
	struct sim_entry *entry;

	while ((entry = TAILQ_FIRST(&sim->script)) != NULL && entry->when <= sim->now) {
		struct sim_fd *f = &sim->fds[entry->fd];

		if (f->real && !f->internal) {
			modify_real(sim, f, entry->fd, f->generation, f->events, 0, 0);
			set_real(sim, f, false);
			f->pending = 0;
		}
		f->scripted = true;
		f->ready = entry->flags;
		TAILQ_REMOVE(&sim->script, entry, link);
		talloc_free(entry);
	}
}

/* The kernel's answers, noted beside each descriptor. -1 with errno. */
static int ask_kernel(struct sim_backend *sim, bool block)
{
	struct backend_deadlines none = {{TALEV_NEVER, TALEV_NEVER, TALEV_NEVER}, 0};
	int n;

	if (sim->real == 0)
		return 0;
	/* All at once, beyond what others may ask of a backend: poll does not mind. */
	n = backend_poll.wait(sim->kernel, &none, block, sim->candidates, (int)sim->size);
	for (int i = 0; i < n; i++) {
		struct sim_fd *f = &sim->fds[sim->candidates[i].fd];

		f->pending |= sim->candidates[i].events;
		if (f->pending & BACKEND_CLOSED)
			set_real(sim, f, false);
	}
	return n < 0 ? -1 : 0;
}

/* Everything that is ready, in the order of descriptors: where the shuffle starts from must not
 * depend on what the kernel did before. */
static int gather(struct sim_backend *sim)
{
	int n = 0;

	for (uint32_t fd = 0; fd < sim->size; fd++) {
		struct sim_fd *f = &sim->fds[fd];
		uint32_t events = f->pending;

		if (f->events == 0)
			continue;
		/* As from the kernel, an error is told to everybody. */
		if (f->scripted && !f->internal)
			events = f->ready & (f->events | TALEV_FD_ERROR);
		/* True now, maybe not at the next look; but that it was closed is said once. */
		f->pending &= BACKEND_CLOSED;
		if (events != 0)
			sim->candidates[n++] = (struct backend_event){
				.fd = (int)fd, .generation = f->generation, .events = events};
	}
	return n;
}

/* Draws up to max of n candidates. */
static int draw(struct sim_backend *sim, int n, struct backend_event *events, int max)
{
	int reported = 0;

	for (; reported < n && reported < max; reported++) {
		int left = n - reported;
		int at = reported + (left > 1 ? (int)(nrand48(sim->random) % left) : 0);

		events[reported] = sim->candidates[at];
		sim->candidates[at] = sim->candidates[reported];
		sim->fds[events[reported].fd].pending = 0;
		if (events[reported].events & BACKEND_CLOSED)
			sim->fds[events[reported].fd].events = 0;
	}
	return reported;
}

/* The moment of a clock, as the monotonic clock will show it if nobody steps the other one. */
static talev_time_t monotonic(
	const struct sim_backend *sim, enum talev_clock clock, talev_time_t deadline)
{
	if (clock != TALEV_CLOCK_REALTIME || deadline == TALEV_NEVER)
		return deadline;
	return talev_time_add(deadline, -sim->realtime_offset);
}

static bool passed(struct sim_backend *sim, const struct backend_deadlines *deadlines)
{
	for (int clock = 0; clock < BASE_CLOCKS; clock++)
		if (deadlines->at[clock] <= sim_now(&sim->be, (enum talev_clock)clock))
			return true;
	return false;
}

static talev_time_t next_moment(
	const struct sim_backend *sim, const struct backend_deadlines *deadlines)
{
	const struct sim_entry *entry = TAILQ_FIRST(&sim->script);
	talev_time_t next = entry != NULL ? entry->when : TALEV_NEVER;

	for (int clock = 0; clock < BASE_CLOCKS; clock++) {
		talev_time_t at = monotonic(sim, (enum talev_clock)clock, deadlines->at[clock]);

		if (at < next)
			next = at;
	}
	return next;
}

static int sim_wait(struct backend *be, const struct backend_deadlines *deadlines, bool block,
	struct backend_event *events, int max)
{
	struct sim_backend *sim = self(be);
	talev_time_t limit =
		deadlines->longest > 0 ? talev_time_add(sim->now, deadlines->longest) : TALEV_NEVER;
	bool really = false;

	for (;;) {
		talev_time_t next;
		int n;

		run_script(sim);
		if (ask_kernel(sim, really) != 0)
			return -1;
		n = gather(sim);
		if (n > 0)
			return draw(sim, n, events, max);
		if (!block || passed(sim, deadlines) || sim->now >= limit)
			return 0;
		next = next_moment(sim, deadlines);
		if (limit < next)
			next = limit;
		if (next != TALEV_NEVER) {
			sim->now = next;
			continue;
		}
		if (sim->real == 0) {
			errno = EDEADLK;
			return -1;
		}
		really = true;
	}
}

static int sim_rebuild(struct backend *be)
{
	struct sim_backend *sim = self(be);

	for (uint32_t fd = 0; fd < sim->size; fd++) {
		sim->fds[fd].events = 0;
		sim->fds[fd].pending = 0;
		set_real(sim, &sim->fds[fd], false);
	}
	return backend_poll.rebuild(sim->kernel);
}

static struct sim_backend *sim_of(struct talev_context *ev)
{
	struct backend *be = core_get_backend(ev);

	if (be != NULL && be->ops == &backend_sim)
		return self(be);
	errno = EINVAL;
	return NULL;
}

int talev_sim_script(struct talev_context *ev, talev_time_t when, int fd, uint16_t flags)
{
	struct sim_backend *sim = sim_of(ev);
	struct sim_entry *entry, *before;
	struct sim_fd *f;

	if (sim == NULL)
		return -1;
	if (when < sim->now || fd < 0 || (flags & ~FLAGS_ALL) != 0) {
		errno = EINVAL;
		return -1;
	}
	f = find_or_make(sim, fd);
	entry = f != NULL ? talloc(sim, struct sim_entry) : NULL;
	if (entry == NULL) {
		errno = ENOMEM;
		return -1;
	}
	f->named = true;
	*entry = (struct sim_entry){.when = when, .fd = fd, .flags = flags};
	before = TAILQ_LAST(&sim->script, sim_script);
	while (before != NULL && before->when > when)
		before = TAILQ_PREV(before, sim_script, link);
	if (before != NULL)
		TAILQ_INSERT_AFTER(&sim->script, before, entry, link);
	else
		TAILQ_INSERT_HEAD(&sim->script, entry, link);
	return 0;
}

int talev_sim_advance(struct talev_context *ev, talev_time_t ns)
{
	struct sim_backend *sim = sim_of(ev);

	if (sim == NULL)
		return -1;
	if (ns < 0) {
		errno = EINVAL;
		return -1;
	}
	sim->now = talev_time_add(sim->now, ns);
	return 0;
}

int talev_sim_step_realtime(struct talev_context *ev, talev_time_t delta)
{
	struct sim_backend *sim = sim_of(ev);

	if (sim == NULL)
		return -1;
	sim->realtime_offset = talev_time_add(sim->realtime_offset, delta);
	/* It has to have a negative. */
	if (sim->realtime_offset == INT64_MIN)
		sim->realtime_offset = -INT64_MAX;
	return 0;
}

const struct backend_ops backend_sim = {
	.name = "sim",
	.create = sim_create,
	.modify = sim_modify,
	.wait = sim_wait,
	.rebuild = sim_rebuild,
	.now = sim_now,
};
