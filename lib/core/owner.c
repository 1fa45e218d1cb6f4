/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose thread a context is. A context may be made in one thread and run in another, so only a
 * call that comes while the loop runs elsewhere is a mistake for sure. Development builds look for
 * it in every call; others do not, since it costs one.
 */
#include "core/context.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#ifdef TALEV_OWNER_CHECKS

void owner_take(struct talev_context *ev)
{
	/* Two system calls, which a loop need not pay for every turn. */
	if (ev->owner != 0 && pthread_equal(ev->owner_self, pthread_self()))
		return;
	ev->owner_self = pthread_self();
	ev->owner = gettid();
	if (pthread_getname_np(pthread_self(), ev->owner_name, sizeof(ev->owner_name)) != 0)
		ev->owner_name[0] = '\0';
}

bool owner_check(const struct talev_context *ev, const struct source *src)
{
	char name[sizeof(ev->owner_name)] = "";

	/* In a child that was forked in a handler it is the same thread with another number. */
	if (ev == NULL || ev->level == 0 || pthread_equal(ev->owner_self, pthread_self()))
		return true;
	(void)pthread_getname_np(pthread_self(), name, sizeof(name));
	base_misuse("%s %s (%s) is used by thread %d \"%s\", its loop runs in thread %d \"%s\"",
		kind_of(src)->label, source_where(src), source_location(src), (int)gettid(), name,
		(int)ev->owner, ev->owner_name);
	errno = EINVAL;
	return false;
}

#endif
