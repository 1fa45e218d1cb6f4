/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TEST_ALL_BACKENDS: each allocation of requests, queues, groups and profiles fails in turn: an
 * error is returned, nothing leaks, and the context goes on working.
 *
 * NO_VALGRIND: it replaces the allocator that fails here
 * NO_ASAN: it replaces the allocator that fails here
 */
#include "support/support.h"

struct some_state {
	int number;
};

struct oom {
	TALLOC_CTX *mem_ctx; /* freed after each try */
	struct talev_context *ev;
	struct talev_req *req;
	struct talev_queue *queue;
	unsigned ends;
};

static struct talev_req *make(struct oom *oom, TALLOC_CTX *mem_ctx)
{
	struct some_state *state;

	return talev_req_create(oom->ev, mem_ctx, &state, struct some_state);
}

static void count_end(struct talev_req *req)
{
	struct oom *oom = talev_req_callback_data_void(req);

	oom->ends++;
}

/* Each returns whether it worked; if not, errno says ENOMEM. */
static bool create(struct oom *oom)
{
	return make(oom, oom->mem_ctx) != NULL;
}

static bool set_deadline(struct oom *oom)
{
	struct talev_req *req = make(oom, oom->mem_ctx);

	return req != NULL && talev_req_set_deadline(req, TALEV_SEC(1)) == 0;
}

static bool end_at_deadline(struct oom *oom)
{
	struct talev_req *req = make(oom, oom->mem_ctx);
	struct talev_req *below = req != NULL ? make(oom, req) : NULL;

	if (below == NULL || talev_req_set_deadline(req, 0) != 0)
		return false;
	talev_req_set_callback(req, count_end, oom);
	talev_req_set_callback(below, count_end, oom);
	assert_ok(talev_loop_wait(oom->ev));
	assert_int_equal(oom->ends, 2);
	return true;
}

static bool wakeup(struct oom *oom)
{
	return talev_wakeup_send(oom->mem_ctx, oom->ev, TALEV_NEVER) != NULL;
}

static char *print_nothing(struct talev_req *req, TALLOC_CTX *mem_ctx)
{
	(void)req;
	(void)mem_ctx;
	return NULL;
}

static bool print(struct oom *oom)
{
	return talev_req_set_print_fn(oom->req, print_nothing) == 0 &&
	       talev_req_default_print(oom->req, oom->mem_ctx) != NULL &&
	       talev_req_print(oom->mem_ctx, NULL) != NULL;
}

static bool profile(struct oom *oom)
{
	struct talev_req *req = make(oom, oom->mem_ctx);

	if (req == NULL || talev_req_set_profile(req) != 0)
		return false;
	/* One that is missing in the profile is no failure. */
	if (make(oom, req) == NULL)
		return false;
	talev_req_done(req);
	return talev_req_profile_text(oom->mem_ctx, talev_req_get_profile(req)) != NULL &&
	       talev_req_profile_json(oom->mem_ctx, talev_req_get_profile(req)) != NULL;
}

static void trigger(struct talev_req *req, void *private_data)
{
	(void)private_data;
	talev_req_done(req);
}

static bool queue(struct oom *oom)
{
	struct talev_queue *made = talev_queue_create(oom->ev, oom->mem_ctx, "queue");

	return made != NULL && talev_queue_wait_send(oom->mem_ctx, oom->ev, made) != NULL;
}

static bool queue_add(struct oom *oom)
{
	struct talev_req *req = make(oom, oom->mem_ctx);

	if (req == NULL)
		return false;
	if (talev_queue_add(oom->queue, req, trigger, NULL) != 0) {
		assert_int_equal(talev_queue_length(oom->queue), 0);
		return false;
	}
	return true;
}

static bool queue_add_optimize_empty(struct oom *oom)
{
	struct talev_req *req = make(oom, oom->mem_ctx);

	return req != NULL &&
	       talev_queue_add_optimize_empty(oom->queue, req, trigger, NULL) != NULL;
}

static bool group_all(struct oom *oom)
{
	struct talev_req *members[3];

	for (int i = 0; i < 3; i++) {
		members[i] = make(oom, oom->mem_ctx);
		if (members[i] == NULL)
			return false;
	}
	if (talev_group_all_send(oom->mem_ctx, oom->ev, members, 3) != NULL)
		return true;
	assert_ptr_equal(talloc_parent(members[2]), oom->mem_ctx);
	return false;
}

static int start(struct talev_req *group, size_t i, struct talev_req **member, void *private_data)
{
	if (i == 3)
		return 0;
	*member = make(private_data, group);
	return *member != NULL ? 0 : -1;
}

/* A start that fails is an end of the group, not of the call that made it. */
static bool group_each(struct oom *oom)
{
	struct talev_req *req = talev_group_each_send(oom->mem_ctx, oom->ev, 2, start, NULL, oom);

	if (req == NULL)
		return false;
	if (!test_alloc_failed())
		return true;
	talev_req_set_callback(req, count_end, oom);
	assert_ok(talev_loop_wait(oom->ev));
	assert_int_equal(oom->ends, 1);
	return talev_group_recv(req, NULL) == 0;
}

static const struct {
	const char *name;
	bool (*fn)(struct oom *oom);
	bool may_succeed; /* without one of its allocations */
} cases[] = {
	{"create", create, false},
	{"set_deadline", set_deadline, false},
	{"end_at_deadline", end_at_deadline, false},
	{"wakeup", wakeup, false},
	{"print", print, false},
	{"profile", profile, true},
	{"queue", queue, false},
	{"queue_add", queue_add, false},
	{"queue_add_optimize_empty", queue_add_optimize_empty, false},
	{"group_all", group_all, false},
	{"group_each", group_each, false},
};

/* With the n-th allocation failing. False: it needs fewer. */
static bool try(const char *name, bool (*fn)(struct oom *oom), bool may_succeed, TALLOC_CTX *root,
	unsigned long n)
{
	struct oom oom = {.ev = test_context(root)};
	bool failed;
	bool worked;
	size_t blocks;
	int error;

	oom.req = make(&oom, root);
	oom.queue = talev_queue_create(oom.ev, root, NULL);
	oom.mem_ctx = talloc_new(root);
	assert_non_null(oom.req);
	assert_non_null(oom.queue);
	assert_non_null(oom.mem_ctx);
	blocks = talloc_total_blocks(root);
	errno = 0;
	test_alloc_fail_at(n);
	worked = fn(&oom);
	error = errno;
	failed = test_alloc_failed();
	test_alloc_fail_at(0);
	if (failed && worked && !may_succeed)
		fail_msg("%s worked without its allocation %lu", name, n);
	if (!worked && (!failed || error != ENOMEM))
		fail_msg("%s, allocation %lu: %s", name, n, strerror(error));
	talloc_free_children(oom.mem_ctx);
	if (!worked && talloc_total_blocks(root) != blocks)
		fail_msg("%s, allocation %lu: leaves blocks behind", name, n);
	talloc_free(oom.mem_ctx);
	assert_ok(test_run(oom.ev));
	talloc_free(oom.queue);
	talloc_free(oom.req);
	talloc_free(oom.ev);
	return failed;
}

static void each_allocation_may_fail(void **state)
{
	long before;

	if (!test_alloc_works())
		skip();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (unsigned long n = 1; n < 200; n++) {
			before = test_alloc_bytes();
			if (!try(cases[i].name, cases[i].fn, cases[i].may_succeed, *state, n))
				break;
			if (test_alloc_bytes() != before)
				fail_msg("%s, allocation %lu: leaks", cases[i].name, n);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
