/* SPDX-License-Identifier: BSD-2-Clause */
/* TEST_ALL_BACKENDS: profiles tell what requests did, those below them included. */
#include "support/support.h"

struct some_state {
	int number;
};

struct inner_state {
	int number;
};

static struct talev_req *make(struct talev_context *ev, TALLOC_CTX *mem_ctx)
{
	struct some_state *state;
	struct talev_req *req = talev_req_create(ev, mem_ctx, &state, struct some_state);

	assert_non_null(req);
	return req;
}

static struct talev_req *make_inner(struct talev_context *ev, TALLOC_CTX *mem_ctx)
{
	struct inner_state *state;
	struct talev_req *req = talev_req_create(ev, mem_ctx, &state, struct inner_state);

	assert_non_null(req);
	return req;
}

static struct talev_req_profile_info info_of(const struct talev_req_profile *profile)
{
	struct talev_req_profile_info info;

	assert_non_null(profile);
	talev_req_profile_get(profile, &info, sizeof(info));
	return info;
}

static void request_has_no_profile_unless_asked_for(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	struct talev_req *above = make(ev, *state);

	assert_null(talev_req_get_profile(req));
	assert_null_errno(talev_req_move_profile(req, *state), EINVAL);
	assert_ok(talev_req_set_profile(above));
	assert_errno(talev_req_set_profile(above), EALREADY);
	assert_null(talev_req_get_profile(make(ev, *state)));
	talev_req_done(req);
	assert_errno(talev_req_set_profile(req), ESTALE);
}

static void profile_tells_start_stop_and_end(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	struct talev_req_profile_info info;
	talev_time_t before = talev_now(ev);

	assert_ok(talev_req_set_profile(req));
	info = info_of(talev_req_get_profile(req));
	assert_string_equal(info.name, "struct some_state");
	assert_non_null(strstr(info.location, "test_profile.c:"));
	assert_int_equal(info.state, TALEV_REQ_IN_PROGRESS);
	assert_true(info.stop == TALEV_NEVER);
	assert_null(info.ended_at);
	assert_null_errno(talev_req_move_profile(req, *state), EINPROGRESS);
	assert_ok(talev_req_set_deadline(req, before + TALEV_MSEC(2)));
	assert_ok(test_run(ev));
	info = info_of(talev_req_get_profile(req));
	assert_int_equal(info.state, TALEV_REQ_TIMED_OUT);
	assert_int_equal(info.error, ETIME);
	assert_true(info.start >= before);
	assert_true(info.stop >= before + TALEV_MSEC(2));
	assert_non_null(strstr(info.ended_at, "test_profile.c:"));
}

static void requests_below_are_in_it_in_order(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	const struct talev_req_profile *profile;
	const struct talev_req_profile *below;
	struct talev_req *inner;
	struct talev_req *second;

	assert_ok(talev_req_set_profile(req));
	profile = talev_req_get_profile(req);
	assert_null(talev_req_profile_first(profile));
	assert_null(talev_req_profile_next(profile));
	inner = make_inner(ev, talloc_new(req));
	second = make(ev, req);
	make_inner(ev, inner);
	talev_req_error(inner, EIO);
	talloc_free(inner);
	below = talev_req_profile_first(profile);
	assert_string_equal(info_of(below).name, "struct inner_state");
	assert_int_equal(info_of(below).state, TALEV_REQ_ERROR);
	assert_int_equal(info_of(below).error, EIO);
	assert_int_equal(info_of(talev_req_profile_first(below)).state, TALEV_REQ_RECEIVED);
	below = talev_req_profile_next(below);
	assert_string_equal(info_of(below).name, "struct some_state");
	assert_ptr_equal(talev_req_get_profile(second), below);
	assert_null(talev_req_profile_next(below));
}

static void moved_profile_outlives_its_request(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	struct talev_req_profile *profile;
	struct talev_req *inner;

	assert_ok(talev_req_set_profile(req));
	inner = make_inner(ev, req);
	talloc_steal(*state, inner);
	talev_req_done(req);
	profile = talev_req_move_profile(req, *state);
	assert_non_null(profile);
	assert_null(talev_req_get_profile(req));
	talloc_free(req);
	talev_req_done(inner);
	assert_int_equal(info_of(profile).state, TALEV_REQ_DONE);
	assert_int_equal(info_of(talev_req_profile_first(profile)).state, TALEV_REQ_DONE);
	talloc_free(profile);
	assert_null(talev_req_get_profile(inner));
	assert_ok(talev_req_simple_recv(inner));
}

