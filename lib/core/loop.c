/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/ready.h"

#include <errno.h>
#include <talev/loop.h>

/* How many descriptors one wait of talev_loop_wait() may report. */
#define BATCH BACKEND_BATCH

enum turn {
	TURN_WORKED,
	TURN_IDLE,   /* nothing was ready, and it was not to wait */
	TURN_GONE,   /* the context is gone or going */
	TURN_FAILED, /* errno */
};

struct loop_call {
	struct talev_context *ev;
	struct life *life;
	bool outermost;
	talev_time_t longest_around;          /* longest_wait of the call around this one */
	bool (*finished)(void *private_data); /* of talev_loop_until() */
	void *finished_private;
};

static inline bool have_events(const struct talev_context *ev)
{
	return likely(ev->slots.active > 0) || ev->immediate_count > 0 || ev->due_count > 0 ||
	       deadlines_any(ev) || ev->holds > 0 || ev->life->ready_count > 0 ||
	       dispatch_hooks_feeding(ev);
}

bool talev_have_events(const struct talev_context *ev)
{
	return ev->life != NULL && have_events(ev);
}

/* A context that was finalized has nothing left to do but that. */
static void finish_closing(struct talev_context *ev)
{
	struct life *life = ev->life;

	if (life == NULL)
		return;
	life_ref(life);
	while (life_run(life) > 0) {
	}
	life_unref(life);
}

static int enter(struct loop_call *call, struct talev_context *ev, const char *location)
{
	if (!core_is_known(ev) && core_usable(ev) == NULL) {
		if (errno == ESHUTDOWN) {
			finish_closing(ev);
			errno = ESHUTDOWN;
		}
		return -1;
	}
	if (!owner_check(ev, &ev->src))
		return -1;
	if (ev->level > 0 && !ev->nesting) {
		core_log(ev, TALEV_LOG_INFO, "nested loop at %s refused", location);
		errno = ELOOP;
		return -1;
	}
	if (context_check_fork(ev) != 0)
		return -1;
	*call = (struct loop_call){
		.ev = ev,
		.life = ev->life,
		.outermost = ev->level == 0,
		.longest_around = ev->longest_wait,
	};
	if (call->outermost) {
		ev->broken = false;
		owner_take(ev);
		context_pulse(ev, CORE_AWAKE);
	}
	life_ref(ev->life);
	ev->level++;
	return 0;
}

static int leave(struct loop_call *call, enum turn last)
{
	bool gone = call->life->ev == NULL;
	int error = errno;

	if (!gone) {
		call->ev->level--;
		call->ev->longest_wait = call->longest_around;
		if (call->outermost)
			context_pulse(call->ev, CORE_OUTSIDE);
		if (call->outermost && call->ev->life->break_pending) {
			call->ev->life->break_pending = false;
			call->ev->broken = true;
		}
		gone = call->ev->life->closing;
		if (!gone)
			context_changed(call->ev);
	}
	life_unref(call->life);
	errno = gone || last == TURN_GONE ? ESHUTDOWN : error;
	return gone || last == TURN_GONE || last == TURN_FAILED ? -1 : 0;
}

/* A call that finds a break from before it began, and has nobody around it to pass it on to. */
static bool take_break(struct loop_call *call)
{
	return call->outermost && call->ev->life->break_pending;
}

/* The question may free the context. */
__attribute__((always_inline)) static inline bool stopped(const struct loop_call *call)
{
	if (unlikely(call->life->break_pending))
		return true;
	if (likely(call->finished == NULL))
		return false;
	return call->finished(call->finished_private) || call->life->ev == NULL;
}

static enum turn turn_of(enum unit unit)
{
	return unit == UNIT_GONE ? TURN_GONE : TURN_WORKED;
}

/* In a child that a handler has made by fork(2), the kernel's objects under a wait are the
 * parent's. True: it has its own now. */
static bool was_forked(struct talev_context *ev)
{
	return errno == EINVAL && ev->fork_generation != base_fork_generation() &&
	       context_check_fork(ev) == 0;
}

static enum turn failed(void)
{
	/* A Unix signal: what it brought comes with the next unit. */
	return errno == EINTR ? TURN_WORKED : TURN_FAILED;
}

