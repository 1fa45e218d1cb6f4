/* SPDX-License-Identifier: BSD-2-Clause */
#include <bsd/string.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "plugind/common.h"

const struct common_command common_commands[] = {
	{"list", "", 0, 0},
	{"tree", "PLUGIN", 1, 1},
	{"events", "[--json]", 0, 1},
	{"loops", "[--json]", 0, 1},
	{"jobs", "[NAME] [--json] | NAME KEY=VALUE...", 0, COMMON_WORDS_MAX - 1},
	{"watchdog", "[--json]", 0, 1},
	{"load", "PLUGIN [FILE]", 1, 2},
	{"unload", "PLUGIN", 1, 1},
	{"reload", "PLUGIN", 1, 1},
	{"ping", "", 0, 0},
	{"stop", "", 0, 0},
	{NULL, NULL, 0, 0},
};

const struct common_command *common_command_find(const char *name)
{
	const struct common_command *command;

	for (command = common_commands; command->name; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

int common_address(struct sockaddr_un *address, const char *path)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (strlcpy(address->sun_path, path, sizeof(address->sun_path)) < sizeof(address->sun_path))
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}
