/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tevent exports for the backends in its own tree, without declaring it. It works on the
 * events of this library, and on contexts of its backends or of ops that build on them.
 */
#include <errno.h>
#include <unistd.h>
#include "tevent/event.h"

struct tevent_fd *tevent_common_add_fd(struct tevent_context *ev, TALLOC_CTX *mem_ctx, int fd,
	uint16_t flags, tevent_fd_handler_t handler, void *private_data, const char *handler_name,
	const char *location);
void tevent_common_fd_set_close_fn(struct tevent_fd *fde, tevent_fd_close_fn_t close_fn);
uint16_t tevent_common_fd_get_flags(struct tevent_fd *fde);
void tevent_common_fd_set_flags(struct tevent_fd *fde, uint16_t flags);
int tevent_common_fd_destructor(struct tevent_fd *fde);
struct tevent_timer *tevent_common_add_timer(struct tevent_context *ev, TALLOC_CTX *mem_ctx,
	struct timeval next_event, tevent_timer_handler_t handler, void *private_data,
	const char *handler_name, const char *location);
struct tevent_timer *tevent_common_add_timer_v2(struct tevent_context *ev, TALLOC_CTX *mem_ctx,
	struct timeval next_event, tevent_timer_handler_t handler, void *private_data,
	const char *handler_name, const char *location);
struct timeval tevent_common_loop_timer_delay(struct tevent_context *ev);
void tevent_common_schedule_immediate(struct tevent_immediate *im, struct tevent_context *ev,
	tevent_immediate_handler_t handler, void *private_data, const char *handler_name,
	const char *location);
void tevent_common_immediate_cancel(struct tevent_immediate *im);
bool tevent_common_loop_immediate(struct tevent_context *ev);
void tevent_common_threaded_activate_immediate(struct tevent_context *ev);
struct tevent_signal *tevent_common_add_signal(struct tevent_context *ev, TALLOC_CTX *mem_ctx,
	int signum, int sa_flags, tevent_signal_handler_t handler, void *private_data,
	const char *handler_name, const char *location);
int tevent_common_check_signal(struct tevent_context *ev);
void tevent_cleanup_pending_signal_handlers(struct tevent_signal *se);
int tevent_common_invoke_fd_handler(struct tevent_fd *fde, uint16_t flags, bool *removed);
int tevent_common_invoke_timer_handler(
	struct tevent_timer *te, struct timeval current_time, bool *removed);
int tevent_common_invoke_immediate_handler(struct tevent_immediate *im, bool *removed);
int tevent_common_invoke_signal_handler(
	struct tevent_signal *se, int signum, int count, void *siginfo, bool *removed);
void tevent_common_check_double_free(TALLOC_CTX *ptr, const char *reason);
int tevent_common_loop_wait(struct tevent_context *ev, const char *location);
bool tevent_common_have_events(struct tevent_context *ev);
int tevent_common_context_destructor(struct tevent_context *ev);
int tevent_common_wakeup_init(struct tevent_context *ev);
int tevent_common_wakeup_fd(int fd);
int tevent_common_wakeup(struct tevent_context *ev);

struct tevent_fd *tevent_common_add_fd(struct tevent_context *ev, TALLOC_CTX *mem_ctx, int fd,
	uint16_t flags, tevent_fd_handler_t handler, void *private_data, const char *handler_name,
	const char *location)
{
	return fd_add(ev, mem_ctx, fd, flags, handler, private_data, handler_name, location);
}

void tevent_common_fd_set_close_fn(struct tevent_fd *fde, tevent_fd_close_fn_t close_fn)
{
	fd_set_close_fn(fde, close_fn);
}

uint16_t tevent_common_fd_get_flags(struct tevent_fd *fde)
{
	return fd_get_flags(fde);
}

void tevent_common_fd_set_flags(struct tevent_fd *fde, uint16_t flags)
{
	fd_set_flags(fde, flags);
}

int tevent_common_fd_destructor(struct tevent_fd *fde)
{
	return fd_destructor(fde);
}

struct tevent_timer *tevent_common_add_timer(struct tevent_context *ev, TALLOC_CTX *mem_ctx,
	struct timeval next_event, tevent_timer_handler_t handler, void *private_data,
	const char *handler_name, const char *location)
{
	return timer_add(ev, mem_ctx, next_event, handler, private_data, handler_name, location);
}

