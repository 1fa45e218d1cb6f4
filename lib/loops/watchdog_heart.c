/* SPDX-License-Identifier: BSD-2-Clause */
/* One heart: how it is read, when it is over its limits, and those that a program makes itself. */
#include "loops/manager.h"

#include <errno.h>
#include <string.h>
#include <bsd/string.h>
#include <sys/param.h>
#include "base/base.h"

struct talev_heart {
	struct heart heart;
	void *anchor; /* below the context: it goes first */
};

struct anchor {
	struct talev_heart *heart;
};

struct reading {
	enum heart_state state;
	uint64_t passes;
	uint64_t handlers;
};

static struct reading read_context(const struct talev_context *ev, bool outside_too)
{
	struct core_pulse pulse;
	struct reading r;

	core_look(ev, &pulse);
	r.passes = pulse.waits;
	r.handlers = pulse.handlers;
	r.state = pulse.state == CORE_ASLEEP ? HEART_IDLE : HEART_BUSY;
	if (pulse.state == CORE_OUTSIDE && !outside_too)
		r.state = HEART_OFF;
	return r;
}

static struct reading read_heart(struct heart *heart)
{
	struct reading r = {.state = HEART_OFF};

	switch (heart->kind) {
	case HEART_LOOP:
		heart->tid = heart->loop->watched.tid;
		/* Its setup jobs run outside of its context's loop. */
		return heart->tid != 0 ? read_context(heart->loop->ev, true) : r;
	case HEART_CONTEXT:
		return heart->ev != NULL ? read_context(heart->ev, false) : r;
	case HEART_JOB:
		if (heart->seen)
			r.state = HEART_BUSY;
		return r;
	case HEART_BEATEN:
		break;
	}
	r.state = HEART_BUSY;
	r.passes = (uint64_t)atomic_load_explicit(&heart->beat, memory_order_relaxed);
	return r;
}

static bool is_suspended(const struct heart *heart, talev_time_t now)
{
	struct suspended suspended;

	suspended_get(heart->tid, now, &suspended);
	return suspended.reason != NULL;
}

void heart_init(struct heart *heart, enum heart_kind kind, const char *name)
{
	static uint64_t ids;

	heart->kind = kind;
	heart->id = ++ids;
	strlcpy(heart->name, name, sizeof(heart->name));
}

void heart_add(struct talev_watchdog *wd, struct heart *heart)
{
	heart->wd = wd;
	heart->since = heart->moved = wd->time;
	TAILQ_INSERT_TAIL(&wd->hearts, heart, link);
}

void heart_remove(struct heart *heart)
{
	TAILQ_REMOVE(&heart->wd->hearts, heart, link);
	heart->wd = NULL;
}

static void came_round(struct heart *heart, const struct reading *r)
{
	heart->since = heart->moved = heart->wd->time;
	heart->passes = r->passes;
	heart->handlers = heart->handlers_then = r->handlers;
	heart->soft_told = heart->hard_told = false;
}

/* So long before the last look, as far as the watchdog's clock went on meanwhile. */
static void was_beaten(struct heart *heart, talev_time_t ago)
{
	ago = ago > 0 ? MIN(ago, heart->wd->period) : 0;
	heart->since -= ago;
	heart->moved -= ago;
}

void heart_restart(struct heart *heart)
{
	struct reading r = read_heart(heart);

	came_round(heart, &r);
}

/* It is the last handler's fault if that has taken most of the time. */
static enum talev_watchdog_trouble trouble_of(const struct heart *heart)
{
	talev_time_t now = heart->wd->time;

	if (heart->kind == HEART_BEATEN)
		return TALEV_WATCHDOG_SILENT;
	if (heart->kind == HEART_JOB || now - heart->moved >= heart->moved - heart->since)
		return TALEV_WATCHDOG_STUCK;
	return TALEV_WATCHDOG_NOPASS;
}

static bool fill(struct heart *heart, enum talev_watchdog_event event, talev_time_t limit,
	struct alert *alert)
{
	*alert = (struct alert){
		.event = event,
		.trouble = trouble_of(heart),
		.id = heart->id,
		.kind = heart->kind,
		.ev = heart->kind == HEART_LOOP ? heart->loop->ev : heart->ev,
		.handlers_now = heart->handlers,
		.stalled = heart->wd->time - heart->since,
		.running = heart->wd->time - heart->moved,
		.limit = limit,
		.handlers = heart->handlers - heart->handlers_then,
		.tid = heart->tid,
	};
	strlcpy(alert->heart, heart->name, sizeof(alert->heart));
	strlcpy(alert->handler, heart->job, sizeof(alert->handler));
	strlcpy(alert->location, heart->location, sizeof(alert->location));
	suspended_before(heart->tid, heart->wd->looked, alert->suspended, sizeof(alert->suspended));
	return true;
}

