/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "plugind/config.h"
#include "plugind/plugind.h"
#include "plugind/host.h"
#include "plugind/log.h"
#include "plugind/plugin.h"

/* The root of a plugin's tree. */
struct plugin_tree {
	struct plugin *plugin;
};

static struct plugin *plugin_of(const struct talev_plugin_host *host)
{
	struct plugin_tree *tree = talloc_get_type_abort(host->mem_ctx, struct plugin_tree);

	return tree->plugin;
}

static struct config_section *section_of(const struct plugin *p)
{
	return config_find(p->daemon->config, p->name);
}

static const char *host_option(const struct talev_plugin_host *host, const char *key)
{
	struct config_section *section = section_of(plugin_of(host));
	struct config_option *option = section ? config_option(section, key) : NULL;

	if (!option)
		return NULL;
	option->asked = true;
	return option->value;
}

static void __attribute__((format(printf, 3, 4)))
host_log(const struct talev_plugin_host *host, enum talev_log_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_vmessage(
		level == TALEV_LOG_FATAL ? TALEV_LOG_ERROR : level, host->name, format, arguments);
	va_end(arguments);
}

/* The daemon could not see that the tree went, and would use it. */
static int tree_keep(struct plugin_tree *tree)
{
	if (tree->plugin->state == PLUGIN_CLOSING)
		return 0;
	log_message(TALEV_LOG_ERROR, "%s: tried to free its mem_ctx, which is the daemon's",
		tree->plugin->name);
	return -1;
}

int host_open(struct plugin *p)
{
	p->tree = talloc_zero(p, struct plugin_tree);
	if (!p->tree)
		return -1;
	p->tree->plugin = p;
	talloc_set_destructor(p->tree, tree_keep);
	p->private_data = NULL;
	p->host = (struct talev_plugin_host){
		.size = sizeof(p->host),
		.name = p->name,
		.ev = p->daemon->ev,
		.mem_ctx = p->tree,
		.private_data = &p->private_data,
		.option = host_option,
		.log = host_log,
	};
	return 0;
}

void host_forget_asked(struct plugin *p)
{
	struct config_section *section = section_of(p);
	struct config_option *option;

	if (!section)
		return;
	TAILQ_FOREACH (option, &section->options, link)
		option->asked = strcmp(option->key, "file") == 0;
}

void host_name_unused(struct plugin *p)
{
	struct config_section *section = section_of(p);
	struct config_option *option;

	if (!section)
		return;
	TAILQ_FOREACH (option, &section->options, link) {
		if (!option->asked)
			log_message(TALEV_LOG_WARNING, "%s:%u: plugin %s has no key %s",
				p->daemon->config->path, option->line, p->name, option->key);
	}
}
