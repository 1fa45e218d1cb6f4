/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_SECTIONS_H
#define PLUGIND_SECTIONS_H

#include <stddef.h>

#include "plugind/config.h"

/* What sections there are besides [talevd], and which of their keys are the daemon's. */

/* Where a section of the title *name belongs. *name is what it names, afterwards. */
struct config_sections *sections_of(struct config *config, const char **name);

/* -1: unknown key or bad value, told in error. */
typedef int (*section_check_fn_t)(const struct config *config, const struct config_section *section,
	const struct config_option *option, char *error, size_t size);

int sections_check_pool(const struct config *config, const struct config_section *section,
	const struct config_option *option, char *error, size_t size);
int sections_check_queue(const struct config *config, const struct config_section *section,
	const struct config_option *option, char *error, size_t size);
int sections_check_plugin(const struct config *config, const struct config_section *section,
	const struct config_option *option, char *error, size_t size);

/* The keys of a plugin's section that are the daemon's and say where it lives: NULL at the end.
 * watchdog is the daemon's too. */
extern const char *const sections_own_keys[];

/* The next name in a list of them, parted by blanks or commas, copied into word; *list is what
 * comes after it. False: there is none. */
bool sections_next_word(const char **list, char *word, size_t size);

#endif
