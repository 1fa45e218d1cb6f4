/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a request: made, ended, told, received. A callback may free its request, and any
 * other; so nothing of a request is touched after a call of the user's code, unless the frame of
 * that call says that its memory is still there.
 */
#include "request/req.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"

atomic_uint req_profiles;

static struct talev_req *req_of(struct source *src)
{
	return (struct talev_req *)src;
}

struct talev_req *req_above(const struct talev_req *req)
{
	void *ptr = talloc_parent(req);

	while (ptr != NULL && !is_req(ptr))
		ptr = talloc_parent(ptr);
	return ptr;
}

int req_need_extra(struct talev_req *req)
{
	if (req->extra == NULL)
		req->extra = calloc(1, sizeof(*req->extra));
	if (req->extra == NULL) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

/* Of a request that is live and has one. Is its memory still there? */
static bool call_cleanup(struct talev_req *req, enum talev_req_state state)
{
	talev_req_cleanup_fn_t cleanup = req->cleanup;
	struct core_pin pin;

	if (!core_pin(&pin, &req->ts.src))
		return false;
	if (state == TALEV_REQ_RECEIVED)
		req->cleanup = NULL;
	req_set(req, REQ_CLEANING);
	cleanup(req, state);
	if (!core_unpin(&pin))
		return false;
	req_clear(req, REQ_CLEANING);
	return true;
}

static void req_disarm(struct source *src)
{
	struct talev_req *req = req_of(src);

	req_drop_timer(req);
	req_clear(req, REQ_POSTED);
	if (req->extra != NULL) {
		profile_drop(req);
		free(req->extra);
		req->extra = NULL;
	}
}

static void req_closed(struct source *src, struct talev_context *ev)
{
	struct talev_req *req = req_of(src);
	talev_req_cleanup_fn_t cleanup = req->cleanup;

	(void)ev;
	req->cleanup = NULL;
	if (cleanup != NULL && !req_has(req, REQ_CLEANING))
		cleanup(req, TALEV_REQ_RECEIVED);
}

/* How it ends. False: there is nobody to be told, and perhaps no request any more. */
static bool settle(
	struct talev_req *req, enum talev_req_state state, uint64_t error, const char *location)
{
	if (req_has(req, REQ_JOINED))
		req_drop_timer(req);
	if (req_has(req, REQ_EXPIRED | REQ_DISMISSED)) {
		req_clear(req, REQ_EXPIRED | REQ_DISMISSED);
		if (!req_has(req, REQ_NOTIFY))
			core_unpost(&req->ts.src);
	}
	req->ts.node.state = (uint8_t)state;
	req->ended_at = location;
	req->error = error;
	if (!req_live(req))
		return false;
	if (req->cleanup != NULL && !call_cleanup(req, state))
		return false;
	if (req->extra != NULL)
		profile_end(req);
	return req_live(req) && req_state(req) != TALEV_REQ_RECEIVED;
}

void req_post(struct talev_req *req, unsigned flags)
{
	if (req_has(req, REQ_JOINED)) {
		/* A source is in one queue at a time. */
		core_timer_disarm(&req->ts);
	}
	if (!req_has(req, REQ_POSTED))
		core_post(&req->ts.src);
	req_set(req, flags);
}

static void call_back(struct source *src)
{
	req_of(src)->fn(req_of(src));
}

static void notify(struct talev_req *req)
{
	if (req->fn == NULL || req_has(req, REQ_NOTIFY))
		return;
	if (req_has(req, REQ_DEFER) || !req->ts.src.enabled) {
		req_clear(req, REQ_DEFER);
		req_post(req, REQ_NOTIFY);
		return;
	}
	if (!req_in_progress(req))
		req_set(req, REQ_TOLD);
	core_call(&req->ts.src, call_back);
}

static void finished_again(
	struct talev_req *req, enum talev_req_state state, uint64_t error, const char *location)
{
	if (req_has(req, REQ_CLEANING)) {
		if (req_state(req) != TALEV_REQ_RECEIVED) {
			req->ts.node.state = (uint8_t)state;
			req->error = error;
			req->ended_at = location;
		}
		return;
	}
	if (req_has(req, REQ_OUTSIDE))
		return;
	base_misuse("request %s (%s) ended at %s, and again at %s", source_where(&req->ts.src),
		source_location(&req->ts.src), req->ended_at, location);
}

/* Most are: settle() would find nothing to do but to note how it ended. */
static bool is_plain(const struct talev_req *req)
{
	return req->ts.src.kind_flags == 0 && req->cleanup == NULL && req->extra == NULL &&
	       req_live(req);
}

void req_finish(
	struct talev_req *req, enum talev_req_state state, uint64_t error, const char *location)
{
	if (!req_in_progress(req)) {
		finished_again(req, state, error, location);
		return;
	}
	if (is_plain(req)) {
		req->ts.node.state = (uint8_t)state;
		req->ended_at = location;
		req->error = error;
		notify(req);
	} else if (settle(req, state, error, location)) {
		notify(req);
	}
}

/* Its timer has fired, or it was posted to end. False: as settle(). */
static bool end_in_turn(struct talev_req *req, bool posted)
{
	const char *blame = req->blame;

	if (posted && !req_has(req, REQ_EXPIRED | REQ_DISMISSED)) {
		req_arm(req);
		return true;
	}
	if (!posted && req_has(req, REQ_WAKES) && !req_has(req, REQ_OUTSIDE))
		return settle(req, TALEV_REQ_DONE, 0, source_location(&req->ts.src));
	req_set(req, REQ_OUTSIDE);
	if (req_has(req, REQ_DISMISSED))
		return settle(req, TALEV_REQ_CANCELED, ECANCELED, blame);
	return settle(req, TALEV_REQ_TIMED_OUT, ETIME, blame);
}

static inline void act(struct talev_req *req, bool posted)
{
	if (req_in_progress(req) && !end_in_turn(req, posted))
		return;
	if (!req->ts.src.enabled) {
		notify(req);
		return;
	}
	if (req->fn == NULL)
		return;
	req_clear(req, REQ_DEFER);
	if (!req_in_progress(req))
		req_set(req, REQ_TOLD);
	req->fn(req);
}

static void req_run(struct talev_context *ev, struct source *src)
{
	struct talev_req *req = req_of(src);

	(void)ev;
	req_clear(req, REQ_NOTIFY);
	act(req, true);
}

static void req_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	struct talev_req *req = req_of(src);
	bool posted = src->place == PLACE_IMMEDIATE;

	(void)flags;
	(void)now;
	if (posted) {
		req_clear(req, REQ_NOTIFY);
		core_unpost(src);
	} else if (req_expire_below(req)) {
		return;
	}
	act(req, posted);
}

