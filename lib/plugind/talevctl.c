/* SPDX-License-Identifier: BSD-2-Clause */
#include <bsd/string.h>
#include <string.h>
#include <unistd.h>

#include "plugind/common.h"
#include "plugind/ctl_connect.h"

static int usage(FILE *to)
{
	const struct common_command *command;

	fprintf(to, "usage: talevctl [-s SOCKET] COMMAND\n"
		    "  -s SOCKET  of the daemon (" TALEVD_SOCKET ")\n"
		    "commands:\n");
	for (command = common_commands; command->name; command++)
		fprintf(to, "  %s %s\n", command->name, command->arguments);
	return to == stdout ? CTL_OK : CTL_USAGE;
}

/* A whole list of commands would hide what was wrong. */
static int usage_of(const char *name, const struct common_command *command)
{
	if (command)
		fprintf(stderr, "usage: talevctl [-s SOCKET] %s %s\n", command->name,
			command->arguments);
	else
		fprintf(stderr, "talevctl: there is no command %s, talevctl -h lists them\n", name);
	return CTL_USAGE;
}

/* The words of a request are parted by blanks, and there is no way to quote one. */
static int join(char *request, size_t size, int count, char **words)
{
	int i;

	request[0] = '\0';
	for (i = 0; i < count; i++) {
		if (words[i][0] == '\0' || strpbrk(words[i], " \t\n")) {
			fprintf(stderr, "talevctl: \"%s\" cannot be sent: blank in a word\n",
				words[i]);
			return -1;
		}
		if (i > 0)
			strlcat(request, " ", size);
		if (strlcat(request, words[i], size) >= size - 1) {
			fprintf(stderr, "talevctl: the request is too long\n");
			return -1;
		}
	}
	return 0;
}

/* A path is meant from here; a name without slash is the daemon's to find. */
static char *absolute(char *path, char *buffer, size_t size)
{
	if (path[0] == '/' || !strchr(path, '/') || !getcwd(buffer, size) ||
		strlcat(buffer, "/", size) >= size || strlcat(buffer, path, size) >= size)
		return path;
	return buffer;
}

int main(int argc, char **argv)
{
	const struct common_command *command;
	const char *socket_path = TALEVD_SOCKET;
	char request[COMMON_REQUEST_MAX], file[COMMON_REQUEST_MAX];
	int c, fd, rc;

	/* "+": --json belongs to the command. */
	while ((c = getopt(argc, argv, "+hs:V")) != -1) {
		switch (c) {
		case 's':
			socket_path = optarg;
			break;
		case 'V':
			puts("talevctl " TALEV_VERSION);
			return CTL_OK;
		case 'h':
			return usage(stdout);
		default:
			return usage(stderr);
		}
	}
	argc -= optind;
	argv += optind;
	if (argc == 0)
		return usage(stderr);
	command = common_command_find(argv[0]);
	if (!command || argc - 1 < command->least || argc - 1 > command->most)
		return usage_of(argv[0], command);
	if (strcmp(argv[0], "load") == 0 && argc == 3)
		argv[2] = absolute(argv[2], file, sizeof(file));
	if (join(request, sizeof(request), argc, argv) == -1)
		return CTL_USAGE;
	fd = ctl_connect(socket_path);
	if (fd == -1)
		return CTL_NO_DAEMON;
	rc = ctl_request(fd, request);
	if (rc == CTL_OK && strcmp(argv[0], "stop") == 0)
		ctl_wait_end(fd);
	close(fd);
	return rc;
}
