/* SPDX-License-Identifier: MIT */
#include "access/address_rules.h"

#include "suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* rules: "allow ..." and "deny ..." in lines. */
static struct pipit_address_rules *read_rules(const char *text, char *error, size_t size, int *result)
{
	struct pipit_address_rules *rules = pipit_address_rules_new();

	*result = 0;
	while (*text && *result == 0) {
		struct pipit_slice line = { text, strcspn(text, "\n") };
		bool allows = strncmp(text, "allow ", 6) == 0;
		size_t word = allows ? 6 : 5;
		*result = pipit_address_rules_add(
		    rules, (struct pipit_slice){ text + word, line.length - word }, allows, error, size);
		text += line.length + (text[line.length] == '\n');
	}
	if (*result == 0)
		*result = pipit_address_rules_index(rules, error, size);
	return rules;
}

/* client: "unix" is a UNIX socket. */
static int check(const struct pipit_address_rules *rules, const char *client, const char *path)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	const struct sockaddr *address = NULL;
	if (inet_pton(AF_INET, client, &v4.sin_addr) == 1)
		address = (struct sockaddr *)&v4;
	else if (inet_pton(AF_INET6, client, &v6.sin6_addr) == 1)
		address = (struct sockaddr *)&v6;
	else
		ck_assert_str_eq(client, "unix");
	return pipit_address_rules_check(rules, address, pipit_slice_of(path));
}

#define BLOCKED "deny 192.0.2.0/24"
#define INSIDE "allow 10.0.0.0/8\nallow ::1"
#define ADMIN "allow /admin/ 10.1.0.0/16"

static const struct {
	const char *rules, *client, *path;
	bool passes;
} cases[] = {
	{ "", "10.0.0.1", "/", true },
	{ "", "unix", "/", true },
	/* A deny refuses its networks only. */
	{ BLOCKED, "192.0.1.255", "/", true },
	{ BLOCKED, "192.0.2.0", "/", false },
	{ BLOCKED, "192.0.2.255", "/x", false },
	{ BLOCKED, "192.0.3.0", "/", true },
	{ BLOCKED, "::ffff:192.0.2.1", "/", false },
	{ BLOCKED, "unix", "/", true },
	{ BLOCKED, "192.0.2.1", "*", false },
	/* An allow refuses all others. */
	{ INSIDE, "9.255.255.255", "/", false },
	{ INSIDE, "10.0.0.0", "/", true },
	{ INSIDE, "11.0.0.0", "/", false },
	{ INSIDE, "::1", "/", true },
	{ INSIDE, "::2", "/", false },
	{ INSIDE, "unix", "/", false },
	{ INSIDE "\nallow unix:", "unix", "/", true },
	{ INSIDE, "11.0.0.0", "*", false },
	/* The smallest network decides, in any order. */
	{ "allow 10.0.0.0/8\ndeny 10.1.0.0/16", "10.0.255.255", "/", true },
	{ "allow 10.0.0.0/8\ndeny 10.1.0.0/16", "10.1.0.0", "/", false },
	{ "deny 10.1.0.0/16\nallow 10.0.0.0/8", "10.1.255.255", "/", false },
	{ "deny 10.1.0.0/16\nallow 10.0.0.0/8", "10.2.0.0", "/", true },
	{ "deny all\nallow 10.0.0.0/8", "10.0.0.1", "/", true },
	{ "deny all\nallow 10.0.0.0/8", "11.0.0.1", "/", false },
	{ "allow all\ndeny 10.0.0.0/8\nallow 10.1.0.0/16", "11.0.0.1", "/", true },
	{ "allow all\ndeny 10.0.0.0/8\nallow 10.1.0.0/16", "10.0.0.1", "/", false },
	{ "allow all\ndeny 10.0.0.0/8\nallow 10.1.0.0/16", "10.1.0.1", "/", true },
	/* A prefix */
	{ ADMIN, "10.1.0.1", "/admin/x", true },
	{ ADMIN, "10.2.0.1", "/admin/x", false },
	{ ADMIN, "10.2.0.1", "/admin", false },
	{ ADMIN, "10.2.0.1", "/admins", true },
	{ ADMIN, "10.2.0.1", "/", true },
	{ ADMIN, "10.2.0.1", "//admin/x", false },
	{ ADMIN, "10.2.0.1", "/%61dmin/x", false },
	{ ADMIN, "10.2.0.1", "/x/../admin/x", false },
	{ ADMIN, "10.2.0.1", "/admin/../x", false },
	/* The longest prefix decides, */
	{ INSIDE "\n" ADMIN, "10.2.0.1", "/", true },
	{ INSIDE "\n" ADMIN, "10.2.0.1", "/admin/x", false },
	{ INSIDE "\nallow /public all", "11.0.0.1", "/public/x", true },
	{ INSIDE "\nallow /public all", "unix", "/public", true },
	{ INSIDE "\nallow /public all", "11.0.0.1", "/public/../x", false },
	{ INSIDE "\nallow /public all", "11.0.0.1", "/x/../public/", false },
	/* but a deny opens nothing. */
	{ INSIDE "\ndeny /api/ 10.9.0.0/16", "11.0.0.1", "/api/x", false },
	{ INSIDE "\ndeny /api/ 10.9.0.0/16", "10.9.0.1", "/api/x", false },
	{ INSIDE "\ndeny /api/ 10.9.0.0/16", "10.8.0.1", "/api/x", true },
	{ INSIDE "\ndeny /api/ 10.9.0.0/16", "10.9.0.1", "/x", true },
};

