/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the loop inside its init until SIGUSR1, and looks then at the option that it got before. */
#include <errno.h>
#include <signal.h>
#include <talev/loop.h>
#include <talev/plugin.h>
#include <talev/signal.h>

static void usr1(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *private_data)
{
	bool *go_on = private_data;

	(void)ev;
	(void)se;
	(void)signum;
	(void)count;
	(void)siginfo;
	*go_on = true;
}

static int slow_init(const struct talev_plugin_host *host)
{
	const char *word = host->option(host, "word");
	bool *go_on = talloc_zero(host->mem_ctx, bool);

	if (!word || !go_on)
		return EINVAL;
	if (!talev_add_signal(host->ev, go_on, SIGUSR1, 0, usr1, go_on))
		return errno;
	talev_loop_allow_nesting(host->ev);
	host->log(host, TALEV_LOG_INFO, "in its init");
	while (!*go_on)
		if (talev_loop_once(host->ev) == -1)
			return errno;
	host->log(host, TALEV_LOG_INFO, "the word is %s", word);
	return 0;
}

TALEV_PLUGIN("slow_init", slow_init, NULL);
