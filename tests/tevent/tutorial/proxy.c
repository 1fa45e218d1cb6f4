/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Question and answer between two loops: one block of memory goes there and back, and the immediate
 * with it, out of its own handler.
 *
 * A FAULT OF TEVENT: the loop that the immediate leaves looks at it once more after the handler,
 * when it may be running in the other thread already, or gone (point 64).
 */
#include <pthread.h>
#include <stdio.h>
#include <tevent.h>

#define ASKERS 4

struct question {
	struct tevent_thread_proxy *asker;
	int number;
	int *answer;
};

static int answered;

/* In the thread that asked. */
static void told(struct tevent_context *ev, struct tevent_immediate *im, void *private_data)
{
	struct question *question = talloc_get_type_abort(private_data, struct question);

	(void)im;
	talloc_steal(ev, question);
	*question->answer = question->number;
}

/* In the main thread. */
static void asked(struct tevent_context *ev, struct tevent_immediate *im, void *private_data)
{
	struct question *question = talloc_get_type_abort(private_data, struct question);

	talloc_steal(ev, question);
	question->number *= question->number;
	answered++;
	tevent_thread_proxy_schedule(question->asker, &im, told, &question);
	if (im != NULL || question != NULL)
		answered = -ASKERS;
}

struct asker {
	pthread_t thread;
	struct tevent_thread_proxy *main_proxy;
	int number;
	int answer;
};

static void *ask(void *private_data)
{
	struct asker *asker = private_data;
	struct tevent_context *ev = tevent_context_init(NULL);
	struct tevent_thread_proxy *proxy;
	struct tevent_immediate *im;
	struct question *question;

	if (ev == NULL)
		return NULL;
	proxy = tevent_thread_proxy_create(ev);
	im = tevent_create_immediate(ev);
	question = talloc_zero(ev, struct question);
	if (proxy == NULL || im == NULL || question == NULL)
		return NULL;
	question->asker = proxy;
	question->number = asker->number;
	question->answer = &asker->answer;
	tevent_thread_proxy_schedule(asker->main_proxy, &im, asked, &question);
	while (im == NULL && asker->answer == 0)
		if (tevent_loop_once(ev) != 0)
			break;
	talloc_free(ev);
	return NULL;
}

int main(void)
{
	struct asker askers[ASKERS] = {{0}};
	struct tevent_thread_proxy *proxy;
	struct tevent_context *ev;

	/* Before the first use of talloc in any thread. */
	talloc_disable_null_tracking();
	ev = tevent_context_init(NULL);
	proxy = ev != NULL ? tevent_thread_proxy_create(ev) : NULL;
	if (proxy == NULL)
		return 1;
	for (int i = 0; i < ASKERS; i++) {
		askers[i].main_proxy = proxy;
		askers[i].number = i + 2;
		if (pthread_create(&askers[i].thread, NULL, ask, &askers[i]) != 0)
			return 1;
	}
	while (answered >= 0 && answered < ASKERS)
		if (tevent_loop_once(ev) != 0)
			return 1;
	for (int i = 0; i < ASKERS; i++) {
		pthread_join(askers[i].thread, NULL);
		printf("%d squared is %d\n", askers[i].number, askers[i].answer);
	}
	talloc_free(proxy);
	if (tevent_loop_wait(ev) != 0)
		return 1;
	return talloc_free(ev);
}
/* prints:
 * 2 squared is 4
 * 3 squared is 9
 * 4 squared is 16
 * 5 squared is 25
 */
