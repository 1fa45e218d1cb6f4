/* SPDX-License-Identifier: BSD-2-Clause */
/* The request, inside the room. */
#ifndef REQUEST_REQ_H
#define REQUEST_REQ_H

#include "request/request.h"

enum req_flag {
	REQ_DEFER = 0x1,      /* the next callback comes from the loop */
	REQ_TOLD = 0x2,       /* it has ended, and the callback was called */
	REQ_CLEANING = 0x4,   /* its cleanup function is on the stack: the result may change */
	REQ_CANCELLED = 0x8,  /* its cancel function was called */
	REQ_DEADLINE = 0x10,  /* has one of its own, which may be never */
	REQ_JOINED = 0x20,    /* has a place among the context's deadlines */
	REQ_EXPIRED = 0x40,   /* posted to end with ETIME */
	REQ_DISMISSED = 0x80, /* posted to end with ECANCELED */
	REQ_NOTIFY = 0x100,   /* posted for its callback */
	REQ_WAKES = 0x200,    /* its state begins with a struct req_wake */
	REQ_OUTSIDE = 0x400,  /* it was not the code behind it that ended it */
	REQ_MARKED = 0x800,   /* for a moment: it has been seen in a list */
};
#define REQ_POSTED (REQ_EXPIRED | REQ_DISMISSED | REQ_NOTIFY)

struct req_wake {
	talev_time_t at;       /* it is done */
	talev_time_t deadline; /* its own, if it has one */
};

/* What few requests need. */
struct req_extra {
	talev_req_print_fn_t print;
	struct talev_req_profile *profile;
};

/* ts.node.state is an enum talev_req_state, ts.src.kind_flags are enum req_flag. The size is a
 * promise (talev_request(3)): what is used only in progress shares its place with what is used only
 * afterwards, and the type of the state is in the name of the source. */
struct talev_req {
	struct timer_source ts;
	talev_req_fn_t fn;
	talev_req_cleanup_fn_t cleanup;
	union {
		talev_req_cancel_fn_t cancel; /* in progress */
		const char *ended_at;         /* after that */
	};
	union {
		const char *blame;      /* in progress: who set the deadline, who dismissed it */
		struct talev_req *next; /* in progress, while the expired ones are gathered */
		uint64_t error;         /* after that */
	};
	struct req_extra *extra;
	_Alignas(16) unsigned char data[];
};

extern const struct source_kind req_kind;

static inline enum talev_req_state req_state(const struct talev_req *req)
{
	return (enum talev_req_state)req->ts.node.state;
}

static inline bool req_in_progress(const struct talev_req *req)
{
	return req->ts.node.state == TALEV_REQ_IN_PROGRESS;
}

static inline bool req_live(const struct talev_req *req)
{
	return req->ts.src.ev != NULL;
}

static inline bool req_has(const struct talev_req *req, unsigned flags)
{
	return (req->ts.src.kind_flags & flags) != 0;
}

static inline void req_set(struct talev_req *req, unsigned flags)
{
	req->ts.src.kind_flags |= (uint16_t)flags;
}

static inline void req_clear(struct talev_req *req, unsigned flags)
{
	req->ts.src.kind_flags &= (uint16_t)~flags;
}

/* Whether a talloc chunk is a request. */
static inline bool is_req(const void *ptr)
{
	return talloc_get_name(ptr) == req_kind.type;
}

/* Tells whether the memory of a request is still there, without pinning it. */
struct req_watch {
	struct life_list list;
	struct life_object *object; /* NULL: it has gone */
};

static inline void req_watch(struct req_watch *watch, struct talev_req *req)
{
	watch->object = &req->ts.src.life;
	watch->list.objects = &watch->object;
	watch->list.count = 1;
	life_list_watch(&watch->list);
}

static inline bool req_unwatch(struct req_watch *watch)
{
	life_list_unwatch(&watch->list);
	return watch->object != NULL;
}

/* The nearest request above it in the talloc tree, or NULL. */
struct talev_req *req_above(const struct talev_req *req);

/* Ends it: with the callback now, or from the loop if that is due. */
void req_finish(
	struct talev_req *req, enum talev_req_state state, uint64_t error, const char *location);

/* Has the loop run it: for its callback, or to end it as its flags say. */
void req_post(struct talev_req *req, unsigned flags);

/* It has what few requests need. -1: ENOMEM. */
int req_need_extra(struct talev_req *req);

/* deadline.c. As flags and state say; not while it is posted. */
void req_arm(struct talev_req *req);
void req_drop_timer(struct talev_req *req);
/* Done at wake->at, which is the beginning of its state. -1: ENOMEM. */
int req_wake(struct talev_req *req, talev_time_t at);
/* The moment of the request has come. True: those below it end first, and it is posted. */
bool req_expire_below(struct talev_req *req);

/* profile.c. A request is created while others are profiled; ends; goes. */
extern atomic_uint req_profiles;
void profile_inherit(struct talev_req *req);
void profile_end(struct talev_req *req);
void profile_drop(struct talev_req *req);

/* print.c */
const char *req_state_name(enum talev_req_state state);

#endif
