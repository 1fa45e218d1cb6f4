/* SPDX-License-Identifier: BSD-2-Clause */
/* One handler, and what goes before descriptors: finalizers, signals, immediates, timers. */
#include "core/dispatch.h"

#include <sys/param.h>

/* Handlers of one class in a row before the others get their turn. */
#define STREAK 64
/* Instead of flags, which timers have no use for: what is due is fired. */
#define FIRE_TIMER (UINT32_C(1) << 31)
/* How much of what other threads have sent goes before descriptors. */
#define BACKLOG ((size_t)1024)

void core_trace(struct talev_context *ev, enum talev_trace_point point, struct source *src)
{
	if (ev->trace != NULL)
		ev->trace(ev, point, src, ev->trace_private);
}

static bool cancelled(struct source *src)
{
	source_close(src, NULL);
	return false;
}

static inline bool pin(struct core_pin *pin, struct source *src)
{
	(void)owner_check(src->ev, src);
	pin->life = src->ev->life;
	if (!life_enter(&pin->frame, pin->life, &src->life))
		return cancelled(src);
	life_ref(pin->life);
	return true;
}

static inline bool unpin(struct core_pin *pin)
{
	life_leave(&pin->frame);
	/* Without its context nobody else would come to what is ready. */
	if (pin->life->ev == NULL)
		life_settle_beside(pin->life, &pin->frame.object);
	life_unref(pin->life);
	return pin->frame.object != NULL;
}

bool core_pin(struct core_pin *made, struct source *src)
{
	return pin(made, src);
}

bool core_unpin(struct core_pin *made)
{
	return unpin(made);
}

__attribute__((noinline)) static bool call_observed(
	struct source *src, void (*fn)(struct source *src))
{
	struct talev_context *ev = src->ev;
	bool timed = clocked(ev);
	struct core_measure measure;
	struct core_pin made;

	if (!pin(&made, src))
		return false;
	if (timed)
		core_measure_begin(ev, src, &measure);
	trace(ev, TALEV_TRACE_BEFORE_HANDLER, src);
	src->calls++;
	fn(src);
	if (made.frame.object == NULL)
		src = NULL;
	if (made.life->ev != NULL) {
		if (timed)
			core_measure_end(ev, src, &measure);
		trace(ev, TALEV_TRACE_AFTER_HANDLER, src);
	}
	return unpin(&made);
}

bool core_call(struct source *src, void (*fn)(struct source *src))
{
	struct core_pin made;

	if (src->ev->life->observed)
		return call_observed(src, fn);
	if (!pin(&made, src))
		return false;
	src->calls++;
	fn(src);
	return unpin(&made);
}

/* Another thread has cancelled it, and its message is on the way. What is called now may free the
 * context. */
static bool not_fired(struct life *life, struct source *src)
{
	bool there;

	life_ref(life);
	source_close(src, NULL);
	there = !life->closing;
	life_unref(life);
	return there;
}

static void fire_clocked(struct talev_context *ev, const struct life_frame *frame,
	struct source *src, uint32_t flags, talev_time_t now)
{
	struct life *life = ev->life;
	struct core_measure measure;

	if (kind_of(src)->fire_measured != NULL) {
		kind_of(src)->fire_measured(src, flags, now);
		return;
	}
	core_measure_begin(ev, src, &measure);
	if (flags == FIRE_TIMER && ev->timing)
		dispatch_measure_delay(ev, (const struct timer_source *)src, measure.started);
	kind_of(src)->fire(src, flags, now);
	if (life->ev != NULL)
		core_measure_end(ev, frame->object != NULL ? src : NULL, &measure);
}

/* core_fire() of a context whose handlers are traced or measured. */
__attribute__((noinline)) static bool fire_observed(
	struct talev_context *ev, struct source *src, uint32_t flags, talev_time_t now)
{
	struct life *life = ev->life;
	struct life_frame frame;
	bool there;

	if (!life_enter(&frame, life, &src->life))
		return not_fired(life, src);
	core_trace(ev, TALEV_TRACE_BEFORE_HANDLER, src);
	src->calls++;
	context_count(&ev->handlers);
	if (clocked(ev))
		fire_clocked(ev, &frame, src, flags, now);
	else
		kind_of(src)->fire(src, flags, now);
	life_leave(&frame);
	there = frame.object != NULL;
	if (there && src->life.state == TALEV_LIVE && kind_of(src)->fired != NULL)
		there = kind_of(src)->fired(src);
	if (life->ev != NULL)
		core_trace(ev, TALEV_TRACE_AFTER_HANDLER, there ? src : NULL);
	if (life->ready_count > 0)
		life_settle(life);
	return !life->closing;
}

