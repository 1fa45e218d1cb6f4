/* SPDX-License-Identifier: BSD-2-Clause */
#include <talev/plugin.h>

static int never(const struct talev_plugin_host *host)
{
	host->log(host, TALEV_LOG_ERROR, "was started");
	return 0;
}

extern const struct talev_plugin talev_plugin;
const struct talev_plugin talev_plugin = {
	TALEV_PLUGIN_MAGIC, TALEV_PLUGIN_ABI, 16, "bad_size", never, NULL, NULL};
