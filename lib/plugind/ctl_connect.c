/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugind/common.h"
#include "plugind/ctl_connect.h"

static enum ctl_result broken(const char *what)
{
	fprintf(stderr, "talevctl: %s\n", what);
	return CTL_NO_DAEMON;
}

int ctl_connect(const char *path)
{
	struct sockaddr_un address;
	int fd;

	if (common_address(&address, path) == -1) {
		fprintf(stderr, "talevctl: %s: %s\n", path, strerror(errno));
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	fprintf(stderr, "talevctl: %s: %s\n", path, strerror(errno));
	if (fd != -1)
		close(fd);
	return -1;
}

/* What cannot be sent is no failure yet: the daemon may have answered and closed. */
static void send_all(int fd, const char *data, size_t length)
{
	ssize_t n;

	while (length > 0) {
		n = send(fd, data, length, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return;
		data += n;
		length -= (size_t)n;
	}
}

static ssize_t receive(int fd, char *buffer, size_t size)
{
	ssize_t n;

	do
		n = recv(fd, buffer, size, 0);
	while (n == -1 && errno == EINTR);
	return n;
}

/* The first line, byte by byte: what follows belongs to the body. */
static int receive_head(int fd, bool *ok, size_t *length)
{
	char head[64], newline;
	size_t i;

	for (i = 0; i < sizeof(head) - 1; i++) {
		if (receive(fd, head + i, 1) != 1)
			return -1;
		if (head[i] == '\n')
			break;
	}
	head[i] = '\0';
	if (sscanf(head, "OK %zu%c", length, &newline) == 1)
		*ok = true;
	else if (sscanf(head, "ERR %zu%c", length, &newline) == 1)
		*ok = false;
	else
		return -1;
	return 0;
}

enum ctl_result ctl_request(int fd, const char *request)
{
	char buffer[16384];
	size_t length;
	ssize_t n;
	bool ok;

	send_all(fd, request, strlen(request));
	send_all(fd, "\n", 1);
	if (receive_head(fd, &ok, &length) == -1)
		return broken("the daemon closed the connection without an answer");
	if (!ok)
		fputs("talevctl: ", stderr);
	while (length > 0) {
		n = receive(fd, buffer, length < sizeof(buffer) ? length : sizeof(buffer));
		if (n <= 0)
			return broken("the daemon closed the connection within its answer");
		fwrite(buffer, 1, (size_t)n, ok ? stdout : stderr);
		length -= (size_t)n;
	}
	if (fflush(stdout) != 0) {
		fprintf(stderr, "talevctl: stdout: %s\n", strerror(errno));
		return CTL_REFUSED;
	}
	return ok ? CTL_OK : CTL_REFUSED;
}

void ctl_wait_end(int fd)
{
	char byte;

	while (receive(fd, &byte, 1) == 1)
		;
}
