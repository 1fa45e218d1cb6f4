/* SPDX-License-Identifier: BSD-2-Clause */
#include "plugind/plugind.h"
#include "plugind/log.h"
#include "plugind/plugin.h"
#include "plugind/pool.h"
#include "plugind/watch.h"

/* One after the other: the next is asked when the one before has gone, unless that lives on threads
 * of its own. True: all that can go have gone. */
static bool unload_next(struct daemon *d)
{
	struct plugin *p;
	bool all = true;

	TAILQ_FOREACH_REVERSE(p, &d->plugins, plugin_list, link)
	{
		/* Its code stays, and so does what there is of it: until the end. */
		if (p->state == PLUGIN_FAILED)
			continue;
		if (p->state == PLUGIN_LOADED) {
			plugin_unload(p, NULL);
			if (p->state != PLUGIN_CLOSING) {
				p->state = PLUGIN_FAILED;
				continue;
			}
		}
		/* It comes back here when it is done. */
		if (!plugin_is_away(p))
			return false;
		all = false;
	}
	return all;
}

void stop_next(struct daemon *d)
{
	if (!d->stopping || d->stopped || !unload_next(d))
		return;
	/* A pool in which a plugin has failed cannot go. */
	if (!pools_gone(d) && TAILQ_EMPTY(&d->plugins))
		return;
	d->stopped = true;
	waiters_tell(&d->stoppers, NULL);
}

void stop_begin(struct daemon *d)
{
	if (d->stopping)
		return;
	d->stopping = true;
	log_message(TALEV_LOG_INFO, "stopping");
	watch_stopping(d);
	stop_next(d);
}
