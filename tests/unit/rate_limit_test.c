/* SPDX-License-Identifier: MIT */
#include "access/rate_limit.h"

#include "suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
#define NOW (86400 * SECOND)
#define FORM "; use [PREFIX] N/s, N/m or N/h [burst=N], or PREFIX off; for example /api/ 10/s burst=20"

static struct pipit_rate_limit *read_lines(const char *lines)
{
	struct pipit_rate_limit *limit = pipit_rate_limit_new();
	char error[256] = "";
	while (*lines) {
		struct pipit_slice line = { lines, strcspn(lines, "\n") };
		ck_assert_msg(pipit_rate_limit_add(limit, line, error, sizeof error) == 0, "%s", error);
		lines += line.length + (lines[line.length] == '\n');
	}
	pipit_rate_limit_index(limit);
	return limit;
}

/* Seconds to wait; 0: passes. client: "unix" is a UNIX socket. */
static uint64_t take(struct pipit_rate_limit *limit, const char *client, const char *path, uint64_t now_ns)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	const struct sockaddr *address = NULL;
	uint64_t seconds = 0;
	int result;
	if (inet_pton(AF_INET, client, &v4.sin_addr) == 1)
		address = (struct sockaddr *)&v4;
	else if (inet_pton(AF_INET6, client, &v6.sin6_addr) == 1)
		address = (struct sockaddr *)&v6;
	else
		ck_assert_str_eq(client, "unix");
	result = pipit_rate_limit_take(limit, address, pipit_slice_of(path), now_ns, &seconds);
	ck_assert_int_eq(result, seconds > 0 ? -EAGAIN : 0);
	return seconds;
}

static const struct {
	const char *rule;
	uint64_t burst, wait;
} rates[] = {
	{ "1/s", 1, 1 },
	{ "10/s", 10, 1 },
	{ "10/s burst=3", 3, 1 },
	{ "1000000/s", 1000000, 1 },
	{ "1/m", 1, 60 },
	{ "7/m burst=1", 1, 9 },
	{ "60/m burst=2", 2, 1 },
	{ "59/m burst=2", 2, 2 },
	{ "1/h", 1, 3600 },
	{ "1000/h burst=5", 5, 4 },
	{ "  /x/   2/h \t burst=1 ", 1, 1800 },
	{ "/ 3/h burst=1", 1, 1200 },
};

START_TEST(tells_the_whole_seconds_until_the_next_request)
{
	struct pipit_rate_limit *limit = read_lines(rates[_i].rule);
	for (uint64_t i = 0; i < rates[_i].burst; i++)
		ck_assert_uint_eq(take(limit, "192.0.2.1", "/x/y", NOW), 0);
	ck_assert_uint_eq(take(limit, "192.0.2.1", "/x/y", NOW), rates[_i].wait);
	/* Then there is a token, and no second before. */
	if (rates[_i].wait > 1)
		ck_assert_uint_eq(take(limit, "192.0.2.1", "/x/y", NOW + (rates[_i].wait - 1) * SECOND), 1);
	ck_assert_uint_eq(take(limit, "192.0.2.1", "/x/y", NOW + rates[_i].wait * SECOND), 0);
	pipit_rate_limit_free(limit);
}
END_TEST

/* A seventh of a second is no whole number of nanoseconds. */
START_TEST(the_rate_is_never_higher)
{
	struct pipit_rate_limit *limit = read_lines("7/s burst=1");
	ck_assert_uint_eq(take(limit, "192.0.2.1", "/", NOW), 0);
	ck_assert_uint_eq(take(limit, "192.0.2.1", "/", NOW + SECOND / 7), 1);
	ck_assert_uint_eq(take(limit, "192.0.2.1", "/", NOW + SECOND / 7 + 1), 0);
	pipit_rate_limit_free(limit);
}
END_TEST

static const struct {
	const char *one, *other;
	bool are_one;
} clients[] = {
	{ "192.0.2.1", "192.0.2.1", true },
	{ "192.0.2.1", "192.0.2.2", false },
	{ "192.0.2.1", "::ffff:192.0.2.1", true },
	{ "2001:db8:0:7::1", "2001:db8:0:7:ffff:ffff:ffff:ffff", true },
	{ "2001:db8:0:7:ffff:ffff:ffff:ffff", "2001:db8:0:8::", false },
	{ "2001:db8:0:7::", "2001:db8:0:6:ffff:ffff:ffff:ffff", false },
	{ "::1", "::2", true },
	{ "::1", "0.0.0.1", false },
};

START_TEST(an_ipv6_network_of_64_bits_is_one_client)
{
	struct pipit_rate_limit *limit = read_lines("1/s");
	ck_assert_uint_eq(take(limit, clients[_i].one, "/", NOW), 0);
	ck_assert_uint_eq(take(limit, clients[_i].other, "/", NOW), clients[_i].are_one);
	pipit_rate_limit_free(limit);
}
END_TEST

