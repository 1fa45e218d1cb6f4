/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/context.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A talloc chunk is one of ours if its name is, by address, that of a kind seen before. */
_Atomic(const struct source_kind *) source_kinds[SOURCE_KINDS];

static uint8_t look_up_kind(const struct source_kind *kind)
{
	for (uint8_t i = 0; i < SOURCE_KINDS; i++) {
		const struct source_kind *known =
			atomic_load_explicit(&source_kinds[i], memory_order_acquire);

		if (known == kind)
			return i;
		if (known == NULL && atomic_compare_exchange_strong(&source_kinds[i], &known, kind))
			return i;
		if (known == kind)
			return i;
	}
	base_misuse("more than %d kinds of sources", SOURCE_KINDS);
	abort();
}

static inline uint8_t index_of_kind(const struct source_kind *kind)
{
	static _Atomic uint8_t latest;
	uint8_t i = atomic_load_explicit(&latest, memory_order_relaxed);

	if (atomic_load_explicit(&source_kinds[i], memory_order_relaxed) != kind) {
		i = look_up_kind(kind);
		atomic_store_explicit(&latest, i, memory_order_relaxed);
	}
	return i;
}

void source_set_kind(struct source *src, const struct source_kind *kind)
{
	src->kind_index = index_of_kind(kind);
}

const struct source_kind *source_kind_of(const struct source *src)
{
	return kind_of(src);
}

struct source_aside *source_need_aside(struct source *src)
{
	struct source_aside *aside = source_aside(src);

	if (aside != NULL)
		return aside;
	aside = malloc(sizeof(*aside));
	if (aside == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	*aside = (struct source_aside){.made_as = src->where, .where = src->where};
	src->aside_state = ASIDE_COMES;
	atomic_signal_fence(memory_order_seq_cst);
	src->aside = aside;
	atomic_signal_fence(memory_order_seq_cst);
	src->aside_state = ASIDE_MADE;
	return aside;
}

void source_free_aside(struct source *src)
{
	struct source_aside *aside = src->aside;

	src->aside_state = ASIDE_COMES;
	atomic_signal_fence(memory_order_seq_cst);
	src->where = aside->made_as;
	atomic_signal_fence(memory_order_seq_cst);
	src->aside_state = ASIDE_NONE;
	if (aside->where != aside->made_as)
		free((void *)(uintptr_t)aside->where);
	free(aside);
}

static struct source *source_of(const void *ptr)
{
	const char *name = talloc_get_name(ptr);

	for (size_t i = 0; i < SOURCE_KINDS; i++) {
		const struct source_kind *kind =
			atomic_load_explicit(&source_kinds[i], memory_order_acquire);

		if (kind == NULL)
			return NULL;
		if (kind->type == name)
			return (struct source *)(uintptr_t)ptr;
	}
	return NULL;
}

struct source *source_from_public(const void *ptr)
{
	struct source *src = ptr != NULL ? source_of(ptr) : NULL;

