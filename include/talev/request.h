/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_REQUEST_H
#define TALEV_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>
#include <talev/source.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;

/* Something that ends later. It is a source: it has a name (the type of its state), a location, a
 * tag, statistics and a finalizer; while it is disabled its callback is held back. All of these
 * are for the thread of its context. */
struct talev_req;

enum talev_req_state {
	TALEV_REQ_IN_PROGRESS,
	TALEV_REQ_DONE,
	TALEV_REQ_ERROR,     /* talev_req_error() */
	TALEV_REQ_TIMED_OUT, /* its deadline passed: ETIME */
	TALEV_REQ_NO_MEMORY, /* talev_req_oom(), talev_req_nomem(): ENOMEM */
	TALEV_REQ_CANCELED,  /* talev_req_cancel() without a cancel function: ECANCELED */
	TALEV_REQ_RECEIVED,  /* its result was fetched, or it is being freed */
};

typedef void (*talev_req_fn_t)(struct talev_req *req);
/* True: it will end soon, in its one callback. False: it cannot be cancelled, and goes on. */
typedef bool (*talev_req_cancel_fn_t)(struct talev_req *req);
/* state: how it ended, or TALEV_REQ_RECEIVED. */
typedef void (*talev_req_cleanup_fn_t)(struct talev_req *req, enum talev_req_state state);
/* A line about req, below mem_ctx, or NULL. */
typedef char *(*talev_req_print_fn_t)(struct talev_req *req, TALLOC_CTX *mem_ctx);

/* A request in progress in ev, and in *pstate its zeroed state of that type, in one piece of
 * memory: what belongs to the state is allocated below the request. mem_ctx NULL: ev owns it.
 * NULL: EINVAL, ENOMEM, ESHUTDOWN, ESTALE mem_ctx is being finalized. */
struct talev_req *_talev_req_create(struct talev_context *ev, TALLOC_CTX *mem_ctx, void *pstate,
	size_t size, const char *where);
#ifdef TALEV_DOC
struct talev_req *talev_req_create(
	struct talev_context *ev, TALLOC_CTX *mem_ctx, type **pstate, type);
type *talev_req_data(struct talev_req *req, type);
type *talev_req_callback_data(struct talev_req *req, type);
#endif
#define talev_req_create(ev, mem_ctx, pstate, type)                                                \
	_talev_req_create(                                                                         \
		ev, mem_ctx, 1 ? (pstate) : (type **)0, sizeof(type), TALEV_WHERE(type))

/* The state. A type other than that at creation, or a received request, is misuse: NULL. */
void *_talev_req_data(struct talev_req *req, const char *type, const char *location);
#define talev_req_data(req, type) ((type *)_talev_req_data(req, #type, __location__))

/* The context that req was created in; NULL once that has gone. */
struct talev_context *talev_req_context(const struct talev_req *req);

/* fn is called once when req has ended; from the loop if req ended inside the call that made it,
 * or was posted, deferred, cancelled or timed out, else from talev_req_done() and its kind. An
 * earlier one is replaced. fn NULL: none. */
void talev_req_set_callback(struct talev_req *req, talev_req_fn_t fn, void *private_data);

/* What was given to talev_req_set_callback(): a talloc object of that type, anything else is
 * misuse: NULL. Without the check: _void. */
