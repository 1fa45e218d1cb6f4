/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: anything at random, inside any handler, finalizer, or close function. */
/* TIMEOUT: 300
 * NO_VALGRIND: it takes minutes there, and AddressSanitizer sees the same */
/*
 * TALEV_TEST_SEED=n runs that seed alone, TALEV_TEST_SEEDS=n so many. Each seed says where it is
 * when the program dies.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include "support/support.h"

#define OBJECTS  24
#define CONTEXTS 3
#define TURNS    150
#define DEPTH    4 /* of handlers inside handlers */
#define OPS      4000

enum what { FD, TIMER, TICKER, SIGNAL, IMMEDIATE, REQUEST, WAKEUP, GROUP, QUEUE, TREE, WHATS };

struct object {
	enum what what;
	void *ptr; /* NULL once its memory has gone */
	unsigned ctx;
	int fds[2];
	bool finalizer; /* it has one that has not run */
	unsigned running;
};

static struct {
	unsigned short random[3];
	struct object objects[OBJECTS];
	struct talev_context *ctx[CONTEXTS];
	struct talev_ref *refs[OBJECTS];
	int dup; /* of a descriptor that was closed under its watcher */
	bool forked;
	unsigned depth;
	unsigned ops;
	long finalizers; /* that are to run */
} world;

static unsigned pick(unsigned n)
{
	return (unsigned)(nrand48(world.random) % (long)n);
}

static bool one_in(unsigned n)
{
	return pick(n) == 0;
}

#define check(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s: not true: %s\n", __location__, #condition);           \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void act(void);

/* Below an object: tells when its memory goes. */
struct tag {
	struct object *object;
	struct talev_context **ctx;
};

static int untag(struct tag *tag)
{
	if (tag->object != NULL)
		tag->object->ptr = NULL;
	if (tag->ctx != NULL)
		*tag->ctx = NULL;
	return 0;
}

static void tag_with(void *ptr, struct object *object, struct talev_context **ctx)
{
	struct tag *tag = talloc(ptr, struct tag);

	*tag = (struct tag){object, ctx};
	talloc_set_destructor(tag, untag);
}

static void begin(struct object *object, const void *source)
{
	check(object->ptr == source);
	check(talev_source_get_state(source) == TALEV_LIVE);
	check(talev_source_get_enabled(source));
	object->running++;
	world.depth++;
}

static void some_acts(void)
{
	for (unsigned n = pick(4); n > 0; n--)
		act();
}

static void end(struct object *object)
{
	object->running--;
	world.depth--;
}

static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	struct object *object = arg;
	char buf[256];

	(void)ev;
	(void)flags;
	begin(object, fde);
	/* It may be that of another pipe by now, or of none; but a simulation ends only when all is
	 * read. */
	while (!one_in(4) && read(talev_fd_get_fd(fde), buf, sizeof(buf)) > 0) {
	}
	some_acts();
	end(object);
}

static void on_timer(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)ev;
	(void)now;
	begin(arg, te);
	if (one_in(3))
		talev_timer_start(te, (talev_time_t)pick(3) * 1000);
	some_acts();
	end(arg);
}

static void on_signal(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *arg)
{
	(void)ev;
	(void)signum;
	(void)siginfo;
	check(count > 0);
	begin(arg, se);
	some_acts();
	end(arg);
}

static void on_immediate(struct talev_context *ev, struct talev_immediate *im, void *arg)
{
	begin(arg, im);
	if (one_in(4))
		talev_schedule_immediate(im, ev, on_immediate, arg);
	some_acts();
	end(arg);
}

static void on_request(struct talev_req *req)
{
	struct object *object = talev_req_callback_data_void(req);

	begin(object, req);
	if (!talev_req_is_in_progress(req) && one_in(2))
		talloc_free(req);
	some_acts();
	end(object);
}

static void on_close(struct talev_context *ev, struct talev_fd *fde, int fd, void *arg)
{
	struct object *object = arg;

	(void)ev;
	(void)fde;
	close(fd);
	object->fds[0] = -1;
	world.depth++;
	if (one_in(4))
		act();
	world.depth--;
}

static void on_finalize(struct talev_context *ev, void *arg)
{
	struct object *object = arg;

	(void)ev;
	check(object->finalizer);
	check(object->running == 0);
	object->finalizer = false;
	world.finalizers--;
	world.depth++;
	if (one_in(4))
		act();
	world.depth--;
}