/* Every handler comes through here: what hardly any context asks for is asked for in one place. */
static inline bool fire_source(
	struct talev_context *ev, struct source *src, uint32_t flags, talev_time_t now)
{
	const struct source_kind *kind = kind_of(src);
	struct life *life = ev->life;
	struct life_frame frame;

	if (ev->life->observed)
		return fire_observed(ev, src, flags, now);
	if (!life_enter(&frame, life, &src->life))
		return not_fired(life, src);
	src->calls++;
	context_count(&ev->handlers);
	kind->fire(src, flags, now);
	life_leave(&frame);
	if (kind->fired != NULL && frame.object != NULL && src->life.state == TALEV_LIVE)
		kind->fired(src);
	if (life->ready_count > 0)
		life_settle(life);
	return !life->closing;
}

bool core_fire(struct talev_context *ev, struct source *src, uint32_t flags, talev_time_t now)
{
	return fire_source(ev, src, flags, now);
}

static inline void immediate_insert(struct talev_context *ev, struct source *src)
{
	src->place = PLACE_IMMEDIATE;
	TAILQ_INSERT_TAIL(&ev->immediates, src, link);
	ev->immediate_count++;
}

static inline void immediate_remove(struct talev_context *ev, struct source *src)
{
	src->place = PLACE_NONE;
	TAILQ_REMOVE(&ev->immediates, src, link);
	ev->immediate_count--;
}

int core_immediate_put(struct source *src, struct talev_context *ev)
{
	(void)owner_check(ev, src);
	src->ev = ev;
	immediate_insert(ev, src);
	return 0;
}

__attribute__((noinline)) static void queue_observed(struct source *src, struct talev_context *ev)
{
	if (src->ev != NULL)
		source_unplace(src);
	src->ev = ev;
	if (src->enabled)
		immediate_insert(ev, src);
	else
		source_place(src, ev, PLACE_HELD);
	trace(ev, TALEV_TRACE_ATTACH, src);
	context_changed(ev);
}

static inline void rest(struct talev_context *ev, struct source *src)
{
	src->place = PLACE_RESTING;
	TAILQ_INSERT_TAIL(&ev->resting, src, link);
}

void core_immediate_queue(struct source *src, struct talev_context *ev)
{
	(void)owner_check(ev, src);
	if (src->ev != NULL || !src->enabled || ev->trace != NULL || ev->embedded) {
		queue_observed(src, ev);
		return;
	}
	src->ev = ev;
	immediate_insert(ev, src);
}

void core_immediate_hold(struct source *src, bool hold)
{
	struct talev_context *ev = src->ev;

	if (src->place != (hold ? PLACE_IMMEDIATE : PLACE_HELD))
		return;
	source_unplace(src);
	source_place(src, ev, hold ? PLACE_HELD : PLACE_IMMEDIATE);
	context_changed(ev);
}

void core_immediate_unqueue(struct source *src)
{
	struct talev_context *ev = src->ev;

	if (src->place != PLACE_IMMEDIATE && src->place != PLACE_HELD)
		return;
	if (src->life.state == TALEV_LIVE)
		trace(ev, TALEV_TRACE_DETACH, src);
	if (src->place == PLACE_IMMEDIATE)
		immediate_remove(ev, src);
	else
		source_unplace(src);
	if (src->life.rec != NULL) {
		/* Its finalizer needs a loop to run in. */
		source_place(src, ev, PLACE_RESTING);
		return;
	}
	src->ev = NULL;
}

void core_post(struct source *src)
{
	struct talev_context *ev = src->ev;

	/* Its queues have been emptied already, and nobody would look into them again. */
	if (ev->life->closing)
		return;
	if (src->place == PLACE_RESTING)
		TAILQ_REMOVE(&ev->resting, src, link);
	else
		source_unplace(src);
	if (src->enabled)
		immediate_insert(ev, src);
	else
		source_place(src, ev, PLACE_HELD);
	context_changed(ev);
}

void core_unpost(struct source *src)
{
	if (src->place == PLACE_IMMEDIATE || src->place == PLACE_HELD) {
		source_unplace(src);
		source_place(src, src->ev, PLACE_RESTING);
	}
}

