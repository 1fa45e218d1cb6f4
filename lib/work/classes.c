/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Classes of jobs. Those with jobs waiting take turns; a turn is as many jobs as the class has
 * weight. A class exists while jobs of it wait, and for good once it was given a weight.
 */
#include "work/jobq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t bucket_of(const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return hash % CLASS_BUCKETS;
}

static struct job_class *class_create(const char *name)
{
	size_t length = strlen(name) + 1;
	struct job_class *class = calloc(1, sizeof(*class) + length);

	if (class == NULL)
		return NULL;
	memcpy(class->name, name, length);
	TAILQ_INIT(&class->jobs);
	class->weight = 1;
	return class;
}

int classes_init(struct classes *classes)
{
	TAILQ_INIT(&classes->waiting);
	classes->unnamed = class_create("");
	if (classes->unnamed == NULL)
		return -1;
	classes->unnamed->keep = true;
	return 0;
}

void classes_destroy(struct classes *classes)
{
	for (size_t i = 0; classes->buckets != NULL && i < CLASS_BUCKETS; i++) {
		struct job_class *class;

		while ((class = SLIST_FIRST(&classes->buckets[i])) != NULL) {
			SLIST_REMOVE_HEAD(&classes->buckets[i], bucket);
			free(class);
		}
	}
	free(classes->buckets);
	free(classes->unnamed);
}

struct job_class *classes_get(struct classes *classes, const char *name)
{
	struct job_class *class;
	size_t i;

	if (name == NULL)
		return classes->unnamed;
	if (classes->buckets == NULL)
		classes->buckets = calloc(CLASS_BUCKETS, sizeof(*classes->buckets));
	if (classes->buckets == NULL)
		return NULL;
	i = bucket_of(name);
	SLIST_FOREACH(class, &classes->buckets[i], bucket)
	if (strcmp(class->name, name) == 0)
		return class;
	class = class_create(name);
	if (class != NULL)
		SLIST_INSERT_HEAD(&classes->buckets[i], class, bucket);
	return class;
}

static void class_release(struct classes *classes, struct job_class *class)
{
	if (class->queued > 0 || class->keep || class->held > 0)
		return;
	SLIST_REMOVE(&classes->buckets[bucket_of(class->name)], class, job_class, bucket);
	free(class);
}

struct job_class *classes_hold(struct classes *classes, const char *name)
{
	struct job_class *class = classes_get(classes, name);

	if (class != NULL)
		class->held++;
	return class;
}

void classes_let_go(struct classes *classes, struct job_class *class)
{
	class->held--;
	class_release(classes, class);
}

int classes_set(struct classes *classes, const char *name, unsigned weight)
{
	struct job_class *class = classes_get(classes, name);

	if (class == NULL)
		return -1;
	class->weight = weight;
	class->keep = true;
	if (class->credit > weight)
		class->credit = weight;
	return 0;
}

void classes_add(struct classes *classes, struct talev_job *job)
{
	struct job_class *class = job->class;

	if (class == NULL)
		class = job->class = classes->unnamed;
	if (class->queued++ == 0) {
		class->credit = class->weight;
		TAILQ_INSERT_TAIL(&classes->waiting, class, link);
		classes->count++;
	}
	TAILQ_INSERT_TAIL(&class->jobs, job, link);
}

void classes_remove(struct classes *classes, struct talev_job *job)
{
	struct job_class *class = job->class;

	TAILQ_REMOVE(&class->jobs, job, link);
	if (--class->queued == 0) {
		TAILQ_REMOVE(&classes->waiting, class, link);
		classes->count--;
		class_release(classes, class);
	}
}

struct talev_job *classes_take(struct classes *classes, bool lifo)
{
	struct job_class *class = TAILQ_FIRST(&classes->waiting);
	struct talev_job *job;

	if (class == NULL)
		return NULL;
	job = lifo ? TAILQ_LAST(&class->jobs, job_list) : TAILQ_FIRST(&class->jobs);
	if (--class->credit == 0) {
		class->credit = class->weight;
		TAILQ_REMOVE(&classes->waiting, class, link);
		TAILQ_INSERT_TAIL(&classes->waiting, class, link);
	}
	classes_remove(classes, job);
	return job;
}

struct talev_job *classes_any(const struct classes *classes)
{
	struct job_class *class = TAILQ_FIRST(&classes->waiting);

	return class != NULL ? TAILQ_FIRST(&class->jobs) : NULL;
}

void classes_orphan(struct classes *classes, struct job_list *orphans)
{
	struct talev_job *job;

	while ((job = classes_any(classes)) != NULL) {
		classes_remove(classes, job);
		TAILQ_INSERT_TAIL(orphans, job, link);
	}
}

struct talev_job *classes_oldest(const struct classes *classes)
{
	struct talev_job *oldest = NULL;
	struct job_class *class;

	TAILQ_FOREACH (class, &classes->waiting, link) {
		struct talev_job *job = TAILQ_FIRST(&class->jobs);

		if (oldest == NULL || job->since < oldest->since)
			oldest = job;
	}
	return oldest;
}