void *_talev_req_callback_data(struct talev_req *req, const char *type, const char *location);
#define talev_req_callback_data(req, type)                                                         \
	((type *)_talev_req_callback_data(req, #type, __location__))
void *talev_req_callback_data_void(struct talev_req *req);

/* Ends req. Ending it a second time is misuse, unless the first end was its deadline or a cancel:
 * then nothing happens. */
void _talev_req_done(struct talev_req *req, const char *location);
#define talev_req_done(req) _talev_req_done(req, __location__)

/* error: an errno or any other number; 0 does nothing and returns false. */
bool _talev_req_error(struct talev_req *req, uint64_t error, const char *location);
#define talev_req_error(req, error) _talev_req_error(req, error, __location__)

/* If ptr is NULL, ends req with ENOMEM and returns true. */
bool _talev_req_nomem(const void *ptr, struct talev_req *req, const char *location);
#define talev_req_nomem(ptr, req) _talev_req_nomem(ptr, req, __location__)
void _talev_req_oom(struct talev_req *req, const char *location);
#define talev_req_oom(req) _talev_req_oom(req, __location__)

/* The callback of req comes from the loop, whether it has ended already or does so later. Returns
 * req, for the end of a _send function. */
struct talev_req *talev_req_post(struct talev_req *req);

/* The same for the next callback, without a result. */
void talev_req_defer_callback(struct talev_req *req);

/* Calls the callback, whatever the state, or has the loop call it if req is deferred. */
void talev_req_notify(struct talev_req *req);

bool talev_req_is_in_progress(const struct talev_req *req);

/* False only if req ended well. Else *state and *error, either may be NULL, tell why: *error is
 * EINPROGRESS while it is in progress, ESTALE when it was received. */
bool talev_req_is_error(
	const struct talev_req *req, enum talev_req_state *state, uint64_t *error);

/* Runs the loop until req has ended, whether or not its callback has been called yet. -1: ESTALE
 * req was freed meanwhile, or its context is gone; EINTR talev_loop_break(); else as
 * talev_loop_until(). */
int _talev_req_poll(struct talev_req *req, const char *location);
#define talev_req_poll(req) _talev_req_poll(req, __location__)

/* For the end of a _recv function: the cleanup function is told, all that is allocated below req
 * is freed, its state may not be used any more. */
void talev_req_received(struct talev_req *req);

/* A whole _recv function for a request without a result: 0, or -1 with the error as errno. Then
 * req is received, unless it is in progress: EINPROGRESS. */
int talev_req_simple_recv(struct talev_req *req);

/* Asks req to end before its time. It ends in its one callback, which comes from the loop: with
 * what its cancel function makes of it, or without one with ECANCELED. -1: ESTALE it has ended,
 * EBUSY its cancel function refuses. */
int _talev_req_cancel(struct talev_req *req, const char *location);
#define talev_req_cancel(req) _talev_req_cancel(req, __location__)

/* NULL: none. Not called again after it said true. */
void talev_req_set_cancel_fn(struct talev_req *req, talev_req_cancel_fn_t fn);

/* Called before the callback, when it may still change the result by talev_req_done() and its
 * kind, and when req is received, freed, or loses its context. NULL: none. */
void talev_req_set_cleanup_fn(struct talev_req *req, talev_req_cleanup_fn_t fn);

/* req ends with ETIME at that moment of the monotonic clock, and so does every request in progress
 * below it in the talloc tree that has no deadline of its own, the innermost first. TALEV_NEVER:
 * none, and none is inherited. -1: ESTALE it has ended, ENOMEM. */
int _talev_req_set_deadline(struct talev_req *req, talev_time_t deadline, const char *location);
#define talev_req_set_deadline(req, deadline) _talev_req_set_deadline(req, deadline, __location__)

/* No deadline of its own any more: what is inherited counts. */
void talev_req_reset_deadline(struct talev_req *req);

/* Its own, or the inherited one, or TALEV_NEVER. */
talev_time_t talev_req_get_deadline(const struct talev_req *req);

/* For people: one line, by the print function if there is one. NULL: ENOMEM. req may be NULL. */
char *talev_req_print(TALLOC_CTX *mem_ctx, struct talev_req *req);
char *talev_req_default_print(struct talev_req *req, TALLOC_CTX *mem_ctx);
/* -1: ENOMEM. */
int talev_req_set_print_fn(struct talev_req *req, talev_req_print_fn_t fn);

/* What a request and those that were created below it did, and when. */
struct talev_req_profile;

struct talev_req_profile_info {
	const char *name;     /* of the request */
	const char *location; /* where it was created */
	const char *ended_at; /* and ended; NULL: in progress */
	talev_time_t start;   /* monotonic */
	talev_time_t stop;    /* TALEV_NEVER: in progress */
	enum talev_req_state state;
	uint64_t error;
};

/* From now on req is profiled, and every request that is created below it. -1: EALREADY, ESTALE it
 * has ended, ENOMEM. */
int talev_req_set_profile(struct talev_req *req);

/* NULL: it has none. It goes with req. */
const struct talev_req_profile *talev_req_get_profile(const struct talev_req *req);

/* Takes it out of a request that has ended, with all it has below it. NULL: EINVAL it has none;
 * EINPROGRESS. */
struct talev_req_profile *talev_req_move_profile(struct talev_req *req, TALLOC_CTX *mem_ctx);

/* Fills size bytes of *info, so that programs built with an older header go on working. Strings
 * belong to the profile. */
void talev_req_profile_get(
	const struct talev_req_profile *profile, struct talev_req_profile_info *info, size_t size);

/* The first of the requests that were created below it, and the next beside it; NULL: none. */
const struct talev_req_profile *talev_req_profile_first(const struct talev_req_profile *profile);
const struct talev_req_profile *talev_req_profile_next(const struct talev_req_profile *profile);

/* For people: a tree, one line each. NULL: ENOMEM. */
char *talev_req_profile_text(TALLOC_CTX *mem_ctx, const struct talev_req_profile *profile);

/* For programs: one JSON object (RFC 8259), UTF-8. NULL: ENOMEM. */
char *talev_req_profile_json(TALLOC_CTX *mem_ctx, const struct talev_req_profile *profile);

#ifdef __cplusplus
}
#endif

#endif
