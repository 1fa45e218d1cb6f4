/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <ini.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugind/config.h"
#include "plugind/log.h"
#include "plugind/sections.h"
#include "plugind/settings.h"

/* libinih says nothing of a section without keys, of the line that it is at, of a section that
 * comes twice or of a line that it cuts. All of that is seen where it asks for the next line. */
struct parser {
	FILE *file;
	struct config *config;
	struct config_section *section;  /* of the current line */
	struct config_section *settings; /* [talevd] */
	unsigned line;
	unsigned mistakes;
};

static void __attribute__((format(printf, 3, 4)))
mistake(struct parser *parser, unsigned line, const char *format, ...)
{
	va_list arguments;
	char text[512];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (line)
		log_message(TALEV_LOG_ERROR, "%s:%u: %s", parser->config->path, line, text);
	else
		log_message(TALEV_LOG_ERROR, "%s: %s", parser->config->path, text);
	parser->mistakes++;
}

static struct config_section *section_new(TALLOC_CTX *mem_ctx, const char *name, unsigned line)
{
	struct config_section *section = talloc_zero(mem_ctx, struct config_section);

	if (!section)
		return NULL;
	TAILQ_INIT(&section->options);
	section->line = line;
	section->name = talloc_strdup(section, name);
	if (!section->name)
		TALLOC_FREE(section);
	return section;
}

static struct config_section *find_any(struct parser *parser, const char *name)
{
	struct config_sections *sections;

	if (strcmp(name, "talevd") == 0)
		return parser->settings;
	sections = sections_of(parser->config, &name);
	return config_find(sections, name);
}

static const char *what(const struct config *config, const struct config_sections *sections)
{
	if (sections == &config->sections)
		return "a plugin";
	return sections == &config->pools ? "a pool" : "jobs";
}

static void section_begin(struct parser *parser, const char *title)
{
	struct config_section *before = find_any(parser, title);
	struct config_sections *sections;
	const char *name = title;

	parser->section = NULL;
	if (before) {
		mistake(parser, parser->line, "section [%s] was there already, in line %u", title,
			before->line);
		return;
	}
	sections = sections_of(parser->config, &name);
	parser->section = section_new(parser->config, name, parser->line);
	if (!parser->section) {
		mistake(parser, parser->line, "%s", strerror(ENOMEM));
	} else if (strcmp(title, "talevd") == 0) {
		parser->settings = parser->section;
	} else {
		if (!config_name_valid(name))
			mistake(parser, parser->line,
				"[%s] cannot name %s: 1 to %d of A-Z a-z 0-9 _ . - are allowed",
				title, what(parser->config, sections), CONFIG_NAME_MAX);
		TAILQ_INSERT_TAIL(sections, parser->section, link);
	}
}

/* One line for libinih, without what is before its first word: a line that begins with white
 * space would be taken for more of the value before. */
static char *next_line(char *buffer, int size, void *stream)
{
	struct parser *parser = stream;
	size_t length;
	char *end;
	int c;

	if (!fgets(buffer, size, parser->file))
		return NULL;
	parser->line++;
	length = strlen(buffer);
	if (length + 1 == (size_t)size && buffer[length - 1] != '\n') {
		while ((c = getc(parser->file)) != EOF && c != '\n')
			;
		mistake(parser, parser->line, "longer than %d bytes", size - 2);
		strcpy(buffer, "\n");
	}
	length = strspn(buffer, " \t");
	memmove(buffer, buffer + length, strlen(buffer + length) + 1);
	end = strchr(buffer, ']');
	if (buffer[0] == '[' && end) {
		*end = '\0';
		section_begin(parser, buffer + 1);
		*end = ']';
	}
	return buffer;
}

static struct config_option *option_new(
	struct config_section *section, const char *key, const char *value, unsigned line)
{
	struct config_option *option = talloc_zero(section, struct config_option);

	if (!option || !(option->key = talloc_strdup(option, key)) ||
		!(option->value = talloc_strdup(option, value)))
		return NULL;
	option->line = line;
	TAILQ_INSERT_TAIL(&section->options, option, link);
	return option;
}

static int key_value(void *user, const char *ignored, const char *key, const char *value)
{
	struct parser *parser = user;
	struct config_option *option;

	(void)ignored;
	if (!parser->section) {
		/* After a section that was refused, its keys are no news. */
		if (parser->mistakes == 0)
			mistake(parser, parser->line, "%s stands before the first [section]", key);
		return 1;
	}
	option = config_option(parser->section, key);
	if (option) {
		mistake(parser, parser->line, "%s was set already, in line %u", key, option->line);
		return 1;
	}
	if (!option_new(parser->section, key, value, parser->line))
		mistake(parser, parser->line, "%s", strerror(ENOMEM));
	return 1;
}

static void check_sections(
	struct parser *parser, const struct config_sections *sections, section_check_fn_t check)
{
	const struct config_section *section;
	const struct config_option *option;
	char error[256];