static void profile_of_a_part_can_be_moved_out(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	struct talev_req_profile *part;
	struct talev_req *inner;

	assert_ok(talev_req_set_profile(req));
	inner = make_inner(ev, req);
	talev_req_done(inner);
	part = talev_req_move_profile(inner, *state);
	assert_non_null(part);
	assert_null(talev_req_profile_first(talev_req_get_profile(req)));
	assert_null(talev_req_profile_next(part));
	talloc_free(req);
	assert_string_equal(info_of(part).name, "struct inner_state");
}

static void profile_goes_with_its_request_or_context(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req *req = make(ev, *state);
	struct talev_req *inner;

	assert_ok(talev_req_set_profile(req));
	inner = make_inner(ev, req);
	talloc_steal(*state, inner);
	talloc_free(req);
	assert_null(talev_req_get_profile(inner));
	req = make(ev, *state);
	assert_ok(talev_req_set_profile(req));
	inner = make_inner(ev, req);
	talloc_free(ev);
	assert_null(talev_req_get_profile(req));
	assert_null(talev_req_get_profile(inner));
}

static struct talev_req_profile *example(struct talev_context *ev, TALLOC_CTX *mem_ctx)
{
	struct talev_req *req = make(ev, mem_ctx);
	struct talev_req *inner;

	assert_ok(talev_source_set_name(req, "a \"name\"\x01"));
	assert_ok(talev_req_set_profile(req));
	inner = make_inner(ev, req);
	make_inner(ev, inner);
	make_inner(ev, req);
	talev_req_error(inner, 5);
	talev_req_done(req);
	return talev_req_move_profile(req, mem_ctx);
}

static void text_is_a_tree(void **state)
{
	struct talev_context *ev = test_context(*state);
	char *text = talev_req_profile_text(*state, example(ev, *state));

	assert_non_null(text);
	assert_non_null(strstr(text, "a \"name\"\x01 ("));
	assert_non_null(strstr(text, "\n  struct inner_state ("));
	assert_non_null(strstr(text, ": error 5, "));
	assert_non_null(strstr(text, "\n    struct inner_state ("));
	assert_non_null(strstr(text, ": in progress\n"));
}

static void json_is_one_object(void **state)
{
	struct talev_context *ev = test_context(*state);
	char *text = talev_req_profile_json(*state, example(ev, *state));
	int depth = 0;

	assert_non_null(text);
	assert_memory_equal(text, "{\"name\":\"a \\\"name\\\"\\u0001\",\"location\":", 38);
	assert_non_null(strstr(text, "\"state\":\"error\",\"error\":5,"));
	assert_non_null(strstr(text, "\"stop\":null,\"requests\":[]}"));
	for (const char *s = text; *s != '\0'; s++) {
		depth += *s == '{' || *s == '[';
		depth -= *s == '}' || *s == ']';
		assert_true(depth > 0 || s[1] == '\0');
	}
	assert_int_equal(depth, 0);
}

static void older_program_gets_what_it_knows(void **state)
{
	struct talev_context *ev = test_context(*state);
	struct talev_req_profile *profile = example(ev, *state);
	struct {
		struct talev_req_profile_info info;
		char newer[16];
	} big;
	struct talev_req_profile_info info;

	memset(&info, 0xff, sizeof(info));
	talev_req_profile_get(profile, &info, sizeof(info.name));
	assert_non_null(info.name);
	assert_int_equal((int)(intptr_t)info.location, -1);
	memset(&big, 0xff, sizeof(big));
	talev_req_profile_get(profile, &big.info, sizeof(big));
	assert_int_equal(big.newer[15], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(request_has_no_profile_unless_asked_for),
		TEST(profile_tells_start_stop_and_end),
		TEST(requests_below_are_in_it_in_order),
		TEST(moved_profile_outlives_its_request),
		TEST(profile_of_a_part_can_be_moved_out),
		TEST(profile_goes_with_its_request_or_context),
		TEST(text_is_a_tree),
		TEST(json_is_one_object),
		TEST(older_program_gets_what_it_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
