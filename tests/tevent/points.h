/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs of this folder share. They see nothing but tevent's public header, whichever
 * is on the include path, and run against whichever libtevent.so.0 the linker finds: points.sh
 * runs them with the system's first, so that what they say is known to be so.
 *
 * A test is named after its point in the list of what a drop-in must reproduce: p07_... is point 7.
 * p00_ is for facts of the API that have no number. Each runs in a process of its own, is given
 * ten seconds, and must leave no descriptor open.
 */
#ifndef TEVENT_POINTS_H
#define TEVENT_POINTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <talloc.h>
#define TEVENT_DEPRECATED 1
#include <tevent.h>

#ifndef TEVENT_FD_ERROR
#define TEVENT_FD_ERROR 4
#endif

/* Where a test holds: with tevent as it is; only with a tevent newer than 0.14.1; only where a
 * fault of tevent has been mended. */
enum point_kind { POINT_BOTH, POINT_NEWER, POINT_MENDED };

struct point_test {
	const char *name;
	enum point_kind kind;
	void (*fn)(void **state);
};

#define BOTH(fn)                                                                                   \
	{                                                                                          \
#fn, POINT_BOTH, fn                                                                \
	}
#define NEWER(fn)                                                                                  \
	{                                                                                          \
#fn, POINT_NEWER, fn                                                               \
	}
#define MENDED(fn)                                                                                 \
	{                                                                                          \
#fn, POINT_MENDED, fn                                                              \
	}

#define POINTS_MAIN(tests)                                                                         \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return points_main(argc, argv, tests, sizeof(tests) / sizeof((tests)[0]));         \
	}
int points_main(int argc, char **argv, const struct point_test *tests, size_t count);

/* The root of the running test, freed afterwards, and a context on the backend that is asked for
 * (POINTS_BACKEND). A test that needs a certain backend makes its own. */
TALLOC_CTX *root(void);
struct tevent_context *context(void);
const char *backend(void);
bool backend_is(const char *name);

/* Notes of what happened, one word each, joined by blanks. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *notes(void);
void forget_notes(void);
#define assert_notes(text) assert_string_equal(notes(), text)

/* Handlers that only note: private_data is the word. */
void note_fd(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *word);
void note_timer(struct tevent_context *ev, struct tevent_timer *te, struct timeval now, void *word);
void note_immediate(struct tevent_context *ev, struct tevent_immediate *im, void *word);
void note_signal(struct tevent_context *ev, struct tevent_signal *se, int signum, int count,
	void *siginfo, void *word);
void note_close(struct tevent_context *ev, struct tevent_fd *fde, int fd, void *word);
void note_req(struct tevent_req *req);

/* A child of ptr that notes the word when it is freed, so when ptr really is. */
void note_when_freed(TALLOC_CTX *ptr, const char *word);

/* One loop_once() that must return 0, and n of them. */
void once(struct tevent_context *ev);
void turns(struct tevent_context *ev, int n);
/* How many turns it takes until a timer of that many milliseconds fires: few if nobody spins. */
int count_turns(struct tevent_context *ev, unsigned milliseconds);
/* Turns for that long, and however late the machine is, until the kernel has been asked a few times
 * what is ready. */
void turns_for(struct tevent_context *ev, unsigned milliseconds);
struct timeval in_milliseconds(unsigned milliseconds);
#define ZERO_TIME tevent_timeval_zero()

/* Close-on-exec, non-blocking; end of test closes what is still open of them. */
void make_pipe(int fds[2]);
void make_socketpair(int fds[2]);
void poke(int fd);
void drain(int fd);
int close_now(int *fd);
int count_fds(void);

/* tevent_abort() counts and returns from here on; without, it kills. */
void capture_aborts(void);
int abort_count(void);
const char *abort_reason(void);

/* Runs fn(arg) in a child and returns how it ended, as waitpid(2) tells; its talk is dropped. */
int ends_with(void (*fn)(void *arg), void *arg);
#define assert_aborts(fn, arg) assert_aborts_at(fn, arg, __FILE__, __LINE__)
void assert_aborts_at(void (*fn)(void *arg), void *arg, const char *file, int line);

/* What tevent says by way of tevent_set_debug(). */
void capture_debug(struct tevent_context *ev);
const char *debug_text(void);

/* Functions that 0.14.1 has not. The test fails if they are missing. */
uint32_t wait_timeout(struct tevent_context *ev, uint32_t seconds);
void *newer_function(const char *name);

bool against_ours(void);

#endif
