/* SPDX-License-Identifier: BSD-2-Clause */
#include <bsd/string.h>
#include <stdio.h>
#include <string.h>

#include "plugind/pool.h"
#include "plugind/queue.h"
#include "plugind/sections.h"
#include "plugind/value.h"

const char *const sections_own_keys[] = {"file", "threads", "pool", "jobs", NULL};

struct config_sections *sections_of(struct config *config, const char **name)
{
	static const char blanks[] = " \t";
	size_t length = strcspn(*name, blanks);
	const char *rest = *name + length + strspn(*name + length, blanks);
	bool pool = length == 4 && strncmp(*name, "pool", 4) == 0;

	if (*rest == '\0' || (!pool && (length != 4 || strncmp(*name, "jobs", 4) != 0)))
		return &config->sections;
	*name = rest;
	return pool ? &config->pools : &config->queues;
}

bool sections_next_word(const char **list, char *word, size_t size)
{
	size_t length;

	*list += strspn(*list, " \t,");
	length = strcspn(*list, " \t,");
	strlcpy(word, *list, length < size ? length + 1 : size);
	*list += length;
	return length > 0;
}

static int check_threads(const struct config_option *option, char *error, size_t size)
{
	char wanted[128];
	long long number;

	if (value_number(&number, option->value, 1, POOL_THREADS_MAX, wanted, sizeof(wanted)) == 0)
		return 0;
	snprintf(error, size, "threads takes %s, not \"%s\"", wanted, option->value);
	return -1;
}

static int check_watchdog(const struct config_option *option, char *error, size_t size)
{
	talev_time_t limit;
	char wanted[128];

	if (value_limit(&limit, option->value, wanted, sizeof(wanted)) == 0)
		return 0;
	snprintf(error, size, "watchdog takes %s, not \"%s\"", wanted, option->value);
	return -1;
}

int sections_check_pool(const struct config *config, const struct config_section *section,
	const struct config_option *option, char *error, size_t size)
{
	(void)config;
	if (strcmp(option->key, "threads") == 0)
		return check_threads(option, error, size);
	if (strcmp(option->key, "watchdog") == 0)
		return check_watchdog(option, error, size);
	snprintf(error, size, "[pool %s] has no key %s", section->name, option->key);
	return -1;
}

int sections_check_queue(const struct config *config, const struct config_section *section,
	const struct config_option *option, char *error, size_t size)
{
	struct queue_change change = {0};
	char what[128];
	int rc;

	(void)config;
	if (strcmp(option->key, "watchdog") == 0)
		return check_watchdog(option, error, size);
	rc = queue_change_add(&change, option->key, option->value, what, sizeof(what));
	if (rc == 0 && strcmp(option->key, "min") == 0 &&
		change.min > config_number(section, "max", QUEUE_MOST)) {
		snprintf(error, size, "min is above max");
		rc = -1;
	} else if (rc > 0) {
		snprintf(error, size, "[jobs %s] has no key %s", section->name, option->key);
		rc = -1;
	} else if (rc < 0) {
		snprintf(error, size, "%s takes %s, not \"%s\"", option->key, what, option->value);
	}
	return rc;
}

static int check_pool_of_plugin(const struct config *config, const struct config_section *section,
	const struct config_option *option, char *error, size_t size)
{
	if (config_option(section, "threads"))
		snprintf(error, size, "[%s] has threads of its own, and a pool", section->name);
	else if (!config_find(&config->pools, option->value))
		snprintf(error, size, "there is no section [pool %s]", option->value);
	else
		return 0;
	return -1;
}

static int check_queues_of_plugin(
	const struct config *config, const struct config_option *option, char *error, size_t size)
{
	const char *list = option->value;
	char name[64];

	while (sections_next_word(&list, name, sizeof(name))) {
		if (config_find(&config->queues, name))
			continue;
		snprintf(error, size, "there is no section [jobs %s]", name);
		return -1;
	}
	return 0;
}

static int check_watchdog_of_plugin(const struct config_section *section,
	const struct config_option *option, char *error, size_t size)
{
	if (config_option(section, "threads"))
		return check_watchdog(option, error, size);
	snprintf(error, size, "[%s] has no threads of its own for a watchdog", section->name);
	return -1;
}

int sections_check_plugin(const struct config *config, const struct config_section *section,
	const struct config_option *option, char *error, size_t size)
{
	if (strcmp(option->key, "threads") == 0)
		return check_threads(option, error, size);
	if (strcmp(option->key, "pool") == 0)
		return check_pool_of_plugin(config, section, option, error, size);
	if (strcmp(option->key, "jobs") == 0)
		return check_queues_of_plugin(config, option, error, size);
	if (strcmp(option->key, "watchdog") == 0)
		return check_watchdog_of_plugin(section, option, error, size);
	return 0;
}
