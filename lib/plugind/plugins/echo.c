/* SPDX-License-Identifier: BSD-2-Clause */
/* Sends back what it gets. Options:
 *   listen   addresses, parted by blanks: 127.0.0.1:7 [::1]:7 unix:/run/echo (port 0: any free)
 *   clients  how many at a time; 1000
 *
 *   mem_ctx
 *     echo              the plugin's own data
 *       listener        one per address; owns its descriptor through its watcher
 *       client          one per connection; likewise
 */
#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <talev/fd.h>
#include <talev/finalize.h>
#include <talev/plugin.h>
#include <talev/timer.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define BUFFER_SIZE      16384
#define REST             TALEV_MSEC(200)

struct echo {
	const struct talev_plugin_host *host;
	unsigned clients;
	unsigned clients_max;
};

struct listener {
	struct echo *echo;
	struct talev_fd *fde;
	char *path;   /* of a unix socket, else NULL */
	bool resting; /* it was said already */
};

struct client {
	struct echo *echo;
	struct talev_fd *fde;
	size_t start; /* buffer[start] to buffer[end - 1] are to be sent */
	size_t end;
	bool ended; /* it sends no more */
	char buffer[BUFFER_SIZE];
};

static int client_gone(struct client *c)
{
	c->echo->clients--;
	return 0;
}

/* False: the connection broke. */
static bool client_receive(struct client *c)
{
	ssize_t n = recv(talev_fd_get_fd(c->fde), c->buffer + c->end, BUFFER_SIZE - c->end, 0);

	if (n > 0)
		c->end += (size_t)n;
	else if (n == 0)
		c->ended = true;
	else
		return errno == EAGAIN || errno == EINTR;
	return true;
}

static bool client_send(struct client *c)
{
	ssize_t n = send(
		talev_fd_get_fd(c->fde), c->buffer + c->start, c->end - c->start, MSG_NOSIGNAL);

	if (n == -1)
		return errno == EAGAIN || errno == EINTR;
	c->start += (size_t)n;
	if (c->start == c->end)
		c->start = c->end = 0;
	return true;
}

/* Asks for more only when everything is sent: a client that does not read is not read. */
static void client_ready(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *private_data)
{
	struct client *c = private_data;
	bool alive = true;

	(void)ev;
	if (flags & TALEV_FD_READ)
		alive = client_receive(c);
	if (alive && c->end > 0)
		alive = client_send(c);
	if (!alive || (c->ended && c->end == 0)) {
		talloc_free(c); /* with fde, whose handler this is, and its descriptor */
		return;
	}
	talev_fd_set_flags(fde, c->end > 0 ? TALEV_FD_WRITE : TALEV_FD_READ);
}

/* Takes the descriptor, whatever happens. */
static void client_add(struct echo *echo, int fd)
{
	struct client *c = talloc(echo, struct client);

	if (!c) {
		close(fd);
		return;
	}
	c->echo = echo;
	c->start = c->end = 0;
	c->ended = false;
	echo->clients++;
	talloc_set_destructor(c, client_gone);
	c->fde = talev_add_fd(echo->host->ev, c, fd, TALEV_FD_READ, client_ready, c);
	if (!c->fde) {
		echo->host->log(echo->host, TALEV_LOG_WARNING, "client: %s", strerror(errno));
		close(fd);
		talloc_free(c);
		return;
	}
	talev_fd_set_auto_close(c->fde);
}

static void listener_rested(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct listener *l = private_data;

	(void)ev;
	(void)te;
	(void)now;
	talev_source_set_enabled(l->fde, true);
}

/* Who waits in the queue would wake the loop again and again. */
static void listener_rest(struct listener *l, const char *why)
{
	const struct talev_plugin_host *host = l->echo->host;

	if (!l->resting)
		host->log(host, TALEV_LOG_WARNING, "no more clients for a while: %s", why);
	l->resting = true;
	if (talev_add_timer(host->ev, l, talev_now(host->ev) + REST, listener_rested, l))
		talev_source_set_enabled(l->fde, false);
}

static void listener_ready(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *private_data)
{
	struct listener *l = private_data;
	int i, fd;

	(void)ev;
	(void)flags;
	for (i = 0; i < ACCEPTS_PER_TURN; i++) {
		if (l->echo->clients >= l->echo->clients_max) {
			listener_rest(l, "there are as many as allowed");
			return;
		}
		fd = accept4(talev_fd_get_fd(fde), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
				errno == ENOMEM)
				listener_rest(l, strerror(errno));
			return;
		}
		l->resting = false;
		client_add(l->echo, fd);
	}
}

