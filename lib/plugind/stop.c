/* SPDX-License-Identifier: BSD-2-Clause */
#include "plugind/plugind.h"
#include "plugind/log.h"
#include "plugind/plugin.h"

/* One after the other: the next is asked when the one before has gone. */
void stop_next(struct daemon *d)
{
	struct plugin *p;

	if (!d->stopping || d->stopped)
		return;
	TAILQ_FOREACH_REVERSE(p, &d->plugins, plugin_list, link)
	{
		switch (p->state) {
		case PLUGIN_FAILED:
			/* Its code stays, and so does what there is of it: until the end. */
			continue;
		case PLUGIN_LOADED:
			plugin_unload(p, NULL);
			if (p->state != PLUGIN_CLOSING) {
				p->state = PLUGIN_FAILED;
				continue;
			}
			return;
		default:
			return; /* comes back here when it is done */
		}
	}
	d->stopped = true;
	waiters_tell(&d->stoppers, NULL);
}

void stop_begin(struct daemon *d)
{
	if (d->stopping)
		return;
	d->stopping = true;
	log_message(TALEV_LOG_INFO, "stopping");
	stop_next(d);
}
