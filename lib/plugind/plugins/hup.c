/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts signals. Options:
 *   signals  names, parted by blanks: HUP USR1; HUP
 */
#include <bsd/string.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <talev/plugin.h>
#include <talev/signal.h>

struct counter {
	const struct talev_plugin_host *host;
	unsigned long count;
};

static void count_signal(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *private_data)
{
	struct counter *counter = private_data;

	(void)ev;
	(void)se;
	(void)siginfo;
	counter->count += (unsigned long)count;
	counter->host->log(counter->host, TALEV_LOG_INFO, "SIG%s number %lu", sigabbrev_np(signum),
		counter->count);
}

static int number_of(const char *name)
{
	const char *known;
	int signum;

	for (signum = 1; signum < SIGRTMIN; signum++) {
		known = sigabbrev_np(signum);
		if (known && strcmp(known, name) == 0)
			return signum;
	}
	return -1;
}

static int counter_add(const struct talev_plugin_host *host, const char *name)
{
	struct counter *counter = talloc_zero(host->mem_ctx, struct counter);

	if (!counter)
		return ENOMEM;
	counter->host = host;
	/* The number -1 is refused as SIGKILL is. */
	if (talev_add_signal(host->ev, counter, number_of(name), 0, count_signal, counter))
		return 0;
	host->log(host, TALEV_LOG_ERROR, "signal %s: %s", name, strerror(errno));
	return errno;
}

static int hup_init(const struct talev_plugin_host *host)
{
	const char *signals = host->option(host, "signals");
	char *words = talloc_strdup(host->mem_ctx, signals ? signals : "HUP");
	char *rest = words, *word;
	int rc = 0;

	if (!words)
		return ENOMEM;
	while (rc == 0 && (word = strsep(&rest, " \t")))
		rc = word[0] ? counter_add(host, word) : 0;
	talloc_free(words);
	return rc;
}

TALEV_PLUGIN("hup", hup_init, NULL);
