/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include <talev/context.h>

#include "plugind/config.h"
#include "plugind/plugind.h"
#include "plugind/log.h"
#include "plugind/plugin.h"
#include "plugind/pool.h"
#include "plugind/queue.h"
#include "plugind/watch.h"

void apply_settings(struct daemon *d)
{
	const struct config *config = d->config;

	talev_context_set_timing(d->ev, config->timing);
	talev_context_set_slow_handler(d->ev, config->slow_handler);
}

void apply_first(struct daemon *d)
{
	struct config_section *section;

	queues_apply(d, NULL);
	pools_apply(d);
	TAILQ_FOREACH (section, &d->config->sections, link)
		plugin_load(d, section->name, NULL, NULL);
	d->applied = true;
	ready_check(d);
}

static bool same_text(const char *a, const char *b)
{
	return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static void name_unchangeable(const struct config *old, const struct config *new)
{
	if (!same_text(old->control, new->control))
		log_message(TALEV_LOG_WARNING, "control changes at the next start, not now");
	if (!same_text(old->pidfile, new->pidfile))
		log_message(TALEV_LOG_WARNING, "pidfile changes at the next start, not now");
	if (old->syslog != new->syslog)
		log_message(TALEV_LOG_WARNING, "log changes at the next start, not now");
}

/* Its section is gone, or may be another one. */
void apply_to(struct plugin *p)
{
	const struct config_section *now = config_find(&p->daemon->config->sections, p->name);

	p->outdated = false;
	if (!now && p->section)
		plugin_unload(p, NULL);
	else if (now && !(p->section && config_same(now, p->section)))
		plugin_reconfigure(p);
}

static void unload_removed(struct daemon *d, const struct config *old)
{
	struct config_section *section;
	struct plugin *p;

	TAILQ_FOREACH (section, &old->sections, link) {
		p = plugin_find(d, section->name);
		if (!p || config_find(&d->config->sections, section->name))
			continue;
		if (plugin_is_busy(p))
			p->outdated = true;
		else
			plugin_unload(p, NULL);
	}
}

/* What was unloaded or did not load stays so until its section changes. */
static void load_changed(struct daemon *d, const struct config *old)
{
	struct config_section *section, *before;
	struct plugin *p;

	TAILQ_FOREACH (section, &d->config->sections, link) {
		before = config_find(&old->sections, section->name);
		p = plugin_find(d, section->name);
		if (before && config_same(before, section))
			continue;
		/* It will be loaded as the file says then. */
		if (p && p->state == PLUGIN_CLOSING && p->again)
			continue;
		if (!p || p->state == PLUGIN_CLOSING)
			plugin_load(d, section->name, NULL, NULL);
		else
			plugin_reconfigure(p);
	}
}

void apply_again(struct daemon *d)
{
	struct config *old = d->config;
	struct config *new = config_read(d, old->path);

	if (!new) {
		log_message(
			TALEV_LOG_ERROR, "%s: not read, the old configuration stays", old->path);
		return;
	}
	log_message(TALEV_LOG_INFO, "%s: read again", new->path);
	name_unchangeable(old, new);
	new->syslog = old->syslog;
	log_open(new->syslog, new->log_level);
	d->config = new;
	apply_settings(d);
	watch_apply(d);
	queues_apply(d, old);
	pools_apply(d);
	unload_removed(d, old);
	load_changed(d, old);
	pools_sweep(d);
	queues_sweep(d);
	talloc_free(old);
}
