/* SPDX-License-Identifier: BSD-2-Clause */
#include "points.h"

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>

#define SECONDS 10
#define MAX_FDS 32

static struct {
	TALLOC_CTX *root;
	char notes[8192];
	char debug[16384];
	char reason[512];
	int aborts;
	int fds[MAX_FDS];
	int nfds;
	int fds_before;
	const struct point_test *running;
} the;

TALLOC_CTX *root(void)
{
	return the.root;
}

const char *backend(void)
{
	const char *name = getenv("POINTS_BACKEND");

	return name && *name ? name : "standard";
}

bool backend_is(const char *name)
{
	return strcmp(backend(), name) == 0;
}

bool against_ours(void)
{
	const char *whose = getenv("POINTS_AGAINST");

	return whose && strcmp(whose, "ours") == 0;
}

struct tevent_context *context(void)
{
	struct tevent_context *ev = tevent_context_init_byname(the.root, backend());

	assert_non_null(ev);
	return ev;
}

void note(const char *format, ...)
{
	size_t used = strlen(the.notes);
	va_list ap;

	if (used && used + 1 < sizeof(the.notes))
		the.notes[used++] = ' ';
	va_start(ap, format);
	vsnprintf(the.notes + used, sizeof(the.notes) - used, format, ap);
	va_end(ap);
}

const char *notes(void)
{
	return the.notes;
}

void forget_notes(void)
{
	the.notes[0] = '\0';
}

void note_fd(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *word)
{
	(void)ev, (void)fde, (void)flags;
	note("%s", (const char *)word);
}

void note_timer(struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *word)
{
	(void)ev, (void)te, (void)now;
	note("%s", (const char *)word);
}

void note_immediate(struct tevent_context *ev, struct tevent_immediate *im, void *word)
{
	(void)ev, (void)im;
	note("%s", (const char *)word);
}

void note_signal(struct tevent_context *ev, struct tevent_signal *se, int signum, int count,
	void *siginfo, void *word)
{
	(void)ev, (void)se, (void)signum, (void)count, (void)siginfo;
	note("%s", (const char *)word);
}

void note_close(struct tevent_context *ev, struct tevent_fd *fde, int fd, void *word)
{
	(void)ev, (void)fde, (void)fd;
	note("%s", (const char *)word);
}

void note_req(struct tevent_req *req)
{
	note("%s", (const char *)tevent_req_callback_data_void(req));
}

static int note_death(const char **word)
{
	note("%s", *word);
	return 0;
}

void note_when_freed(TALLOC_CTX *ptr, const char *word)
{
	const char **child = talloc_zero(ptr, const char *);

	assert_non_null(child);
	*child = word;
	talloc_set_destructor(child, note_death);
}

void once(struct tevent_context *ev)
{
	assert_int_equal(tevent_loop_once(ev), 0);
}

void turns(struct tevent_context *ev, int n)
{
	while (n-- > 0)
		once(ev);
}

struct timeval in_milliseconds(unsigned milliseconds)
{
	return tevent_timeval_current_ofs(milliseconds / 1000, milliseconds % 1000 * 1000);
}

static void set_flag(
	struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *flag)
{
	(void)ev, (void)te, (void)now;
	*(bool *)flag = true;
}

int count_turns(struct tevent_context *ev, unsigned milliseconds)
{
	bool over = false;
	int n = 0;

	assert_non_null(tevent_add_timer(ev, ev, in_milliseconds(milliseconds), set_flag, &over));
	while (!over) {
		once(ev);
		n++;
	}
	return n;
}

static void count_down(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *left)
{
	(void)ev, (void)flags;
	if (--*(int *)left == 0)
		tevent_fd_set_flags(fde, 0);
}

void turns_for(struct tevent_context *ev, unsigned milliseconds)
{
	struct tevent_fd *marker;
	int fds[2], left = 4;

	count_turns(ev, milliseconds);
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	poke(fds[1]);
	marker = tevent_add_fd(ev, ev, fds[0], TEVENT_FD_READ, count_down, &left);
	assert_non_null(marker);
	while (left > 0)
		once(ev);
	talloc_free(marker);
	close(fds[0]);
	close(fds[1]);
}

static int remember_fd(int fd)
{
	assert_true(fd >= 0 && the.nfds < MAX_FDS);
	the.fds[the.nfds++] = fd;
	return fd;
}

void make_pipe(int fds[2])
{
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	remember_fd(fds[0]);
	remember_fd(fds[1]);
}

