/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program may ask and set on any source. */
#include "core/context.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <talev/finalize.h>

struct source_name {
	const char *where; /* what the call that made the source said */
	char text[];
};

enum talev_state talev_source_get_state(const void *source)
{
	struct source *src = source_from_public(source);

	if (src == NULL)
		return TALEV_FINALIZED;
	if (src->life.state != TALEV_CLOSING || src->life.rec != NULL)
		return src->life.state;
	/* A context is done when its memory goes: finalizers of its sources may be running. */
	if (src->kind == &context_kind)
		return TALEV_CLOSING;
	return life_running(&src->life) || life_buried(src) ? TALEV_CLOSING : TALEV_FINALIZED;
}

struct talev_context *talev_source_get_context(const void *source)
{
	struct source *src = source_from_public(source);

	return src != NULL ? src->ev : NULL;
}

static struct source_name *name_of(struct source *src)
{
	if (!src->named)
		return NULL;
	return (struct source_name *)(uintptr_t)(src->where - offsetof(struct source_name, text));
}

const char *source_made_as(const struct source *src)
{
	return src->named ? name_of((struct source *)(uintptr_t)src)->where : src->where;
}

static struct source_name *name_create(struct source *src, const char *name)
{
	const char *location = source_location(src);
	size_t name_size = strlen(name) + 1;
	size_t location_size = strlen(location) + 1;
	struct source_name *made;

	made = talloc_named_const(
		src, sizeof(*made) + name_size + location_size, "struct source_name");
	if (made == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	made->where = src->named ? name_of(src)->where : src->where;
	memcpy(made->text, name, name_size);
	memcpy(made->text + name_size, location, location_size);
	return made;
}

int talev_source_set_name(void *source, const char *name)
{
	struct source *src = source_from_public(source);
	struct source_name *old;
	struct source_name *made;

	if (src == NULL)
		return -1;
	old = name_of(src);
	if (name != NULL) {
		made = name_create(src, name);
		if (made == NULL)
			return -1;
		src->where = made->text;
		src->named = true;
	} else if (old != NULL) {
		src->where = old->where;
		src->named = false;
	}
	talloc_free(old);
	return 0;
}

const char *talev_source_get_name(const void *source)
{
	struct source *src = source_from_public(source);

	return src != NULL ? src->where : "(not a talev object)";
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
	src->tag = tag;
	return 0;
}

uint64_t talev_source_get_tag(const void *source)
{
	struct source *src = source_from_public(source);

	return src != NULL ? src->tag : 0;
}

int talev_source_set_enabled(void *source, bool enabled)
{
	struct source *src = source_from_public(source);

	if (src == NULL)
		return -1;
	if (src->kind->enable == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (src->life.state != TALEV_LIVE) {
		errno = ESTALE;
		return -1;
	}
	if (src->enabled != enabled) {
		src->enabled = enabled;
		src->kind->enable(src);
	}
	return 0;
}

bool talev_source_get_enabled(const void *source)
{
	struct source *src = source_from_public(source);

	return src != NULL && src->enabled;
}

int talev_source_get_stats(const void *source, struct talev_stats *stats)
{
	struct source *src = source_from_public(source);

	if (src == NULL)
		return -1;
	*stats = (struct talev_stats){
		.calls = src->calls,
		.time_total = (talev_time_t)src->time_total,
		.time_longest = src->time_longest,
	};
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