	if (src == NULL)
		errno = EINVAL;
	return src;
}

static inline struct source_queue *queue_of(struct talev_context *ev, enum source_place place)
{
	switch (place) {
	case PLACE_RESTING:
	case PLACE_HELD:
		return &ev->resting;
	case PLACE_IMMEDIATE:
		return &ev->immediates;
	case PLACE_DUE:
		return &ev->due;
	default:
		return NULL;
	}
}

void source_place(struct source *src, struct talev_context *ev, enum source_place place)
{
	struct source_queue *queue = queue_of(ev, place);

	src->place = place;
	TAILQ_INSERT_TAIL(queue, src, link);
	if (place == PLACE_IMMEDIATE)
		ev->immediate_count++;
	else if (place == PLACE_DUE)
		ev->due_count++;
}

void source_unplace(struct source *src)
{
	struct source_queue *queue = queue_of(src->ev, src->place);

	if (queue == NULL)
		return;
	TAILQ_REMOVE(queue, src, link);
	if (src->place == PLACE_IMMEDIATE)
		src->ev->immediate_count--;
	else if (src->place == PLACE_DUE)
		src->ev->due_count--;
	src->place = PLACE_NONE;
}

/* Of a source that is live, in ev, and has no finalizer. Not live from here on, so that what disarm
 * calls cannot arm it again or close it twice. */
static inline void close_plain(struct source *src, struct talev_context *ev)
{
	const struct source_kind *kind = kind_of(src);

	src->life.state = TALEV_CLOSING;
	kind->disarm(src);
	if (src->place == PLACE_RESTING) {
		TAILQ_REMOVE(&ev->resting, src, link);
		src->place = PLACE_NONE;
	} else if (src->place != PLACE_NONE) {
		source_unplace(src);
	}
	src->ev = NULL;
	context_changed(ev);
	if (kind->closed != NULL)
		kind->closed(src, ev);
}

static int source_destructor(struct source *src)
{
	struct talev_context *ev = src->ev;

	if (ev != NULL && src->life.state == TALEV_LIVE && src->life.rec == NULL &&
		ev->trace == NULL) {
		(void)owner_check(ev, src);
		close_plain(src, ev);
	} else {
		/* talloc asks parents before children; finalizers run the other way round. */
		if (src->life.rec != NULL && src->life.state == TALEV_LIVE)
			source_close_tree(src);
		source_close(src, NULL);
	}
	life_forget(&src->life);
	if (kind_of(src)->destroy != NULL)
		kind_of(src)->destroy(src);
	source_drop_aside(src);
	return 0;
}

void source_end(struct source *src)
{
	(void)source_destructor(src);
}

static inline bool takes_more(struct talev_context *ev)
{
	return (core_is_known(ev) || core_usable(ev) != NULL) && owner_check(ev, &ev->src);
}

static inline void begin(struct source *src, struct talev_context *ev,
	const struct source_kind *kind, void *private_data, const char *where)
{
	src->ev = ev;
	source_set_kind(src, kind);
	src->where = where;
	src->private_data = private_data;
	src->enabled = true;
}

int source_begin(struct source *src, struct talev_context *ev, const struct source_kind *kind,
	void *private_data, const char *where)
{
	begin(src, NULL, kind, private_data, where);
	if (!takes_more(ev))
		return -1;
	src->ev = ev;
	trace(ev, TALEV_TRACE_ATTACH, src);
	return 0;
}

void *source_create(struct talev_context *ev, TALLOC_CTX *mem_ctx, size_t size,
	const struct source_kind *kind, void *private_data, const char *where)
{
	struct source *src;

	if (ev != NULL && !takes_more(ev))
		return NULL;
	if (life_buried(mem_ctx)) {
		errno = ESTALE;
		return NULL;
	}
	src = talloc_named_const(mem_ctx != NULL ? mem_ctx : ev, size, kind->type);
	if (src == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	memset(src, 0, size);
	begin(src, ev, kind, private_data, where);
	talloc_set_destructor(src, source_destructor);
	if (ev != NULL) {
		src->place = PLACE_RESTING;
		TAILQ_INSERT_TAIL(&ev->resting, src, link);
		trace(ev, TALEV_TRACE_ATTACH, src);
	}
	return src;
}

int source_refused(const struct source *src)
{
	if (src->life.state == TALEV_LIVE && src->ev != NULL)
		return owner_check(src->ev, src) ? 0 : -1;
	errno = ESTALE;
	return -1;
}

/* An immediate that was never scheduled has no loop. If it is freed in a handler, it is that
 * loop's; else there is nothing to wait for. */
static void close_without_context(struct source *src, struct life_rec *grave)
{
	struct life_frame *frame = life_innermost();
	struct life nobody = {.refs = 1};

	if (grave != NULL || src->life.rec == NULL) {
		life_close(NULL, &src->life, grave);
		return;
	}
	if (frame != NULL) {
		life_close(frame->life, &src->life, NULL);
		return;
	}
	/* On the stack: being freed is no time to run out of memory. */
	TAILQ_INIT(&nobody.ready);
	life_close(&nobody, &src->life, NULL);
	life_run(&nobody);
}

void source_close(struct source *src, struct life_rec *grave)
{
	struct talev_context *ev = src->ev;

	if (src->life.state != TALEV_LIVE) {
		life_close(NULL, &src->life, grave);
		return;
	}
	if (ev == NULL) {
		close_without_context(src, grave);
		return;
	}
	(void)owner_check(ev, src);
	trace(ev, TALEV_TRACE_DETACH, src);
	/* Not live from here on, so that what disarm calls cannot arm it again or close it twice.
	 */
	life_close(ev->life, &src->life, grave);
	kind_of(src)->disarm(src);
	/* What a context closes with itself may have freed it. */
	if ((void *)src == ev)
		return;
	source_unplace(src);
	src->ev = NULL;
	context_changed(ev);
	if (kind_of(src)->closed != NULL)
		kind_of(src)->closed(src, ev);
}

struct walk {
	struct life_list *list;
	size_t found;
	struct source *last; /* the last one that is live */
};

static void look_at(const void *ptr, int depth, int max_depth, int is_ref, void *private_data)
{
	struct walk *walk = private_data;
	struct source *src;

	(void)depth;
	(void)max_depth;
	if (is_ref || (src = source_of(ptr)) == NULL)
		return;
	if (src->life.state == TALEV_LIVE)
		walk->last = src;
	if (walk->list != NULL && walk->found < walk->list->count)
		walk->list->objects[walk->found] = &src->life;
	walk->found++;
}

/* Nothing may be freed while talloc walks, and closing calls the user's close functions: so the
 * objects are noted first. */
int source_list_below(void *ptr, struct life_list *list)
{
	struct walk walk = {.list = NULL};

	talloc_report_depth_cb(ptr, 0, -1, look_at, &walk);
	list->count = walk.found;
	list->objects = calloc(walk.found + 1, sizeof(*list->objects));
	if (list->objects == NULL) {
		errno = ENOMEM;
		return -1;
	}
	walk = (struct walk){.list = list};
	talloc_report_depth_cb(ptr, 0, -1, look_at, &walk);
	return 0;
}

/* talloc tells parents before children and the youngest child first; backwards that is children
 * before parents, and the oldest first. */
void source_close_list(struct life_list *list, struct life_rec *grave)
{
	life_list_watch(list);
	for (size_t i = list->count; i-- > 0;)
		if (list->objects[i] != NULL)
			source_close(source_of_life(list->objects[i]), grave);
	life_list_unwatch(list);
	free(list->objects);
}

static void close_again(const void *ptr, int depth, int max_depth, int is_ref, void *private_data)
{
	struct source *src = is_ref ? NULL : source_of(ptr);

	(void)depth;
	(void)max_depth;
	/* It is not live: nothing of the user's is called. */
	if (src != NULL)
		source_close(src, private_data);
}

/* Without memory for a list: the last live one again and again. */
void source_close_below(void *ptr, struct life_rec *grave)
{
	struct walk walk = {.list = NULL};

	for (;;) {
		talloc_report_depth_cb(ptr, 0, -1, look_at, &walk);
		if (walk.last == NULL)
			break;
		source_close(walk.last, grave);
		walk.last = NULL;
	}
	/* The memory of those that were closed before is the grave's too. */
	if (grave != NULL)
		talloc_report_depth_cb(ptr, 0, -1, close_again, grave);
}

/* A destructor cannot fail. */
void source_close_tree(struct source *src)
{
	struct life_list list;

	if (source_list_below(src, &list) == 0)
		source_close_list(&list, NULL);
	else
		source_close_below(src, NULL);
}

bool source_may_leave(const void *ptr)
{
	struct source *src = source_of(ptr);

	if (src == NULL)
		return true;
	if (src->ev != NULL || src->life.state != TALEV_LIVE || life_guard_of(&src->life) != NULL)
		return false;
	if (kind_of(src)->travel != NULL && kind_of(src)->travel->may != NULL &&
		!kind_of(src)->travel->may(src))
		return false;
	life_send_away(&src->life);
	return true;
}

const char *source_location(const struct source *src)
{
	const char *where = source_where(src);

	return where + strlen(where) + 1;
}
