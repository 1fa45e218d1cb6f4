/* SPDX-License-Identifier: BSD-2-Clause */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "plugind/log.h"
#include "plugind/module.h"

/* The first descriptors end here. */
#define LEAST offsetof(struct talev_plugin, init_loop)

/* A descriptor of another ABI is read only as far as all of them agree. */
static const char *check(
	TALLOC_CTX *mem_ctx, const char *file, const struct talev_plugin *descriptor)
{
	if (descriptor->magic != TALEV_PLUGIN_MAGIC)
		return talloc_asprintf(mem_ctx,
			"%s: talev_plugin begins with 0x%08x, not 0x%08x: not a plugin", file,
			descriptor->magic, TALEV_PLUGIN_MAGIC);
	if (descriptor->abi != TALEV_PLUGIN_ABI)
		return talloc_asprintf(mem_ctx, "%s: built for plugin ABI %u, this talevd has %u",
			file, descriptor->abi, TALEV_PLUGIN_ABI);
	if (descriptor->size < LEAST)
		return talloc_asprintf(mem_ctx,
			"%s: talev_plugin has %zu bytes, at least %zu are needed", file,
			descriptor->size, LEAST);
	if (!descriptor->name || !descriptor->name[0])
		return talloc_asprintf(mem_ctx, "%s: talev_plugin has no name", file);
	if (!descriptor->init)
		return talloc_asprintf(mem_ctx, "%s: talev_plugin has no init function", file);
	return NULL;
}

const char *module_open(TALLOC_CTX *mem_ctx, const char *file, struct module *module)
{
	const char *error;
	struct stat st;

	/* dlopen() would wait for the writer of a FIFO. */
	if (stat(file, &st) == -1)
		return talloc_asprintf(mem_ctx, "%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return talloc_asprintf(mem_ctx, "%s: not a regular file", file);
	module->handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!module->handle)
		return talloc_asprintf(mem_ctx, "cannot be opened: %s", dlerror());
	module->descriptor = dlsym(module->handle, "talev_plugin");
	if (module->descriptor)
		error = check(mem_ctx, file, module->descriptor);
	else
		error = talloc_asprintf(mem_ctx, "not a plugin: %s", dlerror());
	if (error || !module->descriptor)
		module_close(module);
	else if (module->descriptor->size >= sizeof(*module->descriptor))
		module->init_loop = module->descriptor->init_loop;
	return error;
}

void module_close(struct module *module)
{
	if (module->handle && dlclose(module->handle) != 0)
		log_message(TALEV_LOG_ERROR, "dlclose: %s", dlerror());
	module->handle = NULL;
	module->descriptor = NULL;
	module->init_loop = NULL;
}