bool heart_look(struct heart *heart, struct alert *alert)
{
	struct talev_watchdog *wd = heart->wd;
	struct reading r = read_heart(heart);
	talev_time_t stalled = wd->time - heart->since;
	bool told = false;

	if (r.state == HEART_BUSY && is_suspended(heart, wd->looked))
		r.state = HEART_SUSPENDED;
	heart->state = r.state;
	if (r.state != HEART_BUSY || r.passes != heart->passes) {
		if (heart->soft_told)
			told = fill(heart, TALEV_WATCHDOG_RECOVERED,
				heart->hard_told ? heart->hard : heart->soft, alert);
		came_round(heart, &r);
		if (heart->kind == HEART_BEATEN && r.state == HEART_BUSY)
			was_beaten(heart, wd->looked - (talev_time_t)r.passes);
		return told;
	}
	if (r.handlers != heart->handlers)
		heart->moved = wd->time;
	heart->handlers = r.handlers;
	if (!heart->hard_told && stalled >= heart->hard) {
		heart->soft_told = heart->hard_told = true;
		return fill(heart, TALEV_WATCHDOG_HARD, heart->hard, alert);
	}
	if (!heart->soft_told && stalled >= heart->soft) {
		heart->soft_told = true;
		return fill(heart, TALEV_WATCHDOG_SOFT, heart->soft, alert);
	}
	return false;
}

talev_time_t heart_stalled(struct heart *heart, talev_time_t now)
{
	const struct talev_watchdog *wd = heart->wd;
	talev_time_t extra = MIN(now - wd->looked, wd->period);
	talev_time_t stalled = wd->time - heart->since + extra;
	struct reading r = read_heart(heart);

	if (r.state != HEART_BUSY || is_suspended(heart, now))
		return 0;
	/* It came round since the last look. Nobody knows when, but of a beat. */
	if (r.passes != heart->passes)
		stalled = heart->kind == HEART_BEATEN ? wd->period : extra;
	if (heart->kind == HEART_BEATEN)
		stalled = MIN(stalled, now - (talev_time_t)r.passes);
	return stalled;
}

talev_time_t heart_remaining(struct heart *heart, talev_time_t now)
{
	talev_time_t stalled = heart_stalled(heart, now);
	talev_time_t limit = stalled < heart->soft ? heart->soft : heart->hard;

	if (limit == TALEV_NEVER)
		return TALEV_NEVER;
	return stalled < limit ? limit - stalled : 0;
}

static int heart_destructor(struct talev_heart *heart)
{
	pthread_mutex_lock(&watch_lock);
	if (heart->heart.wd != NULL)
		heart_remove(&heart->heart);
	pthread_mutex_unlock(&watch_lock);
	if (heart->anchor != NULL) {
		talloc_set_destructor((struct anchor *)heart->anchor, NULL);
		talloc_free(heart->anchor);
	}
	return 0;
}

/* The context goes; its memory is still there. */
static int anchor_destructor(struct anchor *anchor)
{
	struct talev_heart *heart = anchor->heart;

	heart->anchor = NULL;
	pthread_mutex_lock(&watch_lock);
	heart->heart.ev = NULL;
	pthread_mutex_unlock(&watch_lock);
	return 0;
}

static struct talev_heart *create(TALLOC_CTX *mem_ctx, struct talev_watchdog *wd,
	enum heart_kind kind, const char *name, talev_time_t soft, talev_time_t hard)
{
	struct talev_heart *heart;

	if (wd == NULL || name == NULL || !limits_ok(soft, hard)) {
		errno = EINVAL;
		return NULL;
	}
	heart = talloc_zero(mem_ctx, struct talev_heart);
	if (heart == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	pthread_mutex_lock(&watch_lock);
	heart_init(&heart->heart, kind, name);
	pthread_mutex_unlock(&watch_lock);
	heart->heart.tid = gettid();
	heart->heart.soft = soft;
	heart->heart.hard = hard;
	heart->heart.beat = base_clock_now(TALEV_CLOCK_MONOTONIC);
	return heart;
}

static void begin(struct talev_watchdog *wd, struct talev_heart *heart)
{
	if (probe_signal() != 0)
		(void)probe_let_through();
	pthread_mutex_lock(&watch_lock);
	watchdog_changed(wd);
	heart_add(wd, &heart->heart);
	heart_restart(&heart->heart);
	pthread_mutex_unlock(&watch_lock);
	talloc_set_destructor(heart, heart_destructor);
}

struct talev_heart *talev_watchdog_add_context(TALLOC_CTX *mem_ctx, struct talev_watchdog *wd,
	struct talev_context *ev, const char *name, talev_time_t soft, talev_time_t hard)
{
	struct talev_heart *heart;
	struct anchor *anchor;

	if (source_from_public(ev) == NULL)
		return NULL;
	heart = create(mem_ctx, wd, HEART_CONTEXT, name, soft, hard);
	if (heart == NULL)
		return NULL;
	anchor = talloc(ev, struct anchor);
	if (anchor == NULL) {
		talloc_free(heart);
		errno = ENOMEM;
		return NULL;
	}
	anchor->heart = heart;
	talloc_set_destructor(anchor, anchor_destructor);
	heart->anchor = anchor;
	heart->heart.ev = ev;
	begin(wd, heart);
	return heart;
}

struct talev_heart *talev_heart_create(TALLOC_CTX *mem_ctx, struct talev_watchdog *wd,
	const char *name, talev_time_t soft, talev_time_t hard)
{
	struct talev_heart *heart = create(mem_ctx, wd, HEART_BEATEN, name, soft, hard);

	if (heart != NULL)
		begin(wd, heart);
	return heart;
}

void talev_heart_beat(struct talev_heart *heart)
{
	atomic_store_explicit(
		&heart->heart.beat, base_clock_now(TALEV_CLOCK_MONOTONIC), memory_order_relaxed);
}
