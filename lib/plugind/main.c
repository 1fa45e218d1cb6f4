/* SPDX-License-Identifier: BSD-2-Clause */
#include <bsd/libutil.h>
#include <bsd/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <talev/context.h>
#include <talev/loop.h>
#include <talev/proxy.h>
#include <time.h>

#include "plugind/common.h"
#include "plugind/config.h"
#include "plugind/control.h"
#include "plugind/plugind.h"
#include "plugind/detach.h"
#include "plugind/log.h"
#include "plugind/watch.h"

struct options {
	const char *config;
	bool background;
	bool test;
};

static int usage(FILE *to)
{
	fprintf(to, "usage: talevd [-dtV] [-c FILE]\n"
		    "  -c FILE  configuration (" TALEVD_CONFIG ")\n"
		    "  -d       go to the background when everything is set up\n"
		    "  -t       check the configuration and exit\n"
		    "  -V       print the version and exit\n");
	return to == stdout ? 0 : 2;
}

static int options_parse(struct options *options, int argc, char **argv)
{
	int c;

	*options = (struct options){.config = TALEVD_CONFIG};
	while ((c = getopt(argc, argv, "c:dhtV")) != -1) {
		switch (c) {
		case 'c':
			options->config = optarg;
			break;
		case 'd':
			options->background = true;
			break;
		case 't':
			options->test = true;
			break;
		case 'V':
			puts("talevd " TALEV_VERSION);
			return 0;
		case 'h':
			return usage(stdout);
		default:
			return usage(stderr);
		}
	}
	return optind < argc ? usage(stderr) : -1;
}

/* 0 also when no pidfile is wanted. */
static int pidfile_take(const struct config *config, struct pidfh **pidfile)
{
	pid_t other = 0;

	*pidfile = NULL;
	if (!config->pidfile)
		return 0;
	*pidfile = pidfile_open(config->pidfile, 0644, &other);
	if (*pidfile) {
		/* A plugin's child that inherits it would keep it locked. */
		fcntl(pidfile_fileno(*pidfile), F_SETFD, FD_CLOEXEC);
		return 0;
	}
	if (errno == EEXIST)
		log_message(TALEV_LOG_ERROR, "%s: talevd runs already, pid %d", config->pidfile,
			(int)other);
	else
		log_message(TALEV_LOG_ERROR, "%s: %s", config->pidfile, strerror(errno));
	return -1;
}

static bool is_stopped(void *private_data)
{
	struct daemon *d = private_data;

	return d->stopped;
}

/* A plugin may break the loop, or the kernel refuse something: that ends nothing here. */
static int loop(struct daemon *d)
{
	static const struct timespec pause = {.tv_nsec = 100000000};

	while (!d->stopped) {
		if (talev_loop_until(d->ev, is_stopped, d) == 0)
			continue;
		log_message(TALEV_LOG_ERROR, "loop: %s", strerror(errno));
		if (errno == ESHUTDOWN)
			return -1;
		nanosleep(&pause, NULL); /* or an error that stays would fill the log */
	}
	return 0;
}

/* Nothing that others could know of runs yet. */
static int open_all(struct daemon *d)
{
	d->ev = talev_context_init(d);
	d->door = d->ev ? talev_threaded_context_create(d->ev, d) : NULL;
	if (d->door && later_open(d) == 0)
		return 0;
	log_message(TALEV_LOG_ERROR, "%s", strerror(errno));
	return -1;
}

static int serve(struct daemon *d)
{
	if (open_all(d) == -1 || watch_open(d) == -1)
		return -1;
	apply_settings(d);
	d->control = control_open(d, d->config->control);
	if (!d->control || signals_watch(d) == -1)
		return -1;
	setproctitle("%s", d->config->path);
	apply_first(d);
	if (loop(d) == -1)
		return -1;
	control_push(d->control);
	return 0;
}

static int run(struct daemon *d, const struct options *options)
{
	struct pidfh *pidfile;
	int rc;

	if (pidfile_take(d->config, &pidfile) == -1)
		return 1;
	/* Until it serves, the one who started it in the background reads stderr. */
	log_open(d->config->syslog && !options->background, d->config->log_level);
	if (options->background && detach() == -1)
		return 1;
	if (pidfile && pidfile_write(pidfile) == -1)
		log_message(TALEV_LOG_WARNING, "%s: %s", d->config->pidfile, strerror(errno));
	d->background = options->background;
	rc = serve(d);
	watch_close(d);
	/* Who waits for the end of its connection may start the next daemon. */
	if (pidfile)
		pidfile_remove(pidfile);
	TALLOC_FREE(d->control);
	return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv, char **envp)
{
	struct options options;
	struct daemon *d;
	int rc;

	/* Else all trees without a parent hang in one list, which threads of plugins would share.
	 */
	talloc_disable_null_tracking();
	setproctitle_init(argc, argv, envp);
	rc = options_parse(&options, argc, argv);
	if (rc != -1)
		return rc;
	d = talloc_zero(NULL, struct daemon);
	if (!d)
		return 1;
	TAILQ_INIT(&d->plugins);
	TAILQ_INIT(&d->pools);
	TAILQ_INIT(&d->queues);
	d->config = config_read(d, options.config);
	rc = 1;
	if (d->config && options.test)
		rc = 0;
	else if (d->config)
		rc = run(d, &options);
	if (rc == 0 && !options.test)
		log_message(TALEV_LOG_INFO, "stopped");
	/* A thread that did not end may be looking at it. */
	if (TAILQ_EMPTY(&d->pools))
		talloc_free(d);
	return rc;
}
