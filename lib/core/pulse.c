/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What others may know of a loop while it runs. A watchdog sees from its own thread whether a loop
 * gets on, by counters that only the owner writes: that costs the owner nothing that could be
 * measured. What a thread is doing is found out by that thread itself, in a signal handler, when
 * somebody asks: so no handler has to leave its name anywhere, and nothing that is looked at can go
 * meanwhile.
 */
#include "core/context.h"

#include <string.h>

void core_look(const struct talev_context *ev, struct core_pulse *pulse)
{
	pulse->state =
		(enum core_pulse_state)atomic_load_explicit(&ev->pulse, memory_order_relaxed);
	pulse->waits = atomic_load_explicit(&ev->waits, memory_order_relaxed);
	pulse->handlers = atomic_load_explicit(&ev->handlers, memory_order_relaxed);
}

void core_rest(struct talev_context *ev, bool rests)
{
	context_pulse(ev, rests ? CORE_ASLEEP : CORE_AWAKE);
}

/* strlcpy(3) is not promised to signal handlers. */
static void copy(char *to, size_t room, const char *from)
{
	size_t n = strnlen(from, room - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

static void describe(struct core_doing *doing, const struct life_object *object)
{
	const struct source *src =
		(const struct source *)(const void *)((const char *)object -
						      offsetof(struct source, life));

	const char *where = src->aside_state != ASIDE_COMES ? source_where(src) : "?\0?";

	copy(doing->name, sizeof(doing->name), where);
	copy(doing->location, sizeof(doing->location), where + strlen(where) + 1);
}

bool core_doing(struct core_doing *doing)
{
	const struct life_frame *frame = life_innermost();
	const struct life_object *object;

	*doing = (struct core_doing){.ev = NULL};
	if (frame == NULL)
		return false;
	object = frame->object;
	doing->finalizer = object == NULL ? life_finalizer(frame, &object) : NULL;
	doing->ev = frame->life->ev;
	if (doing->ev != NULL)
		doing->handlers = atomic_load_explicit(&doing->ev->handlers, memory_order_relaxed);
	if (object != NULL)
		describe(doing, object);
	return true;
}
