/* SPDX-License-Identifier: BSD-2-Clause */
/* What people and programs get to read of a snapshot; in virtual time, so that it is the same. */
#include "support/support.h"
#include <ctype.h>
#include <signal.h>
#include <talev/sim.h>

static void on_timer(struct talev_context *ev, struct talev_timer *te, talev_time_t now, void *arg)
{
	(void)te;
	(void)now;
	(void)arg;
	assert_ok(talev_sim_advance(ev, TALEV_USEC(1500)));
}

static void on_fd(struct talev_context *ev, struct talev_fd *fde, uint16_t flags, void *arg)
{
	(void)ev;
	(void)fde;
	(void)flags;
	(void)arg;
}

static void on_signal(struct talev_context *ev, struct talev_signal *se, int signum, int count,
	const void *siginfo, void *arg)
{
	(void)ev;
	(void)se;
	(void)signum;
	(void)count;
	(void)siginfo;
	(void)arg;
}

static char *text_of(struct talev_context *ev)
{
	struct talev_snapshot *snap = talev_snapshot(test_root(), ev);
	char *text = talev_snapshot_text(test_root(), snap);

	assert_non_null(text);
	return text;
}

static char *json_of(struct talev_context *ev)
{
	struct talev_snapshot *snap = talev_snapshot(test_root(), ev);
	char *json = talev_snapshot_json(test_root(), snap);

	assert_non_null(json);
	return json;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in:\n%s", part, text);
}

static void text_begins_with_the_context(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	char *text = text_of(ev);

	assert_has(text, "context (");
	assert_has(text, "test_output.c:");
	assert_has(text, ") on sim, live, level 0: 0 turns, 0 waits, 0 handlers\n");
	assert_has(text, "finalizers: 0 ready, 0 waiting for a handler to return\n"
			 "queues: 0 immediates, 0 of 0 timers due, 0 watchers, 0 messages\n");
}

static void text_tells_times_in_human_units(void **state)
{
	static const struct {
		talev_time_t distance;
		const char *text;
	} cases[] = {
		{0, "now"},
		{1, "in 1 ns"},
		{-999, "999 ns ago"},
		{1000, "in 1 us"},
		{-12340, "12.3 us ago"},
		{TALEV_MSEC(3), "in 3 ms"},
		{TALEV_MSEC(-3), "3 ms ago"},
		{TALEV_MSEC(1500), "in 1.5 s"},
		{TALEV_MSEC(999) + 999999, "in 999 ms"},
		{TALEV_SEC(59), "in 59 s"},
		{TALEV_SEC(60), "in 1 min"},
		{TALEV_SEC(125), "in 2 min 5 s"},
		{TALEV_SEC(3600), "in 1 h"},
		{TALEV_SEC(-11520), "3 h 12 min ago"},
		{TALEV_SEC(86400), "in 1 d"},
		{TALEV_SEC(100 * 86400 + 7200), "in 100 d 2 h"},
		{INT64_MIN, "ages ago"},
		{TALEV_NEVER, "stopped"},
	};
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct talev_timer *te = talev_add_timer(ev, NULL, 0, on_timer, NULL);
	talev_time_t now = talev_now(ev);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_ok(talev_update_timer(te, talev_time_add(now, cases[i].distance)));
		assert_has(text_of(ev), talloc_asprintf(*state, "on_timer  %s", cases[i].text));
	}
}

static void clock_may_be_before_its_zero(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct talev_timer *te =
		talev_add_timer_on(ev, NULL, TALEV_CLOCK_REALTIME, INT64_MIN, on_timer, NULL);

	assert_ok(talev_sim_step_realtime(ev, -INT64_MAX));
	assert_has(text_of(ev), " ago (realtime)");
	assert_ok(talev_update_timer(te, TALEV_NEVER - 1));
	assert_has(text_of(ev), "in ages (realtime)");
}