static void on_tree(struct talev_context *ev, void *arg)
{
	(void)ev;
	(void)arg;
	world.finalizers--;
	world.depth++;
	if (one_in(4))
		act();
	world.depth--;
}

static void on_cleanup(struct talev_req *req, enum talev_req_state state)
{
	world.depth++;
	if (state != TALEV_REQ_RECEIVED && one_in(8))
		talloc_free(req);
	else if (one_in(4))
		act();
	world.depth--;
}

static bool on_cancel(struct talev_req *req)
{
	bool yes = one_in(2);

	world.depth++;
	if (yes && talev_req_is_in_progress(req) && one_in(2))
		talev_req_error(req, ECANCELED);
	else if (one_in(4))
		act();
	world.depth--;
	return yes;
}

static void on_trigger(struct talev_req *req, void *arg)
{
	(void)arg;
	world.depth++;
	if (one_in(2))
		talev_req_done(req);
	else
		some_acts();
	world.depth--;
}

/* The loop does not wait for ever. */
static void on_pulse(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)te;
	(void)now;
	(void)arg;
	talev_loop_break(ev);
}

static struct talev_context *need_context(unsigned i)
{
	struct talev_context **ctx = &world.ctx[i];

	if (*ctx != NULL && talev_source_get_state(*ctx) != TALEV_LIVE)
		return NULL;
	if (*ctx != NULL)
		return *ctx;
	*ctx = test_context(NULL);
	tag_with(*ctx, NULL, ctx);
	talev_loop_allow_nesting(*ctx);
	if (talev_add_ticker(*ctx, test_root(), TALEV_USEC(500), on_pulse, NULL) == NULL)
		abort();
	return *ctx;
}

static struct object *any_object(void)
{
	struct object *object = &world.objects[pick(OBJECTS)];

	return object->ptr != NULL ? object : NULL;
}

static void *any_parent(void)
{
	const struct object *object = any_object();

	if (one_in(3) && object != NULL)
		return object->ptr;
	return one_in(3) ? world.ctx[pick(CONTEXTS)] : NULL;
}

static struct talev_req *any_request(void)
{
	const struct object *object = any_object();

	if (object == NULL ||
		(object->what != REQUEST && object->what != WAKEUP && object->what != GROUP))
		return NULL;
	return talev_source_get_state(object->ptr) == TALEV_LIVE ? object->ptr : NULL;
}

static talev_time_t any_time(struct talev_context *ev)
{
	static const talev_time_t far[] = {
		INT64_MIN, INT64_MIN + 1, -1, 0, 1, TALEV_NEVER - 1, TALEV_NEVER, TALEV_SEC(1000)};

	if (one_in(8))
		return far[pick(sizeof(far) / sizeof(far[0]))];
	return talev_now(ev) + (talev_time_t)pick(2000000) - 1000000;
}

static void *make_group(struct talev_context *ev)
{
	struct talev_req *members[3];
	size_t n = 0;

	for (unsigned i = 0; i < 20 && n < 3; i++) {
		struct talev_req *req = any_request();
		bool twice = false;

		for (size_t j = 0; j < n; j++)
			twice = twice || members[j] == req;
		/* What runs has its callback on the stack, and is not given away. */
		if (req != NULL && !twice && talev_req_is_in_progress(req))
			members[n++] = req;
	}
	switch (pick(3)) {
	case 0:
		return talev_group_all_send(NULL, ev, members, n);
	case 1:
		return talev_group_any_send(NULL, ev, members, n);
	default:
		return talev_group_first_send(NULL, ev, members, n);
	}
}

