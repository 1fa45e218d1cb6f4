/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One row of the comparison of the drop-in with the tevent that it stands for: bench_tevent.py
 * builds this against tevent's own header and runs it with either library. Prints one number.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <talloc.h>
#include <tevent.h>

static struct tevent_context *ev;
static unsigned long left;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void check(bool good)
{
	if (!good) {
		fprintf(stderr, "bench_tevent: something failed\n");
		exit(1);
	}
}

static void turn(void)
{
	check(tevent_loop_once(ev) == 0);
}

struct state {
	void *some;
};

static void ended(struct tevent_req *req)
{
	left--;
	talloc_free(req);
}

static struct tevent_req *make(void)
{
	struct state *state;
	struct tevent_req *req = tevent_req_create(ev, &state, struct state);

	check(req != NULL);
	return req;
}

/* Created, given a callback, finished and freed in it. */
static double requests(unsigned long n)
{
	double start = now();
	struct tevent_req *req;

	for (left = n; left > 0;) {
		req = make();
		tevent_req_set_callback(req, ended, NULL);
		tevent_req_done(req);
	}
	return (double)n / (now() - start);
}

/* The same by way of the loop. */
static double posted_requests(unsigned long n)
{
	double start = now();
	struct tevent_req *req;

	for (left = n; left > 0;) {
		req = make();
		tevent_req_done(req);
		tevent_req_set_callback(tevent_req_post(req, ev), ended, NULL);
		turn();
	}
	return (double)n / (now() - start);
}

/* With an end time that does not come, as most requests of a server have one. */
static double timed_requests(unsigned long n)
{
	struct timeval end = tevent_timeval_current_ofs(60, 0);
	double start = now();
	struct tevent_req *req;

	for (left = n; left > 0;) {
		req = make();
		tevent_req_set_callback(req, ended, NULL);
		check(tevent_req_set_endtime(req, ev, end));
		tevent_req_done(req);
	}
	return (double)n / (now() - start);
}

static void fired(
	struct tevent_context *unused, struct tevent_timer *te, struct timeval when, void *p)
{
	(void)unused, (void)te, (void)when, (void)p;
	left--;
}

/* Seconds to set that many at random times of the last hours, and to run them all. */
static double random_timers(unsigned long n)
{
	struct timeval base = tevent_timeval_current();
	double start = now();
	uint64_t seed = 88172645463325252u;
	unsigned long i;

	base.tv_sec -= 20000;
	for (i = 0; i < n; i++) {
		seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
		check(tevent_add_timer(ev, ev,
			      tevent_timeval_add(&base, (uint32_t)(seed % 10000),
				      (uint32_t)(seed >> 32) % 1000000),
			      fired, NULL) != NULL);
	}
	for (left = n; left > 0;)
		turn();
	return now() - start;
}

/* The same, each later than the one before. */
static double ascending_timers(unsigned long n)
{
	struct timeval base = tevent_timeval_current();
	double start = now();
	unsigned long i;

	base.tv_sec -= 20000;
	for (i = 0; i < n; i++) {
		base = tevent_timeval_add(&base, 0, 1000);
		check(tevent_add_timer(ev, ev, base, fired, NULL) != NULL);
	}
	for (left = n; left > 0;)
		turn();
	return now() - start;
}

static void immediate_again(struct tevent_context *unused, struct tevent_immediate *im, void *p)
{
	(void)unused;
	if (--left > 0)
		tevent_schedule_immediate(im, ev, immediate_again, p);
}

static double immediates(unsigned long n)
{
	double start = now();

	left = n;
	tevent_schedule_immediate(tevent_create_immediate(ev), ev, immediate_again, NULL);
	while (left > 0)
		turn();
	return (double)n / (now() - start);
}

static void pass_on(struct tevent_context *unused, struct tevent_fd *fde, uint16_t flags, void *p)
{
	int *fds = p;
	char byte;

	(void)unused, (void)fde, (void)flags;
	check(read(fds[0], &byte, 1) == 1);
	if (--left > 0)
		check(write(fds[1], &byte, 1) == 1);
}

/* A byte goes round between two pipes, among that many others that are silent. */
static double pipes(unsigned long n, int silent)
{
	int there[2], back[2], idle[2], a[2], b[2], i;
	double start;

	check(pipe(there) == 0 && pipe(back) == 0);
	a[0] = there[0], a[1] = back[1];
	b[0] = back[0], b[1] = there[1];
	for (i = 0; i < silent; i++) {
		check(pipe(idle) == 0);
		check(tevent_add_fd(ev, ev, idle[0], TEVENT_FD_READ, pass_on, idle) != NULL);
	}
	check(tevent_add_fd(ev, ev, a[0], TEVENT_FD_READ, pass_on, a) != NULL);
	check(tevent_add_fd(ev, ev, b[0], TEVENT_FD_READ, pass_on, b) != NULL);
	start = now();
	left = n;
	check(write(there[1], "x", 1) == 1);
	while (left > 0)
		turn();
	return (double)n / (now() - start);
}

