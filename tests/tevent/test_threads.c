/* SPDX-License-Identifier: BSD-2-Clause */
/* Points 62 to 68: proxies and threaded contexts. */
#include "points.h"

#include <pthread.h>

struct job {
	struct tevent_thread_proxy *proxy;
	struct tevent_threaded_context *tctx;
	struct tevent_immediate *im[8];
	int first;
	int count;
};

/* Runs fn(job) in another thread and waits for its end. */
static void in_thread(void *(*fn)(void *), struct job *job)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, fn, job), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void note_number(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)ev, (void)im;
	note("%d", *(int *)p);
}

static void post(struct tevent_thread_proxy *proxy, int number)
{
	struct tevent_immediate *im = tevent_create_immediate(NULL);
	int *value = talloc(NULL, int);

	*value = number;
	tevent_thread_proxy_schedule(proxy, &im, note_number, &value);
	if (im || value)
		abort();
}

static void *post_all(void *p)
{
	struct job *job = p;
	int i;

	for (i = 0; i < job->count; i++)
		post(job->proxy, job->first + i);
	return NULL;
}

static void p62_a_proxy_runs_handlers_in_the_loop_of_its_context(void **state)
{
	struct tevent_context *ev = context();
	struct job job = {.proxy = tevent_thread_proxy_create(ev), .count = 1};

	(void)state;
	assert_non_null(job.proxy);
	assert_string_equal(talloc_get_name(job.proxy), "struct tevent_thread_proxy");
	assert_ptr_equal(talloc_parent(job.proxy), ev);
	in_thread(post_all, &job);
	assert_notes("");
	turns_for(ev, 3);
	assert_notes("0");
	job.first = 1;
	in_thread(post_all, &job);
	turns_for(ev, 3);
	assert_notes("0 1");
	talloc_free(job.proxy);
}

static void p62_all_of_a_batch_arrive(void **state)
{
	struct tevent_context *ev = context();
	struct job job = {.proxy = tevent_thread_proxy_create(ev), .count = 4};
	int i;

	(void)state;
	in_thread(post_all, &job);
	turns_for(ev, 3);
	assert_int_equal(strlen(notes()), strlen("0 1 2 3"));
	for (i = '0'; i < '4'; i++)
		assert_non_null(strchr(notes(), i));
}

static void p62_a_batch_keeps_its_order(void **state)
{
	struct tevent_context *ev = context();
	struct job job = {.proxy = tevent_thread_proxy_create(ev), .count = 4};

	(void)state;
	in_thread(post_all, &job);
	turns_for(ev, 3);
	assert_notes("0 1 2 3");
}

static void keep_data(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)ev, (void)im;
	talloc_steal(root(), p);
	note("kept");
}

static void p62_what_the_handler_does_not_take_is_freed(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_thread_proxy *proxy = tevent_thread_proxy_create(ev);
	struct tevent_immediate *im = tevent_create_immediate(NULL);
	int *left = talloc_zero(NULL, int), *taken = talloc_zero(NULL, int), *keep = taken;

	(void)state;
	note_when_freed(left, "freed");
	note_when_freed(im, "im");
	tevent_thread_proxy_schedule(proxy, &im, note_number, &left);
	turns_for(ev, 3);
	assert_non_null(strstr(notes(), "freed"));
	assert_non_null(strstr(notes(), "im"));
	forget_notes();
	im = tevent_create_immediate(NULL);
	tevent_thread_proxy_schedule(proxy, &im, keep_data, &taken);
	turns_for(ev, 3);
	assert_notes("kept");
	assert_ptr_equal(talloc_parent(keep), root());
}

static void p63_no_proxy_on_a_wrapper(void **state)
{
	static const struct tevent_wrapper_ops ops = {.name = "test"};
	struct tevent_context *ev = context(), *wrapper;
	int *data = NULL;

	(void)state;
	wrapper = tevent_context_wrapper_create(ev, root(), &ops, &data, int);
	assert_non_null(wrapper);
	errno = 0;
	assert_null(tevent_thread_proxy_create(wrapper));
	assert_int_equal(errno, EINVAL);
	talloc_free(wrapper);
}

static void p63_freeing_a_proxy_frees_what_is_under_way(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_thread_proxy *proxy = tevent_thread_proxy_create(ev);
	struct tevent_immediate *im = tevent_create_immediate(NULL);
	int *data = talloc_zero(NULL, int);

	(void)state;
	note_when_freed(data, "data");
	tevent_thread_proxy_schedule(proxy, &im, note_number, &data);
	assert_null(im);
	assert_int_equal(talloc_free(proxy), 0);
	assert_notes("data");
	assert_int_equal(tevent_loop_wait(ev), 0);
	assert_notes("data");
}

