/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_MODULE_H
#define PLUGIND_MODULE_H

#include <talloc.h>
#include <talev/plugin.h>

/* The shared object of a plugin. */
struct module {
	void *handle; /* of dlopen(3); NULL when it is not open */
	const struct talev_plugin *descriptor;
	/* What older descriptors do not have. */
	int (*init_loop)(
		const struct talev_plugin_host *host, struct talev_loop *loop, TALLOC_CTX *mem_ctx);
};

/* Opens the file and checks its descriptor. NULL: done; else one sentence that says why not,
 * below mem_ctx, and nothing is open. */
const char *module_open(TALLOC_CTX *mem_ctx, const char *file, struct module *module);

/* No code of the plugin may be on any stack. */
void module_close(struct module *module);

#endif
