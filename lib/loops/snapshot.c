/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every loop is asked by a post, and answers where that is delivered, between two handlers. The
 * post comes back with the answer to the mailbox of who asked. Whatever ends first, the request, a
 * loop, or the context that asked: the posts, and with them what they are to fill in, stay until
 * the last one is back, or has been dropped.
 */
#include "loops/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talev/request.h>
#include <talev/timer.h>
#include "base/clock.h"
#include "loops/manager.h"

/* One loop, in the hands of one thread at a time. */
struct ask {
	struct core_post post;
	struct gather *gather;
	struct talev_loop *loop; /* on its own thread */
	unsigned index;
	enum talev_loop_answer answer;
	size_t calls;
	struct talev_snapshot *snapshot;
};

struct gather {
	atomic_uint refs; /* the request, and each ask on its way */
	atomic_bool given_up;
	struct mailbox *home;
	struct talev_req *req; /* of the thread that asks; NULL: it has ended */
	struct ask asks[];
};

/* The state of the request. */
struct listing {
	struct gather *gather;
	struct talev_loops_snapshot *snap;
	struct talev_context *held;
	struct talev_timer *patience;
	talev_time_t asked;
	unsigned pending;
	bool late;
};

static void gather_unref(struct gather *gather)
{
	if (atomic_fetch_sub_explicit(&gather->refs, 1, memory_order_acq_rel) != 1)
		return;
	mailbox_unref(gather->home);
	free(gather);
}

static struct ask *ask_of(struct core_post *post)
{
	return (struct ask *)((char *)post - offsetof(struct ask, post));
}

static struct listing *listing_of(struct talev_req *req)
{
	return _talev_req_data(req, "loops_snapshot", __location__);
}

static void forget(struct ask *ask)
{
	talloc_free(ask->snapshot);
	gather_unref(ask->gather);
}

static bool merge(struct talev_loops_snapshot *snap)
{
	snap->latency = talev_latency_create(snap);
	if (snap->latency == NULL)
		return false;
	for (unsigned i = 0; i < snap->count; i++) {
		const struct talev_snapshot *one = snap->loops[i].snapshot;

		if (one != NULL &&
			talev_latency_merge(snap->latency, talev_snapshot_latency(one)) != 0)
			return false;
	}
	return true;
}

/* All have answered, or it has waited for long enough. */
static void finish(struct talev_req *req)
{
	struct listing *listing = listing_of(req);

	talev_req_defer_callback(req);
	if (merge(listing->snap))
		talev_req_done(req);
	else
		talev_req_oom(req);
}

static void answered(struct talev_req *req, struct ask *ask)
{
	struct listing *listing = listing_of(req);
	struct talev_loop_info *info = &listing->snap->loops[ask->index];

	if (ask->answer == TALEV_LOOP_ANSWERED && ask->snapshot == NULL) {
		talev_req_defer_callback(req);
		talev_req_oom(req);
		return;
	}
	info->answer = ask->answer;
	info->calls = ask->calls;
	info->waited = base_clock_now(TALEV_CLOCK_MONOTONIC) - listing->asked;
	info->snapshot = talloc_steal(listing->snap, ask->snapshot);
	ask->snapshot = NULL;
	if (--listing->pending == 0)
		finish(req);
}

static void deliver_answer(struct talev_context *ev, struct core_post *post)
{
	struct ask *ask = ask_of(post);
	struct talev_req *req = ask->gather->req;

	(void)ev;
	if (req != NULL)
		answered(req, ask);
	forget(ask);
}

static void drop_answer(struct talev_context *ev, struct core_post *post)
{
	(void)ev;
	forget(ask_of(post));
}

static const struct core_post_ops answer_ops = {.deliver = deliver_answer, .drop = drop_answer};

static void send_back(struct ask *ask)
{
	ask->post.ops = &answer_ops;
	if (mailbox_send(ask->gather->home, &ask->post) != 0)
		forget(ask);
}

static size_t count_calls(const struct talev_loop *loop)
{
	size_t count = 0;

	for (const struct core_post *post = loop->async.calls.first; post != NULL;
		post = post->next)
		count++;
	return count;
}

static void deliver_ask(struct talev_context *ev, struct core_post *post)
{
	struct ask *ask = ask_of(post);

	ask->answer = TALEV_LOOP_ANSWERED;
	if (!atomic_load_explicit(&ask->gather->given_up, memory_order_relaxed)) {
		ask->snapshot = talev_snapshot(NULL, ev);
		ask->calls = count_calls(ask->loop);
	}
	send_back(ask);
}

static void drop_ask(struct talev_context *ev, struct core_post *post)
{
	struct ask *ask = ask_of(post);

	(void)ev;
	ask->answer = TALEV_LOOP_ENDED;
	send_back(ask);
}

static const struct core_post_ops ask_ops = {.deliver = deliver_ask, .drop = drop_ask};

/* It has ended in whatever way, or goes. */
static void clean_up(struct talev_req *req, enum talev_req_state state)
{
	struct listing *listing = listing_of(req);

	(void)state;
	TALLOC_FREE(listing->patience);
	if (listing->held != NULL && talev_req_context(req) != NULL)
		core_release(listing->held);
	listing->held = NULL;
	if (listing->gather == NULL)
		return;
	listing->gather->req = NULL;
	atomic_store_explicit(&listing->gather->given_up, true, memory_order_relaxed);
	gather_unref(listing->gather);
	listing->gather = NULL;
}

