/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inspect: a copy of what a context holds, as data, text and JSON. Owns its snapshots, which
 * refer to nothing of the context; making one is for the owner's thread, the rest for any.
 */
#ifndef INSPECT_INSPECT_H
#define INSPECT_INSPECT_H

#include <talev/inspect.h>

#endif