/* A forked child must not do this: the path is still its parent's. */
static void listener_finalized(struct talev_context *ev, void *arg)
{
	struct listener *l = arg;

	(void)ev;
	if (l->path)
		unlink(l->path);
}

/* A socket that nobody listens to was left over. */
static void remove_stale(int fd, const struct sockaddr_un *address)
{
	struct stat st;

	if (lstat(address->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
		connect(fd, (const struct sockaddr *)address, sizeof(*address)) == -1 &&
		errno == ECONNREFUSED)
		unlink(address->sun_path);
}

static int open_unix(struct listener *l, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char *copy;
	int fd;

	if (strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	copy = talloc_strdup(l, path);
	fd = copy ? socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;
	if (fd == -1)
		return -1;
	remove_stale(fd, &address);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == -1) {
		close(fd);
		return -1;
	}
	l->path = copy;
	return fd;
}

/* text: 127.0.0.1:7 or [::1]:7; changed. Names are not looked up: that would block. */
static int open_tcp(char *text)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	char *colon = strrchr(text, ':');
	int fd, on = 1;

	if (!colon) {
		errno = EINVAL;
		return -1;
	}
	*colon = '\0';
	if (text[0] == '[' && colon[-1] == ']') {
		text++;
		colon[-1] = '\0';
	}
	if (getaddrinfo(text, colon + 1, &hints, &found) != 0) {
		errno = EINVAL;
		return -1;
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd != -1) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(fd, found->ai_addr, found->ai_addrlen) == -1) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	return fd;
}

static void log_address(const struct listener *l, int fd)
{
	const struct talev_plugin_host *host = l->echo->host;
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	char name[64], port[8];

	if (l->path)
		host->log(host, TALEV_LOG_INFO, "listening on unix:%s", l->path);
	else if (getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
		 getnameinfo((struct sockaddr *)&address, length, name, sizeof(name), port,
			 sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		host->log(host, TALEV_LOG_INFO,
			address.ss_family == AF_INET6 ? "listening on [%s]:%s"
						      : "listening on %s:%s",
			name, port);
}

static int listener_add(struct echo *echo, const char *text)
{
	const struct talev_plugin_host *host = echo->host;
	struct listener *l = talloc_zero(echo, struct listener);
	char *copy = l ? talloc_strdup(l, text) : NULL;
	int fd, rc;

	if (!copy)
		return ENOMEM;
	l->echo = echo;
	fd = strncmp(text, "unix:", 5) == 0 ? open_unix(l, text + 5) : open_tcp(copy);
	talloc_free(copy);
	if (fd == -1)
		goto fail;
	if (listen(fd, SOMAXCONN) == -1)
		goto fail;
	l->fde = talev_add_fd(host->ev, l, fd, TALEV_FD_READ, listener_ready, l);
	if (!l->fde)
		goto fail;
	talev_fd_set_auto_close(l->fde);
	talev_source_set_finalizer(l->fde, TALEV_FINALIZE_NOT_IN_CHILD, listener_finalized, l);
	log_address(l, fd);
	return 0;
fail:
	rc = errno;
	host->log(host, TALEV_LOG_ERROR, "%s: %s", text, strerror(rc));
	if (fd != -1)
		close(fd);
	if (l->path)
		unlink(l->path);
	return rc;
}

static int echo_init(const struct talev_plugin_host *host)
{
	struct echo *echo = talloc_zero(host->mem_ctx, struct echo);
	const char *listen_at = host->option(host, "listen");
	const char *clients = host->option(host, "clients");
	const char *problem = NULL;
	char *words, *rest, *word;
	int rc = 0;

	if (!echo)
		return ENOMEM;
	echo->host = host;
	echo->clients_max = clients ? (unsigned)strtonum(clients, 1, 1000000, &problem) : 1000;
	if (problem || !listen_at) {
		host->log(host, TALEV_LOG_ERROR, "clients is %s; listen is %s",
			problem ? problem : "good", listen_at ? "good" : "missing");
		return EINVAL;
	}
	words = talloc_strdup(echo, listen_at);
	if (!words)
		return ENOMEM;
	/* If one fails, the daemon takes away those before. */
	for (rest = words; rc == 0 && (word = strsep(&rest, " \t"));)
		rc = word[0] ? listener_add(echo, word) : 0;
	talloc_free(words);
	return rc;
}

TALEV_PLUGIN("echo", echo_init, NULL);
