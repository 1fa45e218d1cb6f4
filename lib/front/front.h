/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * front: the one place that sees every backend and picks. Owns nothing; any thread.
 */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include "backend/backend.h"
#include "core/core.h"

#endif
