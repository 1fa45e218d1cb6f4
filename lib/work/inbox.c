/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way into a queue. One word holds what has been sent, the last one first, until somebody with
 * the lock moves it into its class. So whoever sends and who works do not meet at the lock, and the
 * word goes from one processor to the other once for many jobs.
 *
 * Who has put a job there looks whether the queue is short-handed: whether there is room for a
 * thread that nobody has called yet. If not, each thread that there is room for runs a job, or is
 * on its way to look, and looks into the inbox before it sleeps: it says that it is not there any
 * more, and then looks once more. So either it sees the job, or the sender sees that it has to call
 * somebody. tests/model/inbox.pml has this for spin.
 *
 * Jobs whose class has to be looked up, or of a queue that refuses some, do not come this way:
 * whether they are taken is to be known at once.
 */
#include "work/hint.h"

#include <errno.h>

static struct outcome closed_mark;
#define CLOSED (&closed_mark)

static _Thread_local struct hints hints __attribute__((tls_model("initial-exec")));

int inbox_put(struct jobq *q, struct talev_job *job)
{
	struct outcome *found = atomic_load_explicit(&q->inbox, memory_order_relaxed);

	hint_put(&hints, &job->out);
	do {
		if (found == CLOSED)
			return ESHUTDOWN;
		job->out.next = found;
	} while (!atomic_compare_exchange_weak_explicit(
		&q->inbox, &found, &job->out, memory_order_seq_cst, memory_order_relaxed));
	return 0;
}

void admit(struct jobq *q, struct talev_job *job)
{
	classes_add(&q->classes, job);
	job->segment = segment_open(q);
	job->segment->jobs++;
	q->jobs++;
	q->sent++;
	atomic_store_explicit(&q->queued,
		atomic_load_explicit(&q->queued, memory_order_relaxed) + 1, memory_order_relaxed);
}

static unsigned admit_all(struct jobq *q, struct outcome *last)
{
	struct outcome *oldest = NULL;
	unsigned count = 0;

	while (last != NULL) {
		struct outcome *before = last->next;

		hint_fetch(last->hint);
		last->next = oldest;
		oldest = last;
		last = before;
	}
	for (; oldest != NULL; count++) {
		struct talev_job *job = (struct talev_job *)oldest;

		oldest = oldest->next;
		admit(q, job);
	}
	return count;
}

unsigned inbox_admit(struct jobq *q)
{
	struct outcome *found = atomic_load_explicit(&q->inbox, memory_order_relaxed);
	unsigned count;

	if (found == NULL || found == CLOSED)
		return 0;
	count = admit_all(q, atomic_exchange_explicit(&q->inbox, NULL, memory_order_acq_rel));
	if (q->gathered) {
		/* Was it of use to wait for more? */
		q->gathered = false;
		work_tried(&q->gathering, count > 1);
	}
	return count;
}

void inbox_close(struct jobq *q)
{
	struct outcome *found = atomic_exchange_explicit(&q->inbox, CLOSED, memory_order_acq_rel);

	if (found != CLOSED)
		(void)admit_all(q, found);
}