static void *make(struct object *object, struct talev_context *ev, void *parent)
{
	static const int signums[] = {SIGUSR1, SIGUSR2};
	struct talev_req *req;
	char *data;
	void *ptr;

	switch (object->what) {
	case FD:
		test_pipe(object->fds);
		ptr = talev_add_fd(ev, parent, object->fds[0],
			TALEV_FD_READ | (one_in(3) ? TALEV_FD_EDGE : 0), on_fd, object);
		if (ptr != NULL && one_in(2))
			talev_fd_set_close_fn(ptr, on_close);
		return ptr;
	case TIMER:
		return talev_add_timer_on(
			ev, parent, (enum talev_clock)pick(3), any_time(ev), on_timer, object);
	case TICKER:
		return talev_add_ticker(
			ev, parent, 1 + (talev_time_t)pick(300000), on_timer, object);
	case SIGNAL:
		return talev_add_signal(ev, parent, signums[pick(2)], one_in(2) ? SA_SIGINFO : 0,
			on_signal, object);
	case IMMEDIATE:
		ptr = talev_create_immediate(parent);
		if (ptr != NULL)
			talev_schedule_immediate(ptr, ev, on_immediate, object);
		return ptr;
	case REQUEST:
		req = talev_req_create(ev, parent, &data, char);
		if (req != NULL && one_in(2))
			talev_req_set_cleanup_fn(req, on_cleanup);
		if (req != NULL && one_in(2))
			talev_req_set_cancel_fn(req, on_cancel);
		if (req != NULL && one_in(4))
			talev_req_set_profile(req);
		return req;
	case WAKEUP:
		return talev_wakeup_send(parent, ev, any_time(ev));
	case GROUP:
		return make_group(ev);
	case QUEUE:
		return talev_queue_create(ev, parent, "queue");
	default:
		return talloc_new(parent);
	}
}

static void put_away(struct object *object)
{
	for (int i = 0; i < 2; i++)
		if (object->fds[i] >= 0)
			close(object->fds[i]);
	object->fds[0] = object->fds[1] = -1;
}

static void add(void)
{
	struct object *object = &world.objects[pick(OBJECTS)];
	struct talev_context *ev = need_context(pick(CONTEXTS));

	if (object->ptr != NULL || object->finalizer || object->running > 0 || ev == NULL)
		return;
	put_away(object);
	object->what = (enum what)pick(WHATS);
	object->ptr = make(object, ev, any_parent());
	if (object->ptr == NULL)
		return;
	tag_with(object->ptr, object, NULL);
	if (object->what == REQUEST || object->what == WAKEUP || object->what == GROUP)
		talev_req_set_callback(object->ptr, on_request, object);
	if (object->what != TREE && one_in(3) &&
		talev_source_set_finalizer(object->ptr, 0, on_finalize, object) == 0) {
		object->finalizer = true;
		world.finalizers++;
	}
}

static void finalize(void *ptr)
{
	static const unsigned flags[] = {0, 0, TALEV_FINALIZE_NOW, TALEV_FINALIZE_AFTER_FREE};
	struct talev_context *ev = world.ctx[pick(CONTEXTS)];

	if (ev == NULL || ptr == NULL)
		return;
	world.finalizers++;
	if (talev_finalize(ev, ptr, flags[pick(4)], on_tree, NULL) != 0)
		world.finalizers--;
}

static void change_timer(struct object *object)
{
	struct talev_context *ev = talev_source_get_context(object->ptr);

	if (ev == NULL)
		return;
	switch (pick(5)) {
	case 0:
		talev_update_timer(object->ptr, any_time(ev));
		break;
	case 1:
		talev_timer_stop(object->ptr);
		break;
	case 2:
		talev_timer_set_slack(object->ptr, (talev_time_t)pick(3) * TALEV_MSEC(1));
		break;
	case 3:
		talev_timer_set_period(object->ptr, (talev_time_t)pick(3) * TALEV_USEC(100));
		break;
	default:
		talev_timer_start(object->ptr, any_time(ev));
	}
}

/* As programs do by mistake: the number may be another file's at once. */
static void close_under_the_watcher(struct object *object)
{
	if (object->fds[0] < 0 || talev_fd_set_close_fn(object->ptr, NULL) != 0)
		return;
	if (world.dup >= 0)
		close(world.dup);
	world.dup = one_in(2) ? dup(object->fds[0]) : -1;
	close(object->fds[0]);
	object->fds[0] = -1;
}

static void change_fd(struct object *object)
{
	if (one_in(2))
		talev_fd_set_flags(object->ptr, (uint16_t)(pick(2) * TALEV_FD_READ));
	else if (one_in(8))
		close_under_the_watcher(object);
	else if (object->fds[0] >= 0)
		test_poke(object->fds[1]);
}

