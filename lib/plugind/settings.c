/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "plugind/common.h"
#include "plugind/log.h"
#include "plugind/settings.h"
#include "plugind/value.h"

#ifndef TALEV_PLUGINDIR
#define TALEV_PLUGINDIR "/usr/local/lib/talev/plugins"
#endif

int settings_default(struct config *config)
{
	config->control = talloc_strdup(config, TALEVD_SOCKET);
	config->plugins = talloc_strdup(config, TALEV_PLUGINDIR);
	config->log_level = TALEV_LOG_INFO;
	config->clients = 16;
	config->timeout = TALEV_SEC(30);
	config->slow_handler = TALEV_MSEC(100);
	config->timing = true;
	config->watchdog = TALEV_NEVER;
	config->watchdog_abort = true;
	return config->control && config->plugins ? 0 : -1;
}

/* Says in error what it would have taken. */

static int set_path(struct config *config, char **path, const char *value, char *error, size_t size)
{
	char *absolute;

	if (value[0] == '\0') {
		snprintf(error, size, "a path");
		return -1;
	}
	absolute = config_path(config, config, value);
	if (!absolute) {
		snprintf(error, size, "more memory");
		return -1;
	}
	talloc_free(*path);
	*path = absolute;
	return 0;
}

/* 1: no such key. */
static int set(struct config *config, const char *key, const char *value, char *error, size_t size)
{
	struct sockaddr_un address;
	long long number = 0;
	bool choice = false;
	int rc = 1;

	if (strcmp(key, "control") == 0) {
		rc = set_path(config, &config->control, value, error, size);
		if (rc == 0 && common_address(&address, config->control) == -1) {
			snprintf(error, size, "a path of at most %zu bytes",
				sizeof(address.sun_path) - 1);
			rc = -1;
		}
	} else if (strcmp(key, "pidfile") == 0) {
		rc = set_path(config, &config->pidfile, value, error, size);
	} else if (strcmp(key, "plugins") == 0) {
		rc = set_path(config, &config->plugins, value, error, size);
	} else if (strcmp(key, "log") == 0) {
		rc = value_choice(&choice, value, "stderr", "syslog", error, size);
		config->syslog = choice;
	} else if (strcmp(key, "log_level") == 0) {
		rc = log_level_parse(value, &config->log_level);
		snprintf(error, size, "error, warning or info");
	} else if (strcmp(key, "timing") == 0) {
		rc = value_choice(&choice, value, "no", "yes", error, size);
		config->timing = choice;
	} else if (strcmp(key, "clients") == 0) {
		rc = value_number(&number, value, 1, 1024, error, size);
		config->clients = (unsigned)number;
	} else if (strcmp(key, "timeout") == 0) {
		rc = value_number(&number, value, 1, 3600, error, size);
		config->timeout = TALEV_SEC(number);
	} else if (strcmp(key, "slow_handler") == 0) {
		rc = value_number(&number, value, 0, 3600000, error, size);
		config->slow_handler = TALEV_MSEC(number);
	} else if (strcmp(key, "watchdog") == 0) {
		rc = value_limit(&config->watchdog, value, error, size);
	} else if (strcmp(key, "watchdog_abort") == 0) {
		rc = value_choice(&choice, value, "no", "yes", error, size);
		config->watchdog_abort = choice;
	}
	return rc;
}

int settings_apply(
	struct config *config, const struct config_option *option, char *error, size_t size)
{
	char wanted[128] = "";
	int rc = set(config, option->key, option->value, wanted, sizeof(wanted));

	if (rc == 0)
		return 0;
	if (rc > 0)
		snprintf(error, size, "[talevd] has no key %s", option->key);
	else
		snprintf(
			error, size, "%s takes %s, not \"%s\"", option->key, wanted, option->value);
	return -1;
}
