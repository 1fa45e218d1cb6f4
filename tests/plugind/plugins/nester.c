/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the loop inside its handler until it is unloaded there, and goes on in its own code.
 */
#include <errno.h>
#include <talev/loop.h>
#include <talev/plugin.h>
#include <talev/timer.h>

struct nester {
	const struct talev_plugin_host *host;
	struct talev_timer *timer;
};

static void nest(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct nester *nester = private_data;

	(void)now;
	talev_loop_allow_nesting(ev);
	nester->host->log(nester->host, TALEV_LOG_INFO, "in its handler");
	while (talev_source_get_state(te) == TALEV_LIVE)
		if (talev_loop_once(ev) == -1)
			break;
	nester->host->log(nester->host, TALEV_LOG_INFO, "handler goes on");
}

static int nester_init(const struct talev_plugin_host *host)
{
	struct nester *nester = talloc_zero(host->mem_ctx, struct nester);

	if (!nester)
		return ENOMEM;
	nester->host = host;
	nester->timer = talev_add_timer(host->ev, nester, 0, nest, nester);
	return nester->timer ? 0 : errno;
}

TALEV_PLUGIN("nester", nester_init, NULL);