static void change_request(struct object *object)
{
	struct object *other = any_object();
	struct talev_req *req = object->ptr;

	if (talev_source_get_state(req) != TALEV_LIVE)
		return;
	switch (pick(6)) {
	case 0:
		if (object->what == REQUEST && talev_req_is_in_progress(req))
			talev_req_done(req);
		break;
	case 1:
		talev_req_cancel(req);
		break;
	case 2:
		talev_req_set_deadline(req, any_time(talev_req_context(req)));
		break;
	case 3:
		talev_req_reset_deadline(req);
		break;
	case 4:
		talev_req_defer_callback(req);
		break;
	default:
		if (object->what == REQUEST && other != NULL && other->what == QUEUE)
			talev_queue_add(other->ptr, req, on_trigger, NULL);
	}
}

static void change(struct object *object)
{
	switch (object->what) {
	case FD:
		change_fd(object);
		break;
	case TIMER:
	case TICKER:
		change_timer(object);
		break;
	case SIGNAL:
		if (talev_source_get_state(object->ptr) == TALEV_LIVE)
			raise(talev_signal_get_signum(object->ptr));
		break;
	case IMMEDIATE:
		if (one_in(2))
			talev_cancel_immediate(object->ptr);
		else if (world.ctx[object->ctx] != NULL)
			talev_schedule_immediate(
				object->ptr, world.ctx[pick(CONTEXTS)], on_immediate, object);
		break;
	case REQUEST:
	case WAKEUP:
	case GROUP:
		change_request(object);
		break;
	case QUEUE:
		if (one_in(2))
			talev_queue_stop(object->ptr);
		else
			talev_queue_start(object->ptr);
		break;
	default:
		break;
	}
}

static void loop(struct talev_context *ev)
{
	if (ev == NULL || world.depth > DEPTH)
		return;
	switch (pick(4)) {
	case 0:
		talev_loop_once(ev);
		break;
	case 1:
		talev_loop_timed(ev, (talev_time_t)pick(100000));
		break;
	case 2:
		talev_loop_wait(ev);
		break;
	default:
		talev_loop_nowait(ev);
	}
}

static void trace(
	struct talev_context *ev, enum talev_trace_point point, void *source, void *private_data)
{
	(void)private_data;
	check(talev_context_get_backend(ev) != NULL);
	if (source != NULL && point != TALEV_TRACE_DETACH)
		check(talev_source_get_name(source) != NULL);
}

static void ignore(enum talev_log_level level, const char *message, void *private_data)
{
	(void)private_data;
	if (level == TALEV_LOG_FATAL)
		fprintf(stderr, "%s\n", message);
}

/* The child goes on for a while inside whatever it is in. */
static void fork_here(void)
{
	pid_t pid = world.forked ? -1 : fork();
	int status;

	if (pid > 0) {
		check(waitpid(pid, &status, 0) == pid);
		check(status == 0);
	} else if (pid == 0) {
		world.forked = true;
		world.ops = world.ops < 50 ? world.ops : 50;
	}
}

static void configure(struct talev_context *ev)
{
	if (ev == NULL)
		return;
	switch (pick(8)) {
	case 6:
		if (one_in(16))
			fork_here();
		break;
	case 0:
		talev_context_set_timing(ev, one_in(2));
		break;
	case 1:
		talev_context_set_slow_handler(ev, pick(2));
		break;
	case 2:
		talev_context_set_trace(ev, one_in(4) ? trace : NULL, NULL);
		break;
	case 3:
		talev_context_set_strict(ev, one_in(2));
		break;
	case 4:
		talloc_free(talev_snapshot(NULL, ev));
		break;
	case 5:
		talev_loop_break(ev);
		break;
	default:
		if (one_in(8) && talev_source_get_state(ev) == TALEV_LIVE &&
			talev_re_initialise(ev) == 0)
			(void)!talev_add_ticker(ev, test_root(), TALEV_USEC(500), on_pulse, NULL);
	}
}

static void steal(struct object *object)
{
	void *parent = any_parent();

	if (object->what == TREE || talev_source_get_state(object->ptr) != TALEV_LIVE)
		return;
	if (parent == NULL || (parent != object->ptr && !talloc_is_parent(parent, object->ptr)))
		talloc_steal(parent, object->ptr);
}

