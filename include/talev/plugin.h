/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_PLUGIN_H
#define TALEV_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <talloc.h>
#include <talev/log.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;
struct talev_loop;
struct talev_loops;
struct talev_pool;

/* What a plugin of talevd(8) exports, as the object named talev_plugin. */

#define TALEV_PLUGIN_MAGIC 0x744c4556u
#define TALEV_PLUGIN_ABI   1u

/* What the daemon gives a plugin. Read size before fields that came later. */
struct talev_plugin_host {
	size_t size;
	const char *name;         /* of the section in talevd.conf(5) */
	struct talev_context *ev; /* of the loop it lives on; the plugin never frees it */
	TALLOC_CTX *mem_ctx;      /* the plugin's own tree; all it makes there goes below */
	/* Where the plugin may keep a pointer of its own, for reload: *host->private_data. NULL at
	 * first. A static variable would be shared by all sections with the same file. */
	void **private_data;
	/* The value of a key in the plugin's section, or NULL. Valid until init or reload
	 * returns. */
	const char *(*option)(const struct talev_plugin_host *host, const char *key);
	/* One line into the daemon's log, prefixed with the plugin's name. */
	void (*log)(const struct talev_plugin_host *host, enum talev_log_level level,
		const char *format, ...)
#ifdef __GNUC__
		__attribute__((format(printf, 3, 4)))
#endif
		;
	/* Of a plugin that has threads of its own: its loops, of which ev is the first one's. */
	struct talev_loops *loops;
	/* Of a plugin that lives on a loop of a pool: the pool. */
	struct talev_pool *pool;
};

/* init: 0, or an errno value: then everything below mem_ctx is freed and the plugin is not
 * loaded. reload: optional; called on SIGHUP when the plugin's section changed; 0, or an errno
 * value: then the plugin goes on as it was. init_loop: optional; called after init on each further
 * loop of a plugin that has threads, on its thread, one after the other; all that it makes there
 * goes below mem_ctx; 0, or an errno value, as init. host lives as long as the plugin. */
struct talev_plugin {
	uint32_t magic; /* TALEV_PLUGIN_MAGIC */
	uint32_t abi;   /* TALEV_PLUGIN_ABI */
	size_t size;    /* sizeof(struct talev_plugin) */
	const char *name;
	int (*init)(const struct talev_plugin_host *host);
	int (*reload)(const struct talev_plugin_host *host);
	int (*init_loop)(
		const struct talev_plugin_host *host, struct talev_loop *loop, TALLOC_CTX *mem_ctx);
};

/* Defines the descriptor: TALEV_PLUGIN("echo", echo_init, NULL); */
#define TALEV_PLUGIN(plugin_name, init_fn, reload_fn)                                              \
	TALEV_PLUGIN_LOOPS(plugin_name, init_fn, reload_fn, NULL)
/* The same for a plugin that works on several loops. */
#define TALEV_PLUGIN_LOOPS(plugin_name, init_fn, reload_fn, init_loop_fn)                          \
	extern const struct talev_plugin talev_plugin;                                             \
	const struct talev_plugin talev_plugin = {TALEV_PLUGIN_MAGIC, TALEV_PLUGIN_ABI,            \
		sizeof(struct talev_plugin), plugin_name, init_fn, reload_fn, init_loop_fn}

#ifdef __cplusplus
}
#endif

#endif
