/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The row of jobs with GLib: a GThreadPool of a fixed number of threads of its own, which start
 * with it; who has done a job hands it back as an idle source of the loop's context, at the
 * priority of everything else.
 */
#include <glib.h>
#include "bench/jobs.h"

static GMainLoop *loop;
static GThreadPool *pool;

static void send_job(struct work *work)
{
	describe_job(work);
	need(g_thread_pool_push(pool, work, NULL));
}

static gboolean on_job_back(gpointer work)
{
	if (job_is_back(work))
		send_job(work);
	else if (all_jobs_back())
		g_main_loop_quit(loop);
	return G_SOURCE_REMOVE;
}

static void on_other_thread(gpointer work, gpointer unused)
{
	(void)unused;
	do_job(work);
	g_idle_add_full(G_PRIORITY_DEFAULT, on_job_back, work, NULL);
}

static void jobs_row(void)
{
	uint64_t n = first_jobs();
	struct work *works = calloc(n, sizeof(*works));

	need(works != NULL);
	loop = g_main_loop_new(NULL, FALSE);
	pool = g_thread_pool_new(on_other_thread, NULL, (int)job_threads(), TRUE, NULL);
	need(pool != NULL);
	for (uint64_t i = 0; i < n; i++)
		send_job(&works[i]);
	g_main_loop_run(loop);
	end_jobs();
}

static const struct row rows[] = {
	{"jobs", jobs_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows);
}
