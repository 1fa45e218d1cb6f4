/* SPDX-License-Identifier: BSD-2-Clause */
/* What there is to know about a queue: as data, text and JSON. */
#include "work/jobq.h"
#include "work/forks.h"
#include "work/work.h"

#include <string.h>
#include "base/clock.h"
#include "base/json.h"

static void get(struct jobq *q, struct talev_jobq_info *info)
{
	struct talev_job *oldest;

	jobq_lock(q);
	oldest = classes_oldest(&q->classes);
	*info = (struct talev_jobq_info){
		.concurrency = q->concurrency,
		.min = q->min,
		.max = q->max,
		.floor = q->floor,
		.max_backlog = atomic_load_explicit(&q->max_backlog, memory_order_relaxed),
		.threads = q->threads,
		.idle = q->idle_count,
		.running = q->running,
		.queued = atomic_load_explicit(&q->queued, memory_order_relaxed),
		.waiting = q->returned,
		.classes = q->classes.count,
		.sent = q->sent,
		.done = q->done,
		.dropped = q->dropped,
		.expired = q->expired,
		.refused = q->refused,
		.oldest =
			oldest != NULL ? base_clock_now(TALEV_CLOCK_MONOTONIC) - oldest->since : 0,
		.lifo = q->lifo,
		.closed = q->closed,
	};
	jobq_unlock(q);
}

void talev_jobq_get_info(struct talev_jobq *jobq, struct talev_jobq_info *info, size_t size)
{
	struct talev_jobq_info all;

	get(jobq_of(jobq), &all);
	if (size > sizeof(all)) {
		memset(info, 0, size);
		size = sizeof(all);
	}
	memcpy(info, &all, size);
}

void talev_jobq_get_times(
	struct talev_jobq *jobq, struct talev_histogram *waited, struct talev_histogram *ran)
{
	struct jobq *q = jobq_of(jobq);

	jobq_lock(q);
	if (waited != NULL)
		talev_histogram_merge(waited, &q->waited);
	if (ran != NULL)
		talev_histogram_merge(ran, &q->ran);
	jobq_unlock(q);
}

static void put_text(struct jobq *q, void *private_data)
{
	struct out *out = private_data;
	struct talev_jobq_info info;

	get(q, &info);
	out_printf(out, "%s: %u of %u running, %zu queued, %zu waiting, %u threads (%u idle)%s\n",
		q->name, info.running, info.concurrency, info.queued, info.waiting, info.threads,
		info.idle, info.closed ? ", closed" : "");
	out_printf(out, "  %llu sent, %llu done, %llu dropped, %llu expired, %llu refused\n",
		(unsigned long long)info.sent, (unsigned long long)info.done,
		(unsigned long long)info.dropped, (unsigned long long)info.expired,
		(unsigned long long)info.refused);
	out_string(out, "  waited: ");
	histogram_text(out, &q->waited);
	out_string(out, "\n  ran: ");
	histogram_text(out, &q->ran);
	out_string(out, "\n");
}

static void put_times(struct out *out, const char *key, const struct talev_histogram *h)
{
	json_key(out, key);
	out_string(out, "{");
	histogram_json_members(out, h);
	out_string(out, "}");
}

static void put_json(struct jobq *q, void *private_data)
{
	struct out *out = private_data;
	struct talev_jobq_info info;

	get(q, &info);
	out_string(out, "{");
	json_string_at(out, "name", q->name);
	json_uint_at(out, "concurrency", info.concurrency);
	json_uint_at(out, "min", info.min);
	json_uint_at(out, "max", info.max);
	json_uint_at(out, "floor", info.floor);
	json_uint_at(out, "max_backlog", info.max_backlog);
	json_uint_at(out, "threads", info.threads);
	json_uint_at(out, "idle", info.idle);
	json_uint_at(out, "running", info.running);
	json_uint_at(out, "queued", info.queued);
	json_uint_at(out, "waiting", info.waiting);
	json_uint_at(out, "classes", info.classes);
	json_uint_at(out, "sent", info.sent);
	json_uint_at(out, "done", info.done);
	json_uint_at(out, "dropped", info.dropped);
	json_uint_at(out, "expired", info.expired);
	json_uint_at(out, "refused", info.refused);
	json_int_at(out, "oldest", info.oldest);
	json_bool_at(out, "lifo", info.lifo);
	json_bool_at(out, "closed", info.closed);
	put_times(out, "waited", &q->waited);
	put_times(out, "ran", &q->ran);
	out_string(out, "}");
}

const char *work_queue_name(const struct talev_jobq *jobq)
{
	return jobq_of(jobq)->name;
}

static struct work_running describe(const struct talev_job *job)
{
	return (struct work_running){
		.queue = job->q->name,
		.job = job_name(job),
		.location = job_location(job),
		.since = job->since,
		.tid = job->tid,
	};
}

bool work_current(struct work_running *running)
{
	const struct talev_job *job = worker_job();

	if (job != NULL)
		*running = describe(job);
	return job != NULL;
}

struct each {
	void (*fn)(const struct work_running *running, void *private_data);
	void *private_data;
};

static void each_of(struct jobq *q, void *private_data)
{
	const struct each *each = private_data;
	const struct talev_job *job;

	jobq_lock(q);
	TAILQ_FOREACH (job, &q->active, link) {
		struct work_running running = describe(job);

		if (job->place == JOB_RUNNING)
			each->fn(&running, each->private_data);
	}
	jobq_unlock(q);
}

void work_each_running(
	void (*fn)(const struct work_running *running, void *private_data), void *private_data)
{
	struct each each = {fn, private_data};

	forks_each(false, each_of, &each);
}

char *talev_jobq_text(TALLOC_CTX *mem_ctx, struct talev_jobq *jobq)
{
	struct out out;

	out_init(&out, mem_ctx);
	out_string(&out, "");
	if (jobq != NULL)
		put_text(jobq_of(jobq), &out);
	else
		forks_each(true, put_text, &out);
	return out_finish(&out);
}

struct list {
	struct out *out;
	const char *comma;
};

static void put_member(struct jobq *q, void *private_data)
{
	struct list *list = private_data;

	out_string(list->out, list->comma);
	list->comma = ",";
	put_json(q, list->out);
}

char *talev_jobq_json(TALLOC_CTX *mem_ctx, struct talev_jobq *jobq)
{
	struct out out;
	struct list list = {&out, ""};

	out_init(&out, mem_ctx);
	if (jobq != NULL) {
		put_json(jobq_of(jobq), &out);
		return out_finish(&out);
	}
	out_string(&out, "[");
	forks_each(true, put_member, &list);
	out_string(&out, "]");
	return out_finish(&out);
}
