/* SPDX-License-Identifier: BSD-2-Clause */
/* Its first handler does not return before there is the file of its option until. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <unistd.h>
#include <talev/plugin.h>
#include <talev/timer.h>

static void read_slowly(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	const char *file = private_data;

	(void)ev;
	(void)te;
	(void)now;
	while (access(file, F_OK) == -1)
		poll(NULL, 0, 10);
}

static int sleeper_init(const struct talev_plugin_host *host)
{
	const char *until = host->option(host, "until");
	char *file = until ? talloc_strdup(host->mem_ctx, until) : NULL;

	if (!file)
		return EINVAL;
	return talev_add_timer(host->ev, file, 0, read_slowly, file) ? 0 : errno;
}

TALEV_PLUGIN("sleeper", sleeper_init, NULL);