	TAILQ_FOREACH (section, sections, link)
		TAILQ_FOREACH (option, &section->options, link)
			if (check(parser->config, section, option, error, sizeof(error)) == -1)
				mistake(parser, option->line, "%s", error);
}

static void parse(struct parser *parser)
{
	struct config_option *option;
	char error[256];
	int line = ini_parse_stream(next_line, parser, key_value, parser);

	if (ferror(parser->file))
		mistake(parser, 0, "%s", strerror(errno));
	else if (line > 0)
		mistake(parser, (unsigned)line, "neither [section] nor key = value nor comment");
	else if (line < 0)
		mistake(parser, 0, "%s", strerror(ENOMEM));
	if (parser->settings) {
		TAILQ_FOREACH (option, &parser->settings->options, link)
			if (settings_apply(parser->config, option, error, sizeof(error)) == -1)
				mistake(parser, option->line, "%s", error);
	}
	check_sections(parser, &parser->config->pools, sections_check_pool);
	check_sections(parser, &parser->config->queues, sections_check_queue);
	check_sections(parser, &parser->config->sections, sections_check_plugin);
}

/* Not realpath(3): a symbolic link is looked at again each time. */
static char *absolute(TALLOC_CTX *mem_ctx, const char *path)
{
	char *directory, *joined;

	if (path[0] == '/')
		return talloc_strdup(mem_ctx, path);
	directory = getcwd(NULL, 0);
	if (!directory)
		return NULL;
	joined = talloc_asprintf(mem_ctx, "%s/%s", directory, path);
	free(directory);
	return joined;
}

static struct config *config_new(TALLOC_CTX *mem_ctx, const char *path)
{
	struct config *config = talloc_zero(mem_ctx, struct config);
	char *directory = NULL;

	if (!config)
		goto fail;
	TAILQ_INIT(&config->sections);
	TAILQ_INIT(&config->pools);
	TAILQ_INIT(&config->queues);
	config->path = absolute(config, path);
	if (config->path)
		directory = talloc_strdup(config, config->path);
	if (!directory || settings_default(config) == -1)
		goto fail;
	config->directory = dirname(directory);
	return config;
fail:
	log_message(TALEV_LOG_ERROR, "%s: %s", path, strerror(errno));
	talloc_free(config);
	return NULL;
}

struct config *config_read(TALLOC_CTX *mem_ctx, const char *path)
{
	struct parser parser = {.config = config_new(mem_ctx, path)};

	if (!parser.config)
		return NULL;
	/* "e": a plugin's child has no business with it. */
	parser.file = fopen(path, "re");
	if (!parser.file) {
		mistake(&parser, 0, "%s", strerror(errno));
	} else {
		parse(&parser);
		fclose(parser.file);
	}
	if (parser.mistakes)
		TALLOC_FREE(parser.config);
	return parser.config;
}

bool config_name_valid(const char *name)
{
	size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789_.-");

	return length >= 1 && length <= CONFIG_NAME_MAX && name[length] == '\0' &&
	       strcmp(name, "talevd") != 0;
}

struct config_section *config_find(const struct config_sections *sections, const char *name)
{
	struct config_section *section;

	TAILQ_FOREACH (section, sections, link)
		if (strcmp(section->name, name) == 0)
			return section;
	return NULL;
}

struct config_option *config_option(const struct config_section *section, const char *key)
{
	struct config_option *option;

	TAILQ_FOREACH (option, &section->options, link)
		if (strcmp(option->key, key) == 0)
			return option;
	return NULL;
}

const char *config_value(const struct config_section *section, const char *key)
{
	const struct config_option *option = section ? config_option(section, key) : NULL;

	return option ? option->value : NULL;
}

unsigned config_number(const struct config_section *section, const char *key, unsigned otherwise)
{
	const char *value = config_value(section, key);

	return value ? (unsigned)strtoul(value, NULL, 10) : otherwise;
}

struct config_section *config_copy(TALLOC_CTX *mem_ctx, const struct config_section *section)
{
	struct config_section *copy = section_new(mem_ctx, section->name, section->line);
	const struct config_option *option;

	if (!copy)
		return NULL;
	TAILQ_FOREACH (option, &section->options, link) {
		if (!option_new(copy, option->key, option->value, option->line)) {
			talloc_free(copy);
			return NULL;
		}
	}
	return copy;
}

static bool holds(const struct config_section *section, const struct config_section *other)
{
	struct config_option *option, *same;

	TAILQ_FOREACH (option, &other->options, link) {
		if (strcmp(option->key, "watchdog") == 0)
			continue;
		same = config_option(section, option->key);
		if (!same || strcmp(same->value, option->value) != 0)
			return false;
	}
	return true;
}

bool config_same(const struct config_section *a, const struct config_section *b)
{
	return holds(a, b) && holds(b, a);
}

char *config_path(TALLOC_CTX *mem_ctx, const struct config *config, const char *path)
{
	if (path[0] == '/')
		return talloc_strdup(mem_ctx, path);
	return talloc_asprintf(mem_ctx, "%s/%s", config->directory, path);
}
