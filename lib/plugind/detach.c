/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "plugind/detach.h"
#include "plugind/log.h"

static int ready_fd = -1;

static void wait_for_child(int fd)
{
	char byte;
	ssize_t n;

	do
		n = read(fd, &byte, 1);
	while (n == -1 && errno == EINTR);
	_exit(n == 1 ? 0 : 1);
}

int detach(void)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1)
		goto fail;
	pid = fork();
	if (pid == -1)
		goto fail;
	if (pid > 0) {
		close(fds[1]);
		wait_for_child(fds[0]);
	}
	close(fds[0]);
	ready_fd = fds[1];
	if (setsid() == -1 || chdir("/") == -1)
		goto fail;
	return 0;
fail:
	log_message(TALEV_LOG_ERROR, "detach: %s", strerror(errno));
	return -1;
}

void detach_ready(void)
{
	int null;

	if (ready_fd == -1)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null != -1) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	if (write(ready_fd, "", 1) == -1)
		log_message(TALEV_LOG_WARNING, "detach: %s", strerror(errno));
	close(ready_fd);
	ready_fd = -1;
}
