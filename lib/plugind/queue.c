/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talev/job.h>

#include "plugind/config.h"
#include "plugind/log.h"
#include "plugind/plugind.h"
#include "plugind/queue.h"
#include "plugind/sections.h"
#include "plugind/value.h"
#include "plugind/watch.h"

#define IDLE       TALEV_SEC(5)
#define WEIGHT_MAX 1000000

/* One word of classes: name:weight, or :weight for the jobs without a class. */
static bool class_parse(char *word, const char **name, unsigned *weight)
{
	char *colon = strchr(word, ':');
	char ignored[64];
	long long number;

	if (!colon ||
		value_number(&number, colon + 1, 1, WEIGHT_MAX, ignored, sizeof(ignored)) == -1)
		return false;
	*colon = '\0';
	*name = colon == word ? NULL : word;
	*weight = (unsigned)number;
	return true;
}

static int check_classes(const char *list, char *error, size_t size)
{
	char word[64];
	const char *name;
	unsigned weight;

	while (sections_next_word(&list, word, sizeof(word))) {
		if (class_parse(word, &name, &weight))
			continue;
		snprintf(error, size, "classes and weights as urgent:4,bulk:1");
		return -1;
	}
	return 0;
}

int queue_change_add(
	struct queue_change *change, const char *key, const char *value, char *error, size_t size)
{
	struct {
		const char *key;
		bool *given;
		unsigned *value;
	} numbers[] = {
		{"concurrency", &change->has_concurrency, &change->concurrency},
		{"min", &change->has_min, &change->min},
		{"max", &change->has_max, &change->max},
		{"floor", &change->has_floor, &change->floor},
	};
	long long number = 0;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(key, numbers[i].key) != 0)
			continue;
		rc = value_number(&number, value, 0, QUEUE_MOST, error, size);
		*numbers[i].given = true;
		*numbers[i].value = (unsigned)number;
		return rc;
	}
	if (strcmp(key, "backlog") == 0) {
		rc = value_number(&number, value, 0, INT32_MAX, error, size);
		change->has_backlog = true;
		change->backlog = (size_t)number;
		return rc;
	}
	if (strcmp(key, "idle") == 0) {
		change->has_idle = true;
		return value_duration(&change->idle, value, error, size);
	}
	if (strcmp(key, "lifo") == 0) {
		change->has_lifo = true;
		return value_choice(&change->lifo, value, "no", "yes", error, size);
	}
	if (strcmp(key, "classes") == 0) {
		change->classes = value;
		return check_classes(value, error, size);
	}
	return 1;
}

/* weight 0: as it is written. */
static int set_classes(struct queue *queue, const char *list, unsigned weight)
{
	const char *name;
	unsigned written;
	char word[64];
	int rc = 0;

	while (list && sections_next_word(&list, word, sizeof(word)))
		if (class_parse(word, &name, &written) &&
			talev_jobq_set_class(queue->jobq, name, weight ? weight : written) == -1)
			rc = -1;
	return rc;
}

int queue_set(struct queue *queue, const struct queue_change *change)
{
	struct talev_jobq *jobq = queue->jobq;
	struct talev_jobq_info info;
	unsigned min, max;

	talev_jobq_get_info(jobq, &info, sizeof(info));
	min = change->has_min ? change->min : info.min;
	max = change->has_max ? change->max : info.max;
	if (talev_jobq_set_min_max(jobq, min, max) == -1)
		return -1;
	if (change->has_concurrency)
		talev_jobq_set_concurrency(jobq, change->concurrency);
	if (change->has_floor)
		talev_jobq_set_floor(jobq, change->floor);
	if (change->has_idle)
		talev_jobq_set_idle(jobq, change->idle);
	if (change->has_backlog)
		talev_jobq_set_max_backlog(jobq, change->backlog);
	if (change->has_lifo)
		talev_jobq_set_lifo(jobq, change->lifo);
	return set_classes(queue, change->classes, 0);
}

struct queue *queue_find(const struct daemon *d, const char *name)
{
	struct queue *queue;

	TAILQ_FOREACH (queue, &d->queues, link)
		if (strcmp(queue->name, name) == 0)
			return queue;
	return NULL;
}

static struct queue *queue_new(struct daemon *d, const char *name)
{
	struct queue *queue = talloc_zero(d, struct queue);
	struct talev_jobq_info info;

	if (!queue)
		return NULL;
	queue->name = talloc_strdup(queue, name);
	queue->jobq = queue->name ? talev_jobq_create(queue, name) : NULL;
	if (!queue->jobq) {
		int saved = errno;

		talloc_free(queue);
		errno = saved;
		return NULL;
	}
	talev_jobq_get_info(queue->jobq, &info, sizeof(info));
	queue->processors = info.concurrency;
	TAILQ_INSERT_TAIL(&d->queues, queue, link);
	watch_queue(d, queue);
	return queue;
}

/* What the section does not say is as it was at first. */
static void configure(struct queue *queue, const struct config_section *section)
{
	struct queue_change change = {
		.has_concurrency = true,
		.concurrency = queue->processors,
		.has_min = true,
		.has_max = true,
		.max = QUEUE_MOST,
		.has_floor = true,
		.has_idle = true,
		.idle = IDLE,
		.has_backlog = true,
		.has_lifo = true,
	};
	const struct config_option *option;
	char ignored[128];

	TAILQ_FOREACH (option, &section->options, link)
		(void)queue_change_add(
			&change, option->key, option->value, ignored, sizeof(ignored));
	if (queue_set(queue, &change) == -1)
		log_message(TALEV_LOG_ERROR, "jobs %s: %s", queue->name, strerror(errno));
}

void queues_apply(struct daemon *d, const struct config *before)
{
	const struct config_section *section, *old;
	struct queue *queue;

	TAILQ_FOREACH (queue, &d->queues, link)
		queue->unwanted = !config_find(&d->config->queues, queue->name);
	TAILQ_FOREACH (section, &d->config->queues, link) {
		old = before ? config_find(&before->queues, section->name) : NULL;
		queue = queue_find(d, section->name);
		if (queue && old && config_same(section, old))
			continue;
		if (!queue)
			queue = queue_new(d, section->name);
		else
			set_classes(queue, config_value(old, "classes"), 1);
		if (queue)
			configure(queue, section);
		else
			log_message(TALEV_LOG_ERROR, "jobs %s: %s", section->name, strerror(errno));
	}
}

static void end_unwanted(struct daemon *d, struct queue *queue)
{
	if (!queue->unwanted || queue->users > 0)
		return;
	TAILQ_REMOVE(&d->queues, queue, link);
	talloc_free(queue);
}

void queue_leave(struct daemon *d, struct queue *queue)
{
	queue->users--;
	end_unwanted(d, queue);
}

void queues_sweep(struct daemon *d)
{
	struct queue *queue, *next;

	TAILQ_FOREACH_SAFE (queue, &d->queues, link, next)
		end_unwanted(d, queue);
}
