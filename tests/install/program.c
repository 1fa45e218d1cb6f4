/* SPDX-License-Identifier: BSD-2-Clause */
/* A program of somebody else, which hosts a plugin if it is given one. */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talev.h>

static void done(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *p)
{
	(void)ev;
	(void)te;
	(void)now;
	*(int *)p += 1;
}

static const char *option(const struct talev_plugin_host *host, const char *key)
{
	return strcmp(key, "word") == 0 ? host->name : NULL;
}

static void print(
	const struct talev_plugin_host *host, enum talev_log_level level, const char *format, ...)
{
	va_list args;

	(void)level;
	printf("%s: ", host->name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

static const struct talev_plugin *load(const char *path)
{
	const struct talev_plugin *plugin;
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (object == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return NULL;
	}
	plugin = dlsym(object, "talev_plugin");
	if (plugin == NULL || plugin->magic != TALEV_PLUGIN_MAGIC ||
		plugin->abi != TALEV_PLUGIN_ABI || plugin->size != sizeof(*plugin)) {
		fprintf(stderr, "%s: no plugin of this release\n", path);
		return NULL;
	}
	return plugin;
}

int main(int argc, char *argv[])
{
	struct talev_context *ev = talev_context_init(NULL);
	struct talev_plugin_host host = {
		.size = sizeof(host),
		.name = "guest",
		.ev = ev,
		.option = option,
		.log = print,
	};
	int fired = 0;

	if (ev == NULL) {
		fprintf(stderr, "talev_context_init: %s\n", strerror(errno));
		return 1;
	}
	host.mem_ctx = talloc_new(ev);
	if (argc > 1) {
		const struct talev_plugin *plugin = load(argv[1]);

		if (plugin == NULL || plugin->init(&host) != 0)
			return 1;
	}
	if (talev_add_timer(ev, ev, talev_now(ev) + 20 * 1000 * 1000, done, &fired) == NULL)
		return 1;
	while (talev_have_events(ev)) {
		if (talev_loop_once(ev) != 0) {
			fprintf(stderr, "talev_loop_once: %s\n", strerror(errno));
			return 1;
		}
	}
	talloc_free(ev);
	printf("program: %d\n", fired);
	return fired == 1 ? 0 : 1;
}
