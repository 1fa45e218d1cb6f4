/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin of somebody else: says its word once. */
#include <errno.h>
#include <talev.h>

static void say(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *p)
{
	const struct talev_plugin_host *host = p;

	(void)ev;
	(void)te;
	(void)now;
	host->log(host, TALEV_LOG_INFO, "hello");
}

static int start(const struct talev_plugin_host *host)
{
	if (host->option(host, "word") == NULL)
		return EINVAL;
	if (talev_add_timer(host->ev, host->mem_ctx, talev_now(host->ev), say,
		    (void *)(uintptr_t)host) == NULL)
		return errno;
	return 0;
}

TALEV_PLUGIN("guest", start, NULL);
