/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIGTERM and SIGINT. The first one takes both watchers away, and so puts back what the signals did
 * before: by default they end the process. So a second one works also when a loop hangs.
 */
#include "loops/manager.h"

#include <errno.h>
#include <string.h>
#include <talev/signal.h>
#include "base/base.h"

static const int numbers[2] = {SIGTERM, SIGINT};

static void stop(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *private_data)
{
	struct manager *manager = private_data;

	(void)ev;
	(void)se;
	(void)count;
	(void)siginfo;
	base_log(TALEV_LOG_INFO, "loops %s: SIG%s", manager->name, sigabbrev_np(signum));
	signals_close(manager);
	shutdown_begin(manager);
}

int signals_open(struct manager *manager)
{
	struct talev_context *ev = manager_loop(manager, 0)->ev;

	for (unsigned i = 0; manager->signals && i < 2; i++) {
		manager->watchers[i] =
			talev_add_signal(ev, NULL, numbers[i], SA_RESTART, stop, manager);
		if (manager->watchers[i] == NULL) {
			int error = errno;

			signals_close(manager);
			errno = error;
			return -1;
		}
		/* They are no reason for the main loop to go on. */
		core_release(ev);
	}
	return 0;
}

void signals_close(struct manager *manager)
{
	for (unsigned i = 0; i < 2; i++) {
		if (manager->watchers[i] == NULL)
			continue;
		core_hold(manager_loop(manager, 0)->ev);
		TALLOC_FREE(manager->watchers[i]);
	}
}
