/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tree goes to another loop with its watchers. On the way they are in no loop: the kernel of the
 * old one has forgotten the descriptor, and the new one learns it there. Readiness is not lost by
 * that, since the kernel reports what is ready when a descriptor is added.
 *
 * The parcel is the parent of the tree on its way, and knows the watchers in it: nothing has to be
 * allocated where it arrives.
 */
#include <errno.h>
#include <string.h>
#include <talev/move.h>
#include "base/base.h"
#include "loops/manager.h"

struct parcel {
	struct talev_loop *to;
	talev_loop_fn_t fn;
	void *tree;
	struct life_list list; /* the watchers */
	bool on_its_way;
};

static struct fd_source *watcher_of(struct life_object *object)
{
	return (struct fd_source *)((char *)object - offsetof(struct source, life));
}

static bool is_watcher(const struct source *src)
{
	return src->place == PLACE_SLOT && strcmp(src->kind->label, "fd") == 0 &&
	       src->life.state == TALEV_LIVE && src->life.rec == NULL;
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
	if (src == NULL || !is_watcher(src)) {
		look->may = look->may && source_may_leave(ptr);
		return;
	}
	if (look->parcel != NULL)
		look->parcel->list.objects[look->count] = &src->life;
	look->count++;
}

static struct look look_below(void *tree, struct parcel *parcel)
{
	struct look look = {.may = true, .parcel = parcel};

	talloc_report_depth_cb(tree, 0, -1, look_at, &look);
	return look;
}

static void depart(struct fd_source *fs)
{
	core_fd_detach(fs);
	fs->src.ev = NULL;
	life_send_away(&fs->src.life);
}

static void arrive(struct fd_source *fs, struct talev_context *ev)
{
	int error;

	fs->src.ev = ev;
	if (core_fd_attach(fs) == 0)
		return;
	error = errno;
	base_log(TALEV_LOG_ERROR, "descriptor %d of %s (%s) was lost on its way: error %d", fs->fd,
		fs->src.where, source_location(&fs->src), error);
	/* The number may be another file's by now. */
	if (error == EBADF)
		fs->fd = -1;
	source_close(&fs->src, NULL);
}

/* It never arrives. The watchers belong to the context that goes, for as long as they need to close
 * what they are to close. */
static int parcel_destructor(struct parcel *parcel)
{
	if (!parcel->on_its_way)
		return 0;
	for (size_t i = 0; i < parcel->list.count; i++)
		watcher_of(parcel->list.objects[i])->src.ev = parcel->to->ev;
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
			arrive(watcher_of(parcel->list.objects[i]), loop->ev);
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
	for (size_t i = 0; i < parcel->list.count; i++)
		arrive(watcher_of(parcel->list.objects[i]), from[i]);
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
	for (size_t i = 0; i < parcel->list.count; i++) {
		struct fd_source *fs = watcher_of(parcel->list.objects[i]);

		from[i] = fs->src.ev;
		depart(fs);
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

int talev_fd_move(struct talev_fd *fde, struct talev_loop *loop)
{
	struct source *src = source_from_public(fde);

	if (src == NULL)
		return -1;
	return _talev_move(loop, keep, &fde, "talev_fd_move\0talev");
}
