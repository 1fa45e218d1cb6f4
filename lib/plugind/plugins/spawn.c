/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs a command and reports how it ends. Options:
 *   command  program and arguments, parted by blanks; "..." or '...' holds blanks together
 *   restart  no, or how many seconds (1 to 86400) after its end it is run again; no
 *
 * When the plugin is unloaded the command is killed.
 */
#include <bsd/stdlib.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <talev/child.h>
#include <talev/plugin.h>
#include <talev/timer.h>
#include <unistd.h>

struct spawn {
	const struct talev_plugin_host *host;
	char **argv;
	talev_time_t restart; /* 0: no */
};

/* One process: freed when it ended, or to end it. */
struct run {
	struct spawn *spawn;
	pid_t pid; /* -1: reaped */
};

static int run_start(struct spawn *spawn);

/* Nobody else would reap it. After SIGKILL that is not a long wait. */
static int run_gone(struct run *run)
{
	if (run->pid == -1)
		return 0;
	kill(run->pid, SIGKILL);
	while (waitpid(run->pid, NULL, 0) == -1 && errno == EINTR)
		;
	return 0;
}

static void again(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	(void)ev;
	(void)te;
	(void)now;
	run_start(private_data);
}

static void run_ended(struct talev_context *ev, struct talev_child *child, pid_t pid, int status,
	void *private_data)
{
	struct run *run = private_data;
	struct spawn *spawn = run->spawn;
	const struct talev_plugin_host *host = spawn->host;

	(void)child;
	run->pid = -1;
	talloc_free(run);
	if (status != -1 && WIFSIGNALED(status))
		host->log(host, TALEV_LOG_INFO, "process %d ended by SIG%s", (int)pid,
			sigabbrev_np(WTERMSIG(status)));
	else
		host->log(host, TALEV_LOG_INFO, "process %d ended with status %d", (int)pid,
			status == -1 ? -1 : WEXITSTATUS(status));
	if (spawn->restart > 0 &&
		!talev_add_timer(ev, spawn, talev_now(ev) + spawn->restart, again, spawn))
		host->log(host, TALEV_LOG_ERROR, "restart: %s", strerror(errno));
}

/* The daemon ignores SIGPIPE, and blocks or catches what it likes: not so the command. */
static int launch(pid_t *pid, char **argv)
{
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	rc = posix_spawnattr_init(&attributes);
	if (rc != 0)
		return rc;
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawnp(pid, argv[0], NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	return rc;
}

static int run_start(struct spawn *spawn)
{
	const struct talev_plugin_host *host = spawn->host;
	struct run *run = talloc_zero(spawn, struct run);
	int rc;

	if (!run)
		return ENOMEM;
	run->spawn = spawn;
	rc = launch(&run->pid, spawn->argv);
	if (rc != 0) {
		host->log(host, TALEV_LOG_ERROR, "%s: %s", spawn->argv[0], strerror(rc));
		talloc_free(run);
		return rc;
	}
	talloc_set_destructor(run, run_gone);
	if (!talev_add_child(host->ev, run, run->pid, run_ended, run)) {
		rc = errno;
		host->log(host, TALEV_LOG_ERROR, "process %d: %s", (int)run->pid, strerror(rc));
		talloc_free(run);
		return rc;
	}
	host->log(host, TALEV_LOG_INFO, "process %d is %s", (int)run->pid, spawn->argv[0]);
	return 0;
}

/* The next word of *text, cut out in place; NULL: there is none. */
static char *next_word(char **text)
{
	char *word, *from, *to, quote = '\0';

	from = *text + strspn(*text, " \t");
	if (*from == '\0')
		return NULL;
	for (word = to = from; *from && (quote || !strchr(" \t", *from)); from++)
		if (*from == quote)
			quote = '\0';
		else if (!quote && (*from == '"' || *from == '\''))
			quote = *from;
		else
			*to++ = *from;
	*text = *from ? from + 1 : from;
	*to = '\0';
	return word;
}

static int split(struct spawn *spawn, const char *command)
{
	char *text = talloc_strdup(spawn, command);
	size_t count = 0, most = strlen(command) / 2 + 2;

	spawn->argv = talloc_zero_array(spawn, char *, most);
	if (!text || !spawn->argv)
		return ENOMEM;
	while ((spawn->argv[count] = next_word(&text)))
		count++;
	return count > 0 ? 0 : EINVAL;
}

static int spawn_init(const struct talev_plugin_host *host)
{
	struct spawn *spawn = talloc_zero(host->mem_ctx, struct spawn);
	const char *command = host->option(host, "command");
	const char *restart = host->option(host, "restart");
	const char *problem = NULL;
	int rc;

	if (!spawn)
		return ENOMEM;
	spawn->host = host;
	if (restart && strcmp(restart, "no") != 0)
		spawn->restart = TALEV_SEC(strtonum(restart, 1, 86400, &problem));
	if (problem || !command) {
		host->log(host, TALEV_LOG_ERROR, "restart is %s; command is %s",
			problem ? problem : "good", command ? "good" : "missing");
		return EINVAL;
	}
	rc = split(spawn, command);
	return rc == 0 ? run_start(spawn) : rc;
}

TALEV_PLUGIN("spawn", spawn_init, NULL);
