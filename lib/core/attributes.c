/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program may ask and set on any source. */
#include "core/context.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <talev/finalize.h>

enum talev_state talev_source_get_state(const void *source)
{
	struct source *src = source_from_public(source);

	if (src == NULL)
		return TALEV_FINALIZED;
	if (src->life.state != TALEV_CLOSING || src->life.rec != NULL)
		return src->life.state;
	/* A context is done when its memory goes: finalizers of its sources may be running. */
	if (kind_of(src) == &context_kind)
		return TALEV_CLOSING;
	return life_running(&src->life) || life_buried(src) ? TALEV_CLOSING : TALEV_FINALIZED;
}

struct talev_context *talev_source_get_context(const void *source)
{
	struct source *src = source_from_public(source);

	return src != NULL ? src->ev : NULL;
}

/* A name, with where the source was made. */
static char *name_create(const struct source_aside *aside, const char *name)
{
	const char *location = aside->made_as + strlen(aside->made_as) + 1;
	size_t name_size = strlen(name) + 1;
	size_t location_size = strlen(location) + 1;
	char *made = malloc(name_size + location_size);

	if (made == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	memcpy(made, name, name_size);
	memcpy(made + name_size, location, location_size);
	return made;
}

int talev_source_set_name(void *source, const char *name)
{
	struct source *src = source_from_public(source);
	struct source_aside *aside;
	const char *made;
	const char *old;

	if (src == NULL)
		return -1;
	if (name == NULL && !source_named(src))
		return 0;
	aside = source_need_aside(src);
	if (aside == NULL)
		return -1;
	made = name != NULL ? name_create(aside, name) : aside->made_as;
	if (made == NULL)
		return -1;
	old = source_named(src) ? aside->where : NULL;
	aside->where = made;
	free((void *)(uintptr_t)old);
	return 0;
}

const char *talev_source_get_name(const void *source)
{
	struct source *src = source_from_public(source);

	return src != NULL ? source_where(src) : "(not a talev object)";
}

const char *talev_source_get_location(const void *source)
{
	struct source *src = source_from_public(source);

	return src != NULL ? source_location(src) : "(nowhere)";
}

int talev_source_set_tag(void *source, uint64_t tag)
{
	struct source *src = source_from_public(source);

	if (src == NULL)
		return -1;
	if (tag == 0 && source_aside(src) == NULL)
		return 0;
	if (source_need_aside(src) == NULL)
		return -1;
	src->aside->tag = tag;
	return 0;
}

uint64_t talev_source_get_tag(const void *source)
{
	const struct source *src = source_from_public(source);

	return src != NULL ? source_tag(src) : 0;
}

int talev_source_set_enabled(void *source, bool enabled)
{
	struct source *src = source_from_public(source);

	if (src == NULL)
		return -1;
	if (kind_of(src)->enable == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (src->life.state != TALEV_LIVE) {
		errno = ESTALE;
		return -1;
	}
	if (src->enabled != enabled) {
		src->enabled = enabled;
		kind_of(src)->enable(src);
	}
	return 0;
}

bool talev_source_get_enabled(const void *source)
{
	struct source *src = source_from_public(source);

	return src != NULL && src->enabled;
}

struct talev_stats source_stats(const struct source *src)
{
	const struct source_aside *aside = source_aside(src);
	struct talev_stats stats = {.calls = src->calls};

	if (aside != NULL) {
		stats.time_total = (talev_time_t)aside->time_total;
		stats.time_longest = aside->time_longest;
	}
	return stats;
}

int talev_source_get_stats(const void *source, struct talev_stats *stats)
{
	struct source *src = source_from_public(source);

	if (src == NULL)
		return -1;
	*stats = source_stats(src);
	return 0;
}

int talev_source_set_finalizer(void *source, unsigned flags, talev_finalizer_t fn, void *arg)
{
	struct source *src = source_from_public(source);

	if (src == NULL)
		return -1;
	if ((flags & ~TALEV_FINALIZE_NOT_IN_CHILD) != 0) {
		errno = EINVAL;
		return -1;
	}
	return life_set_finalizer(&src->life, flags, fn, arg);
}

void *talev_running(void)
{
	struct life_frame *frame = life_innermost();

	if (frame == NULL || frame->object == NULL)
		return NULL;
	return (char *)frame->object - offsetof(struct source, life);
}