START_TEST(decides_by_prefix_and_network)
{
	char error[256] = "";
	int result;
	struct pipit_address_rules *rules = read_rules(cases[_i].rules, error, sizeof error, &result);
	ck_assert_msg(result == 0, "%s", error);
	ck_assert_msg(check(rules, cases[_i].client, cases[_i].path) == (cases[_i].passes ? 0 : -EACCES), "%s: %s %s",
	    cases[_i].rules, cases[_i].client, cases[_i].path);
	pipit_address_rules_free(rules);
}
END_TEST

START_TEST(decides_for_paths_of_every_length)
{
	static char path[3000];
	char error[256];
	int result;
	struct pipit_address_rules *rules = read_rules(ADMIN, error, sizeof error, &result);
	for (size_t length = 500; length < sizeof path; length += 7) {
		memset(path, 'x', length);
		path[length] = '\0';
		memcpy(path, "/admin/", 7);
		ck_assert_int_eq(check(rules, "10.1.0.1", path), 0);
		ck_assert_int_eq(check(rules, "10.2.0.1", path), -EACCES);
		memcpy(path, "/other/", 7);
		ck_assert_int_eq(check(rules, "10.2.0.1", path), 0);
	}
	pipit_address_rules_free(rules);
	pipit_address_rules_free(NULL);
}
END_TEST

static const struct {
	const char *rules, *error;
} wrong[] = {
	{ "allow /admin/", "no network; use addresses or networks, for example 10.0.0.0/8, 2001:db8::/32 or unix:" },
	{ "allow 10.1.2.3/8",
	    "\"10.1.2.3/8\" has bits set behind the first 8; use 10.0.0.0/8 for the network, or 10.1.2.3 for the "
	    "address" },
	{ "deny /a/../b 10.0.0.0/8",
	    "the prefix has empty or dot segments; use [PREFIX] and addresses or networks, for "
	    "example 10.0.0.0/8, 2001:db8::/32 or unix:" },
	{ "deny admin 10.0.0.0/8",
	    "\"admin\": not a network; use addresses or networks, for example 10.0.0.0/8, 2001:db8::/32 or unix:" },
	{ "allow /x 10.0.0.0/8\ndeny /x/ 10.0.0.0/8", "10.0.0.0/8 is allowed and denied for /x; use one of both" },
	{ "deny ::/0\nallow all", "::/0 is allowed and denied for /; use one of both" },
};

START_TEST(says_what_would_be_right)
{
	char error[256] = "";
	int result;
	struct pipit_address_rules *rules = read_rules(wrong[_i].rules, error, sizeof error, &result);
	ck_assert_int_eq(result, -EINVAL);
	ck_assert_str_eq(error, wrong[_i].error);
	pipit_address_rules_free(rules);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("address_rules");
	TCase *tests = tcase_create("rules");
	tcase_add_loop_test(tests, decides_by_prefix_and_network, 0, sizeof cases / sizeof *cases);
	tcase_add_test(tests, decides_for_paths_of_every_length);
	tcase_add_loop_test(tests, says_what_would_be_right, 0, sizeof wrong / sizeof *wrong);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
