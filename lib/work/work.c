/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs that are sent again and again. The job is a talloc chunk without a parent, a box, and what
 * it is sent with is a child of that. So nothing that is done to data on either side touches the
 * other, and nothing is to be done to the tree when the same is sent again.
 */
#include <errno.h>
#include <talev/work.h>
#include "work/trip.h"

struct talev_work {
	struct source src;
	talev_work_handler_t handler;
	struct trip trip; /* its job stays when it is back; NULL: it was lost to a fork */
	struct hub *hub;
	struct jobq *q;
	struct job_class *class; /* held; NULL: it was never set */
	int error;
};

static struct talev_work *work_of(struct source *src)
{
	return (struct talev_work *)src;
}

static struct talev_work *work_of_trip(struct trip *trip)
{
	return (struct talev_work *)((char *)trip - offsetof(struct talev_work, trip));
}

static bool is_scheduled(const struct talev_work *work)
{
	return work->trip.on_its_way || work->src.place != PLACE_RESTING;
}

static void work_disarm(struct source *src)
{
	if (work_of(src)->trip.on_its_way)
		trip_end(&work_of(src)->trip);
}

static void set_class(struct talev_work *work, struct job_class *class)
{
	if (work->class != NULL)
		classes_let_go(&work->q->classes, work->class);
	work->class = class;
}

static void work_destroy(struct source *src)
{
	struct talev_work *work = work_of(src);

	if (work->trip.job != NULL)
		job_free(work->trip.job, true);
	if (work->class != NULL) {
		jobq_lock(work->q);
		set_class(work, NULL);
		jobq_unlock(work->q);
	}
	if (work->q != NULL)
		jobq_unref(work->q);
}

/* It is in no queue by now. */
static void work_run(struct talev_context *ev, struct source *src)
{
	struct talev_work *work = work_of(src);
	struct talev_job *job = work->trip.job;

	work->handler(ev, work, work->error, job != NULL ? job->data : NULL, src->private_data);
}

static void work_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	(void)flags;
	(void)now;
	core_unpost(src);
	work_run(src->ev, src);
}

static void work_enable(struct source *src)
{
	if (src->place != PLACE_RESTING)
		core_post(src);
}

static void work_describe(const struct source *src, struct talev_source_info *info)
{
	info->armed = is_scheduled((const struct talev_work *)src);
}

static const struct source_kind work_kind = {
	.type = "struct talev_work",
	.label = "work",
	.disarm = work_disarm,
	.destroy = work_destroy,
	.fire = work_fire,
	.run = work_run,
	.stays = true,
	.enable = work_enable,
	.describe = work_describe,
};

static void back(struct trip *trip, bool is_parents)
{
	struct talev_work *work = work_of_trip(trip);

	if (is_parents) {
		work->error = ESHUTDOWN;
		trip->job = NULL;
	} else {
		work->error = trip->job->error;
		(void)job_take_data(trip->job);
	}
	core_post(&work->src);
}

struct talev_work *_talev_work_create(
	struct talev_context *ev, TALLOC_CTX *mem_ctx, struct talev_jobq *jobq, const char *where)
{
	struct talev_work *work;

	if (ev == NULL || jobq == NULL) {
		errno = EINVAL;
		return NULL;
	}
	work = source_create(ev, mem_ctx, sizeof(*work), &work_kind, NULL, where);
	if (work == NULL)
		return NULL;
	work->trip.back = back;
	work->q = jobq_of(jobq);
	jobq_ref(work->q);
	work->hub = hub_get(ev);
	if (work->hub != NULL)
		work->trip.job = job_create_box(work->q);
	if (work->trip.job == NULL) {
		int error = errno;

		talloc_free(work);
		errno = error;
		return NULL;
	}
	return work;
}

int talev_work_set_class(struct talev_work *work, const char *class_name)
{
	struct job_class *class;

	if (source_check(&work->src) != 0)
		return -1;
	if (is_scheduled(work)) {
		errno = EBUSY;
		return -1;
	}
	jobq_lock(work->q);
	class = classes_hold(&work->q->classes, class_name);
	if (class != NULL)
		set_class(work, class);
	jobq_unlock(work->q);
	if (class != NULL)
		return 0;
	errno = ENOMEM;
	return -1;
}

static inline bool is_packed(const struct talev_job *box, const void *tree)
{
	return tree == box->data && (tree == NULL || talloc_parent(tree) == box);
}

/* What goes again is looked at in development builds only. */
static inline bool may_go(const void *tree, bool packed)
{
#ifdef TALEV_OWNER_CHECKS
	packed = false;
#endif
	return packed || thread_may_cross(tree);
}

/* Into the box, out of which goes what is there. Returns its parent; that may be what goes. */
static void *pack(struct talev_job *box, void *tree)
{
	void *parent = NULL;

	if (tree != NULL) {
		parent = talloc_parent(tree);
		if (talloc_is_parent(tree, box))
			parent = box;
		talloc_steal(NULL, tree);
	}
	if (box->data != NULL)
		talloc_free_children(box);
	if (tree != NULL)
		talloc_steal(box, tree);
	box->data = tree;
	return parent;
}

static void unpack(struct talev_job *box, void *parent)
{
	if (box->data == NULL || parent == box)
		return;
	talloc_steal(parent, box->data);
	box->data = NULL;
}

static bool refused(const struct talev_work *work, talev_job_fn_t fn, talev_work_handler_t handler)
{
	if (source_check(&work->src) != 0)
		return true;
	if (fn == NULL || handler == NULL)
		errno = EINVAL;
	else if (is_scheduled(work))
		errno = EBUSY;
	else
		return false;
	return true;
}

static struct talev_job *need_box(struct talev_work *work)
{
	if (unlikely(work->trip.job == NULL))
		work->trip.job = job_create_box(work->q);
	return work->trip.job;
}

int _talev_work_schedule(struct talev_work *work, talev_job_fn_t fn, void *data_ptr,
	talev_work_handler_t handler, void *private_data, const char *where)
{
	void **data = data_ptr;
	void *tree = data != NULL ? *data : NULL;
	struct talev_job *box;
	void *parent;
	bool packed;
	int error;

	if (refused(work, fn, handler))
		return -1;
	box = need_box(work);
	if (box == NULL)
		return -1;
	packed = is_packed(box, tree);
	if (!may_go(tree, packed))
		return -1;
	parent = packed ? box : pack(box, tree);
	job_renew(box, fn, where);
	box->class = work->class;
	work->handler = handler;
	work->src.private_data = private_data;
	source_set_where(&work->src, where);
	error = trip_begin(&work->trip, work->hub, NULL);
	if (error != 0) {
		unpack(box, parent);
		errno = error;
		return -1;
	}
	if (data != NULL)
		*data = NULL;
	return 0;
}

int talev_work_cancel(struct talev_work *work, void *data_ptr)
{
	void **data = data_ptr;
	bool was_scheduled = is_scheduled(work);

	if (data != NULL)
		*data = NULL;
	if (source_check(&work->src) != 0)
		return -1;
	if (work->trip.on_its_way && !trip_withdraw(&work->trip)) {
		errno = EBUSY;
		return -1;
	}
	core_unpost(&work->src);
	if (was_scheduled && data != NULL && work->trip.job != NULL)
		*data = work->trip.job->data;
	return 0;
}

bool talev_work_is_scheduled(const struct talev_work *work)
{
	return work->src.life.state == TALEV_LIVE && is_scheduled(work);
}
