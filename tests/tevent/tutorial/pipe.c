/* SPDX-License-Identifier: BSD-2-Clause */
/* Two threads that talk through a pipe, which the main thread's context watches. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include <tevent.h>

static const char text[] = "from the other thread";

static void *writer(void *private_data)
{
	int fd = *(int *)private_data;

	if (write(fd, text, sizeof(text)) != sizeof(text))
		return private_data;
	close(fd);
	return NULL;
}

struct reader {
	int fd;
	size_t used;
	char data[64];
};

static void readable(
	struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *private_data)
{
	struct reader *reader = talloc_get_type_abort(private_data, struct reader);
	ssize_t n =
		read(reader->fd, reader->data + reader->used, sizeof(reader->data) - reader->used);

	(void)ev, (void)flags;
	if (n <= 0) {
		printf("%s\n", reader->data);
		talloc_free(fde);
		return;
	}
	reader->used += (size_t)n;
}

int main(void)
{
	struct tevent_context *ev;
	struct tevent_fd *fde;
	struct reader *reader;
	void *failed = NULL;
	pthread_t thread;
	int fds[2];

	talloc_disable_null_tracking();
	ev = tevent_context_init(NULL);
	if (ev == NULL || pipe(fds) != 0)
		return 1;
	reader = talloc_zero(ev, struct reader);
	if (reader == NULL)
		return 1;
	reader->fd = fds[0];
	fde = tevent_add_fd(ev, reader, fds[0], TEVENT_FD_READ, readable, reader);
	if (fde == NULL || pthread_create(&thread, NULL, writer, &fds[1]) != 0)
		return 1;
	tevent_fd_set_auto_close(fde);
	if (tevent_loop_wait(ev) != 0 || pthread_join(thread, &failed) != 0 || failed != NULL)
		return 1;
	return talloc_free(ev);
}
/* prints:
 * from the other thread
 */