void core_hook_add(struct talev_context *ev, struct core_hook *hook)
{
	struct core_hook *other;

	TAILQ_FOREACH (other, &ev->hooks, link) {
		if (hook->rank < other->rank) {
			TAILQ_INSERT_BEFORE(other, hook, link);
			break;
		}
	}
	if (other == NULL)
		TAILQ_INSERT_TAIL(&ev->hooks, hook, link);
	/* Somebody else's loop may be waiting for us. */
	context_changed(ev);
}

void core_hook_remove(struct talev_context *ev, struct core_hook *hook)
{
	TAILQ_REMOVE(&ev->hooks, hook, link);
}

struct core_hook *core_hook_find(
	struct talev_context *ev, bool (*run)(struct talev_context *ev, struct core_hook *hook))
{
	struct core_hook *hook;

	TAILQ_FOREACH (hook, &ev->hooks, link)
		if (hook->run == run)
			return hook;
	return NULL;
}

static inline bool hook_pending(struct core_hook *hook)
{
	return !context_hook_quiet(hook) && (hook->ready == NULL || hook->ready(hook));
}

bool dispatch_hooks_pending(const struct talev_context *ev)
{
	struct core_hook *hook;

	TAILQ_FOREACH (hook, &ev->hooks, link)
		if (hook_pending(hook))
			return true;
	return false;
}

bool dispatch_hooks_feeding(const struct talev_context *ev)
{
	struct core_hook *hook;

	TAILQ_FOREACH (hook, &ev->hooks, link)
		if (hook->feeds && hook_pending(hook))
			return true;
	return false;
}

bool dispatch_hooks_sleep(struct talev_context *ev)
{
	struct core_hook *hook;
	bool may = true;

	TAILQ_FOREACH (hook, &ev->hooks, link)
		if (hook->sleep != NULL && !hook->sleep(hook))
			may = false;
	return may;
}

void dispatch_hooks_awake(struct talev_context *ev)
{
	struct core_hook *hook;

	TAILQ_FOREACH (hook, &ev->hooks, link)
		if (hook->awake != NULL)
			hook->awake(hook);
}

/* One hook that fires a call: run() may remove it, and others. */
static enum unit run_hook(struct talev_context *ev)
{
	struct core_hook *hook;
	bool feeds;

	TAILQ_FOREACH (hook, &ev->hooks, link) {
		if (!hook_pending(hook))
			continue;
		if (hook->pending != NULL)
			atomic_exchange_explicit(hook->pending, false, memory_order_acquire);
		feeds = hook->feeds;
		if (!hook->run(ev, hook))
			return UNIT_GONE;
		if (!feeds)
			return UNIT_DONE;
	}
	return UNIT_NONE;
}

static enum unit fire(
	struct talev_context *ev, struct source *src, uint32_t flags, talev_time_t now)
{
	return fire_source(ev, src, flags, now) ? UNIT_DONE : UNIT_GONE;
}

/* May the next one run in the frame of the last, which has left nothing to be done? */
static inline bool run_on(
	struct talev_context *ev, struct life *life, const struct life_frame *frame)
{
	return likely(life->unrest == 0) && life_frame_plain(frame) &&
	       (likely(TAILQ_EMPTY(&ev->hooks)) || !dispatch_hooks_pending(ev));
}

static inline enum unit run_over(struct life *life)
{
	if (life->ready_count > 0)
		life_settle(life);
	return !life->closing ? UNIT_DONE : UNIT_GONE;
}

/* The kind of one that is light; NULL: it is not. */
static inline const struct source_kind *light_kind(const struct source *src)
{
	const struct source_kind *kind = kind_of(src);

	return kind->run != NULL && src->life.rec == NULL ? kind : NULL;
}

/* Light ones, one after the other, until the streak is budget: most have nothing but a handler, so
 * all run in one frame. */
static enum unit run_light(struct talev_context *ev, struct source *src,
	const struct source_kind *kind, unsigned budget)
{
	struct life *life = ev->life;
	struct life_frame frame;

	(void)life_enter(&frame, life, NULL);
	do {
		immediate_remove(ev, src);
		if (unlikely(kind->stays))
			rest(ev, src);
		else
			src->ev = NULL;
		frame.object = &src->life;
		src->calls++;
		context_count(&ev->handlers);
		ev->immediate_streak++;
		kind->run(ev, src);
	} while (likely(run_on(ev, life, &frame) && ev->immediate_streak < budget &&
			(src = TAILQ_FIRST(&ev->immediates)) != NULL &&
			(kind = light_kind(src)) != NULL));
	life_leave(&frame);
	return run_over(life);
}