static void p63_a_proxy_goes_with_its_context(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_thread_proxy *proxy = tevent_thread_proxy_create(ev);
	struct tevent_immediate *im = tevent_create_immediate(NULL);
	int *data = talloc_zero(NULL, int);

	(void)state;
	note_when_freed(proxy, "proxy");
	note_when_freed(data, "data");
	tevent_thread_proxy_schedule(proxy, &im, note_number, &data);
	talloc_free(ev);
	assert_non_null(strstr(notes(), "data"));
	assert_non_null(strstr(notes(), "proxy"));
}

static void free_proxy(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	struct tevent_thread_proxy **proxy = p;

	(void)ev, (void)im;
	note("free%d", talloc_free(*proxy));
}

static void p63_a_proxy_freed_by_its_own_message(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_thread_proxy *proxy = tevent_thread_proxy_create(ev);
	struct tevent_thread_proxy **data = talloc(NULL, struct tevent_thread_proxy *);
	struct tevent_immediate *im = tevent_create_immediate(NULL);

	(void)state;
	*data = proxy;
	tevent_thread_proxy_schedule(proxy, &im, free_proxy, &data);
	turns_for(ev, 3);
	assert_notes("free0");
}

static void count_up(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	int **value = p;

	(void)ev, (void)im;
	(**value)++;
}

static void *post_many(void *p)
{
	struct job *job = p;
	int i;

	for (i = 0; i < job->count; i++) {
		struct tevent_immediate *im = tevent_create_immediate(NULL);
		int **value = talloc(NULL, int *);

		*value = &job->first;
		tevent_thread_proxy_schedule(job->proxy, &im, count_up, &value);
	}
	return NULL;
}

static void p64_messages_of_two_threads_lose_nothing(void **state)
{
	struct tevent_context *ev = context();
	struct job job = {.proxy = tevent_thread_proxy_create(ev), .count = 5000};
	pthread_t threads[2];

	(void)state;
	talloc_disable_null_tracking();
	assert_int_equal(pthread_create(&threads[0], NULL, post_many, &job), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, post_many, &job), 0);
	while (job.first < 2 * job.count)
		once(ev);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(job.first, 10000);
}

static void note_nothing(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	(void)ev, (void)im;
	note("%s", p ? "something" : "nothing");
}

static void p62_a_message_without_data(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_thread_proxy *proxy = tevent_thread_proxy_create(ev);
	struct tevent_immediate *im = tevent_create_immediate(NULL);

	(void)state;
	tevent_thread_proxy_schedule(proxy, &im, note_nothing, NULL);
	assert_null(im);
	turns_for(ev, 3);
	assert_notes("nothing");
}

/* As the manual of tevent shows it: a block of memory goes there and comes back. There the
 * immediate that brought it goes too, out of its own handler. That is a race in tevent, whose loop
 * still looks at it when the handler has returned, while the other thread has it already. */
struct reply {
	struct tevent_thread_proxy *proxy;
	pthread_t thread;
	int rounds;
	bool *finished;
};

static struct tevent_thread_proxy *master;
static int replies;
static bool same_immediate;
/* Who sends holds it, so that no proxy goes while somebody is still about to leave it. */
static pthread_mutex_t sending = PTHREAD_MUTEX_INITIALIZER;

static void ask(struct tevent_context *ev, struct tevent_immediate *im, void *p);

static void take_reply(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	struct reply *reply = talloc_get_type_abort(p, struct reply);

	talloc_steal(ev, reply);
	if (!same_immediate)
		im = tevent_create_immediate(ev);
	if (!pthread_equal(reply->thread, pthread_self()))
		abort();
	if (--reply->rounds > 0)
		tevent_thread_proxy_schedule(master, &im, ask, &reply);
	else
		*reply->finished = true;
}

static void ask(struct tevent_context *ev, struct tevent_immediate *im, void *p)
{
	struct reply *reply = talloc_get_type_abort(p, struct reply);
	struct tevent_thread_proxy *proxy = reply->proxy;

	talloc_steal(ev, reply);
	if (!same_immediate)
		im = tevent_create_immediate(ev);
	replies++;
	pthread_mutex_lock(&sending);
	tevent_thread_proxy_schedule(proxy, &im, take_reply, &reply);
	pthread_mutex_unlock(&sending);
	if (im || reply)
		abort();
}