static enum turn finalizers(struct life *life)
{
	life_run(life);
	return life->ev == NULL ? TURN_GONE : TURN_WORKED;
}

static bool limited(const struct talev_context *ev)
{
	return ev->longest_wait != 0;
}

/* The only report of a wait. *told: somebody was. */
static inline enum turn dispatch_single(
	struct talev_context *ev, const struct backend_event *event, bool *told)
{
	uint32_t events;
	struct source *src = ready_choose(ev, slot_get(ev, event->fd), event, true, &events);

	*told = src != NULL;
	return src == NULL || ready_fire(ev, src, events) ? TURN_WORKED : TURN_GONE;
}

/* Waits, and runs one handler: a descriptor's, or what the wait brought before it. */
static enum turn wait_once(struct talev_context *ev, bool block)
{
	struct backend_event event;
	enum unit unit;

	for (;;) {
		talev_time_t lookout = ev->lookout;
		int n = ready_wait(ev, block, &event, 1);

		/* It was what this wait was told, and what is ready has not been asked for. */
		if (n == 0 && ev->lookout != lookout)
			continue;
		if (n < 0) {
			unit = errno == EINTR ? dispatch_one(ev, false, false) : UNIT_NONE;
			return unit == UNIT_NONE ? failed() : turn_of(unit);
		}
		deadlines_new_time(ev);
		if (n == 1) {
			bool told;
			enum turn turn = dispatch_single(ev, &event, &told);

			if (told)
				return turn;
		}
		unit = dispatch_one(ev, true, true);
		if (unit != UNIT_NONE)
			return turn_of(unit);
		if (ev->life->ready_count > 0)
			return finalizers(ev->life);
		if (!block || limited(ev))
			return TURN_IDLE;
		if (!have_events(ev)) {
			errno = ENOENT;
			return TURN_FAILED;
		}
	}
}

static enum turn nothing_left(struct talev_context *ev)
{
	struct backend_event event;

	/* The outer loop must not go on seeing a wake-up that has been served. */
	if (ev->embedded)
		(void)ready_wait(ev, false, &event, 1);
	errno = ENOENT;
	return TURN_FAILED;
}

static enum turn once(struct talev_context *ev, bool block)
{
	struct life *life = ev->life;
	enum unit unit;

	if (life->ready_count > 0)
		return finalizers(life);
	deadlines_new_time(ev);
	unit = dispatch_once(ev);
	if (unit != UNIT_NONE)
		return turn_of(unit);
	/* What other threads have sent may have closed something. */
	if (life->ready_count > 0)
		return finalizers(life);
	dispatch_rested(ev);
	if (!limited(ev) && !have_events(ev))
		return nothing_left(ev);
	if (ev->immediate_count > 0 || ev->due_count > 0) {
		/* They have had their share, and go on if no descriptor wants its own. */
		block = false;
	}
	return wait_once(ev, block);
}

/* May this turn's wait last? Not while something is left that a budget has held back. */
static bool may_sleep(struct talev_context *ev)
{
	struct backend_deadlines deadlines;

	if (ev->life->ready_count > 0)
		return false;
	if (!context_any_urgent(ev))
		return true;
	if (ev->immediate_count > 0 || ev->due_count > 0 || dispatch_hooks_pending(ev))
		return false;
	if (!deadlines_any(ev) || deadlines_far(ev))
		return true;
	deadlines_need_time(ev);
	deadlines_get(ev, &deadlines);
	for (int clock = 0; clock < BASE_CLOCKS; clock++)
		if (deadlines.at[clock] <= ev->turn_time[clock])
			return false;
	return true;
}

/* Reports that come to nobody: what is still ready is reported again. */
__attribute__((noinline)) static void leave_rest(
	struct talev_context *ev, const struct backend_event *events, int n)
{
	for (int i = 0; i < n; i++)
		slot_untold(ev, events[i].fd, events[i].generation);
}

/* Between two handlers of a batch, outside of the frame that they share. TURN_IDLE: go on. waits,
 * handlers: how many there had been of them when the batch came. */
__attribute__((noinline)) static enum turn between(
	struct loop_call *call, struct life_frame *frame, uint64_t waits, uint64_t handlers)
{
	struct talev_context *ev = call->ev;

