/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include <talev/pool.h>

#include "plugind/config.h"
#include "plugind/plugind.h"
#include "plugind/host.h"
#include "plugind/log.h"
#include "plugind/plugin.h"
#include "plugind/pool.h"
#include "plugind/sections.h"

/* The root of a plugin's tree. */
struct plugin_tree {
	struct plugin *plugin;
	bool released;
};

static struct plugin *plugin_of(const struct talev_plugin_host *host)
{
	struct plugin_tree *tree = talloc_get_type_abort(host->mem_ctx, struct plugin_tree);

	return tree->plugin;
}

static const char *host_option(const struct talev_plugin_host *host, const char *key)
{
	struct config_section *section = plugin_of(host)->section;
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
	if (tree->released)
		return 0;
	log_message(TALEV_LOG_ERROR, "%s: tried to free its mem_ctx, which is the daemon's",
		tree->plugin->name);
	return -1;
}

struct plugin_tree *host_tree(TALLOC_CTX *mem_ctx, struct plugin *p)
{
	struct plugin_tree *tree = talloc_zero(mem_ctx, struct plugin_tree);

	if (!tree)
		return NULL;
	tree->plugin = p;
	talloc_set_destructor(tree, tree_keep);
	return tree;
}

void host_tree_release(struct plugin_tree *tree, bool released)
{
	tree->released = released;
}

void host_fill(struct plugin *p)
{
	struct pool *pool = p->place.pool;

	p->private_data = NULL;
	p->host = (struct talev_plugin_host){
		.size = sizeof(p->host),
		.name = p->name,
		.private_data = &p->private_data,
		.option = host_option,
		.log = host_log,
		.loops = pool && pool->own ? pool->loops : NULL,
		.pool = pool && !pool->own ? talev_loop_pool(p->place.seats[0].loop) : NULL,
	};
}

static bool is_own(const char *key)
{
	const char *const *own;

	if (strcmp(key, "watchdog") == 0)
		return true;
	for (own = sections_own_keys; *own; own++)
		if (strcmp(key, *own) == 0)
			return true;
	return false;
}

void host_forget_asked(struct plugin *p)
{
	struct config_section *section = p->section;
	struct config_option *option;

	if (!section)
		return;
	TAILQ_FOREACH (option, &section->options, link)
		option->asked = is_own(option->key);
}

void host_name_unused(struct plugin *p)
{
	struct config_section *section = p->section;
	struct config_option *option;

	if (!section)
		return;
	TAILQ_FOREACH (option, &section->options, link) {
		if (!option->asked)
			log_message(TALEV_LOG_WARNING, "%s:%u: plugin %s has no key %s",
				p->daemon->config->path, option->line, p->name, option->key);
	}
}