static void too_late(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct talev_req *req = private_data;
	struct listing *listing = listing_of(req);
	talev_time_t waited = base_clock_now(TALEV_CLOCK_MONOTONIC) - listing->asked;

	(void)ev;
	/* Who asks may be late itself: what has come by now is taken in before its next timer. */
	if (!listing->late) {
		listing->late = true;
		(void)talev_update_timer(te, now);
		return;
	}
	for (unsigned i = 0; i < listing->snap->count; i++)
		if (listing->snap->loops[i].answer == TALEV_LOOP_BUSY)
			listing->snap->loops[i].waited = waited;
	finish(req);
}

static struct talev_loops_snapshot *snapshot_create(
	TALLOC_CTX *mem_ctx, const struct manager *manager, unsigned count)
{
	struct talev_loops_snapshot *snap;

	snap = talloc_zero_size(mem_ctx, sizeof(*snap) + count * sizeof(snap->loops[0]));
	if (snap == NULL)
		return NULL;
	talloc_set_name_const(snap, "struct talev_loops_snapshot");
	snap->count = count;
	snap->name = talloc_strdup(snap, manager->name);
	if (snap->name == NULL)
		return NULL;
	for (unsigned i = 0; i < count; i++) {
		const struct talev_loop *loop = manager_loop(manager, i);
		struct talev_loop_info *info = &snap->loops[i];

		info->index = i;
		info->answer = TALEV_LOOP_BUSY;
		info->name = talloc_strdup(snap, loop->name);
		info->pool = talloc_strdup(snap, loop->pool->name);
		if (info->name == NULL || info->pool == NULL)
			return NULL;
	}
	return snap;
}

static struct gather *gather_create(
	struct talev_context *ev, const struct manager *manager, unsigned count)
{
	struct gather *gather = calloc(1, sizeof(*gather) + count * sizeof(gather->asks[0]));

	if (gather == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	gather->home = mailbox_get(ev);
	if (gather->home == NULL) {
		free(gather);
		return NULL;
	}
	atomic_init(&gather->refs, 1);
	for (unsigned i = 0; i < count; i++)
		gather->asks[i] = (struct ask){
			.post = {.ops = &ask_ops},
			.gather = gather,
			.loop = manager_loop(manager, i),
			.index = i,
		};
	return gather;
}

static int prepare(struct talev_req *req, struct listing *listing, const struct manager *manager,
	talev_time_t wait)
{
	struct talev_context *ev = talev_req_context(req);
	unsigned count = manager_count(manager);

	listing->snap = snapshot_create(req, manager, count);
	if (listing->snap == NULL) {
		errno = ENOMEM;
		return -1;
	}
	listing->asked = base_clock_now(TALEV_CLOCK_MONOTONIC);
	listing->patience =
		talev_add_timer(ev, req, talev_time_add(talev_now(ev), wait), too_late, req);
	if (listing->patience == NULL)
		return -1;
	listing->gather = gather_create(ev, manager, count);
	if (listing->gather == NULL)
		return -1;
	listing->gather->req = req;
	listing->held = ev;
	core_hold(ev);
	talev_req_set_cleanup_fn(req, clean_up);
	return 0;
}

static void ask_all(struct talev_req *req, struct listing *listing)
{
	struct gather *gather = listing->gather;

	for (unsigned i = 0; i < listing->snap->count; i++) {
		struct ask *ask = &gather->asks[i];

		atomic_fetch_add_explicit(&gather->refs, 1, memory_order_relaxed);
		if (mailbox_send(ask->loop->mb, &ask->post) == 0) {
			listing->pending++;
			continue;
		}
		listing->snap->loops[i].answer = TALEV_LOOP_ENDED;
		gather_unref(gather);
	}
	if (listing->pending == 0)
		finish(req);
}

struct talev_req *_talev_loops_snapshot_send(TALLOC_CTX *mem_ctx, struct talev_context *ev,
	struct talev_loops *loops, talev_time_t wait, const char *where)
{
	struct listing *listing;
	struct talev_req *req;

	if (loops == NULL || wait < 0) {
		errno = EINVAL;
		return NULL;
	}
	req = _talev_req_create(ev, mem_ctx, &listing, sizeof(*listing), where);
	if (req == NULL)
		return NULL;
	if (prepare(req, listing, loops->manager, wait) != 0) {
		int error = errno;

		talloc_free(req);
		errno = error;
		return NULL;
	}
	ask_all(req, listing);
	return req;
}

struct talev_loops_snapshot *talev_loops_snapshot_recv(struct talev_req *req, TALLOC_CTX *mem_ctx)
{
	struct talev_loops_snapshot *snap = NULL;

	if (!talev_req_is_error(req, NULL, NULL))
		snap = talloc_steal(mem_ctx, listing_of(req)->snap);
	return talev_req_simple_recv(req) == 0 ? snap : NULL;
}

size_t talev_loops_snapshot_count(const struct talev_loops_snapshot *snap)
{
	return snap->count;
}

int talev_loops_snapshot_get(const struct talev_loops_snapshot *snap, size_t i,
	struct talev_loop_info *info, size_t size)
{
	size_t known = sizeof(snap->loops[0]);

	if (i >= snap->count) {
		errno = EINVAL;
		return -1;
	}
	if (size > known)
		memset((char *)info + known, 0, size - known);
	memcpy(info, &snap->loops[i], size < known ? size : known);
	return 0;
}

const struct talev_latency *talev_loops_snapshot_latency(const struct talev_loops_snapshot *snap)
{
	return snap->latency;
}
