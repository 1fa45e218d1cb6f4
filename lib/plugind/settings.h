/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_SETTINGS_H
#define PLUGIND_SETTINGS_H

#include <stddef.h>

#include "plugind/config.h"

/* The keys of [talevd]. */

/* What holds when the file says nothing. -1: ENOMEM. */
int settings_default(struct config *config);

/* Takes one over. -1: unknown key or bad value, told in error. */
int settings_apply(
	struct config *config, const struct config_option *option, char *error, size_t size);

#endif
