/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/context.h"

#include <errno.h>
#include <string.h>
#include <talev/loop.h>
#include "base/latency.h"

static void context_disarm(struct source *src);

const struct source_kind context_kind = {
	.type = "struct talev_context",
	.label = "context",
	.disarm = context_disarm,
};

_Thread_local const void *core_known;

struct talev_context *core_usable(struct talev_context *ev)
{
	if (ev == NULL || talloc_get_name(ev) != context_kind.type) {
		errno = EINVAL;
		return NULL;
	}
	if (ev->life == NULL || ev->life->closing || ev->backend == NULL) {
		errno = ESHUTDOWN;
		return NULL;
	}
	core_known = ev;
	return ev;
}

static void close_queue(const struct life *life, struct source_queue *queue)
{
	struct source *src;

	while (life->ev != NULL && (src = TAILQ_FIRST(queue)) != NULL)
		source_close(src, NULL);
}

static void close_hooks(struct talev_context *ev, const struct life *life)
{
	struct core_hook *hook;

	while (life->ev != NULL && (hook = TAILQ_FIRST(&ev->hooks)) != NULL) {
		core_hook_remove(ev, hook);
		if (hook->close != NULL)
			hook->close(ev, hook);
	}
}

static bool any_left(const struct talev_context *ev)
{
	return !TAILQ_EMPTY(&ev->immediates) || !TAILQ_EMPTY(&ev->due) || deadlines_any(ev);
}

/* Close functions may free the context, which then has closed the rest itself: life tells. */
void context_close_sources(struct talev_context *ev)
{
	struct life *life = ev->life;

	life_ref(life);
	wake_close(ev);
	lookout_close(ev);
	/* Close functions may arm what is still live, in a queue that was empty already. */
	do {
		close_queue(life, &ev->immediates);
		close_queue(life, &ev->due);
		deadlines_close_all(ev, life);
		slots_close_all(ev, life);
		close_queue(life, &ev->resting);
	} while (life->ev != NULL && any_left(ev));
	close_hooks(ev, life);
	life_unref(life);
}

/* It can take nothing new, and all it had is inert. */
static void context_disarm(struct source *src)
{
	struct talev_context *ev = (struct talev_context *)src;

	ev->life->closing = true;
	src->ev = NULL;
	context_set_plain(ev);
	context_close_sources(ev);
}

static int context_destructor(struct talev_context *ev)
{
	struct life *life = ev->life;

	if (ev->kept) {
		base_misuse("context %s (%s) is freed by somebody whom it does not belong to",
			source_where(&ev->src), source_location(&ev->src));
		return -1;
	}
	if (ev->src.life.rec != NULL && ev->src.life.state == TALEV_LIVE)
		source_close_tree(&ev->src);
	source_close(&ev->src, NULL);
	/* What it was closing when it was freed by that. */
	context_close_sources(ev);
	/* Finalizers may free each other's objects, and so make more of them ready. Inside a
	 * handler of its own they are left to that: see life_settle(). */
	while (!life_busy(life) && life_run(life) > 0) {
	}
	life_forget(&ev->src.life);
	core_known = NULL;
	life->ev = NULL;
	life->context = NULL;
	life_unref(life);
	/* What hangs below goes after this, and may still call. */
	ev->life = NULL;
	TALLOC_FREE(ev->backend);
	TALLOC_FREE(ev->latency);
	slots_destroy(ev);
	deadlines_destroy(ev);
	source_drop_aside(&ev->src);
	return 0;
}

struct talev_context *core_context_create(
	TALLOC_CTX *mem_ctx, const struct backend_ops *ops, const char *where)
{
	struct talev_context *ev;
	int error;

	ev = source_create(NULL, mem_ctx, sizeof(*ev), &context_kind, NULL, where);
	if (ev == NULL)
		return NULL;
	talloc_set_destructor(ev, NULL);
	TAILQ_INIT(&ev->immediates);
	TAILQ_INIT(&ev->due);
	TAILQ_INIT(&ev->resting);
	TAILQ_INIT(&ev->hooks);
	slots_init(ev);
	ev->lookout = TALEV_NEVER;
	ev->fork_generation = base_fork_generation();
	ev->ops = ops;
	ev->life = life_create(ev, &ev->src.life);
	ev->backend = ev->life != NULL ? ops->create(NULL) : NULL;
	if (ev->backend == NULL) {
		error = errno;
		if (ev->life != NULL)
			life_unref(ev->life);
		talloc_free(ev);
		errno = error;
		return NULL;
	}
	ev->backend->ev = ev;
	ev->wait = ops->wait;
	ev->batch = ops->now != NULL ? 1 : BACKEND_BATCH;
	ev->src.ev = ev;
	talloc_set_destructor(ev, context_destructor);
	deadlines_read_clocks(ev);
	context_set_plain(ev);
	return ev;
}

