/* SPDX-License-Identifier: BSD-2-Clause */
/* A message: an immediate that is another kind of source from sending until its handler runs. */
#include "thread/route.h"

#include <errno.h>

static struct route *route_of(const struct core_post *post)
{
	return (struct route *)(uintptr_t)post->ops;
}

static struct talev_immediate *immediate_of(struct source *src)
{
	return (struct talev_immediate *)src;
}

static struct route *route_of_source(struct source *src)
{
	return route_of(immediate_post(immediate_of(src)));
}

static void dequeue(struct source *src)
{
	struct channel *channel = route_of_source(src)->channel;

	core_immediate_unqueue(src);
	channel->queued--;
	mailbox_queued(channel->mb, -1);
}

/* The immediate is one again, and its next way may be another. It and the data belong to the
 * receiver, until a handler takes them. */
static void land(struct channel *channel, struct talev_immediate *im, void *data)
{
	immediate_disguise(im, NULL);
	immediate_post(im)->ops = NULL;
	channel->landed++;
	talloc_steal(channel->landing, im);
	if (data != NULL)
		talloc_steal(channel->landing, data);
}

/* What a handler was given, and what of it is still below the landing: it may have been freed, or
 * be another thread's by now, so only who the children of the landing are is looked at. */
struct given {
	const void *im;
	const void *data;
	size_t im_size;
	size_t data_size;
	bool has_im;
	bool has_data;
};

static void look_at(const void *ptr, int depth, int max_depth, int is_ref, void *private_data)
{
	struct given *given = private_data;

	(void)depth;
	(void)max_depth;
	(void)is_ref;
	given->has_im = given->has_im || ptr == given->im;
	given->has_data = given->has_data || ptr == given->data;
}

static void look(const struct channel *channel, struct given *given)
{
	given->has_im = false;
	given->has_data = false;
	talloc_report_depth_cb(channel->landing, 0, 1, look_at, given);
	given->im_size = given->has_im ? talloc_get_size(given->im) : 0;
	given->data_size = given->has_data ? talloc_get_size(given->data) : 0;
}

/* Of a message that was handled inside the handler of another, which still has its own there. */
static void free_given(const struct channel *channel, struct given *given)
{
	if (given->has_data)
		talloc_unlink(channel->landing, (void *)(uintptr_t)given->data);
	/* A destructor may have freed it. */
	look(channel, given);
	if (given->has_im)
		talloc_unlink(channel->landing, (void *)(uintptr_t)given->im);
}

/* Frees what nobody has taken. The route may go with it, and with that the channel. */
static void take_off(struct route *route, struct talev_immediate *im, void *data)
{
	struct channel *channel = route->channel;
	struct given given = {.im = im, .data = data};

	look(channel, &given);
	if (--channel->landed == 0) {
		talloc_free_children(channel->landing);
		home_pack(&route->home, given.data_size);
		home_pack(&route->home, given.im_size);
	} else {
		free_given(channel, &given);
	}
	route_return(route);
}

static void lose(struct route *route, struct talev_immediate *im)
{
	void *data = immediate_source(im)->private_data;

	land(route->channel, im, data);
	if (route->lost != NULL)
		route->lost(data, route->lost_private);
	take_off(route, im, data);
}

/* The context closes with the message in its queue. */
static void message_closed(struct source *src, struct talev_context *ev)
{
	(void)ev;
	lose(route_of_source(src), immediate_of(src));
}

/* A handler of a message is one of the door: what ends with the door waits until it returned. */
static void message_fire(struct source *src, uint32_t flags, talev_time_t now)
{
	struct talev_immediate *im = immediate_of(src);
	struct route *route = route_of_source(src);
	struct channel *channel = route->channel;
	struct talev_context *ev = src->ev;
	void *data = src->private_data;
	struct life_frame frame;

	(void)flags;
	(void)now;
	dequeue(src);
	if (atomic_load_explicit(&channel->closed, memory_order_relaxed)) {
		lose(route, im);
		return;
	}
	land(channel, im, data);
	channel->door->calls++;
	(void)life_enter(&frame, life_innermost()->life, &channel->door->life);
	immediate_call(im, ev);
	life_leave(&frame);
	take_off(route, im, data);
}

static const struct source_kind message_kind = {
	.type = "struct talev_message",
	.label = "message",
	.disarm = dequeue,
	.closed = message_closed,
	.fire = message_fire,
};

/* The head that talloc puts before a chunk, and the chunk's beginning. */
static void prefetch(const void *chunk)
{
	for (int line = -2; line < 2; line++)
		__builtin_prefetch((const char *)chunk + line * THREAD_LINE, 1);
}

static void deliver(struct talev_context *ev, struct core_post *post)
{
	struct source *src = immediate_source(immediate_of_post(post));
	struct channel *channel = route_of(post)->channel;

	/* All of it is in the sender's cache, and its turn comes after some others. */
	if (src->private_data != NULL)
		prefetch(src->private_data);
	prefetch(src);
	channel->queued++;
	mailbox_queued(channel->mb, 1);
	core_immediate_queue(src, ev);
	/* That its sender had disabled it is not the receiver's concern. */
	core_immediate_hold(src, false);
}

static void drop(struct talev_context *ev, struct core_post *post)
{
	(void)ev;
	lose(route_of(post), immediate_of_post(post));
}

void message_init(struct core_post_ops *ops)
{
	*ops = (struct core_post_ops){.deliver = deliver, .drop = drop};
}

int message_send(struct route *route, struct talev_immediate *im, talev_immediate_handler_t handler,
	void *data, const char *where)
{
	void *im_parent = talloc_parent(im);
	void *data_parent = data != NULL ? talloc_parent(data) : NULL;
	struct core_post *post = immediate_post(im);

	home_visit(&route->home);
	immediate_prepare(im, handler, data, where);
	immediate_disguise(im, &message_kind);
	talloc_steal(NULL, im);
	if (data != NULL)
		talloc_steal(NULL, data);
	post->ops = &route->ops;
	route_ref(route);
	if (mailbox_send(route->channel->mb, post) == 0)
		return 0;
	route_unref(route);
	post->ops = NULL;
	immediate_disguise(im, NULL);
	talloc_steal(im_parent, im);
	if (data != NULL)
		talloc_steal(data_parent, data);
	errno = ESHUTDOWN;
	return -1;
}

struct gathering {
	const struct channel *channel;
	struct core_post *first;
	struct core_post **last;
};

static bool is_through(const struct core_post *post, const void *channel)
{
	return post->ops->deliver == deliver && route_of(post)->channel == channel;
}

static void gather(struct source *src, void *private_data)
{
	struct gathering *gathering = private_data;
	struct core_post *post;

	if (kind_of(src) != &message_kind)
		return;
	post = immediate_post(immediate_of(src));
	if (!is_through(post, gathering->channel))
		return;
	post->next = NULL;
	*gathering->last = post;
	gathering->last = &post->next;
}

/* What a lost message's function does may close the context, and with it what is still queued: so
 * first all of it is taken out of every queue. */
void message_lose_all(struct channel *channel, struct talev_context *ev)
{
	struct gathering gathering = {.channel = channel, .last = &gathering.first};
	struct core_post *post;
	struct core_post *next;

	if (channel->queued > 0)
		core_each(ev, gather, &gathering);
	for (post = gathering.first; post != NULL; post = post->next)
		dequeue(immediate_source(immediate_of_post(post)));
	*gathering.last = mailbox_take_back(channel->mb, is_through, channel);
	for (post = gathering.first; post != NULL; post = next) {
		next = post->next;
		drop(ev, post);
	}
}
