/* SPDX-License-Identifier: BSD-2-Clause */
/* Between two looks at what another thread may write: to look is to take the cache line away from
 * it. Included where it is needed. */
#ifndef BASE_PAUSE_H
#define BASE_PAUSE_H

/* One is 10 to 50 ns, by the processor. */
static inline void base_pause(unsigned n)
{
	while (n-- > 0) {
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
		__asm__ volatile("yield");
#else
		__asm__ volatile("" ::: "memory");
#endif
	}
}

#endif
