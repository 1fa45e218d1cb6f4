/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_CONFIG_H
#define PLUGIND_CONFIG_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <talloc.h>
#include <talev/log.h>
#include <talev/time.h>

/* talevd.conf(5) as it was read. Nothing changes it afterwards but the marks of asked options. */

struct config_option {
	TAILQ_ENTRY(config_option) link;
	char *key;
	char *value;
	unsigned line;
	bool asked; /* the plugin wanted to know it */
};

struct config_section {
	TAILQ_ENTRY(config_section) link;
	char *name;
	unsigned line;
	TAILQ_HEAD(, config_option) options;
};

TAILQ_HEAD(config_sections, config_section);

struct config {
	char *path;      /* absolute */
	char *directory; /* of the file: relative paths in it start here */
	char *control;
	char *pidfile; /* or NULL */
	char *plugins; /* where files without a slash are */
	bool syslog;
	bool timing;
	enum talev_log_level log_level;
	unsigned clients;
	talev_time_t timeout;
	talev_time_t slow_handler;
	talev_time_t watchdog; /* TALEV_NEVER: off */
	bool watchdog_abort;
	/* In the order of the file. */
	struct config_sections sections;
	struct config_sections pools;  /* [pool NAME] */
	struct config_sections queues; /* [jobs NAME] */
};

#define CONFIG_NAME_MAX 32

/* Reads the file; each mistake is logged with file and line. NULL: there was one. */
struct config *config_read(TALLOC_CTX *mem_ctx, const char *path);

/* Is it a name for a plugin: 1 to CONFIG_NAME_MAX of A-Z a-z 0-9 _ . - but not "talevd". */
bool config_name_valid(const char *name);

struct config_section *config_find(const struct config_sections *sections, const char *name);
struct config_option *config_option(const struct config_section *section, const char *key);
/* The value of the key, or NULL; section may be NULL too. */
const char *config_value(const struct config_section *section, const char *key);
/* The same, of one that was checked to be a number. */
unsigned config_number(const struct config_section *section, const char *key, unsigned otherwise);
/* NULL: ENOMEM. */
struct config_section *config_copy(TALLOC_CTX *mem_ctx, const struct config_section *section);

/* Same keys with the same values, in whatever order, but for watchdog, which is no reason to touch
 * anything. */
bool config_same(const struct config_section *a, const struct config_section *b);

/* The path as meant by the file. NULL: ENOMEM. */
char *config_path(TALLOC_CTX *mem_ctx, const struct config *config, const char *path);

#endif
