/* SPDX-License-Identifier: BSD-2-Clause */
/* The backends by name. Ours are registered when somebody first looks for one, so that a program
 * can be there before "standard". */
#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "tevent/event.h"

struct backend_entry {
	SLIST_ENTRY(backend_entry) link;
	const char *name;
	const struct tevent_ops *ops;
};

static SLIST_HEAD(, backend_entry) backends = SLIST_HEAD_INITIALIZER(backends);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool have_ours;

static int open_backend(struct tevent_context *ev, const char *backend, bool mt)
{
	if (ev->loop != NULL)
		loop_close(ev);
	return loop_open(ev, backend, mt);
}

static int open_epoll(struct tevent_context *ev)
{
	return open_backend(ev, "epoll", false);
}

static int open_poll(struct tevent_context *ev)
{
	return open_backend(ev, "poll", false);
}

static int open_poll_mt(struct tevent_context *ev)
{
	return open_backend(ev, "poll", true);
}

static int open_standard(struct tevent_context *ev)
{
	return open_epoll(ev) == 0 ? 0 : open_poll(ev);
}

#define OPS(open)                                                                                  \
	{                                                                                          \
		.context_init = open, .add_fd = fd_add, .set_fd_close_fn = fd_set_close_fn,        \
		.get_fd_flags = fd_get_flags, .set_fd_flags = fd_set_flags,                        \
		.add_timer = timer_add, .schedule_immediate = immediate_schedule,                  \
		.add_signal = signal_add, .loop_once = loop_once, .loop_wait = loop_wait           \
	}

static const struct tevent_ops ops_poll = OPS(open_poll);
static const struct tevent_ops ops_poll_mt = OPS(open_poll_mt);
static const struct tevent_ops ops_epoll = OPS(open_epoll);
static const struct tevent_ops ops_standard = OPS(open_standard);

/* Listed the other way round. */
static struct backend_entry ours[] = {
	{.name = "poll", .ops = &ops_poll},
	{.name = "poll_mt", .ops = &ops_poll_mt},
	{.name = "epoll", .ops = &ops_epoll},
	{.name = "standard", .ops = &ops_standard},
};

static struct backend_entry *find(const char *name)
{
	struct backend_entry *entry;

	SLIST_FOREACH(entry, &backends, link)
	if (strcmp(entry->name, name) == 0)
		return entry;
	return NULL;
}

static void add_ours(void)
{
	if (have_ours)
		return;
	have_ours = true;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (find(ours[i].name) == NULL)
			SLIST_INSERT_HEAD(&backends, &ours[i], link);
}

const struct tevent_ops *ops_find(const char *name)
{
	struct backend_entry *entry;

	pthread_mutex_lock(&lock);
	add_ours();
	entry = find(name);
	pthread_mutex_unlock(&lock);
	return entry != NULL ? entry->ops : NULL;
}

bool tevent_register_backend(const char *name, const struct tevent_ops *ops)
{
	struct backend_entry *entry = NULL;
	bool there;

	pthread_mutex_lock(&lock);
	there = find(name) != NULL;
	if (!there)
		entry = malloc(sizeof(*entry));
	if (entry != NULL) {
		entry->name = name;
		entry->ops = ops;
		SLIST_INSERT_HEAD(&backends, entry, link);
	}
	pthread_mutex_unlock(&lock);
	return there || entry != NULL;
}

const char **tevent_backend_list(TALLOC_CTX *mem_ctx)
{
	struct backend_entry *entry;
	const char **list;
	size_t n = 0;

	pthread_mutex_lock(&lock);
	add_ours();
	SLIST_FOREACH(entry, &backends, link)
	n++;
	list = talloc_zero_array(mem_ctx, const char *, n + 1);
	n = 0;
	if (list != NULL)
		SLIST_FOREACH(entry, &backends, link)
	list[n++] = talloc_strdup(list, entry->name);
	pthread_mutex_unlock(&lock);
	return list;
}