struct backend *core_get_backend(struct talev_context *ev)
{
	return core_usable(ev) != NULL ? ev->backend : NULL;
}

talev_time_t core_now(struct talev_context *ev, enum talev_clock clock)
{
	if (ev->backend != NULL && ev->backend->ops->now != NULL)
		return ev->backend->ops->now(ev->backend, clock);
	return base_clock_now(clock);
}

talev_time_t talev_now(struct talev_context *ev)
{
	return core_now(ev, TALEV_CLOCK_MONOTONIC);
}

talev_time_t talev_clock_now(struct talev_context *ev, enum talev_clock clock)
{
	if ((unsigned)clock >= BASE_CLOCKS) {
		errno = EINVAL;
		return -1;
	}
	return core_now(ev, clock);
}

talev_time_t talev_turn_time(struct talev_context *ev)
{
	deadlines_need_time(ev);
	return ev->turn_time[TALEV_CLOCK_MONOTONIC];
}

const char *talev_context_get_backend(const struct talev_context *ev)
{
	return ev->backend != NULL ? ev->backend->ops->name : "none";
}

void talev_context_set_strict(struct talev_context *ev, bool strict)
{
	ev->strict = strict;
}

static void observe(struct talev_context *ev)
{
	if (ev->life == NULL)
		return;
	ev->life->observed = ev->trace != NULL || ev->timing || ev->slow > 0;
	context_set_plain(ev);
}

void talev_context_set_timing(struct talev_context *ev, bool on)
{
	ev->timing = on;
	/* Without memory only the sources know. */
	if (on && ev->latency == NULL && ev->life != NULL)
		ev->latency = latency_create();
	if (ev->latency != NULL)
		ev->latency->turn_began = 0;
	observe(ev);
}

void talev_context_set_slow_handler(struct talev_context *ev, talev_time_t threshold)
{
	ev->slow = threshold > 0 ? threshold : 0;
	observe(ev);
}

void talev_context_set_log_fn(struct talev_context *ev, talev_log_fn_t fn, void *private_data)
{
	ev->log = fn;
	ev->log_private = private_data;
}

void core_log(struct talev_context *ev, enum talev_log_level level, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	base_log_to(ev->log, ev->log_private, level, format, ap);
	va_end(ap);
}

void talev_context_set_trace(struct talev_context *ev, talev_trace_fn_t fn, void *private_data)
{
	ev->trace = fn;
	ev->trace_private = private_data;
	observe(ev);
}

bool core_reinitialising(const struct talev_context *ev)
{
	return ev->reinitialising;
}

void core_keep(struct talev_context *ev, bool keep)
{
	ev->kept = keep;
}

void core_hold(struct talev_context *ev)
{
	ev->holds++;
}

void core_release(struct talev_context *ev)
{
	ev->holds--;
}

static void each_in(struct source_queue *queue, void (*fn)(struct source *src, void *private_data),
	void *private_data)
{
	struct source *src;

	TAILQ_FOREACH (src, queue, link)
		fn(src, private_data);
}

void core_each(struct talev_context *ev, void (*fn)(struct source *src, void *private_data),
	void *private_data)
{
	slots_each(ev, fn, private_data);
	each_in(&ev->immediates, fn, private_data);
	each_in(&ev->due, fn, private_data);
	deadlines_each(ev, fn, private_data);
	each_in(&ev->resting, fn, private_data);
}

struct talev_latency *core_latency(struct talev_context *ev)
{
	return ev->latency != NULL ? ev->latency->kept : NULL;
}

static size_t count_messages(struct talev_context *ev)
{
	struct core_hook *hook;
	size_t count = 0;

	TAILQ_FOREACH (hook, &ev->hooks, link)
		if (hook->count != NULL)
			count += hook->count(hook);
	return count;
}

bool core_busy(const struct talev_context *ev)
{
	return ev->immediate_count > 0 || ev->due_count > 0;
}

void core_describe(struct talev_context *ev, struct talev_context_info *info)
{
	*info = (struct talev_context_info){
		.name = source_where(&ev->src),
		.location = source_location(&ev->src),
		.backend = talev_context_get_backend(ev),
		.state = talev_source_get_state(ev),
		.now = core_now(ev, TALEV_CLOCK_MONOTONIC),
		.level = ev->level,
		.turns = ev->turns,
		.waits = ev->waits,
		.handlers = ev->handlers,
		.finalizers_ready = ev->life != NULL ? ev->life->ready_count : 0,
		.finalizers_pinned = ev->life != NULL ? ev->life->pinned : 0,
		.immediates = ev->immediate_count,
		.timers_due = ev->due_count,
		.timers = ev->timers_queued + ev->due_count,
		.watchers = ev->slots.active,
		.messages = count_messages(ev),
		.longest_turn = ev->latency != NULL
					? talev_histogram_longest(&ev->latency->kept->turns)
					: 0,
		.timing = ev->timing,
	};
}
