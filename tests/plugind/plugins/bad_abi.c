/* SPDX-License-Identifier: BSD-2-Clause */
#include <talev/plugin.h>

static int never(const struct talev_plugin_host *host)
{
	host->log(host, TALEV_LOG_ERROR, "was started");
	return 0;
}

extern const struct talev_plugin talev_plugin;
const struct talev_plugin talev_plugin = {
	TALEV_PLUGIN_MAGIC, 4711, sizeof(struct talev_plugin), "bad_abi", never, NULL, NULL};
