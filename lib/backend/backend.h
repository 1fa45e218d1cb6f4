/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backend: the kernel's ways of waiting, one file each, behind the vtable of core/backend.h.
 * A backend belongs to one context and its thread; see core/backend.h for what is true between
 * calls.
 */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include "core/backend.h"

/* Gives a sim backend the seed of its order. */
void sim_set_seed(struct backend *be, uint64_t seed);

/* May this process have a uring backend? No: there is none, or not any more. */
bool uring_works(void);

#endif
