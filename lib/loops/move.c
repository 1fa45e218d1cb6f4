/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tree goes to another loop with its events. On the way they are in no loop. Nothing is lost by
 * that: the kernel reports what is ready when a descriptor is added, a deadline stays what it is,
 * and who was to be run next is to be run there.
 *
 * The parcel is the parent of the tree on its way, and knows the events in it: nothing has to be
 * allocated for them where it arrives.
 */
#include <errno.h>
#include <talev/move.h>
#include "base/base.h"
#include "loops/manager.h"

struct parcel {
	struct talev_loop *to;
	talev_loop_fn_t fn;
	void *tree;
	struct life_list list; /* the events, in the order in which they arrive */
	bool on_its_way;
};

static struct source *source_at(const struct parcel *parcel, size_t i)
{
	return source_of_life(parcel->list.objects[i]);
}

struct look {
	bool may;
	size_t count;
	struct parcel *parcel;
};

static void look_at(const void *ptr, int depth, int max_depth, int is_ref, void *private_data)
{
	struct look *look = private_data;
	struct source *src;

	(void)depth;
	(void)max_depth;
	if (is_ref || talloc_reference_count(ptr) > 0) {
		look->may = false;
		return;
	}
	src = source_from_public(ptr);
	if (src == NULL || !core_may_travel(src)) {
		look->may = look->may && source_may_leave(ptr);
		return;
	}
	look->count++;
	/* From the end: talloc tells the youngest first. */
	if (look->parcel != NULL)
		look->parcel->list.objects[look->parcel->list.count - look->count] = &src->life;
}

static struct look look_below(void *tree, struct parcel *parcel)
{
	struct look look = {.may = true, .parcel = parcel};

	talloc_report_depth_cb(tree, 0, -1, look_at, &look);
	return look;
}

static void arrive(struct source *src, struct talev_context *ev)
{
	if (core_arrive(src, ev) == 0)
		return;
	base_log(TALEV_LOG_ERROR, "%s %s (%s) was lost on its way: error %d",
		source_kind_of(src)->label, source_where(src), source_location(src), errno);
	source_close(src, NULL);
}

/* It never arrives. The events belong to the context that goes, for as long as they need to close
 * what they are to close. */
static int parcel_destructor(struct parcel *parcel)
{
	if (!parcel->on_its_way)
		return 0;
	for (size_t i = 0; i < parcel->list.count; i++)
		core_strand(source_at(parcel, i), parcel->to->ev);
	return 0;
}

static void open_parcel(struct talev_loop *loop, void *data)
{
	struct parcel *parcel = data;

	parcel->on_its_way = false;
	/* What the arrival of one closes may free another. */
	life_list_watch(&parcel->list);
	for (size_t i = 0; i < parcel->list.count; i++)
		if (parcel->list.objects[i] != NULL)
			arrive(source_at(parcel, i), loop->ev);
	life_list_unwatch(&parcel->list);
	parcel->fn(loop, parcel->tree);
}

static struct parcel *pack(struct talev_loop *loop, talev_loop_fn_t fn, void *tree, size_t count)
{
	struct parcel *parcel = talloc_zero(NULL, struct parcel);

	if (parcel == NULL)
		return NULL;
	parcel->to = loop;
	parcel->fn = fn;
	parcel->tree = tree;
	parcel->list.count = count;
	parcel->list.objects = talloc_array(parcel, struct life_object *, (unsigned)count + 1);
	if (parcel->list.objects == NULL) {
		talloc_free(parcel);
		return NULL;
	}
	talloc_set_destructor(parcel, parcel_destructor);
	return parcel;
}

/* It was refused: everything goes back to where it was. */
static void unpack(struct parcel *parcel, TALLOC_CTX *parent, struct talev_context **from)
{
	parcel->on_its_way = false;
	talloc_steal(parent, parcel->tree);
	life_list_watch(&parcel->list);
	for (size_t i = 0; i < parcel->list.count; i++)
		if (parcel->list.objects[i] != NULL)
			arrive(source_at(parcel, i), from[i]);
	life_list_unwatch(&parcel->list);
	talloc_free(parcel);
}

static int send_parcel(struct parcel *parcel, const char *where)
{
	TALLOC_CTX *parent = talloc_parent(parcel->tree);
	struct talev_loop *to = parcel->to;
	struct talev_context **from;
	void *data = parcel;

	/* Each may have been in a loop of its own. */
	from = talloc_array(NULL, struct talev_context *, (unsigned)parcel->list.count + 1);
	if (from == NULL) {
		talloc_free(parcel);
		errno = ENOMEM;
		return -1;
	}
	core_sort_for_travel(&parcel->list);
	for (size_t i = 0; i < parcel->list.count; i++) {
		from[i] = source_at(parcel, i)->ev;
		core_depart(source_at(parcel, i));
	}
	talloc_steal(parcel, parcel->tree);
	parcel->on_its_way = true;
	if (async_send(to, open_parcel, &data, where) != 0) {
		int error = errno;

		unpack(parcel, parent, from);
		talloc_free(from);
		errno = error;
		return -1;
	}
	talloc_free(from);
	return 0;
}

/* Most of those that would refuse it, so that what goes and comes back is rare: a handler of what
 * has gone is not known to be one any more. */
static bool has_ended(struct talev_loop *loop)
{
	bool ended;

	pthread_mutex_lock(&loop->manager->lock);
	ended = loop->ended;
	pthread_mutex_unlock(&loop->manager->lock);
	return ended;
}

int _talev_move(struct talev_loop *loop, talev_loop_fn_t fn, void *private_ptr, const char *where)
{
	void **tree = private_ptr;
	struct parcel *parcel;
	struct look look;

	if (loop == NULL || fn == NULL || tree == NULL || *tree == NULL) {
		errno = EINVAL;
		return -1;
	}
	look = look_below(*tree, NULL);
	if (!look.may) {
		errno = EINVAL;
		return -1;
	}
	if (has_ended(loop)) {
		errno = ESHUTDOWN;
		return -1;
	}
	parcel = pack(loop, fn, *tree, look.count);
	if (parcel == NULL) {
		errno = ENOMEM;
		return -1;
	}
	(void)look_below(*tree, parcel);
	if (send_parcel(parcel, where) != 0)
		return -1;
	*tree = NULL;
	return 0;
}

static void keep(struct talev_loop *loop, void *data)
{
	talloc_steal(loop->ev, data);
}

int talev_source_move(void *source, struct talev_loop *loop)
{
	if (source_from_public(source) == NULL)
		return -1;
	return _talev_move(loop, keep, &source, "talev_source_move\0talev");
}
