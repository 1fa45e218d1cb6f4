/* SPDX-License-Identifier: BSD-2-Clause */
/* Works on all of its loops at once: each sends to the first one, and that to each, all the time.
 * Says "wrong" if something of it goes in another order than promised. Options:
 *   fail    init, or loop: what fails
 *   hang    init, reload or handler: what does not return before there is the file_to_come
 *   file_to_come
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <talev/context.h>
#include <talev/plugin.h>
#include <talev/pool.h>
#include <talev/proxy.h>
#include <talev/timer.h>
#include <unistd.h>

#define DESKS 8

struct crowd {
	const struct talev_plugin_host *host;
	struct talev_thread_proxy *proxy;
	struct talev_loop *home;
	struct talev_timer *ticker;
	struct desk *_Atomic desks[DESKS];
	atomic_uint there;
	atomic_uint came; /* at the first loop */
	char file[512];
};

/* On each further loop. */
struct desk {
	struct crowd *crowd;
	struct talev_loop *loop;
	struct talev_thread_proxy *first;
	unsigned number;
	unsigned pokes;
};

static void hang(const struct crowd *crowd)
{
	crowd->host->log(crowd->host, TALEV_LOG_INFO, "hangs");
	while (access(crowd->file, F_OK) == -1)
		poll(NULL, 0, 1);
	crowd->host->log(crowd->host, TALEV_LOG_INFO, "goes on");
}

static bool is(const struct talev_plugin_host *host, const char *key, const char *value)
{
	const char *text = host->option(host, key);

	return text && strcmp(text, value) == 0;
}

static void on_message(struct talev_context *ev, struct talev_immediate *im, void *private_data)
{
	struct crowd *const *crowd = private_data;

	(void)ev;
	(void)im;
	if (talev_loop_current() != (*crowd)->home)
		(*crowd)->host->log((*crowd)->host, TALEV_LOG_ERROR, "wrong thread");
	atomic_fetch_add(&(*crowd)->came, 1);
}

static void send_home(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct desk *desk = private_data;
	struct talev_immediate *im = talev_create_immediate(desk);
	struct crowd **data = talloc(desk, struct crowd *);

	(void)ev;
	(void)te;
	(void)now;
	*data = desk->crowd;
	if (talev_thread_proxy_schedule(desk->first, &im, on_message, &data) == -1) {
		talloc_free(im);
		talloc_free(data);
	}
}

/* On the loop of the desk. */
static void poke(struct talev_loop *loop, void *data)
{
	struct desk *const *desk = data;

	if ((*desk)->loop != loop)
		(*desk)->crowd->host->log((*desk)->crowd->host, TALEV_LOG_ERROR, "wrong loop");
	(*desk)->pokes++;
}

static void send_out(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	struct crowd *crowd = private_data;
	unsigned i;

	(void)ev;
	(void)te;
	(void)now;
	for (i = 0; i < DESKS; i++) {
		struct desk *desk = atomic_load(&crowd->desks[i]);
		struct desk **data = desk ? talloc(crowd, struct desk *) : NULL;

		if (!data)
			continue;
		*data = desk;
		if (talev_async_run(desk->loop, poke, &data) == -1)
			talloc_free(data);
	}
}

static void hanging(
	struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *private_data)
{
	(void)ev;
	(void)te;
	(void)now;
	hang(private_data);
}

static int crowd_gone(struct crowd *crowd)
{
	if (atomic_load(&crowd->there) != 0 || talev_loop_current() != crowd->home)
		crowd->host->log(crowd->host, TALEV_LOG_ERROR, "wrong order");
	return 0;
}

static int desk_gone(struct desk *desk)
{
	if (talev_loop_current() != desk->loop)
		desk->crowd->host->log(desk->crowd->host, TALEV_LOG_ERROR, "wrong thread");
	atomic_store(&desk->crowd->desks[desk->number], NULL);
	atomic_fetch_sub(&desk->crowd->there, 1);
	return 0;
}

static int crowd_init(const struct talev_plugin_host *host)
{
	struct crowd *crowd = talloc_zero(host->mem_ctx, struct crowd);
	const char *file = host->option(host, "file_to_come");

	if (!crowd)
		return ENOMEM;
	crowd->host = host;
	crowd->home = talev_loop_current();
	*host->private_data = crowd;
	talloc_set_destructor(crowd, crowd_gone);
	if (file)
		strncpy(crowd->file, file, sizeof(crowd->file) - 1);
	host->log(host, TALEV_LOG_INFO, "lives on %s, loops %u, pool %s",
		crowd->home ? talev_loop_name(crowd->home) : "no loop",
		host->loops ? talev_loops_count(host->loops) : 0,
		host->pool ? talev_pool_name(host->pool) : "none");
	if (is(host, "hang", "init"))
		hang(crowd);
	if (is(host, "hang", "handler") && !talev_add_timer(host->ev, crowd, 0, hanging, crowd))
		return errno;
	crowd->ticker = talev_add_ticker(host->ev, crowd, TALEV_USEC(50), send_out, crowd);
	crowd->proxy = talev_thread_proxy_create(host->ev, crowd);
	if (!crowd->proxy || !crowd->ticker)
		return errno;
	return is(host, "fail", "init") ? EIO : 0;
}

static int crowd_init_loop(
	const struct talev_plugin_host *host, struct talev_loop *loop, TALLOC_CTX *mem_ctx)
{
	struct desk *desk = talloc_zero(mem_ctx, struct desk);
	struct crowd *crowd = *host->private_data;

	if (!desk)
		return ENOMEM;
	desk->crowd = crowd;
	desk->loop = loop;
	desk->number = talev_loop_index(loop);
	atomic_fetch_add(&crowd->there, 1);
	talloc_set_destructor(desk, desk_gone);
	host->log(host, TALEV_LOG_INFO, "is on %s too", talev_loop_name(loop));
	desk->first = talev_thread_proxy_attach(desk, crowd->proxy);
	if (!desk->first ||
		!talev_add_ticker(talev_loop_context(loop), desk, TALEV_USEC(50), send_home, desk))
		return errno;
	atomic_store(&crowd->desks[desk->number], desk);
	return is(host, "fail", "loop") ? EIO : 0;
}

static int crowd_reload(const struct talev_plugin_host *host)
{
	struct crowd *crowd = *host->private_data;

	if (talev_loop_current() != crowd->home)
		host->log(host, TALEV_LOG_ERROR, "wrong thread");
	if (is(host, "hang", "reload"))
		hang(crowd);
	return is(host, "fail", "reload") ? EIO : 0;
}

TALEV_PLUGIN_LOOPS("crowd", crowd_init, crowd_reload, crowd_init_loop);
