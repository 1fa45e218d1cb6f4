/* SPDX-License-Identifier: BSD-2-Clause */
/* Finalizer records, inside the room. */
#ifndef LIFE_RECORD_H
#define LIFE_RECORD_H

#include "life/life.h"

struct life_rec {
	TAILQ_ENTRY(life_rec) link; /* in the ready queue or in a grave */
	struct life *life;          /* of what has closed; NULL: of none, or live */
	struct life_rec *into;      /* the grave that it is in */
	struct life_object *object; /* NULL once its memory went, and for graves */
	talev_finalizer_t fn;
	void *arg;
	unsigned flags;
	unsigned fork_generation;
	unsigned pins;
	bool grave;
	bool spent;                 /* it has run, and is there for the guard only */
	struct life_guard *guard;   /* of the object, until it is forgotten */
	struct life_queue children; /* of a grave, in the order they run */
};

/* The record waits for life's loop, with a reference to it. */
void record_attach(struct life_rec *rec, struct life *life);
/* No pin is left. */
void record_queue(struct life_rec *rec);
/* It runs as part of the grave. */
void record_adopt(struct life_rec *grave, struct life_rec *rec);
/* The object behind the guard has gone. */
void guard_forget(struct life_guard *guard);
/* The handlers of object that are executing hold it from now on. */
void frames_take_guard(struct life_object *object, struct life_guard *guard);
/* A handler is to start. False: it must not. With a reference until it leaves. */
bool guard_enter(struct life_guard *guard);
void guard_leave(struct life_guard *guard);
struct life_guard *guard_create(struct life_object *object);

#endif
