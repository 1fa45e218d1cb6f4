/* SPDX-License-Identifier: BSD-2-Clause */
#define TEVENT_DEPRECATED 1
#include "tevent/wrapper.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_DEFAULT 30

static const char *const STANDARD = "standard";
static char *default_backend;

struct tevent_context *context_main(struct tevent_context *ev)
{
	return ev->wrapper != NULL ? ev->wrapper->main_ev : ev;
}

void context_disarm(struct tevent_context *ev)
{
	wrapper_orphan_all(ev);
	fd_detach_all(ev);
	timer_detach_all(ev);
	immediate_detach_all(ev);
	signal_detach_all(ev);
}

static int context_destructor(struct tevent_context *ev)
{
	struct loop_frame *frame;

	for (frame = ev->frame; frame != NULL; frame = frame->outer)
		frame->gone = true;
	context_disarm(ev);
	loop_close(ev);
	return 0;
}

struct tevent_context *tevent_context_init_ops(
	TALLOC_CTX *mem_ctx, const struct tevent_ops *ops, void *additional_data)
{
	struct tevent_context *ev = talloc_zero(mem_ctx, struct tevent_context);

	if (ev == NULL)
		return NULL;
	TAILQ_INIT(&ev->fds);
	TAILQ_INIT(&ev->dirty);
	SLIST_INIT(&ev->burials);
	TAILQ_INIT(&ev->immediates);
	TAILQ_INIT(&ev->owing);
	LIST_INIT(&ev->wrappers);
	alarm_init(&ev->alarm);
	ev->ops = ops;
	ev->additional_data = additional_data;
	ev->wait_timeout = WAIT_DEFAULT;
	ev->debug_max = TEVENT_DEBUG_WARNING;
	talloc_set_destructor(ev, context_destructor);
	if (ops->context_init(ev) != 0) {
		int error = errno;

		talloc_free(ev);
		errno = error;
		return NULL;
	}
	return ev;
}

const struct tevent_ops *tevent_find_ops_byname(const char *name)
{
	if (name == NULL)
		name = default_backend != NULL ? default_backend : STANDARD;
	return ops_find(name);
}

struct tevent_context *tevent_context_init_byname(TALLOC_CTX *mem_ctx, const char *name)
{
	const struct tevent_ops *ops = tevent_find_ops_byname(name);

	if (ops == NULL) {
		errno = EINVAL;
		return NULL;
	}
	return tevent_context_init_ops(mem_ctx, ops, NULL);
}

struct tevent_context *tevent_context_init(TALLOC_CTX *mem_ctx)
{
	return tevent_context_init_byname(mem_ctx, NULL);
}

void tevent_set_default_backend(const char *backend)
{
	free(default_backend);
	default_backend = backend != NULL ? strdup(backend) : NULL;
}

/* Close functions do not run, tags and traces stay, and so does what was allowed. */
int tevent_re_initialise(struct tevent_context *ev)
{
	if (ev->wrapper != NULL) {
		debug_abort(ev, "%s() on wrapper", __func__);
		errno = EINVAL;
		return -1;
	}
	context_disarm(ev);
	ev->nesting_hook = NULL;
	ev->nesting_private = NULL;
	ev->level = 0;
	return ev->ops->context_init(ev);
}

bool tevent_signal_support(struct tevent_context *ev)
{
	return ev->ops->add_signal != NULL;
}

static pid_t cached_pid;

static void renew_pid(void)
{
	cached_pid = getpid();
}

static void watch_pid(void)
{
	renew_pid();
	pthread_atfork(NULL, NULL, renew_pid);
}

pid_t tevent_cached_getpid(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (cached_pid == 0)
		pthread_once(&once, watch_pid);
	return cached_pid;
}