	if (!ready_leave(frame, call->life))
		return TURN_GONE;
	if (call->life->break_pending)
		return TURN_WORKED;
	if (context_any_urgent(ev)) {
		dispatch_earn(ev);
		if (dispatch_urgent(ev) == UNIT_GONE)
			return TURN_GONE;
	}
	/* If a nested loop has waited, what this wait reported is old news. */
	if (ev->handlers != handlers && (stopped(call) || ev->waits != waits))
		return call->life->ev == NULL ? TURN_GONE : TURN_WORKED;
	(void)life_enter(frame, call->life, NULL);
	return TURN_IDLE;
}

/* All handlers share one frame, which is left for whatever else is to be done. */
__attribute__((noinline)) static enum turn dispatch_many(
	struct loop_call *call, const struct backend_event *events, int n)
{
	struct talev_context *ev = call->ev;
	struct life *life = call->life;
	uint64_t waits = ev->waits;
	uint64_t handlers = ev->handlers;
	bool disturbed = context_any_urgent(ev);
	struct slot *slot = slot_get(ev, events[0].fd);
	struct slot *next = n > 1 ? slot_get(ev, events[1].fd) : NULL;
	struct life_frame frame;

	(void)life_enter(&frame, life, NULL);
	for (int i = 0;;) {
		struct slot *after;
		struct source *src;
		uint32_t told;

		if (unlikely(disturbed)) {
			enum turn turn = between(call, &frame, waits, handlers);

			if (turn == TURN_WORKED)
				leave_rest(ev, &events[i], n - i);
			if (turn != TURN_IDLE)
				return turn;
		}
		after = i + 2 < n ? slot_get(ev, events[i + 2].fd) : NULL;
		ready_look_ahead(next, after);
		src = ready_choose(ev, slot, &events[i], ev->handlers == handlers, &told);
		if (likely(src != NULL)) {
			if (ready_plain(life, src))
				ready_call(ev, src, told, &frame);
			else if (!ready_call_within(ev, src, told, &frame))
				break;
		}
		if (++i == n)
			break;
		slot = next;
		next = after;
		if (unlikely(i % 16 == 0) && !life->closing)
			deadlines_look(ev);
		disturbed = life->unrest != 0 || !life_frame_plain(&frame) ||
			    call->finished != NULL || ev->waits != waits || context_any_urgent(ev);
	}
	return ready_leave(&frame, life) ? TURN_WORKED : TURN_GONE;
}

/* What goes before a wait. TURN_IDLE: there is something to wait for. */
__attribute__((noinline)) static enum turn before_wait(struct loop_call *call)
{
	struct talev_context *ev = call->ev;

	if (call->life->ready_count > 0) {
		life_run(call->life);
		if (call->life->ev == NULL || ev->life->closing)
			return TURN_GONE;
		if (stopped(call))
			return TURN_WORKED;
	}
	if (context_any_urgent(ev)) {
		deadlines_new_time(ev);
		dispatch_begin_turn(ev);
		if (dispatch_urgent(ev) == UNIT_GONE)
			return TURN_GONE;
		if (stopped(call))
			return TURN_WORKED;
	}
	return have_events(ev) ? TURN_IDLE : TURN_WORKED;
}

/* A turn with all the descriptors that one wait reports. */
__attribute__((always_inline)) static inline enum turn batch(struct loop_call *call)
{
	struct talev_context *ev = call->ev;
	struct backend_event events[BATCH];
	bool block = true;
	bool told;
	int n;

	/* Asked for right before the kernel is entered, which waits for it. */
	__builtin_prefetch(ev->backend);
	__builtin_prefetch(&base_forks);
	if (unlikely(call->life->ready_count > 0 || context_any_urgent(ev))) {
		enum turn turn = before_wait(call);

		if (turn != TURN_IDLE)
			return turn;
		block = may_sleep(ev);
	}
	n = ready_wait(ev, block, events, ev->batch);
	if (unlikely(n < 0))
		return was_forked(ev) ? TURN_WORKED : failed();
	deadlines_look_after_wait(ev);
	if (unlikely(n == 0))
		return TURN_WORKED;
	if (n > 1 || unlikely(context_any_urgent(ev)))
		return dispatch_many(call, events, n);
	return dispatch_single(ev, events, &told);
}

/* What runs before the first wait is a turn, and what runs after the last. */
static void begin_measuring(const struct loop_call *call)
{
	if (call->ev->life->observed && call->outermost)
		dispatch_turn_begins(call->ev);
}