START_TEST(clients_of_unix_sockets_are_not_limited)
{
	struct pipit_rate_limit *limit = read_lines("1/h");
	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(take(limit, "unix", "/", NOW), 0);
	pipit_rate_limit_free(limit);
	pipit_rate_limit_free(NULL);
}
END_TEST

START_TEST(the_longest_prefix_counts_a_request)
{
	struct pipit_rate_limit *limit = read_lines("2/m\n/api/ 1/h\n/api/open off");
	ck_assert_uint_eq(take(limit, "::1", "/api/x", NOW), 0);
	ck_assert_uint_eq(take(limit, "::1", "/api", NOW), 3600);
	ck_assert_uint_eq(take(limit, "::1", "/", NOW), 0);
	ck_assert_uint_eq(take(limit, "::1", "/apis", NOW), 0);
	ck_assert_uint_eq(take(limit, "::1", "*", NOW), 30);
	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(take(limit, "::1", "/api/open/x", NOW), 0);
	pipit_rate_limit_free(limit);
}
END_TEST

START_TEST(no_spelling_of_a_path_evades_its_rule)
{
	static const char *const paths[] = { "/api/x", "//api/x", "/%61pi", "/x/../api/", "/api/../x", "/./api" };
	struct pipit_rate_limit *limit = read_lines("/api/ 1/h");
	ck_assert_uint_eq(take(limit, "::1", "/api", NOW), 0);
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		ck_assert_uint_eq(take(limit, "::1", paths[i], NOW), 3600);
	ck_assert_uint_eq(take(limit, "::1", "/x", NOW), 0);
	pipit_rate_limit_free(limit);
}
END_TEST

START_TEST(a_path_of_two_rules_needs_a_token_of_both)
{
	struct pipit_rate_limit *limit = read_lines("/a 1/m\n/b 1/h");
	ck_assert_uint_eq(take(limit, "::1", "/a/../b", NOW), 0);
	ck_assert_uint_eq(take(limit, "::1", "/a", NOW), 60);
	ck_assert_uint_eq(take(limit, "::1", "/b", NOW), 3600);
	pipit_rate_limit_free(limit);
}
END_TEST

static const struct {
	const char *line, *error;
} wrong[] = {
	{ "", "the rate is not a number of requests per s, m or h" FORM },
	{ "/api/", "the rate is not a number of requests per s, m or h" FORM },
	{ "10", "the rate is not a number of requests per s, m or h" FORM },
	{ "10/d", "the rate is not a number of requests per s, m or h" FORM },
	{ "10r/s", "the rate has an r behind its number, as in nginx" FORM },
	{ "-1/s", "the rate is not 1 to 1000000 requests" FORM },
	{ "0/s", "the rate is not 1 to 1000000 requests" FORM },
	{ "1000001/s", "the rate is not 1 to 1000000 requests" FORM },
	{ "18446744073709551617/s", "the rate is not 1 to 1000000 requests" FORM },
	{ "10/s 20", "only burst=N may follow the rate" FORM },
	{ "10/s Burst=20", "only burst=N may follow the rate" FORM },
	{ "10/s burst=0", "the burst is not 1 to 1000000 requests" FORM },
	{ "10/s burst=", "the burst is not 1 to 1000000 requests" FORM },
	{ "10/s burst=1000001", "the burst is not 1 to 1000000 requests" FORM },
	{ "10/s burst=20 nodelay", "something follows the burst" FORM },
	{ "/x off 1/s", "something follows \"off\"" FORM },
	{ "api 10/s", "the rate is not a number of requests per s, m or h" FORM },
	{ "/a//b 10/s", "the prefix has empty or dot segments" FORM },
	{ "/a%20b 10/s", "the prefix has a query or percent-encoding" FORM },
	{ "/taken 1/s", "another rule has this prefix; use one of them" },
};

START_TEST(says_what_would_be_right)
{
	struct pipit_rate_limit *limit = read_lines("/taken/ 10/s");
	char error[256] = "";
	ck_assert_int_eq(pipit_rate_limit_add(limit, pipit_slice_of(wrong[_i].line), error, sizeof error), -EINVAL);
	ck_assert_str_eq(error, wrong[_i].error);
	pipit_rate_limit_free(limit);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rate_limit");
	TCase *tests = tcase_create("rules");
	tcase_add_loop_test(tests, tells_the_whole_seconds_until_the_next_request, 0, sizeof rates / sizeof *rates);
	tcase_add_test(tests, the_rate_is_never_higher);
	tcase_add_loop_test(tests, an_ipv6_network_of_64_bits_is_one_client, 0, sizeof clients / sizeof *clients);
	tcase_add_test(tests, clients_of_unix_sockets_are_not_limited);
	tcase_add_test(tests, the_longest_prefix_counts_a_request);
	tcase_add_test(tests, no_spelling_of_a_path_evades_its_rule);
	tcase_add_test(tests, a_path_of_two_rules_needs_a_token_of_both);
	tcase_add_loop_test(tests, says_what_would_be_right, 0, sizeof wrong / sizeof *wrong);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
