/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_POOL_H
#define TALEV_POOL_H

#include <talev/loops.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Some of the loops of a manager, by a name. The loops that a manager was made with are a pool of
 * the manager's name. A valid argument as long as its manager. All of these are for any thread. */
struct talev_pool;

/* n more loops (which may be 0), called name-0, name-1, ..., with threads of their own at once if
 * the manager runs. Each, also if it is made later, runs setup(loop, private_data) before anything
 * else, unless setup is NULL. name is copied, and is the only one in the process. NULL: EEXIST;
 * ESHUTDOWN the manager was shut down; EBUSY its loops are paused; EAGAIN no thread can be made;
 * EINVAL, ENOMEM, EMFILE, ENFILE. */
struct talev_pool *_talev_pool_create(struct talev_loops *loops, const char *name, unsigned n,
	talev_loop_fn_t setup, void *private_data, const char *where);
#define talev_pool_create(loops, name, n, setup, private_data)                                     \
	_talev_pool_create(loops, name, n, setup, private_data, TALEV_WHERE(setup))

/* n more loops. -1: as above; those that could be made stay. */
int talev_pool_grow(struct talev_pool *pool, unsigned n);

/* The pool of that name in this process. NULL: ENOENT. */
struct talev_pool *talev_pool_get(const char *name);

/* The pool that the loop is in. */
struct talev_pool *talev_loop_pool(const struct talev_loop *loop);

const char *talev_pool_name(const struct talev_pool *pool);
/* How many loops it has; number i, or NULL; each in turn, or NULL if it has none. */
unsigned talev_pool_count(const struct talev_pool *pool);
struct talev_loop *talev_pool_loop(struct talev_pool *pool, unsigned i);
struct talev_loop *talev_pool_next(struct talev_pool *pool);

#ifdef __cplusplus
}
#endif

#endif
