/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a service manager is told: one datagram for each message, to the socket that it names in
 * NOTIFY_SOCKET. The protocol is that of sd_notify(3), which needs no library.
 */
#include "loops/manager.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/base.h"

struct notify {
	struct sockaddr_un to;
	socklen_t length; /* 0: nobody wants to know */
	talev_time_t interval;
	talev_time_t last;
	bool ready;
};

/* The address as the environment has it now: the program may take it away for its children. */
static void take_address(struct notify *notify)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path != NULL ? strlen(path) : 0;

	if (n < 2 || n >= sizeof(notify->to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	notify->to.sun_family = AF_UNIX;
	memcpy(notify->to.sun_path, path, n);
	/* One without a file: its name has no end but its length. */
	if (path[0] == '@')
		notify->to.sun_path[0] = '\0';
	notify->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

static bool for_us(void)
{
	const char *text = getenv("WATCHDOG_PID");
	pid_t pid = text != NULL ? (pid_t)strtol(text, NULL, 10) : getpid();

	return pid == getpid() || parent_is(pid);
}

static void take_interval(struct notify *notify)
{
	const char *text = getenv("WATCHDOG_USEC");
	long long usec = text != NULL ? strtoll(text, NULL, 10) : 0;

	notify->interval = TALEV_NEVER;
	if (usec > 0 && usec < INT64_MAX / 1000 && notify->length > 0 && for_us())
		notify->interval = TALEV_USEC(usec) / 2;
}

struct notify *notify_create(void)
{
	struct notify *notify = calloc(1, sizeof(*notify));

	if (notify == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	take_address(notify);
	take_interval(notify);
	return notify;
}

void notify_free(struct notify *notify)
{
	free(notify);
}

talev_time_t notify_interval(const struct notify *notify)
{
	return notify->interval;
}

static int tell(const struct notify *notify, const char *what)
{
	ssize_t n;
	int error;
	int fd;

	if (notify->length == 0)
		return 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	/* A manager that does not listen is not to stop the watchdog. */
	n = sendto(fd, what, strlen(what), MSG_NOSIGNAL | MSG_DONTWAIT,
		(const struct sockaddr *)&notify->to, notify->length);
	error = errno;
	(void)base_close(fd);
	errno = error;
	return n >= 0 ? 0 : -1;
}

bool notify_due(struct notify *notify, talev_time_t now, talev_time_t period)
{
	/* Rather a little early than a little late. */
	if (!notify->ready || notify->interval == TALEV_NEVER ||
		now - notify->last + period < notify->interval)
		return false;
	notify->last = now;
	return true;
}

void notify_alive(const struct notify *notify)
{
	/* It has many of them already if there is no room. */
	if (tell(notify, "WATCHDOG=1") != 0 && errno != EAGAIN)
		base_log(TALEV_LOG_WARNING, "watchdog: the service manager was not told: error %d",
			errno);
}

int talev_watchdog_notify_ready(struct talev_watchdog *wd)
{
	pthread_mutex_lock(&watch_lock);
	wd->notify->ready = true;
	watchdog_changed(wd);
	pthread_mutex_unlock(&watch_lock);
	return tell(wd->notify, "READY=1");
}

int talev_watchdog_notify_stopping(struct talev_watchdog *wd)
{
	return tell(wd->notify, "STOPPING=1");
}

int talev_watchdog_notify_status(struct talev_watchdog *wd, const char *status)
{
	char text[1024];

	if (status == NULL || strchr(status, '\n') != NULL) {
		errno = EINVAL;
		return -1;
	}
	(void)snprintf(text, sizeof(text), "STATUS=%s", status);
	return tell(wd->notify, text);
}
