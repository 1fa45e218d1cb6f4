/* SPDX-License-Identifier: BSD-2-Clause */
/* Threaded immediates: a helper thread reports completion, without memory. */
#include "thread/thread.h"

#include <errno.h>
#include <string.h>
#include <talev/proxy.h>
#include "base/base.h"
#include "event/event.h"

struct talev_threaded_context {
	struct source src;
	struct mailbox *mb;
};

static struct talev_threaded_context *threaded_of(struct source *src)
{
	return (struct talev_threaded_context *)src;
}

static void threaded_disarm(struct source *src)
{
	core_release(src->ev);
}

static void threaded_destroy(struct source *src)
{
	if (threaded_of(src)->mb != NULL)
		mailbox_unref(threaded_of(src)->mb);
}

static const struct source_kind threaded_kind = {
	.type = "struct talev_threaded_context",
	.label = "threaded context",
	.disarm = threaded_disarm,
	.destroy = threaded_destroy,
};

/* It belongs to its owner again, and its next way may be another. On its way it needs no reference
 * to the mailbox: that drops all it has before it goes. */
static void arrived(struct core_post *post)
{
	post->ops = NULL;
}

static void deliver(struct talev_context *ev, struct core_post *post)
{
	arrived(post);
	immediate_arrived(immediate_of_post(post), ev);
}

static void drop(struct talev_context *ev, struct core_post *post)
{
	(void)ev;
	arrived(post);
}

static void withdraw(struct core_post *post)
{
	mailbox_withdraw(mailbox_of_immediate(post), post);
	arrived(post);
}

struct talev_threaded_context *_talev_threaded_context_create(
	struct talev_context *ev, TALLOC_CTX *mem_ctx, const char *where)
{
	struct talev_threaded_context *tctx;

	if (core_usable(ev) == NULL)
		return NULL;
	tctx = source_create(ev, mem_ctx, sizeof(*tctx), &threaded_kind, NULL, where);
	if (tctx == NULL)
		return NULL;
	core_hold(ev);
	tctx->mb = mailbox_get(ev);
	if (tctx->mb == NULL) {
		int error = errno;

		talloc_free(tctx);
		errno = error;
		return NULL;
	}
	*mailbox_immediate_ops(tctx->mb) = (struct core_post_ops){deliver, drop, withdraw};
	return tctx;
}

int _talev_threaded_schedule_immediate(struct talev_threaded_context *tctx,
	struct talev_immediate *im, talev_immediate_handler_t handler, void *private_data,
	const char *where)
{
	struct core_post *post;

	if (tctx == NULL || im == NULL || handler == NULL) {
		errno = EINVAL;
		return -1;
	}
	mailbox_prefetch(tctx->mb);
	post = immediate_post(im);
	if (post->ops != NULL || talev_immediate_is_scheduled(im)) {
		base_misuse("%s (%s) schedules an immediate that is scheduled already", where,
			where + strlen(where) + 1);
		errno = EINVAL;
		return -1;
	}
	immediate_prepare(im, handler, private_data, where);
	post->ops = mailbox_immediate_ops(tctx->mb);
	if (mailbox_send(tctx->mb, post) != 0) {
		arrived(post);
		errno = ESHUTDOWN;
		return -1;
	}
	return 0;
}
