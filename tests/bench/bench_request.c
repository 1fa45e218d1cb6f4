/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * P15: requests. Prints nanoseconds for one request created, given a callback, done and freed in
 * its callback; the same with talev_req_post() and the loop; and the bytes that one takes.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <talev.h>

struct state {
	void *some;
};

static unsigned long left;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static struct talev_req *make(struct talev_context *ev)
{
	struct state *state;
	struct talev_req *req = talev_req_create(ev, ev, &state, struct state);

	if (req == NULL)
		abort();
	return req;
}

static void ended(struct talev_req *req)
{
	talloc_free(req);
}

static void ended_and_again(struct talev_req *req)
{
	struct talev_context *ev = talev_req_context(req);

	talloc_free(req);
	if (--left == 0)
		return;
	req = make(ev);
	talev_req_done(req);
	talev_req_set_callback(talev_req_post(req), ended_and_again, NULL);
}

int main(int argc, char **argv)
{
	unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 5000000;
	struct talev_context *ev = talev_context_init(NULL);
	struct mallinfo2 before;
	struct talev_req *req;
	double start;

	if (ev == NULL)
		return 1;
	start = now();
	for (unsigned long i = 0; i < n; i++) {
		req = make(ev);
		talev_req_set_callback(req, ended, NULL);
		talev_req_done(req);
	}
	printf("create, done, callback, free: %.1f ns\n", (now() - start) / (double)n);

	left = n;
	req = make(ev);
	talev_req_done(req);
	talev_req_set_callback(talev_req_post(req), ended_and_again, NULL);
	start = now();
	if (talev_loop_wait(ev) != 0)
		return 1;
	printf("the same with post: %.1f ns\n", (now() - start) / (double)n);

	/* Many, so that what lay free before does not count. */
	before = mallinfo2();
	for (int i = 0; i < 1000; i++)
		make(ev);
	printf("bytes: %zu\n", (mallinfo2().uordblks - before.uordblks) / 1000);
	talloc_free(ev);
	return 0;
}
