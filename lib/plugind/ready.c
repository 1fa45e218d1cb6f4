/* SPDX-License-Identifier: BSD-2-Clause */
#include "plugind/config.h"
#include "plugind/detach.h"
#include "plugind/log.h"
#include "plugind/plugin.h"
#include "plugind/plugind.h"
#include "plugind/watch.h"

void ready_check(struct daemon *d)
{
	struct plugin *p;

	if (!d->applied || d->ready)
		return;
	TAILQ_FOREACH (p, &d->plugins, link)
		if (p->state == PLUGIN_LOADING)
			return;
	d->ready = true;
	if (d->background) {
		detach_ready();
		d->config->syslog = true;
		log_open(true, d->config->log_level);
	}
	log_message(TALEV_LOG_INFO, "ready: %s", d->config->control);
	watch_ready(d);
}
