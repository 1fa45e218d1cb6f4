/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deadlines as descriptors: at most one timerfd per clock, made when first needed.
 * Belongs to one backend.
 */
#ifndef BACKEND_ALARM_H
#define BACKEND_ALARM_H

#include "base/base.h"
#include "core/backend.h"

struct alarm {
	int fd; /* -1: none yet */
	talev_time_t at;
};

struct alarms {
	struct alarm of[BASE_CLOCKS];
};

void alarms_init(struct alarms *alarms);
/* Closes them all. */
void alarms_close(struct alarms *alarms);
void alarm_close(struct alarms *alarms, enum talev_clock clock);

/* Readable from deadline on; TALEV_NEVER: not any more. No system call if it is so already.
 * 1: done, and the descriptor is new, so nobody watches it yet. -1: ENOMEM, EMFILE, ENFILE. */
int alarm_set(struct alarms *alarms, enum talev_clock clock, talev_time_t deadline);

/* How long a wait may last that ends by itself, for deadlines without an alarm; TALEV_NEVER: for
 * ever. */
talev_time_t alarm_timeout(const struct backend_deadlines *deadlines);

/* It was found readable, and no longer is. */
void alarm_drain(struct alarms *alarms, enum talev_clock clock);

#endif
