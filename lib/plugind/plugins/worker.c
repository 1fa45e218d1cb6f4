/* SPDX-License-Identifier: BSD-2-Clause */
/* Has jobs count primes, and adds up their results in the loop. Options:
 *   jobs      the queue that they go to, a section [jobs NAME]; must be given
 *   at_once   how many are sent before the first has to be back, 1 to 10000; 4
 *   upto      the numbers below this are looked at, 2 to 1000000000; 1000000
 *   unit      how many numbers make a job, 1 to 1000000; 10000
 *   pause     how many milliseconds, 0 to 86400000, until it begins again; 1000
 *
 *   mem_ctx
 *     worker
 *       queue       the handle
 *       request     for each job that is on its way, which has the unit of work
 */
#include <bsd/stdlib.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <talev/context.h>
#include <talev/job.h>
#include <talev/plugin.h>
#include <talev/request.h>
#include <talev/timer.h>

struct worker {
	const struct talev_plugin_host *host;
	struct talev_jobq *queue;
	uint64_t upto;
	uint64_t unit;
	uint64_t at_once;
	talev_time_t pause;
	uint64_t next; /* nobody has this number yet */
	uint64_t away;
	uint64_t primes;
	bool spoilt; /* some of this pass was lost */
};

/* The job's, from being sent until it is back. */
struct unit {
	uint64_t from;
	uint64_t to;
	uint64_t primes;
};

static void send_some(struct worker *w);

static bool is_prime(uint64_t n)
{
	uint64_t i;

	if (n < 4)
		return n > 1;
	if (n % 2 == 0)
		return false;
	for (i = 3; i * i <= n; i += 2)
		if (n % i == 0)
			return false;
	return true;
}

/* On a thread of the queue. One number is the most that it is late when nobody wants the result. */
static int count(struct talev_job *job, void *data)
{
	struct unit *unit = data;
	uint64_t n;

	for (n = unit->from; n < unit->to; n++) {
		if (talev_job_cancelled(job))
			return ECANCELED;
		unit->primes += is_prime(n);
	}
	return 0;
}

static void again(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct worker *w = private_data;

	(void)ev;
	(void)te;
	(void)now;
	w->next = w->primes = 0;
	w->spoilt = false;
	send_some(w);
}

static void pause_then(struct worker *w, talev_time_t pause)
{
	const struct talev_plugin_host *host = w->host;

	if (!talev_add_timer(host->ev, w, talev_time_add(talev_now(host->ev), pause), again, w))
		host->log(host, TALEV_LOG_ERROR, "stops: %s", strerror(errno));
}

static void counted(struct talev_req *req)
{
	struct worker *w = talev_req_callback_data(req, struct worker);
	const struct talev_plugin_host *host = w->host;
	struct unit *unit = NULL;
	int rc = talev_job_recv(req, w, &unit);

	w->away--;
	if (rc == -1) {
		/* The next pass may find the queue in a better mood. */
		host->log(host, TALEV_LOG_WARNING, "job: %s", strerror(errno));
		w->spoilt = true;
		w->next = w->upto;
	} else {
		w->primes += unit->primes;
	}
	talloc_free(unit);
	talloc_free(req);
	if (w->next < w->upto) {
		send_some(w);
	} else if (w->away == 0) {
		if (!w->spoilt)
			host->log(host, TALEV_LOG_INFO, "%" PRIu64 " primes below %" PRIu64,
				w->primes, w->upto);
		pause_then(w, w->pause);
	}
}

static int send_one(struct worker *w)
{
	struct unit *unit = talloc_zero(w, struct unit);
	struct talev_req *req;

	if (!unit)
		return -1;
	unit->from = w->next;
	unit->to = w->upto - w->next > w->unit ? w->next + w->unit : w->upto;
	req = talev_job_send(w, w->host->ev, w->queue, count, &unit);
	if (!req) {
		talloc_free(unit);
		return -1;
	}
	talev_req_set_callback(req, counted, w);
	w->next = w->next + w->unit < w->upto ? w->next + w->unit : w->upto;
	w->away++;
	return 0;
}

static void send_some(struct worker *w)
{
	while (w->away < w->at_once && w->next < w->upto) {
		if (send_one(w) == 0)
			continue;
		w->host->log(w->host, TALEV_LOG_WARNING, "job: %s", strerror(errno));
		w->spoilt = true;
		w->next = w->upto;
		if (w->away == 0)
			pause_then(w, TALEV_SEC(1));
	}
}

static bool option(const struct talev_plugin_host *host, const char *key, long long least,
	long long most, uint64_t *value)
{
	const char *text = host->option(host, key);
	const char *problem = NULL;

	if (text)
		*value = (uint64_t)strtonum(text, least, most, &problem);
	if (problem)
		host->log(host, TALEV_LOG_ERROR, "%s is %lld to %lld, not \"%s\"", key, least, most,
			text);
	return !problem;
}

static int worker_init(const struct talev_plugin_host *host)
{
	struct worker *w = talloc_zero(host->mem_ctx, struct worker);
	const char *queue = host->option(host, "jobs");
	uint64_t pause = 1000;

	if (!w)
		return ENOMEM;
	w->host = host;
	w->upto = 1000000;
	w->unit = 10000;
	w->at_once = 4;
	if (!option(host, "at_once", 1, 10000, &w->at_once) ||
		!option(host, "upto", 2, 1000000000, &w->upto) ||
		!option(host, "unit", 1, 1000000, &w->unit) ||
		!option(host, "pause", 0, 86400000, &pause))
		return EINVAL;
	w->pause = TALEV_MSEC((talev_time_t)pause);
	w->queue = talev_jobq_get(w, queue ? queue : "");
	if (!w->queue) {
		host->log(host, TALEV_LOG_ERROR, "jobs names one queue, not \"%s\"",
			queue ? queue : "");
		return errno;
	}
	send_some(w);
	return 0;
}

TALEV_PLUGIN("worker", worker_init, NULL);
