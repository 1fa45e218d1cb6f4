/* SPDX-License-Identifier: BSD-2-Clause */
/* Logs at every tick. Options:
 *   period   250ms, 5s, 2m; 1s. A new one counts from the next tick on, without a reload.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talev/plugin.h>
#include <talev/timer.h>

struct ticker {
	const struct talev_plugin_host *host;
	struct talev_timer *timer;
	uint64_t ticks;
};

static void tick(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct ticker *ticker = private_data;
	const struct talev_plugin_host *host = ticker->host;

	(void)ev;
	(void)now;
	host->log(host, TALEV_LOG_INFO, "tick %" PRIu64 ", missed %" PRIu64, ++ticker->ticks,
		talev_timer_get_missed(te));
}

/* -1: it is no period. */
static talev_time_t period_parse(const char *text)
{
	static const struct {
		const char *unit;
		talev_time_t ns;
	} units[] = {{"ms", TALEV_MSEC(1)}, {"s", TALEV_SEC(1)}, {"m", TALEV_SEC(60)}};
	char *unit;
	long number = strtol(text, &unit, 10);
	size_t i;

	if (unit == text || number < 1 || number > 1000000)
		return -1;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(unit, units[i].unit) == 0)
			return number * units[i].ns;
	return -1;
}

static talev_time_t period_option(const struct talev_plugin_host *host)
{
	const char *text = host->option(host, "period");
	talev_time_t period = period_parse(text ? text : "1s");

	if (period == -1)
		host->log(host, TALEV_LOG_ERROR,
			"period is 1 to 1000000 ms, s or m, as in 250ms, not \"%s\"", text);
	return period;
}

static int ticker_init(const struct talev_plugin_host *host)
{
	struct ticker *ticker = talloc_zero(host->mem_ctx, struct ticker);
	talev_time_t period = period_option(host);

	if (!ticker)
		return ENOMEM;
	if (period == -1)
		return EINVAL;
	ticker->host = host;
	ticker->timer = talev_add_ticker(host->ev, ticker, period, tick, ticker);
	if (!ticker->timer)
		return errno;
	*host->private_data = ticker;
	return 0;
}

static int ticker_reload(const struct talev_plugin_host *host)
{
	talev_time_t period = period_option(host);
	struct ticker *ticker = *host->private_data;

	if (period == -1)
		return EINVAL;
	return talev_timer_set_period(ticker->timer, period) == 0 ? 0 : errno;
}

TALEV_PLUGIN("ticker", ticker_init, ticker_reload);
