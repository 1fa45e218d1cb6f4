/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <talev/finalize.h>

#include "plugind/config.h"
#include "plugind/plugind.h"
#include "plugind/host.h"
#include "plugind/log.h"
#include "plugind/plugin.h"

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

static bool busy(const struct plugin *p)
{
	return p->state == PLUGIN_LOADING || p->state == PLUGIN_RELOADING;
}

bool plugin_any_busy(const struct daemon *d)
{
	struct plugin *p;

	TAILQ_FOREACH (p, &d->plugins, link)
		if (busy(p))
			return true;
	return false;
}

static void settled(struct daemon *d)
{
	signals_settled(d);
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

/* The finalizer of the plugin's tree: neither its memory nor a handler of it is left. */
static void gone(struct talev_context *ev, void *arg)
{
	struct plugin *p = arg;
	struct daemon *d = p->daemon;

	(void)ev;
	module_close(&p->module);
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
	if (talev_finalize(p->daemon->ev, p->tree, TALEV_FINALIZE_AFTER_FREE, gone, p) == 0) {
		p->tree = NULL;
		return 0;
	}
	saved = errno;
	p->state = before;
	log_message(TALEV_LOG_ERROR, "%s: cannot be unloaded: %s", p->name, strerror(saved));
	errno = saved;
	return -1;
}

/* Loading it did not work: tells everybody, and takes away what there is of it. */
static void failed(struct plugin *p, const char *error)
{
	struct daemon *d = p->daemon;
	char *text = talloc_asprintf(d, "%s: %s", p->name, error);

	log_message(TALEV_LOG_ERROR, "%s: not loaded: %s", p->name, error);
	waiters_tell(&p->loaders, text ? text : error);
	talloc_free(text);
	if (!p->tree) {
		module_close(&p->module);
		release(p);
		settled(d);
	} else if (take_down(p) == -1) {
		p->state = PLUGIN_FAILED;
		settled(d);
	}
}

/* The file: as the command gave it, else as the section says, else the name with .so; with a
 * slash a path as any in talevd.conf, without one in the directory of the plugins. */
static char *file_of(struct plugin *p)
{
	const struct config *config = p->daemon->config;
	const struct config_section *section = config_find(config, p->name);
	const struct config_option *option = section ? config_option(section, "file") : NULL;
	const char *file = p->given_file ? p->given_file : option ? option->value : NULL;

	if (!file)
		return talloc_asprintf(p, "%s/%s.so", config->plugins, p->name);
	if (!strchr(file, '/'))
		return talloc_asprintf(p, "%s/%s", config->plugins, file);
	return config_path(p, config, file);
}

static void start(struct plugin *p)
{
	const char *error;
	int rc;

	p->state = PLUGIN_LOADING;
	TAILQ_REMOVE(&p->daemon->plugins, p, link);
	TAILQ_INSERT_TAIL(&p->daemon->plugins, p, link);
	talloc_free(p->file);
	p->file = file_of(p);
	if (!p->file) {
		failed(p, strerror(ENOMEM));
		return;
	}
	error = module_open(p, p->file, &p->module);
	if (error || !p->module.handle) {
		failed(p, error ? error : strerror(ENOMEM));
		return;
	}
	if (host_open(p) == -1) {
		failed(p, strerror(ENOMEM));
		return;
	}
	host_forget_asked(p);
	rc = p->module.descriptor->init(&p->host);
	if (rc != 0) {
		error = talloc_asprintf(p, "init: %s", strerror(rc));
		failed(p, error ? error : strerror(rc));
		return;
	}
	p->state = PLUGIN_LOADED;
	p->complete = true;
	host_name_unused(p);
	log_message(TALEV_LOG_INFO, "%s: loaded %s", p->name, p->file);
	waiters_tell(&p->loaders, NULL);
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
	if (busy(p)) {
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
	if (p->state == PLUGIN_CLOSING || busy(p)) {
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

void plugin_reconfigure(struct plugin *p)
{
	int rc;

	if (p->state != PLUGIN_LOADED || !p->module.descriptor->reload) {
		plugin_reload(p, NULL);
		return;
	}
	p->state = PLUGIN_RELOADING;
	host_forget_asked(p);
	rc = p->module.descriptor->reload(&p->host);
	p->state = PLUGIN_LOADED;
	if (rc == 0) {
		host_name_unused(p);
		log_message(TALEV_LOG_INFO, "%s: took over its new options", p->name);
	} else {
		log_message(TALEV_LOG_ERROR, "%s: goes on as it was: reload: %s", p->name,
			strerror(rc));
	}
	settled(p->daemon);
}