static void put(struct tevent_context *unused, struct tevent_fd *fde, uint16_t flags, void *p)
{
	int *fds = p;

	(void)unused, (void)fde, (void)flags;
	check(write(fds[1], "x", 1) == 1);
	tevent_fd_set_flags(fde, 0);
}

struct getter {
	int *fds;
	struct tevent_fd *writer;
};

static void get(struct tevent_context *unused, struct tevent_fd *fde, uint16_t flags, void *p)
{
	struct getter *getter = p;
	char byte;

	(void)unused, (void)fde, (void)flags;
	check(read(getter->fds[0], &byte, 1) == 1);
	check(kill(getpid(), SIGUSR1) == 0 && kill(getpid(), SIGUSR2) == 0);
	tevent_fd_set_flags(getter->writer, TEVENT_FD_WRITE);
	left--;
}

static void count_signal(struct tevent_context *unused, struct tevent_signal *se, int signum,
	int count, void *siginfo, void *p)
{
	(void)unused, (void)se, (void)signum, (void)siginfo;
	*(unsigned long *)p += (unsigned)count;
}

/* Two signals for each byte through a pipe, and a timer that is far away. */
static double signals(unsigned long n)
{
	unsigned long seen = 0;
	struct getter getter;
	double start;
	int fds[2];

	check(pipe(fds) == 0);
	getter.fds = fds;
	getter.writer = tevent_add_fd(ev, ev, fds[1], TEVENT_FD_WRITE, put, fds);
	check(getter.writer != NULL);
	check(tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, get, &getter) != NULL);
	check(tevent_add_signal(ev, ev, SIGUSR1, 0, count_signal, &seen) != NULL);
	check(tevent_add_signal(ev, ev, SIGUSR2, SA_SIGINFO, count_signal, &seen) != NULL);
	check(tevent_add_timer(ev, ev, tevent_timeval_current_ofs(600, 0), fired, NULL) != NULL);
	start = now();
	for (left = n; left > 0 || seen < 2 * n;)
		turn();
	return (double)n / (now() - start);
}

static void flip(struct tevent_context *unused, struct tevent_fd *fde, uint16_t flags, void *p)
{
	(void)unused, (void)flags, (void)p;
	left--;
	tevent_fd_set_flags(fde, 0);
	tevent_fd_set_flags(fde, TEVENT_FD_WRITE);
}

/* Interest taken back and shown again in each handler, as a server does between messages. */
static double flips(unsigned long n)
{
	int fds[2];
	double start;

	check(pipe(fds) == 0);
	check(tevent_add_fd(ev, ev, fds[1], TEVENT_FD_WRITE, flip, NULL) != NULL);
	start = now();
	for (left = n; left > 0;)
		turn();
	return (double)n / (now() - start);
}

static void never(struct tevent_context *unused, struct tevent_fd *fde, uint16_t flags, void *p)
{
	(void)unused, (void)fde, (void)flags, (void)p;
	check(false);
}

/* Events for a descriptor, made and freed. */
static double watchers(unsigned long n)
{
	struct tevent_fd *fde;
	double start;
	int fds[2];

	check(pipe(fds) == 0);
	start = now();
	for (left = n; left > 0; left--) {
		fde = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, never, NULL);
		check(fde != NULL);
		talloc_free(fde);
	}
	return (double)n / (now() - start);
}

int main(int argc, char **argv)
{
	const char *row = argc > 1 ? argv[1] : "";
	unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
	double result = 0;

	ev = tevent_context_init_byname(NULL, argc > 3 ? argv[3] : NULL);
	check(ev != NULL);
	if (strcmp(row, "requests") == 0)
		result = requests(n);
	else if (strcmp(row, "posted") == 0)
		result = posted_requests(n);
	else if (strcmp(row, "timed") == 0)
		result = timed_requests(n);
	else if (strcmp(row, "signals") == 0)
		result = signals(n);
	else if (strcmp(row, "watchers") == 0)
		result = watchers(n);
	else if (strcmp(row, "ascending") == 0)
		result = ascending_timers(n);
	else if (strcmp(row, "timers") == 0)
		result = random_timers(n);
	else if (strcmp(row, "immediates") == 0)
		result = immediates(n);
	else if (strcmp(row, "pipes") == 0)
		result = pipes(n, 0);
	else if (strcmp(row, "idle") == 0)
		result = pipes(n, 400);
	else if (strcmp(row, "flips") == 0)
		result = flips(n);
	else
		check(false);
	printf("%.6f\n", result);
	talloc_free(ev);
	return 0;
}