static void req_enable(struct source *src)
{
	core_immediate_hold(src, !src->enabled);
}

static void req_describe(const struct source *src, struct talev_source_info *info)
{
	const struct talev_req *req = (const struct talev_req *)src;

	info->armed = src->place == PLACE_IMMEDIATE || core_timer_armed(&req->ts);
	info->deadline = core_timer_armed(&req->ts) ? req->ts.node.deadline : TALEV_NEVER;
}

const struct source_kind req_kind = {
	.type = "struct talev_req",
	.label = "request",
	.disarm = req_disarm,
	.closed = req_closed,
	.fire = req_fire,
	.run = req_run,
	.stays = true,
	.enable = req_enable,
	.describe = req_describe,
};

struct talev_req *_talev_req_create(
	struct talev_context *ev, TALLOC_CTX *mem_ctx, void *pstate, size_t size, const char *where)
{
	struct talev_req *req;
	void *data;

	if (ev == NULL) {
		errno = EINVAL;
		return NULL;
	}
	req = source_create(ev, mem_ctx, sizeof(*req) + size, &req_kind, NULL, where);
	if (req == NULL)
		return NULL;
	data = req->data;
	memcpy(pstate, &data, sizeof(data));
	if (atomic_load_explicit(&req_profiles, memory_order_relaxed) > 0)
		profile_inherit(req);
	return req;
}

void talev_req_set_callback(struct talev_req *req, talev_req_fn_t fn, void *private_data)
{
	req->fn = fn;
	req->ts.src.private_data = private_data;
	/* It has ended before anybody could be told. */
	if (!req_in_progress(req) && fn != NULL && req_live(req) &&
		!req_has(req, REQ_TOLD | REQ_NOTIFY) && req_state(req) != TALEV_REQ_RECEIVED)
		req_post(req, REQ_NOTIFY);
}

void _talev_req_done(struct talev_req *req, const char *location)
{
	req_finish(req, TALEV_REQ_DONE, 0, location);
}

bool _talev_req_error(struct talev_req *req, uint64_t error, const char *location)
{
	if (error == 0)
		return false;
	req_finish(req, TALEV_REQ_ERROR, error, location);
	return true;
}

bool _talev_req_nomem(const void *ptr, struct talev_req *req, const char *location)
{
	if (ptr != NULL)
		return false;
	_talev_req_oom(req, location);
	return true;
}

void _talev_req_oom(struct talev_req *req, const char *location)
{
	req_finish(req, TALEV_REQ_NO_MEMORY, ENOMEM, location);
}

void talev_req_defer_callback(struct talev_req *req)
{
	req_set(req, REQ_DEFER);
}

struct talev_req *talev_req_post(struct talev_req *req)
{
	talev_req_defer_callback(req);
	return req;
}

void talev_req_notify(struct talev_req *req)
{
	if (req_live(req) && req_state(req) != TALEV_REQ_RECEIVED)
		notify(req);
}

void talev_req_set_cleanup_fn(struct talev_req *req, talev_req_cleanup_fn_t fn)
{
	if (req_live(req) && req_state(req) != TALEV_REQ_RECEIVED)
		req->cleanup = fn;
}

void talev_req_received(struct talev_req *req)
{
	if (req_state(req) == TALEV_REQ_RECEIVED)
		return;
	req_drop_timer(req);
	if (req_has(req, REQ_POSTED)) {
		core_unpost(&req->ts.src);
		req_clear(req, REQ_POSTED);
	}
	if (req_in_progress(req)) {
		req->ended_at = "talev_req_received()";
		req->error = ESTALE;
	}
	req->ts.node.state = TALEV_REQ_RECEIVED;
	if (req->cleanup != NULL && req_live(req) && !req_has(req, REQ_CLEANING) &&
		!call_cleanup(req, TALEV_REQ_RECEIVED))
		return;
	req->cleanup = NULL;
	if (req->extra != NULL) {
		profile_end(req);
		req->extra->print = NULL;
	}
	talev_source_set_name(req, NULL);
	talloc_free_children(req);
}
