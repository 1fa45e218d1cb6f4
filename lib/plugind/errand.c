/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <talev/immediate.h>
#include <talev/loops.h>
#include <talev/proxy.h>

#include "plugind/errand.h"
#include "plugind/plugind.h"

/* What travels. It tells also if the loop ends before it has arrived. */
struct letter {
	struct errand *errand;
};

static void came_back(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	struct errand *e = private_data;

	(void)ev;
	(void)im;
	e->back(e);
}

void errand_return(struct errand *e)
{
	/* Takes no memory; and who could be told that the daemon's loop is no more? */
	(void)talev_threaded_schedule_immediate(e->daemon->door, e->im, came_back, e);
}

static int letter_gone(struct letter *letter)
{
	if (letter->errand) {
		letter->errand->lost = true;
		errand_return(letter->errand);
	}
	return 0;
}

static void arrived(struct talev_loop *loop, void *data)
{
	struct letter *letter = data;
	struct errand *e = letter->errand;

	letter->errand = NULL;
	e->there(e, loop);
}

static int dispatch(struct errand *e)
{
	struct letter *letter = talloc(NULL, struct letter);

	if (!letter)
		return -1;
	e->lost = false;
	letter->errand = e;
	talloc_set_destructor(letter, letter_gone);
	if (talev_async_run(e->loop, arrived, &letter) == 0)
		return 0;
	if (errno == ESHUTDOWN) {
		talloc_free(letter);
		return 0;
	}
	letter->errand = NULL;
	talloc_free(letter);
	return -1;
}

static void send_again(void *arg)
{
	struct errand *e = arg;

	if (dispatch(e) == -1)
		errand_repeat(e);
}

void errand_repeat(struct errand *e)
{
	later_add(e->daemon, &e->later, send_again, e);
}

int errand_try(
	struct errand *e, struct talev_loop *loop, errand_there_fn_t there, errand_back_fn_t back)
{
	e->loop = loop;
	e->there = there;
	e->back = back;
	return dispatch(e);
}

void errand_send(
	struct errand *e, struct talev_loop *loop, errand_there_fn_t there, errand_back_fn_t back)
{
	if (errand_try(e, loop, there, back) == -1)
		errand_repeat(e);
}

int errand_init(struct errand *e, struct daemon *d, TALLOC_CTX *mem_ctx)
{
	*e = (struct errand){.daemon = d};
	e->im = talev_create_immediate(mem_ctx);
	return e->im ? 0 : -1;
}
