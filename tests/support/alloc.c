/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allocator of the test programs: the C library's, counted, and failing when told to.
 *
 * A sanitizer and valgrind put their own in its place, so that there is nothing here to fail.
 */
#include "support/support.h"
#include <malloc.h>
#include <stdatomic.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

/* Volatile: the compiler believes that malloc() changes nothing of ours. */
static _Thread_local volatile unsigned long count;
static _Thread_local unsigned long fail_at;
static _Thread_local bool fail_on;
static _Thread_local volatile bool failed;
static atomic_long bytes;

void test_alloc_fail_at(unsigned long n)
{
	count = 0;
	fail_at = n;
	fail_on = false;
	failed = false;
}

void test_alloc_fail_from(unsigned long n)
{
	test_alloc_fail_at(n);
	fail_on = true;
}

unsigned long test_alloc_count(void)
{
	return count;
}

bool test_alloc_failed(void)
{
	return failed;
}

long test_alloc_bytes(void)
{
	return atomic_load(&bytes);
}

bool test_alloc_works(void)
{
	unsigned long before = count;
	/* The compiler knows that malloc() itself changes no variable of ours. */
	void *(*volatile allocate)(size_t n) = malloc;

	free(allocate(1));
	return count != before;
}

#ifndef SANITIZED

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);
extern void __libc_free(void *p);

static bool refuse(void)
{
	count++;
	if (fail_at == 0 || count < fail_at || (count > fail_at && !fail_on))
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

static void *counted(void *p)
{
	if (p)
		atomic_fetch_add(&bytes, (long)malloc_usable_size(p));
	return p;
}

void *malloc(size_t n)
{
	return refuse() ? NULL : counted(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
	return refuse() ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *p, size_t n)
{
	long before = p ? (long)malloc_usable_size(p) : 0;
	void *q;

	if (refuse())
		return NULL;
	q = __libc_realloc(p, n);
	if (q || n == 0)
		atomic_fetch_sub(&bytes, before);
	return counted(q);
}

void *reallocarray(void *p, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, total);
}

void *memalign(size_t alignment, size_t n)
{
	return refuse() ? NULL : counted(__libc_memalign(alignment, n));
}

void *aligned_alloc(size_t alignment, size_t n)
{
	return memalign(alignment, n);
}

int posix_memalign(void **out, size_t alignment, size_t n)
{
	void *p = memalign(alignment, n);

	if (!p)
		return ENOMEM;
	*out = p;
	return 0;
}

void free(void *p)
{
	int saved = errno;

	if (!p)
		return;
	atomic_fetch_sub(&bytes, (long)malloc_usable_size(p));
	__libc_free(p);
	errno = saved;
}

#endif
