/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_TIMER_H
#define TALEV_TIMER_H

#include <stdint.h>
#include <talloc.h>
#include <talev/source.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;
struct talev_timer;

/* now: the time of the timer's clock, read when its turn began; never before the deadline. */
typedef void (*talev_timer_handler_t)(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data);

/* One-shot, on the monotonic clock: the handler runs once at or after deadline (ns on that
 * clock), then the timer is freed unless the handler armed it again. mem_ctx NULL: ev owns it.
 * Timers run in the order of their deadlines, equal ones in the order they were armed; one that is
 * armed while others are due already runs after those. NULL:
 * EINVAL, ENOMEM, ESHUTDOWN, ESTALE mem_ctx is being finalized. */
struct talev_timer *_talev_add_timer(struct talev_context *ev, TALLOC_CTX *mem_ctx,
	talev_time_t deadline, talev_timer_handler_t handler, void *private_data,
	const char *where);
#define talev_add_timer(ev, mem_ctx, deadline, handler, private_data)                              \
	_talev_add_timer(ev, mem_ctx, deadline, handler, private_data, TALEV_WHERE(handler))

/* The same on a clock of choice. */
struct talev_timer *_talev_add_timer_on(struct talev_context *ev, TALLOC_CTX *mem_ctx,
	enum talev_clock clock, talev_time_t deadline, talev_timer_handler_t handler,
	void *private_data, const char *where);
#define talev_add_timer_on(ev, mem_ctx, clock, deadline, handler, private_data)                    \
	_talev_add_timer_on(                                                                       \
		ev, mem_ctx, clock, deadline, handler, private_data, TALEV_WHERE(handler))

/* Periodic, on the monotonic clock: first after period ns, then at first + n * period without
 * drift. Ticks that passed while the loop was busy are not made up for: one call tells how many
 * (talev_timer_get_missed), and the next tick is the next multiple in the future. Never freed by
 * itself. period > 0. Errors as talev_add_timer(). */
struct talev_timer *_talev_add_ticker(struct talev_context *ev, TALLOC_CTX *mem_ctx,
	talev_time_t period, talev_timer_handler_t handler, void *private_data, const char *where);
#define talev_add_ticker(ev, mem_ctx, period, handler, private_data)                               \
	_talev_add_ticker(ev, mem_ctx, period, handler, private_data, TALEV_WHERE(handler))

/* Moves an armed timer, arms a stopped or running one. A ticker goes on from there by its
 * period. -1: ESTALE. */
int talev_update_timer(struct talev_timer *te, talev_time_t deadline);

/* Arms te to run delay ns from now on its clock, like talev_update_timer(). -1: ESTALE. */
int talev_timer_start(struct talev_timer *te, talev_time_t delay);

/* Disarms te, also when it is due already and has not run. A one-shot timer that is stopped, or
 * re-armed, inside its own handler is not freed after it. -1: ESTALE. */
int talev_timer_stop(struct talev_timer *te);

/* The armed deadline; TALEV_NEVER when it is not armed. */
talev_time_t talev_timer_get_deadline(const struct talev_timer *te);

/* The clock that the timer runs on. */
enum talev_clock talev_timer_get_clock(const struct talev_timer *te);

/* A new period from the next tick on; 0 makes it one-shot. -1: EINVAL negative; ESTALE;
 * ENOMEM, if it is no ticker. */
int talev_timer_set_period(struct talev_timer *te, talev_time_t period);
talev_time_t talev_timer_get_period(const struct talev_timer *te);

/* May run up to slack ns late, so that it can share a wake-up: of the moments between deadline
 * and deadline + slack it takes the one that is a multiple of the largest power of two ns.
 * Counts from the next arming on. -1: EINVAL negative; ESTALE; ENOMEM. */
int talev_timer_set_slack(struct talev_timer *te, talev_time_t slack);
talev_time_t talev_timer_get_slack(const struct talev_timer *te);

/* Inside the handler of a ticker: how many ticks before this one passed without a call. */
uint64_t talev_timer_get_missed(const struct talev_timer *te);

#ifdef __cplusplus
}
#endif

#endif
