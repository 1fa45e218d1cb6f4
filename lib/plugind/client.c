/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
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

static int client_gone(struct client *c)
{
	LIST_REMOVE(c, link);
	c->control->count--;
	return 0;
}

static void progress(struct client *c)
{
	talev_timer_start(c->idle, c->control->daemon->config->timeout);
}

static void idled(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct client *c = private_data;

	(void)ev;
	(void)te;
	(void)now;
	if (c->waiting) {
		progress(c);
		return;
	}
	if (c->out)
		log_message(TALEV_LOG_WARNING, "control: a client does not take its answer");
	talloc_free(c);
}

/* Either of these flags is set whenever the client is expected to do something. */
static void interest(struct client *c)
{
	uint16_t flags = c->waiting ? 0 : c->out ? TALEV_FD_WRITE : TALEV_FD_READ;

	talev_fd_set_flags(c->fde, flags);
}

void client_answer(struct client *c, bool ok, const char *body, size_t length)
{
	char *head;

	if (length > COMMON_ANSWER_MAX) {
		client_error(c, "the answer would be longer than %u bytes", COMMON_ANSWER_MAX);
		return;
	}
	c->waiting = false;
	head = talloc_asprintf(c, "%s %zu\n", ok ? "OK" : "ERR", length);
	c->out_length = head ? strlen(head) + length : 0;
	c->out = head ? talloc_realloc(c, head, char, c->out_length) : NULL;
	c->out_sent = 0;
	if (c->out) {
		memcpy(c->out + c->out_length - length, body, length);
	} else {
		/* Ends with the connection; not here, where the caller still has it. */
		talloc_free(head);
		log_message(TALEV_LOG_ERROR, "control: %s", strerror(ENOMEM));
		c->leaving = true;
		c->out = talloc_strdup(c, "");
		shutdown(talev_fd_get_fd(c->fde), SHUT_RDWR);
	}
	progress(c);
	interest(c);
}

void client_ok(struct client *c, const char *body)
{
	client_answer(c, true, body, strlen(body));
}

void client_error(struct client *c, const char *format, ...)
{
	char body[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(body, sizeof(body) - 1, format, arguments);
	va_end(arguments);
	log_clean(body);
	strcat(body, "\n");
	client_answer(c, false, body, strlen(body));
}

void client_push(struct client *c)
{
	ssize_t n;

	if (!c->out)
		return;
	n = send(talev_fd_get_fd(c->fde), c->out + c->out_sent, c->out_length - c->out_sent,
		MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1) {
		if (errno == EAGAIN || errno == EINTR)
			return;
		c->leaving = true;
		c->out_sent = c->out_length;
	} else {
		c->out_sent += (size_t)n;
		progress(c);
	}
	if (c->out_sent == c->out_length)
		TALLOC_FREE(c->out);
}

static bool is_text(const char *line, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)line[i];

		if ((byte < ' ' && byte != '\t') || byte == 0x7f)
			return false;
	}
	return true;
}

static void refuse(struct client *c, const char *why)
{
	c->leaving = true;
	client_error(c, "%s", why);
}

/* Takes the next request out of what was received. False: there is nothing to do for c. */
static bool next_request(struct client *c)
{
	char line[COMMON_REQUEST_MAX];
	char *newline = memchr(c->in, '\n', c->in_length);
	size_t length;

	if (!newline && c->in_length == COMMON_REQUEST_MAX) {
		refuse(c, "the request is too long");
		return true;
	}
	if (!newline && c->ended && c->in_length > 0) {
		refuse(c, "the request has no end");
		return true;
	}
	if (!newline)
		return !c->ended;
	length = (size_t)(newline - c->in);
	memcpy(line, c->in, length);
	line[length] = '\0';
	c->in_length -= length + 1;
	memmove(c->in, newline + 1, c->in_length);
	if (!is_text(line, length)) {
		refuse(c, "the request is not text");
		return true;
	}
	c->waiting = true;
	interest(c); /* a plugin may run the loop before this returns */
	command_run(c->control->daemon, c, line);
	return true;
}

static void receive(struct client *c)
{
	size_t room = COMMON_REQUEST_MAX - c->in_length;
	ssize_t n;

	if (room == 0)
		return;
	n = recv(talev_fd_get_fd(c->fde), c->in + c->in_length, room, MSG_DONTWAIT);
	if (n > 0) {
		c->in_length += (size_t)n;
		progress(c);
	} else if (n == 0) {
		c->ended = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		c->ended = true;
		c->in_length = 0;
	}
}

static void ready(
	struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *private_data)
{
	struct client *c = private_data;

	(void)ev;
	(void)fde;
	if (flags & TALEV_FD_WRITE)
		client_push(c);
	if (!c->out && c->leaving) {
		talloc_free(c);
		return;
	}
	if (flags & TALEV_FD_READ)
		receive(c);
	if (!c->out && !c->waiting && !next_request(c)) {
		talloc_free(c);
		return;
	}
	interest(c);
}

int client_open(struct control *control, int fd)
{
	struct talev_context *ev = control->daemon->ev;
	struct client *c = talloc_zero(control, struct client);
	talev_time_t until = talev_time_add(talev_now(ev), control->daemon->config->timeout);

	if (!c) {
		close(fd);
		errno = ENOMEM;
		return -1;
	}
	c->control = control;
	LIST_INSERT_HEAD(&control->clients, c, link);
	control->count++;
	talloc_set_destructor(c, client_gone);
	c->in = talloc_array(c, char, COMMON_REQUEST_MAX);
	c->idle = talev_add_timer(ev, c, until, idled, c);
	c->fde = talev_add_fd(ev, c, fd, TALEV_FD_READ, ready, c);
	if (!c->in || !c->idle || !c->fde) {
		if (!c->fde)
			close(fd);
		else
			talev_fd_set_auto_close(c->fde);
		talloc_free(c);
		errno = ENOMEM;
		return -1;
	}
	talev_fd_set_auto_close(c->fde);
	return 0;
}