static void refer(struct object *object)
{
	struct talev_ref **ref = &world.refs[pick(OBJECTS)];
	struct talev_context *ev;

	if (*ref != NULL) {
		if (one_in(2)) {
			world.finalizers++;
			if (talev_ref_finalize(*ref, 0, on_tree, NULL) != 0)
				world.finalizers--;
		} else {
			talev_ref_cancel(*ref);
		}
		TALLOC_FREE(*ref);
		return;
	}
	ev = object->what != TREE ? talev_source_get_context(object->ptr) : NULL;
	if (ev != NULL)
		*ref = talev_ref_create(ev, test_root(), object->ptr);
}

static void act_on(struct object *object)
{
	switch (pick(10)) {
	case 0:
		talloc_free(object->ptr);
		break;
	case 1:
		finalize(object->ptr);
		break;
	case 2:
		if (object->what != TREE)
			talev_source_set_enabled(object->ptr, one_in(2));
		break;
	case 3:
		if (talev_source_get_state(object->ptr) != TALEV_LIVE)
			break;
		if (object->what != TREE && one_in(2))
			talev_source_set_name(object->ptr, one_in(2) ? "name" : NULL);
		else if (object->what != TREE)
			talev_source_set_tag(object->ptr, pick(3));
		break;
	case 4:
		steal(object);
		break;
	case 5:
		refer(object);
		break;
	default:
		change(object);
	}
}

static void act(void)
{
	struct object *object = any_object();
	unsigned i = pick(CONTEXTS);

	if (world.ops == 0 || world.depth > 2 * DEPTH)
		return;
	world.ops--;
	switch (pick(12)) {
	case 0:
		if (one_in(8))
			talloc_free(world.ctx[i]);
		break;
	case 1:
		if (one_in(8))
			finalize(world.ctx[i]);
		break;
	case 2:
		configure(world.ctx[i]);
		break;
	case 3:
		loop(world.ctx[i]);
		break;
	case 4:
	case 5:
	case 6:
		add();
		break;
	default:
		if (object != NULL)
			act_on(object);
	}
}

/* Something to do for a loop. */
static void stir(void)
{
	struct object *object = any_object();

	if (object != NULL)
		change(object);
}

static void run_seed(unsigned seed)
{
	memset(&world, 0, sizeof(world));
	world.random[0] = (unsigned short)seed;
	world.random[1] = (unsigned short)(seed >> 16);
	world.ops = OPS;
	world.dup = -1;
	for (unsigned i = 0; i < OBJECTS; i++) {
		world.objects[i].fds[0] = world.objects[i].fds[1] = -1;
		world.objects[i].ctx = pick(CONTEXTS);
	}
	for (unsigned turn = 0; turn < TURNS && !(world.forked && world.ops == 0); turn++) {
		for (unsigned n = pick(6); n > 0; n--)
			add();
		for (unsigned n = pick(6); n > 0; n--)
			stir();
		for (unsigned n = pick(6); n > 0; n--)
			act();
		loop(need_context(pick(CONTEXTS)));
	}
	if (world.forked)
		_exit(0);
	world.ops = 0;
	for (unsigned i = 0; i < CONTEXTS; i++) {
		/* One that was finalized goes in its loop. */
		if (world.ctx[i] != NULL && talev_source_get_state(world.ctx[i]) != TALEV_LIVE)
			talev_loop_nowait(world.ctx[i]);
		talloc_free(world.ctx[i]);
	}
	for (unsigned i = 0; i < OBJECTS; i++) {
		talloc_free(world.objects[i].ptr);
		talloc_free(world.refs[i]);
	}
	for (unsigned i = 0; i < OBJECTS; i++) {
		check(world.objects[i].ptr == NULL);
		check(!world.objects[i].finalizer);
		put_away(&world.objects[i]);
	}
	if (world.dup >= 0)
		close(world.dup);
	check(world.finalizers == 0);
}

static unsigned number_of(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void anything_may_be_done_anywhere(void **state)
{
	unsigned seed = number_of("TALEV_TEST_SEED", 0);
	unsigned seeds = number_of("TALEV_TEST_SEEDS", test_is_slow() ? 15 : 60);

	(void)state;
	talev_set_log_fn(ignore, NULL);
	if (seed != 0) {
		run_seed(seed);
		return;
	}
	for (seed = 1; seed <= seeds; seed++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			run_seed(seed);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0)
			fail_msg("TALEV_TEST_SEED=%u: status 0x%x", seed, (unsigned)status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(anything_may_be_done_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
