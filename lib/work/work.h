/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work: what is done beside the loops: job queues, and histograms of how long things took.
 *
 * Neighbours use the public headers, and below it histograms that are a part of something else.
 */
#ifndef WORK_WORK_H
#define WORK_WORK_H

#include "work/histogram.h"

#endif
