/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include <talev/inspect.h>

#include "plugind/client.h"
#include "plugind/common.h"
#include "plugind/config.h"
#include "plugind/plugind.h"
#include "plugind/plugin.h"
#include "plugind/tree.h"

typedef void (*command_fn_t)(struct daemon *d, struct client *c, int count, char **words);

/* Frees the text. */
static void answer_text(struct client *c, char *text)
{
	if (!text) {
		client_error(c, "out of memory");
		return;
	}
	client_answer(c, true, text, strlen(text));
	talloc_free(text);
}

static void finished(void *arg, const char *error)
{
	struct client *c = arg;

	if (error)
		client_error(c, "%s", error);
	else
		client_ok(c, "");
}

/* NULL: the client has its answer. */
static struct waiter *wait_for(struct client *c)
{
	struct waiter *w = waiter_new(c, finished, c);

	if (!w)
		client_error(c, "out of memory");
	return w;
}

static struct plugin *find(struct daemon *d, struct client *c, const char *name)
{
	struct plugin *p = plugin_find(d, name);

	if (!p)
		client_error(c, "%s is not loaded", name);
	return p;
}

static void run_list(struct daemon *d, struct client *c, int count, char **words)
{
	char *text = talloc_strdup(c, "");
	struct plugin *p;

	(void)count;
	(void)words;
	TAILQ_FOREACH (p, &d->plugins, link) {
		char *more = text ? talloc_asprintf_append_buffer(text, "%-16s %-10s %s\n", p->name,
					    plugin_state_name(p), p->file)
				  : NULL;

		if (!more)
			talloc_free(text);
		text = more;
	}
	answer_text(c, text);
}

static void run_tree(struct daemon *d, struct client *c, int count, char **words)
{
	struct plugin *p = find(d, c, words[1]);

	(void)count;
	if (!p)
		return;
	if (!p->tree)
		client_error(c, "%s is closing", p->name);
	else
		answer_text(c, tree_text(c, p->tree, COMMON_ANSWER_MAX));
}

static void run_events(struct daemon *d, struct client *c, int count, char **words)
{
	bool json = count > 1;
	struct talev_snapshot *snapshot;

	if (json && strcmp(words[1], "--json") != 0) {
		client_error(c, "events knows --json, not %s", words[1]);
		return;
	}
	snapshot = talev_snapshot(c, d->ev);
	if (!snapshot)
		client_error(c, "out of memory");
	else
		answer_text(c,
			json ? talev_snapshot_json(c, snapshot) : talev_snapshot_text(c, snapshot));
	talloc_free(snapshot);
}

static void run_load(struct daemon *d, struct client *c, int count, char **words)
{
	struct waiter *w = wait_for(c);

	if (w)
		plugin_load(d, words[1], count > 2 ? words[2] : NULL, w);
}

static void run_unload(struct daemon *d, struct client *c, int count, char **words)
{
	struct plugin *p = find(d, c, words[1]);
	struct waiter *w = p ? wait_for(c) : NULL;

	(void)count;
	if (w)
		plugin_unload(p, w);
}

static void run_reload(struct daemon *d, struct client *c, int count, char **words)
{
	struct plugin *p = find(d, c, words[1]);
	struct waiter *w = p ? wait_for(c) : NULL;

	(void)count;
	if (w)
		plugin_reload(p, w);
}

static void run_ping(struct daemon *d, struct client *c, int count, char **words)
{
	(void)d;
	(void)count;
	(void)words;
	client_ok(c, "talevd " TALEV_VERSION "\n");
}

static void run_stop(struct daemon *d, struct client *c, int count, char **words)
{
	struct waiter *w = wait_for(c);

	(void)count;
	(void)words;
	if (!w)
		return;
	waiter_add(&d->stoppers, w);
	stop_begin(d);
}

static const struct {
	const char *name;
	command_fn_t run;
} runs[] = {
	{"list", run_list},
	{"tree", run_tree},
	{"events", run_events},
	{"load", run_load},
	{"unload", run_unload},
	{"reload", run_reload},
	{"ping", run_ping},
	{"stop", run_stop},
};

static int split(char *line, char **words)
{
	char *rest = line, *word;
	int count = 0;

	while ((word = strsep(&rest, " \t"))) {
		if (word[0] == '\0')
			continue;
		if (count == COMMON_WORDS_MAX)
			return count + 1;
		words[count++] = word;
	}
	return count;
}

void command_run(struct daemon *d, struct client *c, char *line)
{
	const struct common_command *command;
	char *words[COMMON_WORDS_MAX];
	int count = split(line, words);
	size_t i;

	if (count == 0) {
		client_error(c, "empty request");
		return;
	}
	command = common_command_find(words[0]);
	if (!command) {
		client_error(c, "unknown command %s", words[0]);
		return;
	}
	if (count - 1 < command->least || count - 1 > command->most) {
		client_error(c, "usage: %s %s", command->name, command->arguments);
		return;
	}
	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
		if (strcmp(words[0], runs[i].name) == 0)
			runs[i].run(d, c, count, words);
}
