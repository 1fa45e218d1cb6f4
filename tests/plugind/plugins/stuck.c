/* SPDX-License-Identifier: BSD-2-Clause */
/* Goes wrong when it is told to go: its destructor never returns.
 */
#include <errno.h>
#include <talev/plugin.h>
#include <unistd.h>

struct stuck {
	const struct talev_plugin_host *host;
};

static int stuck_gone(struct stuck *stuck)
{
	stuck->host->log(stuck->host, TALEV_LOG_INFO, "stuck for ever");
	while (stuck->host)
		pause();
	return 0;
}

static int stuck_init(const struct talev_plugin_host *host)
{
	struct stuck *stuck = talloc_zero(host->mem_ctx, struct stuck);

	if (!stuck)
		return ENOMEM;
	stuck->host = host;
	talloc_set_destructor(stuck, stuck_gone);
	return 0;
}

TALEV_PLUGIN("stuck", stuck_init, NULL);
