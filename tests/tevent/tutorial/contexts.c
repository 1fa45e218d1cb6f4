/* SPDX-License-Identifier: BSD-2-Clause */
/* Several contexts: each has its own events, and its loop sees no others. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <tevent.h>

static void on_time(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *private_data)
{
	(void)ev, (void)te, (void)now;
	printf("timer %s\n", (const char *)private_data);
}

static void on_signal(struct tevent_context *ev, struct tevent_signal *se, int signum, int count,
	void *siginfo, void *private_data)
{
	(void)ev, (void)siginfo, (void)private_data;
	printf("signal %d, %d time\n", signum == SIGUSR1, count);
	talloc_free(se);
}

static void on_input(
	struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *private_data)
{
	char c;

	(void)ev;
	if (read(*(int *)private_data, &c, 1) == 1)
		printf("input %c, flags %d\n", c, flags);
	else
		talloc_free(fde);
}

static void soon(struct tevent_context *ev, struct tevent_immediate *im, void *private_data)
{
	(void)ev, (void)im, (void)private_data;
	printf("immediate\n");
}

int main(void)
{
	TALLOC_CTX *mem_ctx = talloc_new(NULL);
	struct tevent_context *files, *others;
	struct tevent_immediate *im;
	int fds[2];

	if (mem_ctx == NULL || pipe(fds) != 0)
		return 1;
	files = tevent_context_init(mem_ctx);
	others = tevent_context_init(mem_ctx);
	im = tevent_create_immediate(mem_ctx);
	if (files == NULL || others == NULL || im == NULL)
		return 1;
	if (tevent_add_fd(files, files, fds[0], TEVENT_FD_READ, on_input, &fds[0]) == NULL ||
		tevent_add_signal(others, others, SIGUSR1, 0, on_signal, NULL) == NULL ||
		tevent_add_timer(others, others, tevent_timeval_current_ofs(0, 20000), on_time,
			"in 20 ms") == NULL ||
		tevent_add_timer(others, others, tevent_timeval_zero(), on_time, "at once") == NULL)
		return 1;
	tevent_schedule_immediate(im, others, soon, NULL);
	if (write(fds[1], "a", 1) != 1)
		return 1;
	/* One event of this context, although the other has some too. */
	if (tevent_loop_once(files) != 0)
		return 1;
	raise(SIGUSR1);
	/* All there is. */
	if (tevent_loop_wait(others) != 0)
		return 1;
	close(fds[1]);
	if (tevent_loop_wait(files) != 0)
		return 1;
	close(fds[0]);
	printf("nothing left\n");
	return talloc_free(mem_ctx);
}
/* prints:
 * input a, flags 1
 * signal 1, 1 time
 * immediate
 * timer at once
 * timer in 20 ms
 * nothing left
 */
