/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Immediates: turns of the queue of whichever context they are scheduled in. An idle one belongs
 * to no context, so it outlives any.
 */
#include "event/event.h"
#include <errno.h>
#include <stddef.h>
#include <talev/immediate.h>

struct talev_immediate {
	struct source src;
	talev_immediate_handler_t handler;
	struct core_post post;
};

static struct talev_immediate *immediate_of(struct source *src)
{
	return (struct talev_immediate *)src;
}

static void withdraw(struct source *src)
{
	struct core_post *post = &immediate_of(src)->post;

	if (post->ops != NULL)
		post->ops->withdraw(post);
}

static void immediate_disarm(struct source *src)
{
	if (src->place != PLACE_NONE)
		core_immediate_unqueue(src);
	withdraw(src);
}

static void immediate_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	struct talev_context *ev = src->ev;

	(void)flags;
	(void)now;
	/* Before the handler, so that it may schedule it again, and a nested loop not see it. */
	immediate_disarm(src);
	immediate_of(src)->handler(ev, immediate_of(src), src->private_data);
}

__attribute__((noinline)) static void run_withdrawn(
	struct talev_context *ev, struct talev_immediate *im)
{
	withdraw(&im->src);
	im->handler(ev, im, im->src.private_data);
}

/* It is in no queue by now, but perhaps on its way from another thread too. */
static void immediate_run(struct talev_context *ev, struct source *src)
{
	struct talev_immediate *im = immediate_of(src);

	if (unlikely(im->post.ops != NULL))
		run_withdrawn(ev, im);
	else
		im->handler(ev, im, src->private_data);
}

static void immediate_enable(struct source *src)
{
	core_immediate_hold(src, !src->enabled);
}

static void immediate_describe(const struct source *src, struct talev_source_info *info)
{
	info->armed = src->place == PLACE_IMMEDIATE;
}

/* Another thread may have sent it to the loop here. */
static bool immediate_may(const struct source *src)
{
	return ((const struct talev_immediate *)src)->post.ops == NULL;
}

static const struct source_travel immediate_travel = {.may = immediate_may};

static const struct source_kind immediate_kind = {
	.type = "struct talev_immediate",
	.label = "immediate",
	.disarm = immediate_disarm,
	.destroy = withdraw,
	.fire = immediate_fire,
	.run = immediate_run,
	.enable = immediate_enable,
	.describe = immediate_describe,
	.travel = &immediate_travel,
};

struct talev_immediate *_talev_create_immediate(TALLOC_CTX *mem_ctx, const char *where)
{
	return source_create(
		NULL, mem_ctx, sizeof(struct talev_immediate), &immediate_kind, NULL, where);
}

struct core_post *immediate_post(struct talev_immediate *im)
{
	return &im->post;
}

struct talev_immediate *immediate_of_post(struct core_post *post)
{
	return (struct talev_immediate *)((char *)post - offsetof(struct talev_immediate, post));
}

struct source *immediate_source(struct talev_immediate *im)
{
	return &im->src;
}

void immediate_disguise(struct talev_immediate *im, const struct source_kind *kind)
{
	source_set_kind(&im->src, kind != NULL ? kind : &immediate_kind);
}

void immediate_prepare(struct talev_immediate *im, talev_immediate_handler_t handler,
	void *private_data, const char *where)
{
	im->handler = handler;
	im->src.private_data = private_data;
	if (!source_named(&im->src))
		source_set_where(&im->src, where);
}

void immediate_arrived(struct talev_immediate *im, struct talev_context *ev)
{
	if (im->src.life.state == TALEV_LIVE)
		core_immediate_queue(&im->src, ev);
}

void immediate_call(struct talev_immediate *im, struct talev_context *ev)
{
	im->handler(ev, im, im->src.private_data);
}

__attribute__((noinline, cold)) static int schedule(struct talev_immediate *im,
	struct talev_context *ev, talev_immediate_handler_t handler, void *private_data,
	const char *where)
{
	if (im->src.life.state != TALEV_LIVE) {
		errno = ESTALE;
		return -1;
	}
	if (handler == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (core_usable(ev) == NULL)
		return -1;

	immediate_disarm(&im->src);
	immediate_prepare(im, handler, private_data, where);
	core_immediate_queue(&im->src, ev);
	return 0;
}

/* Most are idle, and the context is the one of before. */
int _talev_schedule_immediate(struct talev_immediate *im, struct talev_context *ev,
	talev_immediate_handler_t handler, void *private_data, const char *where)
{
	if (unlikely(!source_idle(&im->src) || im->post.ops != NULL || handler == NULL ||
		     !core_is_plain(ev)))
		return schedule(im, ev, handler, private_data, where);
	im->handler = handler;
	im->src.private_data = private_data;
	im->src.where = where;
	return core_immediate_put(&im->src, ev);
}

int talev_cancel_immediate(struct talev_immediate *im)
{
	if (im->src.life.state != TALEV_LIVE) {
		errno = ESTALE;
		return -1;
	}
	immediate_disarm(&im->src);
	return 0;
}

bool talev_immediate_is_scheduled(const struct talev_immediate *im)
{
	return im->src.place == PLACE_IMMEDIATE || im->src.place == PLACE_HELD;
}
