/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every test program has: a memory root, a watchdog, notes, a captured log, and a count of
 * descriptors, all renewed for each test by TEST().
 */
#ifndef SUPPORT_SUPPORT_H
#define SUPPORT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <talloc.h>
#include <talev.h>

/* A test whose *state is its talloc root. Afterwards the root is freed, and the test fails if it
 * left descriptors open. A test that runs for more than a minute is ended with a message. */
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, test_setup, test_teardown)
int test_setup(void **state);
int test_teardown(void **state);
/* The root of the running test, and what its cmocka initial_state was. */
TALLOC_CTX *test_root(void);
/* Freed after the root: for what must outlive the sources of a test. */
TALLOC_CTX *test_late(void);
void *test_argument(void);

/* The backend that the environment asks for (TALEV_TEST_BACKEND), and a context on it. */
const char *test_backend(void);
bool test_is_sim(void);
struct talev_context *test_context(TALLOC_CTX *mem_ctx);

/* Everything costs many times more: a sanitizer or valgrind is at work. */
bool test_is_slow(void);

/* talev_loop_wait(), and the same for loop_once, with a watchdog of their own: the program dies
 * with "test hung in FUNCTION" and the line. */
#define test_run(ev)  test_run_at(ev, __func__, __location__)
#define test_once(ev) test_once_at(ev, __func__, __location__)
int test_run_at(struct talev_context *ev, const char *function, const char *location);
int test_once_at(struct talev_context *ev, const char *function, const char *location);
void test_watchdog(const char *function, const char *location);

/* Non-blocking, close-on-exec; fail the test if they cannot. */
void test_pipe(int fds[2]);
void test_socketpair(int fds[2]);
/* One byte in; everything out (returns how many bytes); as much in as there is room for. */
void test_poke(int fd);
size_t test_drain(int fd);
void test_fill(int fd);
int test_count_fds(void);

/* Notes of what happened, one word each, joined by blanks. */
void test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *test_notes(void);
void test_forget_notes(void);
#define assert_notes(text) assert_string_equal(test_notes(), text)

/* From here to the end of the test the log is kept instead of written. */
void test_log_capture(void);
bool test_log_contains(const char *text);
int test_log_count(const char *text);
const char *test_log_text(void);
void test_log_clear(void);

/* From here to the end of the test the abort hook counts and returns. */
void test_abort_capture(void);
int test_abort_count(void);

/* Runs fn in a child process, frees the test's root there, and returns the status as waitpid(2)
 * tells it. A failed assertion in the child, or a leak that the sanitizer sees, is no status 0. */
int test_in_child(void (*fn)(void *arg), void *arg);
/* The same for a child that the test has forked itself. */
void test_child_begins(const char *location);
_Noreturn void test_child_ends(int status);
/* A process that ends with that status as soon as *release_fd is closed, which the caller does. */
pid_t test_spawn(int exit_status, int *release_fd);

/* -1 and that errno. */
#define assert_errno(call, err)                                                                    \
	do {                                                                                       \
		errno = 0;                                                                         \
		assert_int_equal((call), -1);                                                      \
		assert_int_equal(errno, (err));                                                    \
	} while (0)
#define assert_null_errno(call, err)                                                               \
	do {                                                                                       \
		errno = 0;                                                                         \
		assert_null((call));                                                               \
		assert_int_equal(errno, (err));                                                    \
	} while (0)
#define assert_ok(call) assert_int_equal((call), 0)

/* Allocations of the whole program, talloc's included; not under sanitizers or valgrind, which
 * bring their own: there test_alloc_works() says false. */
bool test_alloc_works(void);
/* The n-th allocation of this thread from now on fails, once; 0: none. Counts from 0 again. */
void test_alloc_fail_at(unsigned long n);
/* That one and all after it. */
void test_alloc_fail_from(unsigned long n);
/* Allocations of this thread since then, failed ones included; has one failed? */
unsigned long test_alloc_count(void);
bool test_alloc_failed(void);
/* Bytes allocated and not freed. */
long test_alloc_bytes(void);

#endif