static void *ask_many_times(void *unused)
{
	struct tevent_context *ev = tevent_context_init(NULL);
	struct reply *reply = talloc(ev, struct reply);
	struct tevent_immediate *im = tevent_create_immediate(ev);
	bool finished = false;

	(void)unused;
	*reply = (struct reply){tevent_thread_proxy_create(ev), pthread_self(), 500, &finished};
	tevent_thread_proxy_schedule(master, &im, ask, &reply);
	while (!finished)
		if (tevent_loop_once(ev) != 0)
			abort();
	pthread_mutex_lock(&sending);
	pthread_mutex_unlock(&sending);
	talloc_free(ev);
	return NULL;
}

static void talk(void)
{
	struct tevent_context *ev = context();
	pthread_t threads[3];
	int i;

	talloc_disable_null_tracking();
	master = tevent_thread_proxy_create(ev);
	for (i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_many_times, NULL), 0);
	while (replies < 1500)
		once(ev);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	talloc_free(ev);
}

static void p64_questions_and_replies_between_loops(void **state)
{
	(void)state;
	talk();
}

static void p64_an_immediate_leaves_its_thread_out_of_its_own_handler(void **state)
{
	(void)state;
	same_immediate = true;
	talk();
}

static void *schedule_all(void *p)
{
	static char words[][2] = {"0", "1", "2", "3", "4", "5", "6", "7"};
	struct job *job = p;
	int i;

	for (i = 0; i < job->count; i++)
		tevent_threaded_schedule_immediate(
			job->tctx, job->im[i], note_immediate, words[job->first + i]);
	return NULL;
}

static void fill_job(struct job *job, struct tevent_context *ev, int count)
{
	*job = (struct job){.tctx = tevent_threaded_context_create(root(), ev), .count = count};
	assert_non_null(job->tctx);
	while (count-- > 0) {
		job->im[count] = tevent_create_immediate(root());
		assert_non_null(job->im[count]);
	}
}

static void p65_a_threaded_immediate_runs_in_order(void **state)
{
	struct tevent_context *ev = context();
	struct job job;

	(void)state;
	fill_job(&job, ev, 4);
	assert_string_equal(talloc_get_name(job.tctx), "struct tevent_threaded_context");
	in_thread(schedule_all, &job);
	assert_notes("");
	turns_for(ev, 3);
	assert_notes("0 1 2 3");
	job.first = 4;
	in_thread(schedule_all, &job);
	turns_for(ev, 3);
	assert_notes("0 1 2 3 4 5 6 7");
}

static void p65_it_wakes_a_loop_that_waits(void **state)
{
	struct tevent_context *ev = context();
	struct job job;
	pthread_t thread;

	(void)state;
	fill_job(&job, ev, 1);
	tevent_add_timer(ev, ev, in_milliseconds(8000), note_timer, "late");
	assert_int_equal(pthread_create(&thread, NULL, schedule_all, &job), 0);
	while (!*notes())
		once(ev);
	pthread_join(thread, NULL);
	assert_notes("0");
}

/* A child has lost its parent's threaded contexts, so it makes its own. */
static void schedule_twice(void *unused)
{
	struct job job;

	(void)unused;
	fill_job(&job, context(), 1);
	schedule_all(&job);
	schedule_all(&job);
}

static void schedule_what_is_scheduled(void *unused)
{
	struct tevent_context *ev = context();
	struct job job;

	(void)unused;
	fill_job(&job, ev, 1);
	tevent_schedule_immediate(job.im[0], ev, note_immediate, "im");
	schedule_all(&job);
}

static void schedule_nothing(void *unused)
{
	struct job job;

	(void)unused;
	fill_job(&job, context(), 1);
	tevent_threaded_schedule_immediate(job.tctx, job.im[0], NULL, NULL);
}

static void p65_wrong_use_aborts(void **state)
{
	(void)state;
	assert_aborts(schedule_twice, NULL);
	assert_aborts(schedule_nothing, NULL);
	assert_aborts(schedule_what_is_scheduled, NULL);
}

static void p65_after_the_context_nothing_happens(void **state)
{
	struct tevent_context *ev = context();
	struct job job;

	(void)state;
	fill_job(&job, ev, 1);
	talloc_free(ev);
	in_thread(schedule_all, &job);
	assert_int_equal(talloc_free(job.im[0]), 0);
	assert_int_equal(talloc_free(job.tctx), 0);
	assert_notes("");
}

