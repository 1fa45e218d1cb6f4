/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TEVENT_ALARM_H
#define TEVENT_ALARM_H

#include "tevent/event.h"

/* How long to wait: for the first timer, or without timers as long as the loop is to wait. */
talev_time_t alarm_patience(struct tevent_context *ev);
/* When a wait that begins now, and has no timer to wait for, has lasted long enough. */
talev_time_t alarm_limit(const struct tevent_context *ev);
/* Sees to it that the wait ends at the first timer's deadline, or without timers at limit. -1. */
int alarm_set(struct tevent_context *ev, talev_time_t limit);
bool alarm_over(talev_time_t limit);

#endif
