/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <talev/context.h>
#include <talev/fd.h>
#include <talev/timer.h>
#include <unistd.h>

#include "plugind/client.h"
#include "plugind/common.h"
#include "plugind/config.h"
#include "plugind/control.h"
#include "plugind/plugind.h"
#include "plugind/log.h"

/* When accept(2) finds no descriptor, for how long not to try. */
#define REST TALEV_MSEC(500)

/* Somebody may have put another socket there since. */
static int control_gone(struct control *control)
{
	struct stat st;

	if (lstat(control->path, &st) == 0 && st.st_dev == control->device &&
		st.st_ino == control->inode)
		unlink(control->path);
	return 0;
}

/* 0: the path is free now. */
static int clear_path(const struct sockaddr_un *address)
{
	const char *path = address->sun_path;
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	rc = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	close(fd);
	if (rc == -1 && errno == ECONNREFUSED)
		return unlink(path);
	/* It answers, or its queue is full, or it is not ours to ask. */
	errno = rc == 0 || errno == EAGAIN ? EADDRINUSE : errno;
	return -1;
}

/* The umask makes the mode right from the first moment on; no other thread runs yet. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
	mode_t before = umask(0177);
	int rc = bind(fd, (const struct sockaddr *)address, sizeof(*address));

	umask(before);
	return rc;
}

static bool admitted(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == -1)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	log_message(TALEV_LOG_WARNING, "control: refused uid %u, pid %d", (unsigned)peer.uid,
		(int)peer.pid);
	return false;
}

/* A new connection takes this much without waiting. */
static void turn_away(int fd, const char *answer)
{
	if (send(fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT) == -1)
		log_message(TALEV_LOG_INFO, "control: %s", strerror(errno));
	close(fd);
}

static void rested(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct control *control = private_data;

	(void)ev;
	(void)te;
	(void)now;
	talev_source_set_enabled(control->listener, true);
}

/* The connection stays in the queue and would wake the loop again and again. */
static void rest(struct control *control, int error)
{
	talev_time_t until = talev_time_add(talev_now(control->daemon->ev), REST);

	if (!talev_add_timer(control->daemon->ev, control, until, rested, control))
		return;
	talev_source_set_enabled(control->listener, false);
	if (!control->resting)
		log_message(TALEV_LOG_WARNING, "control: accept: %s", strerror(error));
	control->resting = true;
}

static void acceptable(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *private_data)
{
	struct control *control = private_data;
	struct daemon *d = control->daemon;
	int fd = accept4(talev_fd_get_fd(fde), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)ev;
	(void)flags;
	if (fd == -1) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			rest(control, errno);
		return;
	}
	control->resting = false;
	if (!admitted(fd))
		turn_away(fd, "ERR 26\nthis is not for your user\n");
	else if (control->count >= d->config->clients)
		turn_away(fd, "ERR 17\ntoo many clients\n");
	else if (client_open(control, fd) == -1)
		log_message(TALEV_LOG_WARNING, "control: %s", strerror(errno));
}

static int listen_at(struct control *control, const char *path)
{
	struct sockaddr_un address;
	struct stat st;
	int fd;

	if (common_address(&address, path) == -1 || clear_path(&address) == -1)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (bind_private(fd, &address) == -1)
		goto fail;
	if (lstat(path, &st) == 0) {
		control->device = st.st_dev;
		control->inode = st.st_ino;
	}
	control->path = talloc_strdup(control, path);
	if (!control->path) {
		unlink(path);
		goto fail;
	}
	talloc_set_destructor(control, control_gone);
	if (listen(fd, 16) == -1)
		goto fail;
	control->listener =
		talev_add_fd(control->daemon->ev, control, fd, TALEV_FD_READ, acceptable, control);
	if (!control->listener)
		goto fail;
	talev_fd_set_auto_close(control->listener);
	return 0;
fail:
	close(fd);
	return -1;
}

void control_push(struct control *control)
{
	struct client *c;

	LIST_FOREACH (c, &control->clients, link)
		client_push(c);
}

struct control *control_open(struct daemon *d, const char *path)
{
	struct control *control = talloc_zero(d, struct control);

	if (control) {
		control->daemon = d;
		if (listen_at(control, path) == 0)
			return control;
	}
	log_message(TALEV_LOG_ERROR, "control socket %s: %s", path,
		errno == EADDRINUSE ? "a daemon listens there already" : strerror(errno));
	talloc_free(control);
	return NULL;
}