static void text_is_a_table(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	talev_time_t realtime = talev_clock_now(ev, TALEV_CLOCK_REALTIME);
	struct talev_timer *te;
	struct talev_fd *fde;
	char *text, *line, *save;
	int fds[2];
	long column = -1;
	int lines = 0;

	test_pipe(fds);
	fde = talev_add_fd(ev, NULL, fds[0], TALEV_FD_READ | TALEV_FD_WRITE, on_fd, NULL);
	/* Two bytes of UTF-8 are one column, and a terminal gets no commands. */
	assert_ok(talev_source_set_name(fde, "caf\xc3\xa9 \x1b[2J"));
	assert_non_null(talev_add_ticker(ev, NULL, TALEV_MSEC(250), on_timer, NULL));
	te = talev_add_timer_on(ev, NULL, TALEV_CLOCK_REALTIME, realtime + 5, on_timer, NULL);
	assert_ok(talev_source_set_enabled(te, false));
	assert_non_null(talev_add_signal(ev, NULL, SIGHUP, 0, on_signal, NULL));
	assert_non_null(talev_add_signal(ev, NULL, SIGRTMIN + 4, 0, on_signal, NULL));
	text = text_of(ev);
	assert_has(text, talloc_asprintf(*state, "%d rw--", fds[0]));
	assert_has(text, "caf\xc3\xa9 ?[2J");
	assert_has(text, "in 250 ms, every 250 ms");
	assert_has(text, "in 5 ns (realtime)");
	assert_has(text, "disabled");
	assert_has(text, "SIGHUP");
	assert_has(text, "SIGRTMIN+4");
	assert_null(strstr(text, "TOTAL"));

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *location = strstr(line, lines == 3 ? "LOCATION" : "../");
		long at = 0;

		if (lines++ < 3)
			continue;
		if (!location)
			location = strstr(line, "tests/");
		assert_non_null(location);
		for (char *c = line; c < location; c++)
			at += ((unsigned char)*c & 0xc0) != 0x80;
		if (column == -1)
			column = at;
		assert_int_equal(at, column);
	}
	assert_int_equal(lines, 3 + 1 + 5);
	talloc_free(fde);
	close(fds[0]);
	close(fds[1]);
}

static void text_shows_times_that_were_measured(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	char *text;

	talev_context_set_timing(ev, true);
	assert_non_null(talev_add_ticker(ev, NULL, TALEV_SEC(1), on_timer, NULL));
	assert_ok(test_once(ev));
	assert_ok(test_once(ev));
	text = text_of(ev);
	assert_has(text, "CALLS  TOTAL  LONGEST");
	assert_has(text, "    2   3 ms   1.5 ms");
	assert_has(text, "HANDLER         CALLS     P50     P90     P99   P99.9  LONGEST  TOTAL  "
			 "LOCATION\n"
			 "on_timer            2  1.5 ms  1.5 ms  1.5 ms  1.5 ms   1.5 ms   3 ms  ");
	assert_has(text, "\nturns               2  ");
}

/* RFC 8259, to the letter; where the value ends, or NULL. */
static const char *value(const char *s, int depth);

static const char *string(const char *s)
{
	if (*s++ != '"')
		return NULL;
	for (; *s != '"'; s++) {
		if ((unsigned char)*s < 0x20)
			return NULL;
		if (*s != '\\')
			continue;
		s++;
		if (*s == 'u') {
			for (int i = 0; i < 4; i++)
				if (!isxdigit((unsigned char)*++s))
					return NULL;
		} else if (!strchr("\"\\/bfnrt", *s) || !*s) {
			return NULL;
		}
	}
	return s + 1;
}

static const char *number(const char *s)
{
	s += *s == '-';
	if (*s == '0')
		return s + 1;
	if (!isdigit((unsigned char)*s))
		return NULL;
	while (isdigit((unsigned char)*s))
		s++;
	return s;
}

static const char *list(const char *s, char end, int depth)
{
	if (*s == end)
		return s + 1;
	for (;;) {
		if (end == '}') {
			s = string(s);
			if (!s || *s++ != ':')
				return NULL;
		}
		s = value(s, depth);
		if (!s)
			return NULL;
		if (*s == end)
			return s + 1;
		if (*s++ != ',')
			return NULL;
	}
}

static const char *value(const char *s, int depth)
{
	static const char *const words[] = {"true", "false", "null"};

	if (depth > 5)
		return NULL;
	for (int i = 0; i < 3; i++)
		if (strncmp(s, words[i], strlen(words[i])) == 0)
			return s + strlen(words[i]);
	if (*s == '{')
		return list(s + 1, '}', depth + 1);
	if (*s == '[')
		return list(s + 1, ']', depth + 1);
	return *s == '"' ? string(s) : number(s);
}

