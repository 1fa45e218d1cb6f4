/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with poll(2): the whole list goes to the kernel and back for every wait, so that a
 * thousand idle descriptors cost a thousand looks each time. It remembers nothing, and therefore
 * lies about nothing either: no registration outlives its descriptor, none is shared with a forked
 * child. But a number that was closed and given to another file looks as before: only a closed
 * one shows, by POLLNVAL, and because that would end every wait from then on, it is told once and
 * forgotten.
 *
 * Entries are kept dense, found by a table of descriptors, and taken out by moving the last one
 * into the hole. Answers are collected in a circle, from where the last walk stopped, because a
 * caller who takes one at a time would otherwise never hear of the last entries.
 */
#include "backend/backend.h"
#include <errno.h>
#include "backend/alarm.h"
#include "backend/pollmask.h"
#include "base/base.h"

#define ROOM_MIN 16u
/* After a look that found nothing, so many waits go by without one. */
#define LOOK_AGAIN 16

/* What the kernel need not know of an entry. */
struct label {
	uint32_t generation;
	uint8_t alarm; /* 0, or 1 + the clock whose alarm it is: not in the index */
};

struct poll_backend {
	struct backend be;
	struct pollfd *fds;
	struct label *labels; /* beside fds */
	uint32_t used;
	uint32_t room;
	uint32_t next;   /* where the next walk starts */
	uint32_t *index; /* by descriptor: 1-based place in fds, 0 for none */
	uint32_t index_size;
	unsigned fork_generation;
	struct alarms alarms;
	unsigned no_looks; /* this many waits go without a look before them */
};

static struct poll_backend *self(struct backend *be)
{
	return (struct poll_backend *)be;
}

static bool forked(const struct poll_backend *pb)
{
	return pb->fork_generation != base_fork_generation();
}

static int poll_destructor(struct poll_backend *pb)
{
	alarms_close(&pb->alarms);
	return 0;
}

static struct backend *poll_create(TALLOC_CTX *mem_ctx)
{
	struct poll_backend *pb = talloc_zero(mem_ctx, struct poll_backend);

