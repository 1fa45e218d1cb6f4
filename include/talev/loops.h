/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_LOOPS_H
#define TALEV_LOOPS_H

#include <stdbool.h>
#include <talloc.h>
#include <talev/source.h>
#include <talev/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct talev_context;

/* Several loops, each with a thread and a context of its own. */
struct talev_loops;
/* One of them. A valid argument until its manager is freed, or longer: talev_loop_keep(). */
struct talev_loop;

/* What runs in a loop, on its thread. */
typedef void (*talev_loop_fn_t)(struct talev_loop *loop, void *data);

/* n loops, made now, with their contexts; their threads begin in talev_loops_run(). name is copied:
 * the threads are called name-1, name-2, ... Freed with talloc_free(): while it runs that is the
 * same as talev_loops_shutdown(), and only for the thread that runs it. NULL: EINVAL, ENOMEM,
 * EMFILE, ENFILE. */
struct talev_loops *_talev_loops_create(
	TALLOC_CTX *mem_ctx, const char *name, unsigned n, const char *where);
#define talev_loops_create(mem_ctx, name, n)                                                       \
	_talev_loops_create(mem_ctx, name, n, TALEV_WHERE(loops))

/* Runs all loops, the first one, the main loop, on the calling thread, until they have been shut
 * down and nothing is left in any of them. Returns 0 at once if they had been shut down before.
 * -1: EBUSY it runs; ESHUTDOWN it has run; EAGAIN a thread could not be made: nothing has begun,
 * and it may be called again; ENOMEM, EMFILE, ENFILE. */
int talev_loops_run(struct talev_loops *loops);

/* Asks every loop to run its teardown jobs and to end when nothing is left in it. Once; after that
 * it does nothing. Any thread. */
void talev_loops_shutdown(struct talev_loops *loops);

/* Has that happened? Any thread. */
bool talev_loop_shutting_down(const struct talev_loop *loop);

/* fn(loop, private_data) runs on the loop's thread, or on that of every loop, when all threads are
 * there, before anything that was sent to it; first asked first run. Before talev_loops_run().
 * -1: EALREADY it runs; EINVAL, ENOMEM. */
int _talev_loop_setup(
	struct talev_loop *loop, talev_loop_fn_t fn, void *private_data, const char *where);
#define talev_loop_setup(loop, fn, private_data)                                                   \
	_talev_loop_setup(loop, fn, private_data, TALEV_WHERE(fn))
int _talev_loops_setup(
	struct talev_loops *loops, talev_loop_fn_t fn, void *private_data, const char *where);
#define talev_loops_setup(loops, fn, private_data)                                                 \
	_talev_loops_setup(loops, fn, private_data, TALEV_WHERE(fn))

/* The same for the shutdown; last asked first run. What they send to any of the loops is still
 * taken there. Before talev_loops_run(), and for one loop also on its own thread until it is shut
 * down. -1: EALREADY it runs; ESHUTDOWN; EINVAL, ENOMEM. */
int _talev_loop_teardown(
	struct talev_loop *loop, talev_loop_fn_t fn, void *private_data, const char *where);
#define talev_loop_teardown(loop, fn, private_data)                                                \
	_talev_loop_teardown(loop, fn, private_data, TALEV_WHERE(fn))
int _talev_loops_teardown(
	struct talev_loops *loops, talev_loop_fn_t fn, void *private_data, const char *where);
#define talev_loops_teardown(loops, fn, private_data)                                              \
	_talev_loops_teardown(loops, fn, private_data, TALEV_WHERE(fn))

/* Stops all other loops between two handlers; returns when they stand still. They go on after
 * talev_loops_resume(), which is for the same thread. Any thread. -1: EBUSY somebody else has
 * stopped them, or is about to; EALREADY this thread has; EINVAL they do not run. */
int talev_loops_pause(struct talev_loops *loops);
int talev_loops_resume(struct talev_loops *loops);

/* Runs fn(loop, data) in the loop: the only call for any thread about any loop. Moves the talloc
 * tree at *private_ptr (private_ptr or *private_ptr may be NULL), and sets that to NULL; what of
 * it fn did not talloc_steal() is freed after fn, or when the loop ends before. Calls of one thread
 * for one loop run in their order, never inside this call.
 * -1, nothing moved: ESHUTDOWN the loop has ended; EINVAL the data has talloc references, or events
 * of a loop in it; ENOMEM. */
int _talev_async_run(
	struct talev_loop *loop, talev_loop_fn_t fn, void *private_ptr, const char *where);
#define talev_async_run(loop, fn, private_ptr)                                                     \
	_talev_async_run(loop, fn, private_ptr, TALEV_WHERE(fn))

/* The loop that runs on this thread, or NULL. Any thread. */
struct talev_loop *talev_loop_current(void);
/* The first loop; number i, or NULL; how many. Any thread. */
struct talev_loop *talev_loops_main(struct talev_loops *loops);
struct talev_loop *talev_loops_get(struct talev_loops *loops, unsigned i);
unsigned talev_loops_count(const struct talev_loops *loops);

/* Its context, which is not to be freed; NULL when it has ended. The loop's thread, or before
 * talev_loops_run() the one that will call it. */
struct talev_context *talev_loop_context(const struct talev_loop *loop);
/* Its manager, until that is freed; its number there; its name. Any thread. */
struct talev_loops *talev_loop_loops(const struct talev_loop *loop);
unsigned talev_loop_index(const struct talev_loop *loop);
const char *talev_loop_name(const struct talev_loop *loop);

/* loop stays a valid argument until mem_ctx is freed, whatever becomes of its manager. The thread
 * that owns mem_ctx, while loop is valid. -1: ENOMEM. */
int talev_loop_keep(TALLOC_CTX *mem_ctx, struct talev_loop *loop);

/* How long after the shutdown what still holds a loop is told to the log hook, by name, for the
 * first time; 5 s by default, TALEV_NEVER: not at all. Before talev_loops_run(). -1: EALREADY,
 * EINVAL. */
int talev_loops_set_grace(struct talev_loops *loops, talev_time_t grace);

/* False: SIGTERM and SIGINT are not the manager's. Else the first of them shuts it down, and the
 * second has the effect that it had before. Before talev_loops_run(). -1: EALREADY. */
int talev_loops_set_signals(struct talev_loops *loops, bool on);

#ifdef __cplusplus
}
#endif

#endif