static void p66_an_immediate_freed_on_its_way_does_not_run(void **state)
{
	struct tevent_context *ev = context();
	struct job job;

	(void)state;
	fill_job(&job, ev, 2);
	in_thread(schedule_all, &job);
	assert_int_equal(talloc_free(job.im[0]), 0);
	turns_for(ev, 3);
	assert_notes("1");
}

static void p66_the_context_freed_while_one_is_on_its_way(void **state)
{
	struct tevent_context *ev = context();
	struct job job = {.tctx = tevent_threaded_context_create(root(), ev), .count = 1};

	(void)state;
	job.im[0] = tevent_create_immediate(ev);
	in_thread(schedule_all, &job);
	assert_int_equal(talloc_free(ev), 0);
	assert_int_equal(talloc_free(job.tctx), 0);
	assert_notes("");
}

static void p66_what_was_scheduled_runs_after_its_threaded_context_went(void **state)
{
	struct tevent_context *ev = context();
	struct job job;

	(void)state;
	fill_job(&job, ev, 1);
	in_thread(schedule_all, &job);
	assert_int_equal(talloc_free(job.tctx), 0);
	turns_for(ev, 3);
	assert_notes("0");
}

static void trace_immediate(
	struct tevent_immediate *im, enum tevent_event_trace_point point, void *p)
{
	(void)im, (void)p;
	note("t%d", point);
}

static void p67_a_threaded_immediate_is_attached_once(void **state)
{
	struct tevent_context *ev = context();
	struct job job;

	(void)state;
	fill_job(&job, ev, 1);
	tevent_set_trace_immediate_callback(ev, trace_immediate, NULL);
	in_thread(schedule_all, &job);
	turns_for(ev, 3);
	assert_notes("t0 t2 0 t1");
}

static void p67_it_is_attached_run_and_detached(void **state)
{
	struct tevent_context *ev = context();
	struct job job;

	(void)state;
	fill_job(&job, ev, 1);
	tevent_set_trace_immediate_callback(ev, trace_immediate, NULL);
	in_thread(schedule_all, &job);
	turns_for(ev, 3);
	assert_non_null(strstr(notes(), "t0 t2 0 t1"));
}

static void p68_a_threaded_context_outlives_its_context(void **state)
{
	struct tevent_context *ev = context();
	struct job job;

	(void)state;
	fill_job(&job, ev, 1);
	in_thread(schedule_all, &job);
	turns_for(ev, 3);
	assert_notes("0");
	talloc_free(ev);
	assert_int_equal(talloc_free(job.tctx), 0);
}

static void p68_a_threaded_context_is_freed_before_its_context(void **state)
{
	struct tevent_context *ev = context();
	struct tevent_threaded_context *tctx = tevent_threaded_context_create(ev, ev);

	(void)state;
	assert_int_equal(talloc_free(tctx), 0);
	tctx = tevent_threaded_context_create(ev, ev);
	assert_non_null(tctx);
	assert_int_equal(talloc_free(ev), 0);
}

static const struct point_test tests[] = {
	BOTH(p62_a_proxy_runs_handlers_in_the_loop_of_its_context),
	BOTH(p62_all_of_a_batch_arrive),
	MENDED(p62_a_batch_keeps_its_order),
	BOTH(p62_what_the_handler_does_not_take_is_freed),
	BOTH(p62_a_message_without_data),
	BOTH(p63_no_proxy_on_a_wrapper),
	BOTH(p63_freeing_a_proxy_frees_what_is_under_way),
	BOTH(p63_a_proxy_goes_with_its_context),
	BOTH(p63_a_proxy_freed_by_its_own_message),
	BOTH(p64_messages_of_two_threads_lose_nothing),
	BOTH(p64_questions_and_replies_between_loops),
	MENDED(p64_an_immediate_leaves_its_thread_out_of_its_own_handler),
	BOTH(p65_a_threaded_immediate_runs_in_order),
	BOTH(p65_it_wakes_a_loop_that_waits),
	BOTH(p65_wrong_use_aborts),
	BOTH(p65_after_the_context_nothing_happens),
	MENDED(p66_an_immediate_freed_on_its_way_does_not_run),
	MENDED(p66_the_context_freed_while_one_is_on_its_way),
	MENDED(p66_what_was_scheduled_runs_after_its_threaded_context_went),
	MENDED(p67_a_threaded_immediate_is_attached_once),
	BOTH(p67_it_is_attached_run_and_detached),
	BOTH(p68_a_threaded_context_outlives_its_context),
	BOTH(p68_a_threaded_context_is_freed_before_its_context),
};

POINTS_MAIN(tests)