static void assert_json(const char *json)
{
	const char *end = *json == '{' ? value(json, 0) : NULL;

	if (!end || *end)
		fail_msg("not JSON: %s", json);
}

static void json_has_every_field_of_every_kind(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct talev_fd *fde;
	char *json;
	int fds[2];

	assert_json(json_of(ev));
	test_pipe(fds);
	fde = talev_add_fd(ev, NULL, fds[0], TALEV_FD_READ | TALEV_FD_HUP, on_fd, NULL);
	assert_ok(talev_source_set_tag(fde, UINT64_MAX));
	assert_non_null(talev_add_timer(ev, NULL, -5, on_timer, NULL));
	assert_non_null(talev_add_timer(ev, NULL, TALEV_NEVER, on_timer, NULL));
	assert_non_null(talev_add_signal(ev, NULL, SIGHUP, 0, on_signal, NULL));
	json = json_of(ev);
	assert_json(json);
	assert_has(json, "{\"context\":{\"name\":\"context\",\"location\":\"");
	assert_has(json, "\"backend\":\"sim\",\"state\":\"live\",\"now\":");
	assert_has(json, "\"finalizers_ready\":0,\"finalizers_pinned\":0,\"immediates\":0,"
			 "\"timers_due\":0,\"timers\":1,\"watchers\":1,\"messages\":0,"
			 "\"longest_turn\":0,\"timing\":false}");
	assert_has(json, "],\"latency\":{\"all\":{\"count\":0,");
	assert_has(json, "\"sources\":[{\"kind\":\"fd\",\"name\":\"on_fd\",\"location\":\"");
	assert_has(json, "\"enabled\":true,\"armed\":true,\"running\":false");
	assert_has(json, talloc_asprintf(*state, "\"fd\":%d,\"flags\":[\"read\",\"hup\"]", fds[0]));
	assert_has(json, "\"tag\":18446744073709551615");
	assert_has(json, "\"clock\":\"monotonic\",\"deadline\":-5,\"period\":0");
	assert_has(json, "\"deadline\":null");
	assert_has(json, "\"signum\":1");
	assert_has(json, "\"calls\":0,\"time_total\":0,\"time_longest\":0}");
	talloc_free(fde);
	close(fds[0]);
	close(fds[1]);
}

static void json_escapes_what_a_name_may_hold(void **state)
{
	static const struct {
		const char *name;
		const char *json;
	} cases[] = {
		{"say \"hi\" \\ bye", "say \\\"hi\\\" \\\\ bye"},
		{"\n\t\x01\x1f\x7f", "\\u000a\\u0009\\u0001\\u001f\\u007f"},
		{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
			"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"\xff", "\xef\xbf\xbd"},
		{"a\x80z", "a\xef\xbf\xbdz"},
		{"\xc3", "\xef\xbf\xbd"},
		{"\xc3(", "\xef\xbf\xbd("},
		{"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
	};
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct talev_timer *te = talev_add_timer(ev, NULL, 1, on_timer, NULL);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *json;

		assert_ok(talev_source_set_name(te, cases[i].name));
		json = json_of(ev);
		assert_json(json);
		assert_has(json, talloc_asprintf(*state, "\"name\":\"%s\",", cases[i].json));
	}
}

static void every_byte_in_a_name_gives_json(void **state)
{
	struct talev_context *ev = talev_sim_init(*state, 1);
	struct talev_timer *te = talev_add_timer(ev, NULL, 1, on_timer, NULL);
	unsigned seed = 5;

	for (int i = 0; i < 500; i++) {
		char name[20];

		for (int j = 0; j < 19; j++)
			name[j] = (char)(rand_r(&seed) % 255 + 1);
		name[rand_r(&seed) % 20] = '\0';
		name[19] = '\0';
		assert_ok(talev_source_set_name(te, name));
		assert_json(json_of(ev));
		assert_non_null(text_of(ev));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(text_begins_with_the_context),
		TEST(text_tells_times_in_human_units),
		TEST(clock_may_be_before_its_zero),
		TEST(text_is_a_table),
		TEST(text_shows_times_that_were_measured),
		TEST(json_has_every_field_of_every_kind),
		TEST(json_escapes_what_a_name_may_hold),
		TEST(every_byte_in_a_name_gives_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
