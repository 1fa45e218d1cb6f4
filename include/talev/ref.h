/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_REF_H
#define TALEV_REF_H

#include <talloc.h>
#include <talev/finalize.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A weak reference to a source, for other threads: the source may go at any time. */
struct talev_ref;
struct talev_context;

enum talev_ref_status {
	TALEV_REF_IDLE,    /* no handler of it is executing */
	TALEV_REF_RUNNING, /* its handler is executing, on whichever thread */
	TALEV_REF_GONE, /* it has been freed, finalized or cancelled, and no handler is executing */
};

/* A reference to source, which lives in ev or is an immediate that is only scheduled there. Owner's
 * thread of ev. NULL: EINVAL, ESTALE, ESHUTDOWN, ENOMEM, EMFILE. */
struct talev_ref *talev_ref_create(struct talev_context *ev, TALLOC_CTX *mem_ctx, void *source);

/* A handle of its own to the same source, in the tree of another thread. The thread that owns
 * mem_ctx calls it, while ref exists. NULL: ENOMEM. */
struct talev_ref *talev_ref_attach(TALLOC_CTX *mem_ctx, const struct talev_ref *ref);

/* What is with the source at this moment. Any thread. */
enum talev_ref_status talev_ref_get_status(const struct talev_ref *ref);

/* From now on the handler never starts again; the source itself goes inert, and its finalizer runs,
 * in its own loop. Never blocks. Any thread. Says what was with it before: IDLE it was live and
 * will not run again, RUNNING its handler is executing and may be using its data, GONE. */
enum talev_ref_status talev_ref_cancel(struct talev_ref *ref);

/* The same, and waits until no handler of it is executing. Any thread. -1: EDEADLK the caller is
 * that handler; it is cancelled all the same. */
int talev_ref_cancel_wait(struct talev_ref *ref);

/* As talev_ref_cancel(), then in the loop of the source as talev_finalize(ev, source, flags, fn,
 * arg): frees it, with all below it. If it goes before that, fn runs all the same. fn may be NULL.
 * Any thread. -1, nothing changed and fn is not called: EALREADY this was called before; ESHUTDOWN
 * its loop is gone; EINVAL; ENOMEM. */
int talev_ref_finalize(struct talev_ref *ref, unsigned flags, talev_finalizer_t fn, void *arg);

#ifdef __cplusplus
}
#endif

#endif
