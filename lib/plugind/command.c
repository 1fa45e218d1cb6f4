/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <talev/job.h>

#include "plugind/client.h"
#include "plugind/common.h"
#include "plugind/look.h"
#include "plugind/plugind.h"
#include "plugind/plugin.h"
#include "plugind/queue.h"
#include "plugind/watch.h"

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
	if (p)
		look_tree(d, c, p);
}

/* False: there is another word, and the client has its answer. */
static bool wants_json(struct client *c, int count, char **words, bool *json)
{
	*json = count > 1;
	if (!*json || strcmp(words[1], "--json") == 0)
		return true;
	client_error(c, "%s knows --json, not %s", words[0], words[1]);
	return false;
}

static void run_events(struct daemon *d, struct client *c, int count, char **words)
{
	bool json;

	if (wants_json(c, count, words, &json))
		look_events(d, c, json);
}

static void run_loops(struct daemon *d, struct client *c, int count, char **words)
{
	bool json;

	if (wants_json(c, count, words, &json))
		look_loops(d, c, json);
}

static void run_watchdog(struct daemon *d, struct client *c, int count, char **words)
{
	bool json;

	if (wants_json(c, count, words, &json))
		answer_text(c, watch_text(c, d, json));
}

/* What is to be set is known before anything is. */
static void set_jobs(struct client *c, struct queue *queue, int count, char **words)
{
	struct queue_change change = {0};
	char wanted[128];
	int i, rc;

	for (i = 0; i < count; i++) {
		char *value = strchr(words[i], '=');

		if (!value) {
			client_error(c, "%s is not KEY=VALUE", words[i]);
			return;
		}
		*value++ = '\0';
		rc = queue_change_add(&change, words[i], value, wanted, sizeof(wanted));
		if (rc == 0)
			continue;
		if (rc > 0)
			client_error(c, "jobs have no %s", words[i]);
		else
			client_error(c, "%s takes %s, not \"%s\"", words[i], wanted, value);
		return;
	}
	if (queue_set(queue, &change) == 0)
		client_ok(c, "");
	else if (errno == EINVAL)
		client_error(c, "min would be above max");
	else
		client_error(c, "%s", strerror(errno));
}

/* jobs [NAME] [--json], or jobs NAME KEY=VALUE ... */
static void run_jobs(struct daemon *d, struct client *c, int count, char **words)
{
	bool json = strcmp(words[count - 1], "--json") == 0;
	struct queue *queue = NULL;
	struct talev_jobq *jobq = NULL;

	count -= json ? 1 : 0;
	if (count > 1) {
		queue = queue_find(d, words[1]);
		if (!queue) {
			client_error(c, "there are no jobs %s", words[1]);
			return;
		}
		jobq = queue->jobq;
	}
	if (count > 2 && json)
		client_error(c, "--json shows, and sets nothing");
	else if (count > 2)
		set_jobs(c, queue, count - 2, words + 2);
	else if (json)
		answer_text(c, talev_jobq_json(c, jobq));
	else
		answer_text(c, talev_jobq_text(c, jobq));
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
	{"loops", run_loops},
	{"jobs", run_jobs},
	{"watchdog", run_watchdog},
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
