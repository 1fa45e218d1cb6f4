/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugind/common.h"
#include "plugind/log.h"
#include "plugind/notify.h"

/* A name that begins with @ has no file: the first byte of its address is 0. */
static int address_of(struct sockaddr_un *address, socklen_t *length, const char *name)
{
	if ((name[0] != '/' && name[0] != '@') || common_address(address, name) == -1)
		return -1;
	*length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	if (name[0] == '@')
		address->sun_path[0] = '\0';
	return 0;
}

void notify_send(const char *state)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	socklen_t length;
	int fd;

	if (!name || address_of(&address, &length, name) == -1)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
				(struct sockaddr *)&address, length) == -1)
		log_message(TALEV_LOG_WARNING, "NOTIFY_SOCKET: %s", strerror(errno));
	if (fd != -1)
		close(fd);
}