struct tevent_timer *tevent_common_add_timer_v2(struct tevent_context *ev, TALLOC_CTX *mem_ctx,
	struct timeval next_event, tevent_timer_handler_t handler, void *private_data,
	const char *handler_name, const char *location)
{
	return timer_add(ev, mem_ctx, next_event, handler, private_data, handler_name, location);
}

/* Runs a timer that is due; else how long to wait for the first. */
struct timeval tevent_common_loop_timer_delay(struct tevent_context *ev)
{
	struct timeval now;
	struct timeval first;
	talev_time_t bound;

	if (timer_run(ev))
		return tevent_timeval_zero();
	if (!timer_any(ev))
		return tevent_timeval_set(ev->wait_timeout, 0);
	now = tevent_timeval_current();
	bound = timer_bound(ev);
	first.tv_sec = bound > 0 ? bound / TALEV_SEC(1) : 0;
	first.tv_usec = bound > 0 ? bound % TALEV_SEC(1) / TALEV_USEC(1) : 0;
	return tevent_timeval_until(&now, &first);
}

void tevent_common_schedule_immediate(struct tevent_immediate *im, struct tevent_context *ev,
	tevent_immediate_handler_t handler, void *private_data, const char *handler_name,
	const char *location)
{
	immediate_schedule(im, ev, handler, private_data, handler_name, location);
}

void tevent_common_immediate_cancel(struct tevent_immediate *im)
{
	immediate_cancel(im);
}

bool tevent_common_loop_immediate(struct tevent_context *ev)
{
	return immediate_run(ev);
}

void tevent_common_threaded_activate_immediate(struct tevent_context *ev)
{
	if (ev->door != NULL)
		door_collect(ev->door);
}

struct tevent_signal *tevent_common_add_signal(struct tevent_context *ev, TALLOC_CTX *mem_ctx,
	int signum, int sa_flags, tevent_signal_handler_t handler, void *private_data,
	const char *handler_name, const char *location)
{
	return signal_add(
		ev, mem_ctx, signum, sa_flags, handler, private_data, handler_name, location);
}

int tevent_common_check_signal(struct tevent_context *ev)
{
	return signal_run(ev) ? 1 : 0;
}

/* Nothing of a signal event is pending once it is detached. */
void tevent_cleanup_pending_signal_handlers(struct tevent_signal *se)
{
	signal_detach(se);
}

int tevent_common_invoke_fd_handler(struct tevent_fd *fde, uint16_t flags, bool *removed)
{
	fd_invoke(fde, flags, removed);
	return 0;
}

int tevent_common_invoke_timer_handler(
	struct tevent_timer *te, struct timeval current_time, bool *removed)
{
	timer_invoke(te, current_time, removed);
	return 0;
}

int tevent_common_invoke_immediate_handler(struct tevent_immediate *im, bool *removed)
{
	immediate_invoke(im, removed);
	return 0;
}

int tevent_common_invoke_signal_handler(
	struct tevent_signal *se, int signum, int count, void *siginfo, bool *removed)
{
	(void)signum;
	signal_invoke(se, count, siginfo, removed);
	return 0;
}

void tevent_common_check_double_free(TALLOC_CTX *ptr, const char *reason)
{
	event_check_double_free(ptr, reason);
}

int tevent_common_loop_wait(struct tevent_context *ev, const char *location)
{
	return loop_wait(ev, location);
}

bool tevent_common_have_events(struct tevent_context *ev)
{
	return loop_has_events(ev);
}

int tevent_common_context_destructor(struct tevent_context *ev)
{
	context_disarm(ev);
	loop_close(ev);
	return 0;
}

/* 0, or an errno. */
int tevent_common_wakeup_init(struct tevent_context *ev)
{
	if (ev->loop == NULL)
		return EINVAL;
	return door_get(ev) != NULL ? 0 : ENOMEM;
}

int tevent_common_wakeup_fd(int fd)
{
	uint64_t one = 1;

	return write(fd, &one, sizeof(one)) == sizeof(one) ? 0 : errno;
}

int tevent_common_wakeup(struct tevent_context *ev)
{
	if (ev->door == NULL)
		return ENOTCONN;
	door_wake(ev->door);
	return 0;
}