void make_socketpair(int fds[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	remember_fd(fds[0]);
	remember_fd(fds[1]);
}

int close_now(int *fd)
{
	int i, number = *fd;

	for (i = 0; i < the.nfds; i++)
		if (the.fds[i] == number)
			the.fds[i] = -1;
	*fd = -1;
	return close(number);
}

void poke(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

void drain(int fd)
{
	char buffer[4096];

	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
}

int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		n += isdigit((unsigned char)entry->d_name[0]) != 0;
	closedir(dir);
	return n - 1;
}

static void keep_reason(const char *reason)
{
	the.aborts++;
	snprintf(the.reason, sizeof(the.reason), "%s", reason ? reason : "");
}

void capture_aborts(void)
{
	tevent_set_abort_fn(keep_reason);
}

int abort_count(void)
{
	return the.aborts;
}

const char *abort_reason(void)
{
	return the.reason;
}

int ends_with(void (*fn)(void *arg), void *arg)
{
	int status, null;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		null = open("/dev/null", O_RDWR);
		dup2(null, 1);
		dup2(null, 2);
		signal(SIGABRT, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		alarm(SECONDS / 2);
		fn(arg);
		/* What a child tears down is its own. */
		talloc_free(the.root);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

void assert_aborts_at(void (*fn)(void *arg), void *arg, const char *file, int line)
{
	int status = ends_with(fn, arg);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) {
		print_error("should have aborted, but the wait status is 0x%x\n", status);
		_fail(file, line);
	}
}

static void keep_debug(void *unused, enum tevent_debug_level level, const char *format, va_list ap)
	__attribute__((format(printf, 3, 0)));

static void keep_debug(void *unused, enum tevent_debug_level level, const char *format, va_list ap)
{
	size_t used = strlen(the.debug);

	(void)unused, (void)level;
	vsnprintf(the.debug + used, sizeof(the.debug) - used, format, ap);
}

void capture_debug(struct tevent_context *ev)
{
	assert_int_equal(tevent_set_debug(ev, keep_debug, NULL), 0);
}

const char *debug_text(void)
{
	return the.debug;
}

void *newer_function(const char *name)
{
	void *address = dlsym(RTLD_DEFAULT, name);

	if (!address)
		fail_msg("the library has no %s()", name);
	return address;
}

uint32_t wait_timeout(struct tevent_context *ev, uint32_t seconds)
{
	uint32_t (*set)(struct tevent_context *, uint32_t);

	*(void **)&set = newer_function("tevent_context_set_wait_timeout");
	return set(ev, seconds);
}

static int set_up(void **state)
{
	the.fds_before = count_fds();
	the.root = talloc_new(NULL);
	*state = the.root;
	return the.root ? 0 : -1;
}

static int tear_down(void **state)
{
	int i, left;

	(void)state;
	talloc_free(the.root);
	for (i = 0; i < the.nfds; i++)
		if (the.fds[i] >= 0)
			close(the.fds[i]);
	left = count_fds() - the.fds_before;
	if (left)
		print_error("%d descriptors were left open\n", left);
	return left ? -1 : 0;
}

static int run_here(const struct point_test *test)
{
	const struct CMUnitTest one = {test->name, test->fn, set_up, tear_down, NULL};

	alarm(SECONDS);
	cmocka_set_message_output(CM_OUTPUT_STDOUT);
	return _cmocka_run_group_tests(test->name, &one, 1, NULL, NULL);
}

/* What a test of a mended fault does where the fault still is: fail, die, or hang. */
static bool fault_expected(const struct point_test *test)
{
	return test->kind == POINT_MENDED && !against_ours();
}

static void in_a_process(void **state)
{
	const struct point_test *test = *state;
	FILE *talk = tmpfile();
	char line[512];
	int status;
	pid_t pid;

	assert_non_null(talk);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fileno(talk), 1);
		dup2(fileno(talk), 2);
		fcntl(fileno(talk), F_SETFD, FD_CLOEXEC);
		exit(run_here(test));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (fault_expected(test) || status == 0) {
		fclose(talk);
		if (fault_expected(test) && status == 0)
			skip(); /* what is undefined does not always show */
		return;
	}
	rewind(talk);
	while (fgets(line, sizeof(line), talk))
		print_error("%s", line);
	fclose(talk);
	if (WIFSIGNALED(status))
		fail_msg("%s: killed by %s", test->name, strsignal(WTERMSIG(status)));
	fail_msg("%s: failed", test->name);
}

static int list(const struct point_test *tests, size_t count)
{
	static const char *const kinds[] = {"both", "newer", "mended"};
	size_t i;

	for (i = 0; i < count; i++)
		printf("%d %s %s\n", atoi(tests[i].name + 1), tests[i].name, kinds[tests[i].kind]);
	return 0;
}

/* What the library lists, but for poll_mt: there turns are woken that the tests do not expect. */
static int list_backends(void)
{
	const char **name;

	for (name = tevent_backend_list(NULL); name && *name; name++)
		if (strcmp(*name, "poll_mt") != 0)
			printf("%s\n", *name);
	return 0;
}

/* --list, --backends, or words that the names of the tests to run contain. --faults: those whose
 * fault the system's library should show. --here: in this process, for a debugger. */
int points_main(int argc, char **argv, const struct point_test *tests, size_t count)
{
	struct CMUnitTest *chosen = calloc(count, sizeof(*chosen));
	bool faults = argc > 1 && strcmp(argv[1], "--faults") == 0;
	bool here = argc > 1 && strcmp(argv[1], "--here") == 0;
	int first = faults || here ? 2 : 1;
	size_t i, n = 0;
	int failed, a;

	if (argc > 1 && strcmp(argv[1], "--list") == 0) {
		free(chosen);
		return list(tests, count);
	}
	if (argc > 1 && strcmp(argv[1], "--backends") == 0) {
		free(chosen);
		return list_backends();
	}
	for (i = 0; chosen && i < count; i++) {
		for (a = first; a < argc && !strstr(tests[i].name, argv[a]); a++)
			;
		if (argc > first && a == argc)
			continue;
		if (!against_ours() && (tests[i].kind == POINT_MENDED) != faults && !here)
			continue;
		if (!against_ours() && tests[i].kind == POINT_NEWER)
			continue;
		if (here && run_here(&tests[i]) != 0)
			return 1;
		chosen[n++] = (struct CMUnitTest){
			tests[i].name, in_a_process, NULL, NULL, (void *)(uintptr_t)&tests[i]};
	}
	failed = n && !here ? _cmocka_run_group_tests(argv[0], chosen, n, NULL, NULL) : 0;
	free(chosen);
	return failed > 125 ? 125 : failed;
}
