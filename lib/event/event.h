/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * event: the kinds of events, one file each. Each owns its public struct, which begins with the
 * struct source that core queues; each is used through its public header, on the owner's thread.
 */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include <talev/immediate.h>
#include "core/core.h"

/* For who brings an immediate from another thread. */

/* What of im another thread may touch: its post is then on its way to im's owner. */
struct core_post *immediate_post(struct talev_immediate *im);
struct talev_immediate *immediate_of_post(struct core_post *post);
/* im as what it is to the queues; and of which kind it is there, NULL for its own. By whoever may
 * touch im at that time. */
struct source *immediate_source(struct talev_immediate *im);
void immediate_disguise(struct talev_immediate *im, const struct source_kind *kind);
/* What is to run. By whoever may touch im at that time; before the post is sent. */
void immediate_prepare(struct talev_immediate *im, talev_immediate_handler_t handler,
	void *private_data, const char *where);
/* Owner: schedules it as prepared. Nothing if it is not live. */
void immediate_arrived(struct talev_immediate *im, struct talev_context *ev);
/* Owner: calls its handler outside of any queue. */
void immediate_call(struct talev_immediate *im, struct talev_context *ev);

#endif