	if (pb == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	pb->be.ops = &backend_poll;
	pb->fork_generation = base_fork_generation();
	alarms_init(&pb->alarms);
	talloc_set_destructor(pb, poll_destructor);
	return &pb->be;
}

static struct pollfd *find(struct poll_backend *pb, int fd)
{
	if (fd < 0 || (uint32_t)fd >= pb->index_size || pb->index[fd] == 0)
		return NULL;
	return &pb->fds[pb->index[fd] - 1];
}

static uint32_t grown(uint32_t size, uint32_t wanted)
{
	if (size < ROOM_MIN)
		size = ROOM_MIN;
	while (size < wanted)
		size *= 2;
	return size;
}

static int grow_index(struct poll_backend *pb, uint32_t wanted)
{
	uint32_t size = grown(pb->index_size, wanted);
	uint32_t *index = talloc_realloc(pb, pb->index, uint32_t, size);

	if (index == NULL)
		return -1;
	for (uint32_t i = pb->index_size; i < size; i++)
		index[i] = 0;
	pb->index = index;
	pb->index_size = size;
	return 0;
}

static int grow_entries(struct poll_backend *pb, uint32_t wanted)
{
	uint32_t room = grown(pb->room, wanted);
	struct label *labels = talloc_realloc(pb, pb->labels, struct label, room);
	struct pollfd *fds;

	if (labels == NULL)
		return -1;
	pb->labels = labels;
	fds = talloc_realloc(pb, pb->fds, struct pollfd, room);
	if (fds == NULL)
		return -1;
	pb->fds = fds;
	pb->room = room;
	return 0;
}

static int append(struct poll_backend *pb, struct pollfd entry, struct label label)
{
	if (pb->used == pb->room && grow_entries(pb, pb->used + 1) != 0) {
		errno = ENOMEM;
		return -1;
	}
	pb->fds[pb->used] = entry;
	pb->labels[pb->used] = label;
	pb->used++;
	return 0;
}

static int add(struct poll_backend *pb, int fd, uint32_t generation, short mask)
{
	struct pollfd entry = {.fd = fd, .events = mask};

	if ((uint32_t)fd >= pb->index_size && grow_index(pb, (uint32_t)fd + 1) != 0) {
		errno = ENOMEM;
		return -1;
	}
	if (append(pb, entry, (struct label){.generation = generation}) != 0)
		return -1;
	pb->index[fd] = pb->used;
	return 0;
}

static void forget(struct poll_backend *pb, int fd)
{
	uint32_t at = pb->index[fd] - 1;
	uint32_t last = --pb->used;

	pb->fds[at] = pb->fds[last];
	pb->labels[at] = pb->labels[last];
	if (pb->labels[at].alarm == 0)
		pb->index[pb->fds[at].fd] = at + 1;
	pb->index[fd] = 0;
}

static int poll_modify(struct backend *be, int fd, uint32_t generation, uint32_t old_events,
	uint32_t new_events, unsigned hints)
{
	struct poll_backend *pb = self(be);
	struct pollfd *entry = find(pb, fd);
	bool look = (hints & BACKEND_VERIFY) != 0 ||
		    ((hints & BACKEND_WAITING) == 0 && (old_events == 0 || new_events == 0));

	if (forked(pb)) {
		errno = EINVAL;
		return new_events != 0 ? -1 : 0;
	}
	if (old_events == 0 && new_events == 0)
		return 0;
	/* wait() has found it closed, and forgotten it. */
	if (old_events != 0 && entry == NULL) {
		errno = pollmask_open(fd) ? ESTALE : EBADF;
		return -1;
	}
	if (look && !pollmask_open(fd)) {
		if (entry != NULL)
			forget(pb, fd);
		errno = EBADF;
		return -1;
	}
	if (new_events == 0) {
		forget(pb, fd);
		return 0;
	}
	if (entry == NULL)
		return add(pb, fd, generation, pollmask_from(new_events));
	*entry = (struct pollfd){.fd = fd, .events = pollmask_from(new_events)};
	pb->labels[entry - pb->fds].generation = generation;
	return 0;
}

/* Alarms stay out of the index: the kernel may have made one under a number whose former owner was
 * closed, and is still registered here. */
static int set_alarm(struct poll_backend *pb, enum talev_clock clock, talev_time_t deadline)
{
	int created = alarm_set(&pb->alarms, clock, deadline);
	struct pollfd entry = {.fd = pb->alarms.of[clock].fd, .events = POLLIN};

	if (created <= 0)
		return created;
	if (append(pb, entry, (struct label){.alarm = (uint8_t)(1 + clock)}) == 0)
		return 0;
	alarm_close(&pb->alarms, clock);
	errno = ENOMEM;
	return -1;
}

/* ready is how many answers there are: the walk ends with the last of them. */
static int collect(struct poll_backend *pb, int ready, struct backend_event *events, int max)
{
	int reported = 0;

	for (uint32_t n = pb->used; n > 0 && ready > 0 && reported < max; n--) {
		struct pollfd *entry;
		struct label *label;
		uint32_t told;

		if (pb->next >= pb->used)
			pb->next = 0;
		entry = &pb->fds[pb->next];
		label = &pb->labels[pb->next++];
		if (entry->revents == 0)
			continue;
		ready--;
		told = pollmask_to(entry->revents);
		entry->revents = 0;
		if (label->alarm != 0) {
			alarm_drain(&pb->alarms, (enum talev_clock)(label->alarm - 1));
			continue;
		}
		events[reported++] = (struct backend_event){
			.fd = entry->fd, .generation = label->generation, .events = told};
		/* The last entry moves into its place, and is looked at next. */
		if (told & BACKEND_CLOSED)
			forget(pb, pb->fds[--pb->next].fd);
	}
	return reported;
}

/* To wait, the kernel puts the caller into the queue of each descriptor up to the first that is
 * ready, and takes it out again: that is most of the cost. A busy loop therefore looks first. If
 * that was in vain it is not that busy. */
static int wait_for(struct poll_backend *pb, talev_time_t timeout)
{
	int n;

	if (timeout == 0)
		return base_poll(pb->fds, pb->used, 0);
	if (pb->no_looks == 0) {
		n = base_poll(pb->fds, pb->used, 0);
		if (n != 0)
			return n;
		pb->no_looks = LOOK_AGAIN;
	} else {
		pb->no_looks--;
	}
	return base_poll(pb->fds, pb->used, timeout);
}

static int poll_wait(struct backend *be, const struct backend_deadlines *deadlines, bool block,
	struct backend_event *events, int max)
{
	struct poll_backend *pb = self(be);
	talev_time_t timeout = 0;
	int ready;

	if (forked(pb)) {
		errno = EINVAL;
		return -1;
	}
	if (block) {
		if (set_alarm(pb, TALEV_CLOCK_REALTIME, deadlines->at[TALEV_CLOCK_REALTIME]) != 0)
			return -1;
		if (set_alarm(pb, TALEV_CLOCK_BOOTTIME, deadlines->at[TALEV_CLOCK_BOOTTIME]) != 0)
			return -1;
		timeout = alarm_timeout(deadlines);
	}
	ready = wait_for(pb, timeout);
	if (ready < 0)
		return -1;
	return collect(pb, ready, events, max);
}

static int poll_rebuild(struct backend *be)
{
	struct poll_backend *pb = self(be);

	for (uint32_t fd = 0; fd < pb->index_size; fd++)
		pb->index[fd] = 0;
	pb->used = 0;
	pb->next = 0;
	alarms_close(&pb->alarms);
	pb->fork_generation = base_fork_generation();
	return 0;
}

const struct backend_ops backend_poll = {
	.name = "poll",
	.create = poll_create,
	.modify = poll_modify,
	.wait = poll_wait,
	.rebuild = poll_rebuild,
};