static inline enum unit run_immediates(struct talev_context *ev, unsigned budget)
{
	struct source *src = TAILQ_FIRST(&ev->immediates);
	const struct source_kind *kind;

	if (src == NULL)
		return UNIT_NONE;
	kind = light_kind(src);
	if (kind != NULL && !ev->life->observed)
		return run_light(ev, src, kind, budget);
	/* It is the kind that takes it out of the queue: the handler may queue it again. */
	ev->immediate_streak++;
	return fire(ev, src, 0, 0);
}

static inline struct source *take_due(struct talev_context *ev, struct source *src)
{
	TAILQ_REMOVE(&ev->due, src, link);
	ev->due_count--;
	rest(ev, src);
	ev->timer_streak++;
	return src;
}

static inline talev_time_t turn_time_of(const struct talev_context *ev, const struct source *src)
{
	return ev->turn_time[((const struct timer_source *)src)->node.clock];
}

/* The same for what is due. What comes after a handler is still in the frame, but not its object:
 * that may go. */
static enum unit run_due(struct talev_context *ev, struct source *src, unsigned budget)
{
	struct life *life = ev->life;
	const struct source_kind *kind;
	struct life_frame frame;
	bool (*fired)(struct source * src);

	(void)life_enter(&frame, life, NULL);
	do {
		take_due(ev, src);
		frame.object = &src->life;
		src->calls++;
		context_count(&ev->handlers);
		kind = kind_of(src);
		fired = kind->fired;
		kind->fire(src, 0, turn_time_of(ev, src));
		if (frame.object == NULL || src->life.state != TALEV_LIVE)
			fired = NULL;
		if (!life_frame_plain(&frame))
			break;
		if (fired != NULL) {
			frame.object = NULL;
			fired(src);
			fired = NULL;
		}
	} while (run_on(ev, life, &frame) && ev->timer_streak < budget &&
		 TAILQ_EMPTY(&ev->immediates) && (src = TAILQ_FIRST(&ev->due)) != NULL &&
		 src->life.rec == NULL);
	life_leave(&frame);
	if (fired != NULL && frame.object != NULL)
		fired(src);
	return run_over(life);
}

static inline enum unit run_timers(struct talev_context *ev, unsigned budget)
{
	struct source *src;

	if (ev->due_count == 0) {
		if (!deadlines_any(ev))
			return UNIT_NONE;
		deadlines_collect(ev);
	}
	src = TAILQ_FIRST(&ev->due);
	if (src == NULL)
		return UNIT_NONE;
	if (src->life.rec == NULL && !ev->life->observed)
		return run_due(ev, src, budget);
	return fire(ev, take_due(ev, src), FIRE_TIMER, turn_time_of(ev, src));
}

enum unit dispatch_one(struct talev_context *ev, bool immediates, bool timers)
{
	enum unit unit = TAILQ_EMPTY(&ev->hooks) ? UNIT_NONE : run_hook(ev);

	if (unit == UNIT_NONE && immediates)
		unit = run_immediates(ev, 0);
	if (unit == UNIT_NONE && timers)
		unit = run_timers(ev, 0);
	return unit;
}

enum unit dispatch_once(struct talev_context *ev)
{
	bool immediates = ev->strict || ev->immediate_streak < STREAK;
	bool timers = ev->strict || ev->timer_streak < STREAK;

	return dispatch_one(ev, immediates, timers);
}

void dispatch_rested(struct talev_context *ev)
{
	ev->immediate_streak = 0;
	ev->timer_streak = 0;
}

void dispatch_begin_turn(struct talev_context *ev)
{
	ev->immediate_streak = 0;
	ev->timer_streak = 0;
	ev->immediate_budget = STREAK + (unsigned)MIN(ev->immediate_count, BACKLOG);
	ev->timer_budget = STREAK;
}

/* Each descriptor's handler earns those that it schedules their place before the next one. */
void dispatch_earn(struct talev_context *ev)
{
	ev->immediate_budget = ev->immediate_streak + STREAK;
	ev->timer_budget = ev->timer_streak + STREAK;
}

enum unit dispatch_urgent(struct talev_context *ev)
{
	enum unit unit;

	do {
		unit = TAILQ_EMPTY(&ev->hooks) ? UNIT_NONE : run_hook(ev);
		if (unit == UNIT_NONE &&
			(ev->strict || ev->immediate_streak < ev->immediate_budget))
			unit = run_immediates(ev, ev->immediate_budget);
		if (unit == UNIT_NONE && (ev->strict || ev->timer_streak < ev->timer_budget))
			unit = run_timers(ev, ev->timer_budget);
	} while (unit == UNIT_DONE && !ev->life->break_pending);
	return unit;
}
