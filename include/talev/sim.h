/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_SIM_H
#define TALEV_SIM_H

#include <stdint.h>
#include <talloc.h>
#include <talev/source.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;

/* A context in virtual time: its clocks stand still while anything is ready, and jump to the next
 * deadline or scripted moment when nothing is. Real descriptors are polled without waiting.
 * Descriptors that are ready together are told in an order that seed decides; the same seed gives
 * the same order. talev_context_init_byname(mem_ctx, "sim") is the same with seed 0.
 * NULL: ENOMEM. */
struct talev_context *_talev_sim_init(TALLOC_CTX *mem_ctx, uint64_t seed, const char *where);
#define talev_sim_init(mem_ctx, seed) _talev_sim_init(mem_ctx, seed, TALEV_WHERE(context))

/* The rest fails with EINVAL on a context that is not on this backend. */

/* From the moment when (monotonic ns, now or later) on, fd counts as ready for flags, in place of
 * what the kernel says, until the next entry for fd; flags 0: not ready. fd need not be open.
 * -1: EINVAL, ENOMEM. */
int talev_sim_script(struct talev_context *ev, talev_time_t when, int fd, uint16_t flags);

/* Moves all clocks forward by ns >= 0. What comes due runs in the next turns. -1: EINVAL. */
int talev_sim_advance(struct talev_context *ev, talev_time_t ns);

/* Steps the realtime clock, as settimeofday(2) would. -1: EINVAL. */
int talev_sim_step_realtime(struct talev_context *ev, talev_time_t delta);

#ifdef __cplusplus
}
#endif

#endif
