/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_ERRAND_H
#define PLUGIND_ERRAND_H

#include <stdbool.h>
#include <talloc.h>

#include "plugind/later.h"

struct daemon;
struct errand;
struct talev_loop;

/* The first is for the thread of the loop, the other for the daemon's. */
typedef void (*errand_there_fn_t)(struct errand *e, struct talev_loop *loop);
typedef void (*errand_back_fn_t)(struct errand *e);

/* Something that is done in a loop of another thread, and answered in the daemon's. Part of what
 * it is done for, which lies in the daemon's tree and must stay until it is back. While it is away
 * it belongs to the other thread, with all that it is part of. */
struct errand {
	struct daemon *daemon;
	struct talev_loop *loop;
	struct talev_immediate *im;
	struct later later;
	errand_there_fn_t there;
	errand_back_fn_t back;
	bool lost; /* the loop has ended: there() was not called */
};

/* -1: ENOMEM. */
int errand_init(struct errand *e, struct daemon *d, TALLOC_CTX *mem_ctx);

/* there() will be called, and must see to it that errand_return() is; then comes back(), in any
 * case, and never inside this call. Where memory is short it is tried again and again. */
void errand_send(
	struct errand *e, struct talev_loop *loop, errand_there_fn_t there, errand_back_fn_t back);
/* The same, if there is memory. -1: ENOMEM. */
int errand_try(
	struct errand *e, struct talev_loop *loop, errand_there_fn_t there, errand_back_fn_t back);
/* In back(): the same once more, in a while. */
void errand_repeat(struct errand *e);

/* On the thread of the loop: nothing there uses it any more. */
void errand_return(struct errand *e);

#endif
