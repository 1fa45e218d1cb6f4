/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plugind/config.h"
#include "plugind/plugind.h"
#include "plugind/host.h"
#include "plugind/log.h"
#include "plugind/plugin.h"
#include "plugind/queue.h"
#include "plugind/sections.h"
#include "plugind/watch.h"

static void start(struct plugin *p);

struct plugin *plugin_find(const struct daemon *d, const char *name)
{
	struct plugin *p;

	TAILQ_FOREACH (p, &d->plugins, link)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

const char *plugin_state_name(const struct plugin *p)
{
	static const char *const names[] = {
		[PLUGIN_LOADING] = "loading",
		[PLUGIN_LOADED] = "loaded",
		[PLUGIN_RELOADING] = "reloading",
		[PLUGIN_FAILED] = "failed",
		[PLUGIN_CLOSING] = "closing",
	};

	return names[p->state];
}

bool plugin_is_busy(const struct plugin *p)
{
	return p->state == PLUGIN_LOADING || p->state == PLUGIN_RELOADING;
}

bool plugin_any_busy(const struct daemon *d)
{
	struct plugin *p;

	TAILQ_FOREACH (p, &d->plugins, link)
		if (plugin_is_busy(p) && !plugin_is_away(p))
			return true;
	return false;
}

static void settled(struct daemon *d)
{
	signals_settled(d);
	ready_check(d);
	stop_next(d);
}

static void refuse(struct daemon *d, const char *name, struct waiter *w, const char *why)
{
	char *text = talloc_asprintf(d, "%s %s", name, why);

	log_message(TALEV_LOG_ERROR, "%s %s", name, why);
	waiter_tell(w, text ? text : why);
	talloc_free(text);
}

static void release(struct plugin *p)
{
	TAILQ_REMOVE(&p->daemon->plugins, p, link);
	talloc_free(p);
}

void plugin_gone(struct plugin *p)
{
	struct daemon *d = p->daemon;

	if (p->complete)
		log_message(TALEV_LOG_INFO, "%s: unloaded", p->name);
	p->complete = false;
	waiters_tell(&p->closers, NULL);
	if (p->again && !d->stopping) {
		p->again = false;
		start(p);
		return;
	}
	waiters_tell(&p->loaders, "the daemon is stopping");
	release(p);
	settled(d);
}

static int take_down(struct plugin *p)
{
	enum plugin_state before = p->state;
	int saved;

	p->state = PLUGIN_CLOSING;
	if (unload_begin(p) == 0)
		return 0;
	saved = errno;
	p->state = before;
	log_message(TALEV_LOG_ERROR, "%s: cannot be unloaded: %s", p->name, strerror(saved));
	errno = saved;
	return -1;
}

void plugin_stays(struct plugin *p, int error)
{
	char text[256];

	snprintf(text, sizeof(text), "%s: cannot be unloaded: %s", p->name, strerror(error));
	log_message(TALEV_LOG_ERROR, "%s", text);
	p->state = PLUGIN_FAILED;
	p->again = false;
	waiters_tell(&p->closers, text);
	waiters_tell(&p->loaders, text);
	settled(p->daemon);
}

/* Loading it did not work: tells everybody, and takes away what there is of it. */
static void failed(struct plugin *p, const char *error)
{
	struct daemon *d = p->daemon;
	char *text = talloc_asprintf(d, "%s: %s", p->name, error);

	log_message(TALEV_LOG_ERROR, "%s: not loaded: %s", p->name, error);
	waiters_tell(&p->loaders, text ? text : error);
	talloc_free(text);
	if (take_down(p) == -1) {
		p->state = PLUGIN_FAILED;
		settled(d);
	}
}

/* The file: as the command gave it, else as the section says, else the name with .so; with a
 * slash a path as any in talevd.conf, without one in the directory of the plugins. */
static char *file_of(struct plugin *p)
{
	const struct config *config = p->daemon->config;
	const char *file = p->given_file ? p->given_file : config_value(p->section, "file");

	if (!file)
		return talloc_asprintf(p, "%s/%s.so", config->plugins, p->name);
	if (!strchr(file, '/'))
		return talloc_asprintf(p, "%s/%s", config->plugins, file);
	return config_path(p, config, file);
}

/* What it is told of its section is what was there when it was loaded, or asked to look again. */
static int take_section(struct plugin *p)
{
	const struct config_section *section = config_find(&p->daemon->config->sections, p->name);
	struct config_section *copy = section ? config_copy(p, section) : NULL;

	if (section && !copy)
		return -1;
	talloc_free(p->section);
	p->section = copy;
	p->outdated = false;
	return 0;
}

static const char *take_queues(struct plugin *p)
{
	const char *list = config_value(p->section, "jobs");
	struct queue *queue, **more;
	char name[64];

	while (list && sections_next_word(&list, name, sizeof(name))) {
		queue = queue_find(p->daemon, name);
		if (!queue)
			return talloc_asprintf(p, "there are no jobs %s", name);
		more = talloc_realloc(p, p->queues, struct queue *, p->queue_count + 1);
		if (!more)
			return strerror(ENOMEM);
		p->queues = more;
		p->queues[p->queue_count++] = queue;
		queue->users++;
	}
	return NULL;
}

/* NULL: it can be started; else why not. */
static const char *prepare(struct plugin *p)
{
	const char *error;

	talloc_free(p->file);
	p->file = NULL;
	if (take_section(p) == -1)
		return strerror(ENOMEM);
	p->file = file_of(p);
	if (!p->file)
		return strerror(ENOMEM);
	error = module_open(p, p->file, &p->module);
	if (error)
		return error;
	if (!p->module.handle)
		return strerror(ENOMEM);
	error = take_queues(p);
	if (error)
		return error;
	return place_open(p);
}

static void start(struct plugin *p)
{
	const char *error;

	p->state = PLUGIN_LOADING;
	TAILQ_REMOVE(&p->daemon->plugins, p, link);
	TAILQ_INSERT_TAIL(&p->daemon->plugins, p, link);
	error = prepare(p);
	if (error) {
		failed(p, error);
		return;
	}
	watch_name(p);
	host_fill(p);
	host_forget_asked(p);
	if (plugin_is_away(p)) {
		place_init(p);
		return;
	}
	p->tree = host_tree(p, p);
	if (!p->tree) {
		failed(p, strerror(ENOMEM));
		return;
	}
	p->host.ev = p->daemon->ev;
	p->host.mem_ctx = p->tree;
	plugin_started(p, p->module.descriptor->init(&p->host));
}

void plugin_started(struct plugin *p, int error)
{
	char *text;

	if (error) {
		text = talloc_asprintf(p, "init: %s", strerror(error));
		failed(p, text ? text : strerror(error));
		return;
	}
	p->state = PLUGIN_LOADED;
	p->complete = true;
	host_name_unused(p);
	log_message(TALEV_LOG_INFO, "%s: loaded %s", p->name, p->file);
	waiters_tell(&p->loaders, NULL);
	if (p->outdated)
		apply_to(p);
	settled(p->daemon);
}

static void load_later(struct plugin *p, const char *file, struct waiter *w)
{
	if (p->again) {
		refuse(p->daemon, p->name, w, "is going to be loaded already");
		return;
	}
	talloc_free(p->given_file);
	p->given_file = file ? talloc_strdup(p, file) : NULL;
	if (file && !p->given_file) {
		refuse(p->daemon, p->name, w, strerror(ENOMEM));
		return;
	}
	p->again = true;
	waiter_add(&p->loaders, w);
}

void plugin_load(struct daemon *d, const char *name, const char *file, struct waiter *w)
{
	struct plugin *p = plugin_find(d, name);

	if (d->stopping) {
		refuse(d, name, w, "is not loaded: the daemon is stopping");
		return;
	}
	if (p && p->state == PLUGIN_CLOSING) {
		load_later(p, file, w);
		return;
	}
	if (p) {
		refuse(d, name, w, "is loaded already");
		return;
	}
	if (!config_name_valid(name)) {
		refuse(d, name, w, "cannot be the name of a plugin");
		return;
	}
	p = talloc_zero(d, struct plugin);
	if (p) {
		p->name = talloc_strdup(p, name);
		p->given_file = file ? talloc_strdup(p, file) : NULL;
	}
	if (!p || !p->name || (file && !p->given_file)) {
		talloc_free(p);
		refuse(d, name, w, strerror(ENOMEM));
		return;
	}
	p->daemon = d;
	TAILQ_INSERT_TAIL(&d->plugins, p, link);
	waiter_add(&p->loaders, w);
	start(p);
}

void plugin_unload(struct plugin *p, struct waiter *w)
{
	if (plugin_is_busy(p)) {
		refuse(p->daemon, p->name, w, "is just being loaded");
		return;
	}
	if (p->state == PLUGIN_CLOSING) {
		p->again = false;
		waiters_tell(&p->loaders, "it was unloaded meanwhile");
		waiter_add(&p->closers, w);
		return;
	}
	if (take_down(p) == 0)
		waiter_add(&p->closers, w);
	else
		refuse(p->daemon, p->name, w, strerror(errno));
}

void plugin_reload(struct plugin *p, struct waiter *w)
{
	if (p->state == PLUGIN_CLOSING || plugin_is_busy(p)) {
		refuse(p->daemon, p->name, w, "is just being loaded or unloaded");
		return;
	}
	if (take_down(p) == -1) {
		refuse(p->daemon, p->name, w, strerror(errno));
		return;
	}
	p->again = true;
	waiter_add(&p->loaders, w);
}

/* Is what the section says of the daemon's own keys something else now? */
static bool must_move(const struct plugin *p)
{
	const struct config_section *now = config_find(&p->daemon->config->sections, p->name);
	const char *const *key;

	for (key = sections_own_keys; *key; key++) {
		const char *a = config_value(p->section, *key), *b = config_value(now, *key);

		if ((a || b) && (!a || !b || strcmp(a, b) != 0))
			return true;
	}
	return false;
}

void plugin_reconfigure(struct plugin *p)
{
	if (plugin_is_busy(p)) {
		p->outdated = true;
		return;
	}
	if (p->state != PLUGIN_LOADED || !p->module.descriptor->reload || must_move(p)) {
		plugin_reload(p, NULL);
		return;
	}
	if (take_section(p) == -1) {
		log_message(
			TALEV_LOG_ERROR, "%s: goes on as it was: %s", p->name, strerror(ENOMEM));
		return;
	}
	p->state = PLUGIN_RELOADING;
	host_forget_asked(p);
	if (plugin_is_away(p))
		place_reload(p);
	else
		plugin_reloaded(p, p->module.descriptor->reload(&p->host));
}

void plugin_reloaded(struct plugin *p, int error)
{
	p->state = PLUGIN_LOADED;
	if (error == 0) {
		host_name_unused(p);
		log_message(TALEV_LOG_INFO, "%s: took over its new options", p->name);
	} else {
		log_message(TALEV_LOG_ERROR, "%s: goes on as it was: reload: %s", p->name,
			strerror(error));
	}
	if (p->outdated)
		apply_to(p);
	settled(p->daemon);
}
