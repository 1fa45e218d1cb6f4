/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of proxies send: it tells when it arrives and when it is freed. */
#ifndef THREAD_PARCEL_H
#define THREAD_PARCEL_H

#include "thread/threads.h"

struct parcel {
	int number;
	TALLOC_CTX *keep; /* the handler steals to it */
	void (*then)(struct talev_context *ev, struct talev_immediate *im, struct parcel *parcel);
	void *arg;
};

/* That exist. */
extern atomic_int parcels;

static inline int parcel_gone(struct parcel *parcel)
{
	parcels--;
	if (parcel->number > 0)
		test_note("freed:%d", parcel->number);
	return 0;
}

static inline struct parcel *parcel_create(TALLOC_CTX *mem_ctx, int number)
{
	struct parcel *parcel = talloc_zero(mem_ctx, struct parcel);

	demand(parcel != NULL);
	parcel->number = number;
	parcels++;
	talloc_set_destructor(parcel, parcel_gone);
	return parcel;
}

static inline void receive(struct talev_context *ev, struct talev_immediate *im, void *data)
{
	struct parcel *parcel = talloc_get_type_abort(data, struct parcel);

	if (parcel->number > 0)
		test_note("%d", parcel->number);
	if (parcel->keep != NULL)
		talloc_steal(parcel->keep, parcel);
	if (parcel->then != NULL)
		parcel->then(ev, im, parcel);
}

static inline struct talev_thread_proxy *proxy_to(struct talev_context *ev)
{
	struct talev_thread_proxy *tp = talev_thread_proxy_create(ev, NULL);

	assert_non_null(tp);
	return tp;
}

static inline struct talev_thread_proxy *handle_of(
	TALLOC_CTX *mem_ctx, struct talev_thread_proxy *tp)
{
	struct talev_thread_proxy *handle = talev_thread_proxy_attach(mem_ctx, tp);

	demand(handle != NULL);
	return handle;
}

static inline struct talev_immediate *immediate(TALLOC_CTX *mem_ctx)
{
	struct talev_immediate *im = talev_create_immediate(mem_ctx);

	demand(im != NULL);
	return im;
}

static inline void send_parcel(
	struct talev_thread_proxy *tp, TALLOC_CTX *mem_ctx, struct parcel *parcel)
{
	struct talev_immediate *im = immediate(mem_ctx);

	assert_ok(talev_thread_proxy_schedule(tp, &im, receive, &parcel));
	assert_null(im);
	assert_null(parcel);
}

static inline void send_number(struct talev_thread_proxy *tp, TALLOC_CTX *mem_ctx, int number)
{
	send_parcel(tp, mem_ctx, parcel_create(mem_ctx, number));
}

/* Runs all that has been sent so far. */
static inline void run_what_is_there(struct talev_context *ev)
{
	test_watchdog(__func__, __location__);
	while (talev_loop_nowait(ev) == 0) {
	}
	assert_true(errno == EAGAIN || errno == ENOENT);
}

#endif
