/* SPDX-License-Identifier: BSD-2-Clause */
/* Frees what is the daemon's, breaks the daemon's loop, or ends its own loops, and refuses new
 * options.
 */
#include <errno.h>
#include <talev/loop.h>
#include <talev/loops.h>
#include <talev/plugin.h>
#include <talev/timer.h>

static void tick(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	const struct talev_plugin_host *host = private_data;
	TALLOC_CTX *mem_ctx = host->mem_ctx;

	(void)te;
	(void)now;
	if (host->loops) {
		talev_loops_shutdown(host->loops);
		return;
	}
	talev_loop_break(ev);
	if (talloc_free(mem_ctx) == -1)
		host->log(host, TALEV_LOG_INFO, "was not let");
}

static int selfish_init(const struct talev_plugin_host *host)
{
	return talev_add_timer(host->ev, host->mem_ctx, 0, tick, (void *)(uintptr_t)host) ? 0
											  : errno;
}

static int selfish_reload(const struct talev_plugin_host *host)
{
	(void)host;
	return EPERM;
}

TALEV_PLUGIN("selfish", selfish_init, selfish_reload);
