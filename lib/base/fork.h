/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_FORK_H
#define BASE_FORK_H

/* Counts the fork(2)s between this process and the one that first asked; by pthread_atfork(3), so
 * a bare clone(2) is not seen. */
unsigned base_fork_generation(void);

#endif