static void end_measuring(const struct loop_call *call)
{
	if (call->life->ev != NULL && call->ev->life->observed && call->outermost)
		dispatch_turn_ends(call->ev);
}

__attribute__((noinline)) static enum turn traced(struct loop_call *call, bool block, bool many)
{
	struct talev_context *ev = call->ev;
	enum turn turn;
	int error;

	if (!many)
		begin_measuring(call);
	core_trace(ev, TALEV_TRACE_BEFORE_TURN, NULL);
	turn = many ? batch(call) : once(ev, block);
	error = errno;
	if (!many)
		end_measuring(call);
	if (call->life->ev != NULL)
		core_trace(ev, TALEV_TRACE_AFTER_TURN, NULL);
	errno = error;
	return turn;
}

static int run_once(
	struct talev_context *ev, bool block, talev_time_t longest, const char *location)
{
	struct loop_call call;
	enum turn turn = TURN_WORKED;

	if (enter(&call, ev, location) != 0)
		return -1;
	ev->longest_wait = longest;
	if (!take_break(&call)) {
		ev->turns++;
		turn = ev->life->observed ? traced(&call, block, false) : once(ev, block);
	}
	if (turn == TURN_IDLE) {
		errno = EAGAIN;
		turn = TURN_FAILED;
	}
	return leave(&call, turn);
}

int _talev_loop_once(struct talev_context *ev, const char *location)
{
	return run_once(ev, true, 0, location);
}

int _talev_loop_nowait(struct talev_context *ev, const char *location)
{
	return run_once(ev, false, 0, location);
}

int _talev_loop_timed(struct talev_context *ev, talev_time_t longest, const char *location)
{
	return run_once(ev, longest > 0, longest > 0 ? longest : 0, location);
}

/* Until it is stopped, or fails, or has nothing to wait for. */
static inline enum turn turns(struct loop_call *call)
{
	enum turn turn;

	do {
		if (unlikely(stopped(call)))
			return TURN_WORKED;
		if (!have_events(call->ev)) {
			errno = ENOENT;
			return call->finished != NULL ? TURN_FAILED : TURN_WORKED;
		}
		call->ev->turns++;
		turn = unlikely(call->ev->life->observed) ? traced(call, true, true) : batch(call);
	} while (likely(turn == TURN_WORKED));
	return turn;
}

/* While the loop runs, its context is this thread's. */
static void tell_backend(const struct loop_call *call, bool stays)
{
	struct talev_context *ev = call->life->ev;

	if (call->outermost && ev != NULL && ev->backend != NULL && ev->backend->ops->stay != NULL)
		ev->backend->ops->stay(ev->backend, stays);
}

static enum turn run_turns(struct loop_call *call)
{
	enum turn turn;
	int error;

	tell_backend(call, true);
	begin_measuring(call);
	turn = turns(call);
	error = errno;
	end_measuring(call);
	tell_backend(call, false);
	errno = error;
	return turn;
}

int _talev_loop_wait(struct talev_context *ev, const char *location)
{
	struct loop_call call;

	if (enter(&call, ev, location) != 0)
		return -1;
	ev->longest_wait = 0;
	return leave(&call, run_turns(&call));
}

int _talev_loop_until(struct talev_context *ev, bool (*finished)(void *private_data),
	void *private_data, const char *location)
{
	struct loop_call call;

	if (enter(&call, ev, location) != 0)
		return -1;
	ev->longest_wait = 0;
	call.finished = finished;
	call.finished_private = private_data;
	return leave(&call, run_turns(&call));
}

bool talev_loop_has_arrivals(const struct talev_context *ev)
{
	return dispatch_hooks_pending(ev);
}

void talev_loop_break(struct talev_context *ev)
{
	/* Whoever is told that it goes may hold it still. */
	if (ev->life != NULL)
		ev->life->break_pending = true;
}

bool talev_loop_broken(const struct talev_context *ev)
{
	return ev->broken || (ev->life != NULL && ev->life->break_pending);
}

void talev_loop_allow_nesting(struct talev_context *ev)
{
	ev->nesting = true;
}

unsigned talev_loop_level(const struct talev_context *ev)
{
	return ev->level;
}
