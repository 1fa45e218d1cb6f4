/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * event: the kinds of events, one file each. Each owns its public struct, which begins with the
 * struct source that core queues; each is used through its public header, on the owner's thread.
 */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include "core/core.h"

#endif
